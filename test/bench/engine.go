package main

// engineSuite measures the engine on local clusters of its own, each benchmark once: it is one run of many workflows.
func engineSuite() suite {
	const (
		throughput = "BenchmarkEngineThroughput"
		stop       = "BenchmarkEngineStop"
		burst      = "BenchmarkEngineBurst"
	)
	return suite{pkg: "./test/bench/engine", pattern: "^BenchmarkEngine", benchtime: "1x", measures: []measure{
		{"engine: 500 workflows of 5 steps, of what bare clients write", throughput, "percent", "%", atLeast(50)},
		{"engine: 500 workflows of 5 steps", throughput, "workflows/s", "per s", bar{}},
		{"engine: their writes", throughput, "writes/s", "per s", bar{}},
		{"engine: writes of bare clients", throughput, "bare-writes/s", "per s", bar{}},
		{"engine: writes of a workflow of 1 step", "BenchmarkEngineWrites/1", "writes/workflow", "", atMost(6 + 5*1)},
		{"engine: writes of a workflow of 5 steps", "BenchmarkEngineWrites/5", "writes/workflow", "", atMost(6 + 5*5)},
		{"engine: writes of a workflow of 20 steps", "BenchmarkEngineWrites/20", "writes/workflow", "", atMost(6 + 5*20)},
		{"engine: Leases beside them, 5 steps", "BenchmarkEngineWrites/5", "lease-writes/workflow", "", bar{}},
		{"engine: Events beside them, 5 steps", "BenchmarkEngineWrites/5", "event-writes/workflow", "", bar{}},
		{"stop: no step starts any more, 1000 workflows in flight", stop, "s-until-stopped", "s", atMost(1)},
		{"stop: all go on", stop, "s-until-all-go-on", "s", atMost(5)},
		{"stop: one status write for each of them by bare clients, nothing else running", stop, "s-bare-writes", "s", bar{}},
		{"stop: workflows that failed of it", stop, "failed", "", atMost(0)},
		{"memory: kept for 1000 finished workflows of 5 steps, with their executions and targets", throughput, "MiB/1000-finished", "MiB", bar{}},
		{"burst: peak memory, 10 000 workflows at once until all are planned", burst, "peak-MiB", "MiB", atMost(512)},
		{"burst: workflows lost", burst, "lost", "", atMost(0)},
		{"burst: workflows created", burst, "creates/s", "per s", bar{}},
		{"burst: until all are planned", burst, "s-until-planned", "s", bar{}},
		{"burst: start-up to ready with their 20 000 objects", burst, "s-until-ready", "s", bar{}},
		{"burst: peak memory after that", burst, "peak-MiB-after-start", "MiB", atMost(512)},
	}}
}

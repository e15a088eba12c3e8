package main

// admissionSuite compares an API server that has all of admission with one that has none of it, request by request.
func admissionSuite() suite {
	const (
		create = "BenchmarkAdmissionCreate"
		status = "BenchmarkGuardStatusWrite"
	)
	return suite{pkg: "./test/bench/admission", pattern: "^Benchmark(Admission|Guard)", benchtime: "300x", measures: []measure{
		{"admission: create of a 10-step workflow, against none, p50", create, "p50-ratio", "×", atMost(2.5)},
		{"admission: the same, p99", create, "p99-ratio", "×", bar{}},
		{"admission: create of a 10-step workflow, p50", create, "p50-ms", "ms", bar{}},
		{"admission: create of a 10-step workflow, p99", create, "p99-ms", "ms", bar{}},
		{"admission: the same without admission, p50", create, "bare-p50-ms", "ms", bar{}},
		{"admission: the same without admission, p99", create, "bare-p99-ms", "ms", bar{}},
		{"admission: of it a webhook that does nothing, p50", create, "noop-p50-ms", "ms", bar{}},
		{"admission: of it the reviews of the author's rights, p50", create, "reviews-p50-ms", "ms", bar{}},
		{"admission: of it the preview of the gate, p50", create, "preview-p50-ms", "ms", bar{}},
		{"guard: an allowed status write, against none, p50", status, "p50-ratio", "×", atMost(1.3)},
		{"guard: an allowed status write, p50", status, "p50-ms", "ms", bar{}},
		{"guard: the same without guard, p50", status, "bare-p50-ms", "ms", bar{}},
	}}
}

package engine

import (
	"fmt"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
)

const (
	throughputWorkflows = 500
	throughputSteps     = 5
	throughputLimit     = 10 * time.Minute
)

// BenchmarkEngineThroughput carries out 500 workflows of 5 steps, and then has bare clients write as often, with the same
// parallelism, kinds of the same schemas and objects of the same content.
func BenchmarkEngineThroughput(b *testing.B) {
	c := begin(b)
	idle, _, err := c.process("manager").resident()
	check(b, err)
	c.targets(throughputWorkflows, throughputSteps)
	workflows := c.follow(&workflowexecutionv1.WorkflowExecutionList{}, &workflowexecutionv1.WorkflowExecution{}, nil)

	first, err := c.metrics.persisted(b.Context())
	check(b, err)
	firstOfAll, err := c.metrics.all(b.Context())
	check(b, err)
	used := c.used()
	began := time.Now()
	c.start(throughputWorkflows, throughputSteps)
	workflows.until(c, "all workflows to be completed", throughputLimit, c.completed(throughputWorkflows))
	took := time.Since(began)
	last, err := c.metrics.persisted(b.Context())
	check(b, err)
	lastOfAll, err := c.metrics.all(b.Context())
	check(b, err)
	cost := between(first, last)
	c.reportAll(firstOfAll, lastOfAll, throughputWorkflows, "workflow")
	c.reportUsed(used, throughputWorkflows, "", "workflow")

	used = c.used()
	bare := c.bare(throughputWorkflows, throughputSteps, cost)
	c.reportUsed(used, throughputWorkflows, "bare-", "workflow")
	b.ReportMetric(throughputWorkflows/took.Seconds(), "workflows/s")
	b.ReportMetric(cost.total()/took.Seconds(), "writes/s")
	b.ReportMetric(cost.total()/bare.Seconds(), "bare-writes/s")
	b.ReportMetric(100*bare.Seconds()/took.Seconds(), "percent")
	b.ReportMetric(cost.total()/throughputWorkflows, "writes/workflow")
	b.ReportMetric(cost.leases/throughputWorkflows, "lease-writes/workflow")
	b.ReportMetric(cost.events/throughputWorkflows, "event-writes/workflow")

	// What a manager keeps of finished workflows is seen best in a new one: it has never had anything else in its memory.
	c.restart(c.process("manager"))
	finished, _, err := c.process("manager").resident()
	check(b, err)
	b.ReportMetric((finished-idle)/mebi/throughputWorkflows*1000, "MiB/1000-finished")
}

// completed says whether so many workflows are completed. One that failed ends the benchmark.
func (b *bench) completed(n int) func(map[types.UID]client.Object) bool {
	return func(objects map[types.UID]client.Object) bool {
		done := 0
		for _, object := range objects {
			workflow, is := object.(*workflowexecutionv1.WorkflowExecution)
			if !is || !workflow.Status.Phase.Terminal() {
				continue
			}
			if workflow.Status.Outcome != workflowexecutionv1.OutcomeSuccess {
				b.Fatalf("workflow %s is %s: %s", workflow.Name, workflow.Status.Outcome, workflow.Status.FailureReason)
			}
			done++
		}
		return done >= n
	}
}

// BenchmarkEngineWrites counts what workflows of 1, 5 and 20 steps write, one workflow after the other.
func BenchmarkEngineWrites(b *testing.B) {
	for _, steps := range []int{1, 5, 20} {
		b.Run(fmt.Sprint(steps), func(b *testing.B) {
			const workflows = 5
			c := begin(b)
			c.targets(workflows, steps)
			seen := c.follow(&workflowexecutionv1.WorkflowExecutionList{}, &workflowexecutionv1.WorkflowExecution{}, nil)
			first, err := c.metrics.persisted(b.Context())
			check(b, err)
			for i := range workflows {
				check(b, c.Create(b.Context(), c.workflow(i, steps)))
				seen.until(c, "the workflow to be completed", throughputLimit, c.completed(i+1))
			}
			last, err := c.metrics.persisted(b.Context())
			check(b, err)
			cost := between(first, last)
			b.ReportMetric(cost.total()/workflows, "writes/workflow")
			b.ReportMetric(cost.creates/workflows, "creates/workflow")
			b.ReportMetric(cost.updates/workflows, "status-writes/workflow")
			b.ReportMetric(cost.patches/workflows, "patches/workflow")
			b.ReportMetric(cost.targets/workflows, "target-writes/workflow")
			b.ReportMetric(cost.leases/workflows, "lease-writes/workflow")
			b.ReportMetric(cost.events/workflows, "event-writes/workflow")
		})
	}
}

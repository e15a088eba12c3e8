package engine

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/procfs"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
)

const (
	burstWorkflows = 10_000
	burstLimit     = 45 * time.Minute
	// burstGoesOn is how many workflows must begin to run after the manager was started again.
	burstGoesOn = 100
	// burstCompletely in the environment has the burst carried out to its end, a quarter of an hour.
	burstCompletely = "KUBERNAUT_BENCH_BURST_COMPLETELY"
	mebi            = 1 << 20
)

// BenchmarkEngineBurst creates 10 000 workflows of one step at once, for a manager with the memory limit of its Deployment. When all
// are planned and the first of them run it starts the manager again, and sees them go on. Carrying all of them out takes as long as
// the throughput says, and shows no more than that; it is done when the environment asks for it.
func BenchmarkEngineBurst(b *testing.B) {
	c := begin(b)
	c.targets(burstWorkflows, 1)
	workflows := c.follow(&workflowexecutionv1.WorkflowExecutionList{}, &workflowexecutionv1.WorkflowExecution{}, nil)
	manager := c.process("manager")

	began := time.Now()
	c.start(burstWorkflows, 1)
	created := time.Since(began)
	workflows.until(c, "all workflows to be planned", burstLimit, func(objects map[types.UID]client.Object) bool {
		return len(objects) == burstWorkflows && every(objects, planned)
	})
	b.ReportMetric(burstWorkflows/created.Seconds(), "creates/s")
	b.ReportMetric(time.Since(began).Seconds(), "s-until-planned")
	if os.Getenv(burstCompletely) != "" {
		workflows.until(c, "all workflows to be completed", burstLimit, c.completed(burstWorkflows))
		b.ReportMetric(burstWorkflows/time.Since(began).Seconds(), "workflows/s")
	} else {
		workflows.until(c, "some workflows to run", burstLimit, func(objects map[types.UID]client.Object) bool { return begun(objects) >= burstGoesOn })
	}
	if now := c.process("manager"); now != manager {
		b.Fatalf("the manager was started again: process %d, then %d", manager.pid, now.pid)
	}
	_, most, err := manager.resident()
	check(b, err)
	b.ReportMetric(most/mebi, "peak-MiB")

	ran := workflows.count(runs)
	ready := c.restart(manager)
	b.ReportMetric(ready.Seconds(), "s-until-ready")
	workflows.until(c, "the workflows to go on", burstLimit, func(objects map[types.UID]client.Object) bool {
		return begun(objects) >= min(ran+burstGoesOn, burstWorkflows)
	})
	lost := burstWorkflows - workflows.count(func(w *workflowexecutionv1.WorkflowExecution) bool {
		return planned(w) && w.Status.Phase != workflowexecutionv1.PhaseFailed
	})
	b.ReportMetric(float64(lost), "lost")
	_, most, err = c.process("manager").resident()
	check(b, err)
	b.ReportMetric(most/mebi, "peak-MiB-after-start")
}

func planned(workflow *workflowexecutionv1.WorkflowExecution) bool {
	return workflow.Status.Plan != nil
}

func runs(workflow *workflowexecutionv1.WorkflowExecution) bool {
	return workflow.Status.ExecutionStartTime != nil
}

// begun counts the workflows whose steps have begun to run.
func begun(objects map[types.UID]client.Object) int {
	n := 0
	for _, object := range objects {
		if workflow, is := object.(*workflowexecutionv1.WorkflowExecution); is && runs(workflow) {
			n++
		}
	}
	return n
}

// restart ends the manager and starts it again, and says how long it took from the start of the process until it was ready.
func (b *bench) restart(old process) time.Duration {
	b.Helper()
	check(b.B, syscall.Kill(old.pid, syscall.SIGTERM))
	ctx, cancel := context.WithTimeout(b.Context(), prepareTimeout)
	defer cancel()
	await(ctx, b.B, "the manager to end", func(context.Context) bool { return syscall.Kill(old.pid, 0) != nil })
	port, err := os.ReadFile(filepath.Join(b.directory, "manager-probe.port"))
	check(b.B, err)
	ready := make(chan time.Time, 1)
	go func() {
		defer close(ready)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for range tick.C {
			if answers(ctx, "http://127.0.0.1:"+strings.TrimSpace(string(port))+"/readyz") {
				ready <- time.Now()
				return
			}
			if ctx.Err() != nil {
				return
			}
		}
	}()
	b.make(ctx, "up", managerMemory)
	proc, err := procfs.NewProc(b.process("manager").pid)
	check(b.B, err)
	stat, err := proc.Stat()
	check(b.B, err)
	started, err := stat.StartTime()
	check(b.B, err)
	at, is := <-ready
	if !is {
		b.Fatal("the manager was not ready in time")
	}
	return at.Sub(time.UnixMilli(int64(started * 1000)))
}

func answers(ctx context.Context, url string) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	return answer.Body.Close() == nil && answer.StatusCode == http.StatusOK
}

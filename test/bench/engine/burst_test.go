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

	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
)

const (
	burstWorkflows = 10_000
	burstLimit     = 45 * time.Minute
	mebi           = 1 << 20
)

// BenchmarkEngineBurst carries out 10 000 workflows of one step that are created at once, by a manager with the memory limit of
// its Deployment, and then starts the manager again.
func BenchmarkEngineBurst(b *testing.B) {
	c := begin(b)
	idle, _, err := c.process("manager").resident()
	check(b, err)
	c.targets(burstWorkflows, 1)
	workflows := c.follow(&workflowexecutionv1.WorkflowExecutionList{}, &workflowexecutionv1.WorkflowExecution{}, nil)
	manager := c.process("manager")

	began := time.Now()
	c.start(burstWorkflows, 1)
	workflows.until(c, "all workflows to be completed", burstLimit, c.completed(burstWorkflows))
	took := time.Since(began)
	if now := c.process("manager"); now != manager {
		b.Fatalf("the manager was started again: process %d, then %d", manager.pid, now.pid)
	}
	now, most, err := manager.resident()
	check(b, err)
	b.ReportMetric(burstWorkflows/took.Seconds(), "workflows/s")
	b.ReportMetric(most/mebi, "peak-MiB")
	b.ReportMetric((now-idle)/mebi/(burstWorkflows/1000), "MiB/1000-finished")
	b.ReportMetric(c.restart(manager).Seconds(), "s-until-ready")
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

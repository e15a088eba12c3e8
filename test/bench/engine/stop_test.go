package engine

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubernetesexecutionv1 "kubernaut.io/kubernaut/api/kubernetesexecution/v1"
	safetyv1alpha1 "kubernaut.io/kubernaut/api/safety/v1alpha1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/test/builders"
)

const (
	stopWorkflows = 1000
	stopSteps     = 5
	// stopRunning is how many steps must have run when the policy is applied.
	stopRunning = 100
	// stopQuiet is how long no step must have started until all are taken to have stopped.
	stopQuiet = 5 * time.Second
	stopLimit = 10 * time.Minute
)

// BenchmarkEngineStop applies a policy that holds everything while 1000 workflows are in flight, and removes it again.
func BenchmarkEngineStop(b *testing.B) {
	c := begin(b)
	c.targets(stopWorkflows, 1)
	starts := &startTimes{first: map[types.UID]time.Time{}}
	executions := c.follow(&kubernetesexecutionv1.KubernetesExecutionList{}, &kubernetesexecutionv1.KubernetesExecution{}, starts.see)
	workflows := c.follow(&workflowexecutionv1.WorkflowExecutionList{}, &workflowexecutionv1.WorkflowExecution{}, nil)

	check(b, each(b.Context(), stopWorkflows, func(ctx context.Context, i int) error { return c.Create(ctx, c.onOneTarget(i)) }))
	executions.until(c, "steps to run", stopLimit, func(map[types.UID]client.Object) bool { return starts.count() >= stopRunning })

	policy := &safetyv1alpha1.SafetyPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: "stop-everything"},
		Spec: safetyv1alpha1.SafetyPolicySpec{Source: safetyv1alpha1.PolicySource{
			Rego: "package kubernaut.safety.stop_everything\n\nhold contains \"everything is stopped\" if true\n",
		}},
	}
	check(b, c.Create(b.Context(), policy))
	applied := time.Now()
	last := starts.quiet(applied)
	ended := workflows.count(func(w *workflowexecutionv1.WorkflowExecution) bool { return w.Status.Phase.Terminal() })
	failed := workflows.count(func(w *workflowexecutionv1.WorkflowExecution) bool {
		return w.Status.Phase == workflowexecutionv1.PhaseFailed
	})

	workflows.until(c, "every workflow to wait", stopLimit, func(objects map[types.UID]client.Object) bool {
		return every(objects, func(w *workflowexecutionv1.WorkflowExecution) bool {
			return w.Status.Phase.Terminal() || w.Status.WaitingSince != nil
		})
	})
	bare := c.bareStatuses(stopWorkflows)
	first, err := c.metrics.all(b.Context())
	check(b, err)
	check(b, c.Delete(b.Context(), policy))
	removed := time.Now()
	workflows.until(c, "every workflow to go on", stopLimit, func(objects map[types.UID]client.Object) bool {
		return every(objects, func(w *workflowexecutionv1.WorkflowExecution) bool { return w.Status.WaitingSince == nil })
	})
	goOn := time.Since(removed)
	asked, err := c.metrics.all(b.Context())
	check(b, err)
	c.reportAll(first, asked, stopWorkflows, "workflow-to-go-on")

	b.ReportMetric(last.Sub(applied).Seconds(), "s-until-stopped")
	b.ReportMetric(goOn.Seconds(), "s-until-all-go-on")
	b.ReportMetric(bare.Seconds(), "s-bare-writes")
	b.ReportMetric(float64(stopWorkflows-ended), "in-flight")
	b.ReportMetric(float64(failed), "failed")
}

// onOneTarget is workflow number i, with all its steps on one target.
func (b *bench) onOneTarget(i int) *workflowexecutionv1.WorkflowExecution {
	object := b.workflow(i, 1)
	steps := make([]shared.Step, stopSteps)
	for s := range steps {
		steps[s] = builders.UpdateImage(stepName(s), object.Namespace, target(i, 0), fmt.Sprintf("registry.example.com/shop/cart:1.%d.0", s+1)).Step
	}
	object.Spec.WorkflowDefinition.Steps = steps
	return object
}

// startTimes are when executions were first seen to have begun.
type startTimes struct {
	mu     sync.Mutex
	first  map[types.UID]time.Time
	latest time.Time
}

func (s *startTimes) see(object client.Object, at time.Time) {
	execution, is := object.(*kubernetesexecutionv1.KubernetesExecution)
	if !is || execution.Status.StartedAt == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.first[execution.UID]; !known {
		s.first[execution.UID] = at
		s.latest = at
	}
}

func (s *startTimes) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.first)
}

// quiet waits until no step has started for a while, and says when the last one did, at least since.
func (s *startTimes) quiet(since time.Time) time.Time {
	for {
		s.mu.Lock()
		latest := s.latest
		s.mu.Unlock()
		if latest.Before(since) {
			latest = since
		}
		left := time.Until(latest.Add(stopQuiet))
		if left <= 0 {
			return latest
		}
		<-time.After(left)
	}
}

// every says whether something is so of all workflows.
func every(objects map[types.UID]client.Object, is func(*workflowexecutionv1.WorkflowExecution) bool) bool {
	for _, object := range objects {
		if workflow, ok := object.(*workflowexecutionv1.WorkflowExecution); ok && !is(workflow) {
			return false
		}
	}
	return true
}

// count counts workflows.
func (f *follower) count(is func(*workflowexecutionv1.WorkflowExecution) bool) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, object := range f.objects {
		if workflow, ok := object.(*workflowexecutionv1.WorkflowExecution); ok && is(workflow) {
			n++
		}
	}
	return n
}

package facts

import (
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	clocktesting "k8s.io/utils/clock/testing"

	kubernetesexecutionv1 "kubernaut.io/kubernaut/api/kubernetesexecution/v1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/policies/gate"
)

// ran is an execution of the workflow w that scaled shop/cart some time before noon.
func ran(name string, before time.Duration, change ...func(*kubernetesexecutionv1.KubernetesExecution)) *kubernetesexecutionv1.KubernetesExecution {
	execution := &kubernetesexecutionv1.KubernetesExecution{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, UID: types.UID("uid-" + name)},
		Spec: kubernetesexecutionv1.KubernetesExecutionSpec{
			WorkflowExecutionRef: shared.ObjectReference{Name: "w", UID: "workflow-2"}, Purpose: kubernetesexecutionv1.PurposeExecute,
			Action: new(scaleTo("shop", "cart", 2)), ExpectedTarget: &kubernetesexecutionv1.ExpectedTarget{UID: "cart-1"},
		},
		Status: kubernetesexecutionv1.KubernetesExecutionStatus{
			Phase: kubernetesexecutionv1.PhaseCompleted, StartedAt: new(metav1.NewTime(noon.Add(-before))),
		},
	}
	for _, apply := range change {
		apply(execution)
	}
	return execution
}

func workflowIn(phase workflowexecutionv1.WorkflowPhase, uid string, namespaces ...string) *workflowexecutionv1.WorkflowExecution {
	workflow := &workflowexecutionv1.WorkflowExecution{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "w-" + uid, UID: types.UID(uid)}}
	workflow.Status.Phase = phase
	workflow.Status.Plan = &workflowexecutionv1.Plan{}
	for _, namespace := range namespaces {
		workflow.Status.Plan.Targets = append(workflow.Status.Plan.Targets, workflowexecutionv1.PlannedTarget{
			Target: shared.Target{Kind: "Deployment", Namespace: namespace, Name: "cart"},
		})
	}
	return workflow
}

func TestWhatOthersDidIsListed(t *testing.T) {
	w := newWorld()
	by := workflowIn(workflowexecutionv1.PhaseCompleted, "workflow-2", "shop")
	by.Spec.RemediationRequestRef = &shared.ObjectReference{Name: "q", UID: "request-2"}
	running := func(e *kubernetesexecutionv1.KubernetesExecution) {
		e.Status.Phase = kubernetesexecutionv1.PhaseExecuting
	}
	of := func(workflow string) func(*kubernetesexecutionv1.KubernetesExecution) {
		return func(e *kubernetesexecutionv1.KubernetesExecution) {
			e.Spec.WorkflowExecutionRef = shared.ObjectReference{Name: workflow, UID: types.UID(workflow)}
		}
	}
	other := func(e *kubernetesexecutionv1.KubernetesExecution) {
		e.Spec.Action, e.Spec.ExpectedTarget.UID = new(scaleTo("shop", "pay", 2)), "pay-1"
	}
	elsewhere := func(e *kubernetesexecutionv1.KubernetesExecution) {
		e.Spec.Action, e.Spec.ExpectedTarget.UID = new(scaleTo("bank", "pay", 2)), "pay-2"
	}
	for _, object := range []any{
		ran("first", 30*time.Minute), ran("last", time.Minute, running, of("by-hand")), ran("middle", 10*time.Minute),
		ran("own", 5*time.Minute, of("workflow-1")), ran("old", time.Hour), ran("other", 2*time.Minute, other),
		ran("elsewhere", 2*time.Minute, elsewhere),
		ran("waiting", 0, func(e *kubernetesexecutionv1.KubernetesExecution) { e.Status.StartedAt = nil }),
		ran("telling", 0, func(e *kubernetesexecutionv1.KubernetesExecution) {
			e.Spec.Action, e.Spec.ExpectedTarget = &shared.Action{Type: shared.ActionNotifyOnly}, nil
		}),
		// Told last, as informers of two kinds may.
		by, "something else",
	} {
		w.activity.Observe(object)
	}
	past := func(change ...func(*gate.PastExecution)) gate.PastExecution {
		p := gate.PastExecution{
			Workflow: "w", RemediationRequest: new("q"), RemediationRequestUID: new("request-2"), Action: shared.ActionScaleDeployment,
			Purpose: "Execute", Mutating: true, TargetUID: new("cart-1"), Outcome: new("completed"),
		}
		for _, apply := range change {
			apply(&p)
		}
		return p
	}
	at := func(before time.Duration) func(*gate.PastExecution) {
		return func(p *gate.PastExecution) {
			p.Time, p.TimeNS = noon.Add(-before).Format(time.RFC3339), noon.Add(-before).UnixNano()
		}
	}
	byHand := func(p *gate.PastExecution) {
		p.Workflow, p.RemediationRequest, p.RemediationRequestUID, p.Outcome = "by-hand", nil, nil, nil
	}
	onPay := func(p *gate.PastExecution) { p.TargetUID = new("pay-1") }
	input := w.input(t)
	wantMissing(t, input)
	same(t, "on the target", []gate.PastExecution{
		past(at(time.Minute), byHand), past(at(10 * time.Minute)), past(at(30 * time.Minute)),
	}, input.Cluster.Executions.Target)
	same(t, "in the namespace", []gate.PastExecution{
		past(at(time.Minute), byHand), past(at(2*time.Minute), onPay), past(at(10 * time.Minute)), past(at(30 * time.Minute)),
	}, input.Cluster.Executions.Namespace)
	t.Run("it ends", func(t *testing.T) {
		w.activity.Observe(ran("last", time.Minute, of("by-hand"), func(e *kubernetesexecutionv1.KubernetesExecution) {
			e.Status.Phase = kubernetesexecutionv1.PhaseFailed
		}))
		same(t, "outcome", new("failed"), w.input(t).Cluster.Executions.Target[0].Outcome)
	})
	t.Run("an hour later there is nothing", func(t *testing.T) {
		w.clock.SetTime(noon.Add(time.Hour))
		same(t, "executions", gate.Executions{Target: []gate.PastExecution{}, Namespace: []gate.PastExecution{}}, w.input(t).Cluster.Executions)
	})
}

func TestWhatWasUndoneIsListedToo(t *testing.T) {
	w := newWorld()
	undone := func(from string) func(*kubernetesexecutionv1.KubernetesExecution) {
		return func(e *kubernetesexecutionv1.KubernetesExecution) {
			e.Spec.Purpose, e.Spec.Action, e.Spec.RestoreFrom, e.Spec.ExpectedTarget = kubernetesexecutionv1.PurposeRollBack, nil, from, nil
		}
	}
	w.activity.Observe(ran("done", 3*time.Minute))
	w.activity.Observe(ran("undone", 2*time.Minute, undone("done")))
	w.activity.Observe(ran("unclear", time.Minute, undone("forgotten"), func(e *kubernetesexecutionv1.KubernetesExecution) {
		e.Status.Inverse = &kubernetesexecutionv1.Inverse{UID: "cart-1"}
	}))
	var got []string
	for _, past := range w.input(t).Cluster.Executions.Target {
		got = append(got, fmt.Sprint(past.Purpose, " ", past.Action, " ", past.Mutating))
	}
	same(t, "executions", []string{"RollBack  true", "RollBack scale-deployment true", "Execute scale-deployment true"}, got)
	same(t, "in the namespace", 3, len(w.input(t).Cluster.Executions.Namespace))
}

func TestAnActionThatIsNotKnownAnyMoreCountsAsAChange(t *testing.T) {
	w := newWorld()
	w.activity.Observe(ran("past", time.Minute, func(e *kubernetesexecutionv1.KubernetesExecution) { e.Spec.Action.Type = "defragment" }))
	same(t, "mutating", true, w.input(t).Cluster.Executions.Target[0].Mutating)
}

func TestDeletingTheRecordDoesNotUndoWhatWasDone(t *testing.T) {
	w := newWorld()
	execution := ran("past", time.Minute)
	by := workflowIn(workflowexecutionv1.PhaseExecuting, "workflow-2", "shop")
	by.Spec.RemediationRequestRef = &shared.ObjectReference{Name: "q", UID: "request-2"}
	w.activity.Observe(by)
	w.activity.Observe(execution)
	w.activity.Forget(execution)
	w.activity.Forget(toolscache.DeletedFinalStateUnknown{Key: "shop/w-workflow-2", Obj: by})
	input := w.input(t)
	same(t, "executions", 1, len(input.Cluster.Executions.Target))
	same(t, "request", new("request-2"), input.Cluster.Executions.Target[0].RemediationRequestUID)
	same(t, "active", map[string]int{}, input.Cluster.ActiveWorkflows)
}

func TestALongHistoryIsCut(t *testing.T) {
	w := newWorld()
	for i := range maxListed {
		w.activity.Observe(ran(fmt.Sprint("past-", i), 30*time.Minute-time.Duration(i)*time.Second))
	}
	wantMissing(t, w.input(t))
	w.activity.Observe(ran("one-more", time.Minute))
	input := w.input(t)
	wantMissing(t, input, "cluster.executions.target", "cluster.executions.namespace")
	same(t, "listed", maxListed, len(input.Cluster.Executions.Target))
	same(t, "the newest", noon.Add(-time.Minute).UnixNano(), input.Cluster.Executions.Target[0].TimeNS)
}

func TestActiveIsWhatWasLetThroughAndHasNotEnded(t *testing.T) {
	clock := clocktesting.NewFakePassiveClock(noon)
	activity := NewActivity(clock)
	for i, phase := range []workflowexecutionv1.WorkflowPhase{
		"", workflowexecutionv1.PhasePlanning, workflowexecutionv1.PhaseValidating, workflowexecutionv1.PhaseExecuting,
		workflowexecutionv1.PhaseMonitoring, workflowexecutionv1.PhaseRollingBack, workflowexecutionv1.PhaseCompleted, workflowexecutionv1.PhaseFailed,
	} {
		activity.Observe(workflowIn(phase, fmt.Sprint("workflow-", i), "shop"))
	}
	activity.Observe(workflowIn(workflowexecutionv1.PhaseExecuting, "two-targets", "shop", "bank", "shop", ""))
	unplanned := workflowIn(workflowexecutionv1.PhaseExecuting, "unplanned")
	unplanned.Status.Plan = nil
	activity.Observe(unplanned)
	same(t, "active", map[string]int{"shop": 4, "bank": 1}, activity.activeWorkflows())
	activity.Observe(workflowIn(workflowexecutionv1.PhaseCompleted, "two-targets", "shop", "bank"))
	same(t, "active after one has ended", map[string]int{"shop": 3}, activity.activeWorkflows())
}

func TestWhatIsTooOldIsForgotten(t *testing.T) {
	clock := clocktesting.NewFakePassiveClock(noon)
	activity := NewActivity(clock)
	activity.Observe(ran("past", time.Minute))
	activity.Observe(ran("recent", -30*time.Minute, func(e *kubernetesexecutionv1.KubernetesExecution) { e.Spec.ExpectedTarget.UID = "pay-1" }))
	activity.Forget(workflowIn(workflowexecutionv1.PhaseCompleted, "gone", "shop"))
	activity.Observe(workflowIn(workflowexecutionv1.PhaseCompleted, "kept", "shop"))
	clock.SetTime(noon.Add(61 * time.Minute))
	activity.Observe(workflowIn(workflowexecutionv1.PhaseExecuting, "new", "shop"))
	same(t, "executions", 1, len(activity.executions))
	same(t, "names", 1, len(activity.names))
	same(t, "targets", 1, len(activity.byTarget))
	same(t, "in the namespace", 1, len(activity.byNamespace["shop"]))
	same(t, "workflows", 2, len(activity.workflows))
}

package workflowexecution

import (
	"context"
	"errors"
	"strings"
	"testing"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/controllers/kubernetesexecution"
	"kubernaut.io/kubernaut/controllers/kubernetesexecution/effects"
	"kubernaut.io/kubernaut/controllers/machinery"
)

// restless is a target that somebody changes so many times just after it was judged.
type restless struct {
	generation int64
	changes    int
	judged     int
	// unready is why it cannot be prepared.
	unready error
}

func (r *restless) live() *unstructured.Unstructured {
	live := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{"replicas": r.generation}}}
	live.SetAPIVersion("apps/v1")
	live.SetKind("Deployment")
	live.SetName("x")
	live.SetUID("uid-x")
	live.SetGeneration(r.generation)
	return live
}

func (r *restless) Prepare(_ context.Context, request effects.Request) (*effects.Preparation, error) {
	if r.unready != nil {
		return nil, r.unready
	}
	return &effects.Preparation{Target: targetOf(request.Action), Live: r.live()}, nil
}

func (r *restless) PrepareRestore(context.Context, effects.RestoreRequest) (*effects.Preparation, error) {
	return &effects.Preparation{Live: r.live()}, nil
}

func (r *restless) Read(context.Context, *shared.Action) (*unstructured.Unstructured, error) {
	if r.changes > 0 {
		r.changes--
		r.generation++
	}
	return r.live(), nil
}

func (r *restless) Judge(context.Context, kubernetesexecution.JudgeRequest) (shared.Decision, error) {
	r.judged++
	return shared.Decision{Verdict: shared.VerdictAllow, PolicySetRevision: "r1"}, nil
}

func (*restless) ForcesDryRun(context.Context, string) (bool, error) { return false, nil }

func (*restless) Owners(context.Context, *unstructured.Unstructured) ([]shared.OwnedObject, error) {
	return nil, nil
}

// TestTargetsThatMoveAreJudgedAgain: at most three rounds, and what is run is what was judged last.
func TestTargetsThatMoveAreJudgedAgain(t *testing.T) {
	for sentence, test := range map[string]struct {
		changes   int
		wantPhase workflowexecutionv1.WorkflowPhase
		// wantJudged counts the judgements, with the first one.
		wantJudged     int
		wantGeneration int64
		wantLocks      int
	}{
		"not at all":          {changes: 0, wantPhase: "executing", wantJudged: 1, wantGeneration: 1, wantLocks: 1},
		"once":                {changes: 1, wantPhase: "executing", wantJudged: 2, wantGeneration: 2, wantLocks: 1},
		"twice":               {changes: 2, wantPhase: "executing", wantJudged: 3, wantGeneration: 3, wantLocks: 1},
		"in all three rounds": {changes: 3, wantPhase: "failed", wantJudged: 4, wantGeneration: 4},
		"without end":         {changes: 99, wantPhase: "failed", wantJudged: 4, wantGeneration: 4},
	} {
		t.Run(sentence, func(t *testing.T) {
			target := &restless{generation: 1, changes: test.changes}
			c := newScenario(t, scale("a", "x"))
			c.decide()
			r := target.reconciler(t, c.s.workflow)
			if err := r.assessAll(t.Context(), &c.s); err != nil {
				t.Fatal(err)
			}
			next, err := r.decideLocked(t.Context(), &c.s)
			if err != nil {
				t.Fatal(err)
			}
			status := next.status
			if status.Phase != test.wantPhase || target.judged != test.wantJudged || status.Plan.Targets[0].Generation != test.wantGeneration {
				t.Errorf("got %s, judged %d times, at generation %d", status.Phase, target.judged, status.Plan.Targets[0].Generation)
			}
			if status.Phase == workflowexecutionv1.PhaseFailed && (status.ErrorType != shared.ErrorResourceConflict || !strings.Contains(status.FailureReason, "each time that the steps were judged again")) {
				t.Errorf("got %s: %s", status.ErrorType, status.FailureReason)
			}
			if left := leasesLeft(t, r); left != test.wantLocks {
				t.Errorf("%d locks are left", left)
			}
		})
	}
}

// reconciler has restless as its world, and an API server that has the workflow as it is stored.
func (r *restless) reconciler(t *testing.T, stored *workflowexecutionv1.WorkflowExecution) *Reconciler {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := errors.Join(coordinationv1.AddToScheme(scheme), workflowexecutionv1.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	return &Reconciler{
		Clients: machinery.Clients{Live: fake.NewClientBuilder().WithScheme(scheme).WithObjects(stored.DeepCopy()).Build()},
		Effects: r, Gate: r, Surroundings: r, Clock: clocktesting.NewFakePassiveClock(begun), Namespace: "system",
	}
}

func leasesLeft(t *testing.T, r *Reconciler) int {
	t.Helper()
	var leases coordinationv1.LeaseList
	if err := r.Clients.Live.List(t.Context(), &leases); err != nil {
		t.Fatal(err)
	}
	return len(leases.Items)
}

// TestAnErrorAfterLocking: nothing is decided on half of what is needed, and the locks are given back unless what was read of the
// workflow is old, and its steps run already.
func TestAnErrorAfterLocking(t *testing.T) {
	for sentence, test := range map[string]struct {
		stored    workflowexecutionv1.WorkflowPhase
		wantLocks int
	}{
		"a workflow that still waits gives its locks back": {stored: workflowexecutionv1.PhaseValidating},
		"a workflow whose steps run keeps them":            {stored: workflowexecutionv1.PhaseExecuting, wantLocks: 1},
	} {
		t.Run(sentence, func(t *testing.T) {
			target := &restless{generation: 1, changes: 1}
			c := newScenario(t, scale("a", "x"))
			c.decide()
			stored := c.s.workflow.DeepCopy()
			stored.Status.Phase = test.stored
			r := target.reconciler(t, stored)
			if err := r.assessAll(t.Context(), &c.s); err != nil {
				t.Fatal(err)
			}
			target.unready = apierrors.NewInternalError(errors.New("for a moment"))
			if _, err := r.decideLocked(t.Context(), &c.s); !errors.Is(err, target.unready) {
				t.Errorf("got %v", err)
			}
			if left := leasesLeft(t, r); left != test.wantLocks {
				t.Errorf("%d locks are left, want %d", left, test.wantLocks)
			}
		})
	}
}

package workflowexecution

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

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
		wantUnlock     bool
	}{
		"not at all":          {changes: 0, wantPhase: "executing", wantJudged: 1, wantGeneration: 1},
		"once":                {changes: 1, wantPhase: "executing", wantJudged: 2, wantGeneration: 2},
		"twice":               {changes: 2, wantPhase: "executing", wantJudged: 3, wantGeneration: 3},
		"in all three rounds": {changes: 3, wantPhase: "failed", wantJudged: 4, wantGeneration: 4, wantUnlock: true},
		"without end":         {changes: 99, wantPhase: "failed", wantJudged: 4, wantGeneration: 4, wantUnlock: true},
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
			if left := leasesLeft(t, r); left != 1 || next.unlock != test.wantUnlock {
				t.Errorf("%d locks are left, and are given back when it is recorded: %t", left, next.unlock)
			}
		})
	}
}

// reconciler has restless as its world, and an API server that has workflows as they are stored.
func (r *restless) reconciler(t *testing.T, stored ...*workflowexecutionv1.WorkflowExecution) *Reconciler {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := errors.Join(coordinationv1.AddToScheme(scheme), workflowexecutionv1.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	builder := locking(scheme).WithStatusSubresource(&workflowexecutionv1.WorkflowExecution{})
	for _, workflow := range stored {
		builder.WithObjects(workflow.DeepCopy())
	}
	api := builder.Build()
	return &Reconciler{
		Clients: machinery.Clients{Live: api, Cached: api}, Cache: api,
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

// TestAnErrorAfterLocking: nothing is decided on half of what is needed, and no lock is given back: what was read of the workflow may
// be old, and its steps may run.
func TestAnErrorAfterLocking(t *testing.T) {
	target := &restless{generation: 1, changes: 1}
	c := newScenario(t, scale("a", "x"))
	c.decide()
	r := target.reconciler(t, c.s.workflow)
	if err := r.assessAll(t.Context(), &c.s); err != nil {
		t.Fatal(err)
	}
	target.unready = apierrors.NewInternalError(errors.New("for a moment"))
	if _, err := r.decideLocked(t.Context(), &c.s); !errors.Is(err, target.unready) {
		t.Errorf("got %v", err)
	}
	if left := leasesLeft(t, r); left != 1 {
		t.Errorf("%d locks are left", left)
	}
	c.s.workflow.Status.Phase = workflowexecutionv1.PhaseFailed
	if s, err := r.gather(t.Context(), c.s.workflow); err != nil || !s.locksLeft {
		t.Errorf("it is not known that the workflow may hold locks when it is over: %v", err)
	}
}

// TestWhoWaitsForALock holds none, and gives back what it got only when it has recorded that it waits.
func TestWhoWaitsForALock(t *testing.T) {
	for sentence, test := range map[string]struct {
		// meanwhile is what another manager did after the workflow was read.
		meanwhile func(t *testing.T, r *Reconciler, c *scenario)
		refused   bool
		wantLocks []string
	}{
		"as it was read": {wantLocks: []string{"y"}},
		"another manager recorded something": {
			meanwhile: func(t *testing.T, r *Reconciler, c *scenario) {
				t.Helper()
				stored := c.s.workflow.DeepCopy()
				stored.Status.Phase = workflowexecutionv1.PhaseExecuting
				if err := r.Clients.Live.Status().Update(t.Context(), stored); err != nil {
					t.Fatal(err)
				}
			},
			refused: true, wantLocks: []string{"x", "y"},
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			target := &restless{generation: 1}
			c := newScenario(t, scale("a", "x"), scale("b", "y"))
			c.decide()
			other := lockHolder("other", workflowexecutionv1.PhaseExecuting)
			r := target.reconciler(t, c.s.workflow, other)
			if err := r.Clients.Live.Get(t.Context(), client.ObjectKeyFromObject(c.s.workflow), c.s.workflow); err != nil {
				t.Fatal(err)
			}
			c.allowed()
			keys := map[string]string{}
			for i, name := range []string{"x", "y"} {
				live := target.live()
				live.SetName(name)
				live.SetUID(types.UID(name))
				c.s.steps[i].preparation.Live = live
				keys[leaseName(rootOwner(live, nil))] = name
			}
			if heldBy, err := r.take(t.Context(), other, rootOwner(c.s.steps[1].preparation.Live, nil)); err != nil || heldBy != "" {
				t.Fatal(heldBy, err)
			}
			next, err := r.decideLocked(t.Context(), &c.s)
			if err != nil || next.status.Phase != workflowexecutionv1.PhaseValidating {
				t.Fatal(next.status.Phase, err)
			}
			if test.meanwhile != nil {
				test.meanwhile(t, r, c)
			}
			if _, written := r.record(t.Context(), c.s.workflow, next); written == test.refused {
				t.Errorf("written: %t", written)
			}
			var leases coordinationv1.LeaseList
			if err := r.Clients.Live.List(t.Context(), &leases); err != nil {
				t.Fatal(err)
			}
			var locks []string
			for i := range leases.Items {
				locks = append(locks, keys[leases.Items[i].Name])
			}
			slices.Sort(locks)
			if diff := cmp.Diff(test.wantLocks, locks); diff != "" {
				t.Errorf("locks (-want +got):\n%s", diff)
			}
		})
	}
}

// TestALockThatIsTakenAgain is another one for whoever read it before.
func TestALockThatIsTakenAgain(t *testing.T) {
	r, _ := lockingReconciler(t, 0)
	mine := lockHolder("runs", workflowexecutionv1.PhaseValidating)
	const key = "Deployment.apps shop/x"
	for range 2 {
		before, err := r.locksOf(t.Context(), mine)
		if err != nil {
			t.Fatal(err)
		}
		if heldBy, err := r.take(t.Context(), mine, key); err != nil || heldBy != "" {
			t.Fatal(heldBy, err)
		}
		if err := r.releaseThese(t.Context(), before); err != nil {
			t.Fatal(err)
		}
	}
	if left := locksLeft(t, r); !slices.Contains(left, leaseName(key)) {
		t.Errorf("left are %v", left)
	}
}

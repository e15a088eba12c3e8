package workflowexecution

import (
	"context"
	"strings"
	"testing"

	coordinationv1 "k8s.io/api/coordination/v1"
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
			scheme := runtime.NewScheme()
			if err := coordinationv1.AddToScheme(scheme); err != nil {
				t.Fatal(err)
			}
			target := &restless{generation: 1, changes: test.changes}
			api := fake.NewClientBuilder().WithScheme(scheme).Build()
			r := &Reconciler{
				Clients: machinery.Clients{Live: api}, Effects: target, Gate: target, Surroundings: target,
				Clock: clocktesting.NewFakePassiveClock(begun), Namespace: "system",
			}
			c := newScenario(t, scale("a", "x"))
			c.decide()
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
			var leases coordinationv1.LeaseList
			if err := api.List(t.Context(), &leases); err != nil || len(leases.Items) != test.wantLocks {
				t.Errorf("%d locks are left, %v", len(leases.Items), err)
			}
		})
	}
}

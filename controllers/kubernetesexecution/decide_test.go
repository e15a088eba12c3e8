package kubernetesexecution

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	kubernetesexecutionv1 "kubernaut.io/kubernaut/api/kubernetesexecution/v1"
	"kubernaut.io/kubernaut/api/shared"
	"kubernaut.io/kubernaut/controllers/kubernetesexecution/actions"
	"kubernaut.io/kubernaut/controllers/kubernetesexecution/effects"
	"kubernaut.io/kubernaut/controllers/machinery"
)

const (
	validating = kubernetesexecutionv1.PhaseValidating
	executing  = kubernetesexecutionv1.PhaseExecuting
	completed  = kubernetesexecutionv1.PhaseCompleted
	failed     = kubernetesexecutionv1.PhaseFailed
)

var (
	birth       = time.Date(2026, 11, 1, 3, 0, 0, 0, time.UTC)
	soon        = birth.Add(10 * time.Second)
	late        = birth.Add(time.Hour)
	theTarget   = &shared.Target{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "shop", Name: "cart"}
	errBusy     = apierrors.NewTooManyRequestsError("busy")
	errLost     = errors.New("connection reset by peer")
	errConflict = machinery.Typed(shared.ErrorResourceConflict, errors.New("someone else changed it"))
	errGone     = machinery.Typed(shared.ErrorResourceNotFound, errors.New("it does not exist"))
	errRefused  = apierrors.NewForbidden(schema.GroupResource{Resource: "deployments"}, "cart", errors.New("no"))
)

// situation builds a snapshot.
type situation struct{ Snapshot }

func in(phase kubernetesexecutionv1.ExecutionPhase) situation {
	execution := &kubernetesexecutionv1.KubernetesExecution{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "w-s0-a1", UID: "execution-1", Generation: 1, CreationTimestamp: metav1.NewTime(birth)},
		Spec: kubernetesexecutionv1.KubernetesExecutionSpec{
			StepName: "scale", Attempt: 1, Timeout: &metav1.Duration{Duration: time.Minute},
			Action: &shared.Action{Type: shared.ActionScaleDeployment},
		},
		Status: kubernetesexecutionv1.KubernetesExecutionStatus{Phase: phase},
	}
	if phase == executing {
		execution.Status.StartedAt = new(metav1.NewTime(birth))
		execution.Status.Inverse = &kubernetesexecutionv1.Inverse{Target: theTarget, UID: "target-1"}
	}
	return situation{Snapshot{Execution: execution}}
}

func (s situation) cancelled() situation {
	s.Execution.Spec.Cancel = new(true)
	return s
}

func (s situation) deleted() situation {
	s.Execution.DeletionTimestamp = new(metav1.NewTime(soon))
	return s
}

// undoing makes the execution one that restores what another captured.
func (s situation) undoing() situation {
	s.Execution.Spec.Action, s.Execution.Spec.RestoreFrom, s.Execution.Spec.Purpose = nil, "w-s0-a1", kubernetesexecutionv1.PurposeRollBack
	return s
}

// held makes the execution one that has waited for the end of a hold since the beginning.
func (s situation) held() situation {
	next, err := decide(s.validated(shared.VerdictHold).Snapshot, birth)
	if err != nil {
		panic(err)
	}
	s.Execution.Status, s.Validation = next.Status, nil
	return s
}

// stillHeld makes the gate judge by the policies that have held the execution.
func (s situation) stillHeld() situation {
	s.StillHeld = true
	return s
}

func (s situation) recorded() situation {
	s.Execution.Status.Changed = new(true)
	return s
}

func (s situation) validated(verdict shared.Verdict) situation {
	s.Validation = &Validation{
		Preparation: &effects.Preparation{Target: theTarget, Inverse: &kubernetesexecutionv1.Inverse{Target: theTarget, UID: "target-1"}},
		Decision:    &shared.Decision{Verdict: verdict, Rules: []shared.FiredRule{{Policy: "replica_bounds", Code: "too_many"}}},
	}
	return s
}

func (s situation) invalid(err error) situation {
	s.Validation = &Validation{Err: err}
	return s
}

func (s situation) made(err error, first bool, changed *bool) situation {
	s.Made = &Made{Err: err, First: first, Effect: effects.Effect{Changed: changed}}
	return s
}

func (s situation) absent() situation {
	s.Made = &Made{Absent: true}
	return s
}

func (s situation) seen(done bool, err error) situation {
	s.Verification = &Verification{Verification: actions.Verification{Done: done}, Err: err}
	return s
}

// outcome is what a test looks at.
type outcome struct {
	Phase     kubernetesexecutionv1.ExecutionPhase
	Then      then
	Retry     bool
	ErrorType shared.ErrorType
	// Changed is yes, no, or empty for unknown.
	Changed string
	Reason  string
}

func outcomeOf(next Next) outcome {
	o := outcome{Phase: next.Status.Phase, Then: next.Then, Retry: next.Retry != nil, ErrorType: next.Status.ErrorType}
	if next.Status.Changed != nil {
		o.Changed = map[bool]string{true: "yes", false: "no"}[*next.Status.Changed]
	}
	if ready := meta.FindStatusCondition(next.Status.Conditions, shared.ConditionReady); ready != nil {
		o.Reason = ready.Reason
	}
	return o
}

func TestDecide(t *testing.T) {
	end := func(errorType shared.ErrorType, changed, reason string) outcome {
		return outcome{Phase: failed, Then: thenRest, ErrorType: errorType, Changed: changed, Reason: reason}
	}
	tests := map[string]struct {
		s    situation
		now  time.Time
		want outcome
	}{
		"new: is validated before anything is written": {s: in(""), now: soon, want: outcome{Then: thenValidate}},
		"new, allowed: the intent is recorded, then the effect is made": {
			s: in("").validated(shared.VerdictAllow), now: soon, want: outcome{Phase: executing, Then: thenApply, Reason: ReasonExecuting},
		},
		"new, cannot be validated now: waits in validating": {
			s: in("").invalid(errBusy), now: soon, want: outcome{Phase: validating, Then: thenRest, Retry: true, Reason: ReasonRetrying},
		},
		"new, cancelled":     {s: in("").cancelled(), now: soon, want: end(shared.ErrorCancelled, "no", "Cancelled")},
		"new, being deleted": {s: in("").deleted(), now: soon, want: end(shared.ErrorCancelled, "no", "Cancelled")},
		"new, made long ago by the API server's clock": {s: in(""), now: late, want: outcome{Then: thenValidate}},
		"new, target gone":               {s: in("").invalid(errGone), now: soon, want: end(shared.ErrorResourceNotFound, "no", "ResourceNotFound")},
		"validating: is validated again": {s: in(validating), now: soon, want: outcome{Phase: validating, Then: thenValidate}},
		"validating, allowed": {
			s: in(validating).validated(shared.VerdictAllow), now: soon, want: outcome{Phase: executing, Then: thenApply, Reason: ReasonExecuting},
		},
		"validating, allowed but cancelled meanwhile": {
			s: in(validating).validated(shared.VerdictAllow).cancelled(), now: soon, want: end(shared.ErrorCancelled, "no", "Cancelled"),
		},
		"validating, allowed too late": {
			s: in(validating).validated(shared.VerdictAllow), now: late, want: end(shared.ErrorTimeout, "no", "Timeout"),
		},
		"validating, denied": {s: in(validating).validated(shared.VerdictDeny), now: soon, want: end(shared.ErrorPolicyDenied, "no", ReasonPolicyDenied)},
		"validating, held: waits, and nothing else": {
			s: in(validating).validated(shared.VerdictHold), now: soon, want: outcome{Phase: validating, Then: thenRest, Reason: ReasonPolicyHold},
		},
		"new, held": {s: in("").validated(shared.VerdictHold), now: soon, want: outcome{Phase: validating, Then: thenRest, Reason: ReasonPolicyHold}},
		"held: the gate is asked again, however long it took": {s: in(validating).held(), now: late, want: outcome{Phase: validating, Then: thenValidate, Reason: ReasonPolicyHold}},
		"held, by the same policies as then":                  {s: in(validating).held().stillHeld(), now: late, want: outcome{Phase: validating, Then: thenRest, Reason: ReasonPolicyHold}},
		"held by the same policies, cancelled":                {s: in(validating).held().stillHeld().cancelled(), now: late, want: end(shared.ErrorCancelled, "no", "Cancelled")},
		"held, and still held":                                {s: in(validating).held().validated(shared.VerdictHold), now: late, want: outcome{Phase: validating, Then: thenRest, Reason: ReasonPolicyHold}},
		"held, then allowed":                                  {s: in(validating).held().validated(shared.VerdictAllow), now: late, want: outcome{Phase: executing, Then: thenApply, Reason: ReasonExecuting}},
		"held, then denied":                                   {s: in(validating).held().validated(shared.VerdictDeny), now: late, want: end(shared.ErrorPolicyDenied, "no", ReasonPolicyDenied)},
		"held, cancelled":                                     {s: in(validating).held().cancelled(), now: late, want: end(shared.ErrorCancelled, "no", "Cancelled")},
		"held, then not to be told for now": {
			s: in(validating).held().invalid(errBusy), now: late, want: outcome{Phase: validating, Then: thenRest, Retry: true, Reason: ReasonRetrying},
		},
		"validating, approval required": {
			s: in(validating).validated(shared.VerdictRequireApproval), now: soon, want: end(shared.ErrorPolicyDenied, "no", ReasonApprovalNotCovered),
		},
		"validating, no verdict at all": {s: in(validating).validated(""), now: soon, want: end(shared.ErrorPolicyDenied, "no", ReasonPolicyDenied)},
		"validating, no decision": {
			s: situation{Snapshot{Execution: in(validating).Execution, Validation: &Validation{}}}, now: soon,
			want: end(shared.ErrorPolicyDenied, "no", ReasonPolicyDenied),
		},
		"validating, target moved":    {s: in(validating).invalid(errConflict), now: soon, want: end(shared.ErrorResourceConflict, "no", "ResourceConflict")},
		"validating, not permitted":   {s: in(validating).invalid(errRefused), now: soon, want: end(shared.ErrorPermissionDenied, "no", "PermissionDenied")},
		"validating, transient":       {s: in(validating).invalid(errLost), now: soon, want: outcome{Phase: validating, Then: thenRest, Retry: true, Reason: ReasonRetrying}},
		"validating, transient, late": {s: in(validating).invalid(errLost), now: late, want: end(shared.ErrorTimeout, "no", "Timeout")},

		"executing: makes the effect, also after a crash": {s: in(executing), now: soon, want: outcome{Phase: executing, Then: thenApply}},
		"executing, cancelled: looks whether the effect is there": {
			s: in(executing).cancelled(), now: soon, want: outcome{Phase: executing, Then: thenLook},
		},
		"executing, late: looks whether the effect is there": {s: in(executing), now: late, want: outcome{Phase: executing, Then: thenLook}},
		"executing, cancelled, nothing there: may still arrive": {
			s: in(executing).cancelled().absent(), now: soon, want: end(shared.ErrorCancelled, "", "Cancelled"),
		},
		"executing, late, nothing there": {s: in(executing).absent(), now: late, want: end(shared.ErrorTimeout, "", "Timeout")},
		"executing, made and observed: one write ends it": {
			s: in(executing).made(nil, true, new(true)).seen(true, nil), now: soon,
			want: outcome{Phase: completed, Then: thenRest, Changed: "yes", Reason: ReasonCompleted},
		},
		"executing, was already as wanted": {
			s: in(executing).made(nil, true, new(false)).seen(true, nil), now: soon,
			want: outcome{Phase: completed, Then: thenRest, Changed: "no", Reason: ReasonCompleted},
		},
		"executing, made, not observed yet: waits": {
			s: in(executing).made(nil, true, new(true)).seen(false, nil), now: soon,
			want: outcome{Phase: executing, Then: thenRest, Changed: "yes", Reason: ReasonExecuting},
		},
		"executing, made, not looked at yet": {
			s: in(executing).made(nil, true, new(true)), now: soon, want: outcome{Phase: executing, Then: thenVerify, Changed: "yes"},
		},
		"executing, cancelled, but the effect is there: goes on": {
			s: in(executing).cancelled().made(nil, false, new(true)).seen(false, nil), now: soon,
			want: outcome{Phase: executing, Then: thenRest, Changed: "yes", Reason: ReasonExecuting},
		},
		"executing, late, but the effect is there and observed": {
			s: in(executing).made(nil, false, new(true)).seen(true, nil), now: late,
			want: outcome{Phase: completed, Then: thenRest, Changed: "yes", Reason: ReasonCompleted},
		},
		"executing, refused at the first try: nothing was written": {
			s: in(executing).made(errConflict, true, new(false)), now: soon, want: end(shared.ErrorResourceConflict, "no", "ResourceConflict"),
		},
		"executing, refused after a crash: unknown": {
			s: in(executing).made(errConflict, false, new(false)), now: soon, want: end(shared.ErrorResourceConflict, "", "ResourceConflict"),
		},
		"executing, response lost: tries again": {
			s: in(executing).made(errLost, true, nil), now: soon, want: outcome{Phase: executing, Then: thenRest, Retry: true, Reason: ReasonRetrying},
		},
		"executing, response lost, late": {s: in(executing).made(errLost, true, nil), now: late, want: end(shared.ErrorTimeout, "", "Timeout")},
		"executing, others kept writing until the end": {
			s: in(executing).made(context.DeadlineExceeded, true, new(false)), now: late, want: end(shared.ErrorTimeout, "no", "Timeout"),
		},

		"executing, recorded: looks at the target": {s: in(executing).recorded(), now: soon, want: outcome{Phase: executing, Then: thenVerify, Changed: "yes"}},
		"executing, recorded, observed": {
			s: in(executing).recorded().seen(true, nil), now: soon, want: outcome{Phase: completed, Then: thenRest, Changed: "yes", Reason: ReasonCompleted},
		},
		"executing, recorded, not observed": {
			s: in(executing).recorded().seen(false, nil), now: soon, want: outcome{Phase: executing, Then: thenRest, Changed: "yes", Reason: ReasonExecuting},
		},
		"executing, recorded, not observed, late": {s: in(executing).recorded().seen(false, nil), now: late, want: end(shared.ErrorTimeout, "yes", "Timeout")},
		"executing, recorded, target gone":        {s: in(executing).recorded().seen(false, errGone), now: soon, want: end(shared.ErrorResourceNotFound, "yes", "ResourceNotFound")},
		"executing, recorded, cannot look now": {
			s: in(executing).recorded().seen(false, errBusy), now: soon, want: outcome{Phase: executing, Then: thenRest, Retry: true, Changed: "yes", Reason: ReasonRetrying},
		},
		"executing, recorded, cannot look, late": {s: in(executing).recorded().seen(false, errBusy), now: late, want: end(shared.ErrorTimeout, "yes", "Timeout")},
		"executing, recorded, cancelled: comes too late": {
			s: in(executing).recorded().cancelled().seen(false, nil), now: soon,
			want: outcome{Phase: executing, Then: thenRest, Changed: "yes", Reason: ReasonExecuting},
		},

		"undoing, allowed": {
			s: in("").undoing().validated(shared.VerdictAllow), now: soon, want: outcome{Phase: executing, Then: thenApply, Reason: ReasonExecuting},
		},
		"undoing is not held": {
			s: in("").undoing().validated(shared.VerdictHold), now: soon, want: outcome{Phase: executing, Then: thenApply, Reason: ReasonExecuting},
		},
		"undoing needs no approval": {
			s: in("").undoing().validated(shared.VerdictRequireApproval), now: soon, want: outcome{Phase: executing, Then: thenApply, Reason: ReasonExecuting},
		},
		"undoing, denied":     {s: in("").undoing().validated(shared.VerdictDeny), now: soon, want: end(shared.ErrorPolicyDenied, "no", ReasonPolicyDenied)},
		"undoing, no verdict": {s: in("").undoing().validated(""), now: soon, want: end(shared.ErrorPolicyDenied, "no", ReasonPolicyDenied)},
		"undoing, made and compared with what was captured": {
			s: in(executing).undoing().made(nil, true, new(true)).seen(true, nil), now: soon,
			want: outcome{Phase: completed, Then: thenRest, Changed: "yes", Reason: ReasonCompleted},
		},
		"undoing, changed again by someone else": {
			s: in(executing).undoing().made(nil, true, new(true)).seen(false, errConflict), now: soon, want: end(shared.ErrorResourceConflict, "yes", "ResourceConflict"),
		},

		"completed stays":                 {s: in(completed), now: late, want: outcome{Phase: completed, Then: thenRest}},
		"completed stays when cancelled":  {s: in(completed).cancelled(), now: late, want: outcome{Phase: completed, Then: thenRest}},
		"failed stays":                    {s: in(failed), now: late, want: outcome{Phase: failed, Then: thenRest}},
		"failed stays, whatever is found": {s: in(failed).validated(shared.VerdictAllow), now: soon, want: outcome{Phase: failed, Then: thenRest}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			before := test.s.Execution.DeepCopy()
			next, err := decide(test.s.Snapshot, test.now)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, outcomeOf(next)); diff != "" {
				t.Errorf("outcome (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(before, test.s.Execution); diff != "" {
				t.Errorf("decide changed its input:\n%s", diff)
			}
			checkEnd(t, next)
			checkRest(t, next)
		})
	}
}

// checkEnd shows that a terminal phase says all that it must.
func checkEnd(t *testing.T, next Next) {
	t.Helper()
	status := next.Status
	if !status.Phase.Terminal() || status.CompletedAt == nil {
		return
	}
	for _, condition := range []string{shared.ConditionReady, shared.ConditionStalled} {
		if meta.FindStatusCondition(status.Conditions, condition) == nil {
			t.Errorf("condition %s is missing", condition)
		}
	}
	if status.Phase == failed && (status.ErrorType == "" || status.ErrorMessage == "" || !meta.IsStatusConditionTrue(status.Conditions, shared.ConditionStalled)) {
		t.Errorf("a failure without class, message or Stalled: %+v", status)
	}
	if status.Phase == completed && !meta.IsStatusConditionTrue(status.Conditions, shared.ConditionReady) {
		t.Error("completed and not Ready")
	}
}

// checkRest shows that nothing rests without something that wakes it.
func checkRest(t *testing.T, next Next) {
	t.Helper()
	if next.Then == thenRest && !next.Status.Phase.Terminal() && next.Retry == nil && next.WakeAt.IsZero() &&
		!Held(&kubernetesexecutionv1.KubernetesExecution{Status: next.Status}) {
		t.Error("it rests for ever")
	}
}

func TestIntentHoldsAllThatUndoingNeeds(t *testing.T) {
	next, err := decide(in("").validated(shared.VerdictAllow).Snapshot, soon)
	if err != nil {
		t.Fatal(err)
	}
	status := next.Status
	if status.StartedAt == nil || status.Inverse == nil || status.Inverse.UID != "target-1" || status.Decision == nil || status.Changed != nil {
		t.Errorf("the intent is incomplete: %+v", status)
	}
}

func TestDenialNamesThePolicy(t *testing.T) {
	next, err := decide(in("").validated(shared.VerdictDeny).Snapshot, soon)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(next.Status.ErrorMessage, "replica_bounds/too_many") || next.Status.Decision == nil {
		t.Errorf("the policy is not named: %q", next.Status.ErrorMessage)
	}
}

func TestRetriesDoNotWriteAgain(t *testing.T) {
	s := in("").invalid(errors.New("read tcp 127.0.0.1:40001: reset"))
	first, err := decide(s.Snapshot, soon)
	if err != nil {
		t.Fatal(err)
	}
	s.Execution.Status = first.Status
	second, err := decide(s.invalid(errors.New("read tcp 127.0.0.1:40002: reset")).Snapshot, soon.Add(time.Second))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(first.Status, second.Status); diff != "" {
		t.Errorf("another port is another status:\n%s", diff)
	}
}

func TestHoldIsRecordedOnceForEachSetOfPolicies(t *testing.T) {
	s := in(validating).held()
	s = s.validated(shared.VerdictHold)
	s.Validation.Decision.ID = "another"
	same, err := decide(s.Snapshot, soon)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(s.Execution.Status, same.Status); diff != "" {
		t.Errorf("the same hold is another status:\n%s", diff)
	}
	s.Validation.Decision.PolicySetRevision = "r2"
	other, err := decide(s.Snapshot, soon)
	if err != nil {
		t.Fatal(err)
	}
	if other.Status.Decision.PolicySetRevision != "r2" {
		t.Error("the decision of the new set is not recorded")
	}
}

// policySet is a set of policies by its revision.
type policySet string

func (policySet) Changed() <-chan struct{} { return nil }
func (p policySet) Revision() string       { return string(p) }
func (policySet) Has(string) bool          { return false }

func TestWhatBecomesOfAHold(t *testing.T) {
	held := in(validating).held().Execution
	held.Status.Decision.PolicySetRevision = "r1"
	held.Status.Decision.Rules = []shared.FiredRule{{Policy: "stop", Effect: shared.EffectHold}}
	for revision, want := range map[policySet]machinery.Hold{"r1": machinery.HoldStands, "r2": machinery.HoldLifted, "": machinery.HoldUnknown} {
		if got := HoldOf(held, revision); got != want {
			t.Errorf("under %q it is %d, want %d", revision, got, want)
		}
	}
	if got := HoldOf(in(executing).Execution, policySet("r1")); got != machinery.HoldUnknown {
		t.Errorf("what is not held is %d", got)
	}
}

func TestTimeHeldDoesNotCount(t *testing.T) {
	s := in(validating).held().invalid(errBusy)
	next, err := decide(s.Snapshot, late)
	if err != nil {
		t.Fatal(err)
	}
	s.Execution.Status = next.Status
	if want := late.Add(time.Minute + timeResolution); !Deadline(s.Execution).Equal(want) {
		t.Errorf("the deadline is %s, want %s", Deadline(s.Execution), want)
	}
}

func TestValidatingIsCountedByTheClockOfTheManager(t *testing.T) {
	s := in("").invalid(errBusy)
	next, err := decide(s.Snapshot, late)
	if err != nil {
		t.Fatal(err)
	}
	s.Execution.Status = next.Status
	if want := late.Add(time.Minute + timeResolution); !Deadline(s.Execution).Equal(want) {
		t.Errorf("the deadline is %s, want %s", Deadline(s.Execution), want)
	}
	again, err := decide(s.Snapshot, late.Add(time.Second))
	if err != nil {
		t.Fatal(err)
	}
	if !again.Status.Conditions[0].LastTransitionTime.Equal(&next.Status.Conditions[0].LastTransitionTime) {
		t.Error("trying again moves the deadline")
	}
}

func TestUnknownPhaseIsAnError(t *testing.T) {
	if _, err := decide(in("paused").Snapshot, soon); err == nil {
		t.Error("want an error")
	}
}

func TestTransitionsKnowEveryPhase(t *testing.T) {
	table := transitions()
	for _, phase := range []kubernetesexecutionv1.ExecutionPhase{"", validating, executing, completed, failed} {
		followers, known := table[phase]
		if !known {
			t.Errorf("phase %q is missing", phase)
		}
		if phase.Terminal() && len(followers) > 0 {
			t.Errorf("terminal phase %q is followed by %v", phase, followers)
		}
	}
}

// An effect whose marker is on the target is recorded together with its being taken up, if that comes soon.
func TestEffectWithMarkerWaitsForItsRecord(t *testing.T) {
	marked := func(uid string) situation {
		s := in(executing).made(nil, true, new(true)).seen(false, nil)
		s.Made.Effect.Object = &unstructured.Unstructured{}
		s.Made.Effect.Object.SetAnnotations(map[string]string{shared.AnnotationLastExecution: uid})
		return s
	}
	done := marked("execution-1")
	done.Verification.Done = true
	tests := map[string]struct {
		s         situation
		at        time.Time
		wantPhase kubernetesexecutionv1.ExecutionPhase
		recorded  bool
		wantWake  time.Time
	}{
		"soon":                         {s: marked("execution-1"), at: birth.Add(time.Second), wantPhase: executing, wantWake: birth.Add(takenUpWithin)},
		"not any more":                 {s: marked("execution-1"), at: birth.Add(takenUpWithin), wantPhase: executing, recorded: true, wantWake: birth.Add(time.Minute + timeResolution)},
		"the clock was set back":       {s: marked("execution-1"), at: birth.Add(-10 * time.Second), wantPhase: executing, recorded: true, wantWake: birth.Add(time.Minute + timeResolution)},
		"taken up at once":             {s: done, at: birth, wantPhase: completed, recorded: true},
		"the marker of another":        {s: marked("execution-0"), at: birth, wantPhase: executing, recorded: true, wantWake: birth.Add(time.Minute + timeResolution)},
		"an effect that is cancelled":  {s: marked("execution-1").cancelled(), at: birth, wantPhase: executing, recorded: true, wantWake: birth.Add(time.Minute + timeResolution)},
		"no object that has a marker":  {s: in(executing).made(nil, true, new(true)).seen(false, nil), at: birth, wantPhase: executing, recorded: true, wantWake: birth.Add(time.Minute + timeResolution)},
		"verifying it is not possible": {s: marked("execution-1").seen(false, errBusy), at: birth, wantPhase: executing, recorded: true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			next, err := decide(test.s.Snapshot, test.at)
			if err != nil {
				t.Fatal(err)
			}
			if next.Status.Phase != test.wantPhase || (next.Status.Changed != nil) != test.recorded || !next.WakeAt.Equal(test.wantWake) {
				t.Errorf("phase %s, changed %v, wake at %s", next.Status.Phase, next.Status.Changed, next.WakeAt)
			}
		})
	}
}

package kubernetesexecution

import (
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	safetyv1alpha1 "kubernaut.io/kubernaut/api/safety/v1alpha1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/controllers/approvalrequest"
)

func scaled(before, after string) shared.FieldChange {
	return shared.FieldChange{Path: "/spec/replicas", Before: &apiextensionsv1.JSON{Raw: []byte(before)}, After: &apiextensionsv1.JSON{Raw: []byte(after)}}
}

// covered is a step that people have approved, with another before it.
func covered(t *testing.T, verdict shared.Verdict) situation {
	t.Helper()
	s := in(validating).validated(verdict)
	s.Execution.Spec.StepIndex, s.Execution.Spec.PlanDigest = 1, "plan"
	s.Validation.Preparation.DryRun = []shared.FieldChange{scaled("1", "3")}
	s.Validation.Decision.Rules = []shared.FiredRule{{Policy: "irreversible", Code: "no_way_back", Effect: shared.EffectRequireApproval, Approvers: 2, Message: "just so"}}
	changes := []workflowexecutionv1.StepChange{{Index: 0, FieldChange: scaled("7", "8")}, {Index: 1, FieldChange: scaled("1", "3")}}
	digest, err := approvalrequest.Digest(changes)
	if err != nil {
		t.Fatal(err)
	}
	s.Validation.Approval = &Approval{Changes: changes, Request: &safetyv1alpha1.ApprovalRequest{
		ObjectMeta: metav1.ObjectMeta{Name: "w-approval-1"},
		Spec: safetyv1alpha1.ApprovalRequestSpec{
			PlanDigest: "plan", SummaryDigest: digest, RequiredApprovals: 2,
			Reasons: []safetyv1alpha1.ApprovalReason{{Policy: "irreversible", Code: "no_way_back", Message: "as it was"}},
		},
		Status: safetyv1alpha1.ApprovalRequestStatus{Phase: safetyv1alpha1.PhaseApproved},
	}}
	return s
}

func TestAStepRunsOnlyAsItWasApproved(t *testing.T) {
	for sentence, test := range map[string]struct {
		verdict shared.Verdict
		change  func(situation)
		// want is part of why it does not run; empty if it runs.
		want string
	}{
		"exactly what was approved":                       {},
		"the strategy asked, and the gate allows it":      {verdict: shared.VerdictAllow},
		"the same value, written otherwise":               {change: func(s situation) { s.Validation.Preparation.DryRun = []shared.FieldChange{scaled(" 1", "3")} }},
		"its effect is there already: nothing is changed": {change: func(s situation) { s.Validation.Preparation.DryRun = nil }},
		"a webhook supports no dry run, and it is as planned": {change: func(s situation) {
			p := s.Validation.Preparation
			p.DryRun, p.Changes, p.DryRunUnsupported = nil, p.DryRun, "a webhook"
		}},
		"a rollbackAction, whatever it finds to change": {change: func(s situation) {
			s.Validation.Approval.OfRollbackAction, s.Validation.Preparation.DryRun = true, []shared.FieldChange{scaled("8", "1")}
		}},
		"a rollbackAction for another reason": {change: func(s situation) {
			s.Validation.Approval.OfRollbackAction, s.Validation.Decision.Rules[0].Code = true, "worse"
		}, want: "it does not name the reason irreversible/worse"},
		"no request": {change: func(s situation) { s.Validation.Approval.Request = nil }, want: "its workflow has no ApprovalRequest"},
		"nobody looked for an approval": {
			change: func(s situation) { s.Validation.Approval = nil }, want: "requires an approval that it does not have",
		},
		"a pending request": {
			change: func(s situation) { s.Validation.Approval.Request.Status.Phase = safetyv1alpha1.PhasePending }, want: `ApprovalRequest w-approval-1 is "pending"`,
		},
		"a void request": {
			change: func(s situation) { s.Validation.Approval.Request.Status.Phase = safetyv1alpha1.PhaseVoid }, want: `is "void"`,
		},
		"a void request, by strategy": {
			verdict: shared.VerdictAllow, change: func(s situation) { s.Validation.Approval.Request.Status.Phase = safetyv1alpha1.PhaseVoid },
			want: "its strategy requires an approval",
		},
		"the request of another plan": {
			change: func(s situation) { s.Validation.Approval.Request.Spec.PlanDigest = "other" }, want: "approves another plan",
		},
		"another policy asks too": {
			change: func(s situation) {
				s.Validation.Decision.Rules = append(s.Validation.Decision.Rules, shared.FiredRule{Policy: "gitops", Code: "managed", Effect: shared.EffectRequireApproval})
			}, want: "it does not name the reason gitops/managed",
		},
		"the policy asks for another reason": {
			change: func(s situation) { s.Validation.Decision.Rules[0].Code = "worse" }, want: "it does not name the reason irreversible/worse",
		},
		"the policy asks for more people": {
			change: func(s situation) { s.Validation.Decision.Rules[0].Approvers = 3 }, want: "3 are asked for now",
		},
		"it would change more": {
			change: func(s situation) {
				s.Validation.Preparation.DryRun = append(s.Validation.Preparation.DryRun, shared.FieldChange{Path: "/spec/paused", After: &apiextensionsv1.JSON{Raw: []byte("true")}})
			}, want: "it would change something else than ApprovalRequest w-approval-1 shows",
		},
		"it would change something to another value": {
			change: func(s situation) { s.Validation.Preparation.DryRun = []shared.FieldChange{scaled("1", "30")} }, want: "something else",
		},
		"it would change another state": {
			change: func(s situation) { s.Validation.Preparation.DryRun = []shared.FieldChange{scaled("2", "3")} }, want: "something else",
		},
		"it would change what another step was approved to": {
			change: func(s situation) { s.Validation.Preparation.DryRun = []shared.FieldChange{scaled("7", "8")} }, want: "something else",
		},
		"the workflow records something else than was shown": {
			change: func(s situation) { s.Validation.Approval.Changes[1].FieldChange = scaled("1", "30") }, want: "is not what its workflow records",
		},
		"the gate denies it": {verdict: shared.VerdictDeny, want: "denied it"},
	} {
		t.Run(sentence, func(t *testing.T) {
			verdict := test.verdict
			if verdict == "" {
				verdict = shared.VerdictRequireApproval
			}
			s := covered(t, verdict)
			if test.change != nil {
				test.change(s)
			}
			next, err := decide(s.Snapshot, soon)
			if err != nil {
				t.Fatal(err)
			}
			if test.want == "" {
				if next.Then != thenApply {
					t.Fatalf("it does not run: %s", next.Status.ErrorMessage)
				}
				return
			}
			reason := ReasonApprovalNotCovered
			if verdict == shared.VerdictDeny {
				reason = ReasonPolicyDenied
			}
			if got := outcomeOf(next); got.Phase != failed || got.ErrorType != shared.ErrorPolicyDenied || got.Reason != reason || got.Changed != "no" {
				t.Errorf("got %+v", got)
			}
			if !strings.Contains(next.Status.ErrorMessage, test.want) {
				t.Errorf("message is %q, want %q", next.Status.ErrorMessage, test.want)
			}
		})
	}
}

func TestWhichStepsNeedAnApproval(t *testing.T) {
	strategy := func(required bool) *workflowexecutionv1.WorkflowExecution {
		return &workflowexecutionv1.WorkflowExecution{Spec: workflowexecutionv1.WorkflowExecutionSpec{ExecutionStrategy: &shared.ExecutionStrategy{ApprovalRequired: &required}}}
	}
	for sentence, test := range map[string]struct {
		workflow *workflowexecutionv1.WorkflowExecution
		verdict  shared.Verdict
		want     bool
	}{
		"allowed":                       {&workflowexecutionv1.WorkflowExecution{}, shared.VerdictAllow, false},
		"allowed, by a strategy":        {strategy(true), shared.VerdictAllow, true},
		"allowed, by a strategy not":    {strategy(false), shared.VerdictAllow, false},
		"the gate asks":                 {strategy(false), shared.VerdictRequireApproval, true},
		"held: the approval is not yet": {strategy(true), shared.VerdictHold, false},
		"denied anyway":                 {strategy(true), shared.VerdictDeny, false},
	} {
		t.Run(sentence, func(t *testing.T) {
			if got := needsApproval(test.workflow, test.verdict); got != test.want {
				t.Errorf("got %t", got)
			}
		})
	}
}

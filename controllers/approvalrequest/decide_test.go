package approvalrequest

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	safetyv1alpha1 "kubernaut.io/kubernaut/api/safety/v1alpha1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
)

var (
	asked   = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	expires = asked.Add(time.Hour)
)

func by(who string, kind safetyv1alpha1.DecisionKind, at time.Time) safetyv1alpha1.ApprovalDecision {
	return safetyv1alpha1.ApprovalDecision{Decision: kind, Reason: "because", By: who, At: &metav1.Time{Time: at}}
}

func approve(who string) safetyv1alpha1.ApprovalDecision {
	return by(who, safetyv1alpha1.DecisionApproved, asked.Add(time.Minute))
}

func TestPhaseFollowsFromDecisions(t *testing.T) {
	running := func(ref string) *workflowexecutionv1.WorkflowExecution {
		return &workflowexecutionv1.WorkflowExecution{Status: workflowexecutionv1.WorkflowExecutionStatus{Phase: workflowexecutionv1.PhaseValidating, ApprovalRequestRef: ref}}
	}
	over := running("w-approval-1")
	over.Status.Phase = workflowexecutionv1.PhaseFailed
	type phase = safetyv1alpha1.ApprovalPhase
	for sentence, test := range map[string]struct {
		phase       phase
		decisions   []safetyv1alpha1.ApprovalDecision
		required    int32
		workflow    *workflowexecutionv1.WorkflowExecution
		late        bool
		want        phase
		wantCount   int32
		wantMessage string
		wantWake    bool
	}{
		"nobody has decided":                   {want: safetyv1alpha1.PhasePending, wantMessage: "0 of 1 approvals", wantWake: true},
		"one of two":                           {decisions: []safetyv1alpha1.ApprovalDecision{approve("bob")}, required: 2, want: safetyv1alpha1.PhasePending, wantCount: 1, wantMessage: "1 of 2 approvals, by bob", wantWake: true},
		"enough":                               {decisions: []safetyv1alpha1.ApprovalDecision{approve("bob"), approve("carol")}, required: 2, want: safetyv1alpha1.PhaseApproved, wantCount: 2, wantMessage: "approved by bob, carol"},
		"the same person twice counts once":    {decisions: []safetyv1alpha1.ApprovalDecision{approve("bob"), approve("bob")}, required: 2, want: safetyv1alpha1.PhasePending, wantCount: 1, wantWake: true},
		"who asked does not count":             {decisions: []safetyv1alpha1.ApprovalDecision{approve("alice")}, want: safetyv1alpha1.PhasePending, wantWake: true},
		"a decision that nobody stamped":       {decisions: []safetyv1alpha1.ApprovalDecision{{Decision: safetyv1alpha1.DecisionApproved, Reason: "x"}}, want: safetyv1alpha1.PhasePending, wantWake: true},
		"one rejection is enough":              {decisions: []safetyv1alpha1.ApprovalDecision{approve("bob"), by("carol", safetyv1alpha1.DecisionRejected, asked)}, required: 2, want: safetyv1alpha1.PhaseRejected, wantCount: 1, wantMessage: "carol rejected it: because"},
		"a rejection outweighs any approval":   {decisions: []safetyv1alpha1.ApprovalDecision{by("carol", safetyv1alpha1.DecisionRejected, asked), approve("bob")}, want: safetyv1alpha1.PhaseRejected},
		"time is over":                         {late: true, want: safetyv1alpha1.PhaseExpired, wantMessage: "it expired with 0 of 1 approvals"},
		"approved in time, seen late":          {decisions: []safetyv1alpha1.ApprovalDecision{approve("bob")}, late: true, want: safetyv1alpha1.PhaseApproved, wantCount: 1},
		"approved too late":                    {decisions: []safetyv1alpha1.ApprovalDecision{by("bob", safetyv1alpha1.DecisionApproved, expires.Add(time.Second))}, late: true, want: safetyv1alpha1.PhaseExpired},
		"another request has taken its place":  {workflow: running("w-approval-2"), decisions: []safetyv1alpha1.ApprovalDecision{approve("bob")}, want: safetyv1alpha1.PhaseVoid, wantCount: 1, wantMessage: "see ApprovalRequest w-approval-2"},
		"no approval is needed any more":       {workflow: running(""), want: safetyv1alpha1.PhaseVoid, wantMessage: "needs no approval any more"},
		"the workflow was cancelled":           {workflow: over, want: safetyv1alpha1.PhaseVoid, wantMessage: "the workflow is failed"},
		"rejected, which failed the workflow":  {workflow: over, decisions: []safetyv1alpha1.ApprovalDecision{by("bob", safetyv1alpha1.DecisionRejected, asked)}, want: safetyv1alpha1.PhaseRejected},
		"approved, and the workflow went on":   {phase: safetyv1alpha1.PhaseApproved, workflow: over, decisions: []safetyv1alpha1.ApprovalDecision{approve("bob")}, want: safetyv1alpha1.PhaseApproved, wantCount: 1},
		"approved, and something else changes": {phase: safetyv1alpha1.PhaseApproved, workflow: running("w-approval-2"), decisions: []safetyv1alpha1.ApprovalDecision{approve("bob")}, want: safetyv1alpha1.PhaseVoid, wantCount: 1},
		"approved does not expire":             {phase: safetyv1alpha1.PhaseApproved, decisions: []safetyv1alpha1.ApprovalDecision{approve("bob")}, late: true, want: safetyv1alpha1.PhaseApproved, wantCount: 1},
		"void stays void":                      {phase: safetyv1alpha1.PhaseVoid, decisions: []safetyv1alpha1.ApprovalDecision{approve("bob")}, want: safetyv1alpha1.PhaseVoid},
		"expired stays expired":                {phase: safetyv1alpha1.PhaseExpired, decisions: []safetyv1alpha1.ApprovalDecision{approve("bob")}, want: safetyv1alpha1.PhaseExpired},
	} {
		t.Run(sentence, func(t *testing.T) {
			request := &safetyv1alpha1.ApprovalRequest{ObjectMeta: metav1.ObjectMeta{Name: "w-approval-1", Generation: 2}}
			request.Spec.RequestedBy.Username, request.Spec.ExpiresAt = "alice", metav1.NewTime(expires)
			request.Spec.RequiredApprovals, request.Spec.Decisions = max(test.required, 1), test.decisions
			request.Status.Phase = test.phase
			s := snapshot{request: request, workflow: test.workflow}
			if s.workflow == nil {
				s.workflow = running("w-approval-1")
			}
			now := asked.Add(2 * time.Minute)
			if test.late {
				now = expires.Add(2 * time.Second)
			}
			status, wakeAt := decide(s, now)
			if err := transitions().Check(test.phase, status.Phase); err != nil {
				t.Fatal(err)
			}
			if status.Phase != test.want || status.Approvals != test.wantCount || wakeAt.IsZero() == test.wantWake {
				t.Fatalf("got %s, %d approvals, wakes at %s; want %s, %d, %t", status.Phase, status.Approvals, wakeAt, test.want, test.wantCount, test.wantWake)
			}
			if test.phase == test.want {
				return
			}
			ready := meta.FindStatusCondition(status.Conditions, shared.ConditionReady)
			if ready == nil || !strings.Contains(ready.Message, test.wantMessage) {
				t.Errorf("Ready is %v, want %q", ready, test.wantMessage)
			}
			if is := ready.Status == metav1.ConditionTrue; is != (test.want == safetyv1alpha1.PhaseApproved) {
				t.Errorf("Ready is %s", ready.Status)
			}
			if meta.IsStatusConditionTrue(status.Conditions, shared.ConditionStalled) != status.Phase.Terminal() {
				t.Error("Stalled is for what has ended without an approval")
			}
		})
	}
	t.Run("the workflow is gone", func(t *testing.T) {
		request := &safetyv1alpha1.ApprovalRequest{Spec: safetyv1alpha1.ApprovalRequestSpec{ExpiresAt: metav1.NewTime(expires), RequiredApprovals: 1}}
		if status, _ := decide(snapshot{request: request}, asked); status.Phase != safetyv1alpha1.PhaseVoid {
			t.Errorf("got %s", status.Phase)
		}
	})
}

func TestCover(t *testing.T) {
	rule := func(policy, code string, approvers int32) shared.FiredRule {
		return shared.FiredRule{Policy: policy, Code: code, Effect: shared.EffectRequireApproval, Approvers: approvers}
	}
	request := &safetyv1alpha1.ApprovalRequest{Spec: safetyv1alpha1.ApprovalRequestSpec{
		RequiredApprovals: 2, Reasons: []safetyv1alpha1.ApprovalReason{{Policy: "p", Code: "a"}, {Policy: "p"}, {Policy: "q", Code: "b", Message: "1 pod"}},
	}}
	for sentence, test := range map[string]struct {
		rules []shared.FiredRule
		want  string
	}{
		"a reason that it names":          {rules: []shared.FiredRule{rule("q", "b", 1)}},
		"all of them":                     {rules: []shared.FiredRule{rule("q", "b", 1), rule("p", "a", 2), rule("p", "", 1)}},
		"another code of the policy":      {rules: []shared.FiredRule{rule("p", "b", 1)}, want: "it does not name the reason p/b"},
		"the code of another policy":      {rules: []shared.FiredRule{rule("q", "a", 1), rule("p", "a", 1)}, want: "it does not name the reason q/a"},
		"more people than it asks for":    {rules: []shared.FiredRule{rule("p", "a", 3)}, want: "it takes the approval of 2, and 3 are asked for now"},
		"a warning asks for nothing":      {rules: []shared.FiredRule{rule("p", "a", 1), {Policy: "z", Effect: shared.EffectWarn}}},
		"no rule at all, by a verdict":    {},
		"a rule that says no number":      {rules: []shared.FiredRule{rule("p", "a", 0)}},
		"the same reason more than once":  {rules: []shared.FiredRule{rule("p", "a", 1), rule("p", "a", 2)}},
		"several reasons, named in order": {rules: []shared.FiredRule{rule("z", "", 1), rule("y", "c", 1)}, want: "it does not name the reason y/c, z"},
	} {
		t.Run(sentence, func(t *testing.T) {
			reasons, approvers := Asked(shared.Decision{Verdict: shared.VerdictRequireApproval, Rules: test.rules}, shared.Decision{Verdict: shared.VerdictAllow, Rules: []shared.FiredRule{rule("x", "x", 5)}})
			if approvers == 0 {
				t.Error("nobody is asked")
			}
			if diff := cmp.Diff(test.want, Lacks(request, reasons, approvers)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestDigest(t *testing.T) {
	change := func(index int32, path, before, after string) workflowexecutionv1.StepChange {
		value := func(text string) *apiextensionsv1.JSON {
			if text == "" {
				return nil
			}
			return &apiextensionsv1.JSON{Raw: []byte(text)}
		}
		return workflowexecutionv1.StepChange{Index: index, FieldChange: shared.FieldChange{Path: path, Before: value(before), After: value(after)}}
	}
	base := change(0, "/a", `{"x":1,"y":"<b>"}`, "2")
	want, err := Digest([]workflowexecutionv1.StepChange{base})
	if err != nil {
		t.Fatal(err)
	}
	for sentence, test := range map[string]struct {
		changes []workflowexecutionv1.StepChange
		same    bool
	}{
		"keys in another order, and other spaces": {[]workflowexecutionv1.StepChange{change(0, "/a", `{ "y": "\u003cb\u003e", "x": 1 }`, " 2")}, true},
		"another value":             {[]workflowexecutionv1.StepChange{change(0, "/a", `{"x":1,"y":"<b>"}`, "3")}, false},
		"another value before":      {[]workflowexecutionv1.StepChange{change(0, "/a", `{"x":2,"y":"<b>"}`, "2")}, false},
		"another type of the value": {[]workflowexecutionv1.StepChange{change(0, "/a", `{"x":1,"y":"<b>"}`, `"2"`)}, false},
		"no value":                  {[]workflowexecutionv1.StepChange{change(0, "/a", `{"x":1,"y":"<b>"}`, "")}, false},
		"another step":              {[]workflowexecutionv1.StepChange{change(1, "/a", `{"x":1,"y":"<b>"}`, "2")}, false},
		"another field":             {[]workflowexecutionv1.StepChange{change(0, "/b", `{"x":1,"y":"<b>"}`, "2")}, false},
		"more":                      {[]workflowexecutionv1.StepChange{base, base}, false},
		"nothing":                   {nil, false},
	} {
		t.Run(sentence, func(t *testing.T) {
			got, err := Digest(test.changes)
			if err != nil || (got == want) != test.same {
				t.Errorf("got %s, %v", got, err)
			}
		})
	}
	if _, err := Digest([]workflowexecutionv1.StepChange{change(0, "/a", "{", "2")}); err == nil {
		t.Error("what is no JSON has a digest")
	}
}

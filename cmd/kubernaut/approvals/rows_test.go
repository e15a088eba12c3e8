package approvals

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	safetyv1alpha1 "kubernaut.io/kubernaut/api/safety/v1alpha1"
	"kubernaut.io/kubernaut/api/shared"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func requests() []safetyv1alpha1.ApprovalRequest {
	cart := &shared.Target{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "shop", Name: "cart"}
	asked := func(name string, minutes int, phase safetyv1alpha1.ApprovalPhase, change func(*safetyv1alpha1.ApprovalRequestSpec)) safetyv1alpha1.ApprovalRequest {
		r := safetyv1alpha1.ApprovalRequest{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name}, Status: safetyv1alpha1.ApprovalRequestStatus{Phase: phase}}
		r.Spec.WorkflowExecutionRef.Name, r.Spec.RequestedBy.Username, r.Spec.RequiredApprovals = "w", "alice", 2
		r.Spec.ExpiresAt = metav1.NewTime(noon.Add(time.Duration(minutes) * time.Minute))
		change(&r.Spec)
		return r
	}
	return []safetyv1alpha1.ApprovalRequest{
		asked("w-approval-1", 59, safetyv1alpha1.PhasePending, func(s *safetyv1alpha1.ApprovalRequestSpec) {
			s.Summary = []safetyv1alpha1.SummaryEntry{
				{Step: "up", Target: cart, Field: "/spec/replicas", Before: "1", After: "3"},
				{Step: "up", Target: cart, Field: "/metadata/labels/x", After: "\"a\nb\x1b[31m\""},
				{Step: "tell"},
				{Step: "tell", Target: cart, After: `"if it is undone: rollbackAction scale-deployment"`},
			}
			s.Reasons = []safetyv1alpha1.ApprovalReason{{Policy: "irreversible", Code: "no_way_back", Message: "it cannot be undone"}, {Policy: "mine"}}
			s.Decisions = []safetyv1alpha1.ApprovalDecision{
				{Decision: safetyv1alpha1.DecisionApproved, By: "bob", Reason: "fine"}, {Decision: safetyv1alpha1.DecisionApproved, By: "bob", Reason: "twice"},
			}
		}),
		asked("w-approval-2", 0, safetyv1alpha1.PhasePending, func(s *safetyv1alpha1.ApprovalRequestSpec) {
			s.Summary = []safetyv1alpha1.SummaryEntry{{Step: "down", Target: cart, Field: "/spec/paused", Before: "true"}}
		}),
		asked("w-approval-3", 5, safetyv1alpha1.PhaseVoid, func(*safetyv1alpha1.ApprovalRequestSpec) {}),
	}
}

func written(namespaces, wide bool) []string {
	var out strings.Builder
	tableOf(requests(), namespaces, wide, noon).Write(&out, false)
	return strings.Split(strings.TrimRight(out.String(), "\n"), "\n")
}

func TestTable(t *testing.T) {
	want := []string{
		"NAME           ASKED BY   APPROVALS   EXPIRES   STEP   TARGET                 CHANGE",
		"w-approval-1   alice      1/2         in 59m    up     Deployment shop/cart   /spec/replicas: 1 → 3",
		"                                                up     Deployment shop/cart   /metadata/labels/x: (unset) → \"a b [31m\"",
		"                                                tell   none                   no field",
		"                                                tell   Deployment shop/cart   if it is undone: rollbackAction scale-deployment",
		"w-approval-2   alice      0/2         expires   down   Deployment shop/cart   /spec/paused: true → (removed)",
		"w-approval-3   alice      0/2         void             none                   no field",
	}
	if diff := cmp.Diff(want, written(false, false)); diff != "" {
		t.Error(diff)
	}
	wide := strings.Join(written(true, true), "\n")
	for _, want := range []string{"NAMESPACE", "shop", "irreversible/no_way_back: it cannot be undone; mine", "Approved by bob: fine; Approved by bob: twice", "the strategy asks"} {
		if !strings.Contains(wide, want) {
			t.Errorf("the wide table lacks %q:\n%s", want, wide)
		}
	}
}

func TestWhatADecisionLeadsTo(t *testing.T) {
	all := requests()
	enough := all[0].DeepCopy()
	enough.Spec.RequiredApprovals = 1
	for sentence, test := range map[string]struct {
		request *safetyv1alpha1.ApprovalRequest
		kind    safetyv1alpha1.DecisionKind
		want    string
	}{
		"one is missing":   {&all[0], safetyv1alpha1.DecisionApproved, "apr/w-approval-1 is approved by you, and needs 1 approval more until"},
		"none is missing":  {enough, safetyv1alpha1.DecisionApproved, "apr/w-approval-1 is approved: workflow w goes on"},
		"one is too much":  {&all[0], safetyv1alpha1.DecisionRejected, "apr/w-approval-1 is rejected: workflow w fails, and changes nothing"},
		"two more missing": {&all[1], safetyv1alpha1.DecisionApproved, "needs 2 approvals more"},
	} {
		t.Run(sentence, func(t *testing.T) {
			if got := decidedText(test.request, test.kind); !strings.Contains(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestWhatWaits(t *testing.T) {
	for phase, want := range map[safetyv1alpha1.ApprovalPhase]bool{
		"": true, safetyv1alpha1.PhasePending: true, safetyv1alpha1.PhaseApproved: false, safetyv1alpha1.PhaseRejected: false,
		safetyv1alpha1.PhaseExpired: false, safetyv1alpha1.PhaseVoid: false,
	} {
		if got := waits(&safetyv1alpha1.ApprovalRequest{Status: safetyv1alpha1.ApprovalRequestStatus{Phase: phase}}); got != want {
			t.Errorf("%q: got %t", phase, got)
		}
	}
}

func TestADecisionNeedsAReasonAndAName(t *testing.T) {
	for sentence, test := range map[string]struct {
		args []string
		want string
	}{
		"no reason":    {[]string{"x"}, "--reason: say why"},
		"a blank one":  {[]string{"x", "--reason", " "}, "--reason: say why"},
		"no name":      {[]string{"--reason", "fine"}, "accepts 1 arg"},
		"no such file": {[]string{"x", "--reason", "fine", "--kubeconfig", "/does/not/exist"}, "there is no file /does/not/exist"},
	} {
		t.Run(sentence, func(t *testing.T) {
			command := newApproveCommand()
			command.SilenceErrors, command.SilenceUsage = true, true
			command.SetArgs(test.args)
			if err := command.ExecuteContext(t.Context()); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

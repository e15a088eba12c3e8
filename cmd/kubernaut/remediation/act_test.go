package remediation

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	remediationv1 "kubernaut.io/kubernaut/api/remediation/v1"
	safetyv1alpha1 "kubernaut.io/kubernaut/api/safety/v1alpha1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/cmd/kubernaut/terminal"
)

func aRequest(name string, phase remediationv1.RemediationPhase) *remediationv1.RemediationRequest {
	return &remediationv1.RemediationRequest{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name}, Status: remediationv1.RemediationRequestStatus{OverallPhase: phase},
		Spec: remediationv1.RemediationRequestSpec{Target: shared.Target{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "shop", Name: "cart"}},
	}
}

func aWorkflow(name string, phase workflowexecutionv1.WorkflowPhase, outcome workflowexecutionv1.WorkflowOutcome) *workflowexecutionv1.WorkflowExecution {
	return &workflowexecutionv1.WorkflowExecution{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, UID: "uid-of-it"},
		Status:     workflowexecutionv1.WorkflowExecutionStatus{Phase: phase, Outcome: outcome},
	}
}

// wantUsage checks an error of usage: one line that says the way out.
func wantUsage(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") || terminal.ExitCode(err) != terminal.ExitUsage {
		t.Errorf("exit code %d: %v, want %q", terminal.ExitCode(err), err, want)
	}
}

func TestParseReference(t *testing.T) {
	for text, want := range map[string]reference{
		"stuck":                  {name: "stuck"},
		"rr/stuck":               {kind: request, name: "stuck"},
		"RemediationRequest/x":   {kind: request, name: "x"},
		"wfe/scale":              {kind: workflow, name: "scale"},
		"workflowexecutions/a.b": {kind: workflow, name: "a.b"},
		"workflowexecution.workflowexecution.kubernaut.io/scale": {kind: workflow, name: "scale"},
	} {
		got, err := parseReference(text)
		if err != nil || got != want {
			t.Errorf("%s: %v, %v, want %v", text, got, err, want)
		}
	}
	for text, want := range map[string]string{"": "is no name", "rr/": "is no name", "pod/x": `the kind "pod"`, "rr/a/b": "is no name"} {
		_, err := parseReference(text)
		wantUsage(t, err, want)
	}
}

func TestCancelMode(t *testing.T) {
	running := aWorkflow("w", workflowexecutionv1.PhaseExecuting, "")
	for name, test := range map[string]struct {
		object client.Object
		asked  string
		want   workflowexecutionv1.CancelMode
	}{
		"a workflow, mildly":       {object: running, want: workflowexecutionv1.CancelFinishStep},
		"a workflow, hard":         {object: running, asked: "AbortAndRollBack", want: workflowexecutionv1.CancelAbortAndRollBack},
		"a request":                {object: aRequest("r", ""), want: workflowexecutionv1.CancelAbortAndRollBack},
		"a request, as it is done": {object: aRequest("r", ""), asked: "AbortAndRollBack", want: workflowexecutionv1.CancelAbortAndRollBack},
	} {
		if got, err := cancelMode(test.object, test.asked); err != nil || got != test.want {
			t.Errorf("%s: %s, %v, want %s", name, got, err, test.want)
		}
	}
	_, err := cancelMode(running, "abort")
	wantUsage(t, err, "did you mean Abort?")
	_, err = cancelMode(aRequest("r", ""), "FinishStep")
	wantUsage(t, err, "always cancelled with AbortAndRollBack")
	texts := map[string]bool{}
	for _, mode := range cancelModes() {
		texts[cancelText(running, mode)] = true
	}
	if len(texts) != len(cancelModes()) {
		t.Errorf("two modes are told alike: %v", texts)
	}
}

func TestUnfinished(t *testing.T) {
	if err := unfinished(aWorkflow("w", "", ""), "cancel"); err != nil {
		t.Error(err)
	}
	wantUsage(t, unfinished(aWorkflow("w", workflowexecutionv1.PhaseCompleted, "Success"), "cancel"), "kubernaut rollback wfe/w")
	wantUsage(t, unfinished(aRequest("r", remediationv1.PhaseFailed), "suspend"), "rr/r is over (failed: ): there is nothing to suspend")
}

func TestUndoable(t *testing.T) {
	for _, outcome := range []workflowexecutionv1.WorkflowOutcome{"Success", "PartialSuccess", "Unverified", "Failed", "Cancelled", "PartiallyRolledBack", "RollbackFailed"} {
		if err := undoable(aWorkflow("w", workflowexecutionv1.PhaseFailed, outcome)); err != nil {
			t.Errorf("%s: %v", outcome, err)
		}
	}
	wantUsage(t, undoable(aWorkflow("w", workflowexecutionv1.PhaseExecuting, "")), "--mode AbortAndRollBack")
	wantUsage(t, undoable(aWorkflow("w", workflowexecutionv1.PhaseFailed, "RolledBack")), "has undone what it did")
	wantUsage(t, undoable(aWorkflow("w", workflowexecutionv1.PhaseCompleted, "DryRun")), "changed nothing")

	of := aWorkflow("w", workflowexecutionv1.PhaseCompleted, "Success")
	undo, try := newUndo(of, false), newUndo(of, true)
	if undo.Name != "w-undo" || undo.Spec.RollbackOf.UID != of.UID || undo.Spec.RollbackOf.Name != "w" || undo.Spec.WorkflowDefinition != nil {
		t.Errorf("%+v", undo)
	}
	if try.Name == undo.Name || try.Spec.Mode != shared.ModeDryRun {
		t.Errorf("a dry run is %s %s", try.Name, try.Spec.Mode)
	}
}

func TestCompletions(t *testing.T) {
	done := aWorkflow("stuck-workflow", workflowexecutionv1.PhaseCompleted, "Success")
	held := aWorkflow("held", workflowexecutionv1.PhaseValidating, "")
	held.Spec.Suspend = new(true)
	objects := []client.Object{
		aRequest("stuck", remediationv1.PhaseExecuting), aRequest("both", remediationv1.PhaseExecuting),
		aWorkflow("both", workflowexecutionv1.PhaseExecuting, ""), done, held,
	}
	for name, test := range map[string]struct {
		typed   string
		offered func(client.Object) bool
		want    []string
	}{
		"everything; a name of two kinds with its kind": {offered: anything, want: []string{"stuck", "rr/both", "wfe/both", "stuck-workflow", "held"}},
		"the beginning of a name":                       {typed: "stu", offered: anything, want: []string{"stuck", "stuck-workflow"}},
		"with a kind":                                   {typed: "wfe/", offered: anything, want: []string{"wfe/both", "wfe/stuck-workflow", "wfe/held"}},
		"with the long name of a kind":                  {typed: "remediationrequest/b", offered: anything, want: []string{"remediationrequest/both"}},
		"what can be cancelled":                         {typed: "wfe/", offered: running, want: []string{"wfe/both", "wfe/held"}},
		"what can be resumed":                           {offered: suspended, want: []string{"held"}},
		"what can be undone":                            {offered: undoableObject, want: []string{"stuck-workflow"}},
		"a kind that is none":                           {typed: "pod/", offered: anything},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, line := range completions(objects, test.typed, test.offered) {
				name, text, described := strings.Cut(line, "\t")
				if !described || text == "" {
					t.Errorf("%q says nothing", line)
				}
				got = append(got, name)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// awaited is a workflow that waits for an approval, and has one of two.
func awaited(t *testing.T) *family {
	t.Helper()
	f := recorded(t, "frozen")
	w := &f.workflows[0]
	at := metav1.NewTime(w.CreationTimestamp.Add(2 * time.Second))
	f.approvals = []safetyv1alpha1.ApprovalRequest{{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "frozen-approval-1", CreationTimestamp: metav1.NewTime(w.CreationTimestamp.Add(time.Second))},
		Spec: safetyv1alpha1.ApprovalRequestSpec{
			WorkflowExecutionRef: shared.ObjectReference{Name: w.Name, UID: w.UID}, RequiredApprovals: 2, ExpiresAt: metav1.NewTime(w.CreationTimestamp.Add(time.Hour)),
			Reasons:   []safetyv1alpha1.ApprovalReason{{Policy: "gitops", Code: "managed", Message: "Argo CD manages it"}},
			Decisions: []safetyv1alpha1.ApprovalDecision{{Decision: safetyv1alpha1.DecisionApproved, By: "alice", Reason: "seen", At: &at}},
		},
	}}
	return f
}

func TestApprovalIsShown(t *testing.T) {
	f := awaited(t)
	top := treeOf(f, false, later(t))
	golden(t, "awaited.tree", top.lines(false))
	on := page{zone: time.UTC}
	golden(t, "awaited.story", on.lines(storyOf(f, nil)))
}

func TestEndOf(t *testing.T) {
	for name, test := range map[string]struct {
		family *family
		err    error
		code   int
	}{
		"repaired":       {family: recorded(t, "stuck"), code: terminal.ExitOK},
		"rolled back":    {family: recorded(t, "scale"), code: terminal.ExitFindings},
		"escalated":      {family: recorded(t, "hopeless"), code: terminal.ExitFindings},
		"deleted":        {family: recorded(t, "frozen"), err: errDeleted, code: terminal.ExitUndecided},
		"given up on it": {family: recorded(t, "frozen"), err: context.DeadlineExceeded, code: terminal.ExitUndecided},
		"interrupted":    {family: recorded(t, "frozen"), err: terminal.Explain(context.Canceled), code: terminal.ExitInterrupted},
	} {
		if got := terminal.ExitCode(endOf(test.family, test.err)); got != test.code {
			t.Errorf("%s: exit code %d, want %d", name, got, test.code)
		}
	}
}

package workflowexecution

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/controllers/kubernetesexecution/effects"
)

func TestWhatIsKeptOfADryRun(t *testing.T) {
	value := func(text string) *apiextensionsv1.JSON { return &apiextensionsv1.JSON{Raw: []byte(text)} }
	change := shared.FieldChange{Path: "/spec/replicas", Before: value("1"), After: value("2")}
	complete := func() *workflowexecutionv1.WorkflowExecution {
		changes := []workflowexecutionv1.StepChange{{Index: 0, FieldChange: shared.FieldChange{Path: "/spec/paused"}}, {Index: 1, FieldChange: change}}
		w := &workflowexecutionv1.WorkflowExecution{}
		w.Status.Plan = &workflowexecutionv1.Plan{Targets: []workflowexecutionv1.PlannedTarget{{Steps: []int32{0}}, {UID: "u", Generation: 7, Steps: []int32{1}}}}
		w.Status.Validation = &workflowexecutionv1.Validation{
			Decisions: []workflowexecutionv1.StepDecision{{Index: 0, Tried: true}, {Index: 1, Tried: true}},
			DryRun:    changes, SummaryDigest: summaryDigest(changes),
		}
		return w
	}
	want := &effects.Trial{UID: "u", Generation: 7, Changes: []shared.FieldChange{change}}
	if diff := cmp.Diff(want, trialOf(complete(), 1)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for sentence, change := range map[string]func(*workflowexecutionv1.WorkflowExecution){
		"it was not validated":          func(w *workflowexecutionv1.WorkflowExecution) { w.Status.Validation = nil },
		"a webhook refused the dry run": func(w *workflowexecutionv1.WorkflowExecution) { w.Status.Validation.Decisions[1].Tried = false },
		"the target was not there":      func(w *workflowexecutionv1.WorkflowExecution) { w.Status.Plan.Targets[1].UID = "" },
		"there was no room for long values": func(w *workflowexecutionv1.WorkflowExecution) {
			w.Status.Validation.DryRun[1].After = value(`"(300 bytes)"`)
		},
		"there was no room for all changes": func(w *workflowexecutionv1.WorkflowExecution) { w.Status.Validation.DryRun = nil },
		"there were more changes than fit in": func(w *workflowexecutionv1.WorkflowExecution) {
			w.Status.Validation.DryRun = make([]workflowexecutionv1.StepChange, maxDryRunChanges)
			w.Status.Validation.SummaryDigest = summaryDigest(w.Status.Validation.DryRun)
		},
	} {
		w := complete()
		change(w)
		if got := trialOf(w, 1); got != nil {
			t.Errorf("%s: it is taken over: %v", sentence, got)
		}
	}
}

func TestWhatWasTried(t *testing.T) {
	changes := []shared.FieldChange{{Path: "/spec/replicas"}}
	for sentence, test := range map[string]struct {
		preparation *effects.Preparation
		want        bool
	}{
		"not prepared":         {},
		"not tried":            {preparation: &effects.Preparation{Changes: changes}},
		"refused by a webhook": {preparation: &effects.Preparation{Changes: changes, DryRunUnsupported: "the webhook has side effects"}},
		"nothing to change":    {preparation: &effects.Preparation{RollbackProven: new(true)}},
		"tried":                {preparation: &effects.Preparation{DryRun: changes, RollbackProven: new(false)}, want: true},
	} {
		if got := tried(test.preparation); got != test.want {
			t.Errorf("%s: %t", sentence, got)
		}
	}
}

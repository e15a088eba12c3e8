package effects

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"kubernaut.io/kubernaut/api/shared"
	"kubernaut.io/kubernaut/controllers/kubernetesexecution/actions"
)

func TestWhenAnEarlierDryRunIsTakenOver(t *testing.T) {
	scale := change("/spec/replicas", "2", "3")
	injected := change("/metadata/annotations", "", `{"injected":"yes"}`)
	for sentence, test := range map[string]struct {
		trial   *Trial
		live    func(*unstructured.Unstructured)
		planned []shared.FieldChange
		want    bool
	}{
		"nothing was tried":               {},
		"nothing has changed":             {trial: &Trial{UID: "u1", Generation: 4, Changes: []shared.FieldChange{scale}}, want: true},
		"admission had added something":   {trial: &Trial{UID: "u1", Generation: 4, Changes: []shared.FieldChange{injected, scale}}, want: true},
		"it is another object":            {trial: &Trial{UID: "u0", Generation: 4, Changes: []shared.FieldChange{scale}}},
		"it is of another generation":     {trial: &Trial{UID: "u1", Generation: 3, Changes: []shared.FieldChange{scale}}},
		"a field of the change has moved": {trial: &Trial{UID: "u1", Generation: 4, Changes: []shared.FieldChange{change("/spec/replicas", "1", "3")}}},
		"what admission had added is there": {
			trial: &Trial{UID: "u1", Generation: 4, Changes: []shared.FieldChange{injected, scale}},
			live:  func(u *unstructured.Unstructured) { u.SetAnnotations(map[string]string{"injected": "yes"}) },
		},
		"something else is planned":         {trial: &Trial{UID: "u1", Generation: 4, Changes: []shared.FieldChange{change("/spec/replicas", "2", "4")}}},
		"what is planned was not all tried": {trial: &Trial{UID: "u1", Generation: 4, Changes: []shared.FieldChange{injected}}},
		"nothing is to be changed any more": {trial: &Trial{UID: "u1", Generation: 4, Changes: []shared.FieldChange{scale}}, planned: []shared.FieldChange{}},
	} {
		t.Run(sentence, func(t *testing.T) {
			live := withAnnotations(t, "")
			live.SetGeneration(4)
			if test.live != nil {
				test.live(live)
			}
			action, _ := actions.Get(shared.ActionScaleDeployment)
			s, p := subject{Action: action}, &Preparation{Live: live}
			changes := []shared.FieldChange{scale}
			if test.planned != nil {
				changes = test.planned
			}
			if err := s.fill(p, changes); err != nil {
				t.Fatal(err)
			}
			if got := p.takeOver(live, test.trial); got != test.want {
				t.Fatalf("taken over is %t", got)
			}
			if !test.want {
				if p.DryRun != nil || p.RollbackProven != nil {
					t.Error("what was not taken over is there")
				}
				return
			}
			if diff := cmp.Diff(test.trial.Changes, p.DryRun); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if replicas, _, _ := unstructured.NestedInt64(p.Result.Object, "spec", "replicas"); replicas != 3 || p.RollbackProven == nil || !*p.RollbackProven {
				t.Errorf("the result has %d replicas, proven is %v", replicas, p.RollbackProven)
			}
		})
	}
}

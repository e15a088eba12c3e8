package rules

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	catalogv1alpha1 "kubernaut.io/kubernaut/api/catalog/v1alpha1"
	"kubernaut.io/kubernaut/api/shared"
)

func aPlaybook() *catalogv1alpha1.Playbook {
	return &catalogv1alpha1.Playbook{Spec: catalogv1alpha1.PlaybookSpec{
		ConfidencePercent: new(int32(80)), RootCause: "the image of ${{ target.name }} cannot be pulled",
		Match: catalogv1alpha1.PlaybookMatch{Expression: "target.kind == 'Deployment'"},
		Workflow: catalogv1alpha1.PlaybookWorkflow{Name: "repair", Steps: []catalogv1alpha1.PlaybookStep{{
			Name: "scale", Type: shared.ActionScaleDeployment,
			Parameters: map[string]catalogv1alpha1.ParameterText{"namespace": "${{ target.namespace }}", "name": "cart", "replicas": "3"},
		}}},
	}}
}

func TestValidatePlaybook(t *testing.T) {
	for sentence, test := range map[string]struct {
		change func(*catalogv1alpha1.PlaybookSpec)
		want   []string
	}{
		"a good one": {change: func(*catalogv1alpha1.PlaybookSpec) {}},
		"everything that is wrong, each with its path": {
			change: func(s *catalogv1alpha1.PlaybookSpec) {
				s.Match.Expression = "target.kind"
				s.RootCause = "${{ target.colour }}"
				s.Workflow.Steps[0].Parameters["replicas"] = "many"
				s.Workflow.Steps[0].Parameters["speed"] = "fast"
				s.Workflow.Steps = append(s.Workflow.Steps, catalogv1alpha1.PlaybookStep{
					Name: "tell", Type: shared.ActionNotifyOnly, DependsOn: []string{"nobody", "tell"},
				})
			},
			want: []string{
				"spec.match.expression", "spec.rootCause", "spec.workflow.steps[0].parameters[replicas]", "spec.workflow.steps[0].parameters[speed]",
				"spec.workflow.steps[1].dependsOn", "spec.workflow.steps[1].dependsOn[0]", "spec.workflow.steps[1].parameters[message]",
			},
		},
		"an expression that does not end": {
			change: func(s *catalogv1alpha1.PlaybookSpec) { s.Match.Expression = "[1, 2" }, want: []string{"spec.match.expression"},
		},
		"a secret of the environment": {
			change: func(s *catalogv1alpha1.PlaybookSpec) { s.RootCause = "${{ env.HOME }}" }, want: []string{"spec.rootCause"},
		},
		"one that is larger than a spec may be": {
			change: func(s *catalogv1alpha1.PlaybookSpec) { s.RootCause = strings.Repeat("x", maxSpecBytes) }, want: []string{"spec"},
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			object := aPlaybook()
			test.change(&object.Spec)
			var have []string
			for _, err := range ValidatePlaybook(object) {
				have = append(have, err.Field)
			}
			slices.Sort(have)
			if diff := cmp.Diff(test.want, have); diff != "" {
				t.Errorf("(-want +have)\n%s", diff)
			}
		})
	}
}

// What is as large as the bounds of the schema allow must be answered within the time limit of the webhook, with time to spare.
func TestValidatePlaybookIsBounded(t *testing.T) {
	object := aPlaybook()
	object.Spec.Match.Expression = strings.Repeat("[1,2,3].all(a, [1].all(b, a > b)) || ", 100) + "true"
	object.Spec.Workflow.Steps = nil
	for i := range 100 {
		step := catalogv1alpha1.PlaybookStep{Name: fmt.Sprintf("s%d", i), Type: shared.ActionNotifyOnly, Parameters: map[string]catalogv1alpha1.ParameterText{
			"message": catalogv1alpha1.ParameterText(strings.Repeat("${{ target.name }}", 50)),
		}}
		for j := range i {
			step.DependsOn = append(step.DependsOn, fmt.Sprintf("s%d", j))
		}
		object.Spec.Workflow.Steps = append(object.Spec.Workflow.Steps, step)
	}
	began := time.Now()
	if errs := ValidatePlaybook(object); len(errs) > 0 {
		t.Errorf("refused: %v", errs.ToAggregate())
	}
	const limit = 5 * time.Second
	if took := time.Since(began); took > limit {
		t.Errorf("it took %s, want at most %s", took, limit)
	}
}

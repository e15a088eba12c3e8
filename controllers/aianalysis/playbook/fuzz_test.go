package playbook

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	aianalysisv1 "kubernaut.io/kubernaut/api/aianalysis/v1"
	catalogv1alpha1 "kubernaut.io/kubernaut/api/catalog/v1alpha1"
	"kubernaut.io/kubernaut/api/shared"
)

func fuzzSnapshot() *aianalysisv1.AIAnalysisSpec {
	return &aianalysisv1.AIAnalysisSpec{
		SignalContext: shared.SignalContext{Name: "KubeDeploymentRolloutStuck", Severity: "critical", Labels: map[string]shared.LabelText{"pod": "cart-1"}},
		Target:        shared.Target{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "shop", Name: "cart"},
	}
}

// FuzzTemplate compiles and renders any text: it ends, in time and without a panic, and a text without expressions is itself.
func FuzzTemplate(f *testing.F) {
	for _, seed := range []string{
		"", "literal", "${{ target.name }}", "a ${{ signal.labels['pod'] }} b", "${{", "${{ }}", "${{ '}}' }}", "${{ \"${{\" }}", "}}", "${{ 1 + 2 }}${{ true }}",
		"${{ enrichment.health.status == 'Failed' }}", "${{ [1,2,3].map(x, [1,2,3].map(y, x * y)) }}", "${{ target.?nope.orValue('x') }}", "${{ r'}}' }}", "${{ '''}}''' }}",
		"${{ 'x'.replace('', 'xxxxxxxx') }}", "${{ timestamp('2026-01-01T00:00:00Z') }}", "${{ 9223372036854775807 + 1 }}", "${{ 1 / 0 }}",
	} {
		f.Add(seed)
	}
	env, err := newEnvironment()
	if err != nil {
		f.Fatal(err)
	}
	variables := variablesOf(fuzzSnapshot())
	f.Fuzz(func(t *testing.T, text string) {
		compiled, err := compileTemplate(env, text)
		if err != nil {
			return
		}
		if literal, is := compiled.literal(); !strings.Contains(text, templateOpen) && (!is || literal != text) {
			t.Fatalf("%q became %q", text, literal)
		}
		began := time.Now()
		_, _ = compiled.render(t.Context(), variables) // an error is an answer
		if took := time.Since(began); took > 10*time.Second {
			t.Fatalf("%q took %v", text, took)
		}
	})
}

// FuzzCompile decodes, compiles and fills any playbook; what it makes has only actions of the catalogue, with their parameters.
func FuzzCompile(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"workflow":{"steps":[{}]}}`,
		`{"match":{"expression":"enrichment.health.status == 'Failed'"},"rootCause":"${{ signal.name }}","workflow":{"name":"w","steps":[{"name":"a","type":"scale-deployment","parameters":{"namespace":"${{ target.namespace }}","name":"${{ target.name }}","replicas":"3"}}]}}`,
		`{"workflow":{"name":"w","steps":[{"name":"a","type":"notify-only","dependsOn":["b"],"parameters":{"message":"x"}},{"name":"b","type":"notify-only","dependsOn":["a"],"parameters":{"message":"x"}}]}}`,
		`{"workflow":{"name":"w","steps":[{"name":"a","type":"scale-deployment","parameters":{"namespace":"shop","name":"x","replicas":"99999999999999999999"}}]}}`,
		`{"workflow":{"name":"w","steps":[{"name":"a","type":"scale-deployment","parameters":{"namespace":"shop","name":"x","replicas":"${{ -1 }}","more":"y"}}]}}`,
	} {
		f.Add([]byte(seed))
	}
	variables := variablesOf(fuzzSnapshot())
	f.Fuzz(func(t *testing.T, raw []byte) {
		var spec catalogv1alpha1.PlaybookSpec
		if err := json.Unmarshal(raw, &spec); err != nil {
			return
		}
		compiled, problems := Compile(&spec)
		if len(problems) > 0 {
			return
		}
		_, definition, err := compiled.fill(t.Context(), variables)
		if err != nil {
			return
		}
		for _, step := range definition.Steps {
			if memberOf(&step.Action) == nil {
				t.Fatalf("step %q of type %q has no parameters", step.Name, step.Action.Type)
			}
		}
	})
}

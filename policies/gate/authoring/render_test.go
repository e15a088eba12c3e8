package authoring

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	safetyv1alpha1 "kubernaut.io/kubernaut/api/safety/v1alpha1"
	"kubernaut.io/kubernaut/api/shared"
	"kubernaut.io/kubernaut/policies/gate"
)

const mornings = `# METADATA
# title: Mornings
# custom:
#   enforcement: Warn
#   stages: [plan]
#   match:
#     actions: [scale-deployment]
#     namespaceSelector: {matchLabels: {team: shop}}
#   parameters:
#     limit: How many.
#     names: Of whom.
package kubernaut.safety.early_mornings

warn contains "early" if data.kubernaut.parameters.early_mornings.limit > 1

warn contains name if some name in data.kubernaut.parameters.early_mornings.names
`

func TestMain(m *testing.M) {
	gate.MaybeChild()
	os.Exit(m.Run())
}

func render(t *testing.T, set *Set, options RenderOptions) []Manifest {
	t.Helper()
	manifests, err := set.Manifests(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	return manifests
}

func TestManifests(t *testing.T) {
	test := "package kubernaut.safety.early_mornings_test\n\nimport data.kubernaut.safety.early_mornings as policy\n\n" +
		"test_warns if count(policy.warn) == 2 with input as {}\n"
	set := loadFolder(t, map[string]string{
		"early_mornings.rego":      mornings,
		"early_mornings_test.rego": test,
		"data.yaml":                "kubernaut: {parameters: {early_mornings: {limit: 1, names: [a, b]}}}\n",
		"stop.rego":                "package kubernaut.safety.stop\n\nhold contains \"stop\" if true\n",
	})
	manifests := render(t, set, RenderOptions{})
	want := `apiVersion: safety.kubernaut.io/v1alpha1
kind: SafetyPolicy
metadata:
  name: early-mornings
spec:
  enforcement: Warn
  match:
    actions:
    - scale-deployment
    namespaceSelector:
      matchLabels:
        team: shop
  parameters:
    limit: 1
    names:
    - a
    - b
  parametersSchema:
    additionalProperties: false
    properties:
      limit:
        description: How many.
        type: number
      names:
        description: Of whom.
        items:
          type: string
        type: array
    required:
    - limit
    - names
    type: object
  source:
    rego: |
`
	if len(manifests) != 2 || manifests[0].Name != "early-mornings" || manifests[1].Name != "stop" {
		t.Fatalf("got %+v", manifests)
	}
	if diff := cmp.Diff(want, manifests[0].Text[:min(len(want), len(manifests[0].Text))]); diff != "" {
		t.Error(diff)
	}
	var policy safetyv1alpha1.SafetyPolicy
	if err := yaml.UnmarshalStrict([]byte(manifests[0].Text), &policy); err != nil {
		t.Fatal(err)
	}
	if policy.Spec.Source.Rego != mornings || policy.Spec.Tests != test {
		t.Errorf("the sources have changed:\n%s", manifests[0].Text)
	}
	if policy.Spec.Stages[0] != safetyv1alpha1.StagePlan || policy.Spec.Match.Actions[0] != shared.ActionScaleDeployment {
		t.Errorf("got %+v", policy.Spec)
	}
	if diff := cmp.Diff(manifests, render(t, set, RenderOptions{})); diff != "" {
		t.Errorf("not the same again: %s", diff)
	}
	audited := render(t, set, RenderOptions{Enforcement: safetyv1alpha1.EnforcementAudit})
	if !strings.Contains(audited[1].Text, "enforcement: Audit\n") {
		t.Error(audited[1].Text)
	}
}

func TestBlocksKeepEveryText(t *testing.T) {
	for _, text := range []string{
		"a\n", "a", "a\n\n\n", " a\n", "\ta\n", "\n\na\n", "a\r\nb\n", "a: b # c\n---\n", "\ttab\n  two\n", "ünicode “x”\n", "a \n", "bell\a\n", "x\n ",
	} {
		var read struct {
			Spec struct {
				Text string `json:"text"`
			} `json:"spec"`
		}
		document := "spec:\n  text: " + block(text, "    ") + "  other: 1\n"
		if err := yaml.Unmarshal([]byte(document), &read); err != nil || read.Spec.Text != text {
			t.Errorf("%q became %q: %v\n%s", text, read.Spec.Text, err, document)
		}
	}
}

func TestPoliciesThatCannotBeObjects(t *testing.T) {
	for sentence, test := range map[string]struct {
		files map[string]string
		want  string
	}{
		"the name of one of the baseline": {
			map[string]string{"registries.rego": "package kubernaut.safety.registries\n\ndeny contains \"x\"\n"}, "spec.source.baseline",
		},
		"a name that ends in _": {map[string]string{"a_.rego": "package kubernaut.safety.a_\n\ndeny contains \"x\"\n"}, "a-"},
		"a test alone":          {map[string]string{"a_test.rego": "package kubernaut.safety.a_test\n\ntest_it if true\n"}, "no policy a.rego"},
		"a long module": {
			map[string]string{"a.rego": "package kubernaut.safety.a\n\ndeny contains \"x\"\n" + strings.Repeat("# 34567890\n", 24000)}, "bytes",
		},
		"a test that fails": {
			map[string]string{
				"a.rego":      "package kubernaut.safety.a\n\ndeny contains \"x\"\n",
				"a_test.rego": "package kubernaut.safety.a_test\n\nimport data.kubernaut.safety.a\n\ntest_it if count(a.deny) == 0\n",
			}, "a_test.rego:5",
		},
		"a test that says nothing about the policy": {
			map[string]string{
				"a.rego":      "package kubernaut.safety.a\n\ndeny contains \"x\"\n",
				"a_test.rego": "package kubernaut.safety.a_test\n\ntest_it if true\n",
			}, "a_test.rego:3",
		},
		"what does not compile": {map[string]string{"a.rego": "package kubernaut.safety.a\n\ndeny contains x\n"}, "unsafe"},
	} {
		if _, err := loadFolder(t, test.files).Manifests(t.Context(), RenderOptions{}); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got error %v, want %q in it", sentence, err, test.want)
		}
	}
}

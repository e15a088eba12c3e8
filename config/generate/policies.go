package main

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	safetyv1alpha1 "kubernaut.io/kubernaut/api/safety/v1alpha1"
	"kubernaut.io/kubernaut/api/shared"
	"kubernaut.io/kubernaut/policies/gate"
)

// policyPages are the pages about the policies of a folder, by file name.
func policyPages(files fs.FS) (map[string][]byte, error) {
	catalogue, err := gate.Catalogue(files)
	if err != nil {
		return nil, err
	}
	pages := map[string][]byte{"README.md": policyIndex(catalogue)}
	for i := range catalogue {
		page, err := policyPage(&catalogue[i])
		if err != nil {
			return nil, fmt.Errorf("page of %s: %w", catalogue[i].Name, err)
		}
		pages[catalogue[i].Name+".md"] = page
	}
	return pages, nil
}

// writePages writes the pages, and removes those of policies that are gone.
func writePages(folder string, pages map[string][]byte) error {
	old, err := filepath.Glob(filepath.Join(folder, "*.md"))
	if err != nil {
		return err
	}
	for _, path := range old {
		if pages[filepath.Base(path)] == nil {
			if err := os.Remove(path); err != nil {
				return err
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(pages)) {
		if err := write(filepath.Join(folder, name), pages[name]); err != nil {
			return err
		}
	}
	return nil
}

func policyIndex(catalogue []gate.PolicyDescription) []byte {
	var text strings.Builder
	text.WriteString(`<!-- Written by "make generate" from the METADATA in policies/safety and from policies/data.yaml: change it there. -->

# Policies of the baseline

Every step of every workflow is judged by these policies, which are part of the binary. A step that one of them denies is not done, and
no step of its workflow is; one that needs approval waits for it. What a policy does not know it does not permit. Each can be
changed, for the whole cluster or for some namespaces, by a SafetyPolicy with ` + "`source.baseline`" + `; its page shows how.

| policy | what it is about | codes | asked at |
|---|---|---|---|
`)
	for _, policy := range catalogue {
		codes := make([]string, len(policy.Rules))
		for i, rule := range policy.Rules {
			codes[i] = fmt.Sprintf("%#q (%s)", rule.Code, effectText(rule.Effect))
		}
		fmt.Fprintf(&text, "| [%s](%s.md) | %s | %s | %s |\n", policy.Name, policy.Name, policy.Title, strings.Join(codes, ", "), stageText(policy.Stages))
	}
	text.WriteString(`
A code is what a decision says next to the policy, as in ` + "`status.validation.decisions[].rules[]`" + ` of a WorkflowExecution. Besides
these there is ` + "`" + shared.CodePolicyError + "`" + `: the policy could not be evaluated, and denies for that reason.

When captured state is restored (stage ` + "`rollback`" + `), none of them decides: what they say is recorded.
`)
	return []byte(text.String())
}

func effectText(effect shared.RuleEffect) string {
	switch effect {
	case shared.EffectDeny:
		return "denies"
	case shared.EffectHold:
		return "holds"
	case shared.EffectRequireApproval:
		return "needs approval"
	case shared.EffectWarn:
		return "warns"
	default:
		return string(effect)
	}
}

func stageText(stages []gate.Stage) string {
	names := make([]string, len(stages))
	for i, stage := range stages {
		names[i] = string(stage)
	}
	return strings.Join(names, ", ")
}

// relaxText goes around the example. That a selector takes the policy away everywhere else is a trap worth a sentence.
const relaxText = `This SafetyPolicy takes the place of the policy: it decides everywhere but in namespaces labelled as staging.

` + "```yaml\n%s```" + `

- ` + "`match`" + ` says where the policy is asked, and for which ` + "`actions`" + `; anywhere else it is not. Leave it out, and it is asked everywhere.
- ` + "`enforcement: Warn`" + ` turns what it refuses into warnings wherever it is asked, ` + "`Audit`" + ` into records.
- A parameter that is left out keeps its default. When the SafetyPolicy is deleted, all is as before.
`

func policyPage(policy *gate.PolicyDescription) ([]byte, error) {
	var text strings.Builder
	fmt.Fprintf(&text, "<!-- Written by \"make generate\" from policies/%s and policies/data.yaml: change it there. -->\n\n", policy.File)
	fmt.Fprintf(&text, "# %s\n\n%s\n\n", policy.Title, policy.Description)
	fmt.Fprintf(&text, "Name `%s`, enforcement `%s`, asked at stage %s. Source: [%s](../../policies/%s).\n\n",
		policy.Name, policy.Enforcement, stageText(policy.Stages), policy.File, policy.File)
	text.WriteString("## What it refuses\n\n")
	for _, rule := range policy.Rules {
		fmt.Fprintf(&text, "- `%s` %s. %s\n  Example: %s\n", rule.Code, effectText(rule.Effect), rule.Title, rule.Example)
	}
	text.WriteString("\n## Parameters\n\n")
	if err := parameterTable(&text, policy.Parameters); err != nil {
		return nil, err
	}
	text.WriteString("\n## To relax it\n\n")
	example, err := yaml.Marshal(relaxed(policy))
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(&text, relaxText, example)
	return []byte(text.String()), nil
}

func parameterTable(text *strings.Builder, parameters []gate.ParameterDescription) error {
	if len(parameters) == 0 {
		text.WriteString("It has none.\n")
		return nil
	}
	text.WriteString("| name | meaning | default |\n|---|---|---|\n")
	for _, parameter := range parameters {
		standard, err := json.Marshal(parameter.Default)
		if err != nil {
			return err
		}
		fmt.Fprintf(text, "| `%s` | %s | `%s` |\n", parameter.Name, parameter.Description, standard)
	}
	return nil
}

// manifest is a SafetyPolicy as a person writes it: without the status that its Go type adds.
type manifest struct {
	metav1.TypeMeta `json:",inline"`

	Metadata map[string]string               `json:"metadata"`
	Spec     safetyv1alpha1.SafetyPolicySpec `json:"spec"`
}

// relaxed is a SafetyPolicy that spares one environment. It says the stages too, which would else be those that objects have.
func relaxed(policy *gate.PolicyDescription) manifest {
	object := manifest{
		TypeMeta: metav1.TypeMeta{APIVersion: safetyv1alpha1.GroupVersion.String(), Kind: "SafetyPolicy"},
		Metadata: map[string]string{"name": "baseline-" + strings.ReplaceAll(policy.Name, "_", "-")},
		Spec: safetyv1alpha1.SafetyPolicySpec{
			Source:      safetyv1alpha1.PolicySource{Baseline: policy.Name},
			Enforcement: safetyv1alpha1.EnforcementEnforce,
			Match: &safetyv1alpha1.PolicyMatch{
				NamespaceSelector: &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{
					{Key: shared.LabelEnvironment, Operator: metav1.LabelSelectorOpNotIn, Values: []string{"staging"}},
				}},
			},
		},
	}
	for _, stage := range policy.Stages {
		object.Spec.Stages = append(object.Spec.Stages, safetyv1alpha1.Stage(stage))
	}
	values := map[string]any{}
	for _, parameter := range policy.Parameters {
		values[parameter.Name] = parameter.Default
	}
	if len(values) > 0 {
		if text, err := json.Marshal(values); err == nil {
			object.Spec.Parameters = &apiextensionsv1.JSON{Raw: text}
		}
	}
	return object
}

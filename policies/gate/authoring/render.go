package authoring

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/yaml"

	safetyv1alpha1 "kubernaut.io/kubernaut/api/safety/v1alpha1"
	"kubernaut.io/kubernaut/policies"
	"kubernaut.io/kubernaut/policies/gate"
)

// Manifest is a SafetyPolicy as YAML.
type Manifest struct {
	// Name is the name of the object.
	Name string
	// Text is one YAML document.
	Text string
}

// RenderOptions change what METADATA says.
type RenderOptions struct {
	// Enforcement replaces that of METADATA; empty keeps it.
	Enforcement safetyv1alpha1.Enforcement
}

// maxSource is how many bytes the module and the tests of an object may have.
const maxSource = 256 * 1024

// Manifests are the SafetyPolicy objects of the policies that the user works on, by name. What METADATA says becomes the spec, which
// decides from then on. Its error is a *CheckError when the manager would refuse one of them. It needs a program that calls
// gate.MaybeChild, in which the tests run as they do at admission.
func (s *Set) Manifests(ctx context.Context, options RenderOptions) ([]Manifest, error) {
	problems, err := s.compileProblems()
	if err != nil {
		return nil, err
	}
	if len(problems) > 0 {
		return nil, &CheckError{Problems: sorted(problems)}
	}
	baseline, err := baselineNames()
	if err != nil {
		return nil, err
	}
	var manifests []Manifest
	var wrong []error
	for _, unit := range s.units() {
		if unit.folder != safetyFolder {
			continue
		}
		manifest, err := unit.manifest(options, baseline)
		wrong = append(wrong, err)
		manifests = append(manifests, manifest)
	}
	if err := errors.Join(wrong...); err != nil {
		return nil, err
	}
	return manifests, s.review(ctx, manifests)
}

// review has a gate judge the manifests as at admission.
func (s *Set) review(ctx context.Context, manifests []Manifest) error {
	admission, err := gate.New(gate.Options{})
	if err != nil {
		return err
	}
	var problems []Problem
	for _, manifest := range manifests {
		var policy safetyv1alpha1.SafetyPolicy
		if err := yaml.UnmarshalStrict([]byte(manifest.Text), &policy); err != nil {
			return fmt.Errorf("manifest of %s: %w", manifest.Name, err)
		}
		review, err := admission.Review(ctx, gate.ObjectOf(&policy))
		if err != nil {
			return err
		}
		for i := range review.Problems {
			review.Problems[i].File = safetyFolder + "/" + review.Problems[i].File
		}
		problems = append(problems, s.problemsOf(review.Problems)...)
	}
	if len(problems) > 0 {
		return &CheckError{Problems: sorted(problems)}
	}
	return nil
}

func baselineNames() ([]string, error) {
	entries, err := policies.FS.ReadDir(safetyFolder)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, entry := range entries {
		names = append(names, strings.TrimSuffix(entry.Name(), regoSuffix))
	}
	return names, nil
}

func (u *unit) manifest(options RenderOptions, baseline []string) (Manifest, error) {
	source := u.policy()
	if source == nil {
		return Manifest{}, fmt.Errorf("%s: there is no policy %s%s beside it", u.sources[0].Path, u.name, regoSuffix)
	}
	name := strings.ReplaceAll(u.name, "_", "-")
	switch {
	case slices.Contains(baseline, u.name):
		return Manifest{}, fmt.Errorf("%s: the baseline has a policy of that name: give it another one, or change the one of the baseline "+
			"by a SafetyPolicy with spec.source.baseline", source.Path)
	case len(validation.IsDNS1123Label(name)) > 0:
		return Manifest{}, fmt.Errorf("%s: %q cannot be the name of an object: rename the policy", source.Path, name)
	}
	spec, err := u.spec(source, options)
	if err != nil {
		return Manifest{}, err
	}
	test := ""
	for _, other := range u.sources {
		if other.isTest() {
			test = other.Text
		}
	}
	for _, text := range []string{source.Text, test} {
		if len(text) > maxSource {
			return Manifest{}, fmt.Errorf("%s: it or its test has %d bytes; an object holds at most %d of each", source.Path, len(text), maxSource)
		}
	}
	text, err := manifestText(name, spec, source.Text, test)
	return Manifest{Name: name, Text: text}, err
}

func (u *unit) spec(source *Source, options RenderOptions) (safetyv1alpha1.SafetyPolicySpec, error) {
	meta, err := readMeta(source)
	if err != nil {
		return safetyv1alpha1.SafetyPolicySpec{}, err
	}
	spec := safetyv1alpha1.SafetyPolicySpec{
		Enforcement: safetyv1alpha1.Enforcement(meta.Enforcement), Stages: meta.Stages, Match: meta.Match,
	}
	if spec.Enforcement == "" {
		spec.Enforcement = safetyv1alpha1.EnforcementEnforce
	}
	if options.Enforcement != "" {
		spec.Enforcement = options.Enforcement
	}
	if len(spec.Stages) == 0 {
		spec.Stages = []safetyv1alpha1.Stage{safetyv1alpha1.StagePlan, safetyv1alpha1.StageStep}
	}
	parameters := u.set.parameters[u.name]
	if len(parameters) == 0 {
		return spec, nil
	}
	if spec.Parameters, err = asJSON(parameters); err != nil {
		return spec, fmt.Errorf("%s: parameters: %w", source.Path, err)
	}
	spec.ParametersSchema, err = asJSON(parametersSchema(parameters, meta.Parameters))
	return spec, err
}

func asJSON(value any) (*apiextensionsv1.JSON, error) {
	text, err := json.Marshal(value)
	return &apiextensionsv1.JSON{Raw: text}, err
}

// parametersSchema is the schema of parameters: the types of their defaults, with what METADATA says of them. Everything is required,
// because a policy denies when it lacks a parameter.
func parametersSchema(parameters map[string]any, descriptions map[string]string) map[string]any {
	properties := map[string]any{}
	for name, value := range parameters {
		property := typeOf(value)
		if description := descriptions[name]; description != "" {
			property["description"] = description
		}
		properties[name] = property
	}
	return map[string]any{
		"type": "object", "properties": properties, "required": sortedKeys(parameters), "additionalProperties": false,
	}
}

func typeOf(value any) map[string]any {
	switch value := value.(type) {
	case string:
		return map[string]any{"type": "string"}
	case bool:
		return map[string]any{"type": "boolean"}
	case float64, int64, int:
		return map[string]any{"type": "number"}
	case map[string]any:
		return map[string]any{"type": "object"}
	case []any:
		list := map[string]any{"type": "array"}
		if len(value) > 0 {
			first, _ := typeOf(value[0])["type"].(string)
			same := func(element any) bool { return typeOf(element)["type"] == first }
			if first != "" && !slices.ContainsFunc(value, func(element any) bool { return !same(element) }) {
				list["items"] = map[string]any{"type": first}
			}
		}
		return list
	default:
		return map[string]any{}
	}
}

// Stand-ins for texts of several lines, for which the YAML library has no form that people can read.
const (
	regoHere  = "MODULE-STANDS-HERE"
	testsHere = "TESTS-STAND-HERE"
)

func manifestText(name string, spec safetyv1alpha1.SafetyPolicySpec, module, tests string) (string, error) {
	spec.Source.Rego = regoHere
	if tests != "" {
		spec.Tests = testsHere
	}
	text, err := yaml.Marshal(safetyv1alpha1.SafetyPolicy{
		TypeMeta:   metav1.TypeMeta{APIVersion: safetyv1alpha1.GroupVersion.String(), Kind: "SafetyPolicy"},
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       spec,
	})
	if err != nil {
		return "", fmt.Errorf("manifest of %s: %w", name, err)
	}
	result := strings.Replace(string(text), regoHere+"\n", block(module, "      "), 1)
	return strings.Replace(result, testsHere+"\n", block(tests, "    "), 1), nil
}

// block is a text as a YAML block, or quoted where a block could not keep it.
func block(text, margin string) string {
	if strings.ContainsFunc(text, func(char rune) bool { return char != '\n' && char != '\t' && !strconv.IsPrint(char) }) {
		quoted, err := json.Marshal(text)
		if err == nil {
			return string(quoted) + "\n"
		}
	}
	head := "|"
	if strings.HasPrefix(text, " ") || strings.HasPrefix(text, "\n") || strings.HasPrefix(text, "\t") {
		head += "2"
	}
	switch {
	case !strings.HasSuffix(text, "\n"):
		head += "-"
	case strings.HasSuffix(text, "\n\n"):
		head += "+"
	}
	body := strings.TrimSuffix(text, "\n")
	lines := strings.Split(body, "\n")
	for i, line := range lines {
		if line != "" {
			lines[i] = margin + line
		}
	}
	return head + "\n" + strings.Join(lines, "\n") + "\n"
}

// Enforcements are the names of the enforcements.
func Enforcements() []string {
	return []string{string(gate.Audit), string(gate.Warn), string(gate.Enforce)}
}

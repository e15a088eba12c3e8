package gate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	safetyv1alpha1 "kubernaut.io/kubernaut/api/safety/v1alpha1"
	"kubernaut.io/kubernaut/api/shared"
)

// maxModuleSize is the size in bytes up to which a module of an object is compiled.
const maxModuleSize = 256 * 1024

// PolicyObject is a policy that is not compiled in, as the API has it: either a module of its own, or a change of how a policy of
// the baseline applies.
type PolicyObject struct {
	// Name is the name of the object. The package of its module is kubernaut.safety.<name>, with - written as _.
	Name string `json:"name"`
	// Rego is one module; empty for a change of the baseline.
	Rego string `json:"rego,omitempty"`
	// Baseline is the name of the policy of the baseline that the object changes; empty for a module.
	Baseline string `json:"baseline,omitempty"`
	// Tests are Rego tests of the policy, in the package of the policy with _test at its end; they are no part of what is compiled
	// into a set.
	Tests string `json:"tests,omitempty"`
	// Stages are when the policy is asked; none is plan and step.
	Stages []Stage `json:"stages,omitempty"`
	// Enforcement is what its results do; empty is Enforce.
	Enforcement Enforcement `json:"enforcement,omitempty"`
	// Match is which steps it is asked about; the zero value is all.
	Match Match `json:"match,omitzero"`
	// Parameters is a JSON object: what the policy reads as data.kubernaut.parameters.<name with _>, or what replaces parameters of the
	// policy of the baseline, each by a value of the same type.
	Parameters json.RawMessage `json:"parameters,omitempty"`
	// ParametersSchema is the JSON schema of the parameters of a module. Without one the parameters given are all that can be read.
	ParametersSchema json.RawMessage `json:"parametersSchema,omitempty"`
}

// Match says which steps a policy is asked about.
type Match struct {
	// Actions are types of actions; none is all. A step of a type that the catalogue lacks matches every policy.
	Actions []shared.ActionType `json:"actions,omitempty"`
	// NamespaceSelector selects by the labels of the target's namespace; nil is all. A target without a namespace matches, and so does
	// one whose namespace's labels are unknown.
	NamespaceSelector *metav1.LabelSelector `json:"namespaceSelector,omitempty"`
}

// ObjectOf is what the gate reads of a SafetyPolicy. The result shares nothing with the object that a caller could change.
func ObjectOf(policy *safetyv1alpha1.SafetyPolicy) PolicyObject {
	spec := policy.Spec.DeepCopy()
	object := PolicyObject{
		Name: policy.Name, Rego: spec.Source.Rego, Baseline: spec.Source.Baseline, Tests: spec.Tests,
		Enforcement: Enforcement(spec.Enforcement),
	}
	for _, stage := range spec.Stages {
		object.Stages = append(object.Stages, Stage(stage))
	}
	if spec.Match != nil {
		object.Match = Match{Actions: spec.Match.Actions, NamespaceSelector: spec.Match.NamespaceSelector}
	}
	if spec.Parameters != nil {
		object.Parameters = spec.Parameters.Raw
	}
	if spec.ParametersSchema != nil {
		object.ParametersSchema = spec.ParametersSchema.Raw
	}
	return object
}

// PolicyName is the name of the policy that an object holds: what its package ends in, and what decisions call it.
func (o PolicyObject) PolicyName() string {
	return strings.ReplaceAll(o.Name, "-", "_")
}

// file and testsFile are what problems call the two sources of an object.
func (o PolicyObject) file() string      { return o.PolicyName() + ".rego" }
func (o PolicyObject) testsFile() string { return o.PolicyName() + "_test.rego" }

// key identifies what of an object goes into a set.
func (o PolicyObject) key() (string, error) {
	// As texts, because what is given need not be JSON.
	parameters, schema := string(o.Parameters), string(o.ParametersSchema)
	o.Tests, o.Parameters, o.ParametersSchema = "", nil, nil
	text, err := json.Marshal([]any{o, parameters, schema})
	if err != nil {
		return "", err
	}
	return hexSHA256(text), nil
}

// resolve makes a policy of an object. It does not look at the Rego yet. With problems the policy is broken: it is what denies.
func (b *compiledIn) resolve(ctx context.Context, object PolicyObject) (*policy, []Problem) {
	result := &policy{
		module: module{name: object.PolicyName(), file: object.file(), text: object.Rego},
		object: object.Name, enforcement: object.Enforcement, stages: object.Stages, match: object.Match,
	}
	problems := result.settle()
	of := func(format string, args ...any) {
		problems = append(problems, Problem{File: object.file(), Message: fmt.Sprintf(format, args...)})
	}
	switch {
	case (object.Rego == "") == (object.Baseline == ""):
		of("exactly one of a module and the name of a policy of the baseline is needed")
	case object.Baseline != "":
		problems = append(problems, b.change(result, object)...)
	case !policyName.MatchString(result.name):
		of("the name of a policy, with - written as _, must match %s", policyName)
	case b.policy(result.name) != nil:
		of("a policy of the baseline has the name %s: give this object another name, or change that policy with source.baseline", result.name)
	case len(object.Rego) > maxModuleSize:
		of("the module has %d bytes; at most %d are compiled", len(object.Rego), maxModuleSize)
	default:
		problems = append(problems, result.readParameters(ctx, object)...)
	}
	return result, problems
}

// change makes of a policy of the baseline the one that an object wants.
func (b *compiledIn) change(result *policy, object PolicyObject) []Problem {
	var problems []Problem
	of := func(format string, args ...any) {
		problems = append(problems, Problem{File: object.file(), Message: fmt.Sprintf(format, args...)})
	}
	changed := b.policy(object.Baseline)
	if changed == nil {
		of("there is no policy %q in the baseline; there are %s", object.Baseline, strings.Join(b.names(), ", "))
		return problems
	}
	if len(object.ParametersSchema) > 0 {
		of("parametersSchema: %s has parameters of fixed types; only a module has a schema of its own", object.Baseline)
	}
	given, err := decodeObject(object.Parameters)
	if err != nil {
		of("parameters: %v", err)
		return problems
	}
	values, err := withOverrides(changed.name, changed.parameters, given)
	if err != nil {
		of("%v", err)
		return problems
	}
	if len(problems) > 0 {
		return problems
	}
	result.module, result.effects, result.declared = changed.module, changed.effects, changed.declared
	result.parameters, result.shape = values, changed.shape
	return nil
}

// readParameters reads the parameters of a module, and the shape of those that it may read.
func (p *policy) readParameters(ctx context.Context, object PolicyObject) []Problem {
	var problems []Problem
	of := func(format string, args ...any) {
		problems = append(problems, Problem{File: object.file(), Message: fmt.Sprintf(format, args...)})
	}
	values, err := decodeObject(object.Parameters)
	if err != nil {
		of("parameters: %v", err)
		return problems
	}
	p.parameters, p.shape = values, shapeOfNames(values)
	if len(object.ParametersSchema) == 0 {
		return nil
	}
	schema, err := decodeObject(object.ParametersSchema)
	if err != nil {
		of("parametersSchema: %v", err)
		return problems
	}
	p.shape = shapeOfSchema(schema)
	wrong, err := checkAgainstSchema(ctx, values, schema)
	if err != nil {
		of("parametersSchema: %v", err)
	}
	for _, message := range wrong {
		of("parameters: %s", message)
	}
	return problems
}

// decodeObject reads a JSON object; nothing, and null, are one without members.
func decodeObject(text json.RawMessage) (map[string]any, error) {
	values := map[string]any{}
	if len(bytes.TrimSpace(text)) == 0 {
		return values, nil
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	if err := decoder.Decode(&values); err != nil {
		return nil, fmt.Errorf("a JSON object is needed: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("one JSON object is needed, and nothing behind it")
	}
	if values == nil {
		return map[string]any{}, nil
	}
	return values, nil
}

// settle fills in what an object or METADATA left out, and checks the rest. What cannot be understood is widened: a policy that is
// broken must deny at least what it would have been asked about.
func (p *policy) settle() []Problem {
	var problems []Problem
	of := func(format string, args ...any) {
		problems = append(problems, Problem{File: p.file, Message: fmt.Sprintf(format, args...)})
	}
	if p.enforcement == "" {
		p.enforcement = Enforce
	}
	if !slices.Contains([]Enforcement{Enforce, Warn, Audit}, p.enforcement) {
		of("unknown enforcement %q: Enforce, Warn and Audit are known", p.enforcement)
		p.enforcement = Enforce
	}
	if len(p.stages) == 0 {
		p.stages = []Stage{StagePlan, StageStep}
	}
	if unknown := slices.IndexFunc(p.stages, isUnknown); unknown >= 0 {
		of("unknown stage %q: plan, step and rollback are known", p.stages[unknown])
		p.stages = Stages()
	}
	if p.match.NamespaceSelector == nil {
		return problems
	}
	selector, err := metav1.LabelSelectorAsSelector(p.match.NamespaceSelector)
	if err != nil {
		of("namespaceSelector: %v", err)
		return problems
	}
	if !selector.Empty() {
		p.selector = selector
	}
	return problems
}

func isUnknown(stage Stage) bool { return !slices.Contains(Stages(), stage) }

// covers says whether a policy is asked about a step as far as its namespace goes: what is unknown matches.
func covers(selector labels.Selector, in *Input) bool {
	namespace := in.Target.Namespace
	if selector == nil || namespace == nil || *namespace == "" || in.Namespace.Labels == nil {
		return true
	}
	if in.Namespace.Name == nil || *in.Namespace.Name != *namespace {
		return true // these are not the labels of the target's namespace
	}
	return selector.Matches(labels.Set(in.Namespace.Labels))
}

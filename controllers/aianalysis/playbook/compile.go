package playbook

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"k8s.io/apimachinery/pkg/util/validation/field"

	aianalysisv1 "kubernaut.io/kubernaut/api/aianalysis/v1"
	catalogv1alpha1 "kubernaut.io/kubernaut/api/catalog/v1alpha1"
	"kubernaut.io/kubernaut/api/shared"
	"kubernaut.io/kubernaut/controllers/machinery"
)

// Compiled is a playbook whose expressions compile and type-check and whose literals decode. It may be used from several
// goroutines at once.
type Compiled struct {
	spec      *catalogv1alpha1.PlaybookSpec
	matches   cel.Program
	rootCause template
	steps     []compiledStep
}

type compiledStep struct {
	step       *catalogv1alpha1.PlaybookStep
	parameters []compiledParameter
}

type compiledParameter struct {
	parameter
	template template
}

// Compile checks a playbook and prepares it for use. It gives every error that the playbook has, with its path, and for an
// expression the line and column; the spec must not change afterwards.
func Compile(spec *catalogv1alpha1.PlaybookSpec) (*Compiled, field.ErrorList) {
	root := field.NewPath("spec")
	env, err := newEnvironment()
	if err != nil {
		return nil, field.ErrorList{field.InternalError(root, err)}
	}
	compiled := &Compiled{spec: spec}
	var problems field.ErrorList
	if text := spec.Match.Expression; text != "" {
		compiled.matches, err = compileExpression(env, text, "a truth value", types.BoolKind)
		if err != nil {
			problems = append(problems, field.Invalid(root.Child("match", "expression"), text, err.Error()))
		}
	}
	compiled.rootCause, err = compileTemplate(env, spec.RootCause)
	if err != nil {
		problems = append(problems, field.Invalid(root.Child("rootCause"), spec.RootCause, err.Error()))
	}
	path := root.Child("workflow", "steps")
	for i := range spec.Workflow.Steps {
		step, stepProblems := compileStep(env, path.Index(i), &spec.Workflow.Steps[i])
		problems = append(problems, stepProblems...)
		compiled.steps = append(compiled.steps, step)
	}
	problems = append(problems, graphProblems(path, spec.Workflow.Steps)...)
	if len(problems) > 0 {
		return nil, problems
	}
	return compiled, nil
}

func compileStep(env *cel.Env, path *field.Path, step *catalogv1alpha1.PlaybookStep) (compiledStep, field.ErrorList) {
	known, ok := parametersOf(step.Type)
	if !ok {
		return compiledStep{}, field.ErrorList{field.NotSupported(path.Child("type"), step.Type, shared.ActionTypes())}
	}
	var problems field.ErrorList
	result := compiledStep{step: step}
	path = path.Child("parameters")
	for _, name := range slices.Sorted(maps.Keys(step.Parameters)) {
		text := string(step.Parameters[name])
		i := slices.IndexFunc(known, func(p parameter) bool { return p.name == name })
		if i < 0 {
			problems = append(problems, field.Invalid(path.Key(name), text,
				fmt.Sprintf("%s has no parameter %q; it has %s", step.Type, name, namesOf(known))))
			continue
		}
		compiled, err := compileTemplate(env, text)
		if literal, fixed := compiled.literal(); err == nil && fixed {
			_, err = known[i].parse(literal)
		}
		if err != nil {
			problems = append(problems, field.Invalid(path.Key(name), text, err.Error()))
			continue
		}
		result.parameters = append(result.parameters, compiledParameter{parameter: known[i], template: compiled})
	}
	for _, p := range known {
		if _, given := step.Parameters[p.name]; p.required && !given {
			problems = append(problems, field.Required(path.Key(p.name), fmt.Sprintf("%s needs it", step.Type)))
		}
	}
	return result, problems
}

func namesOf(parameters []parameter) string {
	names := make([]string, len(parameters))
	for i, p := range parameters {
		names[i] = p.name
	}
	return strings.Join(names, ", ")
}

// graphProblems are duplicate names, dependencies on steps that do not exist, and the first cycle.
func graphProblems(path *field.Path, steps []catalogv1alpha1.PlaybookStep) field.ErrorList {
	var problems field.ErrorList
	dependencies := make(map[string][]string, len(steps))
	for i := range steps {
		if _, twice := dependencies[steps[i].Name]; twice {
			problems = append(problems, field.Duplicate(path.Index(i).Child("name"), steps[i].Name))
		}
		dependencies[steps[i].Name] = steps[i].DependsOn
	}
	for i := range steps {
		for j, name := range steps[i].DependsOn {
			if _, known := dependencies[name]; !known {
				problems = append(problems, field.NotFound(path.Index(i).Child("dependsOn").Index(j), name))
			}
		}
	}
	finished := map[string]bool{}
	for i := range steps {
		if cycle := findCycle(steps[i].Name, dependencies, finished, nil); cycle != nil {
			return append(problems, field.Invalid(path.Index(i).Child("dependsOn"), steps[i].Name, "depends on itself: "+strings.Join(cycle, " → ")))
		}
	}
	return problems
}

// findCycle follows the dependencies of a step; trail is how it was reached.
func findCycle(name string, dependencies map[string][]string, finished map[string]bool, trail []string) []string {
	if i := slices.Index(trail, name); i >= 0 {
		return append(slices.Clone(trail[i:]), name)
	}
	if finished[name] {
		return nil
	}
	for _, next := range dependencies[name] {
		if cycle := findCycle(next, dependencies, finished, append(slices.Clone(trail), name)); cycle != nil {
			return cycle
		}
	}
	finished[name] = true
	return nil
}

// match says why the playbook does not apply; empty when it does.
func (c *Compiled) match(ctx context.Context, spec *aianalysisv1.AIAnalysisSpec, variables map[string]any) (string, error) {
	match := c.spec.Match
	switch {
	case len(match.Signals) > 0 && !slices.Contains(match.Signals, spec.SignalContext.Name):
		return fmt.Sprintf("signal %s is none of its signals", spec.SignalContext.Name), nil
	case len(match.Kinds) > 0 && !slices.Contains(match.Kinds, spec.Target.Kind):
		return fmt.Sprintf("kind %s is none of its kinds", spec.Target.Kind), nil
	case len(match.Severities) > 0 && !slices.Contains(match.Severities, spec.SignalContext.Severity):
		return fmt.Sprintf("severity %s is none of its severities", spec.SignalContext.Severity), nil
	case len(match.Environments) > 0 && !slices.Contains(match.Environments, spec.Classification.Environment):
		return fmt.Sprintf("environment %s is none of its environments", spec.Classification.Environment), nil
	case c.matches == nil:
		return "", nil
	}
	value, err := evaluate(ctx, c.matches, variables)
	if err != nil {
		return "", fmt.Errorf("match.expression: %w", err)
	}
	if value != types.True {
		return "its expression is false", nil
	}
	return "", nil
}

// fill renders the playbook: the cause, and the workflow with typed actions.
func (c *Compiled) fill(ctx context.Context, variables map[string]any) (string, shared.WorkflowDefinition, error) {
	cause, err := c.rootCause.render(ctx, variables)
	if err != nil {
		return "", shared.WorkflowDefinition{}, fmt.Errorf("rootCause: %w", err)
	}
	definition := shared.WorkflowDefinition{Name: c.spec.Workflow.Name, Version: c.spec.Workflow.Version}
	for _, step := range c.steps {
		action, err := step.action(ctx, variables)
		if err != nil {
			return "", shared.WorkflowDefinition{}, fmt.Errorf("step %s: %w", step.step.Name, err)
		}
		definition.Steps = append(definition.Steps, shared.Step{
			Name: step.step.Name, Action: action, DependsOn: slices.Clone(step.step.DependsOn),
			Critical: step.step.Critical, MaxRetries: step.step.MaxRetries, Timeout: step.step.Timeout, Rollback: step.step.Rollback,
		})
	}
	return machinery.Cut(cause, longestText), definition, nil
}

func (s compiledStep) action(ctx context.Context, variables map[string]any) (shared.Action, error) {
	values := make(map[string]any, len(s.parameters))
	for _, p := range s.parameters {
		text, err := p.template.render(ctx, variables)
		if err != nil {
			return shared.Action{}, fmt.Errorf("parameter %s: %w", p.name, err)
		}
		if values[p.name], err = p.parse(text); err != nil {
			return shared.Action{}, fmt.Errorf("parameter %s: %w", p.name, err)
		}
	}
	return decodeAction(s.step.Type, values)
}

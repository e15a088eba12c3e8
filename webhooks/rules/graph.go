package rules

import (
	"errors"
	"math"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"kubernaut.io/kubernaut/api/shared"
	"kubernaut.io/kubernaut/controllers/kubernetesexecution/actions"
	"kubernaut.io/kubernaut/controllers/workflowexecution/planning"
)

// validateDependencies checks names and dependsOn of the steps, and that no steps wait for each other.
func validateDependencies(steps []shared.Step, path *field.Path) (errs field.ErrorList) {
	indices := make(map[string]int, len(steps))
	// sound is what remains without the errors found on the way, so that a circle is found beside them.
	var sound []shared.Step
	for i, step := range steps {
		if _, taken := indices[step.Name]; taken {
			errs = append(errs, field.Duplicate(path.Index(i).Child("name"), step.Name))
			continue
		}
		indices[step.Name] = i
		sound = append(sound, shared.Step{Name: step.Name})
	}
	for i, step := range steps {
		for k, name := range step.DependsOn {
			at := path.Index(i).Child("dependsOn").Index(k)
			_, known := indices[name]
			switch {
			case slices.Contains(step.DependsOn[:k], name):
				errs = append(errs, field.Duplicate(at, name))
			case name == step.Name:
				errs = append(errs, field.Invalid(at, name, "a step cannot wait for itself: remove it"))
			case !known:
				errs = append(errs, field.Invalid(at, name, "no step of this workflow has that name: name one of "+names(steps)))
			default:
				own := slices.IndexFunc(sound, func(s shared.Step) bool { return s.Name == step.Name })
				sound[own].DependsOn = append(sound[own].DependsOn, name)
			}
		}
	}
	_, err := planning.NewGraph(sound, func(int) string { return "" })
	if circle, is := errors.AsType[*planning.CycleError](err); is {
		first := indices[circle.Steps[0]]
		errs = append(errs, field.Invalid(path.Index(first).Child("dependsOn"), steps[first].DependsOn,
			"the steps wait for each other, so none could ever start: "+strings.Join(circle.Steps, " → ")+"; remove one of these dependencies"))
	}
	return errs
}

// names lists the steps for a message, the first ten of them.
func names(steps []shared.Step) string {
	const shown = 10
	list := make([]string, 0, shown+1)
	for i, step := range steps {
		if i == shown {
			list = append(list, "…")
			break
		}
		list = append(list, step.Name)
	}
	return strings.Join(list, ", ")
}

// LongestRun is how long the steps take if every attempt of every step uses its whole time-out and every retry is needed: the
// critical path of timeout × (1 + maxRetries) plus backoff, where no more than maxParallelSteps run at once. Steps that could
// never run, because they wait for each other or for nobody, or because the schema refuses them, give 0.
func LongestRun(definition *shared.WorkflowDefinition, strategy *shared.ExecutionStrategy) time.Duration {
	steps := definition.Steps
	if !bounded(steps) {
		return 0
	}
	graph, err := planning.NewGraph(steps, func(i int) string { return targetKey(&steps[i].Action) })
	if err != nil {
		return 0
	}
	var (
		now     time.Duration
		slots   = planning.MaxParallel(strategy)
		started = make([]bool, len(steps))
		ended   = make([]bool, len(steps))
		running = map[int]time.Duration{} // when each step that runs will end
	)
	for {
		for i := range steps {
			waits := slices.ContainsFunc(graph.Dependencies(i), func(before int) bool { return !ended[before] })
			if !started[i] && !waits && len(running) < slots {
				started[i] = true
				running[i] = now + planning.StepBudget(&steps[i])
			}
		}
		if len(running) == 0 {
			return now
		}
		now = math.MaxInt64
		for _, end := range running {
			now = min(now, end)
		}
		for i, end := range running {
			if end == now {
				ended[i] = true
				delete(running, i)
			}
		}
	}
}

// The bounds of the schema. Defaults are computed before the API server has checked it.
const (
	maxSteps   = 100
	maxRetries = 5
)

// bounded says whether the steps keep the bounds within which they can be computed with.
func bounded(steps []shared.Step) bool {
	return len(steps) <= maxSteps && !slices.ContainsFunc(steps, func(step shared.Step) bool {
		timeout, retries := planning.StepTimeout(&step), planning.Retries(&step)
		return retries < 0 || retries > maxRetries || timeout <= 0 || timeout > planning.MaxWorkflowTimeout
	})
}

// targetKey is the object that an action changes; empty for an action that changes none.
func targetKey(action *shared.Action) string {
	kind, known := actions.Get(action.Type)
	if !known {
		return ""
	}
	target := kind.Target(action)
	if target == nil {
		return ""
	}
	return target.Key()
}

package planning

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
)

// Defaults of what a step and a strategy leave open; the same as those of the schema, for objects that were not defaulted.
const (
	DefaultStepTimeout      = 5 * time.Minute
	DefaultMaxParallelSteps = 5
	// MaxWorkflowTimeout bounds the time-out that is derived from the steps.
	MaxWorkflowTimeout = 2 * time.Hour
)

// The backoff between two attempts of a step.
const (
	firstBackoff = 5 * time.Second
	maxBackoff   = 2 * time.Minute
)

// Backoff is how long to wait before the next attempt when that many attempts have failed: 5 s, doubling up to 2 m.
func Backoff(failed int32) time.Duration {
	backoff := firstBackoff
	for range max(failed-1, 0) {
		backoff *= 2
		if backoff >= maxBackoff {
			return maxBackoff
		}
	}
	return backoff
}

// StepBudget is the longest that a step may take with all its attempts and the backoff between them.
func StepBudget(step *shared.Step) time.Duration {
	retries := Retries(step)
	budget := StepTimeout(step) * time.Duration(1+retries)
	for failed := int32(1); failed <= retries; failed++ {
		budget += Backoff(failed)
	}
	return budget
}

// StepTimeout is the limit of one attempt of a step.
func StepTimeout(step *shared.Step) time.Duration {
	if step.Timeout == nil {
		return DefaultStepTimeout
	}
	return step.Timeout.Duration
}

// Retries is how often a step is tried again.
func Retries(step *shared.Step) int32 {
	if step.MaxRetries == nil {
		return 0
	}
	return *step.MaxRetries
}

// MaxParallel is how many steps may run at once.
func MaxParallel(strategy *shared.ExecutionStrategy) int {
	if strategy == nil || strategy.MaxParallelSteps == nil {
		return DefaultMaxParallelSteps
	}
	return int(*strategy.MaxParallelSteps)
}

// Budget is the longest that the steps may take along the graph.
func (g *Graph) Budget(steps []shared.Step) time.Duration {
	_, budget := g.CriticalPath(func(i int) time.Duration { return StepBudget(&steps[i]) })
	return budget
}

// Input is what a plan is made of.
type Input struct {
	// Definition is the workflow.
	Definition *shared.WorkflowDefinition
	// Undo is what the definition was derived from in a workflow that undoes another one.
	Undo *workflowexecutionv1.Undo
	// Strategy is how it is run; nil is the default.
	Strategy *shared.ExecutionStrategy
	// Mode is the mode that applies.
	Mode shared.Mode
	// Targets are the objects that the steps change, as they are now.
	Targets []workflowexecutionv1.PlannedTarget
	// TypicalDuration is how long a step usually takes.
	TypicalDuration func(step int) time.Duration
}

// Build makes the plan.
func Build(graph *Graph, in Input) (*workflowexecutionv1.Plan, error) {
	digest, err := Digest(in)
	if err != nil {
		return nil, err
	}
	path, estimate := graph.CriticalPath(in.TypicalDuration)
	batches := graph.Batches(MaxParallel(in.Strategy))
	plan := &workflowexecutionv1.Plan{
		Strategy:          strategy(batches),
		CriticalPath:      indices(path),
		EstimatedDuration: &metav1.Duration{Duration: estimate},
		Digest:            digest,
		Targets:           in.Targets,
		Undo:              in.Undo,
	}
	for _, batch := range batches {
		plan.Batches = append(plan.Batches, indices(batch))
	}
	return plan, nil
}

func indices(steps []int) []int32 {
	out := make([]int32, len(steps))
	for i, step := range steps {
		out[i] = int32(step) //nolint:gosec // a workflow has at most 100 steps
	}
	return out
}

func strategy(batches [][]int) workflowexecutionv1.PlanStrategy {
	widest := 0
	for _, batch := range batches {
		widest = max(widest, len(batch))
	}
	switch {
	case widest <= 1:
		return workflowexecutionv1.StrategySequential
	case len(batches) == 1:
		return workflowexecutionv1.StrategyParallel
	default:
		return workflowexecutionv1.StrategyMixed
	}
}

// Digest is SHA-256 over the JSON of all that makes the plan this one: steps, targets with their UIDs, mode and strategy. Go's encoder
// writes struct fields in their order and map keys sorted, so equal values give equal text; the targets are sorted here.
func Digest(in Input) (string, error) {
	uids := make([]string, len(in.Targets))
	for i, target := range in.Targets {
		uids[i] = target.Key() + "=" + target.UID
	}
	slices.Sort(uids)
	text, err := json.Marshal(struct {
		Steps    []shared.Step             `json:"steps"`
		Targets  []string                  `json:"targets"`
		Mode     shared.Mode               `json:"mode"`
		Strategy *shared.ExecutionStrategy `json:"strategy"`
		Undo     *workflowexecutionv1.Undo `json:"undo,omitempty"`
	}{in.Definition.Steps, uids, in.Mode, in.Strategy, in.Undo})
	if err != nil {
		return "", fmt.Errorf("plan digest: %w", err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), nil
}

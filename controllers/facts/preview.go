package facts

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"golang.org/x/sync/errgroup"
	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	apiruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	safetyv1alpha1 "kubernaut.io/kubernaut/api/safety/v1alpha1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/controllers/kubernetesexecution"
	"kubernaut.io/kubernaut/controllers/kubernetesexecution/actions"
	"kubernaut.io/kubernaut/controllers/kubernetesexecution/effects"
	"kubernaut.io/kubernaut/controllers/machinery"
	"kubernaut.io/kubernaut/controllers/workflowexecution/planning"
)

// StepPreview is what the gate would say about a step now, or why that is not known.
type StepPreview struct {
	// Step is the name of the step.
	Step string
	// Decision is the gate's; it has no verdict where there is a problem.
	Decision shared.Decision
	// Problem says why the step could not be judged, or would fail before that; empty otherwise.
	Problem string
}

// Preview has the gate say what it would say about the steps of a workflow that nobody has stored yet. It writes nothing, records
// nothing, and tries nothing: dry runs are for the accounts of the actions, which it does not have. It reads what the manager may
// read, which the author of the workflow need not be allowed to: ask it only for who may get the targets.
type Preview struct {
	facts *Facts
	// trial plans actions with the manager's client, which it cannot write with.
	trial *effects.Effects
}

// NewPreview makes a Preview that reads as the manager, whose client this is.
func NewPreview(known *Facts, manager client.Client) *Preview {
	reads := previewClient{Client: client.NewDryRunClient(manager), cache: known.Cache}
	return &Preview{facts: known, trial: effects.New(func(shared.ActionType) (machinery.Clients, error) {
		return machinery.Clients{Live: reads}, nil
	})}
}

// Steps gives a preview of every step, in the order of the workflow. Its error says why there is none.
func (p *Preview) Steps(ctx context.Context, workflow *workflowexecutionv1.WorkflowExecution) ([]StepPreview, error) {
	if workflow.Spec.WorkflowDefinition == nil {
		return nil, nil
	}
	if !p.facts.Gate.Ready() {
		return nil, errors.New("the safety gate has no policy set yet")
	}
	if p.facts.Activity != nil && !p.facts.Activity.Synced() {
		return nil, errors.New("what other workflows did has not been read yet")
	}
	steps := workflow.Spec.WorkflowDefinition.Steps
	graph, err := planning.NewGraph(steps, func(i int) string { return targetKey(&steps[i].Action) })
	if err != nil {
		return nil, err
	}
	previews := make([]StepPreview, len(steps))
	preparations, err := p.prepareAll(ctx, workflow, graph.Order(), previews)
	if err != nil {
		return nil, err
	}
	planned, err := plannedCopy(workflow, graph, preparations)
	if err != nil {
		return nil, err
	}
	judges, ctx := errgroup.WithContext(ctx)
	judges.SetLimit(runtime.GOMAXPROCS(0))
	for i, preparation := range preparations {
		if preparation == nil {
			continue
		}
		judges.Go(guarded(ctx, func() error {
			input, err := p.facts.Input(ctx, kubernetesexecution.JudgeRequest{
				Stage: safetyv1alpha1.StagePlan, Workflow: planned, StepIndex: int32(i), Preparation: preparation, //nolint:gosec // at most 100 steps
			})
			if err != nil {
				return err
			}
			previews[i].Decision = p.facts.Gate.Preview(ctx, input).Decision
			return ctx.Err()
		}))
	}
	return previews, judges.Wait()
}

// prepareAll prepares the steps, those of different targets at the same time; a step that builds on an earlier one of the same target
// is prepared on top of that one's result, in the order in which they run. Where a step cannot be prepared, its preview says why.
func (p *Preview) prepareAll(
	ctx context.Context, workflow *workflowexecutionv1.WorkflowExecution, order []int, previews []StepPreview,
) ([]*effects.Preparation, error) {
	steps := workflow.Spec.WorkflowDefinition.Steps
	preparations := make([]*effects.Preparation, len(steps))
	onTarget := map[string][]int{}
	for _, i := range order {
		previews[i].Step = steps[i].Name
		key := targetKey(&steps[i].Action)
		onTarget[key] = append(onTarget[key], i)
	}
	var targets errgroup.Group
	targets.SetLimit(runtime.GOMAXPROCS(0))
	for key, indices := range onTarget {
		targets.Go(guarded(ctx, func() error {
			var result *unstructured.Unstructured
			for _, i := range indices {
				action := &steps[i].Action
				occasion := actions.OccasionOf(workflow, int32(i)) //nolint:gosec // at most 100 steps
				occasion.Workflow = cmp.Or(occasion.Workflow, notStored)
				preparation, err := p.prepare(ctx, effects.Request{Action: action, Occasion: occasion, Base: result})
				if err != nil {
					previews[i].Problem = problemOf(action, err)
					continue
				}
				if preparation.Result != nil && key != "" {
					result = preparation.Result
				}
				preparations[i] = preparation
			}
			return nil // a step that cannot be prepared is no error
		}))
	}
	return preparations, targets.Wait()
}

// guarded makes an error of a panic: a workflow that finds a mistake in an action must not take the manager down.
func guarded(ctx context.Context, what func() error) func() error {
	return func() (err error) {
		defer func() {
			if problem := recover(); problem != nil {
				err = machinery.Panicked(ctx, "the preview", problem)
			}
		}()
		return what()
	}
}

// notStored stands for the UID of a workflow that has none yet.
const notStored types.UID = "not stored"

func (p *Preview) prepare(ctx context.Context, request effects.Request) (*effects.Preparation, error) {
	prepared, err := p.trial.Prepare(ctx, request)
	if err != nil {
		return nil, err
	}
	// Nobody has tried the change, so what it is taken for is what the action plans; what admission would add is not known.
	prepared.DryRun = prepared.Planned()
	return prepared, nil
}

// problemOf says for the author of a step why it could not be prepared. Who reads is the manager, not the account of the action.
func problemOf(action *shared.Action, err error) string {
	target := "its target"
	if known, is := actions.Get(action.Type); is {
		if t := known.Target(action); t != nil {
			target = t.String()
		}
	}
	switch {
	case apierrors.IsForbidden(err):
		return "the webhooks may not read " + target + ", so it is judged when the workflow is validated"
	case machinery.IsTransient(err):
		return target + " could not be read now: " + err.Error()
	default:
		return "it would fail: " + err.Error()
	}
}

// plannedCopy is the workflow with the plan that it would get.
func plannedCopy(workflow *workflowexecutionv1.WorkflowExecution, graph *planning.Graph, preparations []*effects.Preparation) (*workflowexecutionv1.WorkflowExecution, error) {
	steps := workflow.Spec.WorkflowDefinition.Steps
	var targets []workflowexecutionv1.PlannedTarget
	seen := map[string]bool{}
	for _, preparation := range preparations {
		if preparation == nil || preparation.Target == nil || seen[preparation.Target.Key()] {
			continue
		}
		seen[preparation.Target.Key()] = true
		targets = append(targets, workflowexecutionv1.PlannedTarget{
			Target: *preparation.Target, UID: string(preparation.Live.GetUID()), Generation: preparation.Live.GetGeneration(),
		})
	}
	plan, err := planning.Build(graph, planning.Input{
		Definition: workflow.Spec.WorkflowDefinition, Strategy: workflow.Spec.ExecutionStrategy, Mode: workflow.Spec.Mode, Targets: targets,
		TypicalDuration: func(i int) time.Duration {
			if action, is := actions.Get(steps[i].Action.Type); is {
				return action.TypicalDuration()
			}
			return 0
		},
	})
	if err != nil {
		return nil, err
	}
	planned := *workflow
	planned.Status.Plan = plan
	return &planned, nil
}

func targetKey(action *shared.Action) string {
	known, is := actions.Get(action.Type)
	if !is {
		return ""
	}
	target := known.Target(action)
	if target == nil {
		return ""
	}
	return target.Key()
}

// previewClient reads workloads from the cache, on which a preview may rest because no verdict does, and all else live. What it is
// asked to write it only tries.
type previewClient struct {
	client.Client
	cache client.Reader
}

// Get reads one object.
func (c previewClient) Get(ctx context.Context, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
	target, is := object.(*unstructured.Unstructured)
	if !is {
		return c.Client.Get(ctx, key, object, options...)
	}
	kind := target.GroupVersionKind()
	var held client.Object
	switch kind {
	case appsv1.SchemeGroupVersion.WithKind("Deployment"):
		held = &appsv1.Deployment{}
	case appsv1.SchemeGroupVersion.WithKind("StatefulSet"):
		held = &appsv1.StatefulSet{}
	case appsv1.SchemeGroupVersion.WithKind("DaemonSet"):
		held = &appsv1.DaemonSet{}
	default:
		return c.Client.Get(ctx, key, object, options...)
	}
	if err := c.cache.Get(ctx, key, held); err != nil {
		return err
	}
	content, err := apiruntime.DefaultUnstructuredConverter.ToUnstructured(held)
	if err != nil {
		return fmt.Errorf("converting %s %s: %w", kind.Kind, key, err)
	}
	target.Object = content
	target.SetGroupVersionKind(kind)
	return nil
}

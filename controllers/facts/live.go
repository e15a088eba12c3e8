package facts

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	authenticationv1 "k8s.io/api/authentication/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubernetesexecutionv1 "kubernaut.io/kubernaut/api/kubernetesexecution/v1"
	safetyv1alpha1 "kubernaut.io/kubernaut/api/safety/v1alpha1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/controllers/kubernetesexecution"
	"kubernaut.io/kubernaut/controllers/kubernetesexecution/actions"
	"kubernaut.io/kubernaut/controllers/kubernetesexecution/effects"
	"kubernaut.io/kubernaut/controllers/machinery"
	"kubernaut.io/kubernaut/controllers/workflowexecution/planning"
	"kubernaut.io/kubernaut/policies/gate"
)

// Live reads facts with the rights of a person, for a workflow that nobody has stored: what policies would be told of it now. It
// changes nothing; the API server is asked to try the changes, as that person, where it lets them. What may not be read is missing,
// with the reason.
type Live struct {
	client client.Client
	clock  clock.PassiveClock
}

// NewLive makes a Live that reads with a person's client.
func NewLive(person client.Client, now clock.PassiveClock) *Live {
	return &Live{client: person, clock: now}
}

// Inputs are the documents of all steps, in the order of the workflow, at a stage. Its error says why there are none.
func (l *Live) Inputs(ctx context.Context, workflow *workflowexecutionv1.WorkflowExecution, stage gate.Stage) ([]*gate.Input, error) {
	asked := workflow.DeepCopy()
	if asked.Spec.RequestedBy.Username == "" {
		requester, err := l.whoAmI(ctx)
		if err != nil {
			return nil, err
		}
		asked.Spec.RequestedBy = requester
	}
	steps := asked.Spec.WorkflowDefinition.Steps
	graph, err := planning.NewGraph(steps, func(i int) string { return targetKey(&steps[i].Action) })
	if err != nil {
		return nil, err
	}
	preparations, problems := l.prepareAll(ctx, steps, graph.Order())
	planned, err := plannedCopy(asked, graph, readable(preparations))
	if err != nil {
		return nil, err
	}
	activity, unwatched := l.activity(ctx)
	known := Facts{Cache: liveReader{l.client}, Activity: activity, Clock: l.clock}
	inputs := make([]*gate.Input, len(steps))
	for i := range steps {
		question := kubernetesexecution.JudgeRequest{
			Stage: safetyv1alpha1.Stage(stage), Workflow: planned, StepIndex: int32(i), Preparation: preparations[i],
		}
		if stage != gate.StagePlan {
			question.Attempt = 1
		}
		if inputs[i], err = known.Input(ctx, question); err != nil {
			return nil, err
		}
		explainMissing(inputs[i], "target.", problems[i].read)
		explainMissing(inputs[i], "impact.", problems[i].tried)
		explainMissing(inputs[i], "rollback.", problems[i].tried)
		explainMissing(inputs[i], "cluster.activeWorkflows", unwatched)
		explainMissing(inputs[i], "cluster.executions", unwatched)
	}
	return inputs, nil
}

// explainMissing gives what is missing below a path its reason; without one the reasons stay as they are.
func explainMissing(input *gate.Input, prefix, reason string) {
	if reason == "" {
		return
	}
	for i := range input.Missing {
		if strings.HasPrefix(input.Missing[i].Path, prefix) {
			input.Missing[i].Reason = reason
		}
	}
}

// whoAmI is who would ask for the workflow: what admission would stamp.
func (l *Live) whoAmI(ctx context.Context) (shared.Requester, error) {
	review := &authenticationv1.SelfSubjectReview{}
	if err := l.client.Create(ctx, review); err != nil {
		return shared.Requester{}, fmt.Errorf("who you are: %w", err)
	}
	user := review.Status.UserInfo
	return shared.Requester{Username: user.Username, UID: user.UID, Groups: user.Groups}, nil
}

// problem says what could not be done to prepare a step; empty where it could.
type problem struct{ read, tried string }

// prepareAll prepares the steps in the order in which they run, each on top of what earlier ones leave behind.
func (l *Live) prepareAll(ctx context.Context, steps []shared.Step, order []int) ([]*effects.Preparation, []problem) {
	trial := effects.New(func(shared.ActionType) (machinery.Clients, error) { return machinery.Clients{Live: l.client}, nil })
	preparations, problems := make([]*effects.Preparation, len(steps)), make([]problem, len(steps))
	results := map[string]*unstructured.Unstructured{}
	for _, i := range order {
		action := &steps[i].Action
		key := targetKey(action)
		request := effects.Request{Action: action, Base: results[key], DryRun: true}
		prepared, err := trial.Prepare(ctx, request)
		if err != nil && !apierrors.IsNotFound(err) {
			// It may be the dry run that is not allowed, and not the reading.
			problems[i].tried = reasonOf(err)
			request.DryRun = false
			prepared, err = trial.Prepare(ctx, request)
		}
		if err != nil {
			problems[i].read, problems[i].tried = reasonOf(err), reasonOf(err)
			prepared = &effects.Preparation{Inverse: &kubernetesexecutionv1.Inverse{AbsentReason: "the target was not read"}}
			if known, is := actions.Get(action.Type); is {
				prepared.Target = known.Target(action)
			}
		}
		if prepared.Result != nil && key != "" {
			results[key] = prepared.Result
		}
		preparations[i] = prepared
	}
	return preparations, problems
}

// reasonOf says why something failed, without whose account it was: it was the caller's.
func reasonOf(err error) string {
	answer, is := errors.AsType[interface {
		error
		Status() metav1.Status
	}](err)
	if is {
		return answer.Status().Message
	}
	return err.Error()
}

// readable leaves out the preparations whose target was not read.
func readable(preparations []*effects.Preparation) []*effects.Preparation {
	out := slices.Clone(preparations)
	for i, preparation := range out {
		if preparation.Live == nil {
			out[i] = nil
		}
	}
	return out
}

// activity is what the other workflows do and did, as far as the caller may see all of them; without that, why it is not known.
func (l *Live) activity(ctx context.Context) (*Activity, string) {
	var workflows workflowexecutionv1.WorkflowExecutionList
	if err := l.client.List(ctx, &workflows); err != nil {
		return nil, reasonOf(err)
	}
	var executions kubernetesexecutionv1.KubernetesExecutionList
	if err := l.client.List(ctx, &executions); err != nil {
		return nil, reasonOf(err)
	}
	activity := NewActivity(l.clock)
	for i := range workflows.Items {
		activity.Observe(&workflows.Items[i])
	}
	for i := range executions.Items {
		activity.Observe(&executions.Items[i])
	}
	return activity, ""
}

// liveReader asks the API server what the manager's cache is asked: it has no index.
type liveReader struct{ client.Reader }

// List lists objects. By what scales a workload the API server cannot select.
func (r liveReader) List(ctx context.Context, list client.ObjectList, options ...client.ListOption) error {
	hpas, is := list.(*autoscalingv2.HorizontalPodAutoscalerList)
	if !is {
		return r.Reader.List(ctx, list, options...)
	}
	var asked client.ListOptions
	asked.ApplyOptions(options)
	if err := r.Reader.List(ctx, hpas, client.InNamespace(asked.Namespace)); err != nil {
		return err
	}
	if asked.FieldSelector == nil {
		return nil
	}
	key, _ := asked.FieldSelector.RequiresExactMatch(indexScaled)
	hpas.Items = slices.DeleteFunc(hpas.Items, func(hpa autoscalingv2.HorizontalPodAutoscaler) bool { return !slices.Contains(scaledBy(&hpa), key) })
	return nil
}

package workflowexecution

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubernetesexecutionv1 "kubernaut.io/kubernaut/api/kubernetesexecution/v1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/controllers/machinery"
)

// act carries out what the recorded status has announced. Every act is idempotent: an execution is found again by its name.
func (r *Reconciler) act(ctx context.Context, workflow *workflowexecutionv1.WorkflowExecution, next decision) error {
	if next.remove {
		return r.remove(ctx, workflow)
	}
	var problems []error
	if next.unlock {
		problems = append(problems, r.unlock(ctx, workflow))
	}
	for _, name := range next.cancel {
		problems = append(problems, r.cancelExecution(ctx, workflow, name))
	}
	for _, spec := range next.create {
		problems = append(problems, r.ensureExecution(ctx, workflow, spec))
	}
	if next.asks != nil {
		problems = append(problems, r.ensureApproval(ctx, workflow, *next.asks))
	}
	return errors.Join(problems...)
}

func (r *Reconciler) ensureExecution(ctx context.Context, workflow *workflowexecutionv1.WorkflowExecution, spec kubernetesexecutionv1.KubernetesExecutionSpec) error {
	child := newExecution(workflow, spec)
	same := func(existing *kubernetesexecutionv1.KubernetesExecution) error {
		have := existing.Spec
		if have.StepIndex != spec.StepIndex || have.Attempt != spec.Attempt || have.Purpose != spec.Purpose || have.RestoreFrom != spec.RestoreFrom || have.PlanDigest != spec.PlanDigest {
			return fmt.Errorf("it is step %d, attempt %d, %s, plan %.12s", have.StepIndex, have.Attempt, have.Purpose, have.PlanDigest)
		}
		return nil
	}
	err := machinery.EnsureChild(ctx, r.Clients.Live, r.Clients.Live, child, &kubernetesexecutionv1.KubernetesExecution{}, same)
	if err != nil {
		return fmt.Errorf("execution %s of step %q: %w", child.Name, spec.StepName, err)
	}
	return nil
}

func newExecution(workflow *workflowexecutionv1.WorkflowExecution, spec kubernetesexecutionv1.KubernetesExecutionSpec) *kubernetesexecutionv1.KubernetesExecution {
	labels := map[string]string{
		shared.LabelWorkflowExecution: shared.Bounded(workflow.Name),
		shared.LabelStep:              strconv.Itoa(int(spec.StepIndex)),
	}
	if request := workflow.Labels[shared.LabelRemediationRequest]; request != "" {
		labels[shared.LabelRemediationRequest] = request
	}
	name := shared.ExecutionName(workflow.Name, spec.StepIndex, spec.Attempt)
	if spec.Purpose == kubernetesexecutionv1.PurposeRollBack {
		name = shared.RollbackName(workflow.Name, spec.StepIndex, spec.Attempt)
	}
	return &kubernetesexecutionv1.KubernetesExecution{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: workflow.Namespace,
			Name:      name,
			Labels:    labels,
			// What it captured must not go while the workflow may have to undo it.
			Finalizers: []string{shared.FinalizerKubernetesExecution},
			OwnerReferences: []metav1.OwnerReference{
				*metav1.NewControllerRef(workflow, workflowexecutionv1.GroupVersion.WithKind("WorkflowExecution")),
			},
		},
		Spec: spec,
	}
}

// remove deletes a finished workflow whose time is up, unless it changed since it was read.
func (r *Reconciler) remove(ctx context.Context, workflow *workflowexecutionv1.WorkflowExecution) error {
	preconditions := client.Preconditions{UID: new(workflow.UID), ResourceVersion: new(workflow.ResourceVersion)}
	return client.IgnoreNotFound(r.Clients.Live.Delete(ctx, workflow, preconditions, client.PropagationPolicy(metav1.DeletePropagationBackground)))
}

package workflowexecution

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubernetesexecutionv1 "kubernaut.io/kubernaut/api/kubernetesexecution/v1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/controllers/kubernetesexecution/effects"
	"kubernaut.io/kubernaut/controllers/machinery"
	"kubernaut.io/kubernaut/controllers/workflowexecution/planning"
)

// indexUndoes finds the workflows that undo another one by its UID.
const indexUndoes = "spec.rollbackOf.uid"

func undoneUID(object client.Object) []string {
	workflow, ok := object.(*workflowexecutionv1.WorkflowExecution)
	if !ok || !undoesAnother(workflow) {
		return nil
	}
	return []string{string(workflow.Spec.RollbackOf.UID)}
}

// gatherUndone reads the workflow that is to be undone, and what its executions left behind, live: what is derived from them is
// the plan.
func (r *Reconciler) gatherUndone(ctx context.Context, workflow *workflowexecutionv1.WorkflowExecution) (undone, error) {
	u := undone{executions: map[string]*kubernetesexecutionv1.KubernetesExecution{}}
	ref := *workflow.Spec.RollbackOf
	other := &workflowexecutionv1.WorkflowExecution{}
	err := r.Clients.Live.Get(ctx, client.ObjectKey{Namespace: workflow.Namespace, Name: ref.Name}, other)
	if apierrors.IsNotFound(err) {
		return u, nil
	}
	if err != nil {
		return u, fmt.Errorf("reading WorkflowExecution %s: %w", ref.Name, err)
	}
	u.workflow = other
	if class, _ := planning.UndoRefused(ref, other); class != "" {
		return u, nil
	}
	if u.by, err = r.undoneBy(ctx, workflow); err != nil {
		return u, err
	}
	for _, step := range other.Status.Steps {
		if !planning.MayBeUndone(step) {
			continue
		}
		for attempt := int32(1); attempt <= step.Attempts; attempt++ {
			name := shared.ExecutionName(other.Name, step.Index, attempt)
			execution, err := r.executionOf(ctx, other, name)
			if err != nil {
				return u, err
			}
			if execution != nil {
				u.executions[name] = execution
			}
		}
	}
	return u, nil
}

// executionOf reads an execution of a workflow, live; nil when there is none.
func (r *Reconciler) executionOf(ctx context.Context, workflow *workflowexecutionv1.WorkflowExecution, name string) (*kubernetesexecutionv1.KubernetesExecution, error) {
	execution := &kubernetesexecutionv1.KubernetesExecution{}
	err := r.Clients.Live.Get(ctx, client.ObjectKey{Namespace: workflow.Namespace, Name: name}, execution)
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil //nolint:nilnil // nil is the answer
	case err != nil:
		return nil, fmt.Errorf("reading execution %s: %w", name, err)
	case !machinery.OwnedBy(execution, workflow):
		return nil, nil //nolint:nilnil // somebody else's object has the name
	}
	return execution, nil
}

// undoneBy names another workflow that undoes the same one, and came first or has come to its end.
func (r *Reconciler) undoneBy(ctx context.Context, workflow *workflowexecutionv1.WorkflowExecution) (string, error) {
	others, err := r.undoers(ctx, workflow.Namespace, workflow.Spec.RollbackOf.UID)
	if err != nil {
		return "", err
	}
	for i := range others {
		other := &others[i]
		if other.UID == workflow.UID {
			continue
		}
		switch phase := other.Status.Phase; {
		case phase == workflowexecutionv1.PhaseCompleted && other.Status.Outcome != workflowexecutionv1.OutcomeDryRun:
			return other.Name, nil
		case !phase.Terminal() && other.Spec.Mode != shared.ModeDryRun && cameFirst(other, workflow):
			return other.Name, nil
		}
	}
	return "", nil
}

// cameFirst says whether a was created before b; of two at the same time the one with the smaller UID.
func cameFirst(a, b *workflowexecutionv1.WorkflowExecution) bool {
	if !a.CreationTimestamp.Equal(&b.CreationTimestamp) {
		return a.CreationTimestamp.Before(&b.CreationTimestamp)
	}
	return a.UID < b.UID
}

// undoers are the workflows that undo the one with a UID.
func (r *Reconciler) undoers(ctx context.Context, namespace string, uid types.UID) ([]workflowexecutionv1.WorkflowExecution, error) {
	var list workflowexecutionv1.WorkflowExecutionList
	err := r.Cache.List(ctx, &list, client.InNamespace(namespace), client.MatchingFields{indexUndoes: string(uid)}, client.UnsafeDisableDeepCopy)
	if err != nil {
		return nil, fmt.Errorf("listing the workflows that undo another one: %w", err)
	}
	return list.Items, nil
}

// beingUndone says whether a workflow that has not ended undoes this one: what it restores from must not go meanwhile.
func (r *Reconciler) beingUndone(ctx context.Context, workflow *workflowexecutionv1.WorkflowExecution) (bool, error) {
	others, err := r.undoers(ctx, workflow.Namespace, workflow.UID)
	for i := range others {
		if !others[i].Status.Phase.Terminal() {
			return true, nil
		}
	}
	return false, err
}

// prepareUndo prepares restoring what an execution of the undone workflow captured, on top of what the steps before leave.
func (r *Reconciler) prepareUndo(ctx context.Context, workflow *workflowexecutionv1.WorkflowExecution, i int, base *unstructured.Unstructured, dryRun bool) (*effects.Preparation, error) {
	name := workflow.Status.Plan.Undo.Steps[i].RestoreFrom
	origin := &kubernetesexecutionv1.KubernetesExecution{}
	err := r.Clients.Live.Get(ctx, client.ObjectKey{Namespace: workflow.Namespace, Name: name}, origin)
	if err == nil && origin.Spec.WorkflowExecutionRef != *workflow.Spec.RollbackOf {
		err = machinery.Typed(shared.ErrorResourceConflict, fmt.Errorf("KubernetesExecution %s was deleted and made again: it does not belong to the workflow that is undone", name))
	}
	if apierrors.IsNotFound(err) {
		err = machinery.Typed(shared.ErrorResourceNotFound, fmt.Errorf("KubernetesExecution %s, which captured what would be restored, is gone: %w", name, err))
	}
	if err != nil {
		return nil, err
	}
	return r.Effects.PrepareRestore(ctx, effects.RestoreRequest{
		Action: origin.Spec.Action, Captured: origin.Status.Inverse, Seen: origin.Status.DryRun,
		DryRun: dryRun, Base: base,
	})
}

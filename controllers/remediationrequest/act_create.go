package remediationrequest

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	aianalysisv1 "kubernaut.io/kubernaut/api/aianalysis/v1"
	remediationv1 "kubernaut.io/kubernaut/api/remediation/v1"
	remediationprocessingv1 "kubernaut.io/kubernaut/api/remediationprocessing/v1"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/controllers/machinery"
)

// act does what was decided, once the decision is recorded. Doing it again finds the child that is there.
func (r *Reconciler) act(ctx context.Context, request *remediationv1.RemediationRequest, next decision) error {
	switch {
	case next.processing != nil:
		return r.createProcessing(ctx, next.processing)
	case next.analysis != nil:
		return r.createAnalysis(ctx, next.analysis)
	case next.workflow != nil:
		return r.createWorkflow(ctx, next.workflow)
	case next.cancel != nil:
		return r.cancel(ctx, next.cancel)
	case next.remove:
		return r.remove(ctx, request)
	default:
		return nil
	}
}

func (r *Reconciler) createProcessing(ctx context.Context, child *remediationprocessingv1.RemediationProcessing) error {
	want := child.Spec
	return machinery.EnsureChild(ctx, r.Clients.Cached, r.Clients.Live, child, &remediationprocessingv1.RemediationProcessing{},
		func(have *remediationprocessingv1.RemediationProcessing) error {
			if have.Spec.RemediationRequestRef != want.RemediationRequestRef || have.Spec.Target != want.Target ||
				have.Spec.RecoveryAttemptNumber != want.RecoveryAttemptNumber || !equality.Semantic.DeepEqual(have.Spec.FailedWorkflowRef, want.FailedWorkflowRef) {
				return errors.New("its request, target, attempt or failed workflow is another one")
			}
			return nil
		})
}

func (r *Reconciler) createAnalysis(ctx context.Context, child *aianalysisv1.AIAnalysis) error {
	want := child.Spec
	return machinery.EnsureChild(ctx, r.Clients.Cached, r.Clients.Live, child, &aianalysisv1.AIAnalysis{},
		func(have *aianalysisv1.AIAnalysis) error {
			if have.Spec.RemediationRequestRef != want.RemediationRequestRef || have.Spec.RemediationProcessingRef != want.RemediationProcessingRef ||
				have.Spec.RecoveryAttemptNumber != want.RecoveryAttemptNumber || !slices.Equal(have.Spec.FailedPlaybooks, want.FailedPlaybooks) {
				return errors.New("its request, examination, attempt or what failed before is another one")
			}
			return nil
		})
}

func (r *Reconciler) createWorkflow(ctx context.Context, child *workflowexecutionv1.WorkflowExecution) error {
	want := child.Spec
	return machinery.EnsureChild(ctx, r.Clients.Cached, r.Clients.Live, child, &workflowexecutionv1.WorkflowExecution{},
		func(have *workflowexecutionv1.WorkflowExecution) error { return sameWorkflow(&want, &have.Spec) })
}

// sameWorkflow says how a workflow is not the one that was wanted. What admission and the schema fill in is not asked for; all that is
// asked for must be there, and no step more.
func sameWorkflow(want, have *workflowexecutionv1.WorkflowExecutionSpec) error {
	definition := have.WorkflowDefinition
	if definition == nil || len(definition.Steps) != len(want.WorkflowDefinition.Steps) || !equality.Semantic.DeepDerivative(want, have) {
		return errors.New("its request, definition or strategy is another one")
	}
	return nil
}

// cancel stops the very workflow that was decided on. One that is gone has ended: the next reconcile sees it.
func (r *Reconciler) cancel(ctx context.Context, workflow *workflowexecutionv1.WorkflowExecution) error {
	err := r.Clients.Cached.Update(ctx, workflow)
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("stopping WorkflowExecution %s: %w", workflow.Name, err)
	}
	return nil
}

// isRefusal says whether a child cannot be created, or a workflow not be stopped, however often one tries.
func isRefusal(err error) bool {
	if _, foreign := errors.AsType[*machinery.ForeignChildError](err); foreign {
		return true
	}
	return apierrors.IsForbidden(err) || apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) || apierrors.IsRequestEntityTooLargeError(err)
}

// remove deletes the very object that was decided on; its children go with it.
func (r *Reconciler) remove(ctx context.Context, request *remediationv1.RemediationRequest) error {
	preconditions := client.Preconditions{UID: &request.UID, ResourceVersion: &request.ResourceVersion}
	err := r.Clients.Cached.Delete(ctx, request, preconditions, client.PropagationPolicy(metav1.DeletePropagationBackground))
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("deleting after its time to live: %w", err)
	}
	return nil
}

package webhooks

import (
	"context"
	"encoding/json"
	"fmt"

	admissionv1 "k8s.io/api/admission/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/controllers/rights"
	"kubernaut.io/kubernaut/webhooks/rules"
)

func workflowExecutionHook() hook {
	return hook{
		group:    workflowexecutionv1.GroupVersion.Group,
		version:  workflowexecutionv1.GroupVersion.Version,
		kind:     "WorkflowExecution",
		resource: "workflowexecutions",
	}
}

// workflowExecutions is admission for WorkflowExecution.
type workflowExecutions struct {
	callers
	authorizer
	preview *preview
	// live reads what a decision must not take from a stale cache.
	live client.Reader
}

// Default completes a new workflow, and gives an update back what admission once set.
func (w *workflowExecutions) Default(ctx context.Context, object *workflowexecutionv1.WorkflowExecution) error {
	request, err := admission.RequestFromContext(ctx)
	if err != nil {
		return err
	}
	if request.Operation == admissionv1.Update {
		old, err := decodeOld[workflowexecutionv1.WorkflowExecution](&request)
		if err != nil {
			return err
		}
		rules.KeepWorkflowExecution(object, old)
		return nil
	}
	caller, orchestrator := w.caller(&request)
	return workflowExecutionHook().refuse(object, rules.DefaultWorkflowExecution(object, caller, orchestrator))
}

// ValidateCreate checks a new workflow.
func (w *workflowExecutions) ValidateCreate(ctx context.Context, object *workflowexecutionv1.WorkflowExecution) (admission.Warnings, error) {
	request, err := admission.RequestFromContext(ctx)
	if err != nil {
		return nil, err
	}
	caller, orchestrator := w.caller(&request)
	if errs := rules.ValidateWorkflowExecution(object, caller, orchestrator); len(errs) > 0 {
		return nil, workflowExecutionHook().refuse(object, errs)
	}
	if object.Spec.RollbackOf != nil {
		return nil, w.reviewUndo(ctx, object)
	}
	if orchestrator { // a controller reads no warnings
		return nil, w.reviewRights(ctx, object, orchestrator)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	warnings := w.preview.begin(ctx, object)
	if err := w.reviewRights(ctx, object, orchestrator); err != nil {
		return nil, err // and nothing of the preview, which has read targets that the author may not get
	}
	return warnings(), nil
}

// reviewUndo checks that the workflow which the object undoes can be undone, and that whoever starts it may read that workflow, and
// could put back alone what it changed.
func (w *workflowExecutions) reviewUndo(ctx context.Context, object *workflowexecutionv1.WorkflowExecution) error {
	ref, hook := *object.Spec.RollbackOf, workflowExecutionHook()
	path := field.NewPath("spec", "rollbackOf")
	get := rights.Need{Path: path, Permission: rights.Permission{
		Verb: "get", Group: hook.group, Resource: hook.resource, Namespace: object.Namespace, Name: ref.Name,
	}}
	if err := w.review(ctx, hook, object, object.Spec.RequestedBy, []rights.Need{get}); err != nil {
		return err
	}
	other := &workflowexecutionv1.WorkflowExecution{}
	err := w.live.Get(ctx, client.ObjectKey{Namespace: object.Namespace, Name: ref.Name}, other)
	if apierrors.IsNotFound(err) {
		other = nil
	} else if err != nil {
		return apierrors.NewInternalError(fmt.Errorf("read WorkflowExecution %s: %w", ref.Name, err))
	}
	if errs := rules.ValidateRollbackOf(ref, other); len(errs) > 0 {
		return hook.refuse(object, errs)
	}
	needs, err := rights.Steps(object.Namespace, w.mapper, rules.UndoneSteps(other), path)
	if err != nil {
		return apierrors.NewInternalError(err)
	}
	for i := range needs {
		needs[i].Path = path // the steps are those of the other workflow
	}
	return w.review(ctx, hook, object, object.Spec.RequestedBy, needs)
}

// reviewRights checks that whoever the workflow is run for could do it alone: for a workflow of the orchestrator that is the
// requester of the request, who needs the verb remediate on every target.
func (w *workflowExecutions) reviewRights(ctx context.Context, object *workflowexecutionv1.WorkflowExecution, orchestrator bool) error {
	if object.Spec.WorkflowDefinition == nil {
		return nil
	}
	path := field.NewPath("spec", "workflowDefinition")
	var needs []rights.Need
	var err error
	if orchestrator && object.Spec.RemediationRequestRef != nil {
		needs, err = rights.RemediateSteps(w.mapper, object.Spec.WorkflowDefinition, path)
	} else {
		needs, err = rights.Steps(object.Namespace, w.mapper, object.Spec.WorkflowDefinition, path)
	}
	if err != nil {
		return apierrors.NewInternalError(err)
	}
	return w.review(ctx, workflowExecutionHook(), object, object.Spec.RequestedBy, needs)
}

// ValidateUpdate checks a change.
func (*workflowExecutions) ValidateUpdate(_ context.Context, old, object *workflowexecutionv1.WorkflowExecution) (admission.Warnings, error) {
	return nil, workflowExecutionHook().refuse(object, rules.ValidateWorkflowExecutionUpdate(object, old))
}

// ValidateDelete refuses nothing: who may delete is left to RBAC, and the webhook is not registered for it.
func (*workflowExecutions) ValidateDelete(context.Context, *workflowexecutionv1.WorkflowExecution) (admission.Warnings, error) {
	return nil, nil
}

// decodeOld is the object as it was before the update.
func decodeOld[T any](request *admission.Request) (*T, error) {
	old := new(T)
	if err := json.Unmarshal(request.OldObject.Raw, old); err != nil {
		return nil, apierrors.NewInternalError(fmt.Errorf("decode the object as it is stored: %w", err))
	}
	return old, nil
}

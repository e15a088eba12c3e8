package webhooks

import (
	"context"

	admissionv1 "k8s.io/api/admission/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	remediationv1 "kubernaut.io/kubernaut/api/remediation/v1"
	"kubernaut.io/kubernaut/controllers/rights"
	"kubernaut.io/kubernaut/webhooks/rules"
)

func remediationRequestHook() hook {
	return hook{
		group:    remediationv1.GroupVersion.Group,
		version:  remediationv1.GroupVersion.Version,
		kind:     "RemediationRequest",
		resource: "remediationrequests",
	}
}

// remediationRequests is admission for RemediationRequest.
type remediationRequests struct {
	callers
	authorizer
	scopes scopes
}

// Default completes a new request, and gives an update back what admission once set.
func (w *remediationRequests) Default(ctx context.Context, object *remediationv1.RemediationRequest) error {
	request, err := admission.RequestFromContext(ctx)
	if err != nil {
		return err
	}
	if request.Operation == admissionv1.Update {
		old, err := decodeOld[remediationv1.RemediationRequest](&request)
		if err != nil {
			return err
		}
		rules.KeepRemediationRequest(object, old)
		return nil
	}
	scope, err := w.scopes.of(object.Spec.Target.GroupVersionKind())
	if err != nil {
		return apierrors.NewInternalError(err)
	}
	caller, _ := w.caller(&request)
	return remediationRequestHook().refuse(object, rules.DefaultRemediationRequest(object, request.Namespace, caller, scope))
}

// ValidateCreate checks a new request.
func (w *remediationRequests) ValidateCreate(ctx context.Context, object *remediationv1.RemediationRequest) (admission.Warnings, error) {
	request, err := admission.RequestFromContext(ctx)
	if err != nil {
		return nil, err
	}
	scope, err := w.scopes.of(object.Spec.Target.GroupVersionKind())
	if err != nil {
		return nil, apierrors.NewInternalError(err)
	}
	caller, _ := w.caller(&request)
	warnings := rules.RemediationRequestWarnings(object, scope)
	if errs := rules.ValidateRemediationRequest(object, caller, scope); len(errs) > 0 {
		return warnings, remediationRequestHook().refuse(object, errs)
	}
	need, err := rights.Remediate(w.mapper, &object.Spec.Target, field.NewPath("spec", "target"))
	if err != nil {
		return warnings, apierrors.NewInternalError(err)
	}
	return warnings, w.review(ctx, remediationRequestHook(), object, caller, []rights.Need{need})
}

// ValidateUpdate checks a change.
func (*remediationRequests) ValidateUpdate(_ context.Context, old, object *remediationv1.RemediationRequest) (admission.Warnings, error) {
	return nil, remediationRequestHook().refuse(object, rules.ValidateRemediationRequestUpdate(object, old))
}

// ValidateDelete refuses nothing: who may delete is left to RBAC, and the webhook is not registered for it.
func (*remediationRequests) ValidateDelete(context.Context, *remediationv1.RemediationRequest) (admission.Warnings, error) {
	return nil, nil
}

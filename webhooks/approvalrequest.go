package webhooks

import (
	"context"
	"fmt"

	admissionv1 "k8s.io/api/admission/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	safetyv1alpha1 "kubernaut.io/kubernaut/api/safety/v1alpha1"
	"kubernaut.io/kubernaut/api/shared"
	"kubernaut.io/kubernaut/controllers/rights"
	"kubernaut.io/kubernaut/webhooks/rules"
)

func approvalRequestHook() hook {
	return hook{
		group:    safetyv1alpha1.GroupVersion.Group,
		version:  safetyv1alpha1.GroupVersion.Version,
		kind:     "ApprovalRequest",
		resource: "approvalrequests",
		once:     true,
	}
}

// approvalRequests is admission for ApprovalRequest: what people decide. What a list of decisions may become, and who may not decide,
// the status guard says; here is what takes a clock or the authorizer.
type approvalRequests struct {
	authorizer
	clock clock.PassiveClock
}

// Default stamps the decision that an update adds.
func (a *approvalRequests) Default(ctx context.Context, object *safetyv1alpha1.ApprovalRequest) error {
	request, err := admission.RequestFromContext(ctx)
	if err != nil || request.Operation != admissionv1.Update {
		return err
	}
	old, err := decodeOld[safetyv1alpha1.ApprovalRequest](&request)
	if err != nil {
		return err
	}
	return approvalRequestHook().refuse(object, rules.StampDecision(object, old, request.UserInfo.Username, a.clock.Now()))
}

// ValidateCreate refuses nothing: who creates requests, and how, the status guard says.
func (*approvalRequests) ValidateCreate(context.Context, *safetyv1alpha1.ApprovalRequest) (admission.Warnings, error) {
	return nil, nil
}

// ValidateUpdate checks a decision: whether it comes in time, and whether who makes it may approve in the namespace of every target.
func (a *approvalRequests) ValidateUpdate(ctx context.Context, old, object *safetyv1alpha1.ApprovalRequest) (admission.Warnings, error) {
	request, err := admission.RequestFromContext(ctx)
	if err != nil {
		return nil, err
	}
	added := rules.AddedDecision(object, old)
	if added < 0 {
		return nil, nil
	}
	if errs := rules.ValidateDecision(object, old, a.clock.Now()); len(errs) > 0 {
		return nil, approvalRequestHook().refuse(object, errs)
	}
	targets := make([]*shared.Target, len(object.Spec.Summary))
	for i := range object.Spec.Summary {
		targets[i] = object.Spec.Summary[i].Target
	}
	denials, err := rights.Review(ctx, a.client, rules.Requester(request.UserInfo), rights.Approve(object.Namespace, targets, rules.DecisionPath(added)))
	if err != nil {
		return nil, apierrors.NewInternalError(err)
	}
	errs := make(field.ErrorList, len(denials))
	for i, denial := range denials {
		errs[i] = field.Forbidden(denial.Path, fmt.Sprintf("%s, and decisions are for those who may in the namespace of every target: ask an admin for a role with the verb %s on %s",
			denial, denial.Verb, denial.Resource))
	}
	return nil, approvalRequestHook().refuse(object, errs)
}

// ValidateDelete refuses nothing: who may delete is left to RBAC, and the webhook is not registered for it.
func (*approvalRequests) ValidateDelete(context.Context, *safetyv1alpha1.ApprovalRequest) (admission.Warnings, error) {
	return nil, nil
}

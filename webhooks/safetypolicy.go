package webhooks

import (
	"context"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	safetyv1alpha1 "kubernaut.io/kubernaut/api/safety/v1alpha1"
	"kubernaut.io/kubernaut/policies/gate"
	"kubernaut.io/kubernaut/webhooks/rules"
)

// PolicyReviewer compiles a policy and runs its tests.
type PolicyReviewer interface {
	Review(ctx context.Context, object gate.PolicyObject) (gate.Review, error)
}

func safetyPolicyHook() hook {
	return hook{
		group:    safetyv1alpha1.GroupVersion.Group,
		version:  safetyv1alpha1.GroupVersion.Version,
		kind:     "SafetyPolicy",
		resource: "safetypolicies",
		cluster:  true,
		complete: true,
	}
}

// safetyPolicies is admission for SafetyPolicy: a policy that does not compile, or whose tests fail, is never stored.
type safetyPolicies struct{ reviewer PolicyReviewer }

// ValidateCreate checks a new policy.
func (w *safetyPolicies) ValidateCreate(ctx context.Context, policy *safetyv1alpha1.SafetyPolicy) (admission.Warnings, error) {
	review, err := w.reviewer.Review(ctx, gate.ObjectOf(policy))
	if err != nil {
		return nil, apierrors.NewInternalError(err)
	}
	return review.Warnings, safetyPolicyHook().refuse(policy, rules.SafetyPolicyProblems(policy, review.Problems))
}

// ValidateUpdate checks a policy that was changed like a new one.
func (w *safetyPolicies) ValidateUpdate(ctx context.Context, _, policy *safetyv1alpha1.SafetyPolicy) (admission.Warnings, error) {
	return w.ValidateCreate(ctx, policy)
}

// ValidateDelete refuses nothing: who may delete is left to RBAC, and the webhook is not registered for it.
func (*safetyPolicies) ValidateDelete(context.Context, *safetyv1alpha1.SafetyPolicy) (admission.Warnings, error) {
	return nil, nil
}

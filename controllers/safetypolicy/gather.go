package safetypolicy

import (
	"context"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	safetyv1alpha1 "kubernaut.io/kubernaut/api/safety/v1alpha1"
	"kubernaut.io/kubernaut/policies/gate"
)

// Snapshot is a policy and what is known about it.
type Snapshot struct {
	policy *safetyv1alpha1.SafetyPolicy
	// applied says whether the active set was made with the policy as it is; then status and revision are those.
	applied  bool
	status   gate.PolicyStatus
	revision string
	// tested says whether the tests ran in this reconcile; otherwise the condition from the last time holds.
	tested    bool
	report    gate.TestReport
	testError error
}

func (r *Reconciler) gather(ctx context.Context, policy *safetyv1alpha1.SafetyPolicy) Snapshot {
	object := gate.ObjectOf(policy)
	s := Snapshot{policy: policy}
	if !testsAreKnown(policy) {
		s.tested = true
		s.report, s.testError = r.Gate.Test(ctx, object)
	}
	// After the tests, which give the loader the time that it needs.
	s.status, s.revision, s.applied = r.Gate.StatusOf(object)
	return s
}

// testsAreKnown says whether the tests of this generation have run: they cost a process each time.
func testsAreKnown(policy *safetyv1alpha1.SafetyPolicy) bool {
	condition := meta.FindStatusCondition(policy.Status.Conditions, safetyv1alpha1.ConditionTestsPassed)
	if condition == nil || condition.ObservedGeneration != policy.Generation {
		return false
	}
	return condition.Status != metav1.ConditionUnknown || condition.Reason == ReasonNoTests
}

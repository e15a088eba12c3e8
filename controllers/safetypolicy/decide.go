package safetypolicy

import (
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	safetyv1alpha1 "kubernaut.io/kubernaut/api/safety/v1alpha1"
	"kubernaut.io/kubernaut/api/shared"
	"kubernaut.io/kubernaut/controllers/machinery"
)

// decide is the status of a policy. The kind has no phases: each condition follows from what is known now.
func decide(s Snapshot, now time.Time) safetyv1alpha1.SafetyPolicyStatus {
	status := *s.policy.Status.DeepCopy()
	status.ObservedGeneration = s.policy.Generation
	conditions := machinery.ConditionsOf(&status.Conditions, s.policy.Generation, metav1.NewTime(now))
	decideTests(s, conditions)
	if !s.applied {
		const loading = "The policy is not in the active set yet."
		conditions.Set(safetyv1alpha1.ConditionCompiled, metav1.ConditionUnknown, ReasonLoading, loading)
		conditions.False(safetyv1alpha1.ConditionActive, ReasonLoading, loading)
		conditions.Progressing(ReasonLoading, loading)
		return status
	}
	stays := status.Digest == s.status.Digest && meta.IsStatusConditionTrue(status.Conditions, safetyv1alpha1.ConditionActive)
	status.Digest = s.status.Digest
	if len(s.status.Problems) > 0 {
		problems := problemText(s.status.Problems)
		conditions.False(safetyv1alpha1.ConditionCompiled, ReasonDoesNotCompile, problems)
		conditions.False(safetyv1alpha1.ConditionActive, ReasonDenies, "Every step that the policy covers is denied, because the policy cannot be used.")
		conditions.Failed(ReasonDoesNotCompile, "Every step that the policy covers is denied, because the policy cannot be used: "+problems)
		return status
	}
	conditions.True(safetyv1alpha1.ConditionCompiled, ReasonCompiled, "The policy compiles.")
	message := fmt.Sprintf("The policy decides since set revision %s.", s.revision)
	if active := meta.FindStatusCondition(status.Conditions, safetyv1alpha1.ConditionActive); stays {
		message = active.Message // a change of another policy is none of this one
	}
	conditions.True(safetyv1alpha1.ConditionActive, ReasonActive, message)
	decideReady(status, conditions)
	return status
}

// decideTests says whether the tests passed; without a new run it stands as it is.
func decideTests(s Snapshot, conditions machinery.Conditions) {
	const condition = safetyv1alpha1.ConditionTestsPassed
	switch {
	case !s.tested:
	case s.testError != nil:
		conditions.Set(condition, metav1.ConditionUnknown, ReasonTestsDidNotRun, s.testError.Error())
	case len(s.report.Problems) > 0:
		conditions.False(condition, ReasonTestsFailed, problemText(s.report.Problems))
	case len(s.report.Tests) == 0:
		conditions.Set(condition, metav1.ConditionUnknown, ReasonNoTests, "The policy has no tests.")
	default:
		conditions.True(condition, ReasonTestsPassed, "Every test passes.")
	}
}

// decideReady sums up a policy that decides: it is as its author wants it unless its own tests say otherwise.
func decideReady(status safetyv1alpha1.SafetyPolicyStatus, conditions machinery.Conditions) {
	switch tests := meta.FindStatusCondition(status.Conditions, safetyv1alpha1.ConditionTestsPassed); {
	case tests != nil && tests.Status == metav1.ConditionFalse:
		conditions.Failed(ReasonTestsFailed, "The policy decides, but its tests fail: "+tests.Message)
	default:
		conditions.Succeeded(ReasonActive, "The policy decides.")
	}
}

// isLoading says whether a status waits for the gate.
func isLoading(status safetyv1alpha1.SafetyPolicyStatus) bool {
	ready := meta.FindStatusCondition(status.Conditions, shared.ConditionReady)
	return ready != nil && ready.Reason == ReasonLoading
}

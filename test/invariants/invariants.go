// Package invariants checks what must hold for the status of every object of ours at any moment. Integration tests run it after
// each step.
package invariants

import (
	"errors"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	aianalysisv1 "kubernaut.io/kubernaut/api/aianalysis/v1"
	kubernetesexecutionv1 "kubernaut.io/kubernaut/api/kubernetesexecution/v1"
	remediationv1 "kubernaut.io/kubernaut/api/remediation/v1"
	remediationprocessingv1 "kubernaut.io/kubernaut/api/remediationprocessing/v1"
	safetyv1alpha1 "kubernaut.io/kubernaut/api/safety/v1alpha1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
)

// status is what the statuses of all kinds have in common.
type status struct {
	phase              string
	terminal, failed   bool
	conditions         []metav1.Condition
	observedGeneration int64
}

// Check is every invariant that the object breaks. An object that no controller has looked at yet breaks none.
func Check(object client.Object) error {
	s, err := statusOf(object)
	if err != nil || s.phase == "" {
		return err
	}
	name := fmt.Sprintf("%T %s", object, client.ObjectKeyFromObject(object))
	var broken []error
	breaks := func(number int, format string, args ...any) {
		broken = append(broken, fmt.Errorf("%s: invariant %d: %s", name, number, fmt.Sprintf(format, args...)))
	}
	ready := meta.FindStatusCondition(s.conditions, shared.ConditionReady)
	stalled := meta.FindStatusCondition(s.conditions, shared.ConditionStalled)
	if ready == nil {
		breaks(1, "Ready is missing in phase %s", s.phase)
	}
	if meta.IsStatusConditionTrue(s.conditions, shared.ConditionReady) && meta.IsStatusConditionTrue(s.conditions, shared.ConditionStalled) {
		breaks(2, "Ready while Stalled")
	}
	if s.observedGeneration > object.GetGeneration() {
		breaks(3, "observedGeneration %d is above generation %d", s.observedGeneration, object.GetGeneration())
	}
	if s.terminal && !s.failed && !meta.IsStatusConditionTrue(s.conditions, shared.ConditionReady) {
		breaks(4, "phase %s, but Ready is not True", s.phase)
	}
	if s.failed && (stalled == nil || stalled.Status != metav1.ConditionTrue) {
		breaks(5, "phase %s, but Stalled is not True", s.phase)
	}
	for _, condition := range s.conditions {
		if condition.Reason == "" || condition.Message == "" {
			breaks(6, "condition %s has no reason or no message", condition.Type)
		}
	}
	broken = append(broken, kindRules(object, name)...)
	return errors.Join(broken...)
}

func statusOf(object client.Object) (status, error) {
	switch o := object.(type) {
	case *remediationv1.RemediationRequest:
		p := o.Status.OverallPhase
		return status{string(p), p.Terminal(), p == remediationv1.PhaseFailed, o.Status.Conditions, o.Status.ObservedGeneration}, nil
	case *remediationprocessingv1.RemediationProcessing:
		p := o.Status.Phase
		return status{string(p), p.Terminal(), p == remediationprocessingv1.PhaseFailed, o.Status.Conditions, o.Status.ObservedGeneration}, nil
	case *aianalysisv1.AIAnalysis:
		p := o.Status.Phase
		return status{string(p), p.Terminal(), p == aianalysisv1.PhaseFailed, o.Status.Conditions, o.Status.ObservedGeneration}, nil
	case *safetyv1alpha1.ApprovalRequest:
		p := o.Status.Phase
		return status{string(p), p.Decided(), p.Terminal(), o.Status.Conditions, o.Status.ObservedGeneration}, nil
	case *workflowexecutionv1.WorkflowExecution:
		p := o.Status.Phase
		return status{string(p), p.Terminal(), p == workflowexecutionv1.PhaseFailed, o.Status.Conditions, o.Status.ObservedGeneration}, nil
	case *kubernetesexecutionv1.KubernetesExecution:
		p := o.Status.Phase
		return status{string(p), p.Terminal(), p == kubernetesexecutionv1.PhaseFailed, o.Status.Conditions, o.Status.ObservedGeneration}, nil
	default:
		return status{}, fmt.Errorf("no invariants are known for %T", object)
	}
}

func kindRules(object client.Object, name string) (broken []error) {
	switch o := object.(type) {
	case *workflowexecutionv1.WorkflowExecution:
		broken = workflowRules(o, name)
	case *kubernetesexecutionv1.KubernetesExecution:
		s := &o.Status
		if s.Phase == kubernetesexecutionv1.PhaseCompleted && s.Changed != nil && *s.Changed && (s.StartedAt == nil || s.Decision == nil) {
			broken = append(broken, fmt.Errorf("%s: invariant 20: an effect without recorded intent or verdict", name))
		}
		if s.Decision != nil && s.StartedAt != nil && !startsOn(o.Spec.Purpose, s.Decision.Verdict) {
			broken = append(broken, fmt.Errorf("%s: invariant 21: started against the verdict %s", name, s.Decision.Verdict))
		}
	case *remediationv1.RemediationRequest:
		if o.Status.OverallPhase.Terminal() != (o.Status.Outcome != "") || o.Status.OverallPhase.Terminal() != (o.Status.CompletionTime != nil) {
			broken = append(broken, fmt.Errorf("%s: invariant 30: outcome and completionTime are set exactly in a terminal phase", name))
		}
	}
	return broken
}

func workflowRules(o *workflowexecutionv1.WorkflowExecution, name string) (broken []error) {
	s := &o.Status
	if s.Phase.Terminal() != (s.Outcome != "") || s.Phase.Terminal() != (s.CompletionTime != nil) {
		broken = append(broken, fmt.Errorf("%s: invariant 10: outcome and completionTime are set exactly in a terminal phase", name))
	}
	if (s.Phase == workflowexecutionv1.PhaseFailed) && (s.ErrorType == "" || s.FailureReason == "") {
		broken = append(broken, fmt.Errorf("%s: invariant 11: failed without errorType or failureReason", name))
	}
	started := slices.ContainsFunc(s.Steps, func(step workflowexecutionv1.StepStatus) bool { return step.Attempts > 0 })
	allowed := s.Validation != nil && (s.Validation.Verdict == shared.VerdictAllow ||
		s.Validation.Verdict == shared.VerdictRequireApproval && meta.IsStatusConditionTrue(s.Conditions, workflowexecutionv1.ConditionApproved))
	if started && !allowed {
		broken = append(broken, fmt.Errorf("%s: invariant 12: a step was started without the verdict Allow and without an approval", name))
	}
	return broken
}

// startsOn says whether an execution may start on a verdict: undoing waits for nobody, only a deny stops it. That what requires an
// approval has one, the workflow shows.
func startsOn(purpose kubernetesexecutionv1.Purpose, verdict shared.Verdict) bool {
	return verdict == shared.VerdictAllow || verdict == shared.VerdictRequireApproval ||
		purpose == kubernetesexecutionv1.PurposeRollBack && verdict == shared.VerdictHold
}

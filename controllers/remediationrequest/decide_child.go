package remediationrequest

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	aianalysisv1 "kubernaut.io/kubernaut/api/aianalysis/v1"
	remediationv1 "kubernaut.io/kubernaut/api/remediation/v1"
	remediationprocessingv1 "kubernaut.io/kubernaut/api/remediationprocessing/v1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
)

// The kinds of children, for messages.
const (
	kindRequest    = "RemediationRequest"
	kindProcessing = "RemediationProcessing"
	kindAnalysis   = "AIAnalysis"
	kindWorkflow   = "WorkflowExecution"
)

// childMeta is what the children of a request have in common.
func (d *decider) childMeta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Namespace: d.request.Namespace,
		Name:      name,
		Labels:    map[string]string{shared.LabelRemediationRequest: shared.Bounded(d.request.Name)},
		OwnerReferences: []metav1.OwnerReference{
			*metav1.NewControllerRef(d.request, remediationv1.GroupVersion.WithKind(kindRequest)),
		},
	}
}

func (d *decider) requestRef() shared.ObjectReference {
	return shared.ObjectReference{Name: d.request.Name, UID: d.request.UID}
}

// newProcessing examines the target; failed is the workflow that a recovery follows, nil for the initial attempt.
func (d *decider) newProcessing(failed *workflowexecutionv1.WorkflowExecution) *remediationprocessingv1.RemediationProcessing {
	processing := &remediationprocessingv1.RemediationProcessing{
		ObjectMeta: d.childMeta(shared.ProcessingName(d.request.Name, d.status.RecoveryAttempts)),
		Spec: remediationprocessingv1.RemediationProcessingSpec{
			RemediationRequestRef: d.requestRef(),
			SignalContext:         *d.request.Spec.SignalContext.DeepCopy(),
			Target:                d.request.Spec.Target,
		},
	}
	if failed != nil {
		processing.Spec.IsRecoveryAttempt, processing.Spec.RecoveryAttemptNumber = true, d.status.RecoveryAttempts
		processing.Spec.FailedWorkflowRef = &shared.ObjectReference{Name: failed.Name, UID: failed.UID}
	}
	return processing
}

// newAnalysis gives the analysis all that it rests on; that of a recovery knows what failed before.
func (d *decider) newAnalysis(processing *remediationprocessingv1.RemediationProcessing) *aianalysisv1.AIAnalysis {
	analysis := &aianalysisv1.AIAnalysis{
		ObjectMeta: d.childMeta(shared.AnalysisName(d.request.Name, d.status.RecoveryAttempts)),
		Spec: aianalysisv1.AIAnalysisSpec{
			RemediationRequestRef:    d.requestRef(),
			RemediationProcessingRef: shared.ObjectReference{Name: processing.Name, UID: processing.UID},
			SignalContext:            *processing.Spec.SignalContext.DeepCopy(),
			Target:                   processing.Spec.Target,
			Enrichment:               *processing.Status.Enrichment.DeepCopy(),
			Classification:           processing.Status.Classification,
		},
	}
	if d.status.RecoveryAttempts > 0 {
		d.recovering(&analysis.Spec)
		analysis.Spec.FailedWorkflowRef = processing.Spec.FailedWorkflowRef.DeepCopy()
	}
	return analysis
}

// newWorkflow is what the analysis recommends, asked for by whoever asked for the remediation.
func (d *decider) newWorkflow(analysis *aianalysisv1.AIAnalysis) *workflowexecutionv1.WorkflowExecution {
	recommendation := analysis.Status.Recommendation.DeepCopy()
	return &workflowexecutionv1.WorkflowExecution{
		ObjectMeta: d.childMeta(shared.WorkflowName(d.request.Name, d.status.RecoveryAttempts)),
		Spec: workflowexecutionv1.WorkflowExecutionSpec{
			RemediationRequestRef: new(d.requestRef()),
			RequestedBy:           *d.request.Spec.RequestedBy.DeepCopy(),
			WorkflowDefinition:    &recommendation.WorkflowDefinition,
			ExecutionStrategy:     &recommendation.ExecutionStrategy,
			Mode:                  d.request.Spec.Mode,
		},
	}
}

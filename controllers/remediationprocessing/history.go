package remediationprocessing

import (
	"context"
	"errors"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"

	aianalysisv1 "kubernaut.io/kubernaut/api/aianalysis/v1"
	remediationprocessingv1 "kubernaut.io/kubernaut/api/remediationprocessing/v1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/controllers/machinery"
)

// The bounds of the API on what is kept of a workflow that failed.
const (
	longestFailure = 1024
	longestAction  = 63
	longestPhase   = 63
	longestPast    = 256
	mostPastSteps  = 32
)

// readFailedWorkflow reads what the workflow did whose failure a recovery follows, and which playbook it came from: that stands on
// the analysis of the same attempt.
func (s *survey) readFailedWorkflow(ctx context.Context, processing *remediationprocessingv1.RemediationProcessing) {
	ref := processing.Spec.FailedWorkflowRef
	if ref == nil {
		return
	}
	var workflow workflowexecutionv1.WorkflowExecution
	if err := s.readSibling(ctx, processing, ref.Name, &workflow); err != nil {
		s.unreadable("failed workflow", err)
		return
	}
	if workflow.UID != ref.UID {
		s.missing("failed workflow", fmt.Errorf("WorkflowExecution %s was replaced by another of the same name", ref.Name))
		return
	}
	s.facts.FailedWorkflow = failedWorkflow(&workflow)
	var analysis aianalysisv1.AIAnalysis
	name := shared.AnalysisName(processing.Spec.RemediationRequestRef.Name, processing.Spec.RecoveryAttemptNumber-1)
	if err := s.readSibling(ctx, processing, name, &analysis); err != nil {
		s.unreadable("playbook of the failed workflow", err)
		return
	}
	if analysis.Status.Recommendation != nil {
		s.facts.FailedWorkflow.Playbook = analysis.Status.Recommendation.PlaybookRef
	}
}

// readBegun finds out since when earlier workflows of the request have had effects: what was rolled out since then is their doing.
func (s *survey) readBegun(ctx context.Context, processing *remediationprocessingv1.RemediationProcessing) {
	for attempt := range processing.Spec.RecoveryAttemptNumber {
		var workflow workflowexecutionv1.WorkflowExecution
		name := shared.WorkflowName(processing.Spec.RemediationRequestRef.Name, attempt)
		if err := s.readSibling(ctx, processing, name, &workflow); err != nil {
			s.unreadable("earlier workflow "+name, err)
			continue
		}
		if workflow.Status.ExecutionStartTime != nil {
			s.begun = workflow.Status.ExecutionStartTime
			return
		}
	}
}

// readSibling reads another child of the same request; an object of that name that is none is not looked at.
func (s *survey) readSibling(ctx context.Context, processing *remediationprocessingv1.RemediationProcessing, name string, object client.Object) error {
	if err := s.live.Get(ctx, client.ObjectKey{Namespace: processing.Namespace, Name: name}, object); err != nil {
		return err
	}
	request := processing.Spec.RemediationRequestRef
	for _, owner := range object.GetOwnerReferences() {
		if owner.Controller != nil && *owner.Controller && owner.UID == request.UID {
			return nil
		}
	}
	return machinery.Typed(shared.ErrorResourceConflict, errors.New(name+" is not a child of RemediationRequest "+request.Name))
}

func failedWorkflow(workflow *workflowexecutionv1.WorkflowExecution) *shared.FailedWorkflow {
	status := &workflow.Status
	past := &shared.FailedWorkflow{
		Name: workflow.Name, FailedAction: machinery.Cut(status.FailedAction, longestAction), ErrorType: status.ErrorType,
		FailureReason: machinery.Cut(status.FailureReason, longestFailure), Outcome: string(status.Outcome),
	}
	if status.FailedStep != nil {
		past.FailedStep = new(*status.FailedStep)
	}
	for i := range status.Steps[:min(len(status.Steps), mostPastSteps)] {
		step := &status.Steps[i]
		past.Steps = append(past.Steps, shared.PastStep{
			Name: step.Name, Action: machinery.Cut(step.Action, longestAction),
			Phase: machinery.Cut(string(step.Phase), longestPhase), Message: machinery.Cut(step.Message, longestPast),
		})
	}
	return past
}

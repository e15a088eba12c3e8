package rules

import (
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/controllers/workflowexecution/planning"
)

// maxSpecBytes is how large the JSON of one spec may be.
const maxSpecBytes = 128 << 10

func specPath() *field.Path        { return field.NewPath("spec") }
func requestedByPath() *field.Path { return specPath().Child("requestedBy") }
func definitionPath() *field.Path  { return specPath().Child("workflowDefinition") }
func rollbackOfPath() *field.Path  { return specPath().Child("rollbackOf") }

// DefaultWorkflowExecution completes a new workflow that caller creates. The orchestrator names another requester than
// itself, so it is stamped only where the workflow serves no request. Doing it twice changes nothing more.
func DefaultWorkflowExecution(workflow *workflowexecutionv1.WorkflowExecution, caller shared.Requester, orchestrator bool) field.ErrorList {
	workflow.Annotations = stampAnnotation(workflow.Annotations, caller.Username)
	if !delegated(workflow, orchestrator) {
		if errs := ForgedRequester(workflow.Spec.RequestedBy, caller); len(errs) > 0 {
			return errs
		}
		workflow.Spec.RequestedBy = caller
	}
	spec := &workflow.Spec
	if spec.WorkflowDefinition == nil || (spec.Timeouts != nil && spec.Timeouts.Workflow != nil) {
		return nil
	}
	if run := boundedRun(spec); run > 0 {
		if spec.Timeouts == nil {
			spec.Timeouts = &workflowexecutionv1.WorkflowTimeouts{}
		}
		spec.Timeouts.Workflow = &metav1.Duration{Duration: run}
	}
	return nil
}

// KeepWorkflowExecution copies from the old object what admission once set and an update leaves out, so that applying the same
// manifest again changes nothing.
func KeepWorkflowExecution(workflow, old *workflowexecutionv1.WorkflowExecution) {
	workflow.Annotations = keepAnnotation(workflow.Annotations, old.Annotations)
	if workflow.Spec.RequestedBy.Username == "" {
		workflow.Spec.RequestedBy = old.Spec.RequestedBy
	}
	if old.Spec.Timeouts == nil || old.Spec.Timeouts.Workflow == nil {
		return
	}
	if workflow.Spec.Timeouts == nil {
		workflow.Spec.Timeouts = &workflowexecutionv1.WorkflowTimeouts{}
	}
	if workflow.Spec.Timeouts.Workflow == nil {
		workflow.Spec.Timeouts.Workflow = old.Spec.Timeouts.Workflow
	}
}

// ValidateWorkflowExecution checks a new workflow that caller creates.
func ValidateWorkflowExecution(workflow *workflowexecutionv1.WorkflowExecution, caller shared.Requester, orchestrator bool) (errs field.ErrorList) {
	spec := &workflow.Spec
	switch {
	case delegated(workflow, orchestrator):
		if spec.RequestedBy.Username == "" {
			errs = append(errs, field.Required(requestedByPath(), "a workflow of the orchestrator names the requester of its request"))
		}
	case spec.RemediationRequestRef != nil:
		errs = append(errs, field.Forbidden(specPath().Child("remediationRequestRef"),
			"only the orchestrator creates workflows for a RemediationRequest: leave it out to start a workflow by hand"))
		fallthrough
	default:
		errs = append(errs, SameRequester(spec.RequestedBy, caller)...)
	}
	if spec.RollbackOf != nil && spec.RemediationRequestRef != nil {
		errs = append(errs, field.Forbidden(rollbackOfPath(), "a workflow for a RemediationRequest has steps of its own: start one by hand to undo another"))
	}
	if spec.WorkflowDefinition != nil {
		errs = append(errs, ValidateDefinition(spec.WorkflowDefinition, definitionPath())...)
		errs = append(errs, validateWorkflowTimeout(spec)...)
	}
	if size := jsonSize(spec); size > maxSpecBytes {
		errs = append(errs, field.Invalid(specPath(), fmt.Sprintf("%d bytes", size), fmt.Sprintf("a spec is at most %d bytes of JSON: split the workflow", maxSpecBytes)))
	}
	return errs
}

// ValidateRollbackOf checks that a workflow can be undone by one that names it; other is that workflow as it is now, nil without one.
func ValidateRollbackOf(ref shared.ObjectReference, other *workflowexecutionv1.WorkflowExecution) field.ErrorList {
	class, why := planning.UndoRefused(ref, other)
	switch class {
	case "":
		return nil
	case shared.ErrorResourceNotFound:
		return field.ErrorList{notFound(rollbackOfPath().Child("name"), ref.Name, why)}
	case shared.ErrorResourceConflict:
		return field.ErrorList{field.Invalid(rollbackOfPath().Child("uid"), ref.UID, why)}
	default:
		return field.ErrorList{field.Invalid(rollbackOfPath(), ref.Name, why)}
	}
}

func notFound(path *field.Path, value any, why string) *field.Error {
	err := field.NotFound(path, value)
	err.Detail = why
	return err
}

// UndoneSteps is what undoing a finished workflow does, as far as its status says which of its steps may have an effect: the same
// actions on the same objects, or the rollback actions.
func UndoneSteps(other *workflowexecutionv1.WorkflowExecution) *shared.WorkflowDefinition {
	undone := &shared.WorkflowDefinition{}
	if other.Spec.WorkflowDefinition == nil {
		return undone
	}
	for i := range other.Spec.WorkflowDefinition.Steps {
		step := &other.Spec.WorkflowDefinition.Steps[i]
		if i >= len(other.Status.Steps) || !planning.MayBeUndone(other.Status.Steps[i]) || step.Rollback == shared.RollbackNone {
			continue
		}
		action := step.Action
		if step.RollbackAction != nil {
			action = *step.RollbackAction
		}
		undone.Steps = append(undone.Steps, shared.Step{Name: step.Name, Action: action})
	}
	return undone
}

// ValidateWorkflowExecutionUpdate checks a change. What the spec may change at all is a rule of the CRD.
func ValidateWorkflowExecutionUpdate(workflow, old *workflowexecutionv1.WorkflowExecution) field.ErrorList {
	return annotationUnchanged(workflow.Annotations, old.Annotations)
}

// ValidateDefinition checks a workflow definition, wherever it stands: names, order and the parameters of its actions.
func ValidateDefinition(definition *shared.WorkflowDefinition, path *field.Path) field.ErrorList {
	steps := path.Child("steps")
	errs := validateDependencies(definition.Steps, steps)
	for i := range definition.Steps {
		step, at := &definition.Steps[i], steps.Index(i)
		errs = append(errs, validateAction(&step.Action, at.Child("action"))...)
		if step.RollbackAction != nil {
			errs = append(errs, validateAction(step.RollbackAction, at.Child("rollbackAction"))...)
		}
	}
	return errs
}

func validateWorkflowTimeout(spec *workflowexecutionv1.WorkflowExecutionSpec) field.ErrorList {
	if spec.Timeouts == nil || spec.Timeouts.Workflow == nil {
		return nil
	}
	given, needed := spec.Timeouts.Workflow.Duration, boundedRun(spec)
	if given >= needed {
		return nil
	}
	return field.ErrorList{field.Invalid(specPath().Child("timeouts", "workflow"), given.String(),
		fmt.Sprintf("the steps may take %s if every attempt uses its whole time-out: give at least that, shorten the steps' time-outs or retries, or leave it out", needed))}
}

func boundedRun(spec *workflowexecutionv1.WorkflowExecutionSpec) time.Duration {
	return min(LongestRun(spec.WorkflowDefinition, spec.ExecutionStrategy), planning.MaxWorkflowTimeout)
}

// delegated says whether the requester of the workflow is another than its creator.
func delegated(workflow *workflowexecutionv1.WorkflowExecution, orchestrator bool) bool {
	return orchestrator && workflow.Spec.RemediationRequestRef != nil
}

package rules

import (
	"fmt"

	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	aianalysisv1 "kubernaut.io/kubernaut/api/aianalysis/v1"
	kubernetesexecutionv1 "kubernaut.io/kubernaut/api/kubernetesexecution/v1"
	remediationprocessingv1 "kubernaut.io/kubernaut/api/remediationprocessing/v1"
	"kubernaut.io/kubernaut/api/shared"
	"kubernaut.io/kubernaut/controllers/kubernetesexecution/actions"
)

// What only controllers create is checked like what people create: a controller may have a mistake, or somebody its token.

// ValidateRemediationProcessing checks a new examination.
func ValidateRemediationProcessing(object *remediationprocessingv1.RemediationProcessing) field.ErrorList {
	spec := &object.Spec
	errs := validateChildName(object.Name, shared.ProcessingName(spec.RemediationRequestRef.Name, spec.RecoveryAttemptNumber))
	errs = append(errs, validateExamined(&spec.SignalContext, &spec.Target)...)
	errs = append(errs, validateRecovery(spec.IsRecoveryAttempt, spec.RecoveryAttemptNumber, spec.FailedWorkflowRef)...)
	return append(errs, validateChildSize(spec)...)
}

// ValidateAIAnalysis checks a new analysis.
func ValidateAIAnalysis(object *aianalysisv1.AIAnalysis) field.ErrorList {
	spec := &object.Spec
	errs := validateChildName(object.Name, shared.AnalysisName(spec.RemediationRequestRef.Name, spec.RecoveryAttemptNumber))
	errs = append(errs, validateExamined(&spec.SignalContext, &spec.Target)...)
	errs = append(errs, validateRecovery(spec.IsRecoveryAttempt, spec.RecoveryAttemptNumber, spec.FailedWorkflowRef)...)
	if !spec.IsRecoveryAttempt && spec.FailedStep != nil {
		errs = append(errs, field.Forbidden(specPath().Child("failedStep"), "nothing has failed before the first attempt: leave it out, or set isRecoveryAttempt"))
	}
	return append(errs, validateChildSize(spec)...)
}

// ValidateKubernetesExecution checks a new execution. That it does what the step of its workflow says is checked by its controller,
// which reads the workflow.
func ValidateKubernetesExecution(object *kubernetesexecutionv1.KubernetesExecution) (errs field.ErrorList) {
	spec := &object.Spec
	name := shared.ExecutionName(spec.WorkflowExecutionRef.Name, spec.StepIndex, spec.Attempt)
	if spec.Purpose == kubernetesexecutionv1.PurposeRollBack {
		name = shared.RollbackName(spec.WorkflowExecutionRef.Name, spec.StepIndex, spec.Attempt)
	}
	errs = append(errs, validateChildName(object.Name, name)...)
	if spec.RestoreFrom != "" {
		errs = append(errs, invalid(specPath().Child("restoreFrom"), spec.RestoreFrom, apivalidation.NameIsDNSSubdomain(spec.RestoreFrom, false))...)
	}
	if spec.Action == nil {
		return append(errs, validateChildSize(spec)...)
	}
	errs = append(errs, validateAction(spec.Action, specPath().Child("action"))...)
	if known, is := actions.Get(spec.Action.Type); is && spec.Purpose == kubernetesexecutionv1.PurposeExecute && spec.ExpectedTarget == nil && known.Target(spec.Action) != nil {
		errs = append(errs, field.Required(specPath().Child("expectedTarget"),
			"the action changes an object: say which UID it had when the workflow was validated, so that no other is changed in its place"))
	}
	return append(errs, validateChildSize(spec)...)
}

// validateChildName requires the name that derives from what a child stands for: two children for one attempt would have its effect
// twice.
func validateChildName(have, want string) field.ErrorList {
	if have == want {
		return nil
	}
	return field.ErrorList{field.Invalid(field.NewPath("metadata", "name"), have, "the name of a child says what it is for: it must be "+want)}
}

func validateExamined(signal *shared.SignalContext, target *shared.Target) field.ErrorList {
	scope := ScopeNamespaced
	if target.Namespace == "" {
		scope = ScopeCluster // that of the request was checked against the kinds of the cluster
	}
	return append(validateTarget(target, scope, specPath().Child("target")), validateSignal(signal, specPath().Child("signalContext"))...)
}

func validateRecovery(recovers bool, number int32, failed *shared.ObjectReference) (errs field.ErrorList) {
	if recovers != (number > 0) {
		errs = append(errs, field.Invalid(specPath().Child("recoveryAttemptNumber"), number,
			"a recovery has a number from 1 and isRecoveryAttempt, the first attempt has neither: set both or none"))
	}
	if recovers != (failed != nil) {
		errs = append(errs, field.Invalid(specPath().Child("failedWorkflowRef"), field.OmitValueType{},
			"a recovery names the workflow that failed, the first attempt names none: set it exactly when isRecoveryAttempt is set"))
	}
	return errs
}

func validateChildSize(spec any) field.ErrorList {
	if size := jsonSize(spec); size > maxSpecBytes {
		return field.ErrorList{field.Invalid(specPath(), fmt.Sprintf("%d bytes", size), fmt.Sprintf("a spec is at most %d bytes of JSON: leave out what is not needed", maxSpecBytes))}
	}
	return nil
}

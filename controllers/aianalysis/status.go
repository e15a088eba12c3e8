package aianalysis

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	aianalysisv1 "kubernaut.io/kubernaut/api/aianalysis/v1"
	"kubernaut.io/kubernaut/controllers/machinery"
)

// The reasons of the conditions of an AIAnalysis.
const (
	// ReasonRecommended says that there is a workflow to run.
	ReasonRecommended = "Recommended"
	// ReasonNoActionRequired says that nothing has to be done.
	ReasonNoActionRequired = "NoActionRequired"
	// ReasonNoPlaybookMatched says that no playbook applies.
	ReasonNoPlaybookMatched = "NoPlaybookMatched"
	// ReasonNoRecommendation is the same of another provider.
	ReasonNoRecommendation = "NoRecommendation"
	// ReasonInvalidRecommendation says that what the provider answered breaks a rule.
	ReasonInvalidRecommendation = "InvalidRecommendation"
	// ReasonProviderUnavailable says that the provider gives errors and is asked again.
	ReasonProviderUnavailable = "ProviderUnavailable"
	// ReasonProviderFailed says that it gave errors for too long.
	ReasonProviderFailed = "ProviderFailed"
)

// providerPlaybook is the name of the embedded provider.
const providerPlaybook = "playbook"

func conditionsOf(status *aianalysisv1.AIAnalysisStatus, s Snapshot, now metav1.Time) machinery.Conditions {
	return machinery.ConditionsOf(&status.Conditions, s.analysis.Generation, now)
}

// fail ends the analysis without a recommendation.
func fail(status *aianalysisv1.AIAnalysisStatus, s Snapshot, now metav1.Time, reason, message string) {
	status.Phase = aianalysisv1.PhaseFailed
	conditions := conditionsOf(status, s, now)
	conditions.False(aianalysisv1.ConditionRecommended, reason, message)
	conditions.Failed(reason, message)
}

// complete says what was concluded.
func complete(status *aianalysisv1.AIAnalysisStatus, s Snapshot, now metav1.Time) {
	conditions := conditionsOf(status, s, now)
	if status.NoActionRequired {
		message := "Nothing has to be done: " + status.RootCause
		conditions.False(aianalysisv1.ConditionRecommended, ReasonNoActionRequired, message)
		conditions.Succeeded(ReasonNoActionRequired, message)
		return
	}
	message := fmt.Sprintf("Workflow %s is recommended: %s", status.Recommendation.WorkflowDefinition.Name, status.RootCause)
	conditions.True(aianalysisv1.ConditionRecommended, ReasonRecommended, message)
	conditions.Succeeded(ReasonRecommended, message)
}

package remediationprocessing

import (
	"fmt"
	"strings"

	remediationprocessingv1 "kubernaut.io/kubernaut/api/remediationprocessing/v1"
	"kubernaut.io/kubernaut/api/shared"
	"kubernaut.io/kubernaut/controllers/machinery"
)

// The reasons of the conditions of a RemediationProcessing.
const (
	// ReasonEnriching says that the target is being read.
	ReasonEnriching = "Enriching"
	// ReasonClassifying says that policies are being loaded.
	ReasonClassifying = "Classifying"
	// ReasonCompleted says that everything was read and classified.
	ReasonCompleted = "Completed"
	// ReasonDegraded says that some facts could not be read; they are named.
	ReasonDegraded = "Degraded"
	// ReasonClassified says that policies classified the target.
	ReasonClassified = "Classified"
	// ReasonUnclassified says that they did not.
	ReasonUnclassified = "Unclassified"
)

// unknown is what an environment or business unit is when no policy could say.
const unknown = "unknown"

// unclassified is the classification when there is none. It has no priority: that would be a guess.
func unclassified() shared.Classification {
	return shared.Classification{Environment: unknown, BusinessUnit: unknown}
}

// complete says what was found.
func complete(status *remediationprocessingv1.RemediationProcessingStatus, conditions machinery.Conditions) {
	reason, message := ReasonCompleted, "Every fact was read."
	if status.Degraded {
		reason, message = ReasonDegraded, "Some facts could not be read: "+strings.Join(status.DegradedReasons, "; ")
	}
	if status.Enrichment.TargetUID != "" {
		conditions.True(remediationprocessingv1.ConditionEnriched, reason, message)
	} else {
		conditions.False(remediationprocessingv1.ConditionEnriched, reason, message)
	}
	if status.Classification.Priority == "" {
		conditions.False(remediationprocessingv1.ConditionClassified, ReasonUnclassified, "No policy could classify the target; its environment counts as unknown.")
	} else {
		conditions.True(remediationprocessingv1.ConditionClassified, ReasonClassified, fmt.Sprintf("Environment %s, priority %s, business unit %s.",
			status.Classification.Environment, status.Classification.Priority, status.Classification.BusinessUnit))
	}
	conditions.Succeeded(reason, message)
}

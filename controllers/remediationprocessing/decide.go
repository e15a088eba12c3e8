package remediationprocessing

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	remediationprocessingv1 "kubernaut.io/kubernaut/api/remediationprocessing/v1"
	"kubernaut.io/kubernaut/controllers/machinery"
)

// transitions are the phases that may follow each phase. Nothing waits between reading and classifying, so an examination
// usually goes from nothing to completed in one write. What is missing is named; only one that has lost its request fails.
func transitions() machinery.Table[remediationprocessingv1.ProcessingPhase] {
	return machinery.Table[remediationprocessingv1.ProcessingPhase]{
		"": {
			remediationprocessingv1.PhaseEnriching, remediationprocessingv1.PhaseClassifying, remediationprocessingv1.PhaseCompleted,
			remediationprocessingv1.PhaseFailed,
		},
		remediationprocessingv1.PhasePending: {
			remediationprocessingv1.PhaseEnriching, remediationprocessingv1.PhaseClassifying, remediationprocessingv1.PhaseCompleted,
			remediationprocessingv1.PhaseFailed,
		},
		remediationprocessingv1.PhaseEnriching: {
			remediationprocessingv1.PhaseClassifying, remediationprocessingv1.PhaseCompleted, remediationprocessingv1.PhaseFailed,
		},
		// A target that could be read once need not be readable again while policies are being loaded.
		remediationprocessingv1.PhaseClassifying: {
			remediationprocessingv1.PhaseEnriching, remediationprocessingv1.PhaseCompleted, remediationprocessingv1.PhaseFailed,
		},
		remediationprocessingv1.PhaseCompleted: {},
		remediationprocessingv1.PhaseFailed:    {},
	}
}

// patience is how long, from the start, it is tried again to read a target that cannot be read and to classify with policies
// that are not loaded; then the examination completes without.
const patience = time.Minute

// patienceForFacts is how long, from the start, the same is done for the other facts: without one of them a repair may still be found,
// and what the API server does not answer for a moment is no reason to go without.
const patienceForFacts = 10 * time.Second

// The bounds of the API on reasons.
const (
	mostReasons   = 16
	longestDetail = 512
)

// decision is the next status, and why the same has to be tried again.
type decision struct {
	status remediationprocessingv1.RemediationProcessingStatus
	retry  error
}

// decide is the next step of an examination.
func decide(s Snapshot, now time.Time) decision {
	status := *s.processing.Status.DeepCopy()
	stamp := metav1.NewTime(now)
	conditions := machinery.ConditionsOf(&status.Conditions, s.processing.Generation, stamp)
	orphaned := machinery.Orphaned(s.processing, s.processing.Spec.RemediationRequestRef)
	conditions.ReportOrphan(orphaned)
	switch status.Phase {
	case "", remediationprocessingv1.PhasePending, remediationprocessingv1.PhaseEnriching, remediationprocessingv1.PhaseClassifying:
	case remediationprocessingv1.PhaseCompleted, remediationprocessingv1.PhaseFailed:
		return decision{status: status}
	}
	if status.StartTime == nil {
		status.StartTime = &stamp
	}
	status.ObservedGeneration = s.processing.Generation
	if orphaned != "" {
		status.Phase, status.CompletionTime = remediationprocessingv1.PhaseFailed, &stamp
		conditions.Failed(machinery.ReasonNotOwned, "Nobody waits for what would be found: "+orphaned+".")
		return decision{status: status}
	}
	patient := now.Before(status.StartTime.Add(patience))
	switch {
	case s.unread != nil && patient:
		status.Phase = remediationprocessingv1.PhaseEnriching
		conditions.Progressing(ReasonEnriching, "The target is being read; the API server did not answer well yet.")
		return decision{status: status, retry: s.unread}
	case s.busy != nil && now.Before(status.StartTime.Add(patienceForFacts)):
		status.Phase = remediationprocessingv1.PhaseEnriching
		conditions.Progressing(ReasonEnriching, "The surroundings of the target are being read; the API server did not answer well yet.")
		return decision{status: status, retry: s.busy}
	case s.notLoaded != nil && patient:
		status.Phase = remediationprocessingv1.PhaseClassifying
		conditions.Progressing(ReasonClassifying, "Policies are being loaded.")
		return decision{status: status, retry: s.notLoaded}
	}
	status.Phase = remediationprocessingv1.PhaseCompleted
	status.CompletionTime = &stamp
	status.Enrichment = s.enrichment
	status.Classification = s.classification
	status.DegradedReasons = boundedReasons(s.degraded)
	status.Degraded = len(s.degraded) > 0
	complete(&status, conditions)
	return decision{status: status}
}

// boundedReasons keeps the first reasons, and says in the last how many there are more.
func boundedReasons(reasons []string) []string {
	if len(reasons) == 0 {
		return nil
	}
	result := make([]string, 0, min(len(reasons), mostReasons))
	for _, reason := range reasons[:min(len(reasons), mostReasons)] {
		result = append(result, machinery.Cut(reason, longestDetail))
	}
	if len(reasons) > mostReasons {
		result[mostReasons-1] = "and others, which are left out here"
	}
	return result
}

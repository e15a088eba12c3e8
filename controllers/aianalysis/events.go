package aianalysis

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"

	aianalysisv1 "kubernaut.io/kubernaut/api/aianalysis/v1"
	"kubernaut.io/kubernaut/api/shared"
	"kubernaut.io/kubernaut/controllers/machinery"
)

// The events of an AIAnalysis.
const (
	EventAnalysisCompleted = "AnalysisCompleted"
	EventAnalysisFailed    = "AnalysisFailed"
	// EventOrphaned tells that the analysis is no longer the child of the request that it names.
	EventOrphaned = "Orphaned"
)

const (
	actionAnalyze = "Analyze"
	actionWatch   = "Watch"
	longestNote   = 1024
)

// announce tells of the end of an analysis, and that its request is lost, after it was recorded.
func (r *Reconciler) announce(before, after *aianalysisv1.AIAnalysis) {
	if orphan := machinery.BecameOrphan(before.Status.Conditions, after.Status.Conditions); orphan != nil {
		r.Recorder.Eventf(after, nil, corev1.EventTypeWarning, EventOrphaned, actionWatch, "%s", orphan.Message)
	}
	if before.Status.Phase.Terminal() || !after.Status.Phase.Terminal() {
		return
	}
	eventType, reason := corev1.EventTypeNormal, EventAnalysisCompleted
	if after.Status.Phase == aianalysisv1.PhaseFailed {
		eventType, reason = corev1.EventTypeWarning, EventAnalysisFailed
	}
	note := ""
	if ready := meta.FindStatusCondition(after.Status.Conditions, shared.ConditionReady); ready != nil {
		note = ready.Message
	}
	r.Recorder.Eventf(after, nil, eventType, reason, actionAnalyze, "%s", machinery.Cut(note, longestNote))
}

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
)

const (
	actionAnalyze = "Analyze"
	longestNote   = 1024
)

// announce tells of the end of an analysis, after it was recorded.
func (r *Reconciler) announce(before aianalysisv1.AnalysisPhase, after *aianalysisv1.AIAnalysis) {
	if before.Terminal() || !after.Status.Phase.Terminal() {
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

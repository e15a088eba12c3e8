package main

import (
	"cmp"
	"fmt"

	aianalysisv1 "kubernaut.io/kubernaut/api/aianalysis/v1"
	"kubernaut.io/kubernaut/api/shared"
)

func (t *telling) analysis(a *aianalysisv1.AIAnalysis) {
	switch a.Status.Phase {
	case aianalysisv1.PhaseCompleted:
		t.once("cause", cause(&a.Status))
		t.once("choice", choice(&a.Status))
	case aianalysisv1.PhaseFailed:
		t.once("failed", note{actor: actorAnalysis, tone: bad, text: "failed: " + messageOf(a.Status.Conditions, "no reason given")})
	case aianalysisv1.PhaseInvestigating, aianalysisv1.PhaseAnalyzing, aianalysisv1.PhaseRecommending:
	}
	t.stalled(actorAnalysis, a.Status.Conditions, shared.ConditionStalled)
}

func cause(status *aianalysisv1.AIAnalysisStatus) note {
	n := note{actor: actorAnalysis, text: "cause: " + orUnknown(status.RootCause)}
	if status.ConfidencePercent != nil {
		n.detail = []string{fmt.Sprintf("confidence %d %%, says the provider %q", *status.ConfidencePercent, status.Provider)}
	}
	return n
}

func choice(status *aianalysisv1.AIAnalysisStatus) note {
	n := note{actor: actorAnalysis, text: "chosen: nothing, no action is required"}
	if r := status.Recommendation; r != nil {
		d := r.WorkflowDefinition
		n.text = fmt.Sprintf("chosen: workflow %s of %s", cmp.Or(d.Name, "without a name"), count(len(d.Steps), "step"))
		if r.PlaybookRef != "" {
			n.text += ", from playbook " + r.PlaybookRef
		}
		if r.Rationale != "" {
			n.detail = append(n.detail, "why: "+r.Rationale)
		}
	}
	n.detail = append(n.detail, listed(status.Alternatives, "alternative", func(a aianalysisv1.Alternative) string {
		text := "not chosen: " + a.Name
		if a.ConfidencePercent != nil {
			text += fmt.Sprintf(" (%d %%)", *a.ConfidencePercent)
		}
		if a.WhyNot != "" {
			text += ": " + a.WhyNot
		}
		return text
	})...)
	return n
}

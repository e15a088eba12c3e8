package aianalysis

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	aianalysisv1 "kubernaut.io/kubernaut/api/aianalysis/v1"
	"kubernaut.io/kubernaut/api/shared"
	"kubernaut.io/kubernaut/controllers/machinery"
)

// transitions are the phases that may follow each phase. A provider that answers at once takes an analysis to its end in one
// write; the phases in between are for those that take their time.
func transitions() machinery.Table[aianalysisv1.AnalysisPhase] {
	return machinery.Table[aianalysisv1.AnalysisPhase]{
		"": {
			aianalysisv1.PhaseInvestigating, aianalysisv1.PhaseAnalyzing, aianalysisv1.PhaseRecommending,
			aianalysisv1.PhaseCompleted, aianalysisv1.PhaseFailed,
		},
		aianalysisv1.PhaseInvestigating: {
			aianalysisv1.PhaseAnalyzing, aianalysisv1.PhaseRecommending, aianalysisv1.PhaseCompleted, aianalysisv1.PhaseFailed,
		},
		aianalysisv1.PhaseAnalyzing:    {aianalysisv1.PhaseRecommending, aianalysisv1.PhaseCompleted, aianalysisv1.PhaseFailed},
		aianalysisv1.PhaseRecommending: {aianalysisv1.PhaseCompleted, aianalysisv1.PhaseFailed},
		aianalysisv1.PhaseCompleted:    {},
		aianalysisv1.PhaseFailed:       {},
	}
}

// providerLimit is how long a provider that gives errors is asked again, from the start of the analysis.
const providerLimit = 5 * time.Minute

// The bounds of the API on what a provider says.
const (
	mostAlternatives   = 16
	longestText        = 1024
	longestWhyNot      = 512
	longestAlternative = 253
	mostSteps          = 100
	certain            = 100
)

// decision is the next status, and the error for which the provider is to be asked again.
type decision struct {
	status aianalysisv1.AIAnalysisStatus
	retry  error
}

// decide is the next step of an analysis.
func decide(s Snapshot, now time.Time) decision {
	status := *s.analysis.Status.DeepCopy()
	stamp := metav1.NewTime(now)
	orphaned := machinery.Orphaned(s.analysis, s.analysis.Spec.RemediationRequestRef)
	conditionsOf(&status, s, stamp).ReportOrphan(orphaned)
	switch status.Phase {
	case "", aianalysisv1.PhaseInvestigating, aianalysisv1.PhaseAnalyzing, aianalysisv1.PhaseRecommending:
	case aianalysisv1.PhaseCompleted, aianalysisv1.PhaseFailed:
		return decision{status: status}
	}
	if status.StartTime == nil {
		status.StartTime = &stamp
	}
	status.ObservedGeneration = s.analysis.Generation
	if orphaned != "" {
		status.CompletionTime = &stamp
		fail(&status, s, stamp, machinery.ReasonNotOwned, "Nobody waits for what would be recommended: "+orphaned+".")
		return decision{status: status}
	}
	status.Provider = s.provider
	if s.err != nil && now.Before(status.StartTime.Add(providerLimit)) {
		status.Phase = startedPhase(status.Phase)
		conditionsOf(&status, s, stamp).Progressing(ReasonProviderUnavailable, "The provider has not answered yet: "+s.err.Error())
		return decision{status: status, retry: s.err}
	}
	conclude(&status, s, stamp)
	return decision{status: status}
}

func startedPhase(phase aianalysisv1.AnalysisPhase) aianalysisv1.AnalysisPhase {
	if phase == "" {
		return aianalysisv1.PhaseInvestigating
	}
	return phase
}

// conclude ends the analysis.
func conclude(status *aianalysisv1.AIAnalysisStatus, s Snapshot, now metav1.Time) {
	status.CompletionTime = &now
	if s.refused != nil {
		// Nothing of such an answer is kept: any part of it may be what is wrong.
		fail(status, s, now, ReasonInvalidRecommendation, "The provider's answer is not used: "+s.refused.Error())
		return
	}
	status.Alternatives = boundedAlternatives(s.conclusion.Alternatives)
	conclusion := s.conclusion
	switch problem := checkConclusion(conclusion); {
	case s.err != nil:
		fail(status, s, now, ReasonProviderFailed, "The provider gave no answer: "+s.err.Error())
	case conclusion.Unresolved != "":
		fail(status, s, now, unresolvedReason(s.provider), conclusion.Unresolved)
	case problem != nil:
		fail(status, s, now, ReasonInvalidRecommendation, "The provider's answer is not used: "+problem.Error())
	default:
		status.Phase = aianalysisv1.PhaseCompleted
		status.RootCause = machinery.Cut(conclusion.RootCause, longestText)
		status.ConfidencePercent = conclusion.ConfidencePercent
		status.Recommendation = conclusion.Recommendation
		status.NoActionRequired = conclusion.NoActionRequired
		complete(status, s, now)
	}
}

// unresolvedReason names what the provider looked for and did not find.
func unresolvedReason(provider string) string {
	if provider == providerPlaybook {
		return ReasonNoPlaybookMatched
	}
	return ReasonNoRecommendation
}

func boundedAlternatives(alternatives []aianalysisv1.Alternative) []aianalysisv1.Alternative {
	var result []aianalysisv1.Alternative
	seen := map[string]bool{}
	for _, alternative := range alternatives {
		alternative.Name = machinery.Cut(alternative.Name, longestAlternative)
		if alternative.Name == "" || seen[alternative.Name] || len(result) == mostAlternatives {
			continue
		}
		seen[alternative.Name] = true
		alternative.WhyNot = machinery.Cut(alternative.WhyNot, longestWhyNot)
		result = append(result, alternative)
	}
	return result
}

// checkConclusion says what is wrong with an answer. Admission checks the workflow again, in full.
func checkConclusion(conclusion Analysis) error {
	if confidence := conclusion.ConfidencePercent; confidence != nil && (*confidence < 0 || *confidence > certain) {
		return fmt.Errorf("a confidence of %d percent", *confidence)
	}
	switch {
	case conclusion.NoActionRequired && conclusion.Recommendation != nil:
		return errors.New("it recommends a workflow and says that nothing has to be done")
	case conclusion.NoActionRequired:
		return nil
	case conclusion.Recommendation == nil:
		return errors.New("it recommends nothing and does not say why")
	default:
		return checkSteps(conclusion.Recommendation.WorkflowDefinition.Steps)
	}
}

// checkSteps says whether the steps form a directed acyclic graph of known actions.
func checkSteps(steps []shared.Step) error {
	if len(steps) == 0 || len(steps) > mostSteps {
		return fmt.Errorf("a workflow of %d steps", len(steps))
	}
	dependencies := make(map[string][]string, len(steps))
	for i := range steps {
		if _, twice := dependencies[steps[i].Name]; twice {
			return fmt.Errorf("two steps have the name %s", steps[i].Name)
		}
		if !slices.Contains(shared.ActionTypes(), steps[i].Action.Type) {
			return fmt.Errorf("step %s has the unknown action %q", steps[i].Name, steps[i].Action.Type)
		}
		dependencies[steps[i].Name] = steps[i].DependsOn
	}
	return checkAcyclic(dependencies)
}

// checkAcyclic takes away, again and again, the steps whose dependencies are all gone; what remains is in a cycle or waits for one.
func checkAcyclic(dependencies map[string][]string) error {
	for name, needed := range dependencies {
		for _, other := range needed {
			if _, known := dependencies[other]; !known {
				return fmt.Errorf("step %s depends on %s, which does not exist", name, other)
			}
		}
	}
	for len(dependencies) > 0 {
		var free []string
		for name, needed := range dependencies {
			if !slices.ContainsFunc(needed, func(other string) bool { _, waits := dependencies[other]; return waits }) {
				free = append(free, name)
			}
		}
		if len(free) == 0 {
			var rest []string
			for name := range dependencies {
				rest = append(rest, name)
			}
			slices.Sort(rest)
			return fmt.Errorf("steps depend on each other in a circle: %s", strings.Join(rest, ", "))
		}
		for _, name := range free {
			delete(dependencies, name)
		}
	}
	return nil
}

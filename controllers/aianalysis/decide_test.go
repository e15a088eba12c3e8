package aianalysis

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	aianalysisv1 "kubernaut.io/kubernaut/api/aianalysis/v1"
	"kubernaut.io/kubernaut/api/shared"
)

var began = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

func recommendation(steps ...shared.Step) *aianalysisv1.Recommendation {
	return &aianalysisv1.Recommendation{WorkflowDefinition: shared.WorkflowDefinition{Name: "w", Steps: steps}}
}

func step(name string, dependsOn ...string) shared.Step {
	return shared.Step{Name: name, DependsOn: dependsOn, Action: shared.Action{Type: shared.ActionNotifyOnly}}
}

func phases() []aianalysisv1.AnalysisPhase {
	return []aianalysisv1.AnalysisPhase{
		"", aianalysisv1.PhaseInvestigating, aianalysisv1.PhaseAnalyzing, aianalysisv1.PhaseRecommending,
		aianalysisv1.PhaseCompleted, aianalysisv1.PhaseFailed,
	}
}

// TestDecide has every observation in every phase.
func TestDecide(t *testing.T) {
	t.Parallel()
	good := Analysis{RootCause: "a cause", ConfidencePercent: new(int32(90)), Recommendation: recommendation(step("a"), step("b", "a"))}
	observations := map[string]struct {
		conclusion Analysis
		err        error
		late       bool
		wantPhase  aianalysisv1.AnalysisPhase
		wantReason string
		wantRetry  bool
		provider   string
	}{
		"a recommendation completes it":          {conclusion: good, wantPhase: aianalysisv1.PhaseCompleted, wantReason: ReasonRecommended},
		"nothing to do completes it":             {conclusion: Analysis{RootCause: "c", NoActionRequired: true}, wantPhase: aianalysisv1.PhaseCompleted, wantReason: ReasonNoActionRequired},
		"no playbook fails it":                   {conclusion: Analysis{Unresolved: "none"}, wantPhase: aianalysisv1.PhaseFailed, wantReason: ReasonNoPlaybookMatched},
		"no answer of another provider fails it": {conclusion: Analysis{Unresolved: "none"}, provider: "other", wantPhase: aianalysisv1.PhaseFailed, wantReason: ReasonNoRecommendation},
		"an empty answer fails it":               {wantPhase: aianalysisv1.PhaseFailed, wantReason: ReasonInvalidRecommendation},
		"a cycle fails it":                       {conclusion: Analysis{Recommendation: recommendation(step("a", "b"), step("b", "a"))}, wantPhase: aianalysisv1.PhaseFailed, wantReason: ReasonInvalidRecommendation},
		"an unknown dependency fails it":         {conclusion: Analysis{Recommendation: recommendation(step("a", "b"))}, wantPhase: aianalysisv1.PhaseFailed, wantReason: ReasonInvalidRecommendation},
		"two steps of one name fail it":          {conclusion: Analysis{Recommendation: recommendation(step("a"), step("a"))}, wantPhase: aianalysisv1.PhaseFailed, wantReason: ReasonInvalidRecommendation},
		"a workflow without steps fails it":      {conclusion: Analysis{Recommendation: recommendation()}, wantPhase: aianalysisv1.PhaseFailed, wantReason: ReasonInvalidRecommendation},
		"an unknown action fails it":             {conclusion: Analysis{Recommendation: recommendation(shared.Step{Name: "a"})}, wantPhase: aianalysisv1.PhaseFailed, wantReason: ReasonInvalidRecommendation},
		"a confidence of 101 fails it":           {conclusion: Analysis{ConfidencePercent: new(int32(101)), Recommendation: recommendation(step("a"))}, wantPhase: aianalysisv1.PhaseFailed, wantReason: ReasonInvalidRecommendation},
		"a workflow and nothing to do fail it":   {conclusion: Analysis{NoActionRequired: true, Recommendation: recommendation(step("a"))}, wantPhase: aianalysisv1.PhaseFailed, wantReason: ReasonInvalidRecommendation},
		"an error asks again":                    {err: errors.New("away"), wantRetry: true, wantReason: ReasonProviderUnavailable},
		"an error for too long fails it":         {err: errors.New("away"), late: true, wantPhase: aianalysisv1.PhaseFailed, wantReason: ReasonProviderFailed},
	}
	for sentence, test := range observations {
		for _, phase := range phases() {
			t.Run(fmt.Sprintf("%s: %s", phase, sentence), func(t *testing.T) {
				t.Parallel()
				analysis := ownedAnalysis("request-uid")
				analysis.Status.Phase = phase
				now := began
				if phase != "" || test.late {
					analysis.Status.StartTime = &metav1.Time{Time: began}
				}
				if test.late {
					now = began.Add(providerLimit)
				}
				provider := "playbook"
				if test.provider != "" {
					provider = test.provider
				}
				got := decide(Snapshot{analysis: analysis, provider: provider, conclusion: test.conclusion, err: test.err}, now)
				if err := transitions().Check(phase, got.status.Phase); err != nil {
					t.Fatal(err)
				}
				if phase.Terminal() {
					if got.status.Phase != phase || got.retry != nil || len(got.status.Conditions) > 0 {
						t.Errorf("a terminal analysis changes: %+v", got)
					}
					return
				}
				want := test.wantPhase
				if test.wantRetry {
					want = startedPhase(phase)
				}
				ready := meta.FindStatusCondition(got.status.Conditions, shared.ConditionReady)
				stalled := meta.FindStatusCondition(got.status.Conditions, shared.ConditionStalled)
				if got.status.Phase != want || ready == nil || ready.Reason != test.wantReason || (got.retry != nil) != test.wantRetry {
					t.Errorf("got phase %s, Ready %+v, retry %v", got.status.Phase, ready, got.retry)
				}
				if stalled == nil || (stalled.Status == metav1.ConditionTrue) != (want == aianalysisv1.PhaseFailed) {
					t.Errorf("Stalled is %+v", stalled)
				}
				if (got.status.CompletionTime != nil) != want.Terminal() || got.status.StartTime == nil {
					t.Errorf("started %v, completed %v", got.status.StartTime, got.status.CompletionTime)
				}
				if got.status.Recommendation != nil && want == aianalysisv1.PhaseFailed {
					t.Error("a failed analysis recommends")
				}
			})
		}
	}
}

func TestBoundedAlternatives(t *testing.T) {
	t.Parallel()
	var many []aianalysisv1.Alternative
	for i := range 20 {
		many = append(many, aianalysisv1.Alternative{Name: fmt.Sprintf("p%d", i), WhyNot: strings.Repeat("x", 600)})
	}
	many = append([]aianalysisv1.Alternative{{Name: ""}, {Name: "p0"}}, many...)
	got := boundedAlternatives(many)
	if len(got) != mostAlternatives || got[0].Name != "p0" || got[1].Name != "p1" || len(got[1].WhyNot) > longestWhyNot {
		t.Errorf("got %+v", got)
	}
}

// ownedAnalysis names the request with UID request-uid, and is owned by the one with UID owner.
func ownedAnalysis(owner types.UID) *aianalysisv1.AIAnalysis {
	return &aianalysisv1.AIAnalysis{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "shop", Name: "a", Generation: 1,
			OwnerReferences: []metav1.OwnerReference{{Kind: "RemediationRequest", Name: "stuck", UID: owner, Controller: new(true)}},
		},
		Spec: aianalysisv1.AIAnalysisSpec{RemediationRequestRef: shared.ObjectReference{Name: "stuck", UID: "request-uid"}},
	}
}

// TestWithoutItsRequest has an analysis that lost its request, in every phase.
func TestWithoutItsRequest(t *testing.T) {
	t.Parallel()
	for _, phase := range phases() {
		analysis := ownedAnalysis("another-uid")
		analysis.Status.Phase = phase
		d := decide(Snapshot{analysis: analysis}, began)
		if err := transitions().Check(phase, d.status.Phase); err != nil {
			t.Error(err)
		}
		want := phase
		if !phase.Terminal() {
			want = aianalysisv1.PhaseFailed
		}
		if d.status.Phase != want || d.retry != nil || !meta.IsStatusConditionTrue(d.status.Conditions, shared.ConditionOrphaned) ||
			meta.IsStatusConditionTrue(d.status.Conditions, shared.ConditionStalled) == phase.Terminal() {
			t.Errorf("%q: got %q with %+v", phase, d.status.Phase, d.status.Conditions)
		}
	}
}

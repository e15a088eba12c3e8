package aianalysis

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"testing"

	aianalysisv1 "kubernaut.io/kubernaut/api/aianalysis/v1"
	"kubernaut.io/kubernaut/api/shared"
)

// FuzzConclusion has a provider say anything: nothing panics, what is recorded is bounded, and a workflow that is recommended is a
// graph of known actions.
func FuzzConclusion(f *testing.F) {
	seed := func(conclusion Analysis, failed string) {
		data, err := json.Marshal(conclusion)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data, failed)
	}
	seed(Analysis{RootCause: "a cause", ConfidencePercent: new(int32(90)), Recommendation: recommendation(step("a"), step("b", "a"))}, "")
	seed(Analysis{Recommendation: recommendation(step("a", "b"), step("b", "a"))}, "")
	seed(Analysis{NoActionRequired: true, ConfidencePercent: new(int32(-1))}, "")
	seed(Analysis{Unresolved: "nothing", Alternatives: []aianalysisv1.Alternative{{Name: "x"}, {Name: "x"}, {}}}, "")
	seed(Analysis{}, "the endpoint is away")
	f.Fuzz(func(t *testing.T, data []byte, failed string) {
		var conclusion Analysis
		decoder := json.NewDecoder(bytes.NewReader(data))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&conclusion); err != nil {
			return
		}
		s := Snapshot{analysis: ownedAnalysis("request-uid"), provider: "oracle", conclusion: conclusion}
		if failed != "" {
			s.err = errors.New(failed)
		}
		late := decide(s, began)
		s.analysis.Status = late.status
		late = decide(s, began.Add(providerLimit))
		status := late.status
		if !status.Phase.Terminal() || late.retry != nil {
			t.Fatalf("it has not ended: %+v", status)
		}
		if err := transitions().Check("", status.Phase); err != nil {
			t.Error(err)
		}
		if len(status.RootCause) > longestText || len(status.Alternatives) > mostAlternatives {
			t.Errorf("a root cause of %d bytes and %d alternatives", len(status.RootCause), len(status.Alternatives))
		}
		for _, condition := range status.Conditions {
			if condition.Reason == "" || condition.Message == "" || len(condition.Message) > longestText {
				t.Errorf("condition %+v", condition)
			}
		}
		if status.Phase != aianalysisv1.PhaseCompleted {
			if status.Recommendation != nil || status.NoActionRequired {
				t.Errorf("it failed and recommends: %+v", status)
			}
			return
		}
		if (status.Recommendation == nil) != status.NoActionRequired {
			t.Errorf("it completed with neither or both: %+v", status)
		}
		if status.Recommendation != nil {
			checkKnown(t, status.Recommendation.WorkflowDefinition.Steps)
		}
	})
}

// checkKnown walks the steps in the order in which they could run.
func checkKnown(t *testing.T, steps []shared.Step) {
	t.Helper()
	done := map[string]bool{}
	for range steps {
		for i := range steps {
			ready := true
			for _, needed := range steps[i].DependsOn {
				ready = ready && done[needed]
			}
			if ready {
				done[steps[i].Name] = true
			}
		}
	}
	if len(done) != len(steps) || len(steps) == 0 || len(steps) > mostSteps {
		t.Errorf("of %d steps %d can run", len(steps), len(done))
	}
	for i := range steps {
		if !slices.Contains(shared.ActionTypes(), steps[i].Action.Type) {
			t.Errorf("step %q has the action %q", steps[i].Name, steps[i].Action.Type)
		}
	}
}

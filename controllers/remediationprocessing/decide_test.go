package remediationprocessing

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	remediationprocessingv1 "kubernaut.io/kubernaut/api/remediationprocessing/v1"
	"kubernaut.io/kubernaut/api/shared"
)

var began = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

func phases() []remediationprocessingv1.ProcessingPhase {
	return []remediationprocessingv1.ProcessingPhase{
		"", remediationprocessingv1.PhasePending, remediationprocessingv1.PhaseEnriching, remediationprocessingv1.PhaseClassifying,
		remediationprocessingv1.PhaseCompleted, remediationprocessingv1.PhaseFailed,
	}
}

// TestDecide has every observation in every phase.
func TestDecide(t *testing.T) {
	t.Parallel()
	known := shared.Enrichment{TargetUID: "target-uid"}
	classified := shared.Classification{Environment: "production", Priority: "P0", BusinessUnit: "shop"}
	tests := map[string]struct {
		snapshot       Snapshot
		after          time.Duration
		wantPhase      remediationprocessingv1.ProcessingPhase
		wantReason     string
		wantEnriched   bool
		wantClassified bool
	}{
		"everything read completes it": {
			snapshot:  Snapshot{enrichment: known, classification: classified},
			wantPhase: remediationprocessingv1.PhaseCompleted, wantReason: ReasonCompleted, wantEnriched: true, wantClassified: true,
		},
		"a fact that is missing degrades it": {
			snapshot:  Snapshot{enrichment: known, classification: classified, degraded: []string{"events: forbidden"}},
			wantPhase: remediationprocessingv1.PhaseCompleted, wantReason: ReasonDegraded, wantEnriched: true, wantClassified: true,
		},
		"a target that is missing degrades it": {
			snapshot:  Snapshot{classification: classified, degraded: []string{"target: does not exist"}},
			wantPhase: remediationprocessingv1.PhaseCompleted, wantReason: ReasonDegraded, wantClassified: true,
		},
		"a classification that is missing degrades it": {
			snapshot:  Snapshot{enrichment: known, classification: unclassified(), degraded: []string{"classification: conflict"}},
			wantPhase: remediationprocessingv1.PhaseCompleted, wantReason: ReasonDegraded, wantEnriched: true,
		},
		"a fact that cannot be read now is read again": {
			snapshot:  Snapshot{enrichment: known, busy: errors.New("away"), degraded: []string{"events: away"}},
			wantPhase: remediationprocessingv1.PhaseEnriching, wantReason: ReasonEnriching,
		},
		"a fact that cannot be read for too long degrades it": {
			snapshot: Snapshot{enrichment: known, classification: classified, busy: errors.New("away"), degraded: []string{"events: away"}}, after: patienceForFacts,
			wantPhase: remediationprocessingv1.PhaseCompleted, wantReason: ReasonDegraded, wantEnriched: true, wantClassified: true,
		},
		"a target that cannot be read now is read again": {
			snapshot:  Snapshot{unread: errors.New("away"), degraded: []string{"target: away"}},
			wantPhase: remediationprocessingv1.PhaseEnriching, wantReason: ReasonEnriching,
		},
		"a target that cannot be read for too long degrades it": {
			snapshot: Snapshot{unread: errors.New("away"), classification: classified, degraded: []string{"target: away"}}, after: patience,
			wantPhase: remediationprocessingv1.PhaseCompleted, wantReason: ReasonDegraded, wantClassified: true,
		},
		"policies that are not loaded are waited for": {
			snapshot:  Snapshot{enrichment: known, notLoaded: errors.New("none"), degraded: []string{"classification: none"}},
			wantPhase: remediationprocessingv1.PhaseClassifying, wantReason: ReasonClassifying,
		},
		"policies that are not loaded for too long degrade it": {
			snapshot:  Snapshot{enrichment: known, classification: unclassified(), notLoaded: errors.New("none"), degraded: []string{"classification: none"}},
			after:     patience,
			wantPhase: remediationprocessingv1.PhaseCompleted, wantReason: ReasonDegraded, wantEnriched: true,
		},
	}
	for sentence, test := range tests {
		for _, phase := range phases() {
			t.Run(fmt.Sprintf("%s: %s", phase, sentence), func(t *testing.T) {
				t.Parallel()
				s, now := test.snapshot, began
				s.processing = &remediationprocessingv1.RemediationProcessing{ObjectMeta: childOf("stuck", "request-uid")}
				s.processing.Generation = 1
				s.processing.Spec.RemediationRequestRef = shared.ObjectReference{Name: "stuck", UID: "request-uid"}
				s.processing.Status.Phase = phase
				if phase != "" || test.after > 0 {
					s.processing.Status.StartTime = new(metav1.NewTime(began))
				}
				now = now.Add(test.after)
				d := decide(s, now)
				if err := transitions().Check(phase, d.status.Phase); err != nil {
					t.Fatal(err)
				}
				if phase.Terminal() {
					if d.status.Phase != phase || d.retry != nil || len(d.status.Conditions) > 0 {
						t.Errorf("a terminal examination changes: %+v", d)
					}
					return
				}
				ready := meta.FindStatusCondition(d.status.Conditions, shared.ConditionReady)
				if d.status.Phase != test.wantPhase || ready == nil || ready.Reason != test.wantReason {
					t.Errorf("got phase %s with %+v", d.status.Phase, ready)
				}
				completed := d.status.Phase == remediationprocessingv1.PhaseCompleted
				if (d.retry == nil) != completed || (d.status.CompletionTime != nil) != completed || (ready.Status == metav1.ConditionTrue) != completed {
					t.Errorf("got %+v", d)
				}
				if completed && d.status.Degraded != (len(test.snapshot.degraded) > 0) {
					t.Errorf("degraded is %v", d.status.Degraded)
				}
				if meta.IsStatusConditionTrue(d.status.Conditions, remediationprocessingv1.ConditionEnriched) != test.wantEnriched ||
					meta.IsStatusConditionTrue(d.status.Conditions, remediationprocessingv1.ConditionClassified) != test.wantClassified {
					t.Errorf("conditions are %+v", d.status.Conditions)
				}
				if meta.IsStatusConditionTrue(d.status.Conditions, shared.ConditionStalled) {
					t.Error("it is stalled")
				}
			})
		}
	}
}

// TestWithoutItsRequest has an examination that lost its request, in every phase.
func TestWithoutItsRequest(t *testing.T) {
	t.Parallel()
	for _, phase := range phases() {
		processing := &remediationprocessingv1.RemediationProcessing{ObjectMeta: childOf("stuck", "another-uid")}
		processing.Spec.RemediationRequestRef = shared.ObjectReference{Name: "stuck", UID: "request-uid"}
		processing.Status.Phase = phase
		d := decide(Snapshot{processing: processing}, began)
		if err := transitions().Check(phase, d.status.Phase); err != nil {
			t.Error(err)
		}
		want := phase
		if !phase.Terminal() {
			want = remediationprocessingv1.PhaseFailed
		}
		if d.status.Phase != want || d.retry != nil || !meta.IsStatusConditionTrue(d.status.Conditions, shared.ConditionOrphaned) ||
			meta.IsStatusConditionTrue(d.status.Conditions, shared.ConditionStalled) == phase.Terminal() {
			t.Errorf("%q: got %q with %+v", phase, d.status.Phase, d.status.Conditions)
		}
		processing.Status = d.status
		processing.OwnerReferences = childOf("stuck", "request-uid").OwnerReferences
		if d := decide(Snapshot{processing: processing}, began); !meta.IsStatusConditionFalse(d.status.Conditions, shared.ConditionOrphaned) {
			t.Errorf("%q, owned again: got %+v", phase, d.status.Conditions)
		}
	}
}

func TestBoundedReasons(t *testing.T) {
	t.Parallel()
	var many []string
	for i := range 20 {
		many = append(many, fmt.Sprint("reason ", i))
	}
	got := boundedReasons(many)
	if len(got) != mostReasons || got[0] != "reason 0" || got[mostReasons-1] != "and others, which are left out here" {
		t.Errorf("got %q", got)
	}
	if got := boundedReasons(nil); got != nil {
		t.Errorf("got %q", got)
	}
}

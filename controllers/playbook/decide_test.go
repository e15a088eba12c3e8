package playbook

import (
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	catalogv1alpha1 "kubernaut.io/kubernaut/api/catalog/v1alpha1"
	"kubernaut.io/kubernaut/api/shared"
)

func TestDecide(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		expression  string
		was         metav1.ConditionStatus
		wantReady   metav1.ConditionStatus
		wantStalled metav1.ConditionStatus
		wantMessage string
	}{
		"a playbook that compiles is ready": {
			expression: "target.kind == 'Deployment'", wantReady: metav1.ConditionTrue, wantStalled: metav1.ConditionFalse,
			wantMessage: "Every expression compiles",
		},
		"an unknown field stalls it, with path and position": {
			expression: "target.knid == 'Deployment'", wantReady: metav1.ConditionFalse, wantStalled: metav1.ConditionTrue,
			wantMessage: "spec.match.expression: line 1, column 7: undefined field 'knid'",
		},
		"one that was broken and is repaired is ready again": {
			expression: "true", was: metav1.ConditionFalse, wantReady: metav1.ConditionTrue, wantStalled: metav1.ConditionFalse,
			wantMessage: "Every expression compiles",
		},
	}
	for sentence, test := range tests {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			playbook := &catalogv1alpha1.Playbook{ObjectMeta: metav1.ObjectMeta{Name: "p", Generation: 3}}
			playbook.Spec.RootCause = "a cause"
			playbook.Spec.Match.Expression = test.expression
			if test.was != "" {
				playbook.Status.Conditions = []metav1.Condition{{Type: shared.ConditionReady, Status: test.was}}
			}
			status := decide(gather(playbook), time.Unix(1_000, 0))
			if status.ObservedGeneration != 3 {
				t.Errorf("observedGeneration is %d, want 3", status.ObservedGeneration)
			}
			ready := meta.FindStatusCondition(status.Conditions, shared.ConditionReady)
			stalled := meta.FindStatusCondition(status.Conditions, shared.ConditionStalled)
			if ready == nil || stalled == nil || ready.Status != test.wantReady || stalled.Status != test.wantStalled {
				t.Fatalf("Ready is %+v, Stalled is %+v", ready, stalled)
			}
			if !strings.Contains(ready.Message, test.wantMessage) {
				t.Errorf("message is %q, want it to have %q", ready.Message, test.wantMessage)
			}
		})
	}
}

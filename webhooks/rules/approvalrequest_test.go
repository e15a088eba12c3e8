package rules

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	safetyv1alpha1 "kubernaut.io/kubernaut/api/safety/v1alpha1"
)

var decided = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func asked(decisions ...safetyv1alpha1.ApprovalDecision) *safetyv1alpha1.ApprovalRequest {
	return &safetyv1alpha1.ApprovalRequest{Spec: safetyv1alpha1.ApprovalRequestSpec{
		ExpiresAt: metav1.NewTime(decided.Add(time.Hour)), Decisions: decisions,
	}}
}

func decision(by string, at *time.Time) safetyv1alpha1.ApprovalDecision {
	d := safetyv1alpha1.ApprovalDecision{Decision: safetyv1alpha1.DecisionApproved, Reason: "fine", By: by}
	if at != nil {
		d.At = &metav1.Time{Time: *at}
	}
	return d
}

func TestDecisionsAreStamped(t *testing.T) {
	stamped := decision("bob", &decided)
	for name, test := range map[string]struct {
		request, old, want *safetyv1alpha1.ApprovalRequest
		refused            []string
	}{
		"the first decision":       {request: asked(decision("", nil)), old: asked(), want: asked(decision("alice", &decided))},
		"the second":               {request: asked(stamped, decision("", nil)), old: asked(stamped), want: asked(stamped, decision("alice", &decided))},
		"no decision":              {request: asked(stamped), old: asked(stamped), want: asked(stamped)},
		"one that is taken away":   {request: asked(), old: asked(stamped), want: asked()},
		"two at once":              {request: asked(decision("", nil), decision("", nil)), old: asked(), want: asked(decision("", nil), decision("", nil))},
		"one for somebody else":    {request: asked(decision("bob", nil)), old: asked(), refused: []string{"spec.decisions[0].by"}},
		"one in one's own name":    {request: asked(decision("alice", nil)), old: asked(), refused: []string{"spec.decisions[0].by"}},
		"one with a time":          {request: asked(decision("", &decided)), old: asked(), refused: []string{"spec.decisions[0].at"}},
		"one with a name and time": {request: asked(stamped, decision("x", &decided)), old: asked(stamped), refused: []string{"spec.decisions[1].by", "spec.decisions[1].at"}},
	} {
		t.Run(name, func(t *testing.T) {
			var refused []string
			for _, err := range StampDecision(test.request, test.old, "alice", decided) {
				refused = append(refused, err.Field)
			}
			if diff := cmp.Diff(test.refused, refused); diff != "" {
				t.Fatal(diff)
			}
			if test.refused != nil {
				return
			}
			if diff := cmp.Diff(test.want, test.request); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestDecisionsAreInTime(t *testing.T) {
	soon, late, old := decided.Add(30*time.Second), decided.Add(2*time.Minute), decided.Add(-2*time.Minute)
	for name, test := range map[string]struct {
		request, old *safetyv1alpha1.ApprovalRequest
		now          time.Time
		want         []string
	}{
		"stamped now":               {request: asked(decision("a", &decided)), old: asked(), now: decided},
		"stamped by another clock":  {request: asked(decision("a", &soon)), old: asked(), now: decided},
		"in the last second":        {request: asked(decision("a", new(decided.Add(time.Hour-time.Second)))), old: asked(), now: decided.Add(time.Hour - time.Second)},
		"when the request expires":  {request: asked(decision("a", new(decided.Add(time.Hour)))), old: asked(), now: decided.Add(time.Hour), want: []string{"expired at 2026-01-02T04:04:05Z"}},
		"not stamped":               {request: asked(decision("a", nil)), old: asked(), now: decided, want: []string{"the present time"}},
		"stamped in the past":       {request: asked(decision("a", &old)), old: asked(), now: decided, want: []string{"the present time"}},
		"stamped in the future":     {request: asked(decision("a", &late)), old: asked(), now: decided, want: []string{"the present time"}},
		"late, and with a past one": {request: asked(decision("a", &decided)), old: asked(), now: decided.Add(2 * time.Hour), want: []string{"expired at", "the present time"}},
		"nothing decided, late":     {request: asked(), old: asked(), now: decided.Add(2 * time.Hour)},
	} {
		t.Run(name, func(t *testing.T) {
			errs := ValidateDecision(test.request, test.old, test.now)
			if len(errs) != len(test.want) {
				t.Fatalf("got %v, want %v", errs, test.want)
			}
			for i, want := range test.want {
				if !strings.Contains(errs[i].Error(), want) {
					t.Errorf("got %v, want %q", errs[i], want)
				}
			}
		})
	}
}

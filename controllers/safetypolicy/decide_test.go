package safetypolicy

import (
	"errors"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	safetyv1alpha1 "kubernaut.io/kubernaut/api/safety/v1alpha1"
	"kubernaut.io/kubernaut/api/shared"
	"kubernaut.io/kubernaut/policies/gate"
)

const (
	isTrue    = metav1.ConditionTrue
	isFalse   = metav1.ConditionFalse
	isUnknown = metav1.ConditionUnknown
)

func TestDecide(t *testing.T) {
	t.Parallel()
	problem := gate.Problem{File: "p.rego", Row: 3, Column: 7, Line: "deny", Message: "wrong"}
	fine := gate.TestReport{Tests: []string{"test_a"}}
	before := func(digest string, conditions ...metav1.Condition) safetyv1alpha1.SafetyPolicyStatus {
		return safetyv1alpha1.SafetyPolicyStatus{Digest: digest, Conditions: conditions}
	}
	active := metav1.Condition{Type: safetyv1alpha1.ConditionActive, Status: isTrue, Reason: ReasonActive, Message: "since set revision r0"}
	passed := metav1.Condition{Type: safetyv1alpha1.ConditionTestsPassed, Status: isTrue, Reason: ReasonTestsPassed, Message: "m", ObservedGeneration: 3}
	for sentence, test := range map[string]struct {
		snapshot Snapshot
		was      safetyv1alpha1.SafetyPolicyStatus
		want     map[string]metav1.ConditionStatus
		in       map[string]string // contained in the message of a condition
	}{
		"a policy that decides": {
			snapshot: Snapshot{applied: true, revision: "r1", status: gate.PolicyStatus{Digest: "d"}, tested: true, report: fine},
			want:     map[string]metav1.ConditionStatus{"Compiled": isTrue, "TestsPassed": isTrue, "Active": isTrue, "Ready": isTrue, "Stalled": isFalse},
			in:       map[string]string{"Active": "set revision r1"},
		},
		"one without tests": {
			snapshot: Snapshot{applied: true, status: gate.PolicyStatus{Digest: "d"}, tested: true},
			want:     map[string]metav1.ConditionStatus{"TestsPassed": isUnknown, "Ready": isTrue},
		},
		"one that is not loaded yet": {
			snapshot: Snapshot{tested: true, report: fine},
			want:     map[string]metav1.ConditionStatus{"Compiled": isUnknown, "TestsPassed": isTrue, "Active": isFalse, "Ready": isFalse, "Stalled": isFalse},
		},
		"one that does not compile": {
			snapshot: Snapshot{
				applied: true, status: gate.PolicyStatus{Digest: "d", Problems: []gate.Problem{problem}},
				tested: true, report: gate.TestReport{Problems: []gate.Problem{problem}},
			},
			want: map[string]metav1.ConditionStatus{"Compiled": isFalse, "TestsPassed": isFalse, "Active": isFalse, "Ready": isFalse, "Stalled": isTrue},
			in:   map[string]string{"Compiled": "p.rego:3:7: wrong\n\tdeny", "Ready": "Every step that the policy covers is denied"},
		},
		"one whose tests fail": {
			snapshot: Snapshot{applied: true, status: gate.PolicyStatus{Digest: "d"}, tested: true, report: gate.TestReport{Problems: []gate.Problem{problem}}},
			want:     map[string]metav1.ConditionStatus{"Compiled": isTrue, "TestsPassed": isFalse, "Active": isTrue, "Ready": isFalse, "Stalled": isTrue},
			in:       map[string]string{"Ready": "its tests fail: p.rego:3:7"},
		},
		"one whose tests could not run": {
			snapshot: Snapshot{applied: true, status: gate.PolicyStatus{Digest: "d"}, tested: true, testError: errors.New("no process")},
			want:     map[string]metav1.ConditionStatus{"TestsPassed": isUnknown, "Active": isTrue},
			in:       map[string]string{"TestsPassed": "no process"},
		},
		"another set does not change what it says": {
			snapshot: Snapshot{applied: true, revision: "r2", status: gate.PolicyStatus{Digest: "d"}}, was: before("d", active, passed),
			want: map[string]metav1.ConditionStatus{"Active": isTrue, "TestsPassed": isTrue}, in: map[string]string{"Active": "r0"},
		},
		"another policy does": {
			snapshot: Snapshot{applied: true, revision: "r2", status: gate.PolicyStatus{Digest: "e"}}, was: before("d", active, passed),
			want: map[string]metav1.ConditionStatus{"Active": isTrue}, in: map[string]string{"Active": "r2"},
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			test.snapshot.policy = &safetyv1alpha1.SafetyPolicy{ObjectMeta: metav1.ObjectMeta{Name: "p", Generation: 3}, Status: test.was}
			status := decide(test.snapshot, time.Unix(1_000, 0))
			if status.ObservedGeneration != 3 || status.Digest != test.snapshot.status.Digest {
				t.Errorf("got %+v", status)
			}
			for name, want := range test.want {
				if got := meta.FindStatusCondition(status.Conditions, name); got == nil || got.Status != want || got.ObservedGeneration != 3 {
					t.Errorf("%s is %+v, want %s", name, got, want)
				}
			}
			for name, want := range test.in {
				if got := meta.FindStatusCondition(status.Conditions, name); !strings.Contains(got.Message, want) {
					t.Errorf("%s says %q, want %q", name, got.Message, want)
				}
			}
			if meta.IsStatusConditionTrue(status.Conditions, shared.ConditionReady) && meta.IsStatusConditionTrue(status.Conditions, shared.ConditionStalled) {
				t.Error("Ready and Stalled at once")
			}
		})
	}
}

func TestTestsRunOncePerGeneration(t *testing.T) {
	t.Parallel()
	for sentence, test := range map[string]struct {
		condition metav1.Condition
		want      bool
	}{
		"never":                     {metav1.Condition{Type: "Other"}, false},
		"for this generation":       {metav1.Condition{Type: safetyv1alpha1.ConditionTestsPassed, Status: isFalse, ObservedGeneration: 3}, true},
		"for another":               {metav1.Condition{Type: safetyv1alpha1.ConditionTestsPassed, Status: isTrue, ObservedGeneration: 2}, false},
		"there are none":            {metav1.Condition{Type: safetyv1alpha1.ConditionTestsPassed, Status: isUnknown, Reason: ReasonNoTests, ObservedGeneration: 3}, true},
		"they could not, last time": {metav1.Condition{Type: safetyv1alpha1.ConditionTestsPassed, Status: isUnknown, Reason: ReasonTestsDidNotRun, ObservedGeneration: 3}, false},
	} {
		policy := &safetyv1alpha1.SafetyPolicy{ObjectMeta: metav1.ObjectMeta{Generation: 3}}
		policy.Status.Conditions = []metav1.Condition{test.condition}
		if got := testsAreKnown(policy); got != test.want {
			t.Errorf("%s: got %t", sentence, got)
		}
	}
}

func TestOnlyChangesOfTheSpecAreLoaded(t *testing.T) {
	t.Parallel()
	one := &safetyv1alpha1.SafetyPolicy{ObjectMeta: metav1.ObjectMeta{UID: "a", Generation: 1}}
	written := one.DeepCopy()
	written.Status.Digest = "d"
	changed := one.DeepCopy()
	changed.Generation = 2
	replaced := one.DeepCopy()
	replaced.UID = "b"
	for _, row := range []struct {
		before, after any
		want          bool
	}{{one, written, false}, {one, changed, true}, {one, replaced, true}, {nil, one, true}} {
		if got := isChange(row.before, row.after); got != row.want {
			t.Errorf("%v to %v: got %t", row.before, row.after, got)
		}
	}
}

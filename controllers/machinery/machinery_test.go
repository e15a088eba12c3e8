package machinery

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"kubernaut.io/kubernaut/api/shared"
)

var pods = schema.GroupResource{Resource: "pods"}

func TestTableAllowsWhatItLists(t *testing.T) {
	table := Table[string]{"": {"a"}, "a": {"b"}, "b": {}}
	for _, row := range []struct {
		from, to string
		legal    bool
	}{
		{"", "a", true},
		{"a", "b", true},
		{"a", "a", true},
		{"b", "b", true},
		{"", "b", false},
		{"b", "a", false},
		{"a", "unlisted", false},
		{"unlisted", "a", false},
		{"unlisted", "unlisted", false},
	} {
		if err := table.Check(row.from, row.to); (err == nil) != row.legal {
			t.Errorf("from %q to %q: %v", row.from, row.to, err)
		}
	}
}

func TestOutcome(t *testing.T) {
	now := time.Unix(1000, 0)
	conflict := apierrors.NewConflict(pods, "p", errors.New("stale"))
	for sentence, row := range map[string]struct {
		outcome    Outcome
		wantAfter  time.Duration
		wantError  bool
		wantFinish bool
	}{
		"done needs nothing":                                {outcome: Done()},
		"waiting wakes at its deadline":                     {outcome: Waiting(now.Add(time.Minute)), wantAfter: time.Minute},
		"waiting without a deadline waits for a watch":      {outcome: Waiting(time.Time{})},
		"a deadline that has passed is no busy loop":        {outcome: Waiting(now.Add(-time.Minute)), wantAfter: minRequeue},
		"a conflict is a quiet retry":                       {outcome: Transient(conflict), wantAfter: conflictRequeue},
		"a wrapped conflict is one too":                     {outcome: Transient(fmt.Errorf("status: %w", conflict)), wantAfter: conflictRequeue},
		"another error goes back to the rate-limited queue": {outcome: Transient(errors.New("away")), wantError: true},
		"no error is nothing":                               {outcome: Transient(nil)},
		"stalled is not tried again":                        {outcome: Stalled(errors.New("hopeless")), wantError: true, wantFinish: true},
	} {
		result, err := row.outcome.Result(now)
		if result.RequeueAfter != row.wantAfter || (err != nil) != row.wantError {
			t.Errorf("%s: got %v, %v", sentence, result, err)
		}
		if errors.Is(err, reconcile.TerminalError(nil)) != row.wantFinish {
			t.Errorf("%s: terminal is %t", sentence, !row.wantFinish)
		}
	}
}

func TestEarliest(t *testing.T) {
	a, b := time.Unix(1, 0), time.Unix(2, 0)
	if got := Earliest(time.Time{}, b, a, time.Time{}); !got.Equal(a) {
		t.Errorf("got %s", got)
	}
	if got := Earliest(time.Time{}); !got.IsZero() {
		t.Errorf("got %s", got)
	}
}

func TestClassify(t *testing.T) {
	status := func(code int32, reason metav1.StatusReason) error {
		return &apierrors.StatusError{ErrStatus: metav1.Status{Code: code, Reason: reason}}
	}
	for sentence, row := range map[string]struct {
		err           error
		want          shared.ErrorType
		wantTransient bool
	}{
		"no error has no class":                   {err: nil, want: "", wantTransient: true},
		"a typed error has its own":               {err: fmt.Errorf("x: %w", Typed(shared.ErrorIneffective, errors.New("y"))), want: shared.ErrorIneffective},
		"a typed error is what it says":           {err: Typed(shared.ErrorValidation, apierrors.NewNotFound(pods, "p")), want: shared.ErrorValidation},
		"the caller's deadline is a time-out":     {err: fmt.Errorf("x: %w", context.DeadlineExceeded), want: shared.ErrorTimeout, wantTransient: true},
		"the server's time-out is one":            {err: apierrors.NewTimeoutError("slow", 1), want: shared.ErrorTimeout, wantTransient: true},
		"the server's own deadline is one":        {err: apierrors.NewServerTimeout(pods, "get", 1), want: shared.ErrorTimeout, wantTransient: true},
		"forbidden is a missing permission":       {err: apierrors.NewForbidden(pods, "p", errors.New("no")), want: shared.ErrorPermissionDenied},
		"forbidden by a quota is the quota":       {err: apierrors.NewForbidden(pods, "p", errors.New("exceeded quota: q, requested: pods=1")), want: shared.ErrorResourceQuotaExceeded},
		"unauthorized is a missing permission":    {err: status(http.StatusUnauthorized, metav1.StatusReasonUnauthorized), want: shared.ErrorPermissionDenied},
		"not found is not found":                  {err: apierrors.NewNotFound(pods, "p"), want: shared.ErrorResourceNotFound},
		"a conflict is one":                       {err: apierrors.NewConflict(pods, "p", errors.New("stale")), want: shared.ErrorResourceConflict},
		"invalid is a validation error":           {err: status(http.StatusUnprocessableEntity, metav1.StatusReasonInvalid), want: shared.ErrorValidation},
		"too many requests is unknown, transient": {err: apierrors.NewTooManyRequests("busy", 1), want: shared.ErrorUnknown, wantTransient: true},
		"an internal error is unknown, transient": {err: apierrors.NewInternalError(errors.New("boom")), want: shared.ErrorUnknown, wantTransient: true},
		"a broken connection is transient":        {err: errors.New("connection reset"), want: shared.ErrorUnknown, wantTransient: true},
	} {
		if got := Classify(row.err); got != row.want {
			t.Errorf("%s: got %q, want %q", sentence, got, row.want)
		}
		if got := IsTransient(row.err); row.err != nil && got != row.wantTransient {
			t.Errorf("%s: transient is %t", sentence, got)
		}
	}
}

func TestConditionsKeepTheirTransitionTime(t *testing.T) {
	var list []metav1.Condition
	first, second := metav1.NewTime(time.Unix(1, 0)), metav1.NewTime(time.Unix(2, 0))
	ConditionsOf(&list, 1, first).Progressing("Working", "on its way")
	ConditionsOf(&list, 2, second).Progressing("Working", "still on its way")
	ready := meta.FindStatusCondition(list, shared.ConditionReady)
	if !ready.LastTransitionTime.Equal(&first) || ready.ObservedGeneration != 2 || ready.Message != "still on its way" {
		t.Errorf("got %+v", ready)
	}
	ConditionsOf(&list, 2, second).Succeeded("Done", "done")
	if !meta.IsStatusConditionTrue(list, shared.ConditionReady) || meta.IsStatusConditionTrue(list, shared.ConditionStalled) {
		t.Errorf("got %+v", list)
	}
	ConditionsOf(&list, 2, second).Failed("Broken", "broken")
	if meta.IsStatusConditionTrue(list, shared.ConditionReady) || !meta.IsStatusConditionTrue(list, shared.ConditionStalled) {
		t.Errorf("got %+v", list)
	}
}

func TestCutKeepsCharactersWhole(t *testing.T) {
	for _, text := range []string{"short", strings.Repeat("ä", 100), strings.Repeat("x", 100), strings.Repeat("→ ", 50)} {
		for limit := 10; limit < 60; limit++ {
			got := Cut(text, limit)
			if len(got) > limit || !utf8.ValidString(got) {
				t.Fatalf("cut to %d: %q has %d bytes", limit, got, len(got))
			}
		}
	}
	if got := Cut("short", 5); got != "short" {
		t.Errorf("got %q", got)
	}
}

func TestEnsureChild(t *testing.T) {
	owner := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "owner", UID: "uid-owner"}}
	child := func(uid types.UID) *corev1.ConfigMap {
		c := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "child"}}
		if uid != "" {
			by := owner.DeepCopy()
			by.UID = uid
			c.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(by, corev1.SchemeGroupVersion.WithKind("ConfigMap"))}
		}
		return c
	}
	accept := func(*corev1.ConfigMap) error { return nil }
	for sentence, row := range map[string]struct {
		existing    *corev1.ConfigMap
		same        func(*corev1.ConfigMap) error
		wantForeign bool
	}{
		"a child that is not there is made":                  {same: accept},
		"one that is there and ours is adopted":              {existing: child("uid-owner"), same: accept},
		"one of another owner is foreign":                    {existing: child("uid-other"), same: accept, wantForeign: true},
		"one without an owner is foreign":                    {existing: child(""), same: accept, wantForeign: true},
		"one of ours that stands for something else is, too": {existing: child("uid-owner"), same: func(*corev1.ConfigMap) error { return errors.New("another attempt") }, wantForeign: true},
	} {
		t.Run(sentence, func(t *testing.T) {
			builder := fake.NewClientBuilder()
			if row.existing != nil {
				builder.WithObjects(row.existing)
			}
			c := builder.Build()
			err := EnsureChild(t.Context(), c, c, child("uid-owner"), &corev1.ConfigMap{}, row.same)
			if _, foreign := errors.AsType[*ForeignChildError](err); foreign != row.wantForeign || !foreign && err != nil {
				t.Errorf("got %v", err)
			}
		})
	}
}

package machinery

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"kubernaut.io/kubernaut/api/shared"
)

// TestEveryErrorHasItsClass has a row for every kind of error that the API and its clients give. Each is looked at as it is, wrapped,
// and joined with another.
func TestEveryErrorHasItsClass(t *testing.T) {
	answered := func(code int) error {
		return apierrors.NewGenericServerResponse(code, "patch", pods, "p", "", 0, true)
	}
	invalid := field.ErrorList{field.Invalid(field.NewPath("spec"), 1, "exceeded quota: a text is no quota here, nor forbidden, nor timeout")}
	rows := map[shared.ErrorType][]error{
		shared.ErrorTimeout: {
			context.DeadlineExceeded, os.ErrDeadlineExceeded,
			apierrors.NewTimeoutError("slow", 1), apierrors.NewServerTimeout(pods, "patch", 1), answered(http.StatusGatewayTimeout),
			&url.Error{Op: "Patch", URL: "https://localhost", Err: context.DeadlineExceeded},
			&net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}, &net.DNSError{IsTimeout: true},
		},
		shared.ErrorPermissionDenied: {
			apierrors.NewForbidden(pods, "p", errors.New("no")), apierrors.NewUnauthorized("who?"), answered(http.StatusForbidden), answered(http.StatusUnauthorized),
		},
		shared.ErrorResourceQuotaExceeded: {
			apierrors.NewForbidden(pods, "p", errors.New("exceeded quota: q, requested: pods=1, used: pods=2, limited: pods=2")),
		},
		shared.ErrorResourceNotFound: {
			apierrors.NewNotFound(pods, "p"), answered(http.StatusNotFound),
			&meta.NoKindMatchError{GroupKind: schema.GroupKind{Kind: "Cart"}}, &meta.NoResourceMatchError{PartialResource: schema.GroupVersionResource{Resource: "carts"}},
		},
		shared.ErrorResourceConflict: {
			apierrors.NewConflict(pods, "p", errors.New("stale")), apierrors.NewAlreadyExists(pods, "p"), apierrors.NewApplyConflict(nil, "owned by another"),
		},
		shared.ErrorValidation: {
			apierrors.NewInvalid(schema.GroupKind{Kind: "Pod"}, "p", invalid), apierrors.NewBadRequest("forbidden: exceeded quota: timeout"),
			apierrors.NewRequestEntityTooLargeError("large"), apierrors.NewMethodNotSupported(pods, "patch"),
			answered(http.StatusNotAcceptable), answered(http.StatusUnsupportedMediaType),
		},
		shared.ErrorUnknown: {
			errors.New("timeout, forbidden, not found: a text is no class"), context.Canceled, apierrors.NewTooManyRequests("busy", 1),
			apierrors.NewInternalError(errors.New("boom")), apierrors.NewServiceUnavailable("away"), &net.OpError{Op: "dial", Err: errors.New("refused")},
		},
		// These arise in Kubernaut, and where they do they are given their class.
		shared.ErrorPolicyDenied:     {Typed(shared.ErrorPolicyDenied, errors.New("the gate says so"))},
		shared.ErrorApprovalRejected: {Typed(shared.ErrorApprovalRejected, errors.New("no"))},
		shared.ErrorApprovalExpired:  {Typed(shared.ErrorApprovalExpired, errors.New("late"))},
		shared.ErrorIneffective:      {Typed(shared.ErrorIneffective, context.DeadlineExceeded)},
		shared.ErrorCancelled:        {Typed(shared.ErrorCancelled, context.Canceled)},
	}
	for want, list := range rows {
		for _, err := range list {
			for form, err := range map[string]error{
				"": err, "wrapped: ": fmt.Errorf("step %q: %w", "a", fmt.Errorf("patch: %w", err)), "joined: ": errors.Join(errors.New("and another"), err),
			} {
				if got := Classify(err); got != want {
					t.Errorf("%s%T %v: got %q, want %q", form, err, err, got, want)
				}
			}
		}
	}
	if len(rows) != 12 {
		t.Errorf("%d classes have rows, the API has 12", len(rows))
	}
}

// TestTransientErrors: what another try may cure without anyone doing anything.
func TestTransientErrors(t *testing.T) {
	for want, list := range map[bool][]error{
		true: {
			context.DeadlineExceeded, apierrors.NewTimeoutError("slow", 1), apierrors.NewServerTimeout(pods, "get", 1), apierrors.NewTooManyRequests("busy", 1),
			apierrors.NewInternalError(errors.New("boom")), apierrors.NewServiceUnavailable("away"), &net.OpError{Op: "dial", Err: errors.New("refused")},
			apierrors.NewGenericServerResponse(http.StatusBadGateway, "get", pods, "p", "", 0, true),
		},
		false: {
			Typed(shared.ErrorTimeout, context.DeadlineExceeded), apierrors.NewNotFound(pods, "p"), apierrors.NewForbidden(pods, "p", errors.New("no")),
			apierrors.NewConflict(pods, "p", errors.New("stale")), apierrors.NewBadRequest("bad"), &meta.NoKindMatchError{GroupKind: schema.GroupKind{Kind: "Cart"}},
			&apierrors.StatusError{ErrStatus: metav1.Status{Reason: metav1.StatusReasonUnauthorized}},
		},
	} {
		for _, err := range list {
			if got := IsTransient(fmt.Errorf("x: %w", err)); got != want {
				t.Errorf("%T %v: transient is %t", err, err, got)
			}
		}
	}
}

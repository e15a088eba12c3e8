package machinery

import (
	"context"
	"errors"
	"net"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"

	"kubernaut.io/kubernaut/api/shared"
)

// TypedError is an error whose class is known where it arises.
type TypedError struct {
	Type shared.ErrorType
	Err  error
}

// Error is the message of the wrapped error.
func (e *TypedError) Error() string { return e.Err.Error() }

// Unwrap gives the wrapped error.
func (e *TypedError) Unwrap() error { return e.Err }

// Typed gives err a class.
func Typed(errorType shared.ErrorType, err error) error {
	return &TypedError{Type: errorType, Err: err}
}

// Classify is the class of an error, from its type: never from its text, with one exception. Quota is a Forbidden whose
// message says so, because the API server gives no cause that could be told from missing permission.
func Classify(err error) shared.ErrorType {
	if typed, ok := errors.AsType[*TypedError](err); ok {
		return typed.Type
	}
	switch {
	case err == nil:
		return ""
	case isTimeout(err):
		return shared.ErrorTimeout
	case isQuotaExceeded(err): // before permission: both are Forbidden
		return shared.ErrorResourceQuotaExceeded
	case apierrors.IsForbidden(err), apierrors.IsUnauthorized(err):
		return shared.ErrorPermissionDenied
	case apierrors.IsNotFound(err), apierrors.IsGone(err), meta.IsNoMatchError(err):
		return shared.ErrorResourceNotFound
	case apierrors.IsConflict(err), apierrors.IsAlreadyExists(err):
		return shared.ErrorResourceConflict
	case apierrors.IsInvalid(err), apierrors.IsBadRequest(err), apierrors.IsRequestEntityTooLargeError(err),
		apierrors.IsMethodNotSupported(err), apierrors.IsNotAcceptable(err), apierrors.IsUnsupportedMediaType(err):
		return shared.ErrorValidation
	default:
		return shared.ErrorUnknown
	}
}

// isTimeout says whether somebody's time was over: the caller's, the API server's, or that of the connection between them.
func isTimeout(err error) bool {
	if errors.Is(err, context.DeadlineExceeded) || apierrors.IsTimeout(err) || apierrors.IsServerTimeout(err) {
		return true
	}
	// An expired deadline of a connection, and that of the HTTP client, which is no context error.
	timeout, ok := errors.AsType[net.Error](err)
	return ok && timeout.Timeout()
}

// IsTransient says whether the same request may succeed soon without anyone doing anything: the API server is slow, busy or
// away, or the connection broke. An error with a class of its own is not transient.
func IsTransient(err error) bool {
	if _, typed := errors.AsType[*TypedError](err); typed || meta.IsNoMatchError(err) {
		return false
	}
	return apierrors.IsServerTimeout(err) || apierrors.IsTooManyRequests(err) || apierrors.IsInternalError(err) ||
		apierrors.IsServiceUnavailable(err) || apierrors.IsTimeout(err) || apierrors.IsUnexpectedServerError(err) ||
		!isStatus(err)
}

func isStatus(err error) bool {
	var status apierrors.APIStatus
	return errors.As(err, &status)
}

// isQuotaExceeded rests on the text of the quota admission plugin, which gives neither a code nor a cause of its own.
func isQuotaExceeded(err error) bool {
	return apierrors.IsForbidden(err) && strings.Contains(err.Error(), "exceeded quota:")
}

package terminal

import (
	"context"
	"crypto/x509"
	"errors"
	"net"
	"net/url"
	"strings"
	"syscall"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Explain says the way out of what a cluster answered, or of its not answering. Any other error is returned as it is, and so is one
// that has its exit code: whoever gave it knew what to say.
func Explain(err error) error {
	if err == nil {
		return nil
	}
	if _, is := errors.AsType[codedError](err); is {
		return err
	}
	if errors.Is(err, context.Canceled) {
		return WithCode(ExitInterrupted, errors.New("interrupted"))
	}
	if answer, is := errors.AsType[interface {
		error
		Status() metav1.Status
	}](err); is {
		return explainStatus(err, answer.Status())
	}
	if meta.IsNoMatchError(err) {
		return Usagef("Kubernaut is not installed on this cluster, or not in this version: %w; install its CRDs with `kubectl apply --server-side -k config/default`", err)
	}
	return explainConnection(err)
}

func explainStatus(err error, status metav1.Status) error {
	switch {
	case apierrors.IsUnauthorized(err):
		return Usagef("the API server does not know you: the credentials of the kubeconfig are missing or have expired; log in again (`kubectl auth whoami` shows who you are)")
	case apierrors.IsForbidden(err) && byAuthorizer(status):
		return Usagef("%s; whoever administers the cluster can allow it (`kubectl auth can-i --list` shows what you may do)", status.Message)
	case apierrors.IsServiceUnavailable(err), apierrors.IsServerTimeout(err), apierrors.IsTimeout(err), apierrors.IsTooManyRequests(err):
		return Usagef("the API server is busy or not ready, try again: %w", err)
	case apierrors.IsInternalError(err) && strings.Contains(status.Message, "failed calling webhook"):
		// There is no other mark of this answer.
		return Usagef("the manager, which checks every write, does not answer: %w; see the Pods of kubernaut-manager", err)
	default:
		return err
	}
}

// byAuthorizer says whether a refusal comes from RBAC and not from admission: only it names the kind.
func byAuthorizer(status metav1.Status) bool {
	return status.Details != nil && status.Details.Kind != ""
}

func explainConnection(err error) error {
	request, is := errors.AsType[*url.Error](err)
	if !is {
		return err
	}
	host := request.URL
	if parsed, failed := url.Parse(request.URL); failed == nil {
		host = parsed.Scheme + "://" + parsed.Host
	}
	const which = "is it the cluster that you mean (`kubectl config current-context`), and is it up?"
	_, unknownAuthority := errors.AsType[x509.UnknownAuthorityError](err)
	_, wrongHost := errors.AsType[x509.HostnameError](err)
	lookup, noHost := errors.AsType[*net.DNSError](err)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return Usagef("the API server %s does not answer: connection refused; %s", host, which)
	case noHost:
		return Usagef("the API server %s is not found: there is no host %s; %s", host, lookup.Name, which)
	case unknownAuthority, wrongHost:
		return Usagef("the API server %s is not the one of the kubeconfig: %w; get a new kubeconfig", host, request.Err)
	case request.Timeout():
		return Usagef("the API server %s does not answer in time; %s", host, which)
	default:
		return Usagef("the API server %s cannot be asked: %w; %s", host, request.Err, which)
	}
}

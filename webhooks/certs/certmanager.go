package certs

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"time"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	"github.com/cert-manager/cert-manager/pkg/client/clientset/versioned"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
)

const (
	// askSoon and askLater are how often cert-manager's objects are looked at: while something is wrong, and otherwise. The
	// Secret is watched, so neither delays a certificate.
	askSoon  = 2 * time.Second
	askLater = time.Minute
	// askTimeout bounds one look.
	askTimeout = 10 * time.Second
)

// Cause is why cert-manager does not provide the certificate.
type Cause string

// The causes.
const (
	CauseNotInstalled       Cause = "CertManagerNotInstalled"
	CauseForbidden          Cause = "Forbidden"
	CauseCertificateMissing Cause = "CertificateMissing"
	CauseOtherSecret        Cause = "OtherSecret"
	CauseIssuerMissing      Cause = "IssuerMissing"
	CauseIssuerNotReady     Cause = "IssuerNotReady"
	CauseNotReady           Cause = "CertificateNotReady"
	CauseUnknown            Cause = "Unknown"
)

// IssuanceError says why, and what to do about it.
type IssuanceError struct {
	Cause   Cause
	Message string
}

// Error is the message, for people.
func (e *IssuanceError) Error() string { return e.Message }

func issuanceError(cause Cause, format string, args ...any) error {
	return &IssuanceError{Cause: cause, Message: fmt.Sprintf(format, args...)}
}

// CertManager serves what cert-manager puts into the Secret, and says what is wrong when it does not. The manager starts without
// cert-manager too, so that there is somebody to say it.
func (s *Source) CertManager(mgr ctrl.Manager, options Options) error {
	if err := options.setDefaults(); err != nil {
		return err
	}
	follows, err := newFollower(s, mgr.GetConfig())
	if err != nil {
		return err
	}
	follows.takes = func(context.Context, *corev1.Secret, *tls.Certificate) bool { return true }
	client, err := versioned.NewForConfig(mgr.GetConfig())
	if err != nil {
		return fmt.Errorf("client of cert-manager: %w", err)
	}
	return errors.Join(s.start(mgr, OriginCertManager, options), mgr.Add(follows), mgr.Add(&issuanceWatch{source: s, client: client}))
}

// issuanceWatch asks again and again whether cert-manager does its work: a watch would not say that its kinds are missing.
type issuanceWatch struct {
	source *Source
	client versioned.Interface
}

// NeedLeaderElection is false: every replica serves.
func (*issuanceWatch) NeedLeaderElection() bool { return false }

// Start asks until the manager stops.
func (w *issuanceWatch) Start(ctx context.Context) error {
	log := ctrl.Log.WithName(logName)
	var before string
	for {
		err := w.ask(ctx)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // the manager stops: the answer is of no interest
		}
		w.source.update(func() { w.source.issuance = err })
		wait, now := askLater, ""
		if err != nil {
			wait, now = askSoon, err.Error()
		}
		if now != before {
			if err != nil {
				log.Error(err, "cert-manager does not provide the certificate of the webhooks")
			} else {
				log.Info("cert-manager provides the certificate of the webhooks")
			}
			before = now
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
	}
}

func (w *issuanceWatch) ask(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	return Issuance(ctx, w.client, w.source.options)
}

// Issuance says why cert-manager does not provide the certificate, as an IssuanceError; nil if it does. It reads the Certificate,
// and its Issuer when the Certificate is not ready.
func Issuance(ctx context.Context, client versioned.Interface, options Options) error {
	if err := options.setDefaults(); err != nil {
		return err
	}
	name := options.Namespace + "/" + options.CertificateName
	certificate, err := client.CertmanagerV1().Certificates(options.Namespace).Get(ctx, options.CertificateName, metav1.GetOptions{})
	switch {
	case err != nil && notServed(client):
		// The manager may have no rights on kinds that do not exist, so it can be refused as well as not found.
		return issuanceError(CauseNotInstalled, "cert-manager is not installed: the API server does not serve %s; install it, or use --webhook-certs=%s", certmanagerv1.SchemeGroupVersion, OriginSelfSigned)
	case apierrors.IsNotFound(err):
		return issuanceError(CauseCertificateMissing, "the Certificate %s does not exist: apply config/default", name)
	case err != nil:
		return unreadable(err, "the Certificate "+name)
	case certificate.Spec.SecretName != options.SecretName:
		return issuanceError(CauseOtherSecret, "the Certificate %s keeps its certificate in the Secret %s; the manager reads %s", name, certificate.Spec.SecretName, options.SecretName)
	}
	ready := certificateCondition(certificate, certmanagerv1.CertificateConditionReady)
	if ready != nil && ready.Status == cmmeta.ConditionTrue {
		return nil
	}
	if err := issuerProblem(ctx, client, certificate); err != nil {
		return err
	}
	if ready == nil {
		return issuanceError(CauseNotReady, "the Certificate %s has no condition yet: is cert-manager's controller running?", name)
	}
	message := ready.Reason + ": " + ready.Message
	if issuing := certificateCondition(certificate, certmanagerv1.CertificateConditionIssuing); issuing != nil && issuing.Message != "" {
		message += "; " + issuing.Reason + ": " + issuing.Message
	}
	return issuanceError(CauseNotReady, "the Certificate %s is not ready: %s", name, message)
}

func notServed(client versioned.Interface) bool {
	_, err := client.Discovery().ServerResourcesForGroupVersion(certmanagerv1.SchemeGroupVersion.String())
	return apierrors.IsNotFound(err)
}

// issuerProblem says what is wrong with the issuer of a Certificate. One of another group has conditions that we do not know.
func issuerProblem(ctx context.Context, client versioned.Interface, certificate *certmanagerv1.Certificate) error {
	ref := certificate.Spec.IssuerRef
	if ref.Group != "" && ref.Group != certmanagerv1.SchemeGroupVersion.Group {
		return nil
	}
	var conditions []certmanagerv1.IssuerCondition
	var err error
	name := "the Issuer " + certificate.Namespace + "/" + ref.Name
	if ref.Kind == certmanagerv1.ClusterIssuerKind {
		name = "the ClusterIssuer " + ref.Name
		var issuer *certmanagerv1.ClusterIssuer
		if issuer, err = client.CertmanagerV1().ClusterIssuers().Get(ctx, ref.Name, metav1.GetOptions{}); err == nil {
			conditions = issuer.Status.Conditions
		}
	} else {
		var issuer *certmanagerv1.Issuer
		if issuer, err = client.CertmanagerV1().Issuers(certificate.Namespace).Get(ctx, ref.Name, metav1.GetOptions{}); err == nil {
			conditions = issuer.Status.Conditions
		}
	}
	switch {
	case apierrors.IsNotFound(err):
		return issuanceError(CauseIssuerMissing, "%s of the Certificate %s does not exist: apply config/default", name, certificate.Name)
	case err != nil:
		return unreadable(err, name)
	}
	for _, condition := range conditions {
		if condition.Type == certmanagerv1.IssuerConditionReady && condition.Status == cmmeta.ConditionFalse {
			return issuanceError(CauseIssuerNotReady, "%s of the Certificate %s is not ready: %s: %s", name, certificate.Name, condition.Reason, condition.Message)
		}
	}
	return nil
}

func unreadable(err error, what string) error {
	if apierrors.IsForbidden(err) {
		return issuanceError(CauseForbidden, "%s may not be read: apply config/default, which grants it to the manager: %v", what, err)
	}
	return issuanceError(CauseUnknown, "%s could not be read: %v", what, err)
}

func certificateCondition(certificate *certmanagerv1.Certificate, kind certmanagerv1.CertificateConditionType) *certmanagerv1.CertificateCondition {
	for i := range certificate.Status.Conditions {
		if certificate.Status.Conditions[i].Type == kind {
			return &certificate.Status.Conditions[i]
		}
	}
	return nil
}

// Package certs provides the serving certificate of the webhooks.
//
// It comes from one of three origins: cert-controller, which creates and rotates CA and certificate in a Secret and injects the CA
// into the webhook configurations; cert-manager, whose Certificate fills the same Secret and whose cainjector injects the CA; or a
// directory of files. Every replica serves from memory what the origin offers: no volume is mounted for the first two, so the same
// works for a manager that runs as a process outside of the cluster, and a rotation is served as soon as it is seen.
//
// A new certificate is served when the CA in every webhook configuration verifies it, or when the old one is of no more use: a
// renewal loses no request, also when the CA is not injected at the same moment.
package certs

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/healthz"

	"kubernaut.io/kubernaut/webhooks"
)

const (
	certificateKey = "tls.crt"
	privateKeyKey  = "tls.key"
	authorityKey   = "ca.crt"

	// logName is the name of everything here in logs, and of cert-controller's controller in metrics.
	logName = "webhook-certs"
)

var errNoCertificate = errors.New("there is no serving certificate yet")

// Origin says where the certificate comes from. Its values are those of the manager's --webhook-certs.
type Origin string

// The origins.
const (
	OriginCertManager Origin = "cert-manager"
	OriginSelfSigned  Origin = "self-signed"
	OriginFiles       Origin = "files"
)

// Origins lists all, the recommended one first.
func Origins() []Origin { return []Origin{OriginCertManager, OriginSelfSigned, OriginFiles} }

// Options say what the certificate is for. All replicas have the same.
type Options struct {
	// Namespace is the operator's namespace, of the Secret and the Service.
	Namespace string
	// ExtraDNSNames are further names, such as localhost for webhooks that are registered by URL.
	ExtraDNSNames []string

	// SecretName is the Secret that keeps the certificate. Its default, and those below, are the names that the manifests have.
	SecretName string
	// CertificateName is cert-manager's Certificate for it.
	CertificateName string
	// Service is the Service through which the API server reaches the webhooks.
	Service string
	// MutatingName and ValidatingName are the webhook configurations that get the CA.
	MutatingName, ValidatingName string
}

func (o *Options) setDefaults() error {
	if o.Namespace == "" {
		return errors.New("certificates: the operator's namespace is not set")
	}
	o.SecretName = cmp.Or(o.SecretName, webhooks.SecretName)
	o.CertificateName = cmp.Or(o.CertificateName, webhooks.CertificateName)
	o.Service = cmp.Or(o.Service, webhooks.ServiceName)
	o.MutatingName = cmp.Or(o.MutatingName, webhooks.ConfigurationName)
	o.ValidatingName = cmp.Or(o.ValidatingName, webhooks.ConfigurationName)
	return nil
}

// host is the name that the API server calls the webhooks by.
func (o *Options) host() string { return o.Service + "." + o.Namespace + ".svc" }

// Source is where the webhook server gets its certificate from.
type Source struct {
	origin    Origin
	options   Options
	ready     chan struct{}
	readyOnce sync.Once

	mu          sync.RWMutex
	certificate *tls.Certificate // what is served
	offered     *tls.Certificate // a newer one that waits for its CA
	callers     callers
	issuance    error // why cert-manager would not renew the certificate
	problem     error
}

// NewSource makes a Source that has no certificate yet. It is made before the manager, whose webhook server takes its
// TLSOptions; SelfSigned, CertManager or Files then fills it.
func NewSource() *Source {
	return &Source{ready: make(chan struct{}), callers: callers{}, problem: errNoCertificate}
}

// TLSOptions are the TLSOpts of webhook.Options: with them the server looks for no files.
func (s *Source) TLSOptions() []func(*tls.Config) { return []func(*tls.Config){s.TLSConfig} }

// TLSConfig makes a server serve the newest certificate that callers trust.
func (s *Source) TLSConfig(config *tls.Config) {
	config.MinVersion = tls.VersionTLS12
	config.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		s.mu.RLock()
		defer s.mu.RUnlock()
		if s.certificate == nil {
			return nil, errNoCertificate
		}
		return s.certificate, nil
	}
}

// Ready is closed when there was a certificate to serve, and its CA in both webhook configurations, for the first time.
func (s *Source) Ready() <-chan struct{} { return s.ready }

// Checker is healthy while the API server can verify what is served. It is for readyz: /readyz/NAME says what is wrong.
func (s *Source) Checker() healthz.Checker {
	return func(*http.Request) error {
		s.mu.RLock()
		defer s.mu.RUnlock()
		if s.problem != nil {
			return s.problem
		}
		return expired(s.certificate, time.Now())
	}
}

// start remembers what the source is for. The expiry is watched for every origin.
func (s *Source) start(mgr ctrl.Manager, origin Origin, options Options) error {
	s.origin, s.options = origin, options
	return mgr.Add(&expiryWatch{source: s, recorder: mgr.GetEventRecorder(logName)})
}

// offer gives the source a newer certificate.
func (s *Source) offer(certificate *tls.Certificate) {
	s.update(func() { s.offered = certificate })
}

// update changes what is known and draws the conclusions; it logs what is wrong once.
func (s *Source) update(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	log := ctrl.Log.WithName(logName)
	now := time.Now()
	change()
	if s.adopts(now) {
		s.certificate, s.offered = s.offered, nil
		leaf := s.certificate.Leaf
		expiryTimestamp.Set(float64(leaf.NotAfter.Unix()))
		log.Info("serving a certificate", "origin", s.origin, "serial", leaf.SerialNumber.Text(16), "names", leaf.DNSNames, "expires", leaf.NotAfter)
	}
	before := s.problem
	s.problem = s.diagnose(now)
	switch {
	case s.problem == nil:
		if before != nil {
			log.Info("the API server can verify the webhooks")
		}
		s.readyOnce.Do(func() { close(s.ready) })
	case before == nil || before.Error() != s.problem.Error():
		log.Info("the API server cannot verify the webhooks yet", "reason", s.problem.Error())
	}
}

// adopts says whether the offered certificate is served from now on: always when there is nothing better, and otherwise as soon
// as every caller trusts it. It waits while all callers trust the old one, which is what a change of the CA needs.
func (s *Source) adopts(now time.Time) bool {
	if s.offered == nil {
		return false
	}
	return s.certificate == nil || s.distrust(s.offered, now) == nil || s.distrust(s.certificate, now) != nil
}

// diagnose says what keeps the API server from calling the webhooks.
func (s *Source) diagnose(now time.Time) error {
	if s.certificate == nil {
		if s.issuance != nil {
			return fmt.Errorf("%w: %w", errNoCertificate, s.issuance)
		}
		return fmt.Errorf("%w in Secret %s/%s", errNoCertificate, s.options.Namespace, s.options.SecretName)
	}
	if err := expired(s.certificate, now); err != nil {
		return errors.Join(err, s.issuance)
	}
	return s.distrust(s.certificate, now)
}

// distrust is why a webhook configuration would not have the certificate verified.
func (s *Source) distrust(certificate *tls.Certificate, now time.Time) error {
	return s.callers.distrust(certificate, now, expectation{
		names: []string{mutatingKind + " " + s.options.MutatingName, validatingKind + " " + s.options.ValidatingName},
		// Without a bundle the API server asks the roots of its own machine, which only its administrator knows.
		ownRoots: s.origin == OriginFiles,
		hint:     hintFor(s.origin, s.options),
	})
}

func expired(certificate *tls.Certificate, now time.Time) error {
	if end := certificate.Leaf.NotAfter; now.After(end) {
		return fmt.Errorf("the serving certificate expired at %s", end)
	}
	return nil
}

package certs

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
)

const (
	mutatingKind   = "MutatingWebhookConfiguration"
	validatingKind = "ValidatingWebhookConfiguration"

	// injectAnnotation has cert-manager's cainjector put the CA of a Certificate into a webhook configuration.
	injectAnnotation = "cert-manager.io/inject-ca-from"
)

// call is how the API server calls one webhook.
type call struct {
	webhook string
	host    string
	bundle  []byte
}

// caller is one webhook configuration.
type caller struct {
	calls []call
	// injectFrom is the Certificate, as namespace/name, whose CA cainjector puts here.
	injectFrom string
}

// callers are the webhook configurations that exist, by kind and name.
type callers map[string]caller

func mutatingCaller(object *admissionregistrationv1.MutatingWebhookConfiguration) (string, caller) {
	c := caller{injectFrom: object.Annotations[injectAnnotation]}
	for i := range object.Webhooks {
		c.calls = append(c.calls, callOf(object.Webhooks[i].Name, &object.Webhooks[i].ClientConfig))
	}
	return mutatingKind + " " + object.Name, c
}

func validatingCaller(object *admissionregistrationv1.ValidatingWebhookConfiguration) (string, caller) {
	c := caller{injectFrom: object.Annotations[injectAnnotation]}
	for i := range object.Webhooks {
		c.calls = append(c.calls, callOf(object.Webhooks[i].Name, &object.Webhooks[i].ClientConfig))
	}
	return validatingKind + " " + object.Name, c
}

func callOf(webhook string, config *admissionregistrationv1.WebhookClientConfig) call {
	c := call{webhook: webhook, bundle: config.CABundle}
	switch {
	case config.Service != nil:
		c.host = config.Service.Name + "." + config.Service.Namespace + ".svc"
	case config.URL != nil:
		if target, err := url.Parse(*config.URL); err == nil {
			c.host = target.Hostname()
		}
	}
	return c
}

// expectation is what is asked of the callers.
type expectation struct {
	// names are the webhook configurations that must exist.
	names []string
	// ownRoots accepts an empty bundle.
	ownRoots bool
	// hint says who should have put the right CA into a configuration.
	hint func(caller) string
}

// distrust is why a caller would refuse the certificate, nil if none would.
func (c callers) distrust(certificate *tls.Certificate, now time.Time, want expectation) error {
	for _, name := range want.names {
		configuration, exists := c[name]
		if !exists {
			return fmt.Errorf("%s does not exist: apply config/webhook", name)
		}
		for _, call := range configuration.calls {
			if want.ownRoots && len(call.bundle) == 0 {
				continue
			}
			if err := call.distrust(certificate, now); err != nil {
				return fmt.Errorf("%s: webhook %s: %w%s", name, call.webhook, err, want.hint(configuration))
			}
		}
	}
	return nil
}

// distrust does what the API server does with what it is shown.
func (c call) distrust(certificate *tls.Certificate, now time.Time) error {
	if len(c.bundle) == 0 {
		return errors.New("there is no CA yet")
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(c.bundle) {
		return errors.New("its CA bundle holds no certificate")
	}
	intermediates := x509.NewCertPool()
	for _, der := range certificate.Certificate[1:] {
		parsed, err := x509.ParseCertificate(der)
		if err != nil {
			return fmt.Errorf("the chain of the serving certificate: %w", err)
		}
		intermediates.AddCert(parsed)
	}
	_, err := certificate.Leaf.Verify(x509.VerifyOptions{
		DNSName: c.host, Roots: roots, Intermediates: intermediates, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	if err != nil {
		return fmt.Errorf("its CA does not verify the serving certificate: %w", err)
	}
	return nil
}

// hintFor says who puts the CA into the webhook configurations.
func hintFor(origin Origin, options Options) func(caller) string {
	return func(c caller) string {
		from := options.Namespace + "/" + options.CertificateName
		switch {
		case origin == OriginCertManager && c.injectFrom != from:
			return fmt.Sprintf("; it lacks the annotation %s: %s (apply config/default)", injectAnnotation, from)
		case origin == OriginCertManager:
			return "; cert-manager's cainjector puts it there: is it running?"
		case origin == OriginFiles:
			return "; put the CA of the files into clientConfig.caBundle"
		default:
			return ""
		}
	}
}

// keyPair is the certificate of the Secret, if it is complete and verified by the CA beside it. There need not be one for a
// certificate whose CA is public.
func keyPair(secret *corev1.Secret) (*tls.Certificate, error) {
	certificate, err := tls.X509KeyPair(secret.Data[certificateKey], secret.Data[privateKeyKey])
	if err != nil {
		return nil, err
	}
	if authority := secret.Data[authorityKey]; len(authority) > 0 {
		// Not now: an expired certificate is said to be expired, and not to have a wrong CA.
		beside := call{bundle: authority}
		if err := beside.distrust(&certificate, certificate.Leaf.NotBefore); err != nil {
			return nil, fmt.Errorf("%s and %s of the Secret do not belong together: %w", certificateKey, authorityKey, err)
		}
	}
	return &certificate, nil
}

// missingNames is the first of the names that the certificate is not for.
func missingNames(certificate *x509.Certificate, names []string) string {
	for _, name := range names {
		if certificate.VerifyHostname(name) != nil {
			return name
		}
	}
	return ""
}

package certs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cert-manager/cert-manager/pkg/client/clientset/versioned"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"kubernaut.io/kubernaut/controllers/identity"
)

const (
	// certificateAnnotation is what cert-manager writes on the Secrets that it fills, authorityKeyKey what only cert-controller keeps there.
	certificateAnnotation = "cert-manager.io/certificate-name"
	authorityKeyKey       = "ca.key"
	// originFlag is the manager's flag.
	originFlag = "--webhook-certs"
)

// Link is one certificate of a chain.
type Link struct {
	Subject   string    `json:"subject"`
	Issuer    string    `json:"issuer"`
	Serial    string    `json:"serial"`
	DNSNames  []string  `json:"dnsNames,omitempty"`
	Authority bool      `json:"authority"`
	NotBefore time.Time `json:"notBefore"`
	NotAfter  time.Time `json:"notAfter"`
}

// Trust is whether the API server would trust the certificate when it calls one webhook.
type Trust struct {
	Configuration string `json:"configuration"`
	Webhook       string `json:"webhook"`
	// Host is the name that the certificate must be for.
	Host    string `json:"host"`
	Trusted bool   `json:"trusted"`
	// Reason is why not.
	Reason string `json:"reason,omitempty"`
}

// Report is what can be seen of the certificate from outside of the manager.
type Report struct {
	Origin Origin `json:"origin"`
	// From is where the chain was read.
	From  string `json:"from"`
	Chain []Link `json:"chain"`
	// Webhooks is empty when there is no certificate to compare with.
	Webhooks []Trust `json:"webhooks"`
	// Problems is empty when all is well.
	Problems []string `json:"problems"`
}

// Inspector looks at the certificate with the rights of a person.
type Inspector struct {
	Kubernetes  kubernetes.Interface
	CertManager versioned.Interface
	Options     Options
	// Origin is where the certificate comes from; empty is to find out.
	Origin Origin
	// Directory holds the files when they are at hand.
	Directory string
}

// Inspect reads what there is. What is wrong with the certificate is in the report; an error means that too little could be read
// for one.
func (i Inspector) Inspect(ctx context.Context, now time.Time) (*Report, error) {
	if err := i.Options.setDefaults(); err != nil {
		return nil, err
	}
	report := &Report{Chain: []Link{}, Webhooks: []Trust{}, Problems: []string{}}
	secret, err := i.Kubernetes.CoreV1().Secrets(i.Options.Namespace).Get(ctx, i.Options.SecretName, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		secret, err = nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the Secret of the certificate: %w", err)
	}
	if report.Origin, err = i.origin(ctx, secret); err != nil {
		return nil, err
	}
	configured, err := i.callers(ctx)
	if err != nil {
		return nil, err
	}
	certificate, problem := i.certificate(report, secret)
	if problem != nil {
		report.problem(problem)
	}
	if certificate != nil {
		report.judge(certificate, now)
		report.compare(certificate, now, configured, i.Options)
	}
	if report.Origin == OriginCertManager {
		if err := Issuance(ctx, i.CertManager, i.Options); err != nil {
			report.problem(err)
		}
	}
	return report, nil
}

func (r *Report) problem(err error) { r.Problems = append(r.Problems, err.Error()) }

// origin is what the manager was told; where it runs as no Deployment, the Secret shows who fills it.
func (i Inspector) origin(ctx context.Context, secret *corev1.Secret) (Origin, error) {
	if i.Origin != "" {
		return i.Origin, nil
	}
	deployment, err := i.Kubernetes.AppsV1().Deployments(i.Options.Namespace).Get(ctx, identity.Manager, metav1.GetOptions{})
	switch {
	case err == nil:
		return deploymentOrigin(deployment), nil
	case !apierrors.IsNotFound(err) && !apierrors.IsForbidden(err):
		return "", fmt.Errorf("read the Deployment of the manager: %w", err)
	case secret != nil && secret.Annotations[certificateAnnotation] != "":
		return OriginCertManager, nil
	case secret != nil && len(secret.Data[authorityKeyKey]) > 0:
		return OriginSelfSigned, nil
	default:
		return "", fmt.Errorf("where the certificate comes from cannot be seen: there is no Deployment %s/%s, and its Secret does not tell; say %s", i.Options.Namespace, identity.Manager, originFlag)
	}
}

func deploymentOrigin(deployment *appsv1.Deployment) Origin {
	origin := OriginSelfSigned // the manager's default
	for _, container := range deployment.Spec.Template.Spec.Containers {
		arguments := slices.Concat(container.Command, container.Args)
		for n, argument := range arguments {
			if value, is := strings.CutPrefix(argument, originFlag+"="); is {
				origin = Origin(value)
			} else if argument == originFlag && n+1 < len(arguments) {
				origin = Origin(arguments[n+1])
			}
		}
	}
	return origin
}

// callers are the webhook configurations, as the manager sees them.
func (i Inspector) callers(ctx context.Context) (callers, error) {
	all := callers{}
	registration := i.Kubernetes.AdmissionregistrationV1()
	mutating, err := registration.MutatingWebhookConfigurations().Get(ctx, i.Options.MutatingName, metav1.GetOptions{})
	if err == nil {
		name, c := mutatingCaller(mutating)
		all[name] = c
	} else if !apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("read the webhook configuration: %w", err)
	}
	validating, err := registration.ValidatingWebhookConfigurations().Get(ctx, i.Options.ValidatingName, metav1.GetOptions{})
	if err == nil {
		name, c := validatingCaller(validating)
		all[name] = c
	} else if !apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("read the webhook configuration: %w", err)
	}
	return all, nil
}

// certificate is what replicas are offered, with the chain in the report.
func (i Inspector) certificate(report *Report, secret *corev1.Secret) (*tls.Certificate, error) {
	if report.Origin == OriginFiles {
		report.From = "directory " + i.Directory
		if i.Directory == "" {
			report.From = "files of the manager"
			return nil, errors.New("the certificate is in files of the manager: say where they are with --webhook-cert-dir")
		}
		watcher, err := watchFiles(i.Directory, nil)
		if err != nil {
			return nil, err
		}
		certificate, err := watcher.GetCertificate(nil)
		if err != nil {
			return nil, err
		}
		report.Chain = links(certificate, nil)
		return certificate, nil
	}
	report.From = "Secret " + i.Options.Namespace + "/" + i.Options.SecretName
	if secret == nil {
		return nil, fmt.Errorf("%s does not exist", report.From)
	}
	certificate, err := keyPair(secret)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", report.From, err)
	}
	report.Chain = links(certificate, secret.Data[authorityKey])
	return certificate, nil
}

// links are the certificates that are served and, after them, those of the CA that are not among them.
func links(certificate *tls.Certificate, authority []byte) []Link {
	ders := slices.Clone(certificate.Certificate)
	for block, rest := pem.Decode(authority); block != nil; block, rest = pem.Decode(rest) {
		if !slices.ContainsFunc(ders, func(der []byte) bool { return string(der) == string(block.Bytes) }) {
			ders = append(ders, block.Bytes)
		}
	}
	var all []Link
	for _, der := range ders {
		parsed, err := x509.ParseCertificate(der)
		if err != nil {
			continue // the leaf has been parsed, and what cannot be does not verify either
		}
		all = append(all, Link{
			Subject: parsed.Subject.String(), Issuer: parsed.Issuer.String(), Serial: parsed.SerialNumber.Text(16),
			DNSNames: parsed.DNSNames, Authority: parsed.IsCA, NotBefore: parsed.NotBefore, NotAfter: parsed.NotAfter,
		})
	}
	return all
}

// judge looks at the certificate itself.
func (r *Report) judge(certificate *tls.Certificate, now time.Time) {
	switch {
	case expired(certificate, now) != nil:
		r.problem(expired(certificate, now))
	case endsSoon(certificate, now):
		r.problem(fmt.Errorf("the certificate expires at %s and was not renewed", certificate.Leaf.NotAfter.UTC().Format(time.RFC3339)))
	}
}

// compare asks of each webhook what the API server would.
func (r *Report) compare(certificate *tls.Certificate, now time.Time, configured callers, options Options) {
	hint := hintFor(r.Origin, options)
	for _, name := range []string{mutatingKind + " " + options.MutatingName, validatingKind + " " + options.ValidatingName} {
		configuration, exists := configured[name]
		if !exists {
			r.problem(fmt.Errorf("%s does not exist: apply config/webhook", name))
			continue
		}
		for _, call := range configuration.calls {
			trust := Trust{Configuration: name, Webhook: call.webhook, Host: call.host, Trusted: true}
			switch err := call.distrust(certificate, now); {
			case r.Origin == OriginFiles && len(call.bundle) == 0:
				trust.Reason = "no CA bundle: the roots of the API server's own machine decide"
			case err != nil:
				trust.Trusted, trust.Reason = false, err.Error()+hint(configuration)
				r.problem(fmt.Errorf("%s: webhook %s: %s", name, call.webhook, trust.Reason))
			}
			r.Webhooks = append(r.Webhooks, trust)
		}
	}
}

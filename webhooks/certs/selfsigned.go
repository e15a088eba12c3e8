// Package certs provides the serving certificate of the webhooks.
//
// With self-signed certificates cert-controller creates and rotates a CA and a certificate in a Secret, and injects the CA into the
// webhook configurations. Every replica serves from memory what the Secret holds: no volume is mounted, so the same works for a
// manager that runs as a process outside of the cluster, and a rotation is served as soon as it is seen.
package certs

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/open-policy-agent/cert-controller/pkg/rotator"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"kubernaut.io/kubernaut/webhooks"
)

const (
	certificateKey = "tls.crt"
	privateKeyKey  = "tls.key"
	authorityKey   = "ca.crt"

	authorityName = "kubernaut-webhook-ca"
	organization  = "kubernaut"
	// fieldOwner is the field manager under which the CA is injected.
	fieldOwner = "kubernaut-webhook-certs"
	// controllerName is that of cert-controller's controller, in metrics and logs.
	controllerName = "webhook-certs"
)

var errNoCertificate = errors.New("there is no serving certificate yet")

// Options say what the certificate is for. All replicas have the same.
type Options struct {
	// Namespace is the operator's namespace, of the Secret and the Service.
	Namespace string
	// ExtraDNSNames are further names, such as localhost for webhooks that are registered by URL.
	ExtraDNSNames []string

	// SecretName is the Secret that keeps CA and certificate. It is part of the manifests, empty at first. Its default, and those
	// below, are the names that the manifests have.
	SecretName string
	// Service is the Service through which the API server reaches the webhooks.
	Service string
	// MutatingName and ValidatingName are the webhook configurations that get the CA.
	MutatingName, ValidatingName string
}

func (o *Options) setDefaults() {
	o.SecretName = cmp.Or(o.SecretName, webhooks.SecretName)
	o.Service = cmp.Or(o.Service, webhooks.ServiceName)
	o.MutatingName = cmp.Or(o.MutatingName, webhooks.ConfigurationName)
	o.ValidatingName = cmp.Or(o.ValidatingName, webhooks.ConfigurationName)
}

// Source is where the webhook server gets its certificate from.
type Source struct {
	options   Options
	ready     chan struct{}
	readyOnce sync.Once

	mu          sync.RWMutex
	certificate *tls.Certificate
	authority   []byte
	bundles     map[string][][]byte // the CA bundles in each webhook configuration
	problem     error
}

// NewSource makes a Source that has no certificate yet. It is made before the manager, whose webhook server takes its
// TLSOptions; SelfSigned then fills it.
func NewSource() *Source {
	return &Source{ready: make(chan struct{}), bundles: map[string][][]byte{}, problem: errNoCertificate}
}

// TLSOptions are the TLSOpts of webhook.Options: with them the server looks for no files.
func (s *Source) TLSOptions() []func(*tls.Config) { return []func(*tls.Config){s.TLSConfig} }

// TLSConfig makes a server serve the newest certificate.
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

// Checker is healthy while the API server can verify what is served. It is for readyz.
func (s *Source) Checker() healthz.Checker {
	return func(*http.Request) error {
		s.mu.RLock()
		defer s.mu.RUnlock()
		if s.problem != nil {
			return s.problem
		}
		if end := s.certificate.Leaf.NotAfter; time.Now().After(end) {
			return fmt.Errorf("the serving certificate expired at %s", end)
		}
		return nil
	}
}

// dnsNames are the names of the certificate, that of the Service first.
func (s *Source) dnsNames() []string {
	service := s.options.Service + "." + s.options.Namespace
	return append([]string{service + ".svc", service, service + ".svc.cluster.local"}, s.options.ExtraDNSNames...)
}

// SelfSigned has the manager rotate CA and certificate, and follow the Secret, on every replica. The manager's identity reads
// and updates the Secret, and the two webhook configurations, by name.
func (s *Source) SelfSigned(mgr ctrl.Manager, options Options) error {
	if options.Namespace == "" {
		return errors.New("certificates: the operator's namespace is not set")
	}
	options.setDefaults()
	s.options = options
	mirror, err := os.MkdirTemp("", "kubernaut-webhook-certs-")
	if err != nil {
		return fmt.Errorf("folder for the public certificate: %w", err)
	}
	names := s.dnsNames()
	err = rotator.AddRotator(&secretByName{Manager: mgr, config: onlySecret(mgr.GetConfig(), options.Namespace, options.SecretName)}, &rotator.CertRotator{
		SecretKey:      types.NamespacedName{Namespace: s.options.Namespace, Name: s.options.SecretName},
		CertDir:        mirror,
		CAName:         authorityName,
		CAOrganization: organization,
		DNSName:        names[0],
		ExtraDNSNames:  names[1:],
		IsReady:        make(chan struct{}), // Ready is stricter: it looks at what the configurations hold
		Webhooks: []rotator.WebhookInfo{
			{Name: s.options.MutatingName, Type: rotator.Mutating},
			{Name: s.options.ValidatingName, Type: rotator.Validating},
		},
		FieldOwner:     fieldOwner,
		ControllerName: controllerNameFor(mgr),
	})
	if err != nil {
		return errors.Join(fmt.Errorf("certificate rotation: %w", err), os.RemoveAll(mirror))
	}
	client, err := kubernetes.NewForConfig(mgr.GetConfig())
	if err != nil {
		return errors.Join(fmt.Errorf("client for certificates: %w", err), os.RemoveAll(mirror))
	}
	return mgr.Add(&follower{source: s, client: client, mirror: mirror})
}

// controllerNameFor is the name, with something random where the manager shares its process with others, as it does in tests:
// cert-controller does not pass on that names need not be unique there.
func controllerNameFor(mgr ctrl.Manager) string {
	if shared := mgr.GetControllerOptions().SkipNameValidation; shared != nil && *shared {
		return controllerName + "-" + rand.Text()
	}
	return controllerName
}

// follower watches the Secret and the webhook configurations.
type follower struct {
	source *Source
	client kubernetes.Interface
	mirror string
}

// NeedLeaderElection is false: every replica serves.
func (*follower) NeedLeaderElection() bool { return false }

// Start follows until the manager stops.
func (f *follower) Start(ctx context.Context) error {
	defer os.RemoveAll(f.mirror)
	options := f.source.options
	var informers sync.WaitGroup
	defer informers.Wait()
	for _, watched := range []struct {
		resource, namespace, name string
		getter                    cache.Getter
		object                    runtime.Object
	}{
		{"secrets", options.Namespace, options.SecretName, f.client.CoreV1().RESTClient(), &corev1.Secret{}},
		{"mutatingwebhookconfigurations", "", options.MutatingName, f.client.AdmissionregistrationV1().RESTClient(), &admissionregistrationv1.MutatingWebhookConfiguration{}},
		{"validatingwebhookconfigurations", "", options.ValidatingName, f.client.AdmissionregistrationV1().RESTClient(), &admissionregistrationv1.ValidatingWebhookConfiguration{}},
	} {
		_, informer := cache.NewInformerWithOptions(cache.InformerOptions{
			ListerWatcher: cache.NewListWatchFromClient(watched.getter, watched.resource, watched.namespace, fields.OneTermEqualSelector("metadata.name", watched.name)),
			ObjectType:    watched.object,
			Handler: cache.ResourceEventHandlerFuncs{
				AddFunc:    func(object any) { f.seen(ctx, object) },
				UpdateFunc: func(_, object any) { f.seen(ctx, object) },
				DeleteFunc: func(object any) { f.gone(object) },
			},
		})
		informers.Go(func() { informer.RunWithContext(ctx) })
	}
	<-ctx.Done()
	return nil
}

func (f *follower) seen(ctx context.Context, object any) {
	log := ctrl.LoggerFrom(ctx).WithName("webhook-certs")
	switch object := object.(type) {
	case *corev1.Secret:
		certificate, err := keyPair(object)
		if err != nil {
			// A new installation has an empty Secret until the rotator has filled it; what was served before is served on.
			log.Info("the Secret holds no certificate yet", "reason", err.Error())
			return
		}
		if missing := missingNames(certificate.Leaf, f.source.dnsNames()); missing != "" {
			log.Info("the certificate lacks a name; having it issued again", "name", missing)
			if err := f.reissue(ctx, object); err != nil {
				log.Error(err, "could not have the certificate issued again")
			}
			return
		}
		// cert-controller takes the certificate for mounted when this file is there; nothing reads it.
		if err := os.WriteFile(filepath.Join(f.mirror, certificateKey), object.Data[certificateKey], 0o600); err != nil {
			log.Error(err, "could not mirror the certificate")
		}
		f.source.update(func() {
			f.source.certificate, f.source.authority = certificate, object.Data[authorityKey]
		})
	case *admissionregistrationv1.MutatingWebhookConfiguration:
		bundles := make([][]byte, 0, len(object.Webhooks))
		for i := range object.Webhooks {
			bundles = append(bundles, object.Webhooks[i].ClientConfig.CABundle)
		}
		f.source.update(func() { f.source.bundles["MutatingWebhookConfiguration "+object.Name] = bundles })
	case *admissionregistrationv1.ValidatingWebhookConfiguration:
		bundles := make([][]byte, 0, len(object.Webhooks))
		for i := range object.Webhooks {
			bundles = append(bundles, object.Webhooks[i].ClientConfig.CABundle)
		}
		f.source.update(func() { f.source.bundles["ValidatingWebhookConfiguration "+object.Name] = bundles })
	}
}

// gone forgets a webhook configuration that was deleted; a certificate is served on without its Secret.
func (f *follower) gone(object any) {
	if tombstone, is := object.(cache.DeletedFinalStateUnknown); is {
		object = tombstone.Obj
	}
	f.source.update(func() {
		switch object := object.(type) {
		case *admissionregistrationv1.MutatingWebhookConfiguration:
			delete(f.source.bundles, "MutatingWebhookConfiguration "+object.Name)
		case *admissionregistrationv1.ValidatingWebhookConfiguration:
			delete(f.source.bundles, "ValidatingWebhookConfiguration "+object.Name)
		}
	})
}

// reissue takes the certificate, and not the CA, out of the Secret: the rotator then issues one with all names.
func (f *follower) reissue(ctx context.Context, secret *corev1.Secret) error {
	changed := secret.DeepCopy()
	delete(changed.Data, certificateKey)
	delete(changed.Data, privateKeyKey)
	_, err := f.client.CoreV1().Secrets(secret.Namespace).Update(ctx, changed, metav1.UpdateOptions{FieldManager: fieldOwner})
	return err
}

// update changes what is known and draws the conclusion.
func (s *Source) update(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
	s.problem = s.diagnose()
	if s.problem == nil {
		s.readyOnce.Do(func() { close(s.ready) })
	}
}

// diagnose says what keeps the API server from calling the webhooks.
func (s *Source) diagnose() error {
	if s.certificate == nil {
		return fmt.Errorf("%w in Secret %s/%s", errNoCertificate, s.options.Namespace, s.options.SecretName)
	}
	for _, configuration := range []string{"MutatingWebhookConfiguration " + s.options.MutatingName, "ValidatingWebhookConfiguration " + s.options.ValidatingName} {
		bundles, exists := s.bundles[configuration]
		if !exists {
			return fmt.Errorf("%s does not exist: apply config/webhook", configuration)
		}
		for _, bundle := range bundles {
			if !bytes.Contains(bundle, bytes.TrimSpace(s.authority)) {
				return fmt.Errorf("%s does not have the CA of the serving certificate yet", configuration)
			}
		}
	}
	return nil
}

// keyPair is the certificate of the Secret, if it is complete and signed by the CA beside it.
func keyPair(secret *corev1.Secret) (*tls.Certificate, error) {
	certificate, err := tls.X509KeyPair(secret.Data[certificateKey], secret.Data[privateKeyKey])
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(secret.Data[authorityKey])
	if block == nil {
		return nil, fmt.Errorf("%s is not PEM", authorityKey)
	}
	authority, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", authorityKey, err)
	}
	if err := certificate.Leaf.CheckSignatureFrom(authority); err != nil {
		return nil, fmt.Errorf("%s was not signed by %s: %w", certificateKey, authorityKey, err)
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

// secretByName is a manager for the rotator, whose own cache would list all Secrets of the namespace.
type secretByName struct {
	manager.Manager
	config *rest.Config
}

// GetConfig is the configuration that the rotator makes its cache from.
func (s *secretByName) GetConfig() *rest.Config { return s.config }

// onlySecret has every list and watch of Secrets select the one by its name, which is all that the manager may read.
func onlySecret(config *rest.Config, namespace, name string) *rest.Config {
	narrowed := rest.CopyConfig(config)
	path := "/api/v1/namespaces/" + namespace + "/secrets"
	narrowed.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(request *http.Request) (*http.Response, error) {
			if request.Method != http.MethodGet || request.URL.Path != path {
				return next.RoundTrip(request)
			}
			selected := request.Clone(request.Context())
			query := selected.URL.Query()
			query.Set("fieldSelector", fields.OneTermEqualSelector("metadata.name", name).String())
			selected.URL.RawQuery = query.Encode()
			return next.RoundTrip(selected)
		})
	})
	return narrowed
}

type roundTripper func(*http.Request) (*http.Response, error)

// RoundTrip is the function itself.
func (r roundTripper) RoundTrip(request *http.Request) (*http.Response, error) { return r(request) }

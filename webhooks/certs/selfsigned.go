package certs

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"

	"github.com/open-policy-agent/cert-controller/pkg/rotator"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/manager"
)

const (
	authorityName = "kubernaut-webhook-ca"
	organization  = "kubernaut"
	// fieldOwner is the field manager under which the CA is injected.
	fieldOwner = "kubernaut-webhook-certs"
)

// dnsNames are the names of a certificate that we issue, that of the Service first.
func (o *Options) dnsNames() []string {
	service := o.Service + "." + o.Namespace
	return append([]string{o.host(), service, service + ".svc.cluster.local"}, o.ExtraDNSNames...)
}

// SelfSigned has the manager rotate CA and certificate, and follow the Secret, on every replica. The manager's identity reads
// and updates the Secret, and the two webhook configurations, by name.
func (s *Source) SelfSigned(mgr ctrl.Manager, options Options) error {
	if err := options.setDefaults(); err != nil {
		return err
	}
	mirror, err := os.MkdirTemp("", "kubernaut-webhook-certs-")
	if err != nil {
		return fmt.Errorf("folder for the public certificate: %w", err)
	}
	if err := s.selfSigned(mgr, options, mirror); err != nil {
		return errors.Join(err, os.RemoveAll(mirror))
	}
	return nil
}

func (s *Source) selfSigned(mgr ctrl.Manager, options Options, mirror string) error {
	names := options.dnsNames()
	err := rotator.AddRotator(&secretByName{Manager: mgr, config: onlySecret(mgr.GetConfig(), options.Namespace, options.SecretName)}, &rotator.CertRotator{
		SecretKey:      types.NamespacedName{Namespace: options.Namespace, Name: options.SecretName},
		CertDir:        mirror,
		CAName:         authorityName,
		CAOrganization: organization,
		DNSName:        names[0],
		ExtraDNSNames:  names[1:],
		IsReady:        make(chan struct{}), // Ready is stricter: it looks at what the configurations hold
		Webhooks: []rotator.WebhookInfo{
			{Name: options.MutatingName, Type: rotator.Mutating},
			{Name: options.ValidatingName, Type: rotator.Validating},
		},
		FieldOwner:     fieldOwner,
		ControllerName: controllerNameFor(mgr),
	})
	if err != nil {
		return fmt.Errorf("certificate rotation: %w", err)
	}
	follows, err := newFollower(s, mgr.GetConfig())
	if err != nil {
		return err
	}
	issued := &selfIssued{client: follows.client, mirror: mirror, names: names}
	follows.takes = issued.takes
	return errors.Join(s.start(mgr, OriginSelfSigned, options), mgr.Add(follows), mgr.Add(issued))
}

// controllerNameFor is the name, with something random where the manager shares its process with others, as it does in tests:
// cert-controller does not pass on that names need not be unique there.
func controllerNameFor(mgr ctrl.Manager) string {
	if shared := mgr.GetControllerOptions().SkipNameValidation; shared != nil && *shared {
		return logName + "-" + rand.Text()
	}
	return logName
}

// selfIssued looks after what cert-controller issues.
type selfIssued struct {
	client kubernetes.Interface
	mirror string
	names  []string
}

// NeedLeaderElection is false: every replica serves.
func (*selfIssued) NeedLeaderElection() bool { return false }

// Start removes what was mirrored when the manager stops.
func (i *selfIssued) Start(ctx context.Context) error {
	<-ctx.Done()
	return os.RemoveAll(i.mirror)
}

// takes refuses a certificate that lacks a name, and has it issued again.
func (i *selfIssued) takes(ctx context.Context, secret *corev1.Secret, certificate *tls.Certificate) bool {
	log := ctrl.Log.WithName(logName)
	if missing := missingNames(certificate.Leaf, i.names); missing != "" {
		log.Info("the certificate lacks a name; having it issued again", "name", missing)
		if err := i.reissue(ctx, secret); err != nil {
			log.Error(err, "could not have the certificate issued again")
		}
		return false
	}
	// cert-controller takes the certificate for mounted when this file is there; nothing reads it.
	if err := os.WriteFile(filepath.Join(i.mirror, certificateKey), secret.Data[certificateKey], 0o600); err != nil {
		log.Error(err, "could not mirror the certificate")
	}
	return true
}

// reissue takes the certificate, and not the CA, out of the Secret: the rotator then issues one with all names.
func (i *selfIssued) reissue(ctx context.Context, secret *corev1.Secret) error {
	changed := secret.DeepCopy()
	delete(changed.Data, certificateKey)
	delete(changed.Data, privateKeyKey)
	_, err := i.client.CoreV1().Secrets(secret.Namespace).Update(ctx, changed, metav1.UpdateOptions{FieldManager: fieldOwner})
	return err
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

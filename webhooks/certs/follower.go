package certs

import (
	"context"
	"crypto/tls"
	"fmt"
	"sync"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	ctrl "sigs.k8s.io/controller-runtime"
)

// follower watches the webhook configurations, and the Secret if the certificate comes from there.
type follower struct {
	source *Source
	client kubernetes.Interface
	// takes has the last word on a certificate of the Secret before it is offered; without it nothing in the Secret is looked at.
	takes func(context.Context, *corev1.Secret, *tls.Certificate) bool
}

func newFollower(source *Source, config *rest.Config) (*follower, error) {
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("client for certificates: %w", err)
	}
	return &follower{source: source, client: client}, nil
}

// NeedLeaderElection is false: every replica serves.
func (*follower) NeedLeaderElection() bool { return false }

// watched is one object, selected by its name: the manager may read no other.
type watched struct {
	resource, namespace, name string
	getter                    cache.Getter
	object                    runtime.Object
}

// Start follows until the manager stops.
func (f *follower) Start(ctx context.Context) error {
	options := f.source.options
	admission := f.client.AdmissionregistrationV1().RESTClient()
	objects := []watched{
		{"mutatingwebhookconfigurations", "", options.MutatingName, admission, &admissionregistrationv1.MutatingWebhookConfiguration{}},
		{"validatingwebhookconfigurations", "", options.ValidatingName, admission, &admissionregistrationv1.ValidatingWebhookConfiguration{}},
	}
	if f.takes != nil {
		objects = append(objects, watched{"secrets", options.Namespace, options.SecretName, f.client.CoreV1().RESTClient(), &corev1.Secret{}})
	}
	var informers sync.WaitGroup
	defer informers.Wait()
	for _, w := range objects {
		_, informer := cache.NewInformerWithOptions(cache.InformerOptions{
			ListerWatcher: cache.NewListWatchFromClient(w.getter, w.resource, w.namespace, fields.OneTermEqualSelector("metadata.name", w.name)),
			ObjectType:    w.object,
			Handler: cache.ResourceEventHandlerFuncs{
				AddFunc:    func(object any) { f.seen(ctx, object) },
				UpdateFunc: func(_, object any) { f.seen(ctx, object) },
				DeleteFunc: f.gone,
			},
		})
		informers.Go(func() { informer.RunWithContext(ctx) })
	}
	<-ctx.Done()
	return nil
}

func (f *follower) seen(ctx context.Context, object any) {
	switch object := object.(type) {
	case *corev1.Secret:
		certificate, err := keyPair(object)
		if err != nil {
			// A new installation has an empty Secret until somebody has filled it; what was served before is served on.
			ctrl.Log.WithName(logName).Info("the Secret holds no certificate yet", "reason", err.Error())
			return
		}
		if f.takes(ctx, object, certificate) {
			f.source.offer(certificate)
		}
	case *admissionregistrationv1.MutatingWebhookConfiguration:
		name, c := mutatingCaller(object)
		f.source.update(func() { f.source.callers[name] = c })
	case *admissionregistrationv1.ValidatingWebhookConfiguration:
		name, c := validatingCaller(object)
		f.source.update(func() { f.source.callers[name] = c })
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
			delete(f.source.callers, mutatingKind+" "+object.Name)
		case *admissionregistrationv1.ValidatingWebhookConfiguration:
			delete(f.source.callers, validatingKind+" "+object.Name)
		}
	})
}

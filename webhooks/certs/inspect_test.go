package certs

import (
	"strings"
	"testing"
	"time"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	certmanagerfake "github.com/cert-manager/cert-manager/pkg/client/clientset/versioned/fake"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"

	"kubernaut.io/kubernaut/controllers/identity"
	"kubernaut.io/kubernaut/webhooks"
)

func configurations(bundle []byte, annotations map[string]string) []runtime.Object {
	mutating, validating := webhooks.Configurations(testNamespace)
	mutating.Annotations, validating.Annotations = annotations, annotations
	for i := range mutating.Webhooks {
		mutating.Webhooks[i].ClientConfig.CABundle = bundle
	}
	for i := range validating.Webhooks {
		validating.Webhooks[i].ClientConfig.CABundle = bundle
	}
	return []runtime.Object{mutating, validating}
}

func secretWith(p pair, authority []byte, annotations map[string]string) *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: testNamespace, Name: webhooks.SecretName, Annotations: annotations},
		Data:       map[string][]byte{certificateKey: p.certificate, privateKeyKey: p.key, authorityKey: authority},
	}
}

func managerWith(arguments ...string) *appsv1.Deployment {
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: testNamespace, Name: identity.Manager},
		Spec:       appsv1.DeploymentSpec{Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{{Args: arguments}}}}},
	}
}

func TestInspect(t *testing.T) {
	const month = 30 * 24 * time.Hour
	ca := newAuthority(t)
	good := ca.issue(t, month, 2*month, testHost)
	byCertManager := map[string]string{certificateAnnotation: webhooks.CertificateName}
	injected := map[string]string{injectAnnotation: testNamespace + "/" + webhooks.CertificateName}
	ready := certificateOf(cmmeta.IssuerReference{Name: "ca"}, certmanagerv1.CertificateCondition{Type: certmanagerv1.CertificateConditionReady, Status: cmmeta.ConditionTrue})
	selfSigned := secretWith(good, ca.bundle, nil)
	selfSigned.Data[authorityKeyKey] = []byte("key")
	directory := t.TempDir()
	writePair(t, directory, good)
	for name, test := range map[string]struct {
		objects     []runtime.Object
		certManager []runtime.Object
		origin      Origin
		directory   string
		wantOrigin  Origin
		wantChain   int
		wantTrusted bool
		want        []string
		wantError   string
	}{
		"cert-manager, all in order": {
			objects: append(configurations(ca.bundle, injected), secretWith(good, ca.bundle, byCertManager)), certManager: []runtime.Object{ready},
			wantOrigin: OriginCertManager, wantChain: 2, wantTrusted: true,
		},
		"the Deployment says self-signed, whatever the Secret says": {
			objects:    append(configurations(ca.bundle, nil), secretWith(good, ca.bundle, byCertManager), managerWith("manager", "--webhook-certs=self-signed")),
			wantOrigin: OriginSelfSigned, wantChain: 2, wantTrusted: true,
		},
		"self-signed, seen in the Secret": {objects: append(configurations(ca.bundle, nil), selfSigned), wantOrigin: OriginSelfSigned, wantChain: 2, wantTrusted: true},
		"a flag with its value apart": {
			objects:    append(configurations(ca.bundle, injected), secretWith(good, ca.bundle, nil), managerWith("manager", "--webhook-certs", "cert-manager")),
			wantOrigin: OriginCertManager, wantChain: 2, wantTrusted: true, want: []string{"Certificate kubernaut-system/kubernaut-webhook does not exist"},
		},
		"the CA was not injected, nor asked for": {
			objects: append(configurations(nil, nil), secretWith(good, ca.bundle, byCertManager)), certManager: []runtime.Object{ready},
			wantOrigin: OriginCertManager, wantChain: 2, want: []string{"there is no CA yet", injectAnnotation},
		},
		"cainjector does not run": {
			objects: append(configurations(nil, injected), secretWith(good, ca.bundle, byCertManager)), certManager: []runtime.Object{ready},
			wantOrigin: OriginCertManager, wantChain: 2, want: []string{"cainjector"},
		},
		"the certificate has expired": {
			objects:    append(configurations(ca.bundle, nil), secretWith(ca.issue(t, 2*month, -time.Hour, testHost), ca.bundle, nil)),
			origin:     OriginSelfSigned,
			wantOrigin: OriginSelfSigned, wantChain: 2, want: []string{"expired"},
		},
		"it ends soon": {
			objects:    append(configurations(ca.bundle, nil), secretWith(ca.issue(t, 2*month, time.Hour, testHost), ca.bundle, nil)),
			origin:     OriginSelfSigned,
			wantOrigin: OriginSelfSigned, wantChain: 2, wantTrusted: true, want: []string{"was not renewed"},
		},
		"it is for another host": {
			objects:    append(configurations(ca.bundle, nil), secretWith(ca.issue(t, month, month, "elsewhere"), ca.bundle, nil)),
			origin:     OriginSelfSigned,
			wantOrigin: OriginSelfSigned, wantChain: 2, want: []string{"elsewhere"},
		},
		"there is no Secret":                 {objects: configurations(nil, nil), origin: OriginSelfSigned, wantOrigin: OriginSelfSigned, want: []string{"does not exist"}},
		"there are no webhook configuration": {objects: []runtime.Object{selfSigned}, wantOrigin: OriginSelfSigned, wantChain: 2, want: []string{mutatingKind, validatingKind}},
		"files at hand":                      {objects: configurations(ca.bundle, nil), origin: OriginFiles, directory: directory, wantOrigin: OriginFiles, wantChain: 1, wantTrusted: true},
		"files elsewhere":                    {objects: configurations(ca.bundle, nil), origin: OriginFiles, wantOrigin: OriginFiles, want: []string{"--webhook-cert-dir"}},
		"nothing tells":                      {objects: configurations(nil, nil), wantError: "say --webhook-certs"},
	} {
		client := certmanagerfake.NewClientset(test.certManager...)
		client.Resources = []*metav1.APIResourceList{{GroupVersion: certmanagerv1.SchemeGroupVersion.String()}}
		report, err := Inspector{
			Kubernetes: fake.NewClientset(test.objects...), CertManager: client,
			Options: Options{Namespace: testNamespace}, Origin: test.origin, Directory: test.directory,
		}.Inspect(t.Context(), time.Now())
		if test.wantError != "" {
			if err == nil || !strings.Contains(err.Error(), test.wantError) {
				t.Errorf("%s: %v, want %q", name, err, test.wantError)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if report.Origin != test.wantOrigin || len(report.Chain) != test.wantChain {
			t.Errorf("%s: origin %s, chain of %d", name, report.Origin, len(report.Chain))
		}
		trusted := len(report.Webhooks) > 0
		for _, webhook := range report.Webhooks {
			trusted = trusted && webhook.Trusted
		}
		if trusted != test.wantTrusted {
			t.Errorf("%s: %+v", name, report.Webhooks)
		}
		problems := strings.Join(report.Problems, "\n")
		for _, want := range test.want {
			if !strings.Contains(problems, want) {
				t.Errorf("%s: %q is not in %q", name, want, problems)
			}
		}
		if len(test.want) == 0 && problems != "" {
			t.Errorf("%s: %s", name, problems)
		}
	}
}

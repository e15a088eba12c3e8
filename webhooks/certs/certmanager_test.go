package certs

import (
	"errors"
	"strings"
	"testing"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	"github.com/cert-manager/cert-manager/pkg/client/clientset/versioned/fake"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clienttesting "k8s.io/client-go/testing"

	"kubernaut.io/kubernaut/webhooks"
)

func certificateOf(issuer cmmeta.IssuerReference, conditions ...certmanagerv1.CertificateCondition) *certmanagerv1.Certificate {
	return &certmanagerv1.Certificate{
		ObjectMeta: metav1.ObjectMeta{Namespace: testNamespace, Name: webhooks.CertificateName},
		Spec:       certmanagerv1.CertificateSpec{SecretName: webhooks.SecretName, IssuerRef: issuer},
		Status:     certmanagerv1.CertificateStatus{Conditions: conditions},
	}
}

func issuerWith(condition certmanagerv1.IssuerCondition) certmanagerv1.IssuerStatus {
	return certmanagerv1.IssuerStatus{Conditions: []certmanagerv1.IssuerCondition{condition}}
}

func TestIssuanceSaysTheCause(t *testing.T) {
	ours := cmmeta.IssuerReference{Name: "ca"}
	theirs := cmmeta.IssuerReference{Name: "company", Kind: certmanagerv1.ClusterIssuerKind}
	ready := certmanagerv1.CertificateCondition{Type: certmanagerv1.CertificateConditionReady, Status: cmmeta.ConditionTrue}
	notReady := certmanagerv1.CertificateCondition{Type: certmanagerv1.CertificateConditionReady, Status: cmmeta.ConditionFalse, Reason: "DoesNotExist", Message: "Issuing certificate as Secret does not exist"}
	issuing := certmanagerv1.CertificateCondition{Type: certmanagerv1.CertificateConditionIssuing, Status: cmmeta.ConditionFalse, Reason: "Failed", Message: "the CA said no"}
	broken := issuerWith(certmanagerv1.IssuerCondition{Type: certmanagerv1.IssuerConditionReady, Status: cmmeta.ConditionFalse, Reason: "ErrGetKeyPair", Message: "no key"})
	fine := issuerWith(certmanagerv1.IssuerCondition{Type: certmanagerv1.IssuerConditionReady, Status: cmmeta.ConditionTrue})
	otherSecret := certificateOf(ours, ready)
	otherSecret.Spec.SecretName = "other"
	for name, test := range map[string]struct {
		absent    bool
		objects   []runtime.Object
		refuse    string
		wantCause Cause
		wantText  string
	}{
		"there is no cert-manager":           {absent: true, wantCause: CauseNotInstalled, wantText: "install it"},
		"there is none, nor a right to it":   {absent: true, refuse: "certificates", wantCause: CauseNotInstalled},
		"the Certificate is missing":         {wantCause: CauseCertificateMissing, wantText: testNamespace + "/" + webhooks.CertificateName},
		"the Certificate may not be read":    {refuse: "certificates", wantCause: CauseForbidden},
		"the Certificate is ready":           {objects: []runtime.Object{certificateOf(ours, ready)}},
		"it keeps another Secret":            {objects: []runtime.Object{otherSecret}, wantCause: CauseOtherSecret, wantText: "other"},
		"its Issuer is missing":              {objects: []runtime.Object{certificateOf(ours, notReady)}, wantCause: CauseIssuerMissing, wantText: "Issuer " + testNamespace + "/ca"},
		"its ClusterIssuer is missing":       {objects: []runtime.Object{certificateOf(theirs, notReady)}, wantCause: CauseIssuerMissing, wantText: "ClusterIssuer company"},
		"its ClusterIssuer may not be read":  {objects: []runtime.Object{certificateOf(theirs, notReady)}, refuse: "clusterissuers", wantCause: CauseForbidden},
		"its Issuer is not ready":            {objects: []runtime.Object{certificateOf(ours, notReady), &certmanagerv1.Issuer{ObjectMeta: metav1.ObjectMeta{Namespace: testNamespace, Name: "ca"}, Status: broken}}, wantCause: CauseIssuerNotReady, wantText: "no key"},
		"its ClusterIssuer is not ready":     {objects: []runtime.Object{certificateOf(theirs, notReady), &certmanagerv1.ClusterIssuer{ObjectMeta: metav1.ObjectMeta{Name: "company"}, Status: broken}}, wantCause: CauseIssuerNotReady, wantText: "no key"},
		"it is not ready, its Issuer is":     {objects: []runtime.Object{certificateOf(ours, notReady, issuing), &certmanagerv1.Issuer{ObjectMeta: metav1.ObjectMeta{Namespace: testNamespace, Name: "ca"}, Status: fine}}, wantCause: CauseNotReady, wantText: "the CA said no"},
		"nobody looked at it yet":            {objects: []runtime.Object{certificateOf(ours), &certmanagerv1.Issuer{ObjectMeta: metav1.ObjectMeta{Namespace: testNamespace, Name: "ca"}}}, wantCause: CauseNotReady, wantText: "controller running"},
		"an issuer of others is not ours":    {objects: []runtime.Object{certificateOf(cmmeta.IssuerReference{Name: "x", Kind: "AWSPCAIssuer", Group: "awspca.cert-manager.io"}, notReady)}, wantCause: CauseNotReady, wantText: "Secret does not exist"},
		"an error of the API server is told": {refuse: "-", wantCause: CauseUnknown, wantText: "etcd"},
	} {
		client := fake.NewClientset(test.objects...)
		if !test.absent {
			client.Resources = []*metav1.APIResourceList{{GroupVersion: certmanagerv1.SchemeGroupVersion.String()}}
		}
		client.PrependReactor("get", "*", func(action clienttesting.Action) (bool, runtime.Object, error) {
			switch test.refuse {
			case action.GetResource().Resource:
				return true, nil, apierrors.NewForbidden(action.GetResource().GroupResource(), "", errors.New("no"))
			case "-":
				return true, nil, apierrors.NewInternalError(errors.New("etcd"))
			}
			return false, nil, nil
		})
		err := Issuance(t.Context(), client, Options{Namespace: testNamespace})
		if test.wantCause == "" {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		why, is := errors.AsType[*IssuanceError](err)
		if !is || why.Cause != test.wantCause || !strings.Contains(err.Error(), test.wantText) {
			t.Errorf("%s: %v, want cause %s with %q", name, err, test.wantCause, test.wantText)
		}
	}
}

func TestIssuanceIsTheReasonWhyThereIsNoCertificate(t *testing.T) {
	source := newTestSource(t, OriginCertManager)
	source.update(func() { source.issuance = issuanceError(CauseNotInstalled, "not installed") })
	if why, is := errors.AsType[*IssuanceError](source.Checker()(nil)); !is || why.Cause != CauseNotInstalled {
		t.Errorf("readyz says %v", source.Checker()(nil))
	}
	ca := newAuthority(t)
	source.configured(ca.bundle)
	source.offer(ca.issue(t, 0, 1e12, testHost).parsed(t))
	if err := source.Checker()(nil); err != nil {
		t.Errorf("a good certificate that cert-manager would not renew is still good: %v", err)
	}
}

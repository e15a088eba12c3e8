package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"kubernaut.io/kubernaut/webhooks"
)

const (
	testNamespace = "kubernaut-system"
	testHost      = webhooks.ServiceName + "." + testNamespace + ".svc"
)

// authority is a CA for tests.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	bundle      []byte
}

func newAuthority(t testing.TB) authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ca"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-365 * 24 * time.Hour), NotAfter: time.Now().Add(365 * 24 * time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return authority{certificate, key, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}
}

// pair is a certificate as files and Secrets hold it.
type pair struct{ certificate, key []byte }

func (p pair) parsed(t testing.TB) *tls.Certificate {
	t.Helper()
	certificate, err := tls.X509KeyPair(p.certificate, p.key)
	if err != nil {
		t.Fatal(err)
	}
	return &certificate
}

// issue makes a certificate that was made lived ago and has left to live.
func (a authority) issue(t testing.TB, lived, left time.Duration, names ...string) pair {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "leaf"}, DNSNames: names,
		NotBefore: time.Now().Add(-lived), NotAfter: time.Now().Add(left), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	keyBytes, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pair{
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyBytes}),
	}
}

func newTestSource(t testing.TB, origin Origin) *Source {
	t.Helper()
	source := NewSource()
	source.origin, source.options = origin, Options{Namespace: testNamespace}
	if err := source.options.setDefaults(); err != nil {
		t.Fatal(err)
	}
	return source
}

// configured makes both webhook configurations hold a CA.
func (s *Source) configured(bundle []byte) {
	s.configure(mutatingKind, bundle)
	s.configure(validatingKind, bundle)
}

func (s *Source) configure(kind string, bundle []byte) {
	s.update(func() {
		s.callers[kind+" "+webhooks.ConfigurationName] = caller{calls: []call{{webhook: "w", host: testHost, bundle: bundle}}}
	})
}

func (s *Source) served(t testing.TB) *tls.Certificate {
	t.Helper()
	var config tls.Config
	s.TLSConfig(&config)
	certificate, err := config.GetCertificate(nil)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}

func isReady(s *Source) bool {
	select {
	case <-s.Ready():
		return true
	default:
		return false
	}
}

func TestTheFirstCertificateIsServedAtOnceAndReadyWhenItsCAIsEverywhere(t *testing.T) {
	ca := newAuthority(t)
	source := newTestSource(t, OriginSelfSigned)
	if source.Checker()(nil) == nil {
		t.Error("ready without a certificate")
	}
	first := ca.issue(t, time.Hour, 24*time.Hour, testHost).parsed(t)
	source.offer(first)
	if source.served(t) != first {
		t.Error("the first certificate is not served")
	}
	for _, step := range []struct {
		state, wantProblem string
		change             func()
	}{
		{"there are no webhook configurations", "does not exist", func() {}},
		{"they have no CA", "there is no CA yet", func() { source.configured(nil) }},
		{"they have the CA of somebody else", "does not verify", func() { source.configured(newAuthority(t).bundle) }},
		{"only one has the CA", validatingKind, func() { source.configure(mutatingKind, ca.bundle) }},
	} {
		step.change()
		if err := source.Checker()(nil); err == nil || !strings.Contains(err.Error(), step.wantProblem) || isReady(source) {
			t.Errorf("%s: ready %t, %v; want %q", step.state, isReady(source), err, step.wantProblem)
		}
	}
	source.configured(ca.bundle)
	if err := source.Checker()(nil); err != nil || !isReady(source) {
		t.Errorf("both have the CA: %v", err)
	}
}

func TestARenewalIsServedAtOnceWhenTheCAStays(t *testing.T) {
	ca := newAuthority(t)
	source := newTestSource(t, OriginCertManager)
	source.configured(ca.bundle)
	source.offer(ca.issue(t, time.Hour, 24*time.Hour, testHost).parsed(t))
	renewed := ca.issue(t, 0, 48*time.Hour, testHost).parsed(t)
	source.offer(renewed)
	if source.served(t) != renewed {
		t.Error("the renewed certificate is not served")
	}
}

func TestACertificateOfANewCAWaitsForIt(t *testing.T) {
	before, after := newAuthority(t), newAuthority(t)
	source := newTestSource(t, OriginCertManager)
	source.configured(before.bundle)
	first := before.issue(t, time.Hour, 24*time.Hour, testHost).parsed(t)
	source.offer(first)
	second := after.issue(t, 0, 48*time.Hour, testHost).parsed(t)
	source.offer(second)
	if err := source.Checker()(nil); source.served(t) != first || err != nil {
		t.Errorf("the certificate that callers trust is not served any more: %v", err)
	}
	source.configured(after.bundle)
	if err := source.Checker()(nil); source.served(t) != second || err != nil {
		t.Errorf("the certificate that callers trust now is not served: %v", err)
	}
}

func TestARenewalThatLacksTheNameIsNotServed(t *testing.T) {
	ca := newAuthority(t)
	source := newTestSource(t, OriginCertManager)
	source.configured(ca.bundle)
	first := ca.issue(t, time.Hour, 24*time.Hour, testHost).parsed(t)
	source.offer(first)
	source.offer(ca.issue(t, 0, 48*time.Hour, "elsewhere").parsed(t))
	if source.served(t) != first {
		t.Error("a certificate for another host is served")
	}
}

func TestAnExpiredCertificateIsReplacedByWhateverThereIs(t *testing.T) {
	ca := newAuthority(t)
	source := newTestSource(t, OriginCertManager)
	source.configured(ca.bundle)
	source.offer(ca.issue(t, time.Hour, -time.Minute, testHost).parsed(t))
	if err := source.Checker()(nil); err == nil || !strings.Contains(err.Error(), "expired") {
		t.Errorf("an expired certificate: %v", err)
	}
	next := newAuthority(t).issue(t, 0, time.Hour, testHost).parsed(t)
	source.offer(next)
	if source.served(t) != next {
		t.Error("the expired certificate is still served")
	}
}

func TestFilesMayBeTrustedByTheAPIServersOwnRoots(t *testing.T) {
	source := newTestSource(t, OriginFiles)
	source.configured(nil)
	source.offer(newAuthority(t).issue(t, 0, time.Hour, testHost).parsed(t))
	if err := source.Checker()(nil); err != nil {
		t.Errorf("no CA in the configurations: %v", err)
	}
	source.configured(newAuthority(t).bundle)
	if source.Checker()(nil) == nil {
		t.Error("the CA of somebody else is accepted")
	}
}

func TestWarnings(t *testing.T) {
	const day = 24 * time.Hour
	ca := newAuthority(t)
	for name, test := range map[string]struct {
		lived, left time.Duration
		issuance    error
		want        []string
	}{
		"a certificate that lives on":              {lived: 60 * day, left: 30 * day},
		"one of 90 days with 6 left":               {lived: 84 * day, left: 6 * day, want: []string{reasonExpires}},
		"one of a day that is to be renewed soon":  {lived: 12 * time.Hour, left: 12 * time.Hour},
		"one of a day that was not renewed":        {lived: 20 * time.Hour, left: 4 * time.Hour, want: []string{reasonExpires}},
		"one that cert-manager would not renew":    {lived: 60 * day, left: 30 * day, issuance: issuanceError(CauseIssuerMissing, "gone"), want: []string{reasonNotRenewed}},
		"one that it did not renew and that ends":  {lived: 89 * day, left: day, issuance: issuanceError(CauseIssuerMissing, "gone"), want: []string{reasonExpires, reasonNotRenewed}},
		"one that has expired already is said too": {lived: 91 * day, left: -day, want: []string{reasonExpires}},
	} {
		source := newTestSource(t, OriginCertManager)
		source.offer(ca.issue(t, test.lived, test.left, testHost).parsed(t))
		source.issuance = test.issuance
		var have []string
		for _, w := range source.warnings(time.Now()) {
			have = append(have, w.reason)
		}
		if strings.Join(have, " ") != strings.Join(test.want, " ") {
			t.Errorf("%s: %v, want %v", name, have, test.want)
		}
	}
}

func TestKeyPair(t *testing.T) {
	ca := newAuthority(t)
	good := ca.issue(t, time.Hour, time.Hour, testHost)
	secret := func(certificate, key, authority []byte) *corev1.Secret {
		return &corev1.Secret{Data: map[string][]byte{certificateKey: certificate, privateKeyKey: key, authorityKey: authority}}
	}
	for name, test := range map[string]struct {
		secret *corev1.Secret
		wantOK bool
	}{
		"complete":                  {secret(good.certificate, good.key, ca.bundle), true},
		"without CA, as ACME's":     {secret(good.certificate, good.key, nil), true},
		"empty":                     {&corev1.Secret{}, false},
		"the key of another":        {secret(good.certificate, ca.issue(t, 0, time.Hour, testHost).key, ca.bundle), false},
		"the CA of another":         {secret(good.certificate, good.key, newAuthority(t).bundle), false},
		"a CA that does not parse":  {secret(good.certificate, good.key, []byte("x")), false},
		"a certificate without key": {secret(good.certificate, nil, ca.bundle), false},
	} {
		if _, err := keyPair(test.secret); (err == nil) != test.wantOK {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func writePair(t testing.TB, directory string, p pair) {
	t.Helper()
	for name, data := range map[string][]byte{certificateKey: p.certificate, privateKeyKey: p.key} {
		if err := os.WriteFile(filepath.Join(directory, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestFilesAreRefusedAtTheStart(t *testing.T) {
	ca := newAuthority(t)
	good := ca.issue(t, 0, time.Hour, testHost, "localhost")
	for name, test := range map[string]struct {
		pair     *pair
		required []string
		want     string
	}{
		"there are none":          {nil, []string{testHost}, "no such file"},
		"they do not parse":       {&pair{[]byte("x"), []byte("y")}, []string{testHost}, "PEM"},
		"they do not match":       {&pair{good.certificate, ca.issue(t, 0, time.Hour, testHost).key}, []string{testHost}, "does not match"},
		"they are for another":    {new(ca.issue(t, 0, time.Hour, "elsewhere")), []string{testHost}, testHost},
		"they lack an extra name": {&good, []string{testHost, "webhooks.example.com"}, "webhooks.example.com"},
		"all is well":             {&good, []string{testHost, "localhost"}, ""},
	} {
		directory := t.TempDir()
		if test.pair != nil {
			writePair(t, directory, *test.pair)
		}
		_, err := watchFiles(directory, test.required)
		switch {
		case test.want == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), directory)):
			t.Errorf("%s: %v does not say %q and the directory", name, err, test.want)
		}
	}
}

func TestChangedFilesAreFollowedIfTheyAreRight(t *testing.T) {
	ca := newAuthority(t)
	directory := t.TempDir()
	required := []string{testHost}
	first := ca.issue(t, time.Hour, time.Hour, testHost)
	writePair(t, directory, first)
	watcher, err := watchFiles(directory, required)
	if err != nil {
		t.Fatal(err)
	}
	source := newTestSource(t, OriginFiles)
	source.configured(ca.bundle)
	follow := func() { source.offerFile(watcher, required) }
	follow()
	serves := func(what string, want pair) {
		t.Helper()
		if !source.served(t).Leaf.Equal(want.parsed(t).Leaf) {
			t.Errorf("%s: another certificate is served", what)
		}
	}
	serves("at the start", first)
	second := ca.issue(t, 0, 2*time.Hour, testHost)
	for _, step := range []struct {
		what      string
		pair      pair
		want      pair
		wantError bool
	}{
		{"a renewed pair", second, second, false},
		{"half of a pair", pair{first.certificate, second.key}, second, true},
		{"a pair for somebody else", ca.issue(t, 0, time.Hour, "elsewhere"), second, false},
	} {
		writePair(t, directory, step.pair)
		if err := watcher.ReadCertificate(); (err != nil) != step.wantError {
			t.Errorf("%s: %v", step.what, err)
		}
		follow()
		serves(step.what, step.want)
	}
}

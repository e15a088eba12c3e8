package cluster

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io/fs"
	"math/big"
	"net"
	"os"
	"time"
)

const validity = 365 * 24 * time.Hour

// Users of the API server. The first three are Kubernetes' own names; KWOK has none outside a cluster.
const (
	adminUser             = "kubernetes-admin"
	controllerManagerUser = "system:kube-controller-manager"
	schedulerUser         = "system:kube-scheduler"
	kwokUser              = "kwok-controller"
	mastersGroup          = "system:masters"
)

func (d Directory) cert(name string) string { return d.path("pki", name+".crt") }
func (d Directory) key(name string) string  { return d.path("pki", name+".key") }

// ensurePKI makes all keys and certificates, once: they must not change below a cluster that exists.
func (d Directory) ensurePKI() error {
	// The signing key is written last: where it is, the rest is complete.
	if _, err := os.Stat(d.key("service-account")); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	ca, err := newAuthority()
	if err != nil {
		return err
	}
	if err := d.writePair("ca", ca.der, ca.key); err != nil {
		return err
	}
	for name, template := range certificates() {
		if err := d.issue(ca, name, template); err != nil {
			return err
		}
	}
	signing, err := newKey()
	if err != nil {
		return err
	}
	return writeKey(d.key("service-account"), signing)
}

func certificates() map[string]x509.Certificate {
	return map[string]x509.Certificate{
		"server":              serverTemplate(),
		"admin":               clientTemplate(adminUser, mastersGroup),
		kubeControllerManager: clientTemplate(controllerManagerUser),
		kubeScheduler:         clientTemplate(schedulerUser),
		kwok:                  clientTemplate(kwokUser),
	}
}

func serverTemplate() x509.Certificate {
	return x509.Certificate{
		Subject:     pkix.Name{CommonName: "kube-apiserver"},
		DNSNames:    []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"},
		IPAddresses: []net.IP{net.ParseIP(loopback), net.IPv6loopback, net.ParseIP("10.96.0.1")},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
}

func clientTemplate(user string, groups ...string) x509.Certificate {
	return x509.Certificate{
		Subject:     pkix.Name{CommonName: user, Organization: groups},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
}

type authority struct {
	cert *x509.Certificate
	der  []byte
	key  *ecdsa.PrivateKey
}

func newAuthority() (authority, error) {
	key, err := newKey()
	if err != nil {
		return authority{}, err
	}
	template := x509.Certificate{
		Subject: pkix.Name{CommonName: "kubernaut-local-cluster"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	if err := setLife(&template); err != nil {
		return authority{}, err
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, key.Public(), key)
	if err != nil {
		return authority{}, err
	}
	cert, err := x509.ParseCertificate(der)
	return authority{cert, der, key}, err
}

func (d Directory) issue(ca authority, name string, template x509.Certificate) error {
	key, err := newKey()
	if err != nil {
		return err
	}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	if err := setLife(&template); err != nil {
		return err
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, ca.cert, key.Public(), ca.key)
	if err != nil {
		return err
	}
	return d.writePair(name, der, key)
}

// setLife begins an hour ago: a clock that is set back must not invalidate a running cluster.
func setLife(template *x509.Certificate) error {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return err
	}
	template.SerialNumber = serial
	template.NotBefore = time.Now().Add(-time.Hour)
	template.NotAfter = template.NotBefore.Add(validity)
	return nil
}

func newKey() (*ecdsa.PrivateKey, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }

func (d Directory) writePair(name string, der []byte, key *ecdsa.PrivateKey) error {
	if err := writePEM(d.cert(name), "CERTIFICATE", der); err != nil {
		return err
	}
	return writeKey(d.key(name), key)
}

func writeKey(path string, key *ecdsa.PrivateKey) error {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	return writePEM(path, "EC PRIVATE KEY", der)
}

func writePEM(path, kind string, der []byte) error {
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}

package certs

import (
	"crypto/tls"
	"errors"
	"fmt"
	"path/filepath"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/certwatcher"
)

// Files serves tls.crt, a chain with the certificate first, and tls.key of a directory, and follows them when they change. At the
// start the certificate must be for the webhooks' Service and all extra names; later a pair that is not, or that does not parse, is
// reported and the one before it served on. The CA in the webhook configurations is the business of whoever provides the files.
func (s *Source) Files(mgr ctrl.Manager, options Options, directory string) error {
	if err := options.setDefaults(); err != nil {
		return err
	}
	required := append([]string{options.host()}, options.ExtraDNSNames...)
	watcher, err := watchFiles(directory, required)
	if err != nil {
		return err
	}
	follows, err := newFollower(s, mgr.GetConfig())
	if err != nil {
		return err
	}
	if err := s.start(mgr, OriginFiles, options); err != nil {
		return err
	}
	s.offerFile(watcher, required)
	// The watcher holds its lock while it calls, and offerFile asks it.
	watcher.RegisterCallback(func(tls.Certificate) { go s.offerFile(watcher, required) })
	return errors.Join(mgr.Add(watcher), mgr.Add(follows))
}

// watchFiles reads the files once.
func watchFiles(directory string, required []string) (*certwatcher.CertWatcher, error) {
	watcher, err := certwatcher.New(filepath.Join(directory, certificateKey), filepath.Join(directory, privateKeyKey))
	if err != nil {
		return nil, fmt.Errorf("the directory %s must hold a certificate (%s) and its key (%s): %w", directory, certificateKey, privateKeyKey, err)
	}
	certificate, err := watcher.GetCertificate(nil)
	if err != nil {
		return nil, err
	}
	if missing := missingNames(certificate.Leaf, required); missing != "" {
		return nil, fmt.Errorf("the certificate in %s is for %q and not for %s, by which the API server calls the webhooks", directory, certificate.Leaf.DNSNames, missing)
	}
	return watcher, nil
}

// offerFile offers what the files hold now: callbacks may come in another order than the changes that caused them.
func (s *Source) offerFile(watcher *certwatcher.CertWatcher, required []string) {
	certificate, err := watcher.GetCertificate(nil)
	if err != nil {
		return
	}
	if missing := missingNames(certificate.Leaf, required); missing != "" {
		ctrl.Log.WithName(logName).Info("the new certificate lacks a name and is not served", "names", certificate.Leaf.DNSNames, "missing", missing)
		return
	}
	s.offer(certificate)
}

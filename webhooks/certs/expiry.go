package certs

import (
	"context"
	"crypto/tls"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/events"
)

const (
	// warnWithin is how long before its end a certificate should have been renewed.
	warnWithin = 7 * 24 * time.Hour
	// warnShare is the part of its life in which a certificate of less than four weeks is said to end soon.
	warnShare = 4
	// repeatAfter is the least time between two warnings of one reason.
	repeatAfter = 6 * time.Hour
	// lookEvery is how often the time is compared.
	lookEvery = 10 * time.Second

	reasonExpires     = "WebhookCertificateExpires"
	reasonNotRenewed  = "WebhookCertificateNotReady"
	actionCertificate = "ServeWebhooks"
)

//nolint:gochecknoglobals // a registered metric
var expiryTimestamp = prometheus.NewGauge(prometheus.GaugeOpts{
	Name: "kubernaut_webhook_certificate_expiry_timestamp_seconds",
	Help: "When the certificate that the webhooks are served with expires, in seconds since the epoch; 0 before there is one.",
})

// Collectors are the metrics of the certificate, for the registry of the manager.
func Collectors() []prometheus.Collector { return []prometheus.Collector{expiryTimestamp} }

// expiryWatch warns of a certificate that is not renewed in time. Each replica does: with files each may serve another one.
type expiryWatch struct {
	source   *Source
	recorder events.EventRecorder
}

// NeedLeaderElection is false: every replica serves.
func (*expiryWatch) NeedLeaderElection() bool { return false }

// Start looks until the manager stops.
func (w *expiryWatch) Start(ctx context.Context) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	last := map[string]time.Time{}
	for {
		// What was in order may have expired, and what waited for its CA may be better than that.
		w.source.update(func() {})
		for _, warning := range w.source.warnings(time.Now()) {
			if since, warned := last[warning.reason]; warned && time.Since(since) < repeatAfter {
				continue
			}
			last[warning.reason] = time.Now()
			w.recorder.Eventf(w.source.service(), nil, corev1.EventTypeWarning, warning.reason, actionCertificate, "%s", warning.note)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

type warning struct{ reason, note string }

// warnings are what somebody should do something about before the webhooks cannot be called.
func (s *Source) warnings(now time.Time) []warning {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var all []warning
	if s.certificate != nil && endsSoon(s.certificate, now) {
		all = append(all, warning{reasonExpires, fmt.Sprintf("the serving certificate of the webhooks (%s) expires at %s and was not renewed; without one every request that they guard is refused",
			s.origin, s.certificate.Leaf.NotAfter.UTC().Format(time.RFC3339))})
	}
	if s.issuance != nil {
		all = append(all, warning{reasonNotRenewed, s.issuance.Error()})
	}
	return all
}

// endsSoon says that a certificate should have been renewed by now.
func endsSoon(certificate *tls.Certificate, now time.Time) bool {
	leaf := certificate.Leaf
	return leaf.NotAfter.Sub(now) < min(warnWithin, leaf.NotAfter.Sub(leaf.NotBefore)/warnShare)
}

// service is the Service of the webhooks, which events are about: it is there whatever the origin.
func (s *Source) service() *corev1.ObjectReference {
	return &corev1.ObjectReference{APIVersion: "v1", Kind: "Service", Namespace: s.options.Namespace, Name: s.options.Service}
}

package notification

import "github.com/prometheus/client_golang/prometheus"

// The results of an attempt to deliver a notification.
const (
	resultDelivered = "delivered"
	resultFailed    = "failed"
	resultGivenUp   = "given_up"
)

var attempts = prometheus.NewCounterVec(prometheus.CounterOpts{
	Name: "kubernaut_remediation_notifications_total",
	Help: "Attempts to tell people outside of the cluster of a remediation that was escalated, by result; given_up counts notifications that nobody has got.",
}, []string{"result"})

// Collectors are the metrics of this package, to be registered once. Each result is there from the beginning: the first failure is an
// increase.
func Collectors() []prometheus.Collector {
	for _, result := range []string{resultDelivered, resultFailed, resultGivenUp} {
		attempts.WithLabelValues(result)
	}
	return []prometheus.Collector{attempts}
}

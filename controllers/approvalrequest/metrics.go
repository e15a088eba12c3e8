package approvalrequest

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	safetyv1alpha1 "kubernaut.io/kubernaut/api/safety/v1alpha1"
)

var (
	decided = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "kubernaut_approvals_total",
		Help: "ApprovalRequests that were decided, by the phase that they reached: approved, rejected, expired or void.",
	}, []string{"phase"})
	waitedFor = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name:    "kubernaut_approval_wait_seconds",
		Help:    "Time from the making of an ApprovalRequest until people had approved or rejected it.",
		Buckets: []float64{10, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 28800, 86400},
	})
)

// Collectors are the metrics of this controller, to be registered once.
func Collectors() []prometheus.Collector { return []prometheus.Collector{decided, waitedFor} }

func count(request *safetyv1alpha1.ApprovalRequest, now time.Time) {
	phase := request.Status.Phase
	if !phase.Decided() {
		return
	}
	decided.WithLabelValues(string(phase)).Inc()
	if phase == safetyv1alpha1.PhaseApproved || phase == safetyv1alpha1.PhaseRejected {
		waitedFor.Observe(now.Sub(request.CreationTimestamp.Time).Seconds())
	}
}

package remediationrequest

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	remediationv1 "kubernaut.io/kubernaut/api/remediation/v1"
)

const (
	labelOutcome = "outcome"
	labelViable  = "viable"
	labelReason  = "reason"
)

var (
	remediations = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "kubernaut_remediations_total",
		Help: "Remediation requests that ended, by outcome.",
	}, []string{labelOutcome})

	duration = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "kubernaut_remediation_duration_seconds",
		Help: "Time from taking a remediation request up to its end, waiting for people included, by outcome.",
		// From a second, which is what a playbook on an idle cluster needs, to more than the longest overall limit.
		Buckets: prometheus.ExponentialBuckets(1, 2, 18),
	}, []string{labelOutcome})

	verdicts = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "kubernaut_recovery_verdicts_total",
		Help: "Workflows of remediation requests that failed, by whether another attempt was made, and why.",
	}, []string{labelViable, labelReason})
)

// Collectors are the metrics of this package, to be registered once.
func Collectors() []prometheus.Collector {
	return []prometheus.Collector{remediations, duration, verdicts}
}

func count(request *remediationv1.RemediationRequest) {
	outcome := string(request.Status.Outcome)
	remediations.WithLabelValues(outcome).Inc()
	if start, end := request.Status.StartTime, request.Status.CompletionTime; start != nil && end != nil {
		duration.WithLabelValues(outcome).Observe(end.Sub(start.Time).Seconds())
	}
}

func (v verdict) count() { verdicts.WithLabelValues(strconv.FormatBool(v.viable), v.reason).Inc() }

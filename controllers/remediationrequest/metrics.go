package remediationrequest

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/api/meta"

	remediationv1 "kubernaut.io/kubernaut/api/remediation/v1"
)

const (
	labelOutcome   = "outcome"
	labelViable    = "viable"
	labelReason    = "reason"
	labelErrorType = "error_type"
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
		Name: "kubernaut_remediation_recovery_verdicts_total",
		Help: "Workflows of remediation requests that failed, by whether another attempt was made, and why.",
	}, []string{labelViable, labelReason})

	recoveries = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "kubernaut_remediation_recoveries_total",
		Help: "Recoveries that were started, by the class of the failure that they follow.",
	}, []string{labelErrorType})

	escalations = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "kubernaut_remediation_escalations_total",
		Help: "Remediation requests that were handed over to people, by reason.",
	}, []string{labelReason})
)

// Collectors are the metrics of this package, to be registered once. The verdicts that warn are there from the beginning: the first is
// an increase.
func Collectors() []prometheus.Collector {
	verdicts.WithLabelValues("true", ReasonViableFailureRateHigh)
	verdicts.WithLabelValues("false", ReasonFailureRateTooHigh)
	return []prometheus.Collector{remediations, duration, verdicts, recoveries, escalations}
}

func count(request *remediationv1.RemediationRequest) {
	outcome := string(request.Status.Outcome)
	remediations.WithLabelValues(outcome).Inc()
	if start, end := request.Status.StartTime, request.Status.CompletionTime; start != nil && end != nil {
		duration.WithLabelValues(outcome).Observe(end.Sub(start.Time).Seconds())
	}
	if escalated := meta.FindStatusCondition(request.Status.Conditions, remediationv1.ConditionEscalated); escalated != nil {
		escalations.WithLabelValues(escalated.Reason).Inc()
	}
}

func (v verdict) count() { verdicts.WithLabelValues(strconv.FormatBool(v.viable), v.reason).Inc() }

// countRecovery counts a recovery that was just recorded: it follows the last workflow.
func countRecovery(request *remediationv1.RemediationRequest) {
	if refs := request.Status.WorkflowExecutionRefs; len(refs) > 0 {
		recoveries.WithLabelValues(string(refs[len(refs)-1].ErrorType)).Inc()
	}
}

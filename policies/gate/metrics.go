package gate

import (
	"github.com/prometheus/client_golang/prometheus"
)

var (
	decisionsTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "kubernaut_gate_decisions_total",
		Help: "Decisions of the safety gate, by verdict, stage and the policy that decided: none when no rule fired.",
	}, []string{"verdict", "stage", "policy"})

	decisionSeconds = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name:    "kubernaut_gate_decision_seconds",
		Help:    "Time from the complete input document to the decision of the safety gate, waiting for a turn included.",
		Buckets: prometheus.ExponentialBuckets(0.000_05, 2, 16),
	})
)

// Collectors are the metrics of all gates of the process, for the caller to register.
func Collectors() []prometheus.Collector {
	return []prometheus.Collector{decisionsTotal, decisionSeconds}
}

func observe(decision Decision) {
	policy := PolicyNone
	if len(decision.Rules) > 0 {
		policy = decision.Rules[0].Policy
	}
	decisionsTotal.WithLabelValues(string(decision.Verdict), string(decision.Stage), policy).Inc()
	decisionSeconds.Observe(decision.Duration.Seconds())
}

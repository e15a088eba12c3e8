package kubernetesexecution

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	kubernetesexecutionv1 "kubernaut.io/kubernaut/api/kubernetesexecution/v1"
)

var (
	executions = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "kubernaut_execution_total",
		Help: "Executions that have ended, by action, phase (completed or failed) and class of failure.",
	}, []string{"action", "phase", "error_type"})

	duration = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "kubernaut_execution_duration_seconds",
		Help:    "Time from the creation of an execution to its end, by action and phase. Creation times have a resolution of one second.",
		Buckets: []float64{.1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 7200},
	}, []string{"action", "phase"})
)

// Collectors are the metrics of this controller, for registration.
func Collectors() []prometheus.Collector { return []prometheus.Collector{executions, duration} }

// count counts an execution that has ended.
func count(execution *kubernetesexecutionv1.KubernetesExecution, now time.Time) {
	action := "restore"
	if execution.Spec.Action != nil {
		action = string(execution.Spec.Action.Type)
	}
	phase := string(execution.Status.Phase)
	executions.WithLabelValues(action, phase, string(execution.Status.ErrorType)).Inc()
	duration.WithLabelValues(action, phase).Observe(now.Sub(execution.CreationTimestamp.Time).Seconds())
}

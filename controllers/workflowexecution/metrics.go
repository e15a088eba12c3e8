package workflowexecution

import (
	"github.com/prometheus/client_golang/prometheus"

	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
)

var (
	finished = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "kubernaut_workflows_total",
		Help: "Workflows that ended, by outcome and class of failure.",
	}, []string{"outcome", "error_type"})
	lasted = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "kubernaut_workflow_duration_seconds",
		Help:    "Time from the start of planning to the end of a workflow, by outcome.",
		Buckets: []float64{0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200},
	}, []string{"outcome"})
)

// Collectors are the metrics of this controller, to be registered once.
func Collectors() []prometheus.Collector { return []prometheus.Collector{finished, lasted} }

func observe(workflow *workflowexecutionv1.WorkflowExecution, after workflowexecutionv1.WorkflowExecutionStatus) {
	finished.WithLabelValues(string(after.Outcome), string(after.ErrorType)).Inc()
	if start := workflow.Status.PlanningStartTime; start != nil && after.CompletionTime != nil {
		lasted.WithLabelValues(string(after.Outcome)).Observe(after.CompletionTime.Sub(start.Time).Seconds())
	}
}

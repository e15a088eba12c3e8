package kubernetesexecution

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"

	kubernetesexecutionv1 "kubernaut.io/kubernaut/api/kubernetesexecution/v1"
	"kubernaut.io/kubernaut/api/shared"
	"kubernaut.io/kubernaut/controllers/machinery"
)

const (
	eventActionExecute = "Execute"
	// maxNote is how many bytes the API server takes as the note of an event.
	maxNote = 1024
)

// announce sends the one event of an execution, when it has ended. What happens to a step is the workflow's to tell.
func (r *Reconciler) announce(execution *kubernetesexecutionv1.KubernetesExecution) {
	ready := meta.FindStatusCondition(execution.Status.Conditions, shared.ConditionReady)
	if ready == nil {
		return
	}
	eventType := corev1.EventTypeNormal
	if execution.Status.Phase == kubernetesexecutionv1.PhaseFailed {
		eventType = corev1.EventTypeWarning
	}
	r.Recorder.Eventf(execution, nil, eventType, ready.Reason, eventActionExecute, "%s", machinery.Cut(ready.Message, maxNote))
}

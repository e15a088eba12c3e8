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

// announce sends the one event of an execution, when it has failed. What becomes of a step is the workflow's to tell.
func (r *Reconciler) announce(execution *kubernetesexecutionv1.KubernetesExecution) {
	ready := meta.FindStatusCondition(execution.Status.Conditions, shared.ConditionReady)
	if ready == nil || execution.Status.Phase != kubernetesexecutionv1.PhaseFailed {
		return
	}
	r.Recorder.Eventf(execution, nil, corev1.EventTypeWarning, ready.Reason, eventActionExecute, "%s", machinery.Cut(ready.Message, maxNote))
}

package playbook

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	catalogv1alpha1 "kubernaut.io/kubernaut/api/catalog/v1alpha1"
	"kubernaut.io/kubernaut/controllers/machinery"
)

// decide is the status of a playbook. The kind has no phases: it can be used, or it cannot.
func decide(s Snapshot, now time.Time) catalogv1alpha1.PlaybookStatus {
	status := *s.playbook.Status.DeepCopy()
	status.ObservedGeneration = s.playbook.Generation
	conditions := machinery.ConditionsOf(&status.Conditions, s.playbook.Generation, metav1.NewTime(now))
	if len(s.problems) > 0 {
		conditions.Failed(ReasonDoesNotCompile, problemText(s.problems))
		return status
	}
	conditions.Succeeded(ReasonCompiled, "Every expression compiles and type-checks, and every literal decodes.")
	return status
}

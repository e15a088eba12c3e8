package main

import (
	"cmp"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	aianalysisv1 "kubernaut.io/kubernaut/api/aianalysis/v1"
	kubernetesexecutionv1 "kubernaut.io/kubernaut/api/kubernetesexecution/v1"
	remediationv1 "kubernaut.io/kubernaut/api/remediation/v1"
	remediationprocessingv1 "kubernaut.io/kubernaut/api/remediationprocessing/v1"
	safetyv1alpha1 "kubernaut.io/kubernaut/api/safety/v1alpha1"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
)

// Who a note is about.
const (
	actorDemo       = "demo"
	actorDeployment = "deployment"
	actorPod        = "pod"
	actorRequest    = "request"
	actorProcessing = "processing"
	actorAnalysis   = "analysis"
	actorWorkflow   = "workflow"
	actorGate       = "gate"
	actorExecution  = "execution"
	actorApproval   = "approval"
	actorAPIServer  = "api server"
)

// narrator turns objects as they are into notes of what was not told yet. It needs no transition to be seen: a watch that was
// interrupted, or an object that is shown twice, neither loses nor repeats anything.
type narrator struct{ told map[string]bool }

func (n narrator) observe(object client.Object) []note {
	t := telling{narrator: n, about: fmt.Sprintf("%T %s %s ", object, object.GetName(), object.GetUID())}
	switch o := object.(type) {
	case *remediationv1.RemediationRequest:
		t.request(o)
	case *remediationprocessingv1.RemediationProcessing:
		t.processing(o)
	case *aianalysisv1.AIAnalysis:
		t.analysis(o)
	case *workflowexecutionv1.WorkflowExecution:
		t.workflow(o)
	case *kubernetesexecutionv1.KubernetesExecution:
		t.execution(o)
	case *safetyv1alpha1.ApprovalRequest:
		t.approval(o)
	case *appsv1.Deployment:
		t.deployment(o)
	case *corev1.Pod:
		t.pod(o)
	}
	return t.notes
}

// telling collects what is new about one object.
type telling struct {
	narrator
	about string
	notes []note
}

// once adds a note unless the fact was told before.
func (t *telling) once(fact string, n note) {
	if t.told[t.about+fact] {
		return
	}
	t.told[t.about+fact] = true
	t.notes = append(t.notes, n)
}

// stalled tells what stops an object until a person acts.
func (t *telling) stalled(actor string, conditions []metav1.Condition, conditionType string) {
	if c := meta.FindStatusCondition(conditions, conditionType); c != nil && c.Status == metav1.ConditionTrue {
		t.once(conditionType+c.Message, note{actor: actor, tone: bad, text: fmt.Sprintf("%s (%s): %s", conditionType, c.Reason, c.Message)})
	}
}

// conditionText is what a condition says, for people; empty when it is not there.
func conditionText(conditions []metav1.Condition, conditionType string) string {
	c := meta.FindStatusCondition(conditions, conditionType)
	if c == nil {
		return ""
	}
	return fmt.Sprintf("%s=%s (%s): %s", c.Type, c.Status, c.Reason, c.Message)
}

// messageOf is the message of the Ready condition, or what stands for it.
func messageOf(conditions []metav1.Condition, otherwise string) string {
	if c := meta.FindStatusCondition(conditions, "Ready"); c != nil {
		return cmp.Or(c.Message, c.Reason, otherwise)
	}
	return otherwise
}

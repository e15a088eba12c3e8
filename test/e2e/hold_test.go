package e2e

import (
	"context"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubernetesexecutionv1 "kubernaut.io/kubernaut/api/kubernetesexecution/v1"
	safetyv1alpha1 "kubernaut.io/kubernaut/api/safety/v1alpha1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/test/builders"
)

// holdOn makes a policy that holds every step on a target in the namespace, and waits until it decides.
func holdOn(ctx context.Context, ns string, stages ...safetyv1alpha1.Stage) *safetyv1alpha1.SafetyPolicy {
	GinkgoHelper()
	return holdActions(ctx, ns, nil, stages...)
}

// holdActions has what actions do in a namespace held at stages; without actions, what all do.
func holdActions(ctx context.Context, ns string, actions []shared.ActionType, stages ...safetyv1alpha1.Stage) *safetyv1alpha1.SafetyPolicy {
	GinkgoHelper()
	policy := &safetyv1alpha1.SafetyPolicy{ObjectMeta: metav1.ObjectMeta{Name: "hold-" + ns}}
	policy.Spec.Source.Rego = "package kubernaut.safety." + strings.ReplaceAll(policy.Name, "-", "_") + "\n\nhold contains \"everything stops\" if true\n"
	policy.Spec.Stages = stages
	policy.Spec.Match = &safetyv1alpha1.PolicyMatch{NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: ns}}, Actions: actions}
	Expect(cluster.Create(ctx, policy)).To(Succeed())
	DeferCleanup(func(ctx context.Context) { Expect(client.IgnoreNotFound(cluster.Delete(ctx, policy))).To(Succeed()) })
	awaitActive(ctx, policy)
	return policy
}

func awaitHold(ctx context.Context, workflow *workflowexecutionv1.WorkflowExecution) {
	GinkgoHelper()
	awaitWorkflow(ctx, workflow, func(g Gomega) {
		condition := meta.FindStatusCondition(workflow.Status.Conditions, workflowexecutionv1.ConditionSuspended)
		g.Expect(condition).NotTo(BeNil())
		g.Expect(*condition).To(And(HaveField("Status", metav1.ConditionTrue), HaveField("Reason", "PolicyHold")))
		g.Expect(workflow.Status.WaitingSince).NotTo(BeNil())
	})
}

var _ = Describe("A policy hold", func() {
	It("keeps a workflow from starting, and lets it go on as soon as the policy is gone", func(ctx SpecContext) {
		ns := namespace(ctx, nil)
		rolledOut(ctx, builders.Deployment(ns, "cart", goodImage))
		policy := holdOn(ctx, ns)
		workflow := startWorkflow(ctx, builders.Workflow(ns, "w", builders.Scale("up", ns, "cart", 2).Step))
		awaitHold(ctx, workflow)
		Expect(workflow.Status.Phase).To(Equal(workflowexecutionv1.PhaseValidating))
		expectNoExecution(ctx, ns)
		Expect(locksOf(ctx, workflow)).To(BeEmpty())
		expectEventsIn(ctx, ns, "PolicyHold")

		Expect(cluster.Delete(ctx, policy)).To(Succeed())
		awaitWorkflowEnd(ctx, workflow)
		Expect(workflow.Status.Outcome).To(Equal(workflowexecutionv1.OutcomeSuccess), workflow.Status.FailureReason)
		Expect(workflow.Status.WaitingSince).To(BeNil())
	})

	It("keeps the next step from its effect, which is no failure and no attempt", func(ctx SpecContext) {
		ns := namespace(ctx, nil)
		rolledOut(ctx, builders.Deployment(ns, "cart", goodImage))
		policy := holdOn(ctx, ns, safetyv1alpha1.StageStep)
		workflow := startWorkflow(ctx, builders.Workflow(ns, "w", builders.Scale("up", ns, "cart", 2).Step))
		awaitHold(ctx, workflow)
		Expect(workflow.Status.Phase).To(Equal(workflowexecutionv1.PhaseExecuting))
		var execution kubernetesexecutionv1.KubernetesExecution
		Expect(cluster.Get(ctx, client.ObjectKey{Namespace: ns, Name: "w-s0-a1"}, &execution)).To(Succeed())
		Expect(execution.Status.Phase).To(Equal(kubernetesexecutionv1.PhaseValidating))
		Expect(effectsOn(ns, "cart")).To(BeEmpty())

		Expect(cluster.Delete(ctx, policy)).To(Succeed())
		awaitWorkflowEnd(ctx, workflow)
		Expect(workflow.Status.Outcome).To(Equal(workflowexecutionv1.OutcomeSuccess), workflow.Status.FailureReason)
		Expect(workflow.Status.Steps[0].Attempts).To(Equal(int32(1)))
		Expect(effectsOn(ns, "cart")).To(HaveLen(1))
	})

	It("ends with the workflow when that is cancelled", func(ctx SpecContext) {
		ns := namespace(ctx, nil)
		rolledOut(ctx, builders.Deployment(ns, "cart", goodImage))
		holdOn(ctx, ns, safetyv1alpha1.StageStep)
		workflow := startWorkflow(ctx, builders.Workflow(ns, "w", builders.Scale("up", ns, "cart", 2).Step))
		awaitHold(ctx, workflow)
		edit(ctx, workflow, func(s *workflowexecutionv1.WorkflowExecutionSpec) { s.Cancel = workflowexecutionv1.CancelFinishStep })
		awaitWorkflowEnd(ctx, workflow)
		Expect(workflow.Status.Outcome).To(Equal(workflowexecutionv1.OutcomeCancelled))
		Expect(workflow.Status.ErrorType).To(Equal(shared.ErrorCancelled))
		Expect(effectsOn(ns, "cart")).To(BeEmpty())
	})
})

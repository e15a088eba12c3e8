package e2e

import (
	"context"
	"fmt"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/test/builders"
)

var _ = Describe("The gate knows what is around a target", func() {
	It("and refuses to scale what a HorizontalPodAutoscaler scales, but not to change its image", func(ctx SpecContext) {
		ns := namespace(ctx, nil)
		Expect(cluster.Create(ctx, &autoscalingv2.HorizontalPodAutoscaler{
			ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "scaler"},
			Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
				ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: "cart"}, MaxReplicas: 5,
			},
		})).To(Succeed())
		rolledOut(ctx, builders.Deployment(ns, "cart", goodImage))
		expectRefused(ctx, ns, builders.Scale("up", ns, "cart", 2).Step, "hpa", "HorizontalPodAutoscaler scaler")
		expectDone(ctx, ns, builders.UpdateImage("image", ns, "cart", "registry.example.com/shop/cart:1.4.3").Step)
	})

	It("and refuses to end more pods at once than a PodDisruptionBudget allows", func(ctx SpecContext) {
		ns := namespace(ctx, nil)
		rolledOut(ctx, builders.Deployment(ns, "cart", goodImage).Replicas(4))
		budget := &policyv1.PodDisruptionBudget{
			ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "budget"},
			Spec: policyv1.PodDisruptionBudgetSpec{
				MinAvailable: new(intstr.FromInt32(3)), Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "cart"}},
			},
		}
		Expect(cluster.Create(ctx, budget)).To(Succeed())
		Eventually(func(g Gomega) {
			g.Expect(cluster.Get(ctx, client.ObjectKeyFromObject(budget), budget)).To(Succeed())
			g.Expect(budget.Status.DisruptionsAllowed).To(Equal(int32(1)))
		}).WithTimeout(rolloutTimeout).WithPolling(poll).Should(Succeed())
		expectRefused(ctx, ns, builders.Scale("down", ns, "cart", 2).Step, "pdb", "PodDisruptionBudget budget, which allows 1")
		expectDone(ctx, ns, builders.Scale("down", ns, "cart", 3).Step)
	})

	It("and does not change what a GitOps tool manages without approval", func(ctx SpecContext) {
		ns := namespace(ctx, nil)
		cart := builders.Deployment(ns, "cart", goodImage)
		cart.Labels = map[string]string{"kustomize.toolkit.fluxcd.io/name": "shop"}
		rolledOut(ctx, cart)
		workflow := startWorkflow(ctx, builders.Workflow(ns, "w", builders.Scale("up", ns, "cart", 2).Step))
		awaitWorkflow(ctx, workflow, func(g Gomega) {
			g.Expect(workflow.Status.Validation).NotTo(BeNil())
			g.Expect(workflow.Status.Validation.Verdict).To(Equal(shared.VerdictRequireApproval))
		})
		Expect(workflow.Status.Validation.Decisions[0].Rules[0]).To(And(
			HaveField("Policy", "gitops"), HaveField("Effect", shared.EffectRequireApproval), HaveField("Message", ContainSubstring("Flux in shop"))))
		expectNoExecution(ctx, ns)
		Expect(effectsOn(ns, "cart")).To(BeEmpty())
	})

	It("and leaves a target alone that five other workflows have changed, and only that one", func(ctx SpecContext) {
		ns := namespace(ctx, nil)
		rolledOut(ctx, builders.Deployment(ns, "cart", goodImage))
		rolledOut(ctx, builders.Deployment(ns, "pay", goodImage))
		for i, replicas := range []int32{2, 1, 2, 1, 2} {
			By(fmt.Sprint("scaling it for the ", i+1, ". time"))
			expectDone(ctx, ns, builders.Scale(fmt.Sprint("scale-", i), ns, "cart", replicas).Step)
		}
		Expect(effectsOn(ns, "cart")).To(HaveLen(5))
		workflow := runWorkflow(ctx, builders.Workflow(ns, "sixth", builders.Scale("scale", ns, "cart", 1).Step))
		Expect(workflow.Status.ErrorType).To(Equal(shared.ErrorPolicyDenied))
		Expect(workflow.Status.Validation.Decisions[0].Rules[0]).To(And(HaveField("Policy", "cooldown"), HaveField("Code", "cooling_down")))
		Expect(effectsOn(ns, "cart")).To(HaveLen(5))
		expectDone(ctx, ns, builders.Scale("other", ns, "pay", 2).Step)
	})
})

// expectRefused runs a workflow of one step and wants the policy to deny it, before anything was done.
func expectRefused(ctx context.Context, ns string, step shared.Step, policy, message string) {
	GinkgoHelper()
	workflow := runWorkflow(ctx, builders.Workflow(ns, "refused-"+step.Name, step))
	Expect(workflow.Status.ErrorType).To(Equal(shared.ErrorPolicyDenied))
	Expect(workflow.Status.Validation.Decisions[0].Rules).To(ConsistOf(And(
		HaveField("Policy", policy), HaveField("Effect", shared.EffectDeny), HaveField("Message", ContainSubstring(message)))))
	Expect(workflow.Status.Steps[0].ExecutionRef).To(BeEmpty())
}

// expectDone runs a workflow of one step, which succeeds.
func expectDone(ctx context.Context, ns string, step shared.Step) {
	GinkgoHelper()
	workflow := runWorkflow(ctx, builders.Workflow(ns, "done-"+step.Name, step))
	Expect(workflow.Status.Outcome).To(Equal(workflowexecutionv1.OutcomeSuccess), "%s %v", workflow.Status.FailureReason, workflow.Status.Validation)
}

package e2e

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubernetesexecutionv1 "kubernaut.io/kubernaut/api/kubernetesexecution/v1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/test/builders"
)

var _ = Describe("A workflow that a person starts", func() {
	It("runs its steps in the order of the graph, two on one target one after the other", func(ctx SpecContext) {
		ns := namespace(ctx, nil)
		cart := rolledOut(ctx, builders.Deployment(ns, "cart", goodImage))
		other := rolledOut(ctx, builders.Deployment(ns, "other", goodImage))
		workflow := runWorkflow(ctx, builders.Workflow(ns, "w",
			builders.Scale("up", ns, "cart", 3).Step,
			builders.UpdateImage("image", ns, "cart", "registry.example.com/shop/cart:1.4.3").Step,
			builders.Scale("side", ns, "other", 2).Step,
			builders.Notify("tell", "the shop was scaled").After("image", "side").Step,
		))
		Expect(workflow.Status.Outcome).To(Equal(workflowexecutionv1.OutcomeSuccess), workflow.Status.FailureReason)
		Expect(workflow.Status.CompletedSteps).To(Equal(int32(4)))
		Expect(workflow.Status.Plan.Batches).To(Equal([]workflowexecutionv1.Batch{{0, 2}, {1}, {3}}))
		awaitAvailable(ctx, cart)
		awaitAvailable(ctx, other)
		Expect(*cart.Spec.Replicas).To(Equal(int32(3)))
		Expect(cart.Spec.Template.Spec.Containers[0].Image).To(Equal("registry.example.com/shop/cart:1.4.3"))
		Expect(*other.Spec.Replicas).To(Equal(int32(2)))
		Expect(effectsOn(ns, "cart")).To(HaveExactElements(HaveField("User", "action-scale-deployment"), HaveField("User", "action-update-image")))
		Expect(effectsOn(ns, "other")).To(HaveLen(1))
	})

	It("is refused by the gate in kube-system, the target untouched", func(ctx SpecContext) {
		target := rolledOut(ctx, builders.Deployment(metav1.NamespaceSystem, "e2e-dns", goodImage))
		DeferCleanup(func(ctx SpecContext) { Expect(cluster.Delete(ctx, target)).To(Succeed()) })
		generation := target.Generation
		ns := namespace(ctx, nil)
		workflow := runWorkflow(ctx, builders.Workflow(ns, "forbidden", builders.Scale("scale", metav1.NamespaceSystem, "e2e-dns", 2).Step))
		Expect(workflow.Status.Phase).To(Equal(workflowexecutionv1.PhaseFailed))
		Expect(workflow.Status.ErrorType).To(Equal(shared.ErrorPolicyDenied))
		Expect(workflow.Status.FailedStep).To(HaveValue(Equal(int32(0))))
		Expect(workflow.Status.FailureReason).To(ContainSubstring("protected_namespaces"))
		Expect(workflow.Status.Validation.Decisions[0].Rules[0]).To(And(HaveField("Policy", "protected_namespaces"), HaveField("Effect", shared.EffectDeny)))
		Expect(workflow.Status.Validation.PolicySetRevision).To(HaveLen(64))
		expectNoExecution(ctx, ns)
		Expect(cluster.Get(ctx, client.ObjectKeyFromObject(target), target)).To(Succeed())
		Expect(target.Generation).To(Equal(generation))
		Expect(effectsOn(metav1.NamespaceSystem, "e2e-dns")).To(BeEmpty())
	})

	DescribeTable("is refused by the gate",
		func(ctx SpecContext, environment string, policy string, step func(ns string) shared.Step) {
			ns := namespace(ctx, map[string]string{shared.LabelEnvironment: environment})
			rolledOut(ctx, builders.Deployment(ns, "cart", goodImage))
			workflow := runWorkflow(ctx, builders.Workflow(ns, "forbidden", step(ns)))
			Expect(workflow.Status.ErrorType).To(Equal(shared.ErrorPolicyDenied))
			Expect(workflow.Status.Validation.Decisions[0].Rules[0].Policy).To(Equal(policy))
			expectNoExecution(ctx, ns)
			Expect(effectsOn(ns, "cart")).To(BeEmpty())
		},
		Entry("when it scales to zero in production", "production", "replica_bounds", func(ns string) shared.Step { return builders.Scale("zero", ns, "cart", 0).Step }),
		Entry("when it scales to many times as many pods", "test", "replica_bounds", func(ns string) shared.Step { return builders.Scale("flood", ns, "cart", 900).Step }),
		Entry("when it takes an image from another registry", "test", "registries", func(ns string) shared.Step {
			return builders.UpdateImage("image", ns, "cart", "evil.example.net/shop/cart:1").Step
		}),
	)

	It("changes nothing in a namespace that allows dry runs only", func(ctx SpecContext) {
		ns := namespace(ctx, map[string]string{shared.LabelNamespaceMode: shared.NamespaceModeDryRun})
		rolledOut(ctx, builders.Deployment(ns, "cart", goodImage))
		workflow := runWorkflow(ctx, builders.Workflow(ns, "dry", builders.Scale("up", ns, "cart", 2).Step))
		Expect(workflow.Status.Outcome).To(Equal(workflowexecutionv1.OutcomeDryRun))
		Expect(workflow.Status.Validation.DryRun).To(ContainElement(And(HaveField("Path", "/spec/replicas"), HaveField("After.Raw", Equal([]byte("2"))))))
		expectNoExecution(ctx, ns)
		Expect(effectsOn(ns, "cart")).To(BeEmpty())
	})

	It("fails with all that a person needs when a step cannot be prepared", func(ctx SpecContext) {
		ns := namespace(ctx, nil)
		workflow := runWorkflow(ctx, builders.Workflow(ns, "lost", builders.Scale("up", ns, "nowhere", 2).Step))
		Expect(workflow.Status.Phase).To(Equal(workflowexecutionv1.PhaseFailed))
		Expect(workflow.Status.ErrorType).To(Equal(shared.ErrorResourceNotFound))
		Expect(workflow.Status.FailedStepName).To(Equal("up"))
		Expect(workflow.Status.FailureReason).To(ContainSubstring("nowhere"))
	})
})

func expectNoExecution(ctx SpecContext, ns string) {
	GinkgoHelper()
	var executions kubernetesexecutionv1.KubernetesExecutionList
	Expect(cluster.List(ctx, &executions, client.InNamespace(ns))).To(Succeed())
	Expect(executions.Items).To(BeEmpty())
}

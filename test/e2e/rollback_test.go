package e2e

import (
	"context"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubernetesexecutionv1 "kubernaut.io/kubernaut/api/kubernetesexecution/v1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/test/builders"
)

// worse are steps that scale a Deployment and then give it an image that cannot be pulled.
func worse(ns string) []shared.Step {
	return []shared.Step{
		builders.Scale("up", ns, "cart", 2).Step,
		builders.Notify("tell", "cart gets a new image").After("up").Step,
		builders.UpdateImage("image", ns, "cart", badImage).After("tell").Step,
	}
}

var _ = Describe("A workflow that fails", func() {
	It("undoes what its steps changed, the last first, each by the account that did it", func(ctx SpecContext) {
		ns := namespace(ctx, nil)
		cart := rolledOut(ctx, builders.Deployment(ns, "cart", goodImage))
		workflow := runWorkflow(ctx, builders.Workflow(ns, "worse", worse(ns)...).MonitoringTimeout(5*time.Second))
		Expect(workflow.Status.Outcome).To(Equal(workflowexecutionv1.OutcomeRolledBack), "%v", workflow.Status.Conditions)
		Expect(workflow.Status.ErrorType).To(Equal(shared.ErrorIneffective))
		Expect(workflow.Status.Steps).To(HaveExactElements(
			HaveField("Phase", workflowexecutionv1.StepRolledBack), HaveField("Phase", workflowexecutionv1.StepCompleted), HaveField("Phase", workflowexecutionv1.StepRolledBack)))
		Expect(meta.IsStatusConditionTrue(workflow.Status.Conditions, workflowexecutionv1.ConditionRolledBack)).To(BeTrue())

		By("keeping the snapshot from before")
		Expect(workflow.Status.ExecutionSnapshot.CompletedSteps).To(HaveEach(HaveField("Status", workflowexecutionv1.StepCompleted)))
		Expect(workflow.Status.ExecutionSnapshot.ResourceSnapshot.Raw).To(ContainSubstring("1.5.0-missing"))

		By("leaving the Deployment as it was")
		awaitAvailable(ctx, cart)
		Expect(*cart.Spec.Replicas).To(Equal(int32(1)))
		Expect(cart.Spec.Template.Spec.Containers[0].Image).To(Equal(goodImage))
		Expect(effectsOn(ns, "cart")).To(HaveExactElements(HaveField("User", "action-scale-deployment"), HaveField("User", "action-update-image"), HaveField("User", "action-update-image"), HaveField("User", "action-scale-deployment")))
		expectUndone(ctx, ns, "worse-s2-r1")
		expectUndone(ctx, ns, "worse-s0-r1")
		expectEventsIn(ctx, ns, "RollbackStarted", "RollbackCompleted")
	})

	It("does not undo what someone else has changed since, and names it", func(ctx SpecContext) {
		ns := namespace(ctx, nil)
		cart := rolledOut(ctx, builders.Deployment(ns, "cart", goodImage))
		workflow := startWorkflow(ctx, builders.Workflow(ns, "worse", worse(ns)...).MonitoringTimeout(5*time.Second))
		awaitPhase(ctx, workflow, workflowexecutionv1.PhaseMonitoring)
		change(ctx, cart, func() { cart.Spec.Replicas = new(int32(3)) })
		awaitWorkflowEnd(ctx, workflow)
		Expect(workflow.Status.Outcome).To(Equal(workflowexecutionv1.OutcomePartiallyRolledBack))
		condition := meta.FindStatusCondition(workflow.Status.Conditions, workflowexecutionv1.ConditionRolledBack)
		Expect(condition.Message).To(And(ContainSubstring(`step "up" could not be undone: /spec/replicas of Deployment `+ns+`/cart`), ContainSubstring(`step "image" is restored`)))
		awaitAvailable(ctx, cart)
		Expect(*cart.Spec.Replicas).To(Equal(int32(3)))
		Expect(cart.Spec.Template.Spec.Containers[0].Image).To(Equal(goodImage))
	})

	DescribeTable("leaves its effects to a person, and says so",
		func(ctx SpecContext, workflowFor func(ns string) builders.WorkflowBuilder, message string) {
			ns := namespace(ctx, nil)
			cart := rolledOut(ctx, builders.Deployment(ns, "cart", goodImage))
			workflow := runWorkflow(ctx, workflowFor(ns).MonitoringTimeout(2*time.Second))
			Expect(workflow.Status.Outcome).To(Equal(workflowexecutionv1.OutcomeFailed))
			condition := meta.FindStatusCondition(workflow.Status.Conditions, workflowexecutionv1.ConditionRolledBack)
			Expect(condition).NotTo(BeNil())
			Expect(*condition).To(And(HaveField("Status", metav1.ConditionFalse), HaveField("Reason", "NotPerformed"), HaveField("Message", ContainSubstring(message))))
			Expect(cluster.Get(ctx, client.ObjectKeyFromObject(cart), cart)).To(Succeed())
			Expect(cart.Spec.Template.Spec.Containers[0].Image).To(Equal(badImage))
			Expect(effectsOn(ns, "cart")).To(HaveLen(1))
		},
		Entry("when the strategy is Manual", func(ns string) builders.WorkflowBuilder {
			return builders.Workflow(ns, "w", builders.UpdateImage("image", ns, "cart", badImage).Step).RollbackStrategy(shared.RollbackStrategyManual)
		}, "the rollback strategy is Manual"),
		Entry("when the step is not to be undone", func(ns string) builders.WorkflowBuilder {
			return builders.Workflow(ns, "w", builders.UpdateImage("image", ns, "cart", badImage).NotUndone().Step)
		}, "rollback is None"),
	)

	It("undoes each effect once when the manager is killed in the middle", Serial, func(ctx SpecContext) {
		ns := namespace(ctx, nil)
		cart := rolledOut(ctx, builders.Deployment(ns, "cart", goodImage))
		workflow := startWorkflow(ctx, builders.Workflow(ns, "worse", worse(ns)...).MonitoringTimeout(3*time.Second))
		Eventually(func(g Gomega) {
			g.Expect(cluster.Get(ctx, client.ObjectKey{Namespace: ns, Name: "worse-s2-r1"}, &kubernetesexecutionv1.KubernetesExecution{})).To(Succeed())
		}).WithTimeout(workflowTimeout).WithPolling(poll / 10).Should(Succeed())
		killManager()
		startManager(ctx)
		awaitWorkflowEnd(ctx, workflow)
		Expect(workflow.Status.Outcome).To(Equal(workflowexecutionv1.OutcomeRolledBack), "%v", workflow.Status.Conditions)
		awaitAvailable(ctx, cart)
		Expect(*cart.Spec.Replicas).To(Equal(int32(1)))
		Expect(effectsOn(ns, "cart")).To(HaveLen(4))
	})
})

func expectUndone(ctx context.Context, ns, name string) {
	GinkgoHelper()
	var execution kubernetesexecutionv1.KubernetesExecution
	Expect(cluster.Get(ctx, client.ObjectKey{Namespace: ns, Name: name}, &execution)).To(Succeed())
	Expect(execution.Spec.Purpose).To(Equal(kubernetesexecutionv1.PurposeRollBack))
	Expect(execution.Status.Phase).To(Equal(kubernetesexecutionv1.PhaseCompleted), execution.Status.ErrorMessage)
	Expect(execution.Status.Changed).To(HaveValue(BeTrue()))
	Expect(execution.Status.Decision.Verdict).To(Equal(shared.VerdictAllow))
}

func expectEventsIn(ctx context.Context, ns string, reasons ...string) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		var events eventsv1.EventList
		g.Expect(cluster.List(ctx, &events, client.InNamespace(ns))).To(Succeed())
		for _, reason := range reasons {
			g.Expect(events.Items).To(ContainElement(HaveField("Reason", reason)))
		}
	}).WithTimeout(rolloutTimeout).WithPolling(poll).Should(Succeed())
}

// change changes a Deployment as another writer would.
func change(ctx context.Context, deployment *appsv1.Deployment, with func()) {
	GinkgoHelper()
	Expect(cluster.Get(ctx, client.ObjectKeyFromObject(deployment), deployment)).To(Succeed())
	patch := client.MergeFrom(deployment.DeepCopy())
	with()
	Expect(cluster.Patch(ctx, deployment, patch)).To(Succeed())
}

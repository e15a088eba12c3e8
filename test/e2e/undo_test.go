package e2e

import (
	"context"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubernetesexecutionv1 "kubernaut.io/kubernaut/api/kubernetesexecution/v1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/test/builders"
)

// otherImage is one that can be pulled, as goodImage.
const otherImage = "registry.example.com/shop/cart:1.4.3"

// bigger is a workflow that scales the Deployment cart from one pod to two, then to three, and gives it another image.
func bigger(ns string) builders.WorkflowBuilder {
	return builders.Workflow(ns, "bigger",
		builders.Scale("two", ns, "cart", 2).Step,
		builders.Notify("tell", "cart grows").After("two").Step,
		builders.Scale("three", ns, "cart", 3).After("tell").Step,
		builders.UpdateImage("image", ns, "cart", otherImage).After("three").Step)
}

var _ = Describe("Undoing a finished workflow", func() {
	It("restores what it captured, the last first, each by the account that did it", func(ctx SpecContext) {
		ns := namespace(ctx, nil)
		cart := rolledOut(ctx, builders.Deployment(ns, "cart", goodImage))
		done := runWorkflow(ctx, bigger(ns))
		Expect(done.Status.Outcome).To(Equal(workflowexecutionv1.OutcomeSuccess), "%v", done.Status.Conditions)

		By("showing it as a dry run first")
		tried := runWorkflow(ctx, builders.Undo("try", done).DryRun())
		Expect(tried.Status.Outcome).To(Equal(workflowexecutionv1.OutcomeDryRun), tried.Status.FailureReason)
		Expect(tried.Status.Validation.DryRun).To(HaveLen(3))
		Expect(effectsOn(ns, "cart")).To(HaveLen(3))

		By("undoing it")
		undo := runWorkflow(ctx, builders.Undo("undo", done))
		Expect(undo.Status.Outcome).To(Equal(workflowexecutionv1.OutcomeSuccess), "%s: %v", undo.Status.FailureReason, undo.Status.Conditions)
		Expect(undo.Status.Steps).To(HaveExactElements(HaveField("Name", "image"), HaveField("Name", "three"), HaveField("Name", "two")))
		Expect(meta.IsStatusConditionTrue(undo.Status.Conditions, workflowexecutionv1.ConditionRolledBack)).To(BeTrue())
		awaitAvailable(ctx, cart)
		Expect(*cart.Spec.Replicas).To(Equal(int32(1)))
		Expect(cart.Spec.Template.Spec.Containers[0].Image).To(Equal(goodImage))
		for name, from := range map[string]string{"undo-s0-r1": "bigger-s3-a1", "undo-s1-r1": "bigger-s2-a1", "undo-s2-r1": "bigger-s0-a1"} {
			expectUndone(ctx, ns, name)
			var execution kubernetesexecutionv1.KubernetesExecution
			Expect(cluster.Get(ctx, client.ObjectKey{Namespace: ns, Name: name}, &execution)).To(Succeed())
			Expect(execution.Spec.RestoreFrom).To(Equal(from))
		}
		Expect(effectsOn(ns, "cart")).To(HaveExactElements(
			HaveField("User", "action-scale-deployment"), HaveField("User", "action-scale-deployment"), HaveField("User", "action-update-image"),
			HaveField("User", "action-update-image"), HaveField("User", "action-scale-deployment"), HaveField("User", "action-scale-deployment")))

		By("doing it once")
		again := runWorkflow(ctx, builders.Undo("again", done))
		Expect(again.Status.Outcome).To(Equal(workflowexecutionv1.OutcomeFailed))
		Expect(again.Status.FailureReason).To(ContainSubstring("WorkflowExecution undo undoes bigger or has undone it"))
		Expect(cluster.Create(ctx, builders.Undo("redo", undo).WorkflowExecution)).To(MatchError(ContainSubstring("itself undoes bigger")))
		Expect(effectsOn(ns, "cart")).To(HaveLen(6))
	})

	It("touches nothing when someone else has changed one of the fields since", func(ctx SpecContext) {
		ns := namespace(ctx, nil)
		cart := rolledOut(ctx, builders.Deployment(ns, "cart", goodImage))
		done := runWorkflow(ctx, bigger(ns))
		change(ctx, cart, func() { cart.Spec.Replicas = new(int32(4)) })
		undo := runWorkflow(ctx, builders.Undo("undo", done))
		Expect(undo.Status.Outcome).To(Equal(workflowexecutionv1.OutcomeFailed))
		Expect(undo.Status.ErrorType).To(Equal(shared.ErrorResourceConflict))
		Expect(undo.Status.FailedStepName).To(Equal("three"))
		Expect(undo.Status.FailureReason).To(ContainSubstring("someone else changed Deployment " + ns + "/cart since"))
		Expect(cluster.Get(ctx, client.ObjectKeyFromObject(cart), cart)).To(Succeed())
		Expect(cart.Spec.Template.Spec.Containers[0].Image).To(Equal(otherImage))
	})

	It("is how a workflow with the strategy Manual is rolled back, as it says itself", func(ctx SpecContext) {
		ns := namespace(ctx, nil)
		cart := rolledOut(ctx, builders.Deployment(ns, "cart", goodImage))
		failed := runWorkflow(ctx, builders.Workflow(ns, "worse", worse(ns)...).MonitoringTimeout(2*time.Second).RollbackStrategy(shared.RollbackStrategyManual))
		condition := meta.FindStatusCondition(failed.Status.Conditions, workflowexecutionv1.ConditionRolledBack)
		Expect(condition.Message).To(ContainSubstring("spec.rollbackOf {name: worse, uid: " + string(failed.UID) + "}"))
		undo := runWorkflow(ctx, builders.Undo("undo", failed))
		Expect(undo.Status.Outcome).To(Equal(workflowexecutionv1.OutcomeSuccess), undo.Status.FailureReason)
		awaitAvailable(ctx, cart)
		Expect(*cart.Spec.Replicas).To(Equal(int32(1)))
		Expect(cart.Spec.Template.Spec.Containers[0].Image).To(Equal(goodImage))
	})

	It("is done once when the manager is killed in the middle", Serial, func(ctx SpecContext) {
		ns := namespace(ctx, nil)
		cart := rolledOut(ctx, builders.Deployment(ns, "cart", goodImage))
		done := runWorkflow(ctx, bigger(ns))
		undo := startWorkflow(ctx, builders.Undo("undo", done))
		Eventually(func(g Gomega) {
			g.Expect(cluster.Get(ctx, client.ObjectKey{Namespace: ns, Name: "undo-s1-r1"}, &kubernetesexecutionv1.KubernetesExecution{})).To(Succeed())
		}).WithTimeout(workflowTimeout).WithPolling(poll / 10).Should(Succeed())
		killManager()
		startManager(ctx)
		awaitWorkflowEnd(ctx, undo)
		Expect(undo.Status.Outcome).To(Equal(workflowexecutionv1.OutcomeSuccess), undo.Status.FailureReason)
		awaitAvailable(ctx, cart)
		Expect(*cart.Spec.Replicas).To(Equal(int32(1)))
		Expect(effectsOn(ns, "cart")).To(HaveLen(6))
	})
})

var _ = Describe("A step with a rollbackAction", func() {
	// failing scales cart and side, and then gives cart an image that cannot be pulled.
	failing := func(ns string, replicas int32) builders.WorkflowBuilder {
		return builders.Workflow(ns, "w",
			builders.Scale("up", ns, "cart", 3).UndoneBy(builders.Scale("", ns, "side", replicas)).Step,
			builders.UpdateImage("image", ns, "cart", badImage).After("up").Step).MonitoringTimeout(3 * time.Second)
	}
	world := func(ctx context.Context, labels map[string]string) string {
		GinkgoHelper()
		ns := namespace(ctx, labels)
		rolledOut(ctx, builders.Deployment(ns, "cart", goodImage))
		rolledOut(ctx, builders.Deployment(ns, "side", goodImage))
		return ns
	}

	It("is undone by that action, which passes the gate as a step", func(ctx SpecContext) {
		ns := world(ctx, nil)
		workflow := runWorkflow(ctx, failing(ns, 2))
		Expect(workflow.Status.Outcome).To(Equal(workflowexecutionv1.OutcomeRolledBack), "%s: %v", workflow.Status.FailureReason, workflow.Status.Conditions)
		condition := meta.FindStatusCondition(workflow.Status.Conditions, workflowexecutionv1.ConditionRolledBack)
		Expect(condition.Message).To(And(ContainSubstring(`step "image" is restored`), ContainSubstring(`the rollbackAction of step "up" is done`)))
		var execution kubernetesexecutionv1.KubernetesExecution
		Expect(cluster.Get(ctx, client.ObjectKey{Namespace: ns, Name: "w-s0-r1"}, &execution)).To(Succeed())
		Expect(execution.Spec.Action.ScaleDeployment.Name).To(Equal("side"))
		Expect(execution.Status.Phase).To(Equal(kubernetesexecutionv1.PhaseCompleted))
		cart, side := builders.Deployment(ns, "cart", goodImage).Deployment, builders.Deployment(ns, "side", goodImage).Deployment
		awaitAvailable(ctx, side)
		Expect(*side.Spec.Replicas).To(Equal(int32(2)))
		Expect(cluster.Get(ctx, client.ObjectKeyFromObject(cart), cart)).To(Succeed())
		Expect(*cart.Spec.Replicas).To(Equal(int32(3)), "what was captured is not restored beside it")
	})

	It("does not run at all when the gate denies that action", func(ctx SpecContext) {
		ns := world(ctx, map[string]string{shared.LabelEnvironment: "production"})
		workflow := runWorkflow(ctx, failing(ns, 0))
		Expect(workflow.Status.ErrorType).To(Equal(shared.ErrorPolicyDenied))
		Expect(workflow.Status.FailedStepName).To(Equal("up"))
		Expect(workflow.Status.FailureReason).To(ContainSubstring(`the safety gate says Deny to the rollbackAction of step "up"`))
		Expect(workflow.Status.Validation.Decisions[0]).To(HaveField("OfRollbackAction", true))
		condition := meta.FindStatusCondition(workflow.Status.Conditions, workflowexecutionv1.ConditionRolledBack)
		Expect(condition).To(HaveValue(HaveField("Status", metav1.ConditionFalse)))
		Expect(effectsOn(ns, "cart")).To(BeEmpty())
	})
})

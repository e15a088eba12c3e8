package workflow

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubernetesexecutionv1 "kubernaut.io/kubernaut/api/kubernetesexecution/v1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/test/builders"
)

// grown is a workflow that scales the Deployment cart twice and gives it another image, and changes the Deployment side beside it.
func grown(ns string) builders.WorkflowBuilder {
	return builders.Workflow(ns, "grown",
		builders.Scale("two", ns, "cart", 2).Step,
		builders.Scale("three", ns, "cart", 3).After("two").Step,
		builders.UpdateImage("image", ns, "cart", newImage).After("three").Step,
		builders.Scale("side", ns, "side", 2).Step)
}

var _ = Describe("A workflow that undoes a finished one", func() {
	It("goes through all phases and restores everything, the last first", func(ctx SpecContext) {
		ns := namespace(ctx, nil)
		cart, side := rolledOut(ctx, ns, "cart"), rolledOut(ctx, ns, "side")
		done := run(ctx, grown(ns))
		Expect(done.Status.Outcome).To(Equal(workflowexecutionv1.OutcomeSuccess), done.Status.FailureReason)

		tried := run(ctx, builders.Undo("tried", done).DryRun())
		Expect(tried.Status.Outcome).To(Equal(workflowexecutionv1.OutcomeDryRun), tried.Status.FailureReason)
		Expect(tried.Status.Validation.DryRun).To(HaveLen(4))

		undo := run(ctx, builders.Undo("undo", done))
		Expect(undo.Status.Outcome).To(Equal(workflowexecutionv1.OutcomeSuccess), "%s: %v", undo.Status.FailureReason, undo.Status.Conditions)
		expectPath(undo, validating, executing, monitoring, completed)
		Expect(meta.IsStatusConditionTrue(undo.Status.Conditions, workflowexecutionv1.ConditionRolledBack)).To(BeTrue())
		Expect(undo.Status.Plan.Undo.Steps).To(HaveExactElements(
			HaveField("RestoreFrom", "grown-s3-a1"), HaveField("RestoreFrom", "grown-s2-a1"), HaveField("RestoreFrom", "grown-s1-a1"), HaveField("RestoreFrom", "grown-s0-a1")))
		for _, name := range []string{"undo-s0-r1", "undo-s1-r1", "undo-s2-r1", "undo-s3-r1"} {
			execution := executionOf(ctx, ns, name)
			Expect(execution.Spec.Purpose).To(Equal(kubernetesexecutionv1.PurposeRollBack))
			Expect(execution.Status.Changed).To(HaveValue(BeTrue()))
			Expect(execution.Status.Decision.Verdict).To(Equal(shared.VerdictAllow))
		}
		Expect(admin.Get(ctx, client.ObjectKeyFromObject(cart), cart)).To(Succeed())
		Expect(*cart.Spec.Replicas).To(Equal(int32(1)))
		Expect(cart.Spec.Template.Spec.Containers[0].Image).To(Equal(goodImage))
		Expect(admin.Get(ctx, client.ObjectKeyFromObject(side), side)).To(Succeed())
		Expect(*side.Spec.Replicas).To(Equal(int32(1)))
		expectEvents(ctx, undo, "Planned", "Validated", "StepCompleted", "WorkflowCompleted")

		again := run(ctx, builders.Undo("again", done))
		expectPath(again, workflowexecutionv1.PhaseFailed)
		Expect(again.Status.FailureReason).To(ContainSubstring("WorkflowExecution undo undoes grown or has undone it"))
	})

	It("changes nothing when one of its fields is someone else's by now", func(ctx SpecContext) {
		ns := namespace(ctx, nil)
		cart := rolledOut(ctx, ns, "cart")
		rolledOut(ctx, ns, "side")
		done := run(ctx, grown(ns))
		edit(ctx, cart, func() { cart.Spec.Replicas = new(int32(7)) })
		undo := run(ctx, builders.Undo("undo", done))
		expectPath(undo, validating, failed)
		Expect(undo.Status).To(And(HaveField("ErrorType", shared.ErrorResourceConflict), HaveField("FailedStepName", "three")))
		Expect(messageOf(undo, workflowexecutionv1.ConditionRolledBack)).To(ContainSubstring("of WorkflowExecution grown nothing was undone"))
		Expect(executionsIn(ctx, ns)).To(HaveLen(4))
	})

	It("finds nothing left to do when somebody has put everything back", func(ctx SpecContext) {
		ns := namespace(ctx, nil)
		cart := rolledOut(ctx, ns, "cart")
		done := run(ctx, builders.Workflow(ns, "up", builders.Scale("up", ns, "cart", 2).Step))
		edit(ctx, cart, func() { cart.Spec.Replicas = new(int32(1)) })
		undo := run(ctx, builders.Undo("undo", done))
		Expect(undo.Status.FailureReason).To(ContainSubstring("nothing is left to undo"))
		expectPath(undo, validating, failed)
	})

	It("goes on when one of its steps cannot be undone after all, and says what is left", func(ctx SpecContext) {
		ns := namespace(ctx, nil)
		cart := rolledOut(ctx, ns, "cart")
		rolledOut(ctx, ns, "side")
		done := run(ctx, builders.Workflow(ns, "both",
			builders.Scale("first", ns, "cart", 2).Step, builders.Scale("second", ns, "side", 2).After("first").Step))
		plane.Workloads.Hold(client.ObjectKey{Namespace: ns, Name: "side"})
		undo := start(ctx, builders.Undo("undo", done))
		awaitPhase(ctx, undo, executing)
		edit(ctx, cart, func() { cart.Spec.Replicas = new(int32(9)) })
		Expect(plane.Workloads.Release(ctx, client.ObjectKey{Namespace: ns, Name: "side"})).To(Succeed())
		awaitEnd(ctx, undo)
		Expect(undo.Status).To(And(HaveField("Outcome", workflowexecutionv1.OutcomePartiallyRolledBack), HaveField("ErrorType", shared.ErrorResourceConflict)))
		Expect(messageOf(undo, workflowexecutionv1.ConditionRolledBack)).To(ContainSubstring(`only step "second" is undone; step "first": `))
	})
})

var _ = Describe("A step with a rollbackAction", func() {
	It("is undone by it, as a step that all policies judge", func(ctx SpecContext) {
		ns := namespace(ctx, nil)
		rolledOut(ctx, ns, "cart")
		side := rolledOut(ctx, ns, "side")
		workflow := run(ctx, builders.Workflow(ns, "w",
			builders.Scale("up", ns, "cart", 2).UndoneBy(builders.Scale("", ns, "side", 3)).Step,
			builders.UpdateImage("image", ns, "cart", badImage).After("up").Step).MonitoringTimeout(2e9))
		expectPath(workflow, validating, executing, monitoring, rollingBack, failed)
		Expect(workflow.Status.Outcome).To(Equal(workflowexecutionv1.OutcomeRolledBack), "%v", workflow.Status.Conditions)
		Expect(messageOf(workflow, workflowexecutionv1.ConditionRolledBack)).To(ContainSubstring(`the rollbackAction of step "up" is done`))
		undo := executionOf(ctx, ns, "w-s0-r1")
		Expect(undo.Spec).To(And(HaveField("Purpose", kubernetesexecutionv1.PurposeRollBack), HaveField("RestoreFrom", ""), HaveField("Action.Type", shared.ActionScaleDeployment)))
		Expect(admin.Get(ctx, client.ObjectKeyFromObject(side), side)).To(Succeed())
		Expect(*side.Spec.Replicas).To(Equal(int32(3)))
	})

	It("keeps the workflow from running when the gate denies it", func(ctx SpecContext) {
		ns := namespace(ctx, map[string]string{shared.LabelEnvironment: "production"})
		rolledOut(ctx, ns, "cart")
		workflow := run(ctx, builders.Workflow(ns, "w", builders.Scale("up", ns, "cart", 2).UndoneBy(builders.Scale("", ns, "cart", 0)).Step))
		expectPath(workflow, validating, failed)
		Expect(workflow.Status.FailureReason).To(ContainSubstring(`Deny to the rollbackAction of step "up"`))
		Expect(executionsIn(ctx, ns)).To(BeEmpty())
	})
})

package admission

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/controllers/identity"
	"kubernaut.io/kubernaut/test/cluster"
)

// endedWorkflow creates a workflow in a namespace whose steps are said to be completed, as its controller says it.
func endedWorkflow(ctx context.Context, namespace, name string, steps ...shared.Step) *workflowexecutionv1.WorkflowExecution {
	GinkgoHelper()
	w := workflow("", func(w *workflowexecutionv1.WorkflowExecution) { w.Namespace, w.Name = namespace, name }, steps...)
	w.Spec.Suspend = new(true)
	Expect(admin.Create(ctx, w)).To(Succeed())
	config, err := cluster.TokenConfig(adminConfig, operatorNamespace, identity.WorkflowExecution)
	Expect(err).NotTo(HaveOccurred())
	w.Status.Phase, w.Status.Outcome = workflowexecutionv1.PhaseCompleted, workflowexecutionv1.OutcomeSuccess
	for i, step := range steps {
		w.Status.Steps = append(w.Status.Steps, workflowexecutionv1.StepStatus{
			Index: int32(i), Name: step.Name, Phase: workflowexecutionv1.StepCompleted, Attempts: 1,
		})
	}
	Expect(clientOf(config).Status().Update(ctx, w)).To(Succeed())
	return w
}

// undoing is a workflow that undoes another one.
func undoing(other *workflowexecutionv1.WorkflowExecution) *workflowexecutionv1.WorkflowExecution {
	return workflow("undo-", func(w *workflowexecutionv1.WorkflowExecution) {
		w.Namespace, w.Spec.WorkflowDefinition = other.Namespace, nil
		w.Spec.RollbackOf = &shared.ObjectReference{Name: other.Name, UID: other.UID}
	})
}

var _ = Describe("Undoing a finished workflow", Ordered, func() {
	var grace client.Client
	var done *workflowexecutionv1.WorkflowExecution
	BeforeAll(func(ctx SpecContext) {
		grace = person(ctx, "grace", "get", "patch")
		done = endedWorkflow(ctx, "grace", "done", scaleIn("a", "grace"))
	})

	It("is for who may do what it does", func(ctx SpecContext) {
		undo := undoing(done)
		Expect(grace.Create(ctx, undo, client.DryRunAll)).To(Succeed())
		Expect(undo.Spec.RequestedBy.Username).To(Equal("grace"))
	})

	It("is refused to who may not write what the other one wrote", func(ctx SpecContext) {
		elsewhere := endedWorkflow(ctx, "grace", "elsewhere", scaleIn("a", workNamespace))
		Expect(grace.Create(ctx, undoing(elsewhere))).To(MatchError(And(
			ContainSubstring("spec.rollbackOf"), ContainSubstring("grace may not patch deployments.apps cart in namespace shop"))))
	})

	It("is about a workflow of the same namespace", func(ctx SpecContext) {
		judy := person(ctx, "judy", "get", "patch")
		undo := undoing(done)
		undo.Namespace = "judy"
		Expect(judy.Create(ctx, undo)).To(MatchError(ContainSubstring("does not exist in this namespace")))
		Expect(alice.Create(ctx, undoing(done), client.DryRunAll)).To(Succeed(), "alice reads workflows everywhere")
	})

	It("is refused for a workflow that runs, is another one, or is unknown", func(ctx SpecContext) {
		running := workflow("", func(w *workflowexecutionv1.WorkflowExecution) { w.Namespace, w.Name = "grace", "running" }, scaleIn("a", "grace"))
		Expect(grace.Create(ctx, running)).To(Succeed())
		Expect(grace.Create(ctx, undoing(running))).To(MatchError(And(ContainSubstring("spec.rollbackOf"), ContainSubstring("is not finished"))))
		other := undoing(done)
		other.Spec.RollbackOf.UID = "another"
		Expect(grace.Create(ctx, other)).To(MatchError(And(ContainSubstring("spec.rollbackOf.uid"), ContainSubstring("deleted and made again"))))
		other.Spec.RollbackOf.Name = "unknown"
		Expect(grace.Create(ctx, other)).To(MatchError(And(ContainSubstring("spec.rollbackOf.name"), ContainSubstring("does not exist"))))
	})

	It("needs the rights for the rollback actions", func(ctx SpecContext) {
		step := scaleIn("a", "grace")
		step.Rollback, step.RollbackAction = shared.RollbackAction, new(scaleIn("b", workNamespace).Action)
		Expect(grace.Create(ctx, workflow("w-", func(w *workflowexecutionv1.WorkflowExecution) { w.Namespace = "grace" }, step))).To(MatchError(And(
			ContainSubstring("spec.workflowDefinition.steps[0].rollbackAction"), ContainSubstring("grace may not patch deployments.apps cart in namespace shop"))))
		Expect(grace.Create(ctx, undoing(endedWorkflow(ctx, "grace", "acting", step)))).To(MatchError(
			ContainSubstring("grace may not patch deployments.apps cart in namespace shop")))
	})
})

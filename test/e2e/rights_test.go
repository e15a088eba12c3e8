package e2e

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/test/builders"
)

var _ = Describe("The rights that a workflow needs", func() {
	It("are looked at again before anything runs: what its author may do no more is not done", func(ctx SpecContext) {
		ns := namespace(ctx, nil)
		rolledOut(ctx, builders.Deployment(ns, "cart", goodImage))
		const carol = "carol"
		grant(ctx, carol, ns, mayStart())
		right := grant(ctx, carol, ns, mayRepair())

		b := builders.Workflow(ns, "w", builders.Scale("up", ns, "cart", 2).Step).Suspended()
		Expect(as(carol).Create(ctx, b.WorkflowExecution)).To(Succeed())
		workflow := b.WorkflowExecution
		Expect(workflow.Spec.RequestedBy.Username).To(Equal(carol))
		Expect(cluster.Delete(ctx, right)).To(Succeed())
		awaitRight(ctx, carol, ns, mayRepair(), false)
		edit(ctx, workflow, func(s *workflowexecutionv1.WorkflowExecutionSpec) { s.Suspend = nil })

		awaitWorkflowEnd(ctx, workflow)
		Expect(workflow.Status.ErrorType).To(Equal(shared.ErrorPermissionDenied))
		Expect(workflow.Status.FailureReason).To(ContainSubstring(`step "up": carol may not patch deployments.apps cart in namespace ` + ns))
		Expect(workflow.Status.FailedStep).To(HaveValue(BeZero()))
		expectNoExecution(ctx, ns)
		Expect(effectsOn(ns, "cart")).To(BeEmpty())
	})
})

package e2e

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/controllers/identity"
	"kubernaut.io/kubernaut/test/builders"
)

// locksOf are the locks that a workflow holds.
func locksOf(ctx context.Context, workflow *workflowexecutionv1.WorkflowExecution) []coordinationv1.Lease {
	GinkgoHelper()
	var leases coordinationv1.LeaseList
	Expect(cluster.List(ctx, &leases, client.InNamespace(identity.DefaultNamespace), client.MatchingLabels{shared.LabelLockHolder: string(workflow.UID)})).To(Succeed())
	return leases.Items
}

// lockOfNobody is a lock on Deployment cart that was made by hand.
func lockOfNobody(ctx context.Context, ns string) *coordinationv1.Lease {
	GinkgoHelper()
	sum := sha256.Sum256([]byte("Deployment.apps " + ns + "/cart"))
	lease := &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Namespace: identity.DefaultNamespace, Name: "target-" + hex.EncodeToString(sum[:])},
		Spec:       coordinationv1.LeaseSpec{HolderIdentity: new("somebody")},
	}
	Expect(cluster.Create(ctx, lease)).To(Succeed())
	return lease
}

var _ = Describe("Two workflows on one target", func() {
	It("run one after the other", func(ctx SpecContext) {
		ns := namespace(ctx, nil)
		cart, first := watched(ctx, ns)
		Expect(locksOf(ctx, first)).To(ConsistOf(HaveField("Spec.HolderIdentity", HaveValue(Equal(ns+"/w/"+string(first.UID))))))

		second := startWorkflow(ctx, builders.Workflow(ns, "second", builders.Scale("more", ns, "cart", 3).Step))
		awaitWorkflow(ctx, second, func(g Gomega) {
			condition := meta.FindStatusCondition(second.Status.Conditions, workflowexecutionv1.ConditionTargetsLocked)
			g.Expect(condition).NotTo(BeNil())
			g.Expect(condition.Reason).To(Equal("LockedByOther"))
			g.Expect(condition.Message).To(ContainSubstring("WorkflowExecution " + ns + "/w"))
		})
		Expect(second.Status.Phase).To(Equal(workflowexecutionv1.PhaseValidating))
		Expect(locksOf(ctx, second)).To(BeEmpty())

		edit(ctx, first, func(s *workflowexecutionv1.WorkflowExecutionSpec) {
			s.Cancel = workflowexecutionv1.CancelAbortAndRollBack
		})
		awaitWorkflowEnd(ctx, first)
		awaitWorkflowEnd(ctx, second)
		Expect(first.Status.Outcome).To(Equal(workflowexecutionv1.OutcomeRolledBack))
		Expect(second.Status.Outcome).To(Equal(workflowexecutionv1.OutcomeSuccess), second.Status.FailureReason)
		awaitAvailable(ctx, cart)
		Expect(*cart.Spec.Replicas).To(Equal(int32(3)))
		Eventually(func() []coordinationv1.Lease { return append(locksOf(ctx, first), locksOf(ctx, second)...) }).
			WithTimeout(rolloutTimeout).WithPolling(poll).Should(BeEmpty())
	})

	It("do not wait for each other for ever", func(ctx SpecContext) {
		ns := namespace(ctx, nil)
		_, first := watched(ctx, ns)
		b := builders.Workflow(ns, "second", builders.Scale("more", ns, "cart", 3).Step)
		b.Spec.Timeouts = &workflowexecutionv1.WorkflowTimeouts{Validation: &metav1.Duration{Duration: 2 * time.Second}}
		second := runWorkflow(ctx, b)
		Expect(second.Status.ErrorType).To(Equal(shared.ErrorResourceConflict))
		Expect(second.Status.FailureReason).To(ContainSubstring("WorkflowExecution " + ns + "/w"))
		Expect(locksOf(ctx, first)).To(HaveLen(1))
		edit(ctx, first, func(s *workflowexecutionv1.WorkflowExecutionSpec) { s.Cancel = workflowexecutionv1.CancelAbort })
		awaitWorkflowEnd(ctx, first)
	})

	It("take over what a workflow left that is gone, and nothing else", func(ctx SpecContext) {
		ns := namespace(ctx, nil)
		rolledOut(ctx, builders.Deployment(ns, "cart", goodImage))
		lease := lockOfNobody(ctx, ns)
		workflow := startWorkflow(ctx, builders.Workflow(ns, "w", builders.Scale("up", ns, "cart", 2).Step))
		awaitWorkflow(ctx, workflow, func(g Gomega) {
			condition := meta.FindStatusCondition(workflow.Status.Conditions, workflowexecutionv1.ConditionTargetsLocked)
			g.Expect(condition).NotTo(BeNil())
			g.Expect(condition.Message).To(ContainSubstring(`"somebody", which is no workflow`))
		})
		lease.Spec.HolderIdentity = new(ns + "/gone/00000000-0000-0000-0000-000000000000")
		Expect(cluster.Update(ctx, lease)).To(Succeed())
		By("trying again as soon as the lock has another holder")
		awaitWorkflowEnd(ctx, workflow)
		Expect(workflow.Status.Outcome).To(Equal(workflowexecutionv1.OutcomeSuccess), workflow.Status.FailureReason)
	})

	It("go on as soon as somebody deletes a lock that is nobody's", func(ctx SpecContext) {
		ns := namespace(ctx, nil)
		rolledOut(ctx, builders.Deployment(ns, "cart", goodImage))
		lease := lockOfNobody(ctx, ns)
		workflow := startWorkflow(ctx, builders.Workflow(ns, "w", builders.Scale("up", ns, "cart", 2).Step))
		awaitWorkflow(ctx, workflow, func(g Gomega) { g.Expect(workflow.Status.AwaitedLock).To(Equal(lease.Name)) })
		Expect(cluster.Delete(ctx, lease)).To(Succeed())
		awaitWorkflowEnd(ctx, workflow)
		Expect(workflow.Status.Outcome).To(Equal(workflowexecutionv1.OutcomeSuccess), workflow.Status.FailureReason)
	})
})

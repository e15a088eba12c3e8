package workflow

import (
	"context"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubernetesexecutionv1 "kubernaut.io/kubernaut/api/kubernetesexecution/v1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/test/builders"
)

func cancelBy(mode workflowexecutionv1.CancelMode) func(*workflowexecutionv1.WorkflowExecutionSpec) {
	return func(s *workflowexecutionv1.WorkflowExecutionSpec) { s.Cancel = mode }
}

// restoring is a workflow that rolls back: the rollbackAction of its step image has changed the Deployment cart back, which has not been
// seen yet, and what its step up did to the Deployment side is still there.
func restoring(ctx context.Context) stopped {
	GinkgoHelper()
	s := stopped{ns: namespace(ctx, nil)}
	s.cart = client.ObjectKeyFromObject(rolledOut(ctx, s.ns, "cart"))
	rolledOut(ctx, s.ns, "side")
	plane.Workloads.Hold(s.cart)
	s.workflow = start(ctx, builders.Workflow(s.ns, "w", builders.Scale("up", s.ns, "side", 2).Step,
		builders.UpdateImage("image", s.ns, "cart", badImage).After("up").UndoneBy(builders.UpdateImage("", s.ns, "cart", goodImage)).Step).MonitoringTimeout(time.Second))
	s.awaitChange(ctx, "w-s1-a1")
	Expect(plane.Workloads.Release(ctx, s.cart)).To(Succeed())
	plane.Workloads.Hold(s.cart)
	s.awaitChange(ctx, "w-s1-r1")
	awaitPhase(ctx, s.workflow, rollingBack)
	return s
}

// awaitChange waits until an execution has made its change.
func (s stopped) awaitChange(ctx context.Context, execution string) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		var found kubernetesexecutionv1.KubernetesExecution
		g.Expect(admin.Get(ctx, client.ObjectKey{Namespace: s.ns, Name: execution}, &found)).To(Succeed())
		g.Expect(found.Status.Changed).To(HaveValue(BeTrue()))
	}).WithTimeout(workflowTimeout).WithPolling(poll).Should(Succeed())
}

// awaitSeen waits until the controller has seen what the workflow is asked for.
func awaitSeen(ctx context.Context, workflow *workflowexecutionv1.WorkflowExecution) {
	GinkgoHelper()
	await(ctx, workflow, func(g Gomega) { g.Expect(workflow.Status.ObservedGeneration).To(Equal(workflow.Generation)) })
}

func awaitGone(ctx context.Context, workflow *workflowexecutionv1.WorkflowExecution) {
	GinkgoHelper()
	Eventually(func() bool {
		return apierrors.IsNotFound(admin.Get(ctx, client.ObjectKeyFromObject(workflow), workflow))
	}).WithTimeout(workflowTimeout).WithPolling(poll).Should(BeTrue())
}

// expectRestored checks that cart has its image back, and side so many pods.
func (s stopped) expectRestored(ctx context.Context, side int32) {
	GinkgoHelper()
	cart, other := builders.Deployment(s.ns, "cart", "").Deployment, builders.Deployment(s.ns, "side", "").Deployment
	Expect(admin.Get(ctx, s.cart, cart)).To(Succeed())
	Expect(cart.Spec.Template.Spec.Containers[0].Image).To(Equal(goodImage))
	Expect(admin.Get(ctx, client.ObjectKeyFromObject(other), other)).To(Succeed())
	Expect(other.Spec.Replicas).To(HaveValue(Equal(side)))
}

var _ = Describe("A workflow that rolls back", func() {
	const rolledBack, partially = workflowexecutionv1.OutcomeRolledBack, workflowexecutionv1.OutcomePartiallyRolledBack

	DescribeTable("is asked to stop", func(ctx SpecContext, request func(context.Context, stopped), outcome workflowexecutionv1.WorkflowOutcome, side int32) {
		s := restoring(ctx)
		request(ctx, s)
		awaitSeen(ctx, s.workflow)
		Expect(s.workflow.Status.Phase).To(Equal(rollingBack), "what has begun comes to its end")
		Expect(s.workflow.Status.WaitingSince).To(BeNil())
		Expect(plane.Workloads.Release(ctx, s.cart)).To(Succeed())
		awaitEnd(ctx, s.workflow)
		Expect(s.workflow.Status).To(And(HaveField("Outcome", outcome), HaveField("ErrorType", shared.ErrorIneffective)), messageOf(s.workflow, workflowexecutionv1.ConditionRolledBack))
		s.expectRestored(ctx, side)
		if outcome == partially {
			Expect(messageOf(s.workflow, workflowexecutionv1.ConditionRolledBack)).To(ContainSubstring(`step "up" could not be undone: the workflow was cancelled: spec.cancel is Abort: /spec/replicas of Deployment`))
			Expect(executionsIn(ctx, s.ns)).NotTo(ContainElement("w-s0-r1"))
		}
		expectPath(s.workflow, validating, executing, monitoring, rollingBack, failed)
	},
		Entry("by suspending: it finishes", func(ctx context.Context, s stopped) { ask(ctx, s.workflow, suspend) }, rolledBack, int32(1)),
		Entry("by a hold on steps: it finishes", func(ctx context.Context, s stopped) { hold(ctx, s.ns) }, rolledBack, int32(1)),
		Entry("by FinishStep: it finishes", func(ctx context.Context, s stopped) {
			ask(ctx, s.workflow, cancelBy(workflowexecutionv1.CancelFinishStep))
		}, rolledBack, int32(1)),
		Entry("by Abort: it stops after the restore that runs", func(ctx context.Context, s stopped) {
			ask(ctx, s.workflow, cancelBy(workflowexecutionv1.CancelAbort))
		}, partially, int32(2)),
		Entry("by AbortAndRollBack: it finishes", func(ctx context.Context, s stopped) {
			ask(ctx, s.workflow, cancelBy(workflowexecutionv1.CancelAbortAndRollBack))
		}, rolledBack, int32(1)),
	)

	DescribeTable("is deleted", func(ctx SpecContext, first workflowexecutionv1.CancelMode, side int32) {
		s := restoring(ctx)
		if first != "" {
			ask(ctx, s.workflow, cancelBy(first))
		}
		Expect(admin.Delete(ctx, s.workflow)).To(Succeed())
		await(ctx, s.workflow, func(g Gomega) { g.Expect(s.workflow.DeletionTimestamp).NotTo(BeNil()) })
		awaitSeen(ctx, s.workflow)
		Expect(s.workflow.Status.Phase).To(Equal(rollingBack), "what has begun comes to its end")
		Expect(plane.Workloads.Release(ctx, s.cart)).To(Succeed())
		awaitGone(ctx, s.workflow)
		Expect(locksOf(ctx, s.workflow.UID)).To(BeEmpty())
		s.expectRestored(ctx, side)
		expectEvents(ctx, s.workflow, "RollbackCompleted", "WorkflowExecutionDeleted")
	},
		Entry("as Abort", workflowexecutionv1.CancelMode(""), int32(2)),
		Entry("as Abort, although it was to finish its step", workflowexecutionv1.CancelFinishStep, int32(2)),
		Entry("as the cancel that is set", workflowexecutionv1.CancelAbortAndRollBack, int32(1)),
	)

	It("is deleted with its namespace: nothing more is restored, and nothing keeps it", func(ctx SpecContext) {
		s := restoring(ctx)
		Expect(admin.Delete(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.ns}})).To(Succeed())
		Expect(admin.Delete(ctx, s.workflow)).To(Succeed(), "what the namespace controller does, which does not run here")
		Expect(plane.Workloads.Release(ctx, s.cart)).To(Succeed())
		awaitGone(ctx, s.workflow)
		Expect(executionsIn(ctx, s.ns)).NotTo(ContainElement("w-s0-r1"))
		Expect(locksOf(ctx, s.workflow.UID)).To(BeEmpty())
	})
})

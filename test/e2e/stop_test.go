package e2e

import (
	"context"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubernetesexecutionv1 "kubernaut.io/kubernaut/api/kubernetesexecution/v1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/test/builders"
)

// edit changes the spec of a workflow, as kubectl edit does.
func edit(ctx context.Context, workflow *workflowexecutionv1.WorkflowExecution, with func(*workflowexecutionv1.WorkflowExecutionSpec)) {
	GinkgoHelper()
	Expect(cluster.Get(ctx, client.ObjectKeyFromObject(workflow), workflow)).To(Succeed())
	patch := client.MergeFrom(workflow.DeepCopy())
	with(&workflow.Spec)
	Expect(cluster.Patch(ctx, workflow, patch)).To(Succeed())
}

// watched starts a workflow that gives cart an image that cannot be pulled, and waits until it watches that.
func watched(ctx context.Context, ns string) (*appsv1.Deployment, *workflowexecutionv1.WorkflowExecution) {
	GinkgoHelper()
	cart := rolledOut(ctx, builders.Deployment(ns, "cart", goodImage))
	workflow := startWorkflow(ctx, builders.Workflow(ns, "w", worse(ns)...).MonitoringTimeout(time.Minute))
	awaitPhase(ctx, workflow, workflowexecutionv1.PhaseMonitoring)
	return cart, workflow
}

func awaitGone(ctx context.Context, object client.Object) {
	GinkgoHelper()
	Eventually(func() bool {
		return apierrors.IsNotFound(cluster.Get(ctx, client.ObjectKeyFromObject(object), object))
	}).WithTimeout(rolloutTimeout).WithPolling(poll).Should(BeTrue())
}

var _ = Describe("A workflow that a person stops", func() {
	It("starts no step while it is suspended, and goes on when that is lifted", func(ctx SpecContext) {
		ns := namespace(ctx, nil)
		rolledOut(ctx, builders.Deployment(ns, "cart", goodImage))
		workflow := startWorkflow(ctx, builders.Workflow(ns, "w", builders.Scale("up", ns, "cart", 2).Step).Suspended())
		awaitWorkflow(ctx, workflow, func(g Gomega) {
			g.Expect(meta.IsStatusConditionTrue(workflow.Status.Conditions, workflowexecutionv1.ConditionSuspended)).To(BeTrue())
			g.Expect(workflow.Status.WaitingSince).NotTo(BeNil())
		})
		expectNoExecution(ctx, ns)
		edit(ctx, workflow, func(s *workflowexecutionv1.WorkflowExecutionSpec) { s.Suspend = new(false) })
		awaitWorkflowEnd(ctx, workflow)
		Expect(workflow.Status.Outcome).To(Equal(workflowexecutionv1.OutcomeSuccess), workflow.Status.FailureReason)
		Expect(workflow.Status.WaitingSince).To(BeNil())
		Expect(effectsOn(ns, "cart")).To(HaveLen(1))
	})

	It("ends without a step when it is cancelled before", func(ctx SpecContext) {
		ns := namespace(ctx, nil)
		rolledOut(ctx, builders.Deployment(ns, "cart", goodImage))
		workflow := startWorkflow(ctx, builders.Workflow(ns, "w", builders.Scale("up", ns, "cart", 2).Step).Suspended())
		edit(ctx, workflow, func(s *workflowexecutionv1.WorkflowExecutionSpec) { s.Cancel = workflowexecutionv1.CancelFinishStep })
		awaitWorkflowEnd(ctx, workflow)
		Expect(workflow.Status.Outcome).To(Equal(workflowexecutionv1.OutcomeCancelled))
		Expect(workflow.Status.ErrorType).To(Equal(shared.ErrorCancelled))
		expectNoExecution(ctx, ns)
	})

	It("leaves what was done when it is aborted, and says so", func(ctx SpecContext) {
		ns := namespace(ctx, nil)
		cart, workflow := watched(ctx, ns)
		edit(ctx, workflow, func(s *workflowexecutionv1.WorkflowExecutionSpec) { s.Cancel = workflowexecutionv1.CancelAbort })
		awaitWorkflowEnd(ctx, workflow)
		Expect(workflow.Status.Outcome).To(Equal(workflowexecutionv1.OutcomeCancelled))
		condition := meta.FindStatusCondition(workflow.Status.Conditions, workflowexecutionv1.ConditionRolledBack)
		Expect(*condition).To(And(HaveField("Status", metav1.ConditionFalse), HaveField("Reason", "NotPerformed"), HaveField("Message", ContainSubstring("spec.cancel is Abort"))))
		Expect(cluster.Get(ctx, client.ObjectKeyFromObject(cart), cart)).To(Succeed())
		Expect(cart.Spec.Template.Spec.Containers[0].Image).To(Equal(badImage))
	})

	It("undoes what was done when that is asked for", func(ctx SpecContext) {
		ns := namespace(ctx, nil)
		cart, workflow := watched(ctx, ns)
		edit(ctx, workflow, func(s *workflowexecutionv1.WorkflowExecutionSpec) {
			s.Cancel = workflowexecutionv1.CancelAbortAndRollBack
		})
		awaitWorkflowEnd(ctx, workflow)
		Expect(workflow.Status.Outcome).To(Equal(workflowexecutionv1.OutcomeRolledBack), "%v", workflow.Status.Conditions)
		Expect(workflow.Status.ErrorType).To(Equal(shared.ErrorCancelled))
		awaitAvailable(ctx, cart)
		Expect(cart.Spec.Template.Spec.Containers[0].Image).To(Equal(goodImage))
	})

	DescribeTable("is gone when it is deleted, its executions too",
		func(ctx SpecContext, propagation metav1.DeletionPropagation) {
			ns := namespace(ctx, nil)
			cart, workflow := watched(ctx, ns)
			Expect(cluster.Delete(ctx, workflow, client.PropagationPolicy(propagation))).To(Succeed())
			awaitGone(ctx, workflow)
			expectEventsIn(ctx, ns, "WorkflowExecutionDeleted", "WorkflowFailed")
			Eventually(func(g Gomega) {
				var executions kubernetesexecutionv1.KubernetesExecutionList
				g.Expect(cluster.List(ctx, &executions, client.InNamespace(ns))).To(Succeed())
				g.Expect(executions.Items).To(BeEmpty())
			}).WithTimeout(rolloutTimeout).WithPolling(poll).Should(Succeed())
			Expect(cluster.Get(ctx, client.ObjectKeyFromObject(cart), cart)).To(Succeed())
			Expect(cart.Spec.Template.Spec.Containers[0].Image).To(Equal(badImage))
		},
		Entry("in the background", metav1.DeletePropagationBackground),
		Entry("in the foreground", metav1.DeletePropagationForeground),
	)

	It("is rolled back before it is gone when it was cancelled so, even in the foreground", func(ctx SpecContext) {
		ns := namespace(ctx, nil)
		cart, workflow := watched(ctx, ns)
		By("cancelling and deleting at the same moment, as far as the controller sees")
		edit(ctx, workflow, func(s *workflowexecutionv1.WorkflowExecutionSpec) {
			s.Cancel = workflowexecutionv1.CancelAbortAndRollBack
		})
		Expect(cluster.Delete(ctx, workflow, client.PropagationPolicy(metav1.DeletePropagationForeground))).To(Succeed())
		awaitGone(ctx, workflow)
		awaitAvailable(ctx, cart)
		Expect(cart.Spec.Template.Spec.Containers[0].Image).To(Equal(goodImage))
		Expect(*cart.Spec.Replicas).To(Equal(int32(1)))
	})

	It("does not keep a namespace from going, and tells of the effects that stay", func(ctx SpecContext) {
		target := namespace(ctx, nil)
		rolledOut(ctx, builders.Deployment(target, "cart", goodImage))
		ns := namespace(ctx, nil)
		workflow := startWorkflow(ctx, builders.Workflow(ns, "w", worse(target)...).MonitoringTimeout(time.Minute))
		awaitPhase(ctx, workflow, workflowexecutionv1.PhaseMonitoring)
		object := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns}}
		Expect(cluster.Delete(ctx, object)).To(Succeed())
		awaitGone(ctx, object)
		Eventually(func(g Gomega) {
			var events eventsv1.EventList
			g.Expect(cluster.List(ctx, &events, client.InNamespace(metav1.NamespaceDefault))).To(Succeed())
			g.Expect(events.Items).To(ContainElement(And(HaveField("Reason", "NotRolledBack"), HaveField("Regarding.Name", ns))))
		}).WithTimeout(rolloutTimeout).WithPolling(poll).Should(Succeed())
	})
})

package workflow

import (
	"context"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	safetyv1alpha1 "kubernaut.io/kubernaut/api/safety/v1alpha1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/controllers/workflowexecution"
	"kubernaut.io/kubernaut/test/builders"
)

// hold makes a policy that holds every step on a target in the namespace, and waits until it decides.
func hold(ctx context.Context, ns string) *safetyv1alpha1.SafetyPolicy {
	GinkgoHelper()
	policy := &safetyv1alpha1.SafetyPolicy{ObjectMeta: metav1.ObjectMeta{Name: "hold-" + ns}}
	policy.Spec.Source.Rego = "package kubernaut.safety." + strings.ReplaceAll(policy.Name, "-", "_") + "\n\nhold contains \"everything stops\" if true\n"
	policy.Spec.Match = &safetyv1alpha1.PolicyMatch{NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: ns}}}
	Expect(admin.Create(ctx, policy)).To(Succeed())
	DeferCleanup(func(ctx context.Context) { Expect(client.IgnoreNotFound(admin.Delete(ctx, policy))).To(Succeed()) })
	Eventually(func(g Gomega) {
		g.Expect(admin.Get(ctx, client.ObjectKeyFromObject(policy), policy)).To(Succeed())
		g.Expect(meta.IsStatusConditionTrue(policy.Status.Conditions, safetyv1alpha1.ConditionActive)).To(BeTrue(), "%v", policy.Status.Conditions)
	}).WithTimeout(soon).WithPolling(poll).Should(Succeed())
	return policy
}

// stopped is a workflow at a point where somebody stops it: its step up has changed the Deployment cart, its step last waits.
type stopped struct {
	ns       string
	cart     client.ObjectKey
	workflow *workflowexecutionv1.WorkflowExecution
}

// inPhase takes a workflow into a phase and keeps it there.
func inPhase(ctx context.Context, phase workflowexecutionv1.WorkflowPhase) stopped {
	GinkgoHelper()
	s := newStopped(ctx)
	b := builders.Workflow(s.ns, "w", builders.Scale("up", s.ns, "cart", 2).Step)
	switch phase {
	case workflowexecutionv1.PhasePlanning:
		s.workflow = start(ctx, b.Suspended())
	case validating:
		hold(ctx, s.ns)
		s.workflow = start(ctx, b)
		await(ctx, s.workflow, func(g Gomega) { g.Expect(s.workflow.Status.WaitingSince).NotTo(BeNil()) })
	case executing:
		plane.Workloads.Hold(s.cart)
		s.workflow = start(ctx, builders.Workflow(s.ns, "w", builders.Scale("up", s.ns, "cart", 2).Step, builders.Notify("last", "never told").After("up").Step))
		s.awaitChange(ctx, "w-s0-a1")
	case monitoring:
		b.Spec.StabilizationWindow = &metav1.Duration{Duration: time.Hour}
		s.workflow = start(ctx, b)
	default:
		Fail("nobody can keep a workflow in phase " + string(phase))
	}
	awaitPhase(ctx, s.workflow, phase)
	return s
}

func (s stopped) replicas(ctx context.Context) int32 {
	GinkgoHelper()
	deployment := builders.Deployment(s.ns, s.cart.Name, goodImage).Deployment
	Expect(admin.Get(ctx, s.cart, deployment)).To(Succeed())
	return *deployment.Spec.Replicas
}

var _ = Describe("A request to stop", func() {
	DescribeTable("by cancel",
		func(ctx SpecContext, phase workflowexecutionv1.WorkflowPhase, mode workflowexecutionv1.CancelMode, outcome workflowexecutionv1.WorkflowOutcome, replicas int32) {
			s := inPhase(ctx, phase)
			ask(ctx, s.workflow, cancelBy(mode))
			if phase == executing {
				await(ctx, s.workflow, func(g Gomega) { g.Expect(s.workflow.Status.ErrorType).To(Equal(shared.ErrorCancelled)) })
				Expect(s.workflow.Status.Phase).To(Equal(executing), "what has begun comes to its end")
				Expect(plane.Workloads.Release(ctx, s.cart)).To(Succeed())
			}
			awaitEnd(ctx, s.workflow)
			Expect(s.workflow.Status).To(And(HaveField("Phase", failed), HaveField("Outcome", outcome), HaveField("ErrorType", shared.ErrorCancelled)))
			Expect(s.replicas(ctx)).To(Equal(replicas))
			for i, step := range s.workflow.Status.Steps {
				Expect(i == 0 || step.Attempts == 0).To(BeTrue(), "step %s has run", step.Name)
			}
		},
		Entry("planning, FinishStep", workflowexecutionv1.PhasePlanning, workflowexecutionv1.CancelFinishStep, workflowexecutionv1.OutcomeCancelled, int32(1)),
		Entry("planning, AbortAndRollBack", workflowexecutionv1.PhasePlanning, workflowexecutionv1.CancelAbortAndRollBack, workflowexecutionv1.OutcomeCancelled, int32(1)),
		Entry("validating, Abort", validating, workflowexecutionv1.CancelAbort, workflowexecutionv1.OutcomeCancelled, int32(1)),
		Entry("executing, FinishStep", executing, workflowexecutionv1.CancelFinishStep, workflowexecutionv1.OutcomeCancelled, int32(2)),
		Entry("executing, Abort", executing, workflowexecutionv1.CancelAbort, workflowexecutionv1.OutcomeCancelled, int32(2)),
		Entry("executing, AbortAndRollBack", executing, workflowexecutionv1.CancelAbortAndRollBack, workflowexecutionv1.OutcomeRolledBack, int32(1)),
		Entry("monitoring, FinishStep", monitoring, workflowexecutionv1.CancelFinishStep, workflowexecutionv1.OutcomeCancelled, int32(2)),
		Entry("monitoring, Abort", monitoring, workflowexecutionv1.CancelAbort, workflowexecutionv1.OutcomeCancelled, int32(2)),
		Entry("monitoring, AbortAndRollBack", monitoring, workflowexecutionv1.CancelAbortAndRollBack, workflowexecutionv1.OutcomeRolledBack, int32(1)),
	)

	DescribeTable("by deletion", func(ctx SpecContext, phase workflowexecutionv1.WorkflowPhase, first workflowexecutionv1.CancelMode, replicas int32) {
		s := inPhase(ctx, phase)
		if first != "" {
			ask(ctx, s.workflow, cancelBy(first))
		}
		Expect(admin.Delete(ctx, s.workflow)).To(Succeed())
		if phase == executing {
			await(ctx, s.workflow, func(g Gomega) { g.Expect(s.workflow.Status.ErrorType).To(Equal(shared.ErrorCancelled)) })
			Expect(plane.Workloads.Release(ctx, s.cart)).To(Succeed())
		}
		awaitGone(ctx, s.workflow)
		Expect(locksOf(ctx, s.workflow.UID)).To(BeEmpty())
		Expect(s.replicas(ctx)).To(Equal(replicas))
		expectEvents(ctx, s.workflow, "WorkflowExecutionDeleted")
	},
		Entry("planning", workflowexecutionv1.PhasePlanning, workflowexecutionv1.CancelMode(""), int32(1)),
		Entry("validating", validating, workflowexecutionv1.CancelMode(""), int32(1)),
		Entry("executing: as Abort", executing, workflowexecutionv1.CancelMode(""), int32(2)),
		Entry("executing: as the cancel that is set", executing, workflowexecutionv1.CancelAbortAndRollBack, int32(1)),
		Entry("monitoring: as Abort", monitoring, workflowexecutionv1.CancelMode(""), int32(2)),
	)

	It("by suspending: what runs finishes, nothing new starts, and it goes on afterwards", func(ctx SpecContext) {
		s := inPhase(ctx, executing)
		ask(ctx, s.workflow, func(s *workflowexecutionv1.WorkflowExecutionSpec) { s.Suspend = new(true) })
		Expect(plane.Workloads.Release(ctx, s.cart)).To(Succeed())
		await(ctx, s.workflow, func(g Gomega) {
			g.Expect(s.workflow.Status.Steps[0].Phase).To(Equal(workflowexecutionv1.StepCompleted))
			g.Expect(s.workflow.Status.WaitingSince).NotTo(BeNil())
		})
		Expect(reasonOf(s.workflow, workflowexecutionv1.ConditionSuspended)).To(Equal(workflowexecution.ReasonSuspended))
		Expect(executionsIn(ctx, s.ns)).To(ConsistOf("w-s0-a1"))
		ask(ctx, s.workflow, func(s *workflowexecutionv1.WorkflowExecutionSpec) { s.Suspend = new(false) })
		awaitEnd(ctx, s.workflow)
		Expect(s.workflow.Status.Outcome).To(Equal(workflowexecutionv1.OutcomeSuccess), s.workflow.Status.FailureReason)
	})

	It("by a hold: the workflow waits without locks, and judges anew what changed meanwhile", func(ctx SpecContext) {
		s := inPhase(ctx, validating)
		Expect(locksOf(ctx, s.workflow.UID)).To(BeEmpty())
		deployment := builders.Deployment(s.ns, "cart", goodImage).Deployment
		edit(ctx, deployment, func() { deployment.Spec.Replicas = new(int32(3)) })
		Expect(admin.Delete(ctx, &safetyv1alpha1.SafetyPolicy{ObjectMeta: metav1.ObjectMeta{Name: "hold-" + s.ns}})).To(Succeed())
		awaitEnd(ctx, s.workflow)
		Expect(s.workflow.Status.Outcome).To(Equal(workflowexecutionv1.OutcomeSuccess), s.workflow.Status.FailureReason)
		Expect(s.workflow.Status.Validation.DryRun).To(ConsistOf(HaveField("Before.Raw", BeEquivalentTo("3"))))
		Expect(s.workflow.Status.WaitedSeconds).To(BeNumerically(">", 0))
	})

	It("by deleting its namespace: nothing is undone, and nothing keeps it", func(ctx SpecContext) {
		s := inPhase(ctx, executing)
		ask(ctx, s.workflow, cancelBy(workflowexecutionv1.CancelAbortAndRollBack))
		Expect(admin.Delete(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.ns}})).To(Succeed())
		Expect(admin.Delete(ctx, s.workflow)).To(Succeed(), "what the namespace controller does, which does not run here")
		Expect(plane.Workloads.Release(ctx, s.cart)).To(Succeed())
		awaitGone(ctx, s.workflow)
		Expect(executionsIn(ctx, s.ns)).To(ConsistOf("w-s0-a1"))
		Expect(locksOf(ctx, s.workflow.UID)).To(BeEmpty())
	})
})

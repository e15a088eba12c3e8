package workflow

import (
	"context"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	safetyv1alpha1 "kubernaut.io/kubernaut/api/safety/v1alpha1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/controllers/workflowexecution"
	"kubernaut.io/kubernaut/test/builders"
)

func suspend(s *workflowexecutionv1.WorkflowExecutionSpec) { s.Suspend = new(true) }
func goOn(s *workflowexecutionv1.WorkflowExecutionSpec)    { s.Suspend = new(false) }

var _ = Describe("What has no effect on a workflow that is watched", func() {
	DescribeTable("", func(ctx SpecContext, request func(context.Context, stopped)) {
		s := watched(ctx)
		request(ctx, s)
		awaitSeen(ctx, s.workflow)
		Expect(s.workflow.Status.Phase).To(Equal(monitoring))
		Expect(plane.Workloads.Release(ctx, s.cart)).To(Succeed())
		awaitEnd(ctx, s.workflow)
		Expect(s.workflow.Status).To(And(HaveField("Outcome", workflowexecutionv1.OutcomeSuccess), HaveField("WaitedSeconds", BeZero())), s.workflow.Status.FailureReason)
	},
		Entry("suspending it", func(ctx context.Context, s stopped) { ask(ctx, s.workflow, suspend) }),
		Entry("a hold", func(ctx context.Context, s stopped) { hold(ctx, s.ns) }),
	)
})

// watched is a workflow whose step is completed and whose target is not available yet.
func watched(ctx context.Context) stopped {
	GinkgoHelper()
	s := inPhase(ctx, executing)
	cart := builders.Deployment(s.ns, "cart", "").Deployment
	Expect(admin.Get(ctx, s.cart, cart)).To(Succeed())
	cart.Status.ObservedGeneration = cart.Generation
	Expect(admin.Status().Update(ctx, cart)).To(Succeed())
	awaitPhase(ctx, s.workflow, monitoring)
	return s
}

var _ = Describe("A request to wait", func() {
	It("keeps a workflow that has no plan yet, until it is taken back", func(ctx SpecContext) {
		s := inPhase(ctx, workflowexecutionv1.PhasePlanning)
		Expect(reasonOf(s.workflow, workflowexecutionv1.ConditionSuspended)).To(Equal(workflowexecution.ReasonSuspended))
		ask(ctx, s.workflow, goOn)
		s.expectSuccess(ctx)
	})

	It("keeps a workflow that is being validated: one that is suspended while the gate holds it waits for both", func(ctx SpecContext) {
		s := inPhase(ctx, validating)
		ask(ctx, s.workflow, suspend)
		await(ctx, s.workflow, func(g Gomega) {
			g.Expect(reasonOf(s.workflow, workflowexecutionv1.ConditionSuspended)).To(Equal(workflowexecution.ReasonSuspended))
		})
		lift(ctx, s.ns)
		ask(ctx, s.workflow, goOn)
		s.expectSuccess(ctx)
		expectPath(s.workflow, validating, executing, monitoring, completed)
	})

	It("by a hold: what runs finishes, the next step is made and does nothing until it is lifted", func(ctx SpecContext) {
		s := heldInBetween(ctx, nil)
		Expect(s.workflow.Status.Steps[0].Phase).To(Equal(workflowexecutionv1.StepCompleted))
		Expect(executionOf(ctx, s.ns, "w-s1-a1").Status.StartedAt).To(BeNil())
		lift(ctx, s.ns)
		s.expectSuccess(ctx)
		Expect(s.replicas(ctx)).To(Equal(int32(3)))
	})

	DescribeTable("that lasts too long ends the workflow", func(ctx SpecContext, begin func(context.Context, *workflowexecutionv1.WorkflowTimeouts) stopped, outcome workflowexecutionv1.WorkflowOutcome) {
		s := begin(ctx, &workflowexecutionv1.WorkflowTimeouts{Hold: &metav1.Duration{Duration: time.Second}})
		awaitEnd(ctx, s.workflow)
		Expect(s.workflow.Status).To(And(HaveField("Phase", failed), HaveField("ErrorType", shared.ErrorTimeout), HaveField("Outcome", outcome)))
		Expect(s.workflow.Status.FailureReason).To(ContainSubstring("did not end within timeouts.hold"))
		Expect(s.replicas(ctx)).To(Equal(int32(1)))
	},
		Entry("suspended in planning", func(ctx context.Context, limits *workflowexecutionv1.WorkflowTimeouts) stopped {
			s := newStopped(ctx)
			b := builders.Workflow(s.ns, "w", builders.Scale("up", s.ns, "cart", 2).Step).Suspended()
			b.Spec.Timeouts = limits
			s.workflow = start(ctx, b)
			return s
		}, workflowexecutionv1.OutcomeFailed),
		Entry("held in validating", func(ctx context.Context, limits *workflowexecutionv1.WorkflowTimeouts) stopped {
			s := newStopped(ctx)
			hold(ctx, s.ns)
			b := builders.Workflow(s.ns, "w", builders.Scale("up", s.ns, "cart", 2).Step)
			b.Spec.Timeouts = limits
			s.workflow = start(ctx, b)
			return s
		}, workflowexecutionv1.OutcomeFailed),
		Entry("suspended between two steps: what was done is undone", func(ctx context.Context, limits *workflowexecutionv1.WorkflowTimeouts) stopped {
			s := inBetween(ctx, limits)
			ask(ctx, s.workflow, suspend)
			Expect(plane.Workloads.Release(ctx, s.cart)).To(Succeed())
			return s
		}, workflowexecutionv1.OutcomeRolledBack),
		Entry("held between two steps: what was done is undone", heldInBetween, workflowexecutionv1.OutcomeRolledBack),
	)
})

func newStopped(ctx context.Context) stopped {
	GinkgoHelper()
	s := stopped{ns: namespace(ctx, nil)}
	s.cart = client.ObjectKeyFromObject(rolledOut(ctx, s.ns, "cart"))
	return s
}

// inBetween is a workflow whose first step has changed its target, which the second one changes again once that was seen.
func inBetween(ctx context.Context, limits *workflowexecutionv1.WorkflowTimeouts) stopped {
	GinkgoHelper()
	s := newStopped(ctx)
	plane.Workloads.Hold(s.cart)
	b := builders.Workflow(s.ns, "w", builders.Scale("two", s.ns, "cart", 2).Step, builders.Scale("three", s.ns, "cart", 3).After("two").Step)
	b.Spec.Timeouts = limits
	s.workflow = start(ctx, b)
	s.awaitChange(ctx, "w-s0-a1")
	return s
}

// heldInBetween is such a workflow whose second step the gate holds.
func heldInBetween(ctx context.Context, limits *workflowexecutionv1.WorkflowTimeouts) stopped {
	GinkgoHelper()
	s := inBetween(ctx, limits)
	hold(ctx, s.ns)
	Expect(plane.Workloads.Release(ctx, s.cart)).To(Succeed())
	await(ctx, s.workflow, func(g Gomega) {
		g.Expect(reasonOf(s.workflow, workflowexecutionv1.ConditionSuspended)).To(Equal(workflowexecution.ReasonPolicyHold))
	})
	return s
}

// lift takes back what hold made.
func lift(ctx context.Context, ns string) {
	GinkgoHelper()
	Expect(admin.Delete(ctx, &safetyv1alpha1.SafetyPolicy{ObjectMeta: metav1.ObjectMeta{Name: "hold-" + ns}})).To(Succeed())
}

func (s stopped) expectSuccess(ctx context.Context) {
	GinkgoHelper()
	awaitEnd(ctx, s.workflow)
	Expect(s.workflow.Status.Outcome).To(Equal(workflowexecutionv1.OutcomeSuccess), s.workflow.Status.FailureReason)
}

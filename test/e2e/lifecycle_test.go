package e2e

import (
	"context"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	safetyv1alpha1 "kubernaut.io/kubernaut/api/safety/v1alpha1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/test/builders"
)

const (
	// goneTimeout is within which a namespace with running workflows must be gone.
	goneTimeout = 30 * time.Second
	// endTimeout is within which a manager that was told to must have ended.
	endTimeout = 40 * time.Second

	neverThere = "registry.example.com/shop/cart:2-missing"
)

// generationOf counts the changes of a Deployment's spec, its creation included. The audit log does not tell of a write whose client
// was killed before the answer came.
func generationOf(ctx context.Context, ns, name string) int64 {
	GinkgoHelper()
	deployment := &appsv1.Deployment{}
	Expect(cluster.Get(ctx, client.ObjectKey{Namespace: ns, Name: name}, deployment)).To(Succeed())
	return deployment.Generation
}

// expectUnlocked waits until a workflow that is over holds no lock: they are given back after its end is recorded.
func expectUnlocked(ctx context.Context, workflow *workflowexecutionv1.WorkflowExecution) {
	GinkgoHelper()
	Eventually(locksOf).WithArguments(ctx, workflow).WithTimeout(workflowTimeout).WithPolling(poll).Should(BeEmpty())
}

var _ = Describe("A namespace that is deleted", Serial, func() {
	It("goes within half a minute although workflows run in it, and leaves no lock", func(ctx SpecContext) {
		object := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "e2e-gone-"}}
		Expect(cluster.Create(ctx, object)).To(Succeed())
		holdOn(ctx, object.Name, safetyv1alpha1.StageStep)
		var workflows []*workflowexecutionv1.WorkflowExecution
		for _, name := range []string{"a", "b", "c", "d", "e"} {
			rolledOut(ctx, builders.Deployment(object.Name, name, goodImage))
			workflows = append(workflows, startWorkflow(ctx, builders.Workflow(object.Name, name, builders.Scale("up", object.Name, name, 2).Step)))
		}
		suspended := startWorkflow(ctx, builders.Workflow(object.Name, "suspended", builders.Scale("up", object.Name, "a", 2).Step).Suspended())
		for _, workflow := range workflows {
			awaitHold(ctx, workflow)
			Expect(workflow.Status.Phase).To(Equal(workflowexecutionv1.PhaseExecuting))
			Expect(locksOf(ctx, workflow)).NotTo(BeEmpty())
		}
		awaitWorkflow(ctx, suspended, func(g Gomega) { g.Expect(suspended.Status.WaitingSince).NotTo(BeNil()) })
		Expect(cluster.Delete(ctx, object)).To(Succeed())
		Eventually(func() bool {
			return apierrors.IsNotFound(cluster.Get(ctx, client.ObjectKeyFromObject(object), object))
		}).WithTimeout(goneTimeout).WithPolling(poll).Should(BeTrue(), "%v", object.Status.Conditions)
		for _, workflow := range append(workflows, suspended) {
			expectUnlocked(ctx, workflow)
		}
	})
})

var _ = Describe("A manager that is killed", Serial, func() {
	type passage struct {
		// begin starts a workflow on the Deployment cart of a namespace and waits until it is in the phase; what it returns has it go on.
		begin func(ctx context.Context, ns string) (*workflowexecutionv1.WorkflowExecution, func())
		// outcome is how the workflow must end, effects how often it must have changed the Deployment's spec.
		outcome workflowexecutionv1.WorkflowOutcome
		effects int64
	}
	quickly := func(ctx context.Context, workflow *workflowexecutionv1.WorkflowExecution, phase workflowexecutionv1.WorkflowPhase) {
		GinkgoHelper()
		Eventually(func(g Gomega) {
			g.Expect(cluster.Get(ctx, client.ObjectKeyFromObject(workflow), workflow)).To(Succeed())
			g.Expect(workflow.Status.Phase).To(Equal(phase))
		}).WithTimeout(workflowTimeout).WithPolling(poll / 10).Should(Succeed())
	}
	goesOn := func() {}
	DescribeTable("goes on where it was",
		func(ctx SpecContext, row passage) {
			ns := namespace(ctx, nil)
			rolledOut(ctx, builders.Deployment(ns, "cart", goodImage))
			workflow, release := row.begin(ctx, ns)
			killManager()
			startManager(ctx)
			release()
			awaitWorkflowEnd(ctx, workflow)
			Expect(workflow.Status.Outcome).To(Equal(row.outcome), workflow.Status.FailureReason)
			Expect(generationOf(ctx, ns, "cart")).To(Equal(1 + row.effects))
			expectUnlocked(ctx, workflow)
		},
		Entry("as soon as there is a workflow", passage{
			begin: func(ctx context.Context, ns string) (*workflowexecutionv1.WorkflowExecution, func()) {
				return startWorkflow(ctx, builders.Workflow(ns, "w", builders.Scale("up", ns, "cart", 2).Step)), goesOn
			},
			outcome: workflowexecutionv1.OutcomeSuccess, effects: 1,
		}),
		Entry("while validating", passage{
			begin: func(ctx context.Context, ns string) (*workflowexecutionv1.WorkflowExecution, func()) {
				policy := holdOn(ctx, ns)
				workflow := startWorkflow(ctx, builders.Workflow(ns, "w", builders.Scale("up", ns, "cart", 2).Step))
				awaitHold(ctx, workflow)
				Expect(workflow.Status.Phase).To(Equal(workflowexecutionv1.PhaseValidating))
				return workflow, func() { Expect(cluster.Delete(ctx, policy)).To(Succeed()) }
			},
			outcome: workflowexecutionv1.OutcomeSuccess, effects: 1,
		}),
		Entry("while executing", passage{
			begin: func(ctx context.Context, ns string) (*workflowexecutionv1.WorkflowExecution, func()) {
				policy := holdOn(ctx, ns, safetyv1alpha1.StageStep)
				workflow := startWorkflow(ctx, builders.Workflow(ns, "w", builders.Scale("up", ns, "cart", 2).Step))
				awaitHold(ctx, workflow)
				Expect(workflow.Status.Phase).To(Equal(workflowexecutionv1.PhaseExecuting))
				return workflow, func() { Expect(cluster.Delete(ctx, policy)).To(Succeed()) }
			},
			outcome: workflowexecutionv1.OutcomeSuccess, effects: 1,
		}),
		Entry("while monitoring", passage{
			begin: func(ctx context.Context, ns string) (*workflowexecutionv1.WorkflowExecution, func()) {
				b := builders.Workflow(ns, "w", builders.Scale("up", ns, "cart", 2).Step)
				b.Spec.StabilizationWindow = &metav1.Duration{Duration: 5 * time.Second}
				workflow := startWorkflow(ctx, b)
				quickly(ctx, workflow, workflowexecutionv1.PhaseMonitoring)
				return workflow, goesOn
			},
			outcome: workflowexecutionv1.OutcomeSuccess, effects: 1,
		}),
		Entry("while rolling back", passage{
			begin: func(ctx context.Context, ns string) (*workflowexecutionv1.WorkflowExecution, func()) {
				policy := holdActions(ctx, ns, []shared.ActionType{shared.ActionScaleDeployment}, safetyv1alpha1.StageStep)
				step := builders.UpdateImage("image", ns, "cart", neverThere).UndoneBy(builders.Scale("up", ns, "cart", 2)).Step
				workflow := startWorkflow(ctx, builders.Workflow(ns, "w", step).MonitoringTimeout(5*time.Second))
				quickly(ctx, workflow, workflowexecutionv1.PhaseRollingBack)
				return workflow, func() { Expect(cluster.Delete(ctx, policy)).To(Succeed()) }
			},
			outcome: workflowexecutionv1.OutcomeRolledBack, effects: 2,
		}),
	)
})

var _ = Describe("An upgrade", Serial, func() {
	It("lets the workflows that are in flight end", func(ctx SpecContext) {
		ns := namespace(ctx, nil)
		for _, name := range []string{"held", "step", "watched"} {
			rolledOut(ctx, builders.Deployment(ns, name, goodImage))
		}
		watching := builders.Workflow(ns, "watched", builders.Scale("up", ns, "watched", 2).Step)
		watching.Spec.StabilizationWindow = &metav1.Duration{Duration: 15 * time.Second}
		watched := startWorkflow(ctx, watching)
		awaitPhase(ctx, watched, workflowexecutionv1.PhaseMonitoring)
		policy := holdOn(ctx, ns)
		held := startWorkflow(ctx, builders.Workflow(ns, "held", builders.Scale("up", ns, "held", 2).Step))
		awaitHold(ctx, held)
		suspended := startWorkflow(ctx, builders.Workflow(ns, "suspended", builders.Scale("up", ns, "step", 2).Step).Suspended())

		By("ending the manager as a rollout does")
		endManager()
		By("applying the manifests and starting it again")
		startManager(ctx)
		Expect(cluster.Delete(ctx, policy)).To(Succeed())
		edit(ctx, suspended, func(s *workflowexecutionv1.WorkflowExecutionSpec) { s.Suspend = nil })
		for _, workflow := range []*workflowexecutionv1.WorkflowExecution{held, watched, suspended} {
			awaitWorkflowEnd(ctx, workflow)
			Expect(workflow.Status.Outcome).To(Equal(workflowexecutionv1.OutcomeSuccess), workflow.Status.FailureReason)
			expectUnlocked(ctx, workflow)
		}
		for _, name := range []string{"held", "step", "watched"} {
			Expect(generationOf(ctx, ns, name)).To(BeEquivalentTo(2))
		}
	})
})

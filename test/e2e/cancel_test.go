package e2e

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	remediationv1 "kubernaut.io/kubernaut/api/remediation/v1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/controllers/remediationrequest"
	"kubernaut.io/kubernaut/test/builders"
)

// scaleUp scales a Deployment of one pod to three: its workflow then watches it for longer than these specs let it.
func scaleUp(name, alert string) builders.PlaybookBuilder {
	return builders.Playbook(name, alert, first).Step("scale", shared.ActionScaleDeployment, map[string]string{"replicas": "3"})
}

// expectStopped checks that the workflow of a request was stopped by the orchestrator, and that all that it did was undone.
func expectStopped(ctx SpecContext, request *remediationv1.RemediationRequest, b builders.DeploymentBuilder) {
	GinkgoHelper()
	var workflow workflowexecutionv1.WorkflowExecution
	Expect(cluster.Get(ctx, client.ObjectKey{Namespace: request.Namespace, Name: request.Name + "-workflow"}, &workflow)).To(Succeed())
	Expect(workflow.Spec.Cancel).To(Equal(workflowexecutionv1.CancelAbortAndRollBack))
	Expect(workflow.Status.Outcome).To(Equal(workflowexecutionv1.OutcomeRolledBack), workflow.Status.FailureReason)
	Expect(request.Status.WorkflowExecutionRefs).To(ConsistOf(And(
		HaveField("Outcome", remediationv1.WorkflowReferenceOutcome("RolledBack")), HaveField("ErrorType", shared.ErrorCancelled))))
	Expect(writersOf(request.Namespace, "workflowexecutions", "", "update", "patch")).To(ContainElement("remediationrequest-controller"))
	awaitAvailable(ctx, b.Deployment)
	Expect(*b.Spec.Replicas).To(Equal(int32(1)))
	expectAttempts(ctx, request, 1, 1)
}

var _ = Describe("A request that a person cancels", func() {
	It("has its workflow undo what it did, and calls nobody", func(ctx SpecContext) {
		const alert = "E2ECancelRunning"
		install(ctx, scaleUp("e2e-cancel-running", alert))
		ns := namespace(ctx, nil)
		b := builders.Deployment(ns, "cart", goodImage)
		rolledOut(ctx, b)
		request := builders.Request(ns, "stop", alert, b.Target()).RemediationRequest
		Expect(cluster.Create(ctx, request)).To(Succeed())
		workflow := &workflowexecutionv1.WorkflowExecution{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "stop-workflow"}}
		Eventually(func(g Gomega) {
			g.Expect(cluster.Get(ctx, client.ObjectKeyFromObject(workflow), workflow)).To(Succeed())
			g.Expect(workflow.Status.Phase).To(Equal(workflowexecutionv1.PhaseMonitoring))
		}).WithTimeout(workflowTimeout).WithPolling(poll).Should(Succeed())
		patch := client.MergeFrom(request.DeepCopy())
		request.Spec.Cancel = new(true)
		Expect(cluster.Patch(ctx, request, patch)).To(Succeed())
		awaitEnd(ctx, request)
		Expect(request.Status.OverallPhase).To(Equal(remediationv1.PhaseFailed))
		Expect(request.Status.Outcome).To(Equal(remediationv1.OutcomeCancelled))
		Expect(request.Status.EscalatedToManualReview).To(BeFalse())
		expectStopped(ctx, request, b)
	})

	It("makes nothing when it is cancelled before it begins, and cannot be taken up again", func(ctx SpecContext) {
		ns := namespace(ctx, nil)
		b := builders.Deployment(ns, "cart", goodImage)
		request := builders.Request(ns, "never", "E2ECancelNever", b.Target()).RemediationRequest
		request.Spec.Cancel = new(true)
		Expect(cluster.Create(ctx, request)).To(Succeed())
		awaitEnd(ctx, request)
		Expect(request.Status.Outcome).To(Equal(remediationv1.OutcomeCancelled))
		Expect(request.Status.RemediationProcessingRefs).To(BeEmpty())
		patch := client.MergeFrom(request.DeepCopy())
		request.Spec.Cancel = new(false)
		Expect(cluster.Patch(ctx, request, patch)).To(MatchError(ContainSubstring("cannot be taken back")))
	})
})

var _ = Describe("A request whose time is up", func() {
	It("has its workflow undo what it did, and calls people", func(ctx SpecContext) {
		const alert = "E2EOverall"
		install(ctx, scaleUp("e2e-overall", alert))
		ns := namespace(ctx, nil)
		b := builders.Deployment(ns, "cart", goodImage)
		rolledOut(ctx, b)
		request := builders.Request(ns, "late", alert, b.Target()).RemediationRequest
		limit := func(d time.Duration) *metav1.Duration { return &metav1.Duration{Duration: d} }
		request.Spec.Timeouts = &remediationv1.RemediationTimeouts{
			Processing: limit(4 * time.Second), Analyzing: limit(4 * time.Second), Overall: limit(8 * time.Second),
		}
		Expect(cluster.Create(ctx, request)).To(Succeed())
		awaitEnd(ctx, request)
		Expect(request.Status.Outcome).To(Equal(remediationv1.OutcomeTimedOut), request.Status.EscalationReason)
		Expect(request.Status.EscalationReason).To(And(ContainSubstring("the overall limit"), ContainSubstring("What it had changed was undone")))
		expectStopped(ctx, request, b)
		expectEventsAbout(ctx, request, remediationrequest.EventRemediationFailed, remediationrequest.EventEscalatedToManualReview)
	})
})

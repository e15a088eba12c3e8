package e2e

import (
	"context"
	"fmt"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	aianalysisv1 "kubernaut.io/kubernaut/api/aianalysis/v1"
	kubernetesexecutionv1 "kubernaut.io/kubernaut/api/kubernetesexecution/v1"
	remediationv1 "kubernaut.io/kubernaut/api/remediation/v1"
	remediationprocessingv1 "kubernaut.io/kubernaut/api/remediationprocessing/v1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/controllers/remediationrequest"
	"kubernaut.io/kubernaut/test/builders"
)

// first is a priority above that of every playbook that is shipped.
const first = 900

// The plans of this file fail before they change anything, each in its own way.

func toRevision(name, signal string, priority int32, revision string) builders.PlaybookBuilder {
	return builders.Playbook(name, signal, priority).Step("roll-back", shared.ActionRollbackDeployment, map[string]string{"revision": revision})
}

func imageOfNobody(name, signal string, priority int32) builders.PlaybookBuilder {
	return builders.Playbook(name, signal, priority).Step("image", shared.ActionUpdateImage, map[string]string{"container": "nobody", "image": goodImage})
}

func scaleNowhere(name, signal string, priority int32) builders.PlaybookBuilder {
	return builders.Playbook(name, signal, priority).Step("scale", shared.ActionScaleDeployment, map[string]string{"name": "nowhere", "replicas": "2"})
}

// tooLarge rolls out pods that no node has room for, and waits until the rollout sticks. Pods of the revision that was complete
// before go on serving.
func tooLarge(ctx context.Context, deployment *appsv1.Deployment, cpu string) {
	GinkgoHelper()
	patch := client.MergeFrom(deployment.DeepCopy())
	deployment.Spec.Template.Spec.Containers[0].Resources.Requests = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu)}
	Expect(cluster.Patch(ctx, deployment, patch)).To(Succeed())
	awaitStuck(ctx, deployment)
}

// install makes playbooks for the time of a spec, and waits until they can be used.
func install(ctx context.Context, playbooks ...builders.PlaybookBuilder) {
	GinkgoHelper()
	for _, playbook := range playbooks {
		Expect(cluster.Create(ctx, playbook.Playbook)).To(Succeed())
		DeferCleanup(func(ctx context.Context) {
			Expect(client.IgnoreNotFound(cluster.Delete(ctx, playbook.Playbook))).To(Succeed())
		})
		Eventually(func(g Gomega) {
			g.Expect(cluster.Get(ctx, client.ObjectKeyFromObject(playbook.Playbook), playbook.Playbook)).To(Succeed())
			g.Expect(meta.IsStatusConditionTrue(playbook.Status.Conditions, shared.ConditionReady)).To(BeTrue(), "%v", playbook.Status.Conditions)
		}).WithTimeout(rolloutTimeout).WithPolling(poll).Should(Succeed())
	}
}

// forgetWorkflows deletes the workflows that have ended: what failed on purpose in other specs would count as a system that fails.
func forgetWorkflows(ctx context.Context) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		var list workflowexecutionv1.WorkflowExecutionList
		g.Expect(cluster.List(ctx, &list)).To(Succeed())
		left := 0
		for i := range list.Items {
			if list.Items[i].Status.Phase.Terminal() {
				left++
				g.Expect(client.IgnoreNotFound(cluster.Delete(ctx, &list.Items[i]))).To(Succeed())
			}
		}
		g.Expect(left).To(BeZero())
	}).WithTimeout(rolloutTimeout).WithPolling(poll).Should(Succeed())
}

func remediate(ctx context.Context, b builders.RequestBuilder) *remediationv1.RemediationRequest {
	GinkgoHelper()
	Expect(cluster.Create(ctx, b.RemediationRequest)).To(Succeed())
	awaitEnd(ctx, b.RemediationRequest)
	return b.RemediationRequest
}

// expectAttempts checks that every attempt is there once, under its own name and number, and that nothing else is.
func expectAttempts(ctx context.Context, request *remediationv1.RemediationRequest, analyses, workflows int) {
	GinkgoHelper()
	name := func(suffix string, attempt int) string {
		if attempt == 1 {
			return request.Name + "-" + suffix
		}
		return fmt.Sprintf("%s-recovery-%d", request.Name, attempt-1)
	}
	expect := func(suffix string, list client.ObjectList, count int) {
		GinkgoHelper()
		want := make([]string, 0, count)
		for attempt := 1; attempt <= count; attempt++ {
			want = append(want, name(suffix, attempt))
		}
		var have []string
		for _, object := range listed(ctx, request.Namespace, list) {
			if metav1.IsControlledBy(object, request) {
				have = append(have, object.GetName())
			}
		}
		Expect(have).To(ConsistOf(want))
	}
	expect("processing", &remediationprocessingv1.RemediationProcessingList{}, analyses)
	expect("analysis", &aianalysisv1.AIAnalysisList{}, analyses)
	expect("workflow", &workflowexecutionv1.WorkflowExecutionList{}, workflows)
	Expect(request.Status.RemediationProcessingRefs).To(HaveLen(analyses))
	Expect(request.Status.AIAnalysisRefs).To(HaveLen(analyses))
	for i := range analyses {
		Expect(request.Status.RemediationProcessingRefs[i]).To(Equal(remediationv1.AttemptReference{
			Name: name("processing", i+1), Namespace: request.Namespace, AttemptNumber: int32(i) + 1,
		}))
		Expect(request.Status.AIAnalysisRefs[i]).To(Equal(remediationv1.AttemptReference{
			Name: name("analysis", i+1), Namespace: request.Namespace, AttemptNumber: int32(i) + 1,
		}))
	}
	Expect(request.Status.WorkflowExecutionRefs).To(HaveLen(workflows))
	for i, ref := range request.Status.WorkflowExecutionRefs {
		Expect(ref).To(And(HaveField("Name", name("workflow", i+1)), HaveField("AttemptNumber", int32(i)+1),
			HaveField("Outcome", Not(BeElementOf(remediationv1.WorkflowReferenceOutcome(""), remediationv1.OutcomeInProgress)))))
	}
	Expect(request.Status.RecoveryAttempts).To(Equal(int32(analyses) - 1))
}

func expectEscalated(request *remediationv1.RemediationRequest, viableReason string) {
	GinkgoHelper()
	Expect(request.Status.OverallPhase).To(Equal(remediationv1.PhaseFailed))
	Expect(request.Status.Outcome).To(Equal(remediationv1.OutcomeManualReviewRequired))
	Expect(request.Status.EscalatedToManualReview).To(BeTrue())
	Expect(request.Status.LastFailureTime).NotTo(BeNil())
	viable := meta.FindStatusCondition(request.Status.Conditions, remediationv1.ConditionRecoveryViable)
	Expect(viable).NotTo(BeNil())
	Expect(viable.Reason).To(Equal(viableReason), viable.Message)
}

func expectEventsAbout(ctx context.Context, request *remediationv1.RemediationRequest, reasons ...string) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		var events eventsv1.EventList
		g.Expect(cluster.List(ctx, &events, client.InNamespace(request.Namespace))).To(Succeed())
		for _, reason := range reasons {
			g.Expect(events.Items).To(ContainElement(And(HaveField("Reason", reason), HaveField("Regarding.UID", request.UID))))
		}
	}).WithTimeout(rolloutTimeout).WithPolling(poll).Should(Succeed())
}

var _ = Describe("A recovery", Serial, func() {
	BeforeEach(func(ctx SpecContext) { forgetWorkflows(ctx) })

	It("succeeds with another playbook when a workflow has failed", func(ctx SpecContext) {
		const alert = "E2ERecoverySucceeds"
		install(ctx, toRevision("e2e-no-such-revision", alert, first, "99"))
		ns := namespace(ctx, nil)
		deployment, target := stuck(ctx, ns)
		request := remediate(ctx, builders.Request(ns, "stuck", alert, target))
		Expect(request.Status.Outcome).To(Equal(remediationv1.OutcomeRemediated), request.Status.EscalationReason)
		awaitAvailable(ctx, deployment)
		Expect(deployment.Spec.Template.Spec.Containers[0].Image).To(Equal(goodImage))
		Expect(effectsOn(ns, deployment.Name)).To(ConsistOf(HaveField("User", "action-rollback-deployment")))

		By("naming every attempt once")
		expectAttempts(ctx, request, 2, 2)
		Expect(request.Status.RecoveryReason).To(Equal("workflow_resource_not_found_step_0"))
		Expect(request.Status.CurrentWorkflowExecutionRef).To(HaveValue(Equal("stuck-recovery-1")))
		Expect(request.Status.WorkflowExecutionRefs[0]).To(And(
			HaveField("FailedStep", HaveValue(Equal(int32(0)))), HaveField("FailedAction", "rollback-deployment"), HaveField("ErrorType", shared.ErrorResourceNotFound),
			HaveField("Target", target.String()), HaveField("Outcome", remediationv1.WorkflowReferenceOutcome("Failed"))))
		Expect(request.Status.WorkflowExecutionRefs[1].Outcome).To(Equal(remediationv1.WorkflowReferenceOutcome("Success")))
		Expect(meta.IsStatusConditionTrue(request.Status.Conditions, remediationv1.ConditionRecoveryViable)).To(BeTrue())
		expectEventsAbout(ctx, request, remediationrequest.EventRecoveryInitiated)

		By("examining the target anew, with the history of the failure")
		var failed workflowexecutionv1.WorkflowExecution
		Expect(cluster.Get(ctx, client.ObjectKey{Namespace: ns, Name: "stuck-workflow"}, &failed)).To(Succeed())
		ref := &shared.ObjectReference{Name: failed.Name, UID: failed.UID}
		var processing remediationprocessingv1.RemediationProcessing
		Expect(cluster.Get(ctx, client.ObjectKey{Namespace: ns, Name: "stuck-recovery-1"}, &processing)).To(Succeed())
		Expect(processing.Spec).To(And(HaveField("IsRecoveryAttempt", true), HaveField("RecoveryAttemptNumber", int32(1)), HaveField("FailedWorkflowRef", ref)))
		Expect(processing.Status.Degraded).To(BeFalse(), "%v", processing.Status.DegradedReasons)
		Expect(processing.Status.Enrichment.FailedWorkflow).To(HaveValue(And(
			HaveField("Name", "stuck-workflow"), HaveField("Playbook", "e2e-no-such-revision"), HaveField("ErrorType", shared.ErrorResourceNotFound), HaveField("Outcome", "Failed"))))
		Expect(processing.Status.Enrichment.Revisions).To(HaveExactElements(
			And(HaveField("Number", int64(2)), HaveField("Current", true)), And(HaveField("Number", int64(1)), HaveField("AvailableReplicas", BeNumerically(">", 0)))))

		By("analysing it with what failed, which is not proposed again")
		var analysis, earlier aianalysisv1.AIAnalysis
		Expect(cluster.Get(ctx, client.ObjectKey{Namespace: ns, Name: "stuck-analysis"}, &earlier)).To(Succeed())
		Expect(cluster.Get(ctx, client.ObjectKey{Namespace: ns, Name: "stuck-recovery-1"}, &analysis)).To(Succeed())
		Expect(analysis.Spec).To(And(
			HaveField("IsRecoveryAttempt", true), HaveField("RecoveryAttemptNumber", int32(1)), HaveField("FailedWorkflowRef", ref),
			HaveField("FailedStep", HaveValue(Equal(int32(0)))), HaveField("FailureReason", failed.Status.FailureReason),
			HaveField("PreviousAIAnalysisRefs", ConsistOf(shared.ObjectReference{Name: earlier.Name, UID: earlier.UID})),
			HaveField("FailedPlaybooks", ConsistOf("e2e-no-such-revision")), HaveField("RemediationProcessingRef.UID", processing.UID)))
		Expect(analysis.Status.Recommendation.PlaybookRef).To(Equal("image-pull-failure-rollback"))
		Expect(analysis.Status.Alternatives).To(ContainElement(And(HaveField("Name", "e2e-no-such-revision"), HaveField("WhyNot", ContainSubstring("has failed")))))
	})

	It("returns to the revision that serves when two releases cannot work", func(ctx SpecContext) {
		const alert = "E2ERecoveryServes"
		install(ctx, toRevision("e2e-no-such-revision", alert, first, "99"))
		ns := namespace(ctx, nil)
		b := builders.Deployment(ns, "cart", goodImage).Replicas(2)
		deployment := rolledOut(ctx, b)
		tooLarge(ctx, deployment, "1000")
		tooLarge(ctx, deployment, "2000")
		request := remediate(ctx, builders.Request(ns, "twice", alert, b.Target()))
		Expect(request.Status.Outcome).To(Equal(remediationv1.OutcomeRemediated), request.Status.EscalationReason)
		expectAttempts(ctx, request, 2, 2)
		var workflow workflowexecutionv1.WorkflowExecution
		Expect(cluster.Get(ctx, client.ObjectKey{Namespace: ns, Name: "twice-recovery-1"}, &workflow)).To(Succeed())
		Expect(workflow.Spec.WorkflowDefinition.Name).To(Equal("stuck-rollout-serving-revision"))
		Expect(workflow.Spec.WorkflowDefinition.Steps[0].Action.RollbackDeployment.Revision).To(HaveValue(Equal(int64(1))))
		awaitAvailable(ctx, deployment)
		Expect(deployment.Spec.Template.Spec.Containers[0].Resources.Requests).To(BeEmpty())
	})

	It("is tried for each of three plans that fail differently; then people go on", func(ctx SpecContext) {
		const alert = "E2ERecoveryThree"
		install(ctx, toRevision("e2e-three-a", alert, first+2, "99"), imageOfNobody("e2e-three-b", alert, first+1), scaleNowhere("e2e-three-c", alert, first))
		ns := namespace(ctx, nil)
		b := builders.Deployment(ns, "cart", goodImage)
		rolledOut(ctx, b)
		request := remediate(ctx, builders.Request(ns, "three", alert, b.Target()))
		expectEscalated(request, remediationrequest.ReasonViable)
		expectAttempts(ctx, request, 4, 3)
		Expect(request.Status.EscalationReason).To(ContainSubstring("AIAnalysis three-recovery-3 failed: No playbook matches"))
		var last aianalysisv1.AIAnalysis
		Expect(cluster.Get(ctx, client.ObjectKey{Namespace: ns, Name: "three-recovery-3"}, &last)).To(Succeed())
		Expect(last.Spec.FailedPlaybooks).To(HaveExactElements("e2e-three-a", "e2e-three-b", "e2e-three-c"))
		Expect(effectsOn(ns, "cart")).To(BeEmpty())
		expectEventsAbout(ctx, request, remediationrequest.EventRecoveryInitiated, remediationrequest.EventEscalatedToManualReview)
	})

	It("is not tried when the same failure has occurred twice", func(ctx SpecContext) {
		const alert = "E2ERecoverySame"
		install(ctx, toRevision("e2e-same-a", alert, first+2, "99"), toRevision("e2e-same-b", alert, first+1, "98"),
			builders.Playbook("e2e-same-c", alert, first).Step("scale", shared.ActionScaleDeployment, map[string]string{"replicas": "2"}))
		ns := namespace(ctx, nil)
		b := builders.Deployment(ns, "cart", goodImage)
		rolledOut(ctx, b)
		request := remediate(ctx, builders.Request(ns, "same", alert, b.Target()))
		expectEscalated(request, remediationrequest.ReasonSameFailure)
		expectAttempts(ctx, request, 2, 2)
		Expect(effectsOn(ns, "cart")).To(BeEmpty())
	})

	It("is not tried when a policy denies", func(ctx SpecContext) {
		const alert = "E2ERecoveryDenied"
		install(ctx, builders.Playbook("e2e-denied", alert, first+1).Step("zero", shared.ActionScaleDeployment, map[string]string{"replicas": "0"}),
			builders.Playbook("e2e-denied-other", alert, first).Step("scale", shared.ActionScaleDeployment, map[string]string{"replicas": "2"}))
		ns := namespace(ctx, map[string]string{shared.LabelEnvironment: "production"})
		b := builders.Deployment(ns, "cart", goodImage)
		rolledOut(ctx, b)
		request := remediate(ctx, builders.Request(ns, "denied", alert, b.Target()))
		expectEscalated(request, remediationrequest.ReasonErrorTypeNotRecoverable)
		expectAttempts(ctx, request, 1, 1)
		Expect(request.Status.WorkflowExecutionRefs[0].ErrorType).To(Equal(shared.ErrorPolicyDenied))
		Expect(effectsOn(ns, "cart")).To(BeEmpty())
	})

	It("is not tried when the request allows none", func(ctx SpecContext) {
		const alert = "E2ERecoveryNone"
		install(ctx, toRevision("e2e-none", alert, first, "99"))
		ns := namespace(ctx, nil)
		b := builders.Deployment(ns, "cart", goodImage)
		rolledOut(ctx, b)
		request := remediate(ctx, builders.Request(ns, "none", alert, b.Target()).Recoveries(0))
		expectEscalated(request, remediationrequest.ReasonAttemptsExhausted)
		expectAttempts(ctx, request, 1, 1)
	})

	It("is not tried when a tenth of all workflows fails", func(ctx SpecContext) {
		const alert = "E2ERecoveryRate"
		install(ctx, toRevision("e2e-rate", alert, first, "99"))
		others := namespace(ctx, nil)
		for i := range 9 {
			runWorkflow(ctx, builders.Workflow(others, fmt.Sprintf("fine-%d", i), builders.Notify("tell", "all is well").Step))
		}
		ns := namespace(ctx, nil)
		b := builders.Deployment(ns, "cart", goodImage)
		rolledOut(ctx, b)
		request := remediate(ctx, builders.Request(ns, "rate", alert, b.Target()))
		expectEscalated(request, remediationrequest.ReasonFailureRateTooHigh)
		Expect(request.Status.EscalationReason).To(ContainSubstring("1 of the 10 workflows that ended in the last hour failed"))
		expectAttempts(ctx, request, 1, 1)
	})

	It("does not take over what has its name and is not its own", func(ctx SpecContext) {
		const alert = "E2ERecoveryForeign"
		install(ctx, toRevision("e2e-foreign", alert, first+1, "99"),
			builders.Playbook("e2e-foreign-other", alert, first).Step("scale", shared.ActionScaleDeployment, map[string]string{"replicas": "2"}))
		ns := namespace(ctx, nil)
		b := builders.Deployment(ns, "cart", goodImage)
		rolledOut(ctx, b)
		By("having a person start a workflow of that name")
		runWorkflow(ctx, builders.Workflow(ns, "foreign-recovery-1", builders.Notify("tell", "all is well").Step))
		request := remediate(ctx, builders.Request(ns, "foreign", alert, b.Target()))
		Expect(request.Status.Outcome).To(Equal(remediationv1.OutcomeManualReviewRequired))
		Expect(request.Status.EscalationReason).To(ContainSubstring("WorkflowExecution foreign-recovery-1 exists and is not a child of this request"))
		Expect(effectsOn(ns, "cart")).To(BeEmpty())
	})

	It("is made once although the manager is killed in the middle", func(ctx SpecContext) {
		const alert = "E2ERecoveryKilled"
		install(ctx, toRevision("e2e-killed", alert, first, "99"))
		ns := namespace(ctx, nil)
		deployment, target := stuck(ctx, ns)
		request := builders.Request(ns, "killed", alert, target).RemediationRequest
		Expect(cluster.Create(ctx, request)).To(Succeed())
		By("killing it as soon as a recovery is recorded")
		Eventually(func(g Gomega) {
			g.Expect(cluster.Get(ctx, client.ObjectKeyFromObject(request), request)).To(Succeed())
			g.Expect(request.Status.RecoveryAttempts).To(Equal(int32(1)))
		}).WithTimeout(remediationTimeout).WithPolling(poll / 10).Should(Succeed())
		killManager()
		startManager(ctx)
		awaitEnd(ctx, request)
		Expect(request.Status.Outcome).To(Equal(remediationv1.OutcomeRemediated), request.Status.EscalationReason)
		expectAttempts(ctx, request, 2, 2)
		awaitAvailable(ctx, deployment)
		var executions kubernetesexecutionv1.KubernetesExecutionList
		Expect(cluster.List(ctx, &executions, client.InNamespace(ns))).To(Succeed())
		Expect(executions.Items).To(ConsistOf(HaveField("Name", "killed-recovery-1-s0-a1")))
		Expect(effectsOn(ns, deployment.Name)).To(HaveLen(1))
	})
})

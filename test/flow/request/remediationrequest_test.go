package request

import (
	"context"
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	aianalysisv1 "kubernaut.io/kubernaut/api/aianalysis/v1"
	kubernetesexecutionv1 "kubernaut.io/kubernaut/api/kubernetesexecution/v1"
	remediationv1 "kubernaut.io/kubernaut/api/remediation/v1"
	remediationprocessingv1 "kubernaut.io/kubernaut/api/remediationprocessing/v1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/controllers/remediationrequest"
	"kubernaut.io/kubernaut/test/builders"
	"kubernaut.io/kubernaut/test/invariants"
)

// ours are all objects that controllers report on in a namespace.
func ours(ctx context.Context, namespace string) (objects []client.Object) {
	GinkgoHelper()
	for _, list := range []client.ObjectList{
		&remediationv1.RemediationRequestList{}, &remediationprocessingv1.RemediationProcessingList{}, &aianalysisv1.AIAnalysisList{},
		&workflowexecutionv1.WorkflowExecutionList{}, &kubernetesexecutionv1.KubernetesExecutionList{},
	} {
		objects = append(objects, listed(ctx, namespace, list)...)
	}
	return objects
}

func checkInvariants(ctx context.Context, namespace string) {
	GinkgoHelper()
	for _, object := range ours(ctx, namespace) {
		Expect(invariants.Check(object)).To(Succeed())
	}
}

// describe says how everything stands, for who reads why a spec failed.
func describe(ctx context.Context, namespace string) {
	GinkgoHelper()
	for _, object := range ours(ctx, namespace) {
		text, err := yaml.Marshal(object)
		Expect(err).NotTo(HaveOccurred())
		GinkgoWriter.Printf("--- %T\n%s", object, text)
	}
}

func listed(ctx context.Context, namespace string, list client.ObjectList) []client.Object {
	GinkgoHelper()
	Expect(server.Admin.List(ctx, list, client.InNamespace(namespace))).To(Succeed())
	items, err := meta.ExtractList(list)
	Expect(err).NotTo(HaveOccurred())
	objects := make([]client.Object, len(items))
	for i := range items {
		object, is := items[i].(client.Object)
		Expect(is).To(BeTrue())
		objects[i] = object
	}
	return objects
}

// ask makes a request.
func ask(ctx context.Context, b builders.RequestBuilder) *remediationv1.RemediationRequest {
	GinkgoHelper()
	Expect(server.Admin.Create(ctx, b.RemediationRequest)).To(Succeed())
	return b.RemediationRequest
}

// await waits until a request is as checked.
func await(ctx context.Context, request *remediationv1.RemediationRequest, check func(Gomega)) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		g.Expect(server.Admin.Get(ctx, client.ObjectKeyFromObject(request), request)).To(Succeed())
		g.Expect(invariants.Check(request)).To(Succeed())
		check(g)
	}).WithTimeout(soon).WithPolling(poll).Should(Succeed())
}

func awaitEnd(ctx context.Context, request *remediationv1.RemediationRequest) {
	GinkgoHelper()
	await(ctx, request, func(g Gomega) {
		g.Expect(request.Status.OverallPhase.Terminal()).To(BeTrue(), "phase %s: %v", request.Status.OverallPhase, request.Status.Conditions)
	})
}

// awaitWorkflow waits until a workflow is there and as checked.
func (p *place) awaitWorkflow(ctx context.Context, name string, check func(Gomega, *workflowexecutionv1.WorkflowExecution)) *workflowexecutionv1.WorkflowExecution {
	GinkgoHelper()
	var workflow workflowexecutionv1.WorkflowExecution
	Eventually(func(g Gomega) {
		g.Expect(server.Admin.Get(ctx, client.ObjectKey{Namespace: p.namespace, Name: name}, &workflow)).To(Succeed())
		g.Expect(invariants.Check(&workflow)).To(Succeed())
		check(g, &workflow)
	}).WithTimeout(soon).WithPolling(poll).Should(Succeed())
	return &workflow
}

func inPhase(phase workflowexecutionv1.WorkflowPhase) func(Gomega, *workflowexecutionv1.WorkflowExecution) {
	return func(g Gomega, workflow *workflowexecutionv1.WorkflowExecution) {
		g.Expect(workflow.Status.Phase).To(Equal(phase), "%v", workflow.Status.Conditions)
	}
}

// stabilize waits until the targets of a workflow are healthy, lets the time pass for which they must stay so, and waits for its end.
func (p *place) stabilize(ctx context.Context, workflow string, deployment builders.DeploymentBuilder) {
	GinkgoHelper()
	p.awaitWorkflow(ctx, workflow, func(g Gomega, w *workflowexecutionv1.WorkflowExecution) {
		g.Expect(w.Status.HealthySince).NotTo(BeNil(), "%v", w.Status.Conditions)
	})
	p.clock.Step(stabilized)
	p.awaitWorkflow(ctx, workflow, func(g Gomega, w *workflowexecutionv1.WorkflowExecution) {
		touch(ctx, deployment)
		g.Expect(w.Status.Phase.Terminal()).To(BeTrue(), "%v", w.Status.Conditions)
	})
}

// succeed runs workflows that end well.
func (p *place) succeed(ctx context.Context, count int) {
	GinkgoHelper()
	for i := range count {
		workflow := builders.Workflow(p.namespace, fmt.Sprintf("fine-%d", i), builders.Notify("tell", "all is well").Step)
		Expect(server.Admin.Create(ctx, workflow.WorkflowExecution)).To(Succeed())
	}
	for i := range count {
		p.awaitWorkflow(ctx, fmt.Sprintf("fine-%d", i), inPhase(workflowexecutionv1.PhaseCompleted))
	}
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
	status := &request.Status
	Expect(status.RemediationProcessingRefs).To(HaveLen(analyses))
	Expect(status.AIAnalysisRefs).To(HaveLen(analyses))
	Expect(status.WorkflowExecutionRefs).To(HaveLen(workflows))
	for i := range analyses {
		ref := remediationv1.AttemptReference{Namespace: request.Namespace, AttemptNumber: int32(i) + 1}
		ref.Name = name("processing", i+1)
		Expect(status.RemediationProcessingRefs[i]).To(Equal(ref))
		ref.Name = name("analysis", i+1)
		Expect(status.AIAnalysisRefs[i]).To(Equal(ref))
	}
	for i, ref := range status.WorkflowExecutionRefs {
		Expect(ref).To(And(HaveField("Name", name("workflow", i+1)), HaveField("AttemptNumber", int32(i)+1)))
		Expect(ref.Outcome).NotTo(Equal(remediationv1.OutcomeInProgress))
	}
	Expect(status.RecoveryAttempts).To(Equal(int32(max(analyses-1, 0))))
}

// expectEvents checks which events there are about a request, each at least once, and no others.
func expectEvents(ctx context.Context, request *remediationv1.RemediationRequest, reasons ...string) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		var list eventsv1.EventList
		g.Expect(server.Admin.List(ctx, &list, client.InNamespace(request.Namespace))).To(Succeed())
		have := map[string]bool{}
		for _, event := range list.Items {
			if event.Regarding.UID == request.UID {
				have[event.Reason] = true
			}
		}
		g.Expect(have).To(HaveLen(len(reasons)))
		for _, reason := range reasons {
			g.Expect(have).To(HaveKey(reason))
		}
	}).WithTimeout(soon).WithPolling(poll).Should(Succeed())
}

func expectEscalated(request *remediationv1.RemediationRequest, viableReason string) {
	GinkgoHelper()
	status := &request.Status
	Expect(status.OverallPhase).To(Equal(remediationv1.PhaseFailed))
	Expect(status.Outcome).To(Equal(remediationv1.OutcomeManualReviewRequired))
	Expect(status.EscalatedToManualReview).To(BeTrue())
	Expect(status.EscalationReason).To(ContainSubstring("kubectl -n " + request.Namespace + " describe"))
	Expect(meta.IsStatusConditionTrue(status.Conditions, remediationv1.ConditionEscalated)).To(BeTrue())
	if viableReason != "" {
		viable := meta.FindStatusCondition(status.Conditions, remediationv1.ConditionRecoveryViable)
		Expect(viable).NotTo(BeNil())
		Expect(viable.Reason).To(Equal(viableReason), viable.Message)
		Expect(status.LastFailureTime).NotTo(BeNil())
	}
}

// expectUntouched checks the generation of a Deployment, which every change of its spec raises, and our mark.
func expectUntouched(ctx context.Context, b builders.DeploymentBuilder) {
	GinkgoHelper()
	Expect(server.Admin.Get(ctx, client.ObjectKeyFromObject(b.Deployment), b.Deployment)).To(Succeed())
	Expect(b.Generation).To(Equal(int64(1)))
	Expect(b.Annotations).NotTo(HaveKey(shared.AnnotationLastExecution))
}

// The plans: the first repairs, the others fail before they change anything, each in its own way.

func scaleTo(name, signal string, priority int32, replicas string) builders.PlaybookBuilder {
	return builders.Playbook(name, signal, priority).Step("scale", shared.ActionScaleDeployment, map[string]string{"replicas": replicas})
}

func toRevision(name, signal string, priority int32, revision string) builders.PlaybookBuilder {
	return builders.Playbook(name, signal, priority).Step("roll-back", shared.ActionRollbackDeployment, map[string]string{"revision": revision})
}

func imageOfNobody(name, signal string, priority int32) builders.PlaybookBuilder {
	return builders.Playbook(name, signal, priority).Step("image", shared.ActionUpdateImage, map[string]string{"container": "nobody", "image": "registry.example.com/shop/cart:2"})
}

func scaleElsewhere(name, signal string, priority int32, deployment string) builders.PlaybookBuilder {
	return builders.Playbook(name, signal, priority).Step("scale", shared.ActionScaleDeployment, map[string]string{"name": deployment, "replicas": "2"})
}

var _ = Describe("A request", func() {
	It("is remediated, tells of it, and is removed when its time is up", func(ctx SpecContext) {
		p := newPlace(ctx, nil)
		install(ctx, scaleTo("flow-fine", "FlowFine", 1, "2"))
		cart := p.deploy(ctx, "cart")
		b := builders.Request(p.namespace, "fine", "FlowFine", cart.Target())
		b.Spec.TTLAfterFinished = &metav1.Duration{Duration: 5 * time.Second}
		request := ask(ctx, b)
		p.stabilize(ctx, "fine-workflow", cart)
		awaitEnd(ctx, request)
		Expect(request.Status.OverallPhase).To(Equal(remediationv1.PhaseCompleted))
		Expect(request.Status.Outcome).To(Equal(remediationv1.OutcomeRemediated))
		for _, condition := range []string{remediationv1.ConditionProcessed, remediationv1.ConditionAnalyzed, remediationv1.ConditionWorkflowSucceeded, shared.ConditionReady} {
			Expect(meta.IsStatusConditionTrue(request.Status.Conditions, condition)).To(BeTrue(), condition)
		}
		Expect(meta.FindStatusCondition(request.Status.Conditions, remediationv1.ConditionNotified)).To(BeNil())
		expectEvents(ctx, request, remediationrequest.EventRemediationStarted, remediationrequest.EventRemediationCompleted)
		Eventually(func() bool {
			return apierrors.IsNotFound(server.Admin.Get(ctx, client.ObjectKeyFromObject(request), request))
		}).WithTimeout(soon).WithPolling(poll).Should(BeTrue())
	})

	It("changes nothing as a dry run", func(ctx SpecContext) {
		p := newPlace(ctx, nil)
		install(ctx, scaleTo("flow-dry", "FlowDry", 1, "2"))
		cart := p.deploy(ctx, "cart")
		request := ask(ctx, builders.Request(p.namespace, "dry", "FlowDry", cart.Target()).DryRun())
		awaitEnd(ctx, request)
		Expect(request.Status.Outcome).To(Equal(remediationv1.OutcomeDryRun))
		expectAttempts(ctx, request, 1, 1)
		expectUntouched(ctx, cart)
	})

	It("has nothing to do when its playbook has no steps", func(ctx SpecContext) {
		p := newPlace(ctx, nil)
		install(ctx, builders.Playbook("flow-nothing", "FlowNothing", 1))
		cart := p.deploy(ctx, "cart")
		request := ask(ctx, builders.Request(p.namespace, "nothing", "FlowNothing", cart.Target()))
		awaitEnd(ctx, request)
		Expect(request.Status.Outcome).To(Equal(remediationv1.OutcomeNoActionRequired))
		expectAttempts(ctx, request, 1, 0)
	})

	It("is for people when no playbook knows it", func(ctx SpecContext) {
		p := newPlace(ctx, nil)
		cart := p.deploy(ctx, "cart")
		request := ask(ctx, builders.Request(p.namespace, "unknown", "FlowUnknown", cart.Target()))
		awaitEnd(ctx, request)
		expectEscalated(request, "")
		Expect(request.Status.EscalationReason).To(ContainSubstring("AIAnalysis unknown-analysis failed: No playbook matches"))
		expectEvents(ctx, request, remediationrequest.EventRemediationStarted, remediationrequest.EventRemediationFailed, remediationrequest.EventEscalatedToManualReview)
	})

	It("is for people when its workflow only tells them", func(ctx SpecContext) {
		p := newPlace(ctx, nil)
		install(ctx, builders.Playbook("flow-tell", "FlowTell", 1).Step("tell", shared.ActionNotifyOnly, map[string]string{"message": "look"}))
		cart := p.deploy(ctx, "cart")
		request := ask(ctx, builders.Request(p.namespace, "tell", "FlowTell", cart.Target()))
		awaitEnd(ctx, request)
		expectEscalated(request, "")
		Expect(meta.FindStatusCondition(request.Status.Conditions, remediationv1.ConditionEscalated).Reason).To(Equal(remediationrequest.ReasonNothingChanged))
		expectAttempts(ctx, request, 1, 1)
	})

	It("is a partial success when a step that is not critical fails", func(ctx SpecContext) {
		p := newPlace(ctx, nil)
		playbook := scaleTo("flow-part", "FlowPart", 1, "2").Step("more", shared.ActionScaleDeployment, map[string]string{"name": "till", "replicas": "2"})
		playbook.Spec.Workflow.Steps[1].Critical, playbook.Spec.Workflow.Steps[1].DependsOn = new(false), []string{"scale"}
		install(ctx, playbook)
		cart, till := p.deploy(ctx, "cart"), p.deploy(ctx, "till")
		server.Workloads.Hold(client.ObjectKeyFromObject(cart.Deployment))
		request := ask(ctx, builders.Request(p.namespace, "part", "FlowPart", cart.Target()))
		By("taking the target of the second step away while the first one runs")
		p.awaitWorkflow(ctx, "part-workflow", inPhase(workflowexecutionv1.PhaseExecuting))
		Expect(server.Admin.Delete(ctx, till.Deployment)).To(Succeed())
		Expect(server.Workloads.Release(ctx, client.ObjectKeyFromObject(cart.Deployment))).To(Succeed())
		p.stabilize(ctx, "part-workflow", cart)
		awaitEnd(ctx, request)
		Expect(request.Status.OverallPhase).To(Equal(remediationv1.PhaseCompleted))
		Expect(request.Status.Outcome).To(Equal(remediationv1.OutcomePartialSuccess))
		expectAttempts(ctx, request, 1, 1)
	})
})

var _ = Describe("A duplicate", func() {
	It("ends at once while another request for the same signal and target is active, and only then", func(ctx SpecContext) {
		p := newPlace(ctx, nil)
		install(ctx, scaleTo("flow-twice", "FlowTwice", 1, "2"))
		cart, till := p.deploy(ctx, "cart"), p.deploy(ctx, "till")
		first := ask(ctx, builders.Request(p.namespace, "first", "FlowTwice", cart.Target()))
		p.awaitWorkflow(ctx, "first-workflow", inPhase(workflowexecutionv1.PhaseMonitoring))
		second := ask(ctx, builders.Request(p.namespace, "second", "FlowTwice", cart.Target()))
		other := ask(ctx, builders.Request(p.namespace, "other", "FlowTwice", till.Target()))
		awaitEnd(ctx, second)
		Expect(second.Status.Outcome).To(Equal(remediationv1.OutcomeDuplicate))
		Expect(second.Status.DuplicateOf).To(Equal("first"))
		expectAttempts(ctx, second, 0, 0)
		expectEvents(ctx, second, remediationrequest.EventRemediationCompleted)
		By("selecting by fingerprint, as the orchestrator does")
		var same remediationv1.RemediationRequestList
		Expect(server.Admin.List(ctx, &same, client.InNamespace(p.namespace),
			client.MatchingFields{"spec.signalContext.fingerprint": first.Spec.SignalContext.Fingerprint})).To(Succeed())
		Expect(same.Items).To(ConsistOf(HaveField("Name", "first"), HaveField("Name", "second")))
		p.stabilize(ctx, "first-workflow", cart)
		awaitEnd(ctx, first)
		Expect(first.Status.Outcome).To(Equal(remediationv1.OutcomeRemediated))
		p.stabilize(ctx, "other-workflow", till)
		awaitEnd(ctx, other)
		Expect(other.Status.Outcome).To(Equal(remediationv1.OutcomeRemediated))
		again := ask(ctx, builders.Request(p.namespace, "again", "FlowTwice", cart.Target()))
		await(ctx, again, func(g Gomega) {
			g.Expect(again.Status.OverallPhase).NotTo(BeElementOf(remediationv1.RemediationPhase(""), remediationv1.PhasePending))
		})
		Expect(again.Status.DuplicateOf).To(BeEmpty())
	})

	It("is all but one of those that were made while nobody was there", func(ctx SpecContext) {
		p := newPlace(ctx, nil)
		install(ctx, scaleTo("flow-many", "FlowMany", 1, "2"))
		cart := p.deploy(ctx, "cart")
		p.stop()
		requests := make([]*remediationv1.RemediationRequest, 4)
		for i := range requests {
			requests[i] = ask(ctx, builders.Request(p.namespace, fmt.Sprintf("many-%d", i), "FlowMany", cart.Target()))
		}
		p.start()
		var active []string
		Eventually(func(g Gomega) {
			active = nil
			duplicates := 0
			for _, request := range requests {
				g.Expect(server.Admin.Get(ctx, client.ObjectKeyFromObject(request), request)).To(Succeed())
				switch {
				case request.Status.Outcome == remediationv1.OutcomeDuplicate:
					duplicates++
				case request.Status.OverallPhase != "" && request.Status.OverallPhase != remediationv1.PhasePending:
					active = append(active, request.Name)
				}
			}
			g.Expect(active).To(HaveLen(1))
			g.Expect(duplicates).To(Equal(len(requests) - 1))
		}).WithTimeout(soon).WithPolling(poll).Should(Succeed())
		for _, request := range requests {
			if request.Status.Outcome == remediationv1.OutcomeDuplicate {
				Expect(request.Status.DuplicateOf).To(Equal(active[0]))
			}
		}
	})
})

var _ = Describe("A recovery", func() {
	It("is tried with another plan, which repairs", func(ctx SpecContext) {
		p := newPlace(ctx, nil)
		install(ctx, toRevision("flow-one-a", "FlowOne", 2, "99"), scaleTo("flow-one-b", "FlowOne", 1, "2"))
		cart := p.deploy(ctx, "cart")
		request := ask(ctx, builders.Request(p.namespace, "one", "FlowOne", cart.Target()))
		p.stabilize(ctx, "one-recovery-1", cart)
		awaitEnd(ctx, request)
		Expect(request.Status.Outcome).To(Equal(remediationv1.OutcomeRemediated), request.Status.EscalationReason)
		expectAttempts(ctx, request, 2, 2)
		Expect(request.Status.RecoveryReason).To(Equal("workflow_resource_not_found_step_0"))
		Expect(request.Status.CurrentWorkflowExecutionRef).To(HaveValue(Equal("one-recovery-1")))
		expectEvents(ctx, request, remediationrequest.EventRemediationStarted, remediationrequest.EventRecoveryInitiated, remediationrequest.EventRemediationCompleted)

		By("giving its analysis all that failed")
		var failed workflowexecutionv1.WorkflowExecution
		Expect(server.Admin.Get(ctx, client.ObjectKey{Namespace: p.namespace, Name: "one-workflow"}, &failed)).To(Succeed())
		var analysis, earlier aianalysisv1.AIAnalysis
		Expect(server.Admin.Get(ctx, client.ObjectKey{Namespace: p.namespace, Name: "one-analysis"}, &earlier)).To(Succeed())
		Expect(server.Admin.Get(ctx, client.ObjectKey{Namespace: p.namespace, Name: "one-recovery-1"}, &analysis)).To(Succeed())
		Expect(analysis.Spec).To(And(
			HaveField("IsRecoveryAttempt", true), HaveField("RecoveryAttemptNumber", int32(1)),
			HaveField("FailedWorkflowRef", HaveValue(Equal(shared.ObjectReference{Name: failed.Name, UID: failed.UID}))),
			HaveField("FailedStep", HaveValue(Equal(int32(0)))), HaveField("FailureReason", failed.Status.FailureReason),
			HaveField("PreviousAIAnalysisRefs", ConsistOf(shared.ObjectReference{Name: earlier.Name, UID: earlier.UID})),
			HaveField("FailedPlaybooks", ConsistOf("flow-one-a"))))
		Expect(analysis.Spec.Enrichment.FailedWorkflow).To(HaveValue(HaveField("Name", "one-workflow")))
	})

	It("is tried for each of three plans that fail differently; a fourth failure is for people", func(ctx SpecContext) {
		const signal = "FlowThree"
		p := newPlace(ctx, nil)
		install(ctx, toRevision("flow-three-a", signal, 4, "99"), imageOfNobody("flow-three-b", signal, 3),
			scaleElsewhere("flow-three-c", signal, 2, "nowhere"), scaleElsewhere("flow-three-d", signal, 1, "neither"))
		cart := p.deploy(ctx, "cart")
		request := ask(ctx, builders.Request(p.namespace, "three", signal, cart.Target()))
		awaitEnd(ctx, request)
		expectEscalated(request, remediationrequest.ReasonAttemptsExhausted)
		expectAttempts(ctx, request, 4, 4)
		for i, want := range []shared.ErrorType{shared.ErrorResourceNotFound, request.Status.WorkflowExecutionRefs[1].ErrorType, shared.ErrorResourceNotFound, shared.ErrorResourceNotFound} {
			Expect(request.Status.WorkflowExecutionRefs[i].ErrorType).To(Equal(want))
		}
		expectUntouched(ctx, cart)
		expectEvents(ctx, request, remediationrequest.EventRemediationStarted, remediationrequest.EventRecoveryInitiated,
			remediationrequest.EventRemediationFailed, remediationrequest.EventEscalatedToManualReview)
	})

	It("ends with people when no plan is left", func(ctx SpecContext) {
		const signal = "FlowLeft"
		p := newPlace(ctx, nil)
		install(ctx, toRevision("flow-left-a", signal, 3, "99"), imageOfNobody("flow-left-b", signal, 2), scaleElsewhere("flow-left-c", signal, 1, "nowhere"))
		cart := p.deploy(ctx, "cart")
		request := ask(ctx, builders.Request(p.namespace, "left", signal, cart.Target()))
		awaitEnd(ctx, request)
		expectEscalated(request, remediationrequest.ReasonViable)
		expectAttempts(ctx, request, 4, 3)
		Expect(request.Status.EscalationReason).To(ContainSubstring("AIAnalysis left-recovery-3 failed: No playbook matches"))
		expectUntouched(ctx, cart)
	})

	It("is not tried when the same failure has occurred twice", func(ctx SpecContext) {
		const signal = "FlowSame"
		p := newPlace(ctx, nil)
		install(ctx, toRevision("flow-same-a", signal, 3, "99"), toRevision("flow-same-b", signal, 2, "98"), scaleTo("flow-same-c", signal, 1, "2"))
		cart := p.deploy(ctx, "cart")
		request := ask(ctx, builders.Request(p.namespace, "same", signal, cart.Target()))
		awaitEnd(ctx, request)
		expectEscalated(request, remediationrequest.ReasonSameFailure)
		expectAttempts(ctx, request, 2, 2)
		expectUntouched(ctx, cart)
	})

	It("is not tried when a policy denies", func(ctx SpecContext) {
		const signal = "FlowDenied"
		p := newPlace(ctx, map[string]string{shared.LabelEnvironment: "production"})
		install(ctx, scaleTo("flow-denied-a", signal, 2, "0"), scaleTo("flow-denied-b", signal, 1, "2"))
		cart := p.deploy(ctx, "cart")
		request := ask(ctx, builders.Request(p.namespace, "denied", signal, cart.Target()))
		awaitEnd(ctx, request)
		expectEscalated(request, remediationrequest.ReasonErrorTypeNotRecoverable)
		expectAttempts(ctx, request, 1, 1)
		Expect(request.Status.WorkflowExecutionRefs[0].ErrorType).To(Equal(shared.ErrorPolicyDenied))
		expectUntouched(ctx, cart)
	})

	It("is not tried when whoever asked may not have it done any more", func(ctx SpecContext) {
		const signal = "FlowForbidden"
		p := newPlace(ctx, map[string]string{"test.kubernaut.io/flow": "forbidden"})
		install(ctx, scaleElsewhere("flow-forbidden-a", signal, 2, "till"), scaleTo("flow-forbidden-b", signal, 1, "2"))
		lift := hold(ctx, "flow-forbidden")
		cart, till := p.deploy(ctx, "cart"), p.deploy(ctx, "till")
		alice, revoke := p.user(ctx, "cart", "till")
		b := builders.Request(p.namespace, "forbidden", signal, cart.Target())
		Expect(alice.Create(ctx, b.RemediationRequest)).To(Succeed())
		Expect(b.Spec.RequestedBy.Username).To(Equal("alice"))
		p.awaitWorkflow(ctx, "forbidden-workflow", isHeld)
		revoke()
		lift()
		awaitEnd(ctx, b.RemediationRequest)
		expectEscalated(b.RemediationRequest, remediationrequest.ReasonErrorTypeNotRecoverable)
		Expect(b.Status.WorkflowExecutionRefs[0].ErrorType).To(Equal(shared.ErrorPermissionDenied))
		expectAttempts(ctx, b.RemediationRequest, 1, 1)
		expectUntouched(ctx, cart)
		expectUntouched(ctx, till)
	})

	It("is not tried when the request allows none", func(ctx SpecContext) {
		const signal = "FlowNone"
		p := newPlace(ctx, nil)
		install(ctx, toRevision("flow-none-a", signal, 2, "99"), scaleTo("flow-none-b", signal, 1, "2"))
		cart := p.deploy(ctx, "cart")
		request := ask(ctx, builders.Request(p.namespace, "none", signal, cart.Target()).Recoveries(0))
		awaitEnd(ctx, request)
		expectEscalated(request, remediationrequest.ReasonAttemptsExhausted)
		expectAttempts(ctx, request, 1, 1)
		expectUntouched(ctx, cart)
	})

	It("is not tried while a tenth of all workflows fails, and is again an hour later", func(ctx SpecContext) {
		const signal = "FlowRate"
		p := newPlace(ctx, nil)
		install(ctx, toRevision("flow-rate-a", signal, 2, "99"), scaleTo("flow-rate-b", signal, 1, "2"))
		cart := p.deploy(ctx, "cart")
		p.succeed(ctx, 9)
		request := ask(ctx, builders.Request(p.namespace, "rate", signal, cart.Target()))
		awaitEnd(ctx, request)
		expectEscalated(request, remediationrequest.ReasonFailureRateTooHigh)
		Expect(request.Status.EscalationReason).To(ContainSubstring("1 of the 10 workflows that ended in the last hour failed"))
		expectAttempts(ctx, request, 1, 1)
		p.clock.Step(time.Hour + time.Minute)
		later := ask(ctx, builders.Request(p.namespace, "later", signal, cart.Target()))
		await(ctx, later, func(g Gomega) { g.Expect(later.Status.RecoveryAttempts).To(Equal(int32(1))) })
	})

	It("warns when nearly a tenth of all workflows fails", func(ctx SpecContext) {
		const signal = "FlowWarns"
		p := newPlace(ctx, nil)
		install(ctx, toRevision("flow-warns-a", signal, 2, "99"), scaleTo("flow-warns-b", signal, 1, "2"))
		cart := p.deploy(ctx, "cart")
		p.succeed(ctx, 11)
		request := ask(ctx, builders.Request(p.namespace, "warns", signal, cart.Target()))
		await(ctx, request, func(g Gomega) { g.Expect(request.Status.RecoveryAttempts).To(Equal(int32(1))) })
		viable := meta.FindStatusCondition(request.Status.Conditions, remediationv1.ConditionRecoveryViable)
		Expect(viable.Status).To(Equal(metav1.ConditionTrue))
		Expect(viable.Reason).To(Equal(remediationrequest.ReasonViableFailureRateHigh))
		Expect(viable.Message).To(ContainSubstring("1 of the 12 workflows that ended in the last hour failed"))
		Eventually(func(g Gomega) {
			var list eventsv1.EventList
			g.Expect(server.Admin.List(ctx, &list, client.InNamespace(p.namespace))).To(Succeed())
			g.Expect(list.Items).To(ContainElement(And(HaveField("Reason", remediationrequest.EventRecoveryInitiated),
				HaveField("Type", corev1.EventTypeWarning), HaveField("Note", ContainSubstring("Beware: 1 of the 12")))))
		}).WithTimeout(soon).WithPolling(poll).Should(Succeed())
	})

	It("does not take over what has its name and is not its own", func(ctx SpecContext) {
		const signal = "FlowForeign"
		p := newPlace(ctx, nil)
		install(ctx, toRevision("flow-foreign-a", signal, 2, "99"), scaleTo("flow-foreign-b", signal, 1, "2"))
		cart := p.deploy(ctx, "cart")
		Expect(server.Admin.Create(ctx, builders.Workflow(p.namespace, "foreign-recovery-1", builders.Notify("tell", "all is well").Step).WorkflowExecution)).To(Succeed())
		request := ask(ctx, builders.Request(p.namespace, "foreign", signal, cart.Target()))
		awaitEnd(ctx, request)
		expectEscalated(request, "")
		Expect(request.Status.EscalationReason).To(ContainSubstring("WorkflowExecution foreign-recovery-1 exists and is not a child of this request"))
		Expect(meta.FindStatusCondition(request.Status.Conditions, remediationv1.ConditionEscalated).Reason).To(Equal(remediationrequest.ReasonChildForeign))
		expectUntouched(ctx, cart)
	})
})

package request

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	aianalysisv1 "kubernaut.io/kubernaut/api/aianalysis/v1"
	remediationv1 "kubernaut.io/kubernaut/api/remediation/v1"
	remediationprocessingv1 "kubernaut.io/kubernaut/api/remediationprocessing/v1"
	safetyv1alpha1 "kubernaut.io/kubernaut/api/safety/v1alpha1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/controllers/notification"
	"kubernaut.io/kubernaut/controllers/remediationrequest"
	"kubernaut.io/kubernaut/controllers/workflowexecution"
	"kubernaut.io/kubernaut/test/builders"
	"kubernaut.io/kubernaut/test/cluster"
)

// user gives alice what it takes to ask for the remediation of Deployments in the namespace. It returns her client, and what takes all
// of it away again.
func (p *place) user(ctx context.Context, deployments ...string) (alice client.Client, revoke func()) {
	GinkgoHelper()
	role := &rbacv1.Role{
		ObjectMeta: metav1.ObjectMeta{Namespace: p.namespace, Name: "alice"},
		Rules: []rbacv1.PolicyRule{
			{APIGroups: []string{remediationv1.GroupVersion.Group}, Resources: []string{"remediationrequests"}, Verbs: []string{"create", "get"}},
			{APIGroups: []string{"apps"}, Resources: []string{"deployments"}, ResourceNames: deployments, Verbs: []string{"get", "remediate"}},
		},
	}
	binding := &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: p.namespace, Name: "alice"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "alice"},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: "alice"}},
	}
	Expect(server.Admin.Create(ctx, role)).To(Succeed())
	Expect(server.Admin.Create(ctx, binding)).To(Succeed())
	config := rest.CopyConfig(server.Config)
	config.Impersonate = rest.ImpersonationConfig{UserName: "alice"}
	alice, err := client.New(config, client.Options{Scheme: server.Scheme})
	Expect(err).NotTo(HaveOccurred())
	// The authorizer takes a moment to see a new binding.
	Eventually(func() error {
		probe := builders.Request(p.namespace, "probe", "Probe", builders.Deployment(p.namespace, deployments[0], "probe").Target())
		return alice.Create(ctx, probe.RemediationRequest, client.DryRunAll)
	}).WithTimeout(soon).WithPolling(poll).Should(Succeed())
	return alice, func() {
		GinkgoHelper()
		Expect(server.Admin.Delete(ctx, binding)).To(Succeed())
		Eventually(func() bool {
			return apierrors.IsForbidden(alice.Get(ctx, client.ObjectKey{Namespace: p.namespace, Name: "probe"}, &remediationv1.RemediationRequest{}))
		}).WithTimeout(soon).WithPolling(poll).Should(BeTrue())
	}
}

// hold has a policy hold everything in the namespace, by its label test.kubernaut.io/flow, until it is lifted.
func hold(ctx context.Context, name string) (lift func()) {
	GinkgoHelper()
	policy := &safetyv1alpha1.SafetyPolicy{ObjectMeta: metav1.ObjectMeta{Name: name}}
	policy.Spec.Source.Rego = "package kubernaut.safety." + regoName(name) + "\n\nimport rego.v1\n\nhold contains {\"code\": \"TEST\", \"msg\": \"a test holds\"}\n"
	policy.Spec.Match = &safetyv1alpha1.PolicyMatch{NamespaceSelector: &metav1.LabelSelector{
		MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "test.kubernaut.io/flow", Operator: metav1.LabelSelectorOpExists}},
	}}
	Expect(server.Admin.Create(ctx, policy)).To(Succeed())
	remove := func(ctx context.Context) {
		GinkgoHelper()
		Expect(client.IgnoreNotFound(server.Admin.Delete(ctx, policy))).To(Succeed())
	}
	DeferCleanup(remove)
	Eventually(func(g Gomega) {
		g.Expect(server.Admin.Get(ctx, client.ObjectKeyFromObject(policy), policy)).To(Succeed())
		g.Expect(meta.IsStatusConditionTrue(policy.Status.Conditions, safetyv1alpha1.ConditionActive)).To(BeTrue(), "%v", policy.Status.Conditions)
	}).WithTimeout(soon).WithPolling(poll).Should(Succeed())
	return func() { remove(ctx) }
}

func regoName(name string) string {
	text := []byte(name)
	for i, c := range text {
		if c == '-' {
			text[i] = '_'
		}
	}
	return string(text)
}

func isHeld(g Gomega, workflow *workflowexecutionv1.WorkflowExecution) {
	g.Expect(meta.IsStatusConditionTrue(workflow.Status.Conditions, workflowexecutionv1.ConditionSuspended)).To(BeTrue(), "%v", workflow.Status.Conditions)
	g.Expect(workflow.Status.WaitingSince).NotTo(BeNil())
}

func cancel(ctx context.Context, request *remediationv1.RemediationRequest) {
	GinkgoHelper()
	Expect(server.Admin.Get(ctx, client.ObjectKeyFromObject(request), request)).To(Succeed())
	patch := client.MergeFrom(request.DeepCopy())
	request.Spec.Cancel = new(true)
	Expect(server.Admin.Patch(ctx, request, patch)).To(Succeed())
}

// expectUndone checks that the workflow was told to undo what it did, and did.
func (p *place) expectUndone(ctx context.Context, name string, b builders.DeploymentBuilder) {
	GinkgoHelper()
	workflow := p.awaitWorkflow(ctx, name, inPhase(workflowexecutionv1.PhaseFailed))
	Expect(workflow.Spec.Cancel).To(Equal(workflowexecutionv1.CancelAbortAndRollBack))
	Expect(workflow.Status.Outcome).To(Equal(workflowexecutionv1.OutcomeRolledBack), workflow.Status.FailureReason)
	Expect(server.Admin.Get(ctx, client.ObjectKeyFromObject(b.Deployment), b.Deployment)).To(Succeed())
	Expect(b.Spec.Replicas).To(HaveValue(Equal(int32(1))))
}

var _ = Describe("A request that is stopped", func() {
	It("makes nothing when it is cancelled before it begins", func(ctx SpecContext) {
		p := newPlace(ctx, nil)
		cart := p.deploy(ctx, "cart")
		b := builders.Request(p.namespace, "never", "FlowNever", cart.Target())
		b.Spec.Cancel = new(true)
		request := ask(ctx, b)
		awaitEnd(ctx, request)
		Expect(request.Status.Outcome).To(Equal(remediationv1.OutcomeCancelled))
		expectAttempts(ctx, request, 0, 0)
		expectEvents(ctx, request, remediationrequest.EventRemediationFailed)
	})

	It("has a workflow that runs undo what it did, and calls nobody", func(ctx SpecContext) {
		p := newPlace(ctx, nil)
		install(ctx, scaleTo("flow-stop", "FlowStop", 1, "2"))
		cart := p.deploy(ctx, "cart")
		request := ask(ctx, builders.Request(p.namespace, "stop", "FlowStop", cart.Target()))
		p.awaitWorkflow(ctx, "stop-workflow", inPhase(workflowexecutionv1.PhaseMonitoring))
		cancel(ctx, request)
		awaitEnd(ctx, request)
		Expect(request.Status.Outcome).To(Equal(remediationv1.OutcomeCancelled))
		Expect(request.Status.EscalatedToManualReview).To(BeFalse())
		p.expectUndone(ctx, "stop-workflow", cart)
		expectAttempts(ctx, request, 1, 1)
		expectEvents(ctx, request, remediationrequest.EventRemediationStarted, remediationrequest.EventRemediationFailed)
	})

	It("stops a workflow that waits for people, too", func(ctx SpecContext) {
		p := newPlace(ctx, map[string]string{"test.kubernaut.io/flow": "stop"})
		install(ctx, scaleTo("flow-stop-held", "FlowStopHeld", 1, "2"))
		hold(ctx, "flow-stop-held")
		cart := p.deploy(ctx, "cart")
		request := ask(ctx, builders.Request(p.namespace, "stop-held", "FlowStopHeld", cart.Target()))
		p.awaitWorkflow(ctx, "stop-held-workflow", isHeld)
		cancel(ctx, request)
		awaitEnd(ctx, request)
		Expect(request.Status.Outcome).To(Equal(remediationv1.OutcomeCancelled))
		expectUntouched(ctx, cart)
	})

	It("has its workflow undo what it did when the time is up, and calls people", func(ctx SpecContext) {
		p := newPlace(ctx, nil)
		install(ctx, scaleTo("flow-late", "FlowLate", 1, "2"))
		cart := p.deploy(ctx, "cart")
		b := builders.Request(p.namespace, "late", "FlowLate", cart.Target())
		limit := &metav1.Duration{Duration: 4 * time.Second}
		b.Spec.Timeouts = &remediationv1.RemediationTimeouts{Processing: limit, Analyzing: limit, Overall: &metav1.Duration{Duration: 8 * time.Second}}
		request := ask(ctx, b)
		awaitEnd(ctx, request)
		Expect(request.Status.Outcome).To(Equal(remediationv1.OutcomeTimedOut), request.Status.EscalationReason)
		Expect(request.Status.EscalationReason).To(And(ContainSubstring("the overall limit"), ContainSubstring("What it had changed was undone")))
		p.expectUndone(ctx, "late-workflow", cart)
		expectEvents(ctx, request, remediationrequest.EventRemediationStarted, remediationrequest.EventRemediationFailed, remediationrequest.EventEscalatedToManualReview)
	})

	It("does not count what it waited for people", func(ctx SpecContext) {
		p := newPlace(ctx, map[string]string{"test.kubernaut.io/flow": "waits"})
		install(ctx, scaleTo("flow-waits", "FlowWaits", 1, "2"))
		lift := hold(ctx, "flow-waits")
		cart := p.deploy(ctx, "cart")
		request := ask(ctx, builders.Request(p.namespace, "waits", "FlowWaits", cart.Target()))
		p.awaitWorkflow(ctx, "waits-workflow", isHeld)
		await(ctx, request, func(g Gomega) {
			g.Expect(meta.FindStatusCondition(request.Status.Conditions, shared.ConditionReady).Reason).To(Equal(remediationrequest.ReasonWorkflowWaiting))
		})
		By("letting three times the overall limit pass")
		p.clock.Step(3 * time.Hour)
		lift()
		p.stabilize(ctx, "waits-workflow", cart)
		awaitEnd(ctx, request)
		Expect(request.Status.Outcome).To(Equal(remediationv1.OutcomeRemediated), request.Status.EscalationReason)
		Expect(request.Status.WaitedSeconds).To(BeNumerically(">=", 3*60*60))
	})
})

// disown takes the owner references from an object, as the garbage collector does when its owner is deleted with --cascade=orphan.
func disown(ctx context.Context, object client.Object) {
	GinkgoHelper()
	Expect(server.Admin.Patch(ctx, object, client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"ownerReferences":null}}`)))).To(Succeed())
}

// expectOrphaned checks that an object says that it has lost its request, as a condition and by an event.
func expectOrphaned(ctx context.Context, object client.Object, conditions func() []metav1.Condition) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		g.Expect(server.Admin.Get(ctx, client.ObjectKeyFromObject(object), object)).To(Succeed())
		orphaned := meta.FindStatusCondition(conditions(), shared.ConditionOrphaned)
		g.Expect(orphaned).NotTo(BeNil())
		g.Expect(orphaned.Status).To(Equal(metav1.ConditionTrue))
		g.Expect(orphaned.Message).To(ContainSubstring("no controller owner reference"))
		var told eventsv1.EventList
		g.Expect(server.Admin.List(ctx, &told, client.InNamespace(object.GetNamespace()), client.MatchingFields{"reason": workflowexecution.EventOrphaned})).To(Succeed())
		g.Expect(told.Items).To(ContainElement(HaveField("Regarding.UID", object.GetUID())))
	}).WithTimeout(soon).WithPolling(poll).Should(Succeed())
}

var _ = Describe("A request that loses a child", func() {
	It("notices at once that its workflow was deleted", func(ctx SpecContext) {
		p := newPlace(ctx, map[string]string{"test.kubernaut.io/flow": "gone"})
		install(ctx, scaleTo("flow-gone", "FlowGone", 1, "2"))
		hold(ctx, "flow-gone")
		cart := p.deploy(ctx, "cart")
		request := ask(ctx, builders.Request(p.namespace, "gone", "FlowGone", cart.Target()))
		workflow := p.awaitWorkflow(ctx, "gone-workflow", isHeld)
		await(ctx, request, func(g Gomega) { g.Expect(request.Status.WorkflowExecutionRefs).To(HaveLen(1)) })
		Expect(server.Admin.Delete(ctx, workflow)).To(Succeed())
		awaitEnd(ctx, request)
		expectReason(request, remediationrequest.ReasonChildGone, "WorkflowExecution gone-workflow was deleted while it was needed")
		expectUntouched(ctx, cart)
	})

	It("notices at once that its workflow was taken from it, and runs nothing of it", func(ctx SpecContext) {
		p := newPlace(ctx, map[string]string{"test.kubernaut.io/flow": "taken"})
		install(ctx, scaleTo("flow-taken", "FlowTaken", 1, "2"))
		hold(ctx, "flow-taken")
		cart := p.deploy(ctx, "cart")
		request := ask(ctx, builders.Request(p.namespace, "taken", "FlowTaken", cart.Target()))
		disown(ctx, p.awaitWorkflow(ctx, "taken-workflow", isHeld))
		awaitEnd(ctx, request)
		expectReason(request, remediationrequest.ReasonChildForeign, "WorkflowExecution taken-workflow is no longer a child of this request: its controller is nobody")
		workflow := p.awaitWorkflow(ctx, "taken-workflow", inPhase(workflowexecutionv1.PhaseFailed))
		Expect(workflow.Status.ErrorType).To(Equal(shared.ErrorValidation))
		expectOrphaned(ctx, workflow, func() []metav1.Condition { return workflow.Status.Conditions })
		expectUntouched(ctx, cart)
	})

	It("has what was begun ended by the workflow itself, and records its end", func(ctx SpecContext) {
		p := newPlace(ctx, nil)
		install(ctx, scaleTo("flow-alone", "FlowAlone", 1, "2"))
		cart := p.deploy(ctx, "cart")
		request := ask(ctx, builders.Request(p.namespace, "alone", "FlowAlone", cart.Target()))
		disown(ctx, p.awaitWorkflow(ctx, "alone-workflow", inPhase(workflowexecutionv1.PhaseMonitoring)))
		awaitEnd(ctx, request)
		expectReason(request, remediationrequest.ReasonChildForeign, "What it has begun it finishes, or undoes, by itself")
		p.stabilize(ctx, "alone-workflow", cart)
		workflow := p.awaitWorkflow(ctx, "alone-workflow", inPhase(workflowexecutionv1.PhaseCompleted))
		Expect(workflow.Status.Outcome).To(Equal(workflowexecutionv1.OutcomeSuccess))
		expectOrphaned(ctx, workflow, func() []metav1.Condition { return workflow.Status.Conditions })
		await(ctx, request, func(g Gomega) {
			g.Expect(request.Status.WorkflowExecutionRefs).To(HaveLen(1))
			g.Expect(request.Status.WorkflowExecutionRefs[0].Outcome).To(BeEquivalentTo(workflowexecutionv1.OutcomeSuccess))
		})
	})

	It("has examination and analysis tell so, when they are over as well", func(ctx SpecContext) {
		p := newPlace(ctx, nil)
		install(ctx, scaleTo("flow-orphans", "FlowOrphans", 1, "2"))
		cart := p.deploy(ctx, "cart")
		b := builders.Request(p.namespace, "orphans", "FlowOrphans", cart.Target())
		b.Spec.Mode = shared.ModeDryRun
		request := ask(ctx, b)
		awaitEnd(ctx, request)
		processing := &remediationprocessingv1.RemediationProcessing{ObjectMeta: metav1.ObjectMeta{Namespace: p.namespace, Name: "orphans-processing"}}
		analysis := &aianalysisv1.AIAnalysis{ObjectMeta: metav1.ObjectMeta{Namespace: p.namespace, Name: "orphans-analysis"}}
		disown(ctx, processing)
		disown(ctx, analysis)
		expectOrphaned(ctx, processing, func() []metav1.Condition { return processing.Status.Conditions })
		expectOrphaned(ctx, analysis, func() []metav1.Condition { return analysis.Status.Conditions })
		Expect(processing.Status.Phase).To(Equal(remediationprocessingv1.PhaseCompleted))
		Expect(analysis.Status.Phase).To(Equal(aianalysisv1.PhaseCompleted))
	})

	It("is told why it may not have its workflow", func(ctx SpecContext) {
		p := newPlace(ctx, nil)
		install(ctx, scaleElsewhere("flow-refused", "FlowRefused", 1, "till"))
		cart, till := p.deploy(ctx, "cart"), p.deploy(ctx, "till")
		By("asking as somebody who may have cart remediated, and not till")
		alice, _ := p.user(ctx, "cart")
		b := builders.Request(p.namespace, "refused", "FlowRefused", cart.Target())
		Expect(alice.Create(ctx, b.RemediationRequest)).To(Succeed())
		awaitEnd(ctx, b.RemediationRequest)
		expectReason(b.RemediationRequest, remediationrequest.ReasonChildRefused, "till")
		expectAttempts(ctx, b.RemediationRequest, 1, 0)
		expectUntouched(ctx, cart)
		expectUntouched(ctx, till)
	})

	It("is told so, whoever refuses it", func(ctx SpecContext) {
		p := newPlace(ctx, map[string]string{"test.kubernaut.io/refuses": "analyses"})
		p.refuseAnalyses(ctx)
		cart := p.deploy(ctx, "cart")
		request := ask(ctx, builders.Request(p.namespace, "denied", "FlowRefusedAnalysis", cart.Target()))
		awaitEnd(ctx, request)
		expectReason(request, remediationrequest.ReasonChildRefused, "no analyses in this namespace")
		Expect(request.Status.RemediationProcessingRefs).To(HaveLen(1))
		Expect(request.Status.AIAnalysisRefs).To(BeEmpty())
		Expect(request.Status.WorkflowExecutionRefs).To(BeEmpty())
	})
})

func expectReason(request *remediationv1.RemediationRequest, reason, text string) {
	GinkgoHelper()
	escalated := meta.FindStatusCondition(request.Status.Conditions, remediationv1.ConditionEscalated)
	Expect(escalated).NotTo(BeNil(), "%v", request.Status.Conditions)
	Expect(escalated.Reason).To(Equal(reason), escalated.Message)
	Expect(request.Status.Outcome).To(Equal(remediationv1.OutcomeManualReviewRequired))
	Expect(request.Status.EscalationReason).To(ContainSubstring(text))
}

// refuseAnalyses has the API server refuse every AIAnalysis of a namespace, as a policy of the cluster's owners may.
func (p *place) refuseAnalyses(ctx context.Context) {
	GinkgoHelper()
	policy := &admissionregistrationv1.ValidatingAdmissionPolicy{ObjectMeta: metav1.ObjectMeta{Name: "flow-refuses-analyses"}}
	policy.Spec.FailurePolicy = new(admissionregistrationv1.Fail)
	creation := func(group, resource string) admissionregistrationv1.NamedRuleWithOperations {
		return admissionregistrationv1.NamedRuleWithOperations{RuleWithOperations: admissionregistrationv1.RuleWithOperations{
			Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create},
			Rule:       admissionregistrationv1.Rule{APIGroups: []string{group}, APIVersions: []string{"*"}, Resources: []string{resource}},
		}}
	}
	// ConfigMaps show that the API server has seen it, which takes a moment: nobody else refuses them.
	policy.Spec.MatchConstraints = &admissionregistrationv1.MatchResources{ResourceRules: []admissionregistrationv1.NamedRuleWithOperations{
		creation(aianalysisv1.GroupVersion.Group, "aianalyses"), creation(corev1.GroupName, "configmaps"),
	}}
	policy.Spec.Validations = []admissionregistrationv1.Validation{{Expression: "false", Message: "no analyses in this namespace"}}
	binding := &admissionregistrationv1.ValidatingAdmissionPolicyBinding{ObjectMeta: metav1.ObjectMeta{Name: policy.Name}}
	binding.Spec.PolicyName = policy.Name
	binding.Spec.ValidationActions = []admissionregistrationv1.ValidationAction{admissionregistrationv1.Deny}
	binding.Spec.MatchResources = &admissionregistrationv1.MatchResources{NamespaceSelector: &metav1.LabelSelector{
		MatchLabels: map[string]string{"test.kubernaut.io/refuses": "analyses"},
	}}
	for _, object := range []client.Object{policy, binding} {
		Expect(server.Admin.Create(ctx, object)).To(Succeed())
		DeferCleanup(func(ctx context.Context) { Expect(server.Admin.Delete(ctx, object)).To(Succeed()) })
	}
	Eventually(func(g Gomega) {
		probe := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: p.namespace, Name: "probe"}}
		g.Expect(server.Admin.Create(ctx, probe, client.DryRunAll)).To(MatchError(ContainSubstring("no analyses in this namespace")))
	}).WithTimeout(soon).WithPolling(poll).Should(Succeed())
}

// pager is a sink of notifications that can be out of order.
type pager struct {
	*httptest.Server
	mutex  sync.Mutex
	broken bool
	asked  int
	taken  []notification.Message
}

func newPager() *pager {
	GinkgoHelper()
	p := &pager{}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mutex.Lock()
		defer p.mutex.Unlock()
		p.asked++
		var message notification.Message
		if err := json.NewDecoder(r.Body).Decode(&message); err != nil || p.broken {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		p.taken = append(p.taken, message)
	}))
	DeferCleanup(p.Close)
	return p
}

func (p *pager) set(broken bool) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.broken = broken
}

func (p *pager) seen() (asked int, taken []notification.Message) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return p.asked, p.taken
}

// sink posts to what address a file has.
func sink(file, address string) *notification.Sink {
	GinkgoHelper()
	Expect(os.WriteFile(file, []byte(address+"/services/verysecret"), 0o600)).To(Succeed())
	s, err := notification.NewSink(notification.SinkOptions{URLFile: file})
	Expect(err).NotTo(HaveOccurred())
	return s
}

var _ = Describe("The notification of an escalation", func() {
	expectNotified := func(ctx context.Context, request *remediationv1.RemediationRequest, reason string) {
		GinkgoHelper()
		await(ctx, request, func(g Gomega) {
			notified := meta.FindStatusCondition(request.Status.Conditions, remediationv1.ConditionNotified)
			g.Expect(notified).NotTo(BeNil())
			g.Expect(notified.Reason).To(Equal(reason), notified.Message)
			g.Expect(notified.Message).NotTo(ContainSubstring("verysecret"))
		})
	}

	It("is posted once, and the request can be removed then", func(ctx SpecContext) {
		pager, file := newPager(), filepath.Join(GinkgoT().TempDir(), "url")
		p := newPlace(ctx, nil, func(o *cluster.ManagerOptions) { o.Notifications = sink(file, pager.URL) })
		cart := p.deploy(ctx, "cart")
		b := builders.Request(p.namespace, "told", "FlowTold", cart.Target())
		b.Spec.TTLAfterFinished = &metav1.Duration{}
		request := ask(ctx, b)
		Eventually(func() bool {
			return apierrors.IsNotFound(server.Admin.Get(ctx, client.ObjectKeyFromObject(request), request))
		}).WithTimeout(soon).WithPolling(poll).Should(BeTrue())
		_, taken := pager.seen()
		Expect(taken).To(ConsistOf(HaveField("Text", And(
			ContainSubstring("A person must go on with Deployment "+p.namespace+"/cart"), ContainSubstring("No playbook matches")))))
	})

	It("is posted after a restart when the sink is back, and holds up nothing meanwhile", func(ctx SpecContext) {
		pager, file := newPager(), filepath.Join(GinkgoT().TempDir(), "url")
		pager.set(true)
		p := newPlace(ctx, nil, func(o *cluster.ManagerOptions) { o.Notifications = sink(file, pager.URL) })
		cart := p.deploy(ctx, "cart")
		b := builders.Request(p.namespace, "later", "FlowToldLater", cart.Target())
		b.Spec.TTLAfterFinished = &metav1.Duration{}
		request := ask(ctx, b)
		expectNotified(ctx, request, remediationv1.ReasonDeliveryFails)
		expectEvents(ctx, request, remediationrequest.EventRemediationStarted, remediationrequest.EventRemediationFailed,
			remediationrequest.EventEscalatedToManualReview, notification.EventNotificationFailed)
		By("going on with others, while it is kept beyond its time to live")
		other := ask(ctx, builders.Request(p.namespace, "other", "FlowToldOther", cart.Target()))
		awaitEnd(ctx, other)
		By("restarting the manager")
		p.stop()
		pager.set(false)
		Expect(pager.seen()).NotTo(BeZero())
		p.start()
		Eventually(func(g Gomega) {
			_, taken := pager.seen()
			g.Expect(taken).To(HaveLen(2))
		}).WithTimeout(soon).WithPolling(poll).Should(Succeed())
		expectNotified(ctx, other, remediationv1.ReasonDelivered)
		Eventually(func() bool {
			return apierrors.IsNotFound(server.Admin.Get(ctx, client.ObjectKeyFromObject(request), request))
		}).WithTimeout(soon).WithPolling(poll).Should(BeTrue())
	})

	It("holds up no remediation while the sink hangs", func(ctx SpecContext) {
		hangs := make(chan struct{})
		slow := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hangs }))
		DeferCleanup(slow.Close)
		DeferCleanup(func() { close(hangs) })
		file := filepath.Join(GinkgoT().TempDir(), "url")
		p := newPlace(ctx, nil, func(o *cluster.ManagerOptions) { o.Notifications = sink(file, slow.URL) })
		cart := p.deploy(ctx, "cart")
		requests := make([]*remediationv1.RemediationRequest, 6)
		for i := range requests {
			requests[i] = ask(ctx, builders.Request(p.namespace, string(rune('a'+i)), "FlowHangs"+string(rune('A'+i)), cart.Target()))
		}
		for _, request := range requests {
			awaitEnd(ctx, request)
			expectNotified(ctx, request, remediationv1.ReasonNotificationPending)
		}
	})
})

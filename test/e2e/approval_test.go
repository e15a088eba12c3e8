package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubernetesexecutionv1 "kubernaut.io/kubernaut/api/kubernetesexecution/v1"
	safetyv1alpha1 "kubernaut.io/kubernaut/api/safety/v1alpha1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/test/builders"
	"kubernaut.io/kubernaut/test/invariants"
)

// approvers may decide in the namespace.
func approvers(ctx context.Context, ns string, names ...string) {
	GinkgoHelper()
	for _, name := range names {
		grant(ctx, name, ns, rbacv1.PolicyRule{
			APIGroups: []string{"safety.kubernaut.io"}, Resources: []string{"approvalrequests"}, Verbs: []string{"approve", "get", "list", "patch"},
		})
	}
}

// decide adds a decision to a request, as kubectl patch would.
func decide(ctx context.Context, who string, request *safetyv1alpha1.ApprovalRequest, decision safetyv1alpha1.DecisionKind) error {
	patch := fmt.Sprintf(`[{"op":"add","path":"/spec/decisions/-","value":{"decision":%q,"reason":"I looked at it"}}]`, decision)
	return as(who).Patch(ctx, &safetyv1alpha1.ApprovalRequest{ObjectMeta: metav1.ObjectMeta{Namespace: request.Namespace, Name: request.Name}},
		client.RawPatch(types.JSONPatchType, []byte(patch)))
}

// asksPolicy is a policy that wants every step on a target in the namespace approved, and its rules in Rego.
func asksPolicy(ctx context.Context, ns string, rules ...string) *safetyv1alpha1.SafetyPolicy {
	GinkgoHelper()
	policy := &safetyv1alpha1.SafetyPolicy{ObjectMeta: metav1.ObjectMeta{Name: "ask-" + ns}}
	policy.Spec.Source.Rego = regoOf(policy.Name, rules...)
	policy.Spec.Match = &safetyv1alpha1.PolicyMatch{NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: ns}}}
	Expect(cluster.Create(ctx, policy)).To(Succeed())
	DeferCleanup(func(ctx context.Context) { Expect(client.IgnoreNotFound(cluster.Delete(ctx, policy))).To(Succeed()) })
	awaitActive(ctx, policy)
	return policy
}

func regoOf(name string, rules ...string) string {
	return "package kubernaut.safety." + strings.ReplaceAll(name, "-", "_") + "\n\n" + strings.Join(rules, "\n\n") + "\n"
}

func asksFor(code string, approvers int) string {
	return fmt.Sprintf(`require_approval contains {"code": %q, "msg": "people look at %s first", "approvers": %d} if true`, code, code, approvers)
}

func awaitActive(ctx context.Context, policy *safetyv1alpha1.SafetyPolicy) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		g.Expect(cluster.Get(ctx, client.ObjectKeyFromObject(policy), policy)).To(Succeed())
		active := meta.FindStatusCondition(policy.Status.Conditions, safetyv1alpha1.ConditionActive)
		g.Expect(active).NotTo(BeNil())
		g.Expect(*active).To(And(HaveField("Status", metav1.ConditionTrue), HaveField("ObservedGeneration", policy.Generation)), "%v", policy.Status.Conditions)
	}).WithTimeout(rolloutTimeout).WithPolling(poll).Should(Succeed())
}

// awaitRequest waits until a workflow waits for its nth ApprovalRequest, and returns that, pending.
func awaitRequest(ctx context.Context, workflow *workflowexecutionv1.WorkflowExecution, n int32) *safetyv1alpha1.ApprovalRequest {
	GinkgoHelper()
	request := &safetyv1alpha1.ApprovalRequest{}
	awaitWorkflow(ctx, workflow, func(g Gomega) {
		g.Expect(workflow.Status.ApprovalRequestRef).To(Equal(shared.ApprovalName(workflow.Name, n)), "%v", workflow.Status.Conditions)
		g.Expect(workflow.Status.WaitingSince).NotTo(BeNil())
		g.Expect(cluster.Get(ctx, client.ObjectKey{Namespace: workflow.Namespace, Name: workflow.Status.ApprovalRequestRef}, request)).To(Succeed())
		g.Expect(invariants.Check(request)).To(Succeed())
		g.Expect(request.Status.Phase).To(Equal(safetyv1alpha1.PhasePending))
	})
	return request
}

func awaitRequestPhase(ctx context.Context, request *safetyv1alpha1.ApprovalRequest, phase safetyv1alpha1.ApprovalPhase) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		g.Expect(cluster.Get(ctx, client.ObjectKeyFromObject(request), request)).To(Succeed())
		g.Expect(invariants.Check(request)).To(Succeed())
		g.Expect(request.Status.Phase).To(Equal(phase))
	}).WithTimeout(workflowTimeout).WithPolling(poll).Should(Succeed())
}

// asking is a workflow that scales cart to n, and needs an approval by its strategy.
func asking(ns string, n int32) builders.WorkflowBuilder {
	b := builders.Workflow(ns, "w", builders.Scale("up", ns, "cart", n).Step)
	b.Spec.ExecutionStrategy = &shared.ExecutionStrategy{ApprovalRequired: new(true)}
	return b
}

func approvedCondition(workflow *workflowexecutionv1.WorkflowExecution) metav1.Condition {
	GinkgoHelper()
	condition := meta.FindStatusCondition(workflow.Status.Conditions, workflowexecutionv1.ConditionApproved)
	Expect(condition).NotTo(BeNil())
	return *condition
}

var _ = Describe("An approval", func() {
	It("is waited for when the strategy asks for it, without locks, and lets the workflow run when somebody gives it", func(ctx SpecContext) {
		ns := namespace(ctx, nil)
		rolledOut(ctx, builders.Deployment(ns, "cart", goodImage))
		approvers(ctx, ns, "bob")
		workflow := startWorkflow(ctx, asking(ns, 2))
		request := awaitRequest(ctx, workflow, 1)
		Expect(request.Spec.Summary).To(ConsistOf(safetyv1alpha1.SummaryEntry{
			Step: "up", Target: &shared.Target{APIVersion: "apps/v1", Kind: "Deployment", Namespace: ns, Name: "cart"}, Field: "/spec/replicas", Before: "1", After: "2",
		}))
		Expect(request.Spec.RequiredApprovals).To(Equal(int32(1)))
		Expect(request.Spec.RequestedBy).To(Equal(workflow.Spec.RequestedBy))
		Expect(request.Spec.PlanDigest).To(Equal(workflow.Status.Plan.Digest))
		Expect(request.Spec.SummaryDigest).To(Equal(workflow.Status.Validation.SummaryDigest))
		Expect(approvedCondition(workflow)).To(And(HaveField("Status", metav1.ConditionFalse), HaveField("Reason", "AwaitingApproval")))
		expectNoExecution(ctx, ns)
		Expect(locksOf(ctx, workflow)).To(BeEmpty())
		expectEventsIn(ctx, ns, "ApprovalRequested")

		Expect(decide(ctx, "bob", request, safetyv1alpha1.DecisionApproved)).To(Succeed())
		awaitWorkflowEnd(ctx, workflow)
		Expect(workflow.Status.Outcome).To(Equal(workflowexecutionv1.OutcomeSuccess), workflow.Status.FailureReason)
		Expect(approvedCondition(workflow)).To(And(HaveField("Status", metav1.ConditionTrue), HaveField("Message", ContainSubstring("approved by bob"))))
		Expect(effectsOn(ns, "cart")).To(HaveLen(1))
		awaitRequestPhase(ctx, request, safetyv1alpha1.PhaseApproved)
		Expect(request.Spec.Decisions).To(ConsistOf(And(HaveField("By", "bob"), HaveField("At", Not(BeNil())), HaveField("Reason", "I looked at it"))))
		expectEventsIn(ctx, ns, "Approved")
		Expect(writersOf(ns, "approvalrequests", "status", "update", "patch")).To(Equal([]string{"workflowexecution-controller"}))
		Expect(writersOf(ns, "approvalrequests", "", "create")).To(Equal([]string{"workflowexecution-controller"}))
	})

	It("takes as many people as a policy asks for, none of them who asked for the workflow", func(ctx SpecContext) {
		ns := namespace(ctx, nil)
		rolledOut(ctx, builders.Deployment(ns, "cart", goodImage))
		approvers(ctx, ns, "bob", "dave", "erin")
		grant(ctx, "erin", ns, mayStart())
		grant(ctx, "erin", ns, mayRepair())
		asksPolicy(ctx, ns, asksFor("risky", 2))
		b := builders.Workflow(ns, "w", builders.Scale("up", ns, "cart", 2).Step)
		Expect(as("erin").Create(ctx, b.WorkflowExecution)).To(Succeed())
		workflow := b.WorkflowExecution
		request := awaitRequest(ctx, workflow, 1)
		Expect(request.Spec.RequiredApprovals).To(Equal(int32(2)))
		Expect(request.Spec.Reasons).To(ConsistOf(And(HaveField("Code", "risky"), HaveField("Message", "people look at risky first"))))

		Expect(decide(ctx, "erin", request, safetyv1alpha1.DecisionApproved)).To(MatchError(ContainSubstring("erin asked for what this request is about, and somebody else decides")))
		Expect(decide(ctx, "bob", request, safetyv1alpha1.DecisionApproved)).To(Succeed())
		Expect(decide(ctx, "bob", request, safetyv1alpha1.DecisionApproved)).To(MatchError(ContainSubstring("bob has decided already")))
		Eventually(func(g Gomega) {
			g.Expect(cluster.Get(ctx, client.ObjectKeyFromObject(request), request)).To(Succeed())
			g.Expect(request.Status.Approvals).To(Equal(int32(1)))
		}).WithTimeout(workflowTimeout).WithPolling(poll).Should(Succeed())
		Expect(request.Status.Phase).To(Equal(safetyv1alpha1.PhasePending))
		expectNoExecution(ctx, ns)

		Expect(decide(ctx, "dave", request, safetyv1alpha1.DecisionApproved)).To(Succeed())
		awaitWorkflowEnd(ctx, workflow)
		Expect(workflow.Status.Outcome).To(Equal(workflowexecutionv1.OutcomeSuccess), workflow.Status.FailureReason)
		var execution kubernetesexecutionv1.KubernetesExecution
		Expect(cluster.Get(ctx, client.ObjectKey{Namespace: ns, Name: "w-s0-a1"}, &execution)).To(Succeed())
		Expect(execution.Status.Decision.Verdict).To(Equal(shared.VerdictRequireApproval))
	})

	It("is not given by who may not approve in the namespace of a target", func(ctx SpecContext) {
		ns, other := namespace(ctx, nil), namespace(ctx, nil)
		rolledOut(ctx, builders.Deployment(ns, "cart", goodImage))
		rolledOut(ctx, builders.Deployment(other, "cart", goodImage))
		approvers(ctx, ns, "bob")
		b := builders.Workflow(ns, "w", builders.Scale("here", ns, "cart", 2).Step, builders.Scale("there", other, "cart", 2).Step)
		b.Spec.ExecutionStrategy = &shared.ExecutionStrategy{ApprovalRequired: new(true)}
		workflow := startWorkflow(ctx, b)
		request := awaitRequest(ctx, workflow, 1)
		Expect(decide(ctx, "bob", request, safetyv1alpha1.DecisionApproved)).
			To(MatchError(ContainSubstring("bob may not approve approvalrequests.safety.kubernaut.io in namespace " + other)))
		approvers(ctx, other, "bob")
		Expect(decide(ctx, "bob", request, safetyv1alpha1.DecisionApproved)).To(Succeed())
		awaitWorkflowEnd(ctx, workflow)
		Expect(workflow.Status.Outcome).To(Equal(workflowexecutionv1.OutcomeSuccess), workflow.Status.FailureReason)
	})

	It("that is refused fails the workflow, whoever else approves", func(ctx SpecContext) {
		ns := namespace(ctx, nil)
		rolledOut(ctx, builders.Deployment(ns, "cart", goodImage))
		approvers(ctx, ns, "bob", "dave")
		workflow := startWorkflow(ctx, asking(ns, 2))
		request := awaitRequest(ctx, workflow, 1)
		Expect(decide(ctx, "bob", request, safetyv1alpha1.DecisionRejected)).To(Succeed())
		awaitWorkflowEnd(ctx, workflow)
		Expect(workflow.Status.ErrorType).To(Equal(shared.ErrorApprovalRejected))
		Expect(workflow.Status.FailureReason).To(ContainSubstring("bob rejected it: I looked at it"))
		awaitRequestPhase(ctx, request, safetyv1alpha1.PhaseRejected)
		Expect(decide(ctx, "dave", request, safetyv1alpha1.DecisionApproved)).To(MatchError(ContainSubstring("this request is rejected and takes no decisions any more")))
		expectNoExecution(ctx, ns)
	})

	It("that nobody gives in time fails the workflow", func(ctx SpecContext) {
		ns := namespace(ctx, nil)
		rolledOut(ctx, builders.Deployment(ns, "cart", goodImage))
		b := asking(ns, 2)
		b.Spec.Timeouts = &workflowexecutionv1.WorkflowTimeouts{Approval: &metav1.Duration{Duration: 3 * time.Second}}
		workflow := runWorkflow(ctx, b)
		Expect(workflow.Status.ErrorType).To(Equal(shared.ErrorApprovalExpired), workflow.Status.FailureReason)
		request := &safetyv1alpha1.ApprovalRequest{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: workflow.Status.ApprovalRequestRef}}
		awaitRequestPhase(ctx, request, safetyv1alpha1.PhaseExpired)
		expectNoExecution(ctx, ns)
	})

	It("is asked for again, and the old request void, when the policies have other reasons", func(ctx SpecContext) {
		ns := namespace(ctx, nil)
		rolledOut(ctx, builders.Deployment(ns, "cart", goodImage))
		approvers(ctx, ns, "bob")
		policy := asksPolicy(ctx, ns, asksFor("risky", 1))
		workflow := startWorkflow(ctx, builders.Workflow(ns, "w", builders.Scale("up", ns, "cart", 2).Step))
		first := awaitRequest(ctx, workflow, 1)
		policy.Spec.Source.Rego = regoOf(policy.Name, asksFor("risky", 1), asksFor("riskier", 1))
		Expect(cluster.Update(ctx, policy)).To(Succeed())
		awaitActive(ctx, policy)

		second := awaitRequest(ctx, workflow, 2)
		Expect(second.Spec.Reasons).To(HaveLen(2))
		awaitRequestPhase(ctx, first, safetyv1alpha1.PhaseVoid)
		Expect(decide(ctx, "bob", first, safetyv1alpha1.DecisionApproved)).To(MatchError(ContainSubstring("this request is void")))
		expectNoExecution(ctx, ns)

		By("going on when no policy asks any more")
		Expect(cluster.Delete(ctx, policy)).To(Succeed())
		awaitWorkflowEnd(ctx, workflow)
		Expect(workflow.Status.Outcome).To(Equal(workflowexecutionv1.OutcomeSuccess), workflow.Status.FailureReason)
		awaitRequestPhase(ctx, second, safetyv1alpha1.PhaseVoid)
	})

	It("is asked for again when the target has moved, and is not when only its status has", func(ctx SpecContext) {
		ns := namespace(ctx, nil)
		cart := rolledOut(ctx, builders.Deployment(ns, "cart", goodImage))
		approvers(ctx, ns, "bob")
		workflow := startWorkflow(ctx, asking(ns, 3))
		first := awaitRequest(ctx, workflow, 1)
		Expect(first.Spec.Summary[0].Before).To(Equal("1"))
		change(ctx, cart, func() { cart.Spec.Replicas = new(int32(2)) })
		second := awaitRequest(ctx, workflow, 2)
		Expect(second.Spec.Summary[0].Before).To(Equal("2"))
		awaitRequestPhase(ctx, first, safetyv1alpha1.PhaseVoid)
		Expect(decide(ctx, "bob", second, safetyv1alpha1.DecisionApproved)).To(Succeed())
		awaitWorkflowEnd(ctx, workflow)
		Expect(workflow.Status.Outcome).To(Equal(workflowexecutionv1.OutcomeSuccess), workflow.Status.FailureReason)
		Expect(workflow.Status.ApprovalRequests).To(Equal(int32(2)))
	})

	It("given for one change lets no other happen: the target changes after it", func(ctx SpecContext) {
		ns := namespace(ctx, nil)
		cart := rolledOut(ctx, builders.Deployment(ns, "cart", goodImage))
		approvers(ctx, ns, "bob")
		workflow := startWorkflow(ctx, asking(ns, 3))
		first := awaitRequest(ctx, workflow, 1)
		edit(ctx, workflow, func(s *workflowexecutionv1.WorkflowExecutionSpec) { s.Suspend = new(true) })
		awaitWorkflow(ctx, workflow, func(g Gomega) {
			g.Expect(meta.IsStatusConditionTrue(workflow.Status.Conditions, workflowexecutionv1.ConditionSuspended)).To(BeTrue())
		})
		Expect(decide(ctx, "bob", first, safetyv1alpha1.DecisionApproved)).To(Succeed())
		awaitRequestPhase(ctx, first, safetyv1alpha1.PhaseApproved)
		change(ctx, cart, func() { cart.Spec.Replicas = new(int32(2)) })
		edit(ctx, workflow, func(s *workflowexecutionv1.WorkflowExecutionSpec) { s.Suspend = nil })

		awaitRequest(ctx, workflow, 2)
		awaitRequestPhase(ctx, first, safetyv1alpha1.PhaseVoid)
		expectNoExecution(ctx, ns)
		Expect(effectsOn(ns, "cart")).To(BeEmpty())
	})

	It("does not cover what a policy objects to only just before the step", func(ctx SpecContext) {
		ns := namespace(ctx, nil)
		rolledOut(ctx, builders.Deployment(ns, "cart", goodImage))
		approvers(ctx, ns, "bob")
		asksPolicy(ctx, ns, asksFor("risky", 1), `require_approval contains {"code": "surprise", "msg": "not seen before"} if input.stage == "step"`)
		workflow := startWorkflow(ctx, builders.Workflow(ns, "w", builders.Scale("up", ns, "cart", 2).Step))
		Expect(decide(ctx, "bob", awaitRequest(ctx, workflow, 1), safetyv1alpha1.DecisionApproved)).To(Succeed())
		awaitWorkflowEnd(ctx, workflow)
		Expect(workflow.Status.ErrorType).To(Equal(shared.ErrorPolicyDenied))
		var execution kubernetesexecutionv1.KubernetesExecution
		Expect(cluster.Get(ctx, client.ObjectKey{Namespace: ns, Name: "w-s0-a1"}, &execution)).To(Succeed())
		validated := meta.FindStatusCondition(execution.Status.Conditions, kubernetesexecutionv1.ConditionValidated)
		Expect(validated).NotTo(BeNil())
		Expect(validated.Reason).To(Equal("ApprovalNotCovered"))
		Expect(execution.Status.ErrorMessage).To(ContainSubstring("it does not name the reason"))
		Expect(effectsOn(ns, "cart")).To(BeEmpty())
	})

	It("fails the workflow when an object of another has the name of its request", func(ctx SpecContext) {
		ns := namespace(ctx, nil)
		rolledOut(ctx, builders.Deployment(ns, "cart", goodImage))
		workflow := startWorkflow(ctx, asking(ns, 2))
		awaitRequest(ctx, workflow, 1)
		By("making a workflow of the same name anew, while the request of the first is kept")
		request := &safetyv1alpha1.ApprovalRequest{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: workflow.Status.ApprovalRequestRef}}
		finalizer := func(ctx context.Context, text string) {
			Expect(cluster.Patch(ctx, request, client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":`+text+`}}`)))).To(Succeed())
		}
		finalizer(ctx, `["e2e.kubernaut.io/keep"]`)
		DeferCleanup(func(ctx context.Context) { finalizer(ctx, `null`) })
		Expect(cluster.Delete(ctx, workflow)).To(Succeed())
		Eventually(func(g Gomega) {
			g.Expect(client.IgnoreNotFound(cluster.Get(ctx, client.ObjectKeyFromObject(workflow), workflow))).To(Succeed())
			g.Expect(cluster.Create(ctx, asking(ns, 2).WorkflowExecution)).To(Succeed())
		}).WithTimeout(workflowTimeout).WithPolling(poll).Should(Succeed())
		awaitWorkflowEnd(ctx, workflow)
		Expect(workflow.Status.ErrorType).To(Equal(shared.ErrorResourceConflict), workflow.Status.FailureReason)
		Expect(workflow.Status.FailureReason).To(ContainSubstring("ApprovalRequest w-approval-1 exists and its controller is WorkflowExecution w with UID"))
	})
})

var _ = Describe("Who decides at a terminal", func() {
	kubernaut := func(ctx context.Context, as string, args ...string) (string, error) {
		command := exec.CommandContext(ctx, filepath.Join(os.Getenv("KUBERNAUT_BIN"), "kubernaut"),
			append(args, "--kubeconfig", filepath.Join(clusterDir, "kubeconfig"), "--as", as)...)
		output, err := command.CombinedOutput()
		return string(output), err
	}

	It("sees what waits and what it would change, and approves it", func(ctx SpecContext) {
		ns := namespace(ctx, nil)
		rolledOut(ctx, builders.Deployment(ns, "cart", goodImage))
		approvers(ctx, ns, "bob")
		workflow := startWorkflow(ctx, asking(ns, 2))
		request := awaitRequest(ctx, workflow, 1)
		table, err := kubernaut(ctx, "bob", "approvals", "-n", ns)
		Expect(err).NotTo(HaveOccurred(), table)
		for _, want := range []string{"w-approval-1", workflow.Spec.RequestedBy.Username, "0/1", "up", "Deployment " + ns + "/cart", "/spec/replicas: 1 → 2"} {
			Expect(table).To(ContainSubstring(want))
		}
		names, err := kubernaut(ctx, "bob", "approvals", "-n", ns, "-o", "name")
		Expect(err).NotTo(HaveOccurred(), names)
		Expect(strings.TrimSpace(names)).To(Equal("approvalrequest.safety.kubernaut.io/w-approval-1"))

		text, err := kubernaut(ctx, "bob", "approve", "w-aproval-1", "-n", ns, "--reason", "fine")
		Expect(err).To(HaveOccurred())
		Expect(text).To(ContainSubstring("w-approval-1"), "the nearest name is told")
		text, err = kubernaut(ctx, "bob", "approve", "w-approval-1", "-n", ns, "--reason", "fine")
		Expect(err).NotTo(HaveOccurred(), text)
		Expect(text).To(ContainSubstring("apr/w-approval-1 is approved: workflow w goes on"))
		awaitWorkflowEnd(ctx, workflow)
		Expect(workflow.Status.Outcome).To(Equal(workflowexecutionv1.OutcomeSuccess), workflow.Status.FailureReason)
		Expect(cluster.Get(ctx, client.ObjectKeyFromObject(request), request)).To(Succeed())
		Expect(request.Spec.Decisions).To(ConsistOf(And(HaveField("By", "bob"), HaveField("Reason", "fine"))))
		nothing, err := kubernaut(ctx, "bob", "approvals", "-n", ns)
		Expect(err).NotTo(HaveOccurred(), nothing)
		Expect(nothing).To(ContainSubstring("Nothing waits for an approval in namespace " + ns))
	})

	It("rejects, and is told why not when that is for others", func(ctx SpecContext) {
		ns := namespace(ctx, nil)
		rolledOut(ctx, builders.Deployment(ns, "cart", goodImage))
		approvers(ctx, ns, "bob")
		grant(ctx, "frank", ns, rbacv1.PolicyRule{APIGroups: []string{"safety.kubernaut.io"}, Resources: []string{"approvalrequests"}, Verbs: []string{"get", "list", "patch"}})
		workflow := startWorkflow(ctx, asking(ns, 2))
		awaitRequest(ctx, workflow, 1)
		text, err := kubernaut(ctx, "frank", "reject", "apr/w-approval-1", "-n", ns, "--reason", "no")
		Expect(err).To(HaveOccurred())
		Expect(text).To(ContainSubstring("frank may not approve approvalrequests.safety.kubernaut.io in namespace " + ns))
		text, err = kubernaut(ctx, "bob", "reject", "apr/w-approval-1", "-n", ns, "--reason", "no")
		Expect(err).NotTo(HaveOccurred(), text)
		Expect(text).To(ContainSubstring("is rejected: workflow w fails"))
		awaitWorkflowEnd(ctx, workflow)
		Expect(workflow.Status.ErrorType).To(Equal(shared.ErrorApprovalRejected))
	})
})

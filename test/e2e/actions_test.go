package e2e

import (
	"context"
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	safetyv1alpha1 "kubernaut.io/kubernaut/api/safety/v1alpha1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/test/builders"
)

var _ = Describe("Restarting", func() {
	It("replaces the pods of three Deployments, two at a time, each once", func(ctx SpecContext) {
		ns := namespace(ctx, nil)
		before := map[*appsv1.Deployment]types.UID{}
		var steps []shared.Step
		for _, name := range []string{"cart", "pay", "ship"} {
			deployment := rolledOut(ctx, builders.Deployment(ns, name, goodImage))
			before[deployment] = podsOf(ctx, deployment)[0].UID
			steps = append(steps, builders.Restart("restart-"+name, ns, name).Step)
		}
		workflow := runWorkflow(ctx, builders.Workflow(ns, "w", steps...).Parallel(2))
		Expect(workflow.Status.Outcome).To(Equal(workflowexecutionv1.OutcomeSuccess), workflow.Status.FailureReason)
		Expect(workflow.Status.Plan.Batches).To(Equal([]workflowexecutionv1.Batch{{0, 1}, {2}}))
		first := []time.Time{workflow.Status.Steps[0].CompletionTime.Time, workflow.Status.Steps[1].CompletionTime.Time}
		Expect(workflow.Status.Steps[2].StartTime.Time).To(Or(BeTemporally(">=", first[0]), BeTemporally(">=", first[1])))
		for deployment, pod := range before {
			Expect(effectsOn(ns, deployment.Name)).To(HaveExactElements(HaveField("User", "action-restart-deployment")))
			Eventually(func() []corev1.Pod { return podsOf(ctx, deployment) }).WithTimeout(rolloutTimeout).WithPolling(poll).
				Should(ConsistOf(And(HaveField("UID", Not(Equal(pod))), HaveField("Spec.Containers", HaveExactElements(HaveField("Image", goodImage))))))
		}
	})

	It("of a pod cannot be undone, so people approve it, and its workload is watched", func(ctx SpecContext) {
		ns := namespace(ctx, nil)
		cart := rolledOut(ctx, builders.Deployment(ns, "cart", goodImage).Replicas(2))
		pods := podsOf(ctx, cart)
		pod, other := pods[0], pods[1]
		approvers(ctx, ns, "bob")
		workflow := startWorkflow(ctx, builders.Workflow(ns, "w", builders.RestartPod("restart", ns, pod.Name).Step))
		request := awaitRequest(ctx, workflow, 1)
		Expect(request.Spec.Reasons).To(ConsistOf(And(HaveField("Policy", "irreversible"), HaveField("Code", "irreversible"))))
		Expect(podsOf(ctx, cart)).To(ContainElement(HaveField("UID", pod.UID)))
		Expect(decide(ctx, "bob", request, safetyv1alpha1.DecisionApproved)).To(Succeed())
		awaitWorkflowEnd(ctx, workflow)
		Expect(workflow.Status.Outcome).To(Equal(workflowexecutionv1.OutcomeSuccess), workflow.Status.FailureReason)
		Expect(workflow.Status.Plan.Targets[0].Watched().String()).To(Equal("Deployment " + ns + "/cart"))
		Expect(podsOf(ctx, cart)).To(ConsistOf(HaveField("UID", other.UID), HaveField("UID", Not(Or(Equal(pod.UID), Equal(other.UID))))))
	})
})

// nodes are the nodes of the cluster.
func nodes(ctx context.Context) []corev1.Node {
	GinkgoHelper()
	var list corev1.NodeList
	Expect(cluster.List(ctx, &list)).To(Succeed())
	return list.Items
}

// closed sets whether a node takes new pods, as an admin does.
func closed(ctx context.Context, name string, unschedulable bool) {
	GinkgoHelper()
	patch := fmt.Appendf(nil, `{"spec": {"unschedulable": %t}}`, unschedulable)
	Expect(cluster.Patch(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}, client.RawPatch("application/merge-patch+json", patch))).To(Succeed())
}

func isClosed(ctx context.Context, name string) bool {
	GinkgoHelper()
	var node corev1.Node
	Expect(cluster.Get(ctx, client.ObjectKey{Name: name}, &node)).To(Succeed())
	return node.Spec.Unschedulable
}

var _ = Describe("Nodes", func() {
	var names []string
	BeforeEach(func(ctx SpecContext) {
		names = nil
		for _, node := range nodes(ctx) {
			Expect(node.Spec.Unschedulable).To(BeFalse(), node.Name)
			names = append(names, node.Name)
		}
		Expect(len(names)).To(BeNumerically(">=", 3))
		DeferCleanup(func(ctx SpecContext) {
			for _, name := range names {
				closed(ctx, name, false)
			}
		})
	})

	It("are cordoned, and uncordoned again when the workflow fails", func(ctx SpecContext) {
		ns := namespace(ctx, nil)
		rolledOut(ctx, builders.Deployment(ns, "cart", goodImage))
		workflow := startWorkflow(ctx, builders.Workflow(ns, "w",
			builders.Cordon("close", names[0]).Step,
			builders.UpdateImage("image", ns, "cart", badImage).After("close").Step,
		).MonitoringTimeout(5*time.Second))
		awaitPhase(ctx, workflow, workflowexecutionv1.PhaseMonitoring)
		Expect(isClosed(ctx, names[0])).To(BeTrue())
		awaitWorkflowEnd(ctx, workflow)
		Expect(workflow.Status.Outcome).To(Equal(workflowexecutionv1.OutcomeRolledBack), "%v", workflow.Status.Conditions)
		Expect(isClosed(ctx, names[0])).To(BeFalse())
		expectUndone(ctx, ns, "w-s0-r1")
	})

	It("are opened and closed by one workflow at a time", func(ctx SpecContext) {
		ns := namespace(ctx, nil)
		b := builders.Workflow(ns, "first", builders.Cordon("close", names[0]).Step)
		b.Spec.StabilizationWindow = &metav1.Duration{Duration: time.Minute}
		first := startWorkflow(ctx, b)
		awaitPhase(ctx, first, workflowexecutionv1.PhaseMonitoring)
		Expect(locksOf(ctx, first)).To(HaveLen(2), "the node and all nodes")

		second := startWorkflow(ctx, builders.Workflow(ns, "second", builders.Cordon("close", names[1]).Step))
		awaitWorkflow(ctx, second, func(g Gomega) {
			condition := meta.FindStatusCondition(second.Status.Conditions, workflowexecutionv1.ConditionTargetsLocked)
			g.Expect(condition).NotTo(BeNil())
			g.Expect(condition.Message).To(And(ContainSubstring("scope nodes"), ContainSubstring("WorkflowExecution "+ns+"/first")))
		})
		Expect(isClosed(ctx, names[1])).To(BeFalse())
		edit(ctx, first, func(s *workflowexecutionv1.WorkflowExecutionSpec) {
			s.Cancel = workflowexecutionv1.CancelAbortAndRollBack
		})
		awaitWorkflowEnd(ctx, first)
		awaitWorkflowEnd(ctx, second)
		Expect(second.Status.Outcome).To(Equal(workflowexecutionv1.OutcomeSuccess), second.Status.FailureReason)
		Expect(isClosed(ctx, names[0])).To(BeFalse())
		Expect(isClosed(ctx, names[1])).To(BeTrue())

		By("opening it by an action of its own")
		third := runWorkflow(ctx, builders.Workflow(ns, "third", builders.Uncordon("open", names[1]).Step))
		Expect(third.Status.Outcome).To(Equal(workflowexecutionv1.OutcomeSuccess), third.Status.FailureReason)
		Expect(isClosed(ctx, names[1])).To(BeFalse())
	})

	It("are not closed down to the last", func(ctx SpecContext) {
		ns := namespace(ctx, nil)
		for _, name := range names[1:] {
			closed(ctx, name, true)
		}
		workflow := runWorkflow(ctx, builders.Workflow(ns, "w", builders.Cordon("close", names[0]).Step))
		Expect(workflow.Status.ErrorType).To(Equal(shared.ErrorPolicyDenied))
		Expect(workflow.Status.Validation.Decisions[0].Rules[0]).To(And(HaveField("Policy", "nodes"), HaveField("Code", "last_schedulable_node")))
		expectNoExecution(ctx, ns)
		Expect(isClosed(ctx, names[0])).To(BeFalse())
	})

	It("are not changed for who may not change them", func(ctx SpecContext) {
		ns := namespace(ctx, nil)
		grant(ctx, "jane", ns, rbacv1.PolicyRule{
			APIGroups: []string{workflowexecutionv1.GroupVersion.Group}, Resources: []string{"workflowexecutions"}, Verbs: []string{"create"},
		})
		err := as("jane").Create(ctx, builders.Workflow(ns, "w", builders.Cordon("close", names[0]).Step).WorkflowExecution)
		Expect(apierrors.IsForbidden(err) || apierrors.IsInvalid(err)).To(BeTrue(), "%v", err)
		Expect(err).To(MatchError(ContainSubstring("jane may not patch nodes " + names[0])))
	})
})

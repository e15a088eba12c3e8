package workflow

import (
	"context"
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubernetesexecutionv1 "kubernaut.io/kubernaut/api/kubernetesexecution/v1"
	safetyv1alpha1 "kubernaut.io/kubernaut/api/safety/v1alpha1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/controllers/workflowexecution"
	"kubernaut.io/kubernaut/test/builders"
)

const (
	validating  = workflowexecutionv1.PhaseValidating
	executing   = workflowexecutionv1.PhaseExecuting
	monitoring  = workflowexecutionv1.PhaseMonitoring
	rollingBack = workflowexecutionv1.PhaseRollingBack
	completed   = workflowexecutionv1.PhaseCompleted
	failed      = workflowexecutionv1.PhaseFailed
)

// reasonOf is the reason of a condition; empty without it.
func reasonOf(workflow *workflowexecutionv1.WorkflowExecution, condition string) string {
	if found := meta.FindStatusCondition(workflow.Status.Conditions, condition); found != nil {
		return found.Reason
	}
	return ""
}

func messageOf(workflow *workflowexecutionv1.WorkflowExecution, condition string) string {
	if found := meta.FindStatusCondition(workflow.Status.Conditions, condition); found != nil {
		return found.Message
	}
	return ""
}

func stepPhases(workflow *workflowexecutionv1.WorkflowExecution) []workflowexecutionv1.StepPhase {
	phases := make([]workflowexecutionv1.StepPhase, len(workflow.Status.Steps))
	for i, step := range workflow.Status.Steps {
		phases[i] = step.Phase
	}
	return phases
}

// within gives a step a time-out, and tries it again so many times.
func within(step shared.Step, limit time.Duration, retries int32) shared.Step {
	step.Timeout, step.MaxRetries = &metav1.Duration{Duration: limit}, &retries
	return step
}

var _ = Describe("A workflow", func() {
	It("is planned, validated, run and watched, and ends in success", func(ctx SpecContext) {
		ns := namespace(ctx, nil)
		cart := rolledOut(ctx, ns, "cart")
		workflow := run(ctx, builders.Workflow(ns, "w",
			builders.Scale("up", ns, "cart", 3).Step, builders.UpdateImage("image", ns, "cart", newImage).After("up").Step))
		Expect(workflow.Status.Outcome).To(Equal(workflowexecutionv1.OutcomeSuccess), workflow.Status.FailureReason)
		expectPath(workflow, validating, executing, monitoring, completed)

		By("saying what was planned, tried and judged")
		plan := workflow.Status.Plan
		Expect(plan.Strategy).To(Equal(workflowexecutionv1.StrategySequential))
		Expect(plan.Batches).To(Equal([]workflowexecutionv1.Batch{{0}, {1}}))
		Expect(plan.CriticalPath).To(Equal([]int32{0, 1}))
		Expect(plan.Targets).To(ConsistOf(And(HaveField("Name", "cart"), HaveField("UID", string(cart.UID)), HaveField("Steps", []int32{0, 1}))))
		Expect(workflow.Status.Validation.Verdict).To(Equal(shared.VerdictAllow))
		Expect(workflow.Status.Validation.DryRun).To(HaveLen(2))
		for _, condition := range []string{workflowexecutionv1.ConditionPlanned, workflowexecutionv1.ConditionValidated, workflowexecutionv1.ConditionExecuted, workflowexecutionv1.ConditionVerified} {
			Expect(meta.IsStatusConditionTrue(workflow.Status.Conditions, condition)).To(BeTrue(), condition)
		}
		Expect(reasonOf(workflow, workflowexecutionv1.ConditionTargetsLocked)).To(Equal(workflowexecution.ReasonReleased))

		By("making one child for each step, named and marked as specified")
		Expect(executionsIn(ctx, ns)).To(ConsistOf("w-s0-a1", "w-s1-a1"))
		second := executionOf(ctx, ns, "w-s1-a1")
		Expect(second.Labels).To(And(HaveKeyWithValue(shared.LabelWorkflowExecution, "w"), HaveKeyWithValue(shared.LabelStep, "1")))
		Expect(metav1.IsControlledBy(second, workflow)).To(BeTrue())
		Expect(second.Spec.PlanDigest).To(Equal(plan.Digest))
		Expect(second.Spec.ExpectedTarget.Generation).To(Equal(workflow.Status.Steps[0].ResultingGeneration), "the own earlier step is no drift")

		By("doing it, and telling of it")
		Expect(admin.Get(ctx, client.ObjectKeyFromObject(cart), cart)).To(Succeed())
		Expect(*cart.Spec.Replicas).To(Equal(int32(3)))
		Expect(cart.Annotations).To(HaveKeyWithValue(shared.AnnotationLastExecution, string(second.UID)))
		expectEvents(ctx, workflow, "Planned", "Validated", "StepStarted", "StepCompleted", "WorkflowCompleted")
	})

	It("runs steps side by side up to its limit, and after each other on one target", func(ctx SpecContext) {
		ns := namespace(ctx, nil)
		var steps []shared.Step
		for i := range 4 {
			name := fmt.Sprint("d", i)
			rolledOut(ctx, ns, name)
			steps = append(steps, builders.Scale(name, ns, name, 2).Step)
		}
		steps = append(steps, builders.Scale("again", ns, "d0", 3).Step)
		b := builders.Workflow(ns, "w", steps...)
		b.Spec.ExecutionStrategy = &shared.ExecutionStrategy{MaxParallelSteps: new(int32(2))}
		workflow := run(ctx, b)
		Expect(workflow.Status.Outcome).To(Equal(workflowexecutionv1.OutcomeSuccess), workflow.Status.FailureReason)
		Expect(workflow.Status.Plan.Strategy).To(Equal(workflowexecutionv1.StrategyMixed))
		Expect(seen.mostRunning(workflow)).To(Equal(2))
		first, again := executionOf(ctx, ns, "w-s0-a1"), executionOf(ctx, ns, "w-s4-a1")
		Expect(again.CreationTimestamp.Time).NotTo(BeTemporally("<", first.Status.CompletedAt.Time))
	})

	It("shows as a dry run what it would do, whoever asks for that, and does nothing", func(ctx SpecContext) {
		asked, forced := namespace(ctx, nil), namespace(ctx, map[string]string{shared.LabelNamespaceMode: shared.NamespaceModeDryRun})
		for ns, b := range map[string]builders.WorkflowBuilder{
			asked:  builders.Workflow(asked, "w", builders.Scale("up", asked, "cart", 3).Step).DryRun(),
			forced: builders.Workflow(forced, "w", builders.Scale("up", forced, "cart", 3).Step),
		} {
			cart := rolledOut(ctx, ns, "cart")
			workflow := run(ctx, b)
			Expect(workflow.Status.Outcome).To(Equal(workflowexecutionv1.OutcomeDryRun), workflow.Status.FailureReason)
			expectPath(workflow, validating, completed)
			Expect(workflow.Status.Validation.DryRun).To(ConsistOf(HaveField("Path", "/spec/replicas")))
			Expect(executionsIn(ctx, ns)).To(BeEmpty())
			before := cart.ResourceVersion
			Expect(admin.Get(ctx, client.ObjectKeyFromObject(cart), cart)).To(Succeed())
			Expect(cart.ResourceVersion).To(Equal(before))
		}
	})

	It("runs no step when one cannot be done, or the gate denies one", func(ctx SpecContext) {
		ns := namespace(ctx, map[string]string{shared.LabelEnvironment: "production"})
		cart := rolledOut(ctx, ns, "cart")
		gone := run(ctx, builders.Workflow(ns, "gone", builders.Scale("up", ns, "cart", 2).Step, builders.Scale("nobody", ns, "nobody", 2).Step))
		Expect(gone.Status).To(And(HaveField("ErrorType", shared.ErrorResourceNotFound), HaveField("FailedStepName", "nobody"), HaveField("Outcome", workflowexecutionv1.OutcomeFailed)))
		denied := run(ctx, builders.Workflow(ns, "denied", builders.Scale("up", ns, "cart", 2).Step, builders.Scale("zero", ns, "cart", 0).Step))
		Expect(denied.Status).To(And(HaveField("ErrorType", shared.ErrorPolicyDenied), HaveField("FailedStep", HaveValue(Equal(int32(1)))), HaveField("FailedAction", "scale-deployment")))
		for _, workflow := range []*workflowexecutionv1.WorkflowExecution{gone, denied} {
			expectPath(workflow, validating, failed)
			Expect(stepPhases(workflow)).To(HaveEach(workflowexecutionv1.StepPending))
		}
		expectEvents(ctx, denied, "PolicyDenied")
		Expect(executionsIn(ctx, ns)).To(BeEmpty())
		Expect(admin.Get(ctx, client.ObjectKeyFromObject(cart), cart)).To(Succeed())
		Expect(*cart.Spec.Replicas).To(Equal(int32(1)))
	})

	It("goes on without a step that is not critical and those that depend on it, however far", func(ctx SpecContext) {
		ns := namespace(ctx, nil)
		rolledOut(ctx, ns, "cart")
		side := rolledOut(ctx, ns, "side")
		plane.Workloads.Hold(client.ObjectKeyFromObject(side))
		workflow := run(ctx, builders.Workflow(ns, "w",
			within(builders.Scale("stuck", ns, "side", 2).NotCritical().NotUndone().Step, 2*time.Second, 0),
			builders.Notify("after", "never told").After("stuck").Step,
			builders.Notify("later", "never told either").After("after").Step,
			builders.Scale("up", ns, "cart", 2).Step).MonitoringTimeout(3*time.Second))
		Expect(stepPhases(workflow)).To(Equal([]workflowexecutionv1.StepPhase{"failed", "skipped", "skipped", "rolled_back"}))
		Expect(workflow.Status.Steps[0].ErrorType).To(Equal(shared.ErrorTimeout))
		Expect(workflow.Status.CompletedSteps).To(Equal(int32(1)))
		Expect(executionsIn(ctx, ns)).To(ConsistOf("w-s0-a1", "w-s3-a1", "w-s3-r1"))
		// The side, which the failed step has changed, never becomes healthy.
		Expect(workflow.Status.ErrorType).To(Equal(shared.ErrorIneffective), "%v", workflow.Status.Conditions)
	}, NodeTimeout(2*time.Minute))

	It("is a partial success when the failed step has left nothing behind", func(ctx SpecContext) {
		ns := namespace(ctx, nil)
		rolledOut(ctx, ns, "cart")
		side := rolledOut(ctx, ns, "side")
		b := builders.Workflow(ns, "w",
			builders.Scale("first", ns, "cart", 2).Step,
			builders.Scale("late", ns, "side", 2).NotCritical().After("first").Step,
			builders.Notify("after", "never told").After("late").Step).Suspended()
		workflow := start(ctx, b)
		await(ctx, workflow, func(g Gomega) { g.Expect(workflow.Status.WaitingSince).NotTo(BeNil()) })
		plane.Workloads.Hold(client.ObjectKey{Namespace: ns, Name: "cart"})
		ask(ctx, workflow, func(s *workflowexecutionv1.WorkflowExecutionSpec) { s.Suspend = new(false) })
		await(ctx, workflow, func(g Gomega) {
			g.Expect(workflow.Status.Steps).NotTo(BeEmpty())
			g.Expect(workflow.Status.Steps[0].Phase).To(Equal(workflowexecutionv1.StepRunning))
		})
		edit(ctx, side, func() { side.Spec.Replicas = new(int32(5)) })
		Expect(plane.Workloads.Release(ctx, client.ObjectKey{Namespace: ns, Name: "cart"})).To(Succeed())
		awaitEnd(ctx, workflow)
		Expect(workflow.Status.Outcome).To(Equal(workflowexecutionv1.OutcomePartialSuccess), workflow.Status.FailureReason)
		Expect(stepPhases(workflow)).To(Equal([]workflowexecutionv1.StepPhase{"completed", "failed", "skipped"}))
		Expect(workflow.Status.Steps[1].ErrorType).To(Equal(shared.ErrorResourceConflict), "someone else changed it after it was judged")
		expectPath(workflow, workflowexecutionv1.PhasePlanning, validating, executing, monitoring, completed)
	})

	It("tries a step again after a time-out, later, and counts the attempts", func(ctx SpecContext) {
		ns := namespace(ctx, nil)
		cart := client.ObjectKeyFromObject(rolledOut(ctx, ns, "cart"))
		plane.Workloads.Hold(cart)
		workflow := start(ctx, builders.Workflow(ns, "w", within(builders.Scale("up", ns, "cart", 2).Step, 2*time.Second, 1)))
		await(ctx, workflow, func(g Gomega) {
			g.Expect(workflow.Status.Steps).To(HaveLen(1))
			g.Expect(workflow.Status.Steps[0].RetryAt).NotTo(BeNil())
		})
		first := executionOf(ctx, ns, "w-s0-a1")
		Expect(workflow.Status.Steps[0].RetryAt.Sub(first.Status.CompletedAt.Time)).To(BeNumerically(">=", 4*time.Second))
		Expect(plane.Workloads.Release(ctx, cart)).To(Succeed())
		awaitEnd(ctx, workflow)
		Expect(workflow.Status.Outcome).To(Equal(workflowexecutionv1.OutcomeSuccess), workflow.Status.FailureReason)
		Expect(workflow.Status.Steps[0].Attempts).To(Equal(int32(2)))
		second := executionOf(ctx, ns, "w-s0-a2")
		Expect(second.Status.Changed).To(HaveValue(BeFalse()), "the first attempt had its effect: the second finds it")
	})

	It("does not try again what another attempt cannot cure", func(ctx SpecContext) {
		ns := namespace(ctx, nil)
		rolledOut(ctx, ns, "cart")
		side := rolledOut(ctx, ns, "side")
		plane.Workloads.Hold(client.ObjectKey{Namespace: ns, Name: "cart"})
		workflow := start(ctx, builders.Workflow(ns, "w",
			builders.Scale("first", ns, "cart", 2).Step, within(builders.Scale("gone", ns, "side", 2).After("first").Step, time.Minute, 3)))
		awaitPhase(ctx, workflow, executing)
		Expect(admin.Delete(ctx, side)).To(Succeed())
		Expect(plane.Workloads.Release(ctx, client.ObjectKey{Namespace: ns, Name: "cart"})).To(Succeed())
		awaitEnd(ctx, workflow)
		Expect(workflow.Status).To(And(HaveField("ErrorType", shared.ErrorResourceNotFound), HaveField("FailedStepName", "gone"), HaveField("Outcome", workflowexecutionv1.OutcomeRolledBack)))
		Expect(workflow.Status.Steps[1].Attempts).To(Equal(int32(1)))
	})

	It("ends when its own time is over, and lets what runs come to its end first", func(ctx SpecContext) {
		ns := namespace(ctx, nil)
		cart := client.ObjectKeyFromObject(rolledOut(ctx, ns, "cart"))
		plane.Workloads.Hold(cart)
		b := builders.Workflow(ns, "w", within(builders.Scale("up", ns, "cart", 2).Step, 2*time.Second, 0), within(builders.Notify("tell", "up").After("up").Step, time.Second, 0))
		b.Spec.Timeouts = &workflowexecutionv1.WorkflowTimeouts{Workflow: &metav1.Duration{Duration: 3 * time.Second}}
		workflow := run(ctx, b)
		Expect(workflow.Status.ErrorType).To(Equal(shared.ErrorTimeout))
		Expect(workflow.Status.Steps[1].Attempts).To(BeZero())
		expectPath(workflow, validating, executing, rollingBack, failed)
	})

	It("undoes what it changed when its targets do not become healthy", func(ctx SpecContext) {
		ns := namespace(ctx, nil)
		cart := rolledOut(ctx, ns, "cart")
		workflow := run(ctx, builders.Workflow(ns, "w", builders.UpdateImage("image", ns, "cart", badImage).Step).MonitoringTimeout(2*time.Second))
		expectPath(workflow, validating, executing, monitoring, rollingBack, failed)
		Expect(workflow.Status).To(And(HaveField("Outcome", workflowexecutionv1.OutcomeRolledBack), HaveField("ErrorType", shared.ErrorIneffective), HaveField("FailedStep", BeNil())))
		Expect(string(workflow.Status.ExecutionSnapshot.ResourceSnapshot.Raw)).To(ContainSubstring(badImage), "taken before anything was undone")
		Expect(executionsIn(ctx, ns)).To(ConsistOf("w-s0-a1", "w-s0-r1"))
		undo := executionOf(ctx, ns, "w-s0-r1")
		Expect(undo.Spec).To(And(HaveField("Purpose", kubernetesexecutionv1.PurposeRollBack), HaveField("RestoreFrom", "w-s0-a1"), HaveField("Action", BeNil())))
		Expect(admin.Get(ctx, client.ObjectKeyFromObject(cart), cart)).To(Succeed())
		Expect(cart.Spec.Template.Spec.Containers[0].Image).To(Equal(goodImage))
		expectEvents(ctx, workflow, "RollbackStarted", "RollbackCompleted", "WorkflowFailed")
	})

	It("is unverified when it has no means to tell whether its target is well", func(ctx SpecContext) {
		ns := namespace(ctx, nil)
		set, pod := replicaSet(ctx, ns)
		workflow := start(ctx, builders.Workflow(ns, "w", builders.RestartPod("restart", ns, pod.Name).Step))
		approve(ctx, workflow)
		awaitEnd(ctx, workflow)
		Expect(workflow.Status.Outcome).To(Equal(workflowexecutionv1.OutcomeUnverified), workflow.Status.FailureReason)
		expectPath(workflow, validating, executing, monitoring, completed)
		Expect(meta.FindStatusCondition(workflow.Status.Conditions, workflowexecutionv1.ConditionVerified)).To(And(
			HaveField("Status", metav1.ConditionUnknown), HaveField("Reason", workflowexecution.ReasonUnverified),
			HaveField("Message", ContainSubstring("the health of a ReplicaSet cannot be determined"))))
		Expect(workflow.Status.Plan.Targets).To(ConsistOf(HaveField("Workload", HaveField("UID", set.UID))))
		Expect(workflow.Status.Steps[0].Phase).To(Equal(workflowexecutionv1.StepCompleted))
		Expect(apierrors.IsNotFound(admin.Get(ctx, client.ObjectKeyFromObject(pod), pod))).To(BeTrue())
	})

	It("has nothing to watch when it changed nothing", func(ctx SpecContext) {
		ns := namespace(ctx, nil)
		workflow := run(ctx, builders.Workflow(ns, "told", builders.Notify("tell", "hello").Step))
		Expect(workflow.Status.Outcome).To(Equal(workflowexecutionv1.OutcomeSuccess), "there is no target to watch")
	})

	It("waits for another one on its target, and judges the target again when it has the lock", func(ctx SpecContext) {
		ns := namespace(ctx, nil)
		cart := rolledOut(ctx, ns, "cart")
		key := client.ObjectKeyFromObject(cart)
		plane.Workloads.Hold(key)
		first := start(ctx, builders.Workflow(ns, "first", builders.Scale("two", ns, "cart", 2).Step))
		awaitPhase(ctx, first, executing)
		Expect(locksOf(ctx, first.UID)).To(HaveLen(1))
		second := start(ctx, builders.Workflow(ns, "second", builders.Scale("three", ns, "cart", 3).Step))
		await(ctx, second, func(g Gomega) {
			g.Expect(reasonOf(second, workflowexecutionv1.ConditionTargetsLocked)).To(Equal(workflowexecution.ReasonLockedByOther))
		})
		Expect(locksOf(ctx, second.UID)).To(BeEmpty(), "who waits holds none")
		Expect(plane.Workloads.Release(ctx, key)).To(Succeed())
		awaitEnd(ctx, first)
		awaitEnd(ctx, second)
		Expect(second.Status.Outcome).To(Equal(workflowexecutionv1.OutcomeSuccess), second.Status.FailureReason)
		Expect(executionOf(ctx, ns, "second-s0-a1").Status.Inverse.Fields).To(ConsistOf(HaveField("Before.Raw", BeEquivalentTo("2"))))
	})

	It("is deleted when its time is up, and not before", func(ctx SpecContext) {
		ns := namespace(ctx, nil)
		b := builders.Workflow(ns, "brief", builders.Notify("tell", "hello").Step)
		b.Spec.TTLAfterFinished = &metav1.Duration{Duration: time.Second}
		workflow := run(ctx, b)
		Eventually(func() error {
			return client.IgnoreNotFound(admin.Get(ctx, client.ObjectKeyFromObject(workflow), workflow))
		}).Should(Succeed())
		Eventually(func() bool {
			return admin.Get(ctx, client.ObjectKeyFromObject(workflow), workflow) != nil
		}).WithTimeout(soon).WithPolling(poll).Should(BeTrue())
	})

	It("is kept beyond its time while another one undoes it", func(ctx SpecContext) {
		const kept = 6 * time.Second
		ns := namespace(ctx, nil)
		cart := client.ObjectKeyFromObject(rolledOut(ctx, ns, "cart"))
		b := builders.Workflow(ns, "done", builders.Scale("up", ns, "cart", 2).Step)
		b.Spec.TTLAfterFinished = &metav1.Duration{Duration: kept}
		done := run(ctx, b)
		undo := start(ctx, builders.Undo("undo", done).Suspended())
		await(ctx, undo, func(g Gomega) { g.Expect(undo.Status.WaitingSince).NotTo(BeNil()) })
		b = builders.Workflow(ns, "later", builders.Notify("tell", "hello").Step)
		b.Spec.TTLAfterFinished = &metav1.Duration{Duration: kept}
		awaitGone(ctx, run(ctx, b))

		Expect(admin.Get(ctx, client.ObjectKeyFromObject(done), done)).To(Succeed(), "it ended before the one that is gone")
		Expect(done.DeletionTimestamp).To(BeNil())
		ask(ctx, undo, goOn)
		awaitEnd(ctx, undo)
		Expect(undo.Status.Outcome).To(Equal(workflowexecutionv1.OutcomeSuccess), undo.Status.FailureReason)
		awaitGone(ctx, done)
		deployment := builders.Deployment(ns, cart.Name, "").Deployment
		Expect(admin.Get(ctx, cart, deployment)).To(Succeed())
		Expect(deployment.Spec.Replicas).To(HaveValue(Equal(int32(1))))
	})
})

// replicaSet makes a ReplicaSet that no Deployment has, and a pod of it that no node runs.
func replicaSet(ctx context.Context, ns string) (*appsv1.ReplicaSet, *corev1.Pod) {
	GinkgoHelper()
	// What the controller manager makes, which does not run here.
	Expect(admin.Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "default"}})).To(Succeed())
	template := builders.Deployment(ns, "lone", goodImage).Spec
	set := &appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "lone"}}
	set.Spec.Selector, set.Spec.Template = template.Selector, template.Template
	Expect(admin.Create(ctx, set)).To(Succeed())
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "lone-1", Labels: set.Spec.Template.Labels}, Spec: *set.Spec.Template.Spec.DeepCopy()}
	pod.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(set, appsv1.SchemeGroupVersion.WithKind("ReplicaSet"))}
	pod.Spec.AutomountServiceAccountToken = new(false)
	Expect(admin.Create(ctx, pod)).To(Succeed())
	return set, pod
}

// approve has somebody else approve what a workflow asks for.
func approve(ctx context.Context, workflow *workflowexecutionv1.WorkflowExecution) {
	GinkgoHelper()
	config := rest.CopyConfig(plane.Config)
	config.Impersonate = rest.ImpersonationConfig{UserName: "bob", Groups: []string{user.SystemPrivilegedGroup, user.AllAuthenticated}}
	bob, err := client.New(config, client.Options{Scheme: plane.Scheme})
	Expect(err).NotTo(HaveOccurred())
	asked := &safetyv1alpha1.ApprovalRequest{ObjectMeta: metav1.ObjectMeta{Namespace: workflow.Namespace, Name: workflow.Name + "-approval-1"}}
	patch := fmt.Sprintf(`[{"op":"add","path":"/spec/decisions","value":[{"decision":%q,"reason":"I looked at it"}]}]`, safetyv1alpha1.DecisionApproved)
	Eventually(func() error {
		return bob.Patch(ctx, asked, client.RawPatch(types.JSONPatchType, []byte(patch)))
	}).WithTimeout(soon).WithPolling(poll).Should(Succeed())
}

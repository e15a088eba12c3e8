package actions

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubernetesexecutionv1 "kubernaut.io/kubernaut/api/kubernetesexecution/v1"
	safetyv1alpha1 "kubernaut.io/kubernaut/api/safety/v1alpha1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/controllers/kubernetesexecution/effects"
)

var _ = Describe("undoing an action", func() {
	for _, e := range examples() {
		Describe(e.name, func() {
			var s *scene
			var before *unstructured.Unstructured
			BeforeEach(func(ctx SpecContext) {
				s = set(ctx, e)
				warm(ctx, func() error {
					_, err := made.Read(ctx, &s.action)
					return err
				})
				before = s.live(ctx)
				s.run(ctx)
				s.observe(ctx)
				s.run(ctx)
				Expect(s.execution.Status.Phase).To(Equal(kubernetesexecutionv1.PhaseCompleted))
				s.undo(ctx)
			})

			It("puts back every captured field and no other", func(ctx SpecContext) {
				s.touchSpec(ctx)
				touched := s.live(ctx)
				s.run(ctx)
				Expect(s.execution.Status.Phase).To(Equal(kubernetesexecutionv1.PhaseCompleted), s.execution.Status.ErrorMessage)
				Expect(s.execution.Status.Changed).To(HaveValue(BeTrue()))
				live := s.live(ctx)
				Expect(s.value(live)).To(Equal(e.before))
				Expect(live.GetAnnotations()).To(HaveKeyWithValue(shared.AnnotationLastExecution, string(s.execution.UID)))
				Expect(difference(touched, live)).To(HaveLen(1))
				Expect(s.execution.Status.DryRun).To(Equal(difference(touched, live)))
				Expect(live.GetManagedFields()).To(ContainElement(HaveField("Manager", effects.FieldManager(s.action.Type))))
				Expect(s.gate.asked[len(s.gate.asked)-1].Stage).To(Equal(safetyv1alpha1.StageRollback))
			})

			It("leaves the object as it was", func(ctx SpecContext) {
				s.run(ctx)
				Expect(difference(before, s.live(ctx))).To(BeEmpty())
			})

			It("writes nothing when someone undid it already", func(ctx SpecContext) {
				s.change(ctx, e.before)
				live := s.live(ctx)
				s.run(ctx)
				Expect(s.execution.Status.Phase).To(Equal(kubernetesexecutionv1.PhaseCompleted))
				Expect(s.execution.Status.Changed).To(HaveValue(BeFalse()))
				Expect(s.live(ctx).GetResourceVersion()).To(Equal(live.GetResourceVersion()))
			})

			It("does not touch what someone else changed", func(ctx SpecContext) {
				s.change(ctx, e.foreign)
				s.run(ctx)
				s.expectFailure(shared.ErrorResourceConflict)
				Expect(s.value(s.live(ctx))).To(Equal(e.foreign))
			})

			It("never touches another object of the same name", func(ctx SpecContext) {
				Expect(admin.Delete(ctx, s.live(ctx))).To(Succeed())
				Expect(admin.Create(ctx, e.target(s.namespace))).To(Succeed())
				s.run(ctx)
				s.expectFailure(shared.ErrorResourceConflict)
			})

			It("is denied by a deny, and by nothing milder", func(ctx SpecContext) {
				s.gate.says = shared.VerdictDeny
				s.run(ctx)
				s.expectFailure(shared.ErrorPolicyDenied)
				Expect(s.value(s.live(ctx))).To(Equal(e.after))
			})

			It("is not held", func(ctx SpecContext) {
				s.gate.says = shared.VerdictHold
				s.run(ctx)
				Expect(s.execution.Status.Phase).To(Equal(kubernetesexecutionv1.PhaseCompleted))
				Expect(s.value(s.live(ctx))).To(Equal(e.before))
			})

			It("has its effect once when the manager crashed between write and record", func(ctx SpecContext) {
				preparation := s.intendRestore(ctx)
				_, err := s.apply(ctx, preparation)
				Expect(err).NotTo(HaveOccurred())
				resourceVersion := s.live(ctx).GetResourceVersion()
				s.run(ctx)
				Expect(s.execution.Status.Phase).To(Equal(kubernetesexecutionv1.PhaseCompleted))
				Expect(s.execution.Status.Changed).To(HaveValue(BeTrue()))
				Expect(s.live(ctx).GetResourceVersion()).To(Equal(resourceVersion))
			})

			It("makes the recorded effect when the manager crashed between record and write", func(ctx SpecContext) {
				s.intendRestore(ctx)
				s.run(ctx)
				Expect(s.execution.Status.Phase).To(Equal(kubernetesexecutionv1.PhaseCompleted))
				Expect(s.value(s.live(ctx))).To(Equal(e.before))
			})

			It("writes nothing for a workflow that is not rolling back", func(ctx SpecContext) {
				s.workflowPhase(ctx, workflowexecutionv1.PhaseMonitoring)
				s.run(ctx)
				s.expectFailure(shared.ErrorValidation)
				Expect(s.value(s.live(ctx))).To(Equal(e.after))
			})

			It("says which record is gone", func(ctx SpecContext) {
				Expect(admin.Delete(ctx, &kubernetesexecutionv1.KubernetesExecution{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "w-s0-a1"}})).To(Succeed())
				s.run(ctx)
				s.expectFailure(shared.ErrorResourceNotFound)
				Expect(s.execution.Status.ErrorMessage).To(ContainSubstring("w-s0-a1"))
			})
		})
	}

	It("finds an effect of which nobody knows whether it happened", func(ctx SpecContext) {
		s := set(ctx, examples()[0])
		preparation := s.intend(ctx)
		_, err := s.apply(ctx, preparation)
		Expect(err).NotTo(HaveOccurred())
		s.execution.Status.Phase, s.execution.Status.ErrorType, s.execution.Status.ErrorMessage = kubernetesexecutionv1.PhaseFailed, shared.ErrorTimeout, "nobody looked"
		Expect(admin.Status().Update(ctx, s.execution)).To(Succeed())
		s.undo(ctx)
		s.run(ctx)
		Expect(s.execution.Status.Changed).To(HaveValue(BeTrue()))
		Expect(s.value(s.live(ctx))).To(Equal(s.before))
	})

	It("waits for an execution that still runs", func(ctx SpecContext) {
		s := set(ctx, examples()[0])
		s.intend(ctx)
		s.undo(ctx)
		_, err := s.reconcile(ctx)
		Expect(err).To(MatchError(ContainSubstring("still runs")))
		Expect(s.execution.Status.Phase).To(Equal(kubernetesexecutionv1.PhaseValidating))
	})
})

// undo makes the scene's execution the one that undoes what it did.
func (s *scene) undo(ctx context.Context) {
	GinkgoHelper()
	s.workflowPhase(ctx, workflowexecutionv1.PhaseRollingBack)
	origin := s.execution
	s.execution = &kubernetesexecutionv1.KubernetesExecution{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: shared.RollbackName("w", 0, 1), OwnerReferences: origin.OwnerReferences},
		Spec: kubernetesexecutionv1.KubernetesExecutionSpec{
			WorkflowExecutionRef: origin.Spec.WorkflowExecutionRef, StepName: "step", Attempt: 1,
			Purpose: kubernetesexecutionv1.PurposeRollBack, RestoreFrom: origin.Name, PlanDigest: origin.Spec.PlanDigest,
			ExpectedTarget: &kubernetesexecutionv1.ExpectedTarget{UID: origin.Spec.ExpectedTarget.UID},
		},
	}
	Expect(admin.Create(ctx, s.execution)).To(Succeed())
	for len(s.recorder.Events) > 0 {
		<-s.recorder.Events
	}
}

func (s *scene) workflowPhase(ctx context.Context, phase workflowexecutionv1.WorkflowPhase) {
	GinkgoHelper()
	workflow := &workflowexecutionv1.WorkflowExecution{}
	Expect(admin.Get(ctx, client.ObjectKey{Namespace: s.namespace, Name: s.execution.Spec.WorkflowExecutionRef.Name}, workflow)).To(Succeed())
	workflow.Status.Phase = phase
	Expect(admin.Status().Update(ctx, workflow)).To(Succeed())
}

// intendRestore records the intent to undo as the reconciler does, and stops there.
func (s *scene) intendRestore(ctx context.Context) *effects.Preparation {
	GinkgoHelper()
	origin := &kubernetesexecutionv1.KubernetesExecution{}
	Expect(admin.Get(ctx, client.ObjectKey{Namespace: s.namespace, Name: s.execution.Spec.RestoreFrom}, origin)).To(Succeed())
	preparation, err := made.PrepareRestore(ctx, effects.RestoreRequest{Action: &s.action, Captured: origin.Status.Inverse, Seen: origin.Status.DryRun, DryRun: true})
	Expect(err).NotTo(HaveOccurred())
	s.recordIntent(ctx, preparation)
	return preparation
}

// change sets what the action changes, as another writer would.
func (s *scene) change(ctx context.Context, value any) {
	GinkgoHelper()
	live := s.live(ctx)
	last := len(s.field) - 1
	parent, ok := s.at(live, s.field[:last]).(map[string]any)
	Expect(ok).To(BeTrue())
	if value == nil {
		delete(parent, s.field[last])
	} else {
		parent[s.field[last]] = value
	}
	Expect(admin.Update(ctx, live)).To(Succeed())
}

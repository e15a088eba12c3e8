package actions

import (
	"context"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubernetesexecutionv1 "kubernaut.io/kubernaut/api/kubernetesexecution/v1"
	"kubernaut.io/kubernaut/api/shared"
	"kubernaut.io/kubernaut/controllers/kubernetesexecution/effects"
	"kubernaut.io/kubernaut/controllers/machinery"
	"kubernaut.io/kubernaut/test/builders"
)

const restartedAt = "kubectl.kubernetes.io/restartedAt"

var _ = Describe("restart-deployment", func() {
	var s *scene
	BeforeEach(func(ctx SpecContext) {
		s = set(ctx, example{
			target: deployment, field: []string{"spec", "template", "metadata", "annotations", restartedAt},
			action: func(namespace string) shared.Action { return builders.Restart("", namespace, "cart").Action },
		})
		warm(ctx, func() error {
			_, err := made.Read(ctx, &s.action)
			return err
		})
	})
	restarted := func(ctx context.Context) any {
		GinkgoHelper()
		template, ok := s.at(s.live(ctx), []string{"spec", "template", "metadata"}).(map[string]any)
		Expect(ok).To(BeTrue())
		annotations, _ := template["annotations"].(map[string]any)
		return annotations[restartedAt]
	}
	completed := func(ctx context.Context) {
		GinkgoHelper()
		s.run(ctx)
		s.observe(ctx)
		s.run(ctx)
		Expect(s.execution.Status.Phase).To(Equal(kubernetesexecutionv1.PhaseCompleted), s.execution.Status.ErrorMessage)
	}

	It("rolls out a template that differs only in when the workflow was made", func(ctx SpecContext) {
		before := s.live(ctx)
		created := s.occasion(ctx).Created
		completed(ctx)
		Expect(s.execution.Status.Changed).To(HaveValue(BeTrue()))
		text, ok := restarted(ctx).(string)
		Expect(ok).To(BeTrue())
		at, err := time.Parse(time.RFC3339Nano, text)
		Expect(err).NotTo(HaveOccurred())
		Expect(at.Truncate(time.Second)).To(BeTemporally("==", created))
		live := s.live(ctx)
		Expect(live.GetGeneration()).To(Equal(before.GetGeneration() + 1))
		Expect(live.GetAnnotations()).To(HaveKeyWithValue(shared.AnnotationLastExecution, string(s.execution.UID)))
		Expect(live.GetManagedFields()).To(ContainElement(HaveField("Manager", effects.FieldManager(s.action.Type))))
		Expect(s.execution.Status.DryRun).To(Equal(difference(before, live)))
		Expect(s.execution.Status.DryRun).To(HaveLen(1))
	})

	It("tries a dry run that changes nothing, and says exactly what the run then changes", func(ctx SpecContext) {
		before := s.live(ctx)
		preparation, err := made.Prepare(ctx, effects.Request{Action: &s.action, Occasion: s.occasion(ctx), DryRun: true})
		Expect(err).NotTo(HaveOccurred())
		Expect(s.live(ctx)).To(Equal(before))
		completed(ctx)
		Expect(difference(before, s.live(ctx))).To(Equal(preparation.DryRun))
	})

	It("restarts once for all attempts of a step", func(ctx SpecContext) {
		completed(ctx)
		live := s.live(ctx)
		s.execution = s.attempt(ctx, 2, &kubernetesexecutionv1.ExpectedTarget{UID: live.GetUID(), Generation: live.GetGeneration()})
		s.run(ctx)
		Expect(s.execution.Status.Phase).To(Equal(kubernetesexecutionv1.PhaseCompleted))
		Expect(s.execution.Status.Changed).To(HaveValue(BeFalse()))
		Expect(s.live(ctx).GetResourceVersion()).To(Equal(live.GetResourceVersion()))
	})

	It("restarts again for another workflow", func(ctx SpecContext) {
		completed(ctx)
		live, first := s.live(ctx), restarted(ctx)
		s.execution = s.newExecution(ctx, "again", &kubernetesexecutionv1.ExpectedTarget{UID: live.GetUID(), Generation: live.GetGeneration()})
		completed(ctx)
		Expect(restarted(ctx)).NotTo(Equal(first))
		Expect(s.live(ctx).GetGeneration()).To(Equal(live.GetGeneration() + 1))
	})

	It("has its effect once when the manager crashed between write and record", func(ctx SpecContext) {
		preparation := s.intend(ctx)
		_, err := s.apply(ctx, preparation)
		Expect(err).NotTo(HaveOccurred())
		s.observe(ctx)
		resourceVersion := s.live(ctx).GetResourceVersion()
		s.run(ctx)
		Expect(s.live(ctx).GetResourceVersion()).To(Equal(resourceVersion))
		Expect(s.execution.Status.Phase).To(Equal(kubernetesexecutionv1.PhaseCompleted))
		Expect(s.execution.Status.Changed).To(HaveValue(BeTrue()))
	})

	It("makes the recorded effect when the manager crashed between record and write", func(ctx SpecContext) {
		preparation := s.intend(ctx)
		s.run(ctx)
		Expect(difference(preparation.Live, s.live(ctx))).To(Equal(preparation.DryRun))
	})

	It("fails when the target is gone", func(ctx SpecContext) {
		Expect(admin.Delete(ctx, s.live(ctx))).To(Succeed())
		s.run(ctx)
		s.expectFailure(shared.ErrorResourceNotFound)
	})

	It("fails on another UID, and when someone else changed the target", func(ctx SpecContext) {
		live := s.live(ctx)
		s.execution = s.newExecution(ctx, "other", &kubernetesexecutionv1.ExpectedTarget{UID: "00000000-0000-0000-0000-000000000000", Generation: 1})
		s.run(ctx)
		s.expectFailure(shared.ErrorResourceConflict)
		s.execution = s.newExecution(ctx, "moved", &kubernetesexecutionv1.ExpectedTarget{UID: live.GetUID(), Generation: live.GetGeneration()})
		preparation := s.intend(ctx)
		s.touchSpec(ctx)
		_, err := s.apply(ctx, preparation)
		Expect(machinery.Classify(err)).To(Equal(shared.ErrorResourceConflict))
		Expect(restarted(ctx)).To(BeNil())
	})

	It("is not undone, because that would be another restart", func(ctx SpecContext) {
		completed(ctx)
		Expect(s.execution.Status.Inverse.AbsentReason).NotTo(BeEmpty())
		Expect(s.execution.Status.Inverse.Restores()).To(BeFalse())
		live := s.live(ctx)
		s.undo(ctx)
		s.run(ctx)
		s.expectFailure(shared.ErrorValidation)
		Expect(s.live(ctx).GetResourceVersion()).To(Equal(live.GetResourceVersion()))
	})

	It("writes nothing when the gate denies it", func(ctx SpecContext) {
		s.gate.says = shared.VerdictDeny
		s.run(ctx)
		s.expectFailure(shared.ErrorPolicyDenied)
		Expect(restarted(ctx)).To(BeNil())
	})

	It("has an account that can do nothing else", func(ctx SpecContext) {
		s.expectOnly(ctx, "patch deployments", "get deployments")
	})
})

// attempt makes a further execution of the same step of the same workflow.
func (s *scene) attempt(ctx context.Context, attempt int32, expected *kubernetesexecutionv1.ExpectedTarget) *kubernetesexecutionv1.KubernetesExecution {
	GinkgoHelper()
	first := s.execution
	execution := &kubernetesexecutionv1.KubernetesExecution{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: s.namespace, Name: shared.ExecutionName(first.Spec.WorkflowExecutionRef.Name, 0, attempt), OwnerReferences: first.OwnerReferences,
		},
		Spec: *first.Spec.DeepCopy(),
	}
	execution.Spec.Attempt, execution.Spec.ExpectedTarget = attempt, expected
	Expect(admin.Create(ctx, execution)).To(Succeed())
	return execution
}

// expectOnly tries everything on everything that actions touch, as the action's account, and wants it refused but for what is given
// as "verb resource".
func (s *scene) expectOnly(ctx context.Context, allowed ...string) {
	GinkgoHelper()
	account, err := clientsFor(s.action.Type)
	Expect(err).NotTo(HaveOccurred())
	for _, kind := range touchedKinds() {
		object := kind.object(s.namespace)
		for verb, do := range map[string]func() error{
			"get":    func() error { return account.Live.Get(ctx, client.ObjectKeyFromObject(object), object.DeepCopy()) },
			"list":   func() error { return account.Live.List(ctx, kind.list(), client.InNamespace(object.GetNamespace())) },
			"create": func() error { return account.Live.Create(ctx, object.DeepCopy(), client.DryRunAll) },
			"update": func() error { return account.Live.Update(ctx, object.DeepCopy(), client.DryRunAll) },
			"patch": func() error {
				return account.Live.Patch(ctx, object.DeepCopy(), client.RawPatch("application/json-patch+json", []byte("[]")), client.DryRunAll)
			},
			"delete": func() error { return account.Live.Delete(ctx, object.DeepCopy(), client.DryRunAll) },
			"patch status": func() error {
				return account.Live.Status().Patch(ctx, object.DeepCopy(), client.RawPatch("application/json-patch+json", []byte("[]")))
			},
		} {
			s.expectAllowed(do(), allowed, verb+" "+kind.resource)
		}
	}
}

package actions

import (
	"context"
	"errors"
	"sync"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	kubernetesexecutionv1 "kubernaut.io/kubernaut/api/kubernetesexecution/v1"
	"kubernaut.io/kubernaut/api/shared"
	"kubernaut.io/kubernaut/controllers/kubernetesexecution/actions"
	"kubernaut.io/kubernaut/controllers/kubernetesexecution/effects"
	"kubernaut.io/kubernaut/controllers/machinery"
	"kubernaut.io/kubernaut/test/builders"
)

// pod is one of a ReplicaSet, on a node that nobody looks after: who deletes it has to wait for its end.
func pod(namespace string) client.Object {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: "cart-1", Labels: map[string]string{"app": "cart"},
			OwnerReferences: []metav1.OwnerReference{{APIVersion: appsv1.SchemeGroupVersion.String(), Kind: "ReplicaSet", Name: "cart", UID: "set", Controller: new(true)}},
		},
		Spec: corev1.PodSpec{
			NodeName: "worker", Containers: []corev1.Container{{Name: "app", Image: oldImage}}, AutomountServiceAccountToken: new(false),
			TerminationGracePeriodSeconds: new(int64(45)),
		},
	}
}

var _ = Describe("restart-pod", func() {
	var s *scene
	start := func(ctx context.Context, e example) {
		GinkgoHelper()
		if e.target == nil {
			e.target = pod
		}
		if e.action == nil {
			e.action = func(namespace string) shared.Action { return builders.RestartPod("", namespace, "cart-1").Action }
		}
		s = set(ctx, e)
		warm(ctx, func() error {
			_, err := made.Read(ctx, &s.action)
			return err
		})
	}
	BeforeEach(func(ctx SpecContext) { start(ctx, example{}) })

	// found is the pod of that name; nil when there is none.
	found := func(ctx context.Context) *corev1.Pod {
		GinkgoHelper()
		object := &corev1.Pod{}
		err := admin.Get(ctx, client.ObjectKey{Namespace: s.namespace, Name: "cart-1"}, object)
		Expect(client.IgnoreNotFound(err)).To(Succeed())
		if err != nil {
			return nil
		}
		return object
	}
	// ends does what the kubelet does when the containers have ended.
	ends := func(ctx context.Context) {
		GinkgoHelper()
		Expect(admin.Delete(ctx, found(ctx), client.GracePeriodSeconds(0))).To(Succeed())
	}
	// again is the pod that a controller makes in the place of one that is gone.
	again := func(ctx context.Context) types.UID {
		GinkgoHelper()
		another := pod(s.namespace)
		Expect(admin.Create(ctx, another)).To(Succeed())
		return another.GetUID()
	}
	expectUntouched := func(ctx context.Context, uid types.UID) {
		GinkgoHelper()
		Expect(found(ctx)).To(And(HaveField("UID", uid), HaveField("DeletionTimestamp", BeNil())))
	}
	uid := func() types.UID { return s.execution.Spec.ExpectedTarget.UID }

	It("deletes the pod, waits until it has ended, then is completed", func(ctx SpecContext) {
		result := s.run(ctx)
		Expect(found(ctx).DeletionTimestamp).NotTo(BeNil())
		Expect(found(ctx).DeletionGracePeriodSeconds).To(HaveValue(BeEquivalentTo(45)), "what the pod asks for")
		status := s.execution.Status
		Expect(status.Phase).To(Equal(kubernetesexecutionv1.PhaseExecuting))
		Expect(status.Changed).To(HaveValue(BeTrue()))
		Expect(status.AffectedResources).To(ConsistOf(HaveField("UID", uid())))
		Expect(status.Inverse.UID).To(Equal(uid()))
		Expect(status.Inverse.AbsentReason).NotTo(BeEmpty())
		Expect(result.RequeueAfter).To(BeNumerically(">", 0), "it must wake at its deadline")
		s.run(ctx)
		Expect(s.execution.Status.Phase).To(Equal(kubernetesexecutionv1.PhaseExecuting))
		ends(ctx)
		s.run(ctx)
		Expect(s.execution.Status.Phase).To(Equal(kubernetesexecutionv1.PhaseCompleted), s.execution.Status.ErrorMessage)
		Expect(s.recorder.Events).NotTo(Receive(), "what becomes of a step is the workflow's to tell")
	})

	It("is completed when another pod of the same name has come, and leaves that alone", func(ctx SpecContext) {
		s.run(ctx)
		ends(ctx)
		other := again(ctx)
		s.run(ctx)
		Expect(s.execution.Status.Phase).To(Equal(kubernetesexecutionv1.PhaseCompleted))
		expectUntouched(ctx, other)
	})

	It("is completed at once when no kubelet has to end it", func(ctx SpecContext) {
		start(ctx, example{target: func(namespace string) client.Object {
			waiting, ok := pod(namespace).(*corev1.Pod)
			Expect(ok).To(BeTrue())
			waiting.Spec.NodeName = ""
			return waiting
		}})
		s.run(ctx)
		Expect(s.execution.Status.Phase).To(Equal(kubernetesexecutionv1.PhaseCompleted))
		Expect(found(ctx)).To(BeNil())
	})

	It("gives the pod the time that the parameters say", func(ctx SpecContext) {
		start(ctx, example{action: func(namespace string) shared.Action {
			action := builders.RestartPod("", namespace, "cart-1").Action
			action.RestartPod.GracePeriodSeconds = new(int64(7))
			return action
		}})
		s.run(ctx)
		Expect(found(ctx).DeletionGracePeriodSeconds).To(HaveValue(BeEquivalentTo(7)))
		Expect(s.execution.Status.DryRun).To(ConsistOf(HaveField("After.Raw", BeEquivalentTo("7"))))
	})

	It("tries a dry run that changes nothing, and says exactly what the run then sets", func(ctx SpecContext) {
		before := found(ctx)
		preparation, err := made.Prepare(ctx, effects.Request{Action: &s.action, DryRun: true})
		Expect(err).NotTo(HaveOccurred())
		Expect(found(ctx)).To(Equal(before))
		Expect(preparation.RollbackProven).To(HaveValue(BeFalse()))
		s.run(ctx)
		Expect(s.execution.Status.DryRun).To(Equal(preparation.DryRun))
		Expect(preparation.DryRun).To(ConsistOf(And(
			HaveField("Path", "/metadata/deletionGracePeriodSeconds"), HaveField("After.Raw", BeEquivalentTo("45")),
		)))
	})

	It("applied twice, or by many at the same time, is applied once", func(ctx SpecContext) {
		preparation := s.intend(ctx)
		var group sync.WaitGroup
		for range 8 {
			group.Go(func() {
				defer GinkgoRecover()
				_, err := s.apply(ctx, preparation)
				Expect(err).NotTo(HaveOccurred())
			})
		}
		group.Wait()
		ends(ctx)
		other := again(ctx)
		_, err := s.apply(ctx, preparation)
		Expect(err).NotTo(HaveOccurred())
		expectUntouched(ctx, other)
	})

	It("has its effect once when the manager crashed between deletion and record", func(ctx SpecContext) {
		preparation := s.intend(ctx)
		_, err := s.apply(ctx, preparation)
		Expect(err).NotTo(HaveOccurred())
		ends(ctx)
		other := again(ctx)
		s.run(ctx)
		Expect(s.execution.Status.Phase).To(Equal(kubernetesexecutionv1.PhaseCompleted))
		Expect(s.execution.Status.Changed).To(HaveValue(BeTrue()))
		Expect(s.execution.Status.AffectedResources).To(ConsistOf(HaveField("UID", uid())))
		expectUntouched(ctx, other)
	})

	It("waits for the end of the pod when the manager crashed between deletion and record", func(ctx SpecContext) {
		preparation := s.intend(ctx)
		_, err := s.apply(ctx, preparation)
		Expect(err).NotTo(HaveOccurred())
		resourceVersion := found(ctx).ResourceVersion
		s.run(ctx)
		Expect(s.execution.Status.Phase).To(Equal(kubernetesexecutionv1.PhaseExecuting))
		Expect(found(ctx).ResourceVersion).To(Equal(resourceVersion))
	})

	It("makes the recorded deletion when the manager crashed between record and deletion", func(ctx SpecContext) {
		s.intend(ctx)
		s.run(ctx)
		Expect(found(ctx).DeletionTimestamp).NotTo(BeNil())
		Expect(s.execution.Status.Changed).To(HaveValue(BeTrue()))
	})

	It("finds its deletion when the response was lost", func(ctx SpecContext) {
		lossy := effects.New(losingDeletions(func(err error) error {
			Expect(err).NotTo(HaveOccurred())
			return errors.New("connection reset by peer")
		}))
		_, err := s.reconcileBy(ctx, s.reconcilerWith(lossy))
		Expect(err).NotTo(HaveOccurred())
		Expect(s.execution.Status.Changed).To(HaveValue(BeTrue()))
		Expect(found(ctx).DeletionTimestamp).NotTo(BeNil())
	})

	It("knows that it wrote nothing when someone else was quicker", func(ctx SpecContext) {
		preparation := s.intend(ctx)
		ends(ctx)
		other := again(ctx)
		effect, err := s.apply(ctx, preparation)
		Expect(err).NotTo(HaveOccurred())
		Expect(effect.Changed).To(HaveValue(BeFalse()))
		expectUntouched(ctx, other)
	})

	It("goes through when only the status moved between validation and deletion", func(ctx SpecContext) {
		preparation := s.intend(ctx)
		moved := found(ctx)
		moved.Status.Phase = corev1.PodRunning
		Expect(admin.Status().Update(ctx, moved)).To(Succeed())
		effect, err := s.apply(ctx, preparation)
		Expect(err).NotTo(HaveOccurred())
		Expect(effect.Changed).To(HaveValue(BeTrue()))
		Expect(found(ctx).DeletionTimestamp).NotTo(BeNil())
	})

	It("fails when someone else changed the pod between validation and deletion", func(ctx SpecContext) {
		preparation := s.intend(ctx)
		changed := found(ctx)
		changed.Spec.Containers[0].Image = newImage
		Expect(admin.Update(ctx, changed)).To(Succeed())
		_, err := s.apply(ctx, preparation)
		Expect(machinery.Classify(err)).To(Equal(shared.ErrorResourceConflict))
		expectUntouched(ctx, uid())
	})

	It("fails when the pod is gone, on another UID, and on one that is already deleted", func(ctx SpecContext) {
		s.execution = s.newExecution(ctx, "other", &kubernetesexecutionv1.ExpectedTarget{UID: "00000000-0000-0000-0000-000000000000"})
		s.run(ctx)
		s.expectFailure(shared.ErrorResourceConflict)
		expectUntouched(ctx, found(ctx).UID)
		Expect(admin.Delete(ctx, found(ctx))).To(Succeed())
		s.execution = s.newExecution(ctx, "deleted", &kubernetesexecutionv1.ExpectedTarget{UID: found(ctx).UID})
		s.run(ctx)
		s.expectFailure(shared.ErrorResourceConflict)
		ends(ctx)
		s.execution = s.newExecution(ctx, "gone", s.execution.Spec.ExpectedTarget)
		s.run(ctx)
		s.expectFailure(shared.ErrorResourceNotFound)
	})

	It("deletes a pod that nobody makes again only by force", func(ctx SpecContext) {
		bare := func(namespace string) client.Object {
			object := pod(namespace)
			object.SetOwnerReferences(nil)
			return object
		}
		start(ctx, example{target: bare})
		s.run(ctx)
		s.expectFailure(shared.ErrorValidation)
		Expect(s.execution.Status.ErrorMessage).To(ContainSubstring("force: true"))
		expectUntouched(ctx, uid())
		start(ctx, example{target: bare, action: func(namespace string) shared.Action {
			action := builders.RestartPod("", namespace, "cart-1").Action
			action.RestartPod.Force = new(true)
			return action
		}})
		s.run(ctx)
		Expect(found(ctx).DeletionTimestamp).NotTo(BeNil())
	})

	It("deletes nothing when the gate does not allow it", func(ctx SpecContext) {
		s.gate.says = shared.VerdictRequireApproval
		s.run(ctx)
		s.expectFailure(shared.ErrorPolicyDenied)
		expectUntouched(ctx, uid())
		Expect(s.gate.asked[0].Preparation.Deletes).To(BeTrue())
	})

	It("deletes nothing when cancelled before, and finds its deletion when cancelled after", func(ctx SpecContext) {
		s.cancel(ctx)
		s.run(ctx)
		s.expectFailure(shared.ErrorCancelled)
		expectUntouched(ctx, uid())
		s.execution = s.newExecution(ctx, "later", s.execution.Spec.ExpectedTarget)
		preparation := s.intend(ctx)
		_, err := s.apply(ctx, preparation)
		Expect(err).NotTo(HaveOccurred())
		ends(ctx)
		s.cancel(ctx)
		s.run(ctx)
		Expect(s.execution.Status.Phase).To(Equal(kubernetesexecutionv1.PhaseCompleted))
		Expect(s.execution.Status.Changed).To(HaveValue(BeTrue()))
	})

	It("does not know whether it deleted when cancelled after a crash", func(ctx SpecContext) {
		s.intend(ctx)
		s.cancel(ctx)
		s.run(ctx)
		Expect(s.execution.Status.ErrorType).To(Equal(shared.ErrorCancelled))
		Expect(s.execution.Status.Changed).To(BeNil())
		expectUntouched(ctx, uid())
	})

	It("cannot be undone", func(ctx SpecContext) {
		s.run(ctx)
		ends(ctx)
		s.run(ctx)
		Expect(s.execution.Status.Phase).To(Equal(kubernetesexecutionv1.PhaseCompleted))
		s.undo(ctx)
		s.run(ctx)
		s.expectFailure(shared.ErrorValidation)
	})

	It("is woken by the end of the pod", func(ctx SpecContext) {
		startManager(ctx, s)
		Eventually(func(g Gomega) {
			s.refresh(ctx)
			g.Expect(s.execution.Status.Changed).To(HaveValue(BeTrue()))
		}).WithContext(ctx).WithTimeout(soon).WithPolling(often).Should(Succeed())
		ends(ctx)
		Eventually(func(g Gomega) {
			s.refresh(ctx)
			g.Expect(s.execution.Status.Phase).To(Equal(kubernetesexecutionv1.PhaseCompleted))
		}).WithContext(ctx).WithTimeout(soon).WithPolling(often).Should(Succeed())
	})

	It("has an account that can do nothing else", func(ctx SpecContext) {
		s.expectOnly(ctx, "get pods", "delete pods")
		account, err := clientsFor(s.action.Type)
		Expect(err).NotTo(HaveOccurred())
		Expect(apierrors.IsForbidden(account.Live.DeleteAllOf(ctx, &corev1.Pod{}, client.InNamespace(s.namespace)))).To(BeTrue())
	})
})

// losingDeletions gives clients whose deletions are carried out and then answered by what answer makes of it.
func losingDeletions(answer func(error) error) effects.ClientsFor {
	return func(action shared.ActionType) (machinery.Clients, error) {
		clients, err := clientsFor(action)
		if err != nil {
			return clients, err
		}
		clients.Live = interceptor.NewClient(watching{clients.Live}, interceptor.Funcs{
			Delete: func(ctx context.Context, c client.WithWatch, object client.Object, options ...client.DeleteOption) error {
				err := c.Delete(ctx, object, options...)
				if all := (&client.DeleteOptions{}).ApplyOptions(options); len(all.DryRun) > 0 {
					return err
				}
				return answer(err)
			},
		})
		return clients, nil
	}
}

var _ = Describe("the catalogue", func() {
	It("has an example for every action that changes something", func() {
		covered := map[shared.ActionType]bool{shared.ActionRestartDeployment: true, shared.ActionRestartPod: true}
		for _, e := range append(examples(), nodeExamples()...) {
			covered[e.action("x").Type] = true
		}
		for _, action := range actions.All() {
			Expect(covered[action.Type()] || !action.Mutates()).To(BeTrue(), string(action.Type()))
		}
	})
})

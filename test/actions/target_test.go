package actions

import (
	"context"
	"errors"
	"sync"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	kubernetesexecutionv1 "kubernaut.io/kubernaut/api/kubernetesexecution/v1"
	"kubernaut.io/kubernaut/api/shared"
	"kubernaut.io/kubernaut/controllers/kubernetesexecution/actions"
	"kubernaut.io/kubernaut/controllers/kubernetesexecution/effects"
	"kubernaut.io/kubernaut/controllers/kubernetesexecution/fields"
	"kubernaut.io/kubernaut/controllers/machinery"
)

// A spec for each thing that an action's tests show, for each action that changes a target.
var _ = Describe("an action on a target", func() {
	for _, e := range examples() {
		Describe(e.name, func() {
			var s *scene
			BeforeEach(func(ctx SpecContext) {
				s = set(ctx, e)
				warm(ctx, func() error {
					_, err := made.Read(ctx, &s.action)
					return err
				})
			})

			It("has its effect, then waits for the workload's controller, then is completed", func(ctx SpecContext) {
				before := s.live(ctx)
				s.run(ctx)
				Expect(s.execution.Status.Changed).To(BeNil(), "what will be taken up soon is recorded together with that")
				result := s.later(ctx)
				after := s.live(ctx)
				Expect(s.value(before)).To(Equal(e.before))
				Expect(s.value(after)).To(Equal(e.after))
				Expect(after.GetGeneration()).To(Equal(before.GetGeneration() + 1))
				Expect(after.GetAnnotations()).To(HaveKeyWithValue(shared.AnnotationLastExecution, string(s.execution.UID)))

				status := s.execution.Status
				Expect(status.Phase).To(Equal(kubernetesexecutionv1.PhaseExecuting))
				Expect(status.Changed).To(HaveValue(BeTrue()))
				Expect(status.ResultingGeneration).To(Equal(after.GetGeneration()))
				Expect(status.AffectedResources).To(ConsistOf(HaveField("UID", before.GetUID())))
				Expect(status.Inverse.UID).To(Equal(before.GetUID()))
				Expect(status.Inverse.Fields).To(HaveLen(1))
				Expect(status.Decision.Verdict).To(Equal(shared.VerdictAllow))
				Expect(result.RequeueAfter).To(BeNumerically(">", 0), "it must wake at its deadline")

				s.observe(ctx)
				s.run(ctx)
				Expect(s.execution.Status.Phase).To(Equal(kubernetesexecutionv1.PhaseCompleted))
				for _, condition := range []string{
					kubernetesexecutionv1.ConditionValidated, kubernetesexecutionv1.ConditionDryRunSucceeded, kubernetesexecutionv1.ConditionExecuted,
					kubernetesexecutionv1.ConditionVerified, shared.ConditionReady,
				} {
					Expect(meta.IsStatusConditionTrue(s.execution.Status.Conditions, condition)).To(BeTrue(), condition)
				}
				Expect(s.recorder.Events).NotTo(Receive(), "what becomes of a step is the workflow's to tell")
			})

			It("is written by the action's own account, with its own field manager", func(ctx SpecContext) {
				s.run(ctx)
				Expect(s.live(ctx).GetManagedFields()).To(ContainElement(HaveField("Manager", effects.FieldManager(s.action.Type))))
			})

			It("changes nothing when the target is already as wanted", func(ctx SpecContext) {
				s.run(ctx)
				s.observe(ctx)
				s.run(ctx)
				live := s.live(ctx)
				if s.action.RollbackDeployment != nil {
					s.action.RollbackDeployment.Revision = new(int64(1))
				}
				s.execution = s.newExecution(ctx, "again", &kubernetesexecutionv1.ExpectedTarget{UID: live.GetUID(), Generation: live.GetGeneration()})
				s.run(ctx)
				Expect(s.execution.Status.Phase).To(Equal(kubernetesexecutionv1.PhaseCompleted))
				Expect(s.execution.Status.Changed).To(HaveValue(BeFalse()))
				Expect(s.live(ctx).GetResourceVersion()).To(Equal(live.GetResourceVersion()))
			})

			It("applied twice is applied once", func(ctx SpecContext) {
				preparation := s.intend(ctx)
				first, err := s.apply(ctx, preparation)
				Expect(err).NotTo(HaveOccurred())
				second, err := s.apply(ctx, preparation)
				Expect(err).NotTo(HaveOccurred())
				Expect(second.Object.GetResourceVersion()).To(Equal(first.Object.GetResourceVersion()))
				Expect(second.Changed).To(HaveValue(BeTrue()))
				Expect(second.ResultingGeneration).To(Equal(first.ResultingGeneration))
			})

			It("has its effect once when many act at the same time", func(ctx SpecContext) {
				preparation := s.intend(ctx)
				before := s.live(ctx)
				var group sync.WaitGroup
				for range 8 {
					group.Go(func() {
						defer GinkgoRecover()
						effect, err := s.apply(ctx, preparation)
						Expect(err).NotTo(HaveOccurred())
						Expect(effect.Changed).To(HaveValue(BeTrue()))
					})
				}
				group.Wait()
				Expect(s.live(ctx).GetGeneration()).To(Equal(before.GetGeneration() + 1))
			})

			It("has its effect once when the manager crashed between write and record", func(ctx SpecContext) {
				preparation := s.intend(ctx)
				effect, err := s.apply(ctx, preparation)
				Expect(err).NotTo(HaveOccurred())
				s.observe(ctx)
				resourceVersion := s.live(ctx).GetResourceVersion()
				s.run(ctx)
				Expect(s.live(ctx).GetResourceVersion()).To(Equal(resourceVersion))
				Expect(s.execution.Status.Phase).To(Equal(kubernetesexecutionv1.PhaseCompleted))
				Expect(s.execution.Status.Changed).To(HaveValue(BeTrue()))
				Expect(s.execution.Status.ResultingGeneration).To(Equal(effect.ResultingGeneration))
			})

			It("makes the recorded effect when the manager crashed between record and write", func(ctx SpecContext) {
				s.intend(ctx)
				s.run(ctx)
				Expect(s.value(s.live(ctx))).To(Equal(e.after))
				s.observe(ctx)
				s.run(ctx)
				Expect(s.execution.Status.Changed).To(HaveValue(BeTrue()))
			})

			It("finds the effect when the response was lost", func(ctx SpecContext) {
				lossy := effects.New(losing(func(err error) error {
					Expect(err).NotTo(HaveOccurred())
					return errors.New("connection reset by peer")
				}))
				_, err := s.reconcileBy(ctx, s.reconcilerWith(lossy))
				Expect(err).NotTo(HaveOccurred())
				Expect(s.value(s.live(ctx))).To(Equal(e.after))
				s.observe(ctx)
				s.run(ctx)
				Expect(s.execution.Status.Changed).To(HaveValue(BeTrue()))
			})

			It("tries a dry run that changes nothing, and says exactly what the run then changes", func(ctx SpecContext) {
				before := s.live(ctx)
				preparation, err := made.Prepare(ctx, effects.Request{Action: &s.action, DryRun: true})
				Expect(err).NotTo(HaveOccurred())
				Expect(s.live(ctx)).To(Equal(before))
				s.run(ctx)
				changed := difference(before, s.live(ctx))
				Expect(preparation.DryRun).To(Equal(changed))
				Expect(preparation.Changes).To(Equal(changed))
				Expect(preparation.RollbackProven).To(HaveValue(BeTrue()))
				Expect(s.execution.Status.DryRun).To(Equal(changed))
			})

			It("tells that a dry run is not supported", func(ctx SpecContext) {
				refusing := effects.New(losing(func(error) error { return apierrors.NewBadRequest("admission webhook does not support dry run") }))
				preparation, err := refusing.Prepare(ctx, effects.Request{Action: &s.action, DryRun: true})
				Expect(err).NotTo(HaveOccurred())
				Expect(preparation.DryRunUnsupported).NotTo(BeEmpty())
				Expect(preparation.RollbackProven).To(BeNil())
				Expect(s.value(preparation.Result)).To(Equal(e.after))
			})

			It("fails when the target is gone", func(ctx SpecContext) {
				Expect(admin.Delete(ctx, s.live(ctx))).To(Succeed())
				s.run(ctx)
				s.expectFailure(shared.ErrorResourceNotFound)
			})

			It("never touches another object of the same name", func(ctx SpecContext) {
				preparation := s.intend(ctx)
				Expect(admin.Delete(ctx, s.live(ctx))).To(Succeed())
				Expect(admin.Create(ctx, e.target(s.namespace))).To(Succeed())
				other := s.live(ctx)
				_, err := s.apply(ctx, preparation)
				Expect(machinery.Classify(err)).To(Equal(shared.ErrorResourceConflict))
				Expect(s.live(ctx).GetResourceVersion()).To(Equal(other.GetResourceVersion()))
			})

			It("fails on another UID before anything is written", func(ctx SpecContext) {
				s.execution = s.newExecution(ctx, "other", &kubernetesexecutionv1.ExpectedTarget{UID: "00000000-0000-0000-0000-000000000000", Generation: 1})
				s.run(ctx)
				s.expectFailure(shared.ErrorResourceConflict)
				Expect(s.value(s.live(ctx))).To(Equal(e.before))
			})

			It("fails when someone else changed the target since the plan", func(ctx SpecContext) {
				s.touchSpec(ctx)
				s.run(ctx)
				s.expectFailure(shared.ErrorResourceConflict)
				Expect(s.value(s.live(ctx))).To(Equal(e.before))
				Expect(s.gate.asked).To(BeEmpty())
			})

			It("fails when someone else changes the target between validation and write", func(ctx SpecContext) {
				preparation := s.intend(ctx)
				s.touchSpec(ctx)
				_, err := s.apply(ctx, preparation)
				Expect(machinery.Classify(err)).To(Equal(shared.ErrorResourceConflict))
				Expect(s.value(s.live(ctx))).To(Equal(e.before))
			})

			It("goes through when only the status moved between validation and write", func(ctx SpecContext) {
				preparation := s.intend(ctx)
				s.observe(ctx)
				effect, err := s.apply(ctx, preparation)
				Expect(err).NotTo(HaveOccurred())
				Expect(effect.Changed).To(HaveValue(BeTrue()))
				Expect(s.value(s.live(ctx))).To(Equal(e.after))
			})

			It("writes nothing when the gate does not allow it", func(ctx SpecContext) {
				for _, says := range []shared.Verdict{shared.VerdictDeny, shared.VerdictRequireApproval} {
					s.gate.says = says
					live := s.live(ctx)
					s.execution = s.newExecution(ctx, "w-"+map[shared.Verdict]string{
						shared.VerdictDeny: "deny", shared.VerdictRequireApproval: "approval",
					}[says], s.execution.Spec.ExpectedTarget)
					s.run(ctx)
					s.expectFailure(shared.ErrorPolicyDenied)
					Expect(s.execution.Status.ErrorMessage).To(ContainSubstring("test/no: not today"))
					Expect(s.live(ctx).GetResourceVersion()).To(Equal(live.GetResourceVersion()))
				}
			})

			It("waits while the gate holds it, and goes on when it does not", func(ctx SpecContext) {
				s.gate.says = shared.VerdictHold
				s.run(ctx)
				Expect(s.execution.Status.Phase).To(Equal(kubernetesexecutionv1.PhaseValidating))
				resourceVersion := s.execution.ResourceVersion
				s.run(ctx)
				Expect(s.execution.ResourceVersion).To(Equal(resourceVersion), "a hold that goes on changes nothing")
				Expect(s.value(s.live(ctx))).To(Equal(e.before))
				s.gate.says = shared.VerdictAllow
				s.run(ctx)
				Expect(s.value(s.live(ctx))).To(Equal(e.after))
			})

			It("waits for a gate that gives no verdict", func(ctx SpecContext) {
				s.gate.err = errors.New("the safety gate has no policy set yet")
				_, err := s.reconcile(ctx)
				Expect(err).To(HaveOccurred())
				Expect(s.execution.Status.Phase).To(Equal(kubernetesexecutionv1.PhaseValidating))
				Expect(s.value(s.live(ctx))).To(Equal(e.before))
				s.gate.err = nil
				s.run(ctx)
				Expect(s.value(s.live(ctx))).To(Equal(e.after))
			})

			It("writes nothing when cancelled before", func(ctx SpecContext) {
				s.cancel(ctx)
				s.run(ctx)
				s.expectFailure(shared.ErrorCancelled)
				Expect(s.value(s.live(ctx))).To(Equal(e.before))
			})

			It("finds its effect when cancelled after the write", func(ctx SpecContext) {
				preparation := s.intend(ctx)
				_, err := s.apply(ctx, preparation)
				Expect(err).NotTo(HaveOccurred())
				s.observe(ctx)
				s.cancel(ctx)
				s.run(ctx)
				Expect(s.execution.Status.Phase).To(Equal(kubernetesexecutionv1.PhaseCompleted))
				Expect(s.execution.Status.Changed).To(HaveValue(BeTrue()))
			})

			It("does not know whether it wrote when cancelled after a crash", func(ctx SpecContext) {
				s.intend(ctx)
				s.cancel(ctx)
				s.run(ctx)
				Expect(s.execution.Status.ErrorType).To(Equal(shared.ErrorCancelled))
				Expect(s.execution.Status.Changed).To(BeNil())
				Expect(s.value(s.live(ctx))).To(Equal(e.before))
			})

			It("fails with a time-out when nobody observes the change", func(ctx SpecContext) {
				s.run(ctx)
				s.execution.Status.StartedAt = new(metav1.NewTime(s.execution.Status.StartedAt.Add(-soon * 60)))
				Expect(admin.Status().Update(ctx, s.execution)).To(Succeed())
				s.run(ctx)
				Expect(s.execution.Status.ErrorType).To(Equal(shared.ErrorTimeout))
				Expect(s.execution.Status.Changed).To(HaveValue(BeTrue()))
			})

			It("has an account that can do nothing else", func(ctx SpecContext) {
				account, err := clientsFor(s.action.Type)
				Expect(err).NotTo(HaveOccurred())
				live := s.live(ctx)
				forbidden := func(err error) { GinkgoHelper(); Expect(apierrors.IsForbidden(err)).To(BeTrue(), "%v", err) }
				forbidden(account.Live.Delete(ctx, live))
				forbidden(account.Live.Update(ctx, live))
				forbidden(account.Live.Status().Update(ctx, live))
				forbidden(account.Live.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "x"}}))
				forbidden(account.Live.List(ctx, &corev1.SecretList{}))
				forbidden(account.Live.Get(ctx, client.ObjectKeyFromObject(s.execution), &kubernetesexecutionv1.KubernetesExecution{}))
				known, _ := actions.Get(s.action.Type)
				for _, resource := range []struct{ kind, resource string }{
					{"Deployment", "deployments"}, {"StatefulSet", "statefulsets"}, {"DaemonSet", "daemonsets"}, {"ReplicaSet", "replicasets"},
				} {
					object := &unstructured.Unstructured{}
					object.SetAPIVersion("apps/v1")
					object.SetKind(resource.kind)
					object.SetNamespace(s.namespace)
					object.SetName("absent")
					err := account.Live.Patch(ctx, object, client.RawPatch("application/json-patch+json", []byte("[]")))
					Expect(apierrors.IsForbidden(err)).To(Equal(!allows(known, resource.resource, "patch")), "%s: %v", resource.kind, err)
				}
			})
		})
	}

	It("plans a step on top of an earlier one that has not run", func(ctx SpecContext) {
		s := set(ctx, examples()[0])
		first, err := made.Prepare(ctx, effects.Request{Action: &s.action, DryRun: true})
		Expect(err).NotTo(HaveOccurred())
		image := imageOf(shared.WorkloadDeployment)(s.namespace)
		second, err := made.Prepare(ctx, effects.Request{Action: &image, Base: first.Result, DryRun: true})
		Expect(err).NotTo(HaveOccurred())
		Expect(second.DryRun).To(ConsistOf(HaveField("Path", "/spec/template/spec/containers/0/image")))
		Expect(second.RollbackProven).To(HaveValue(BeTrue()))
		replicas, _, err := unstructured.NestedInt64(second.Result.Object, "spec", "replicas")
		Expect(err).NotTo(HaveOccurred())
		Expect(replicas).To(Equal(int64(5)))
		Expect(s.value(s.live(ctx))).To(Equal(int64(2)))
	})

	It("says which account is missing", func(ctx SpecContext) {
		s := set(ctx, examples()[0])
		account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "kubernaut-system", Name: "action-scale-deployment"}}
		Expect(admin.Delete(ctx, account)).To(Succeed())
		DeferCleanup(func(ctx SpecContext) {
			account.ResourceVersion, account.UID = "", ""
			Expect(admin.Create(ctx, account)).To(Succeed())
			By("going on with the effects whose token is void now")
			warm(ctx, func() error {
				_, err := made.Read(ctx, &s.action)
				return err
			})
		})
		_, err := effects.New(clientsFor).Prepare(ctx, effects.Request{Action: &s.action})
		Expect(machinery.Classify(err)).To(Equal(shared.ErrorPermissionDenied))
		Expect(err.Error()).To(ContainSubstring("ServiceAccount kubernaut-system/action-scale-deployment does not exist"))
	})
})

// difference is what differs between two states, as the status tells it.
func difference(before, after *unstructured.Unstructured) []shared.FieldChange {
	GinkgoHelper()
	changes, err := fields.Between(before, after)
	Expect(err).NotTo(HaveOccurred())
	return changes
}

// losing gives clients whose patches are carried out and then answered by what answer makes of it.
func losing(answer func(error) error) effects.ClientsFor {
	return func(action shared.ActionType) (machinery.Clients, error) {
		clients, err := clientsFor(action)
		if err != nil {
			return clients, err
		}
		clients.Live = interceptor.NewClient(watching{clients.Live}, interceptor.Funcs{
			Patch: func(ctx context.Context, c client.WithWatch, object client.Object, patch client.Patch, options ...client.PatchOption) error {
				err := c.Patch(ctx, object, patch, options...)
				all := (&client.PatchOptions{}).ApplyOptions(options)
				if len(all.DryRun) > 0 && err == nil {
					if reply := answer(nil); apierrors.IsBadRequest(reply) {
						return reply
					}
					return nil
				}
				return answer(err)
			},
		})
		return clients, nil
	}
}

// watching makes of a client what interceptor wants; nothing here watches.
type watching struct{ client.Client }

func (watching) Watch(context.Context, client.ObjectList, ...client.ListOption) (watch.Interface, error) {
	return nil, errors.ErrUnsupported
}

func allows(action actions.Action, resource, verb string) bool {
	for _, rule := range actions.PolicyRules(action) {
		for _, v := range rule.Verbs {
			if rule.Resources[0] == resource && v == verb {
				return true
			}
		}
	}
	return false
}

func (s *scene) expectFailure(errorType shared.ErrorType) {
	GinkgoHelper()
	Expect(s.execution.Status.Phase).To(Equal(kubernetesexecutionv1.PhaseFailed))
	Expect(s.execution.Status.ErrorType).To(Equal(errorType), s.execution.Status.ErrorMessage)
	Expect(s.execution.Status.ErrorMessage).NotTo(BeEmpty())
	Expect(s.execution.Status.Changed).To(HaveValue(BeFalse()))
	Expect(s.recorder.Events).To(Receive(HavePrefix("Warning")))
}

func (s *scene) cancel(ctx context.Context) {
	GinkgoHelper()
	s.refresh(ctx)
	s.execution.Spec.Cancel = new(true)
	Expect(admin.Update(ctx, s.execution)).To(Succeed())
}

// touchSpec changes the target as another writer would, in a field that no action here touches.
func (s *scene) touchSpec(ctx context.Context) {
	GinkgoHelper()
	live := s.live(ctx)
	Expect(unstructured.SetNestedField(live.Object, "true", "spec", "template", "metadata", "annotations", "touched")).To(Succeed())
	Expect(admin.Update(ctx, live)).To(Succeed())
}

package actions

import (
	"context"
	"errors"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/types"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubernetesexecutionv1 "kubernaut.io/kubernaut/api/kubernetesexecution/v1"
	safetyv1alpha1 "kubernaut.io/kubernaut/api/safety/v1alpha1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/controllers/kubernetesexecution/effects"
	"kubernaut.io/kubernaut/controllers/machinery"
	"kubernaut.io/kubernaut/test/builders"
)

// nodeExamples are the actions on a node; its name is that of the spec's namespace.
func nodeExamples() []example {
	node := func(unschedulable bool) func(string) client.Object {
		return func(name string) client.Object {
			return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.NodeSpec{Unschedulable: unschedulable}}
		}
	}
	field := []string{"spec", "unschedulable"}
	return []example{
		{
			name: "cordon-node", target: node(false), field: field, before: nil, after: true,
			action: func(name string) shared.Action { return builders.Cordon("", name).Action },
		},
		{
			name: "uncordon-node", target: node(true), field: field, before: true, after: nil,
			action: func(name string) shared.Action { return builders.Uncordon("", name).Action },
		},
	}
}

var _ = Describe("an action on a node", func() {
	for _, e := range nodeExamples() {
		Describe(e.name, func() {
			var s *scene
			BeforeEach(func(ctx SpecContext) {
				s = set(ctx, e)
				DeferCleanup(func(ctx SpecContext) {
					Expect(client.IgnoreNotFound(admin.Delete(ctx, e.target(s.namespace)))).To(Succeed())
				})
				warm(ctx, func() error {
					_, err := made.Read(ctx, &s.action)
					return err
				})
			})
			unchanged := func(ctx context.Context, before *unstructured.Unstructured) {
				GinkgoHelper()
				Expect(s.live(ctx).GetResourceVersion()).To(Equal(before.GetResourceVersion()))
			}

			It("has its effect and is completed at once", func(ctx SpecContext) {
				before := s.live(ctx)
				Expect(s.value(before)).To(is(e.before))
				s.run(ctx)
				after := s.live(ctx)
				Expect(s.value(after)).To(is(e.after))
				Expect(s.execution.Status.Phase).To(Equal(kubernetesexecutionv1.PhaseCompleted), s.execution.Status.ErrorMessage)
				Expect(s.execution.Status.Changed).To(HaveValue(BeTrue()))
				Expect(s.execution.Status.AffectedResources).To(ConsistOf(HaveField("UID", before.GetUID())))
				Expect(s.execution.Status.Inverse.Restores()).To(BeTrue())
				Expect(s.execution.Status.DryRun).To(Equal(difference(before, after)))
				Expect(after.GetAnnotations()).To(HaveKeyWithValue(shared.AnnotationLastExecution, string(s.execution.UID)))
				Expect(s.recorder.Events).NotTo(Receive(), "what becomes of a step is the workflow's to tell")
			})

			It("changes nothing when the node is already as wanted", func(ctx SpecContext) {
				s.change(ctx, e.after)
				live := s.live(ctx)
				s.run(ctx)
				Expect(s.execution.Status.Phase).To(Equal(kubernetesexecutionv1.PhaseCompleted))
				Expect(s.execution.Status.Changed).To(HaveValue(BeFalse()))
				unchanged(ctx, live)
			})

			It("applied twice is applied once", func(ctx SpecContext) {
				preparation := s.intend(ctx)
				first, err := s.apply(ctx, preparation)
				Expect(err).NotTo(HaveOccurred())
				second, err := s.apply(ctx, preparation)
				Expect(err).NotTo(HaveOccurred())
				Expect(second.Object.GetResourceVersion()).To(Equal(first.Object.GetResourceVersion()))
				Expect(second.Changed).To(HaveValue(BeTrue()))
			})

			It("has its effect once when the manager crashed between write and record", func(ctx SpecContext) {
				preparation := s.intend(ctx)
				_, err := s.apply(ctx, preparation)
				Expect(err).NotTo(HaveOccurred())
				live := s.live(ctx)
				s.run(ctx)
				unchanged(ctx, live)
				Expect(s.execution.Status.Phase).To(Equal(kubernetesexecutionv1.PhaseCompleted))
				Expect(s.execution.Status.Changed).To(HaveValue(BeTrue()))
			})

			It("makes the recorded effect when the manager crashed between record and write", func(ctx SpecContext) {
				s.intend(ctx)
				s.run(ctx)
				Expect(s.value(s.live(ctx))).To(is(e.after))
				Expect(s.execution.Status.Changed).To(HaveValue(BeTrue()))
			})

			It("finds the effect when the response was lost", func(ctx SpecContext) {
				lossy := effects.New(losing(func(err error) error {
					Expect(err).NotTo(HaveOccurred())
					return errors.New("connection reset by peer")
				}))
				_, err := s.reconcileBy(ctx, s.reconcilerWith(lossy))
				Expect(err).NotTo(HaveOccurred())
				Expect(s.execution.Status.Changed).To(HaveValue(BeTrue()))
				Expect(s.value(s.live(ctx))).To(is(e.after))
			})

			It("tries a dry run that changes nothing, and says exactly what the run then changes", func(ctx SpecContext) {
				before := s.live(ctx)
				preparation, err := made.Prepare(ctx, effects.Request{Action: &s.action, DryRun: true})
				Expect(err).NotTo(HaveOccurred())
				Expect(s.live(ctx)).To(Equal(before))
				Expect(preparation.RollbackProven).To(HaveValue(BeTrue()))
				s.run(ctx)
				Expect(difference(before, s.live(ctx))).To(Equal(preparation.DryRun))
			})

			It("fails when the node is gone, and on another of the same name", func(ctx SpecContext) {
				Expect(admin.Delete(ctx, s.live(ctx))).To(Succeed())
				s.run(ctx)
				s.expectFailure(shared.ErrorResourceNotFound)
				Expect(admin.Create(ctx, e.target(s.namespace))).To(Succeed())
				other := s.live(ctx)
				s.execution = s.newExecution(ctx, "other", s.execution.Spec.ExpectedTarget)
				s.run(ctx)
				s.expectFailure(shared.ErrorResourceConflict)
				unchanged(ctx, other)
			})

			It("fails when someone else changes the same between validation and write", func(ctx SpecContext) {
				preparation := s.intend(ctx)
				s.change(ctx, e.after)
				live := s.live(ctx)
				_, err := s.apply(ctx, preparation)
				Expect(machinery.Classify(err)).To(Equal(shared.ErrorResourceConflict))
				unchanged(ctx, live)
			})

			It("goes through when something else of the node moved between validation and write", func(ctx SpecContext) {
				preparation := s.intend(ctx)
				s.taint(ctx)
				_, err := s.apply(ctx, preparation)
				Expect(err).NotTo(HaveOccurred())
				Expect(s.value(s.live(ctx))).To(is(e.after))
			})

			It("writes nothing when the gate denies it", func(ctx SpecContext) {
				live := s.live(ctx)
				s.gate.says = shared.VerdictDeny
				s.run(ctx)
				s.expectFailure(shared.ErrorPolicyDenied)
				unchanged(ctx, live)
			})

			It("is undone: its field is put back, and no other", func(ctx SpecContext) {
				s.run(ctx)
				s.undo(ctx)
				s.taint(ctx)
				tainted := s.live(ctx)
				s.run(ctx)
				Expect(s.execution.Status.Phase).To(Equal(kubernetesexecutionv1.PhaseCompleted), s.execution.Status.ErrorMessage)
				live := s.live(ctx)
				Expect(s.value(live)).To(is(e.before))
				Expect(difference(tainted, live)).To(HaveLen(1))
				Expect(s.gate.asked[len(s.gate.asked)-1].Stage).To(Equal(safetyv1alpha1.StageRollback))
			})

			It("is not undone when the workflow is not rolling back", func(ctx SpecContext) {
				s.run(ctx)
				s.undo(ctx)
				s.workflowPhase(ctx, workflowexecutionv1.PhaseMonitoring)
				s.run(ctx)
				s.expectFailure(shared.ErrorValidation)
				Expect(s.value(s.live(ctx))).To(is(e.after))
			})

			It("has an account that can do nothing else", func(ctx SpecContext) {
				s.expectOnly(ctx, "get nodes", "patch nodes")
			})
		})
	}
})

// taint changes a node as another writer would.
func (s *scene) taint(ctx context.Context) {
	GinkgoHelper()
	live := s.live(ctx)
	taints := []any{map[string]any{"key": "touched", "effect": "NoSchedule"}}
	Expect(unstructured.SetNestedSlice(live.Object, taints, "spec", "taints")).To(Succeed())
	Expect(admin.Update(ctx, live)).To(Succeed())
}

// is matches a value that may be absent.
func is(value any) types.GomegaMatcher {
	if value == nil {
		return BeNil()
	}
	return Equal(value)
}

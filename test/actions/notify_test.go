package actions

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubernetesexecutionv1 "kubernaut.io/kubernaut/api/kubernetesexecution/v1"
	"kubernaut.io/kubernaut/api/shared"
	"kubernaut.io/kubernaut/controllers/kubernetesexecution/effects"
	"kubernaut.io/kubernaut/test/builders"
)

var _ = Describe("notify-only", func() {
	var s *scene
	BeforeEach(func(ctx SpecContext) {
		s = set(ctx, example{action: func(string) shared.Action { return builders.Notify("", "the cart is broken again").Action }})
	})

	notifications := func(ctx context.Context) []eventsv1.Event {
		GinkgoHelper()
		var list eventsv1.EventList
		Expect(admin.List(ctx, &list, client.InNamespace(s.namespace))).To(Succeed())
		return list.Items
	}

	It("writes an event about the workflow, and is completed at once", func(ctx SpecContext) {
		s.run(ctx)
		Expect(s.execution.Status.Phase).To(Equal(kubernetesexecutionv1.PhaseCompleted))
		Expect(s.execution.Status.Changed).To(HaveValue(BeFalse()), "no target was changed")
		Expect(s.execution.Status.AffectedResources).To(HaveLen(1))
		found := notifications(ctx)
		Expect(found).To(HaveLen(1))
		Expect(found[0].Type).To(Equal(corev1.EventTypeWarning))
		Expect(found[0].Reason).To(Equal("Notification"))
		Expect(found[0].Note).To(Equal("the cart is broken again"))
		Expect(found[0].Regarding.Kind).To(Equal("WorkflowExecution"))
		Expect(found[0].Regarding.UID).To(Equal(s.execution.Spec.WorkflowExecutionRef.UID))
	})

	It("says it once, also when the manager crashed before the record", func(ctx SpecContext) {
		s.intend(ctx)
		_, err := s.apply(ctx, &effects.Preparation{})
		Expect(err).NotTo(HaveOccurred())
		s.run(ctx)
		Expect(s.execution.Status.Phase).To(Equal(kubernetesexecutionv1.PhaseCompleted))
		Expect(notifications(ctx)).To(HaveLen(1))
	})

	It("says nothing when the gate denies it", func(ctx SpecContext) {
		s.gate.says = shared.VerdictDeny
		s.run(ctx)
		s.expectFailure(shared.ErrorPolicyDenied)
		Expect(notifications(ctx)).To(BeEmpty())
	})

	It("has an account that can do nothing else", func(ctx SpecContext) {
		account, err := clientsFor(shared.ActionNotifyOnly)
		Expect(err).NotTo(HaveOccurred())
		for _, err := range []error{
			account.Live.List(ctx, &eventsv1.EventList{}),
			account.Live.List(ctx, &appsv1.DeploymentList{}),
			account.Live.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "x"}}),
		} {
			Expect(apierrors.IsForbidden(err)).To(BeTrue(), "%v", err)
		}
	})
})

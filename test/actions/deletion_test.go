package actions

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubernetesexecutionv1 "kubernaut.io/kubernaut/api/kubernetesexecution/v1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
)

var _ = Describe("an execution that somebody deletes", func() {
	var s *scene
	BeforeEach(func(ctx SpecContext) {
		s = set(ctx, examples()[0])
		s.execution.Finalizers = []string{shared.FinalizerKubernetesExecution}
		Expect(admin.Update(ctx, s.execution)).To(Succeed())
	})
	gone := func(ctx context.Context) bool {
		return apierrors.IsNotFound(admin.Get(ctx, client.ObjectKeyFromObject(s.execution), &kubernetesexecutionv1.KubernetesExecution{}))
	}

	It("stays until its workflow cannot have to undo it any more", func(ctx SpecContext) {
		s.workflowPhase(ctx, workflowexecutionv1.PhaseExecuting)
		s.run(ctx)
		s.observe(ctx)
		s.run(ctx)
		Expect(s.execution.Status.Phase).To(Equal(kubernetesexecutionv1.PhaseCompleted))
		Expect(admin.Delete(ctx, s.execution)).To(Succeed())
		s.run(ctx)
		Expect(gone(ctx)).To(BeFalse())
		s.workflowPhase(ctx, workflowexecutionv1.PhaseCompleted)
		_, err := s.reconciler().Reconcile(ctx, requestFor(s.execution))
		Expect(err).NotTo(HaveOccurred())
		Expect(gone(ctx)).To(BeTrue())
	})

	It("makes no write that has not begun", func(ctx SpecContext) {
		Expect(admin.Delete(ctx, s.execution)).To(Succeed())
		s.run(ctx)
		s.expectFailure(shared.ErrorCancelled)
		Expect(s.value(s.live(ctx))).To(Equal(s.before))
	})

	It("goes with a workflow that is gone", func(ctx SpecContext) {
		Expect(admin.Delete(ctx, s.execution)).To(Succeed())
		workflow := &workflowexecutionv1.WorkflowExecution{}
		workflow.Namespace, workflow.Name = s.namespace, "w"
		Expect(admin.Delete(ctx, workflow)).To(Succeed())
		s.run(ctx)
		_, err := s.reconciler().Reconcile(ctx, requestFor(s.execution))
		Expect(err).NotTo(HaveOccurred())
		Expect(gone(ctx)).To(BeTrue())
	})
})

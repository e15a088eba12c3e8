package actions

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	kubernetesexecutionv1 "kubernaut.io/kubernaut/api/kubernetesexecution/v1"
	"kubernaut.io/kubernaut/api/shared"
	"kubernaut.io/kubernaut/controllers/identity"
	"kubernaut.io/kubernaut/controllers/kubernetesexecution"
)

var _ = Describe("the controller in a manager", func() {
	It("is woken by the execution and by the target, and needs no polling", func(ctx SpecContext) {
		s := set(ctx, examples()[0])
		before := s.live(ctx)
		startManager(ctx, s)
		Eventually(func(g Gomega) {
			s.refresh(ctx)
			g.Expect(s.execution.Status.Changed).To(HaveValue(BeTrue()))
		}).WithContext(ctx).WithTimeout(soon).WithPolling(often).Should(Succeed())
		Expect(s.execution.Status.Phase).To(Equal(kubernetesexecutionv1.PhaseExecuting))
		s.observe(ctx)
		Eventually(func(g Gomega) {
			s.refresh(ctx)
			g.Expect(s.execution.Status.Phase).To(Equal(kubernetesexecutionv1.PhaseCompleted))
		}).WithContext(ctx).WithTimeout(soon).WithPolling(often).Should(Succeed())
		Expect(s.live(ctx).GetGeneration()).To(Equal(before.GetGeneration() + 1))
	})

	It("has each effect once when two managers run by mistake", func(ctx SpecContext) {
		var scenes []*scene
		for range 5 {
			for _, e := range examples() {
				scenes = append(scenes, set(ctx, e))
			}
		}
		startManager(ctx, scenes[0])
		startManager(ctx, scenes[0])
		for _, s := range scenes {
			Eventually(func(g Gomega) {
				s.refresh(ctx)
				g.Expect(s.execution.Status.Changed).To(HaveValue(BeTrue()), s.execution.Status.ErrorMessage)
			}).WithContext(ctx).WithTimeout(soon).WithPolling(often).Should(Succeed())
			Expect(s.value(s.live(ctx))).To(Equal(s.after))
			Expect(s.live(ctx).GetGeneration()).To(Equal(s.execution.Spec.ExpectedTarget.Generation + 1))
		}
	})
})

// startManager runs a manager with the controller until the spec ends.
func startManager(ctx context.Context, s *scene) {
	GinkgoHelper()
	mgr, err := ctrl.NewManager(controlPlane.Config, ctrl.Options{Scheme: scheme, Metrics: metricsserver.Options{BindAddress: "0"}})
	Expect(err).NotTo(HaveOccurred())
	r := s.reconciler()
	r.Recorder = mgr.GetEventRecorder("kubernetesexecution")
	r.Gate = &allowing{}
	controllers, err := identity.NewIssuer(controlPlane.Config, identity.DefaultNamespace)
	Expect(err).NotTo(HaveOccurred())
	r.Clients, err = controllers.Clients(identity.KubernetesExecution, scheme, mgr.GetRESTMapper(), mgr.GetCache())
	Expect(err).NotTo(HaveOccurred())
	Expect(r.SetupWithManager(mgr, controller.Options{SkipNameValidation: new(true)})).To(Succeed())
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	go func() { ended <- mgr.Start(running) }()
	DeferCleanup(func() {
		stop()
		Eventually(ended).WithTimeout(soon).Should(Receive(BeNil()))
	})
}

// allowing is a gate that allows everything, for many at a time.
type allowing struct{}

func (allowing) Judge(context.Context, kubernetesexecution.JudgeRequest) (shared.Decision, error) {
	return shared.Decision{Verdict: shared.VerdictAllow}, nil
}

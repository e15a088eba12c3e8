package admission

import (
	"context"
	"os/exec"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	safetyv1alpha1 "kubernaut.io/kubernaut/api/safety/v1alpha1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
)

// deployment is one of name with so many replicas; nothing runs it here.
func deployment(namespace, name string, replicas int32, annotations map[string]string) *appsv1.Deployment {
	labels := map[string]string{"app": name}
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace, Annotations: annotations},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{
				Containers: []corev1.Container{{Name: "app", Image: "registry.example.com/shop/app:1"}},
			}},
		},
	}
}

var _ = Describe("The preview of the safety gate", Ordered, func() {
	const name = "previewed"
	BeforeAll(func(ctx SpecContext) {
		object := deployment(workNamespace, name, 2, map[string]string{"argocd.argoproj.io/tracking-id": "shop:apps/Deployment:shop/previewed"})
		Expect(admin.Create(ctx, object)).To(Succeed())
		DeferCleanup(func(ctx SpecContext) { Expect(admin.Delete(ctx, object)).To(Succeed()) })
	})
	scaled := func(replicas int32, change func(*workflowexecutionv1.WorkflowExecution)) *workflowexecutionv1.WorkflowExecution {
		s := step("scale-it")
		s.Action = shared.Action{Type: shared.ActionScaleDeployment, ScaleDeployment: &shared.ScaleDeployment{Namespace: workNamespace, Name: name, Replicas: &replicas}}
		missing := step("scale-what-is-not-there")
		return workflow("previewed-", change, s, missing)
	}
	told := func(ctx context.Context, object client.Object, options ...client.CreateOption) []string {
		GinkgoHelper()
		heard := &warnings{}
		Expect(clientOf(heard.listen(aliceConfig)).Create(ctx, object, options...)).To(Succeed())
		return heard.texts
	}

	It("says what would be denied, what would need approval, and what is not there, step by step", func(ctx SpecContext) {
		Eventually(func() []string { return told(ctx, scaled(100, nil)) }).WithTimeout(readyTimeout).WithPolling(pollInterval).Should(ContainElements(
			`step "scale-it": the safety gate would deny it: replica_bounds/too_many_replicas: 100 replicas is too large a step from 2`,
			HavePrefix(`step "scale-it": it would need approval by one person: gitops/managed_by_gitops: the target is managed by ArgoCD in shop`),
			ContainSubstring(`step "scale-what-is-not-there": it would fail: Deployment shop/scale-what-is-not-there does not exist`),
			HavePrefix("this is a preview without the server's dry run"),
		))
	})

	It("says it on a dry run too, and stores nothing", func(ctx SpecContext) {
		object := scaled(100, func(w *workflowexecutionv1.WorkflowExecution) { w.GenerateName, w.Name = "", "previewed-dry" })
		Expect(told(ctx, object, client.DryRunAll)).To(ContainElement(ContainSubstring("replica_bounds/too_many_replicas")))
		Expect(client.IgnoreNotFound(admin.Get(ctx, client.ObjectKey{Namespace: workNamespace, Name: "previewed-dry"}, object))).To(Succeed())
	})

	It("says what an emergency stop would hold", func(ctx SpecContext) {
		stop := policyOf("preview-stop", `hold contains {"code": "stopped", "msg": "all repairs are stopped"}`, "")
		stop.Spec.Enforcement = safetyv1alpha1.EnforcementEnforce
		Expect(admin.Create(ctx, stop)).To(Succeed())
		DeferCleanup(func(ctx SpecContext) { Expect(admin.Delete(ctx, stop)).To(Succeed()) })
		Eventually(func() []string { return told(ctx, scaled(2, nil), client.DryRunAll) }).WithTimeout(readyTimeout).WithPolling(pollInterval).
			Should(ContainElement(`step "scale-it": the safety gate would hold it until its policies change: preview_stop/stopped: all repairs are stopped`))
	})

	It("shows nothing of a target to who may not get it", func(ctx SpecContext) {
		gretel := person(ctx, "gretel", "patch")
		Expect(gretel).NotTo(BeNil())
		heard := &warnings{}
		blind := clientOf(heard.listen(certified("gretel")))
		object := scaled(100, func(w *workflowexecutionv1.WorkflowExecution) { w.Namespace = "gretel" })
		Expect(blind.Create(ctx, object)).To(MatchError(ContainSubstring("gretel may not get deployments.apps previewed in namespace shop")))
		Expect(heard.texts).To(BeEmpty())
	})

	It("is what kubectl apply prints", func(ctx SpecContext) {
		object := scaled(100, func(w *workflowexecutionv1.WorkflowExecution) { w.GenerateName, w.Name = "", "previewed-by-kubectl" })
		object.SetGroupVersionKind(workflowexecutionv1.GroupVersion.WithKind("WorkflowExecution"))
		manifest, err := yaml.Marshal(object)
		Expect(err).NotTo(HaveOccurred())
		user, err := controlPlane.AddUser(aliceUser, adminConfig)
		Expect(err).NotTo(HaveOccurred())
		kubectl, err := user.Kubectl()
		Expect(err).NotTo(HaveOccurred())
		command := exec.CommandContext(ctx, kubectl.Path, append(kubectl.Opts, "apply", "--server-side", "-f", "-")...)
		command.Stdin = strings.NewReader(string(manifest))
		out, err := command.CombinedOutput()
		Expect(err).NotTo(HaveOccurred(), string(out))
		Expect(string(out)).To(ContainSubstring(`Warning: step "scale-it": the safety gate would deny it: replica_bounds/too_many_replicas: 100 replicas is too large a step from 2`))
	})
})

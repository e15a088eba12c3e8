package install

import (
	"context"
	"fmt"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"kubernaut.io/kubernaut/controllers/identity"
	"kubernaut.io/kubernaut/test/cluster"
)

var _ = Describe("The manifests", Ordered, func() {
	var (
		config *rest.Config
		admin  client.Client
	)

	BeforeAll(func(ctx SpecContext) {
		config = startCluster().Config
		admin = clientOf(config)
		installCertManagerKinds(ctx, config)
	})

	// Server-side apply with strict validation is what Install does; twice, because an upgrade applies them again.
	DescribeTable("are accepted as they are, and again",
		func(ctx SpecContext, folder, origin string) {
			manifests := rendered(ctx, folder)
			for range 2 {
				Expect(cluster.Install(ctx, config, cluster.Options{Manifests: manifests})).To(Succeed())
			}
			Expect(deployment(ctx, admin).Spec.Template.Spec.Containers[0].Args).To(ContainElement("--webhook-certs=" + origin))
		},
		Entry("with cert-manager", "config/default", "cert-manager"),
		Entry("without it", "config/self-signed", "self-signed"),
	)

	It("read the address of a notification sink from a Secret where a user wants one", func(ctx SpecContext) {
		Expect(cluster.Install(ctx, config, cluster.Options{Manifests: rendered(ctx, "test/install/notification")})).To(Succeed())
		pod := deployment(ctx, admin).Spec.Template.Spec
		Expect(pod.Containers[0].Args).To(ContainElement("--notification-url-file=/etc/kubernaut/notification/url"))
		Expect(pod.Containers[0].VolumeMounts).To(ContainElement(And(HaveField("MountPath", "/etc/kubernaut/notification"), HaveField("ReadOnly", true))))
		Expect(pod.Volumes).To(ContainElement(HaveField("Secret.SecretName", "kubernaut-notification")))
	})

	It("ask cert-manager for the CA only where it provides the certificate", func(ctx SpecContext) {
		for folder, want := range map[string]int{"config/default": 2, "config/self-signed": 0, "config/local": 0} {
			var injected int
			for _, object := range objectsIn(rendered(ctx, folder)) {
				if object.GetAnnotations()["cert-manager.io/inject-ca-from"] == operatorNamespace+"/kubernaut-webhook" {
					injected++
				}
			}
			Expect(injected).To(Equal(want), folder)
		}
	})

	It("leave the Deployment out for a manager that runs as a process", func(ctx SpecContext) {
		for _, object := range objectsIn(rendered(ctx, "config/local")) {
			Expect(object.GetKind()).NotTo(BeElementOf("Deployment", "NetworkPolicy", "Certificate"), object.GetName())
		}
	})

	It("give the manager a pod that the restricted profile admits", func(ctx SpecContext) {
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: operatorNamespace}}
		Expect(admin.Get(ctx, client.ObjectKeyFromObject(namespace), namespace)).To(Succeed())
		Expect(namespace.Labels).To(HaveKeyWithValue("pod-security.kubernetes.io/enforce", "restricted"))
		pod := podOf(deployment(ctx, admin))
		Expect(admin.Create(ctx, pod.DeepCopy(), client.DryRunAll)).To(Succeed())

		pod.Spec.Containers[0].SecurityContext.AllowPrivilegeEscalation = nil
		Expect(admin.Create(ctx, pod, client.DryRunAll)).To(MatchError(ContainSubstring("PodSecurity")), "the namespace does not enforce what it says")
	})

	It("keep the pod's memory below its limit, and let it end in peace", func(ctx SpecContext) {
		pod := podOf(deployment(ctx, admin))
		manager := pod.Spec.Containers[0]
		limit := manager.Resources.Limits.Memory()
		soft := resource.MustParse(strings.TrimSuffix(manager.Env[0].Value, "B"))
		Expect(manager.Env[0].Name).To(Equal("GOMEMLIMIT"))
		Expect(soft.Value()).To(And(BeNumerically("<", limit.Value()), BeNumerically(">", limit.Value()*8/10)))
		Expect(*pod.Spec.TerminationGracePeriodSeconds).To(BeNumerically(">", manager.Lifecycle.PreStop.Sleep.Seconds+30))
		Expect(*manager.SecurityContext.ReadOnlyRootFilesystem).To(BeTrue())
		Expect(pod.Spec.ServiceAccountName).To(Equal(identity.Manager))
	})

	It("have selectors and ports that find the manager's pods", func(ctx SpecContext) {
		running := deployment(ctx, admin)
		pod := podOf(running)
		ports := map[string]int32{}
		for _, port := range pod.Spec.Containers[0].Ports {
			ports[port.Name] = port.ContainerPort
		}
		var services corev1.ServiceList
		Expect(admin.List(ctx, &services, client.InNamespace(operatorNamespace))).To(Succeed())
		Expect(services.Items).To(HaveLen(2))
		for _, service := range services.Items {
			for key, value := range service.Spec.Selector {
				Expect(pod.Labels).To(HaveKeyWithValue(key, value), service.Name)
			}
			for _, port := range service.Spec.Ports {
				Expect(port.TargetPort.Type).To(Equal(intstr.String), service.Name)
				Expect(ports).To(HaveKey(port.TargetPort.StrVal), service.Name)
			}
		}
		Expect(running.Spec.Replicas).To(HaveValue(BeEquivalentTo(2)))
	})

	It("name only what the manager knows: each flag of the Deployment exists", func(ctx SpecContext) {
		known := managerFlags()
		for _, folder := range []string{"config/default", "config/self-signed"} {
			for _, object := range objectsIn(rendered(ctx, folder)) {
				if object.GetKind() != "Deployment" {
					continue
				}
				arguments := argumentsOf(object.Object)
				Expect(arguments[0]).To(Equal("manager"))
				for _, argument := range arguments[1:] {
					name, _, _ := strings.Cut(strings.TrimPrefix(argument, "--"), "=")
					Expect(slices.Contains(known, name)).To(BeTrue(), fmt.Sprintf("%s: %s", folder, argument))
				}
			}
		}
	})
})

func deployment(ctx context.Context, c client.Client) *appsv1.Deployment {
	GinkgoHelper()
	object := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: operatorNamespace, Name: identity.Manager}}
	Expect(c.Get(ctx, client.ObjectKeyFromObject(object), object)).To(Succeed())
	return object
}

func podOf(d *appsv1.Deployment) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: d.Namespace, Name: "probe", Labels: d.Spec.Template.Labels},
		Spec:       d.Spec.Template.Spec,
	}
}

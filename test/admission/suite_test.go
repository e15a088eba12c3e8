// Package admission runs admission on a real API server: the webhook server with certificates that it made itself, the policies
// as the manifests have them, and real identities.
package admission

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrlconfig "sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/webhook"

	aianalysisv1 "kubernaut.io/kubernaut/api/aianalysis/v1"
	catalogv1alpha1 "kubernaut.io/kubernaut/api/catalog/v1alpha1"
	kubernetesexecutionv1 "kubernaut.io/kubernaut/api/kubernetesexecution/v1"
	remediationv1 "kubernaut.io/kubernaut/api/remediation/v1"
	remediationprocessingv1 "kubernaut.io/kubernaut/api/remediationprocessing/v1"
	safetyv1alpha1 "kubernaut.io/kubernaut/api/safety/v1alpha1"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/controllers/facts"
	"kubernaut.io/kubernaut/controllers/identity"
	"kubernaut.io/kubernaut/policies/gate"
	"kubernaut.io/kubernaut/test/cluster"
	"kubernaut.io/kubernaut/webhooks"
	"kubernaut.io/kubernaut/webhooks/certs"
	"kubernaut.io/kubernaut/webhooks/statusguard"
)

const (
	// operatorNamespace holds the ServiceAccounts, workNamespace what they work on.
	operatorNamespace = identity.DefaultNamespace
	workNamespace     = "shop"

	readyTimeout = 20 * time.Second
	stopTimeout  = 20 * time.Second
	pollInterval = 50 * time.Millisecond
)

var (
	scheme      = runtime.NewScheme()
	root        string
	webhookPort int
	webhookURL  string
	adminConfig *rest.Config
	admin       client.Client
	aliceConfig *rest.Config
	alice       client.Client
	certificate *certs.Source

	controlPlane *envtest.Environment
	aliceUser    = envtest.User{Name: "alice", Groups: []string{"on-call"}}
)

func TestMain(m *testing.M) {
	gate.MaybeChild()
	os.Exit(m.Run())
}

func TestAdmission(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "Admission")
}

var _ = BeforeSuite(func(ctx SpecContext) {
	ctrl.SetLogger(GinkgoLogr)
	for _, add := range []func(*runtime.Scheme) error{
		clientgoscheme.AddToScheme, remediationv1.AddToScheme, remediationprocessingv1.AddToScheme, aianalysisv1.AddToScheme,
		workflowexecutionv1.AddToScheme, kubernetesexecutionv1.AddToScheme, safetyv1alpha1.AddToScheme, catalogv1alpha1.AddToScheme,
	} {
		utilruntime.Must(add(scheme))
	}
	var err error
	root, err = cluster.Root()
	Expect(err).NotTo(HaveOccurred())
	plane, err := cluster.StartControlPlane()
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(plane.Stop)
	adminConfig = plane.Config
	controlPlane = plane.Environment
	admin = clientOf(adminConfig)

	// The kinds first, and an object of each: once the policies are there, not even an admin creates one of every kind.
	Expect(cluster.ApplyFolder(ctx, adminConfig, root+"/config/crd")).To(Succeed())
	Expect(admin.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: workNamespace}})).To(Succeed())
	createFixtures(ctx)

	webhookPort = freePort()
	webhookURL = fmt.Sprintf("https://localhost:%d", webhookPort)
	install(ctx)
	grantAlice(ctx)
	user, err := plane.Environment.AddUser(aliceUser, adminConfig)
	Expect(err).NotTo(HaveOccurred())
	aliceConfig = user.Config()
	alice = clientOf(aliceConfig)
	certificate = startManager(webhookPort)
	// The API server takes a moment to see the CA in its webhook configurations.
	Eventually(func() error { return alice.Create(ctx, request("probe-", nil), client.DryRunAll) }).
		WithTimeout(readyTimeout).WithPolling(pollInterval).Should(Succeed())
})

func install(ctx context.Context) {
	GinkgoHelper()
	Expect(cluster.Install(ctx, adminConfig, cluster.Options{Root: root, WebhookURL: webhookURL, Out: io.Writer(GinkgoWriter)})).To(Succeed())
}

// startManager serves the webhooks under the manager's own identity, with the rights that the manifests give it.
func startManager(port int) *certs.Source {
	GinkgoHelper()
	config, err := cluster.TokenConfig(adminConfig, operatorNamespace, identity.Manager)
	Expect(err).NotTo(HaveOccurred())
	source := certs.NewSource()
	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Scheme:        scheme,
		Controller:    ctrlconfig.Controller{SkipNameValidation: new(true)}, // several managers in one process
		Metrics:       metricsserver.Options{BindAddress: "0"},
		WebhookServer: webhook.NewServer(webhook.Options{Host: "127.0.0.1", Port: port, TLSOpts: source.TLSOptions()}),
	})
	Expect(err).NotTo(HaveOccurred())
	Expect(source.Checker()(nil)).NotTo(Succeed())
	Expect(source.SelfSigned(mgr, certs.Options{Namespace: operatorNamespace, ExtraDNSNames: []string{"localhost"}})).To(Succeed())
	safety, err := gate.New(gate.Options{AwaitObjects: true})
	Expect(err).NotTo(HaveOccurred())
	known, err := facts.New(context.Background(), mgr.GetCache(), mgr.GetAPIReader(), safety, clock.RealClock{})
	Expect(err).NotTo(HaveOccurred())
	Expect(webhooks.Setup(mgr, webhooks.Options{Namespace: operatorNamespace, Policies: safety, Preview: facts.NewPreview(known, mgr.GetClient())})).To(Succeed())
	setupPolicies(mgr, safety)

	ctx, stop := context.WithCancel(context.Background())
	stopped := make(chan error, 1)
	go func() { stopped <- mgr.Start(ctx) }()
	DeferCleanup(func() {
		stop()
		Eventually(stopped).WithTimeout(stopTimeout).Should(Receive(BeNil()))
	})
	Eventually(source.Ready()).WithTimeout(readyTimeout).Should(BeClosed())
	Expect(source.Checker()(nil)).To(Succeed())
	return source
}

func clientOf(config *rest.Config) client.Client {
	GinkgoHelper()
	config = rest.CopyConfig(config)
	config.QPS = -1
	c, err := client.New(config, client.Options{Scheme: scheme})
	Expect(err).NotTo(HaveOccurred())
	return c
}

func freePort() int {
	GinkgoHelper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	Expect(err).NotTo(HaveOccurred())
	defer func() { Expect(listener.Close()).To(Succeed()) }()
	address, is := listener.Addr().(*net.TCPAddr)
	Expect(is).To(BeTrue())
	return address.Port
}

// grantAlice lets alice do with our kinds what a person may: everything but their status.
func grantAlice(ctx context.Context) {
	GinkgoHelper()
	role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "test-person"}}
	for _, row := range statusguard.Rows() {
		role.Rules = append(role.Rules, rbacv1.PolicyRule{APIGroups: []string{row.Group}, Resources: []string{row.Resource}, Verbs: []string{"*"}})
	}
	Expect(admin.Create(ctx, role)).To(Succeed())
	bind(ctx, role.Name, rbacv1.Subject{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: "alice"})
	onCall := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "test-on-call"}, Rules: []rbacv1.PolicyRule{
		{APIGroups: []string{"apps"}, Resources: []string{"deployments"}, Verbs: []string{"get", "patch", "remediate"}},
		{APIGroups: []string{""}, Resources: []string{"nodes"}, Verbs: []string{"remediate"}},
		{APIGroups: []string{"example.com"}, Resources: []string{"*"}, Verbs: []string{"remediate"}},
		{APIGroups: []string{"events.k8s.io"}, Resources: []string{"events"}, Verbs: []string{"create"}},
	}}
	Expect(admin.Create(ctx, onCall)).To(Succeed())
	bind(ctx, onCall.Name, rbacv1.Subject{Kind: rbacv1.GroupKind, APIGroup: rbacv1.GroupName, Name: "on-call"})
}

func bind(ctx context.Context, role string, subjects ...rbacv1.Subject) {
	GinkgoHelper()
	Expect(admin.Create(ctx, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: role},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
		Subjects:   subjects,
	})).To(Succeed())
}

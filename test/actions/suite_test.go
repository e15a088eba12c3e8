// Package actions shows on a real API server, with the real accounts and their real permissions, what every action must show:
// its effect, once, whatever happens; what it refuses; and what its account cannot do.
package actions

import (
	"context"
	"path/filepath"
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
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	kubernetesexecutionv1 "kubernaut.io/kubernaut/api/kubernetesexecution/v1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/controllers/identity"
	"kubernaut.io/kubernaut/controllers/kubernetesexecution/actions"
	"kubernaut.io/kubernaut/controllers/kubernetesexecution/effects"
	"kubernaut.io/kubernaut/controllers/machinery"
	"kubernaut.io/kubernaut/test/cluster"
)

const (
	soon  = 10 * time.Second
	often = 20 * time.Millisecond
)

var (
	controlPlane *cluster.ControlPlane
	scheme       *runtime.Scheme
	// admin may do everything.
	admin client.Client
	// controllerConfig carries the kubernetesexecution-controller, and issuer gives out the accounts that it may ask for.
	controllerConfig *rest.Config
	controllerClient machinery.Clients
	issuer           *identity.Issuer
	// made are the effects as the manager wires them.
	made *effects.Effects
)

func TestActions(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "actions")
}

var _ = BeforeSuite(func(ctx SpecContext) {
	ctrl.SetLogger(GinkgoLogr)
	var err error
	controlPlane, err = cluster.StartControlPlane()
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() { Expect(controlPlane.Stop()).To(Succeed()) })
	root, err := cluster.Root()
	Expect(err).NotTo(HaveOccurred())
	_, err = envtest.InstallCRDs(controlPlane.Config, envtest.CRDInstallOptions{Paths: []string{filepath.Join(root, "config", "crd", "bases")}})
	Expect(err).NotTo(HaveOccurred())

	scheme = runtime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(scheme))
	utilruntime.Must(kubernetesexecutionv1.AddToScheme(scheme))
	utilruntime.Must(workflowexecutionv1.AddToScheme(scheme))
	admin, err = client.New(controlPlane.Config, client.Options{Scheme: scheme})
	Expect(err).NotTo(HaveOccurred())

	Expect(admin.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: identity.DefaultNamespace}})).To(Succeed())
	installController(ctx)
	for _, action := range actions.All() {
		install(ctx, identity.Action(action.Type()), actions.PolicyRules(action))
	}
	controllerConfig, err = cluster.TokenConfig(controlPlane.Config, identity.DefaultNamespace, identity.KubernetesExecution)
	Expect(err).NotTo(HaveOccurred())
	live, err := client.New(controllerConfig, client.Options{Scheme: scheme})
	Expect(err).NotTo(HaveOccurred())
	controllerClient = machinery.Clients{Cached: live, Live: live}
	issuer, err = identity.NewIssuer(controllerConfig, identity.DefaultNamespace)
	Expect(err).NotTo(HaveOccurred())
	made = effects.New(clientsFor)
})

// clientsFor gives the clients of an action's account, with a real token.
func clientsFor(action shared.ActionType) (machinery.Clients, error) {
	return issuer.Clients(identity.Action(action), scheme, admin.RESTMapper(), admin)
}

// installController installs the account of the controller with what the markers in reconciler.go say.
func installController(ctx context.Context) {
	GinkgoHelper()
	install(ctx, identity.KubernetesExecution, []rbacv1.PolicyRule{
		{APIGroups: []string{kubernetesexecutionv1.GroupVersion.Group}, Resources: []string{"kubernetesexecutions"}, Verbs: []string{"get", "patch"}},
		{APIGroups: []string{kubernetesexecutionv1.GroupVersion.Group}, Resources: []string{"kubernetesexecutions/status"}, Verbs: []string{"update"}},
		{APIGroups: []string{workflowexecutionv1.GroupVersion.Group}, Resources: []string{"workflowexecutions"}, Verbs: []string{"get"}},
	})
	names := make([]string, 0, len(shared.ActionTypes()))
	for _, action := range shared.ActionTypes() {
		names = append(names, identity.Action(action))
	}
	meta := metav1.ObjectMeta{Namespace: identity.DefaultNamespace, Name: identity.KubernetesExecution}
	Expect(admin.Create(ctx, &rbacv1.Role{ObjectMeta: meta, Rules: []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"serviceaccounts/token"}, ResourceNames: names, Verbs: []string{"create"}},
	}})).To(Succeed())
	Expect(admin.Create(ctx, &rbacv1.RoleBinding{
		ObjectMeta: meta, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: meta.Name}, Subjects: []rbacv1.Subject{subject(meta.Name)},
	})).To(Succeed())
}

func install(ctx context.Context, account string, rules []rbacv1.PolicyRule) {
	GinkgoHelper()
	Expect(admin.Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: identity.DefaultNamespace, Name: account}})).To(Succeed())
	Expect(admin.Create(ctx, &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: account}, Rules: rules})).To(Succeed())
	Expect(admin.Create(ctx, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: account},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: account},
		Subjects:   []rbacv1.Subject{subject(account)},
	})).To(Succeed())
}

func subject(account string) rbacv1.Subject {
	return rbacv1.Subject{Kind: rbacv1.ServiceAccountKind, Namespace: identity.DefaultNamespace, Name: account}
}

// newNamespace makes a namespace of the spec's own.
func newNamespace(ctx context.Context) string {
	GinkgoHelper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "shop-"}}
	Expect(admin.Create(ctx, namespace)).To(Succeed())
	// No controller is here that makes it; pods need one.
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace.Name, Name: "default"}}
	Expect(admin.Create(ctx, account)).To(Succeed())
	return namespace.Name
}

// warm waits until the API server's authorizer knows the role bindings: it reads them with a watch.
func warm(ctx context.Context, read func() error) {
	GinkgoHelper()
	Eventually(read).WithContext(ctx).WithTimeout(soon).WithPolling(often).Should(Succeed(), "the roles do not take effect")
}

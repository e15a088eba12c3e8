// Package crash shows that effects happen exactly once, whatever crashes, and whenever.
package crash

import (
	"context"
	"errors"
	"os"
	"runtime/debug"
	"strconv"
	"testing"
	"time"

	"github.com/go-logr/logr"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2" //nolint:depguard // client-go logs through it, and is silenced here
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"kubernaut.io/kubernaut/api/shared"
	"kubernaut.io/kubernaut/policies/gate"
	"kubernaut.io/kubernaut/test/cluster"
)

// approver is who approves what others ask for.
const approver = "bob"

// playbookTimeout is how long the check of a playbook may take.
const playbookTimeout = 20 * time.Second

var (
	process  *cluster.InProcess
	observed *observer
	// approves is the client of the approver, who is not who asks.
	approves client.Client
	// safety is the gate of every manager: compiling its policies is no part of what is tested here, and most of the work of a start.
	safety *gate.Gate
)

// lazyCollector has this process, the API server and etcd collect their garbage when they have used five times what they need, and not
// twice, up to memoryLimit each: a fifth of their work would be that.
const lazyCollector, memoryLimit = 400, "3GiB"

func TestMain(m *testing.M) {
	gate.MaybeChild()
	debug.SetGCPercent(lazyCollector)
	if err := errors.Join(os.Setenv("GOGC", strconv.Itoa(lazyCollector)), os.Setenv("GOMEMLIMIT", memoryLimit)); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

func TestCrash(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "Crashes")
}

var _ = BeforeSuite(func(ctx SpecContext) {
	ctrl.SetLogger(logr.Discard())
	klog.SetLogger(logr.Discard())
	var err error
	process, err = cluster.StartInProcess(ctx)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() { Expect(process.Stop()).To(Succeed()) })
	person := rest.CopyConfig(process.Config)
	person.Impersonate = rest.ImpersonationConfig{UserName: approver, Groups: []string{user.SystemPrivilegedGroup, user.AllAuthenticated}}
	approves, err = client.New(person, client.Options{Scheme: process.Scheme, Mapper: process.Admin.RESTMapper()})
	Expect(err).NotTo(HaveOccurred())
	safety, err = gate.New(gate.Options{AwaitObjects: true})
	Expect(err).NotTo(HaveOccurred())

	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	DeferCleanup(stop)
	observed, err = observe(running, process.Config, cache.Options{Scheme: process.Scheme})
	Expect(err).NotTo(HaveOccurred())
	go func() { _ = observed.Start(running) }()
	Expect(observed.WaitForCacheSync(ctx)).To(BeTrue())
	usePlaybooks(ctx)
})

// usePlaybooks makes the playbooks, and has a manager check them.
func usePlaybooks(ctx context.Context) {
	GinkgoHelper()
	namespace, err := process.NewNamespace(ctx, "crash-", nil)
	Expect(err).NotTo(HaveOccurred())
	manager, err := process.StartManager(cluster.ManagerOptions{Namespaces: []string{namespace}, Gate: safety})
	Expect(err).NotTo(HaveOccurred())
	for _, playbook := range playbooks() {
		Expect(process.Admin.Create(ctx, playbook)).To(Succeed())
		Eventually(func(g Gomega) {
			g.Expect(process.Admin.Get(ctx, client.ObjectKeyFromObject(playbook), playbook)).To(Succeed())
			g.Expect(meta.IsStatusConditionTrue(playbook.Status.Conditions, shared.ConditionReady)).To(BeTrue())
		}).WithTimeout(playbookTimeout).Should(Succeed())
	}
	Expect(manager.Stop()).To(Succeed())
}

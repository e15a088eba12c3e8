// Package request takes remediations through every path of their phases: all controllers, each with its own identity, on an API server with
// everything installed. The clock of a spec can be moved, so no spec waits for hours, or for a quarter of a minute.
package request

import (
	"context"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/go-logr/logr"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/meta"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	"kubernaut.io/kubernaut/api/shared"
	"kubernaut.io/kubernaut/policies/gate"
	"kubernaut.io/kubernaut/test/builders"
	"kubernaut.io/kubernaut/test/cluster"
)

const (
	// soon is how long it may take until what is under way is seen, on a machine that does many things at once.
	soon = 30 * time.Second
	poll = 50 * time.Millisecond
	// stabilized is longer than the targets of a workflow must stay healthy.
	stabilized = 20 * time.Second
)

var (
	server *cluster.InProcess
	// safety is the gate of every manager: compiling the baseline takes longer than most specs.
	safety *gate.Gate
)

func TestMain(m *testing.M) {
	gate.MaybeChild()
	os.Exit(m.Run())
}

func TestRequest(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "The paths of a remediation")
}

var _ = BeforeSuite(func(ctx SpecContext) {
	ctrl.SetLogger(logr.Discard())
	var err error
	server, err = cluster.StartInProcess(ctx)
	DeferCleanup(func() error { return server.Stop() })
	Expect(err).NotTo(HaveOccurred())
	safety, err = gate.New(gate.Options{AwaitObjects: true})
	Expect(err).NotTo(HaveOccurred())
})

// place is a namespace with a manager of its own, which sees nothing else, and a clock of its own.
type place struct {
	namespace string
	clock     *cluster.Clock
	options   cluster.ManagerOptions
	manager   *cluster.Manager
}

// newPlace makes a place and starts its manager. When the spec ends, every status in it is checked.
func newPlace(ctx context.Context, labels map[string]string, change ...func(*cluster.ManagerOptions)) *place {
	GinkgoHelper()
	namespace, err := server.NewNamespace(ctx, "flow-", labels)
	Expect(err).NotTo(HaveOccurred())
	p := &place{namespace: namespace, clock: &cluster.Clock{}}
	p.options = cluster.ManagerOptions{Namespaces: []string{namespace}, Clock: p.clock, Gate: safety, Log: zap.New(zap.WriteTo(GinkgoWriter))}
	for _, with := range change {
		with(&p.options)
	}
	p.start()
	DeferCleanup(func(ctx context.Context) {
		p.stop()
		if CurrentSpecReport().Failed() {
			describe(ctx, namespace)
		}
		checkInvariants(ctx, namespace)
	})
	return p
}

func (p *place) start() {
	GinkgoHelper()
	var err error
	p.manager, err = server.StartManager(p.options)
	Expect(err).NotTo(HaveOccurred())
}

func (p *place) stop() {
	GinkgoHelper()
	if p.manager != nil {
		Expect(p.manager.Stop()).To(Succeed())
		p.manager = nil
	}
}

// install makes playbooks for the time of a spec, and waits until they can be used.
func install(ctx context.Context, playbooks ...builders.PlaybookBuilder) {
	GinkgoHelper()
	for _, playbook := range playbooks {
		Expect(server.Admin.Create(ctx, playbook.Playbook)).To(Succeed())
		DeferCleanup(func(ctx context.Context) {
			Expect(client.IgnoreNotFound(server.Admin.Delete(ctx, playbook.Playbook))).To(Succeed())
		})
		Eventually(func(g Gomega) {
			g.Expect(server.Admin.Get(ctx, client.ObjectKeyFromObject(playbook.Playbook), playbook.Playbook)).To(Succeed())
			g.Expect(meta.IsStatusConditionTrue(playbook.Status.Conditions, shared.ConditionReady)).To(BeTrue(), "%v", playbook.Status.Conditions)
		}).WithTimeout(soon).WithPolling(poll).Should(Succeed())
	}
}

// deploy makes a healthy Deployment.
func (p *place) deploy(ctx context.Context, name string) builders.DeploymentBuilder {
	GinkgoHelper()
	b := builders.Deployment(p.namespace, name, "registry.example.com/shop/"+name+":1")
	Expect(server.Admin.Create(ctx, b.Deployment)).To(Succeed())
	Eventually(func(g Gomega) {
		g.Expect(server.Admin.Get(ctx, client.ObjectKeyFromObject(b.Deployment), b.Deployment)).To(Succeed())
		g.Expect(b.Deployment.Status.AvailableReplicas).To(Equal(int32(1)))
	}).WithTimeout(soon).WithPolling(poll).Should(Succeed())
	return b
}

// touch has who watches a Deployment look at it. A label says nothing to anybody, and is no new generation.
func touch(ctx context.Context, deployment builders.DeploymentBuilder) {
	GinkgoHelper()
	Expect(server.Admin.Get(ctx, client.ObjectKeyFromObject(deployment.Deployment), deployment.Deployment)).To(Succeed())
	patch := client.MergeFrom(deployment.DeepCopy())
	deployment.Labels["test.kubernaut.io/touched"] = strconv.FormatInt(time.Now().UnixNano(), 36)
	Expect(server.Admin.Patch(ctx, deployment.Deployment, patch)).To(Succeed())
}

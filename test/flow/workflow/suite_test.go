// Package workflow takes workflows through every path of their phases, with all controllers as one manager in this process and
// everything that the manifests install on a real API server. A stand-in reports on Deployments.
package workflow

import (
	"context"
	"os"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubernetesexecutionv1 "kubernaut.io/kubernaut/api/kubernetesexecution/v1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/controllers/identity"
	"kubernaut.io/kubernaut/policies/gate"
	"kubernaut.io/kubernaut/test/builders"
	"kubernaut.io/kubernaut/test/cluster"
)

// How long things may take on a machine that does much else: a workflow, and what follows at once.
const (
	workflowTimeout = time.Minute
	soon            = 20 * time.Second
	poll            = 50 * time.Millisecond
)

const (
	goodImage = "registry.example.com/shop/cart:1.4.2"
	newImage  = "registry.example.com/shop/cart:1.4.3"
	badImage  = "registry.example.com/shop/cart:1.5.0" + cluster.MissingImageSuffix
)

var (
	plane *cluster.InProcess
	admin client.WithWatch
	seen  *journal
)

func TestMain(m *testing.M) {
	gate.MaybeChild()
	os.Exit(m.Run())
}

func TestFlow(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "The flow of a workflow")
}

var _ = BeforeSuite(func(ctx SpecContext) {
	ctrl.SetLogger(GinkgoLogr)
	var err error
	plane, err = cluster.StartInProcess(ctx)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() { Expect(plane.Stop()).To(Succeed()) })
	admin = plane.Admin
	seen = startJournal()
	manager, err := plane.StartManager(cluster.ManagerOptions{Log: GinkgoLogr})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() { Expect(manager.Stop()).To(Succeed()) })
})

// After every step of every spec the invariants were checked by the journal, which saw every status that was ever written.
var _ = AfterEach(func() { Expect(seen.broken()).To(Succeed()) })

// namespace makes a namespace of its own for a spec.
func namespace(ctx context.Context, labels map[string]string) string {
	GinkgoHelper()
	name, err := plane.NewNamespace(ctx, "flow-", labels)
	Expect(err).NotTo(HaveOccurred())
	return name
}

// rolledOut makes a Deployment of one pod that is available.
func rolledOut(ctx context.Context, ns, name string) *appsv1.Deployment {
	GinkgoHelper()
	deployment := builders.Deployment(ns, name, goodImage).Deployment
	Expect(admin.Create(ctx, deployment)).To(Succeed())
	Eventually(func(g Gomega) {
		g.Expect(admin.Get(ctx, client.ObjectKeyFromObject(deployment), deployment)).To(Succeed())
		g.Expect(deployment.Status.AvailableReplicas).To(Equal(int32(1)))
	}).WithTimeout(soon).WithPolling(poll).Should(Succeed())
	return deployment
}

// edit changes a Deployment as another writer would.
func edit(ctx context.Context, deployment *appsv1.Deployment, change func()) {
	GinkgoHelper()
	Expect(admin.Get(ctx, client.ObjectKeyFromObject(deployment), deployment)).To(Succeed())
	patch := client.MergeFrom(deployment.DeepCopy())
	change()
	Expect(admin.Patch(ctx, deployment, patch)).To(Succeed())
}

// ask changes what a workflow may still be asked for.
func ask(ctx context.Context, workflow *workflowexecutionv1.WorkflowExecution, change func(*workflowexecutionv1.WorkflowExecutionSpec)) {
	GinkgoHelper()
	Expect(admin.Get(ctx, client.ObjectKeyFromObject(workflow), workflow)).To(Succeed())
	patch := client.MergeFrom(workflow.DeepCopy())
	change(&workflow.Spec)
	Expect(admin.Patch(ctx, workflow, patch)).To(Succeed())
}

func start(ctx context.Context, b builders.WorkflowBuilder) *workflowexecutionv1.WorkflowExecution {
	GinkgoHelper()
	Expect(admin.Create(ctx, b.WorkflowExecution)).To(Succeed())
	return b.WorkflowExecution
}

// run starts a workflow and waits for its end.
func run(ctx context.Context, b builders.WorkflowBuilder) *workflowexecutionv1.WorkflowExecution {
	GinkgoHelper()
	workflow := start(ctx, b)
	awaitEnd(ctx, workflow)
	return workflow
}

func await(ctx context.Context, workflow *workflowexecutionv1.WorkflowExecution, check func(Gomega)) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		g.Expect(admin.Get(ctx, client.ObjectKeyFromObject(workflow), workflow)).To(Succeed())
		check(g)
	}).WithTimeout(workflowTimeout).WithPolling(poll).Should(Succeed())
}

func awaitPhase(ctx context.Context, workflow *workflowexecutionv1.WorkflowExecution, phase workflowexecutionv1.WorkflowPhase) {
	GinkgoHelper()
	await(ctx, workflow, func(g Gomega) {
		g.Expect(workflow.Status.Phase).To(Equal(phase), "%s: %v", workflow.Status.FailureReason, workflow.Status.Conditions)
	})
}

// awaitEnd waits for a terminal phase, and that the locks are given back.
func awaitEnd(ctx context.Context, workflow *workflowexecutionv1.WorkflowExecution) {
	GinkgoHelper()
	await(ctx, workflow, func(g Gomega) {
		g.Expect(workflow.Status.Phase.Terminal()).To(BeTrue(), "phase %s: %v", workflow.Status.Phase, workflow.Status.Conditions)
	})
	Eventually(func() []coordinationv1.Lease { return locksOf(ctx, workflow.UID) }).WithTimeout(soon).WithPolling(poll).Should(BeEmpty())
}

func locksOf(ctx context.Context, uid types.UID) []coordinationv1.Lease {
	GinkgoHelper()
	var leases coordinationv1.LeaseList
	Expect(admin.List(ctx, &leases, client.InNamespace(identity.DefaultNamespace), client.MatchingLabels{shared.LabelLockHolder: string(uid)})).To(Succeed())
	return leases.Items
}

// executionsIn are the names of the executions in a namespace.
func executionsIn(ctx context.Context, ns string) []string {
	GinkgoHelper()
	var list kubernetesexecutionv1.KubernetesExecutionList
	Expect(admin.List(ctx, &list, client.InNamespace(ns))).To(Succeed())
	names := []string{}
	for i := range list.Items {
		names = append(names, list.Items[i].Name)
	}
	return names
}

func executionOf(ctx context.Context, ns, name string) *kubernetesexecutionv1.KubernetesExecution {
	GinkgoHelper()
	execution := &kubernetesexecutionv1.KubernetesExecution{}
	Expect(admin.Get(ctx, client.ObjectKey{Namespace: ns, Name: name}, execution)).To(Succeed())
	return execution
}

// expectEvents waits until the events about a workflow have these reasons, among others.
func expectEvents(ctx context.Context, workflow *workflowexecutionv1.WorkflowExecution, reasons ...string) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		var list eventsv1.EventList
		g.Expect(admin.List(ctx, &list, client.InNamespace(workflow.Namespace))).To(Succeed())
		told := map[string]bool{}
		for i := range list.Items {
			if list.Items[i].Regarding.UID == workflow.UID {
				told[list.Items[i].Reason] = true
			}
		}
		for _, reason := range reasons {
			g.Expect(told).To(HaveKey(reason))
		}
	}).WithTimeout(soon).WithPolling(poll).Should(Succeed())
}

// Package e2e tests Kubernaut on the local cluster: real control plane, real workload controllers, the manager as a process of
// its own with the credentials that it would have in a pod. `make test-e2e` starts and ends the cluster.
package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	aianalysisv1 "kubernaut.io/kubernaut/api/aianalysis/v1"
	kubernetesexecutionv1 "kubernaut.io/kubernaut/api/kubernetesexecution/v1"
	remediationv1 "kubernaut.io/kubernaut/api/remediation/v1"
	remediationprocessingv1 "kubernaut.io/kubernaut/api/remediationprocessing/v1"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/cmd/kubernaut/app"
	"kubernaut.io/kubernaut/test/builders"
	"kubernaut.io/kubernaut/test/invariants"
)

// How long things may take. A rollout, a stuck rollout and a remediation are different waits.
const (
	rolloutTimeout     = 20 * time.Second
	stuckTimeout       = 30 * time.Second
	remediationTimeout = time.Minute
	workflowTimeout    = 30 * time.Second
	poll               = 100 * time.Millisecond
)

var (
	config     *rest.Config
	cluster    client.Client
	clusterDir string
)

func TestE2E(t *testing.T) {
	clusterDir = os.Getenv("KUBERNAUT_CLUSTER_DIR")
	if clusterDir == "" {
		t.Skip("KUBERNAUT_CLUSTER_DIR names no local cluster; run make test-e2e")
	}
	RegisterFailHandler(Fail)
	RunSpecs(t, "Kubernaut on the local cluster")
}

var _ = BeforeSuite(func() {
	var err error
	config, err = clientcmd.BuildConfigFromFlags("", filepath.Join(clusterDir, "kubeconfig"))
	Expect(err).NotTo(HaveOccurred())
	scheme, err := app.Scheme()
	Expect(err).NotTo(HaveOccurred())
	cluster, err = client.New(config, client.Options{Scheme: scheme})
	Expect(err).NotTo(HaveOccurred())
})

// namespace makes a namespace of its own for a spec, and checks every status in it when the spec ends.
func namespace(ctx context.Context, labels map[string]string) string {
	GinkgoHelper()
	object := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "e2e-", Labels: labels}}
	Expect(cluster.Create(ctx, object)).To(Succeed())
	DeferCleanup(func(ctx context.Context) {
		checkInvariants(ctx, object.Name)
		Expect(client.IgnoreNotFound(cluster.Delete(ctx, object))).To(Succeed())
	})
	return object.Name
}

func checkInvariants(ctx context.Context, namespace string) {
	GinkgoHelper()
	for _, list := range []client.ObjectList{
		&remediationv1.RemediationRequestList{}, &remediationprocessingv1.RemediationProcessingList{}, &aianalysisv1.AIAnalysisList{},
		&workflowexecutionv1.WorkflowExecutionList{}, &kubernetesexecutionv1.KubernetesExecutionList{},
	} {
		for _, object := range listed(ctx, namespace, list) {
			Expect(invariants.Check(object)).To(Succeed())
		}
	}
}

func listed(ctx context.Context, namespace string, list client.ObjectList) []client.Object {
	GinkgoHelper()
	Expect(cluster.List(ctx, list, client.InNamespace(namespace))).To(Succeed())
	var objects []client.Object
	switch l := list.(type) {
	case *remediationv1.RemediationRequestList:
		objects = pointers[remediationv1.RemediationRequest](l.Items)
	case *remediationprocessingv1.RemediationProcessingList:
		objects = pointers[remediationprocessingv1.RemediationProcessing](l.Items)
	case *aianalysisv1.AIAnalysisList:
		objects = pointers[aianalysisv1.AIAnalysis](l.Items)
	case *workflowexecutionv1.WorkflowExecutionList:
		objects = pointers[workflowexecutionv1.WorkflowExecution](l.Items)
	case *kubernetesexecutionv1.KubernetesExecutionList:
		objects = pointers[kubernetesexecutionv1.KubernetesExecution](l.Items)
	default:
		Fail(fmt.Sprintf("no list of %T", list))
	}
	return objects
}

func pointers[T any, P interface {
	*T
	client.Object
}](items []T) []client.Object {
	out := make([]client.Object, len(items))
	for i := range items {
		out[i] = P(&items[i])
	}
	return out
}

// rolledOut makes a Deployment and waits until all its pods are available.
func rolledOut(ctx context.Context, b builders.DeploymentBuilder) *appsv1.Deployment {
	GinkgoHelper()
	Expect(cluster.Create(ctx, b.Deployment)).To(Succeed())
	awaitAvailable(ctx, b.Deployment)
	return b.Deployment
}

func awaitAvailable(ctx context.Context, deployment *appsv1.Deployment) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		g.Expect(cluster.Get(ctx, client.ObjectKeyFromObject(deployment), deployment)).To(Succeed())
		g.Expect(deployment.Status.ObservedGeneration).To(Equal(deployment.Generation))
		g.Expect(deployment.Status.UpdatedReplicas).To(Equal(*deployment.Spec.Replicas))
		g.Expect(deployment.Status.AvailableReplicas).To(Equal(*deployment.Spec.Replicas))
	}).WithTimeout(rolloutTimeout).WithPolling(poll).Should(Succeed())
}

// breakRollout rolls out an image that cannot be pulled and waits until the rollout sticks.
func breakRollout(ctx context.Context, deployment *appsv1.Deployment, image string) {
	GinkgoHelper()
	patch := client.MergeFrom(deployment.DeepCopy())
	deployment.Spec.Template.Spec.Containers[0].Image = image
	Expect(cluster.Patch(ctx, deployment, patch)).To(Succeed())
	awaitStuck(ctx, deployment)
}

// awaitStuck waits until the Deployment controller has given up on the current rollout.
func awaitStuck(ctx context.Context, deployment *appsv1.Deployment) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		g.Expect(cluster.Get(ctx, client.ObjectKeyFromObject(deployment), deployment)).To(Succeed())
		g.Expect(deployment.Status.ObservedGeneration).To(Equal(deployment.Generation))
		g.Expect(deployment.Status.Conditions).To(ContainElement(And(
			HaveField("Type", appsv1.DeploymentProgressing), HaveField("Status", corev1.ConditionFalse), HaveField("Reason", "ProgressDeadlineExceeded"))))
	}).WithTimeout(stuckTimeout).WithPolling(poll).Should(Succeed())
}

// awaitEnd waits until a request has reached a terminal phase.
func awaitEnd(ctx context.Context, request *remediationv1.RemediationRequest) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		g.Expect(cluster.Get(ctx, client.ObjectKeyFromObject(request), request)).To(Succeed())
		g.Expect(invariants.Check(request)).To(Succeed())
		g.Expect(request.Status.OverallPhase.Terminal()).To(BeTrue(), "phase %s", request.Status.OverallPhase)
	}).WithTimeout(remediationTimeout).WithPolling(poll).Should(Succeed())
}

// runWorkflow starts a workflow by hand and waits until it has ended.
func runWorkflow(ctx context.Context, b builders.WorkflowBuilder) *workflowexecutionv1.WorkflowExecution {
	GinkgoHelper()
	workflow := startWorkflow(ctx, b)
	awaitWorkflowEnd(ctx, workflow)
	return workflow
}

func startWorkflow(ctx context.Context, b builders.WorkflowBuilder) *workflowexecutionv1.WorkflowExecution {
	GinkgoHelper()
	Expect(cluster.Create(ctx, b.WorkflowExecution)).To(Succeed())
	return b.WorkflowExecution
}

func awaitWorkflowEnd(ctx context.Context, workflow *workflowexecutionv1.WorkflowExecution) {
	GinkgoHelper()
	awaitWorkflow(ctx, workflow, func(g Gomega) {
		g.Expect(workflow.Status.Phase.Terminal()).To(BeTrue(), "phase %s: %v", workflow.Status.Phase, workflow.Status.Conditions)
	})
}

func awaitPhase(ctx context.Context, workflow *workflowexecutionv1.WorkflowExecution, phase workflowexecutionv1.WorkflowPhase) {
	GinkgoHelper()
	awaitWorkflow(ctx, workflow, func(g Gomega) { g.Expect(workflow.Status.Phase).To(Equal(phase)) })
}

// awaitWorkflow waits until a workflow is as checked.
func awaitWorkflow(ctx context.Context, workflow *workflowexecutionv1.WorkflowExecution, check func(Gomega)) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		g.Expect(cluster.Get(ctx, client.ObjectKeyFromObject(workflow), workflow)).To(Succeed())
		g.Expect(invariants.Check(workflow)).To(Succeed())
		check(g)
	}).WithTimeout(workflowTimeout).WithPolling(poll).Should(Succeed())
}

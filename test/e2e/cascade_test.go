package e2e

import (
	"context"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	aianalysisv1 "kubernaut.io/kubernaut/api/aianalysis/v1"
	kubernetesexecutionv1 "kubernaut.io/kubernaut/api/kubernetesexecution/v1"
	remediationv1 "kubernaut.io/kubernaut/api/remediation/v1"
	remediationprocessingv1 "kubernaut.io/kubernaut/api/remediationprocessing/v1"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/controllers/identity"
	"kubernaut.io/kubernaut/test/builders"
)

// childrenIn are all objects in a namespace that only a request has.
func childrenIn(ctx context.Context, g Gomega, namespace string) []string {
	var names []string
	for _, list := range []client.ObjectList{
		&remediationprocessingv1.RemediationProcessingList{}, &aianalysisv1.AIAnalysisList{},
		&workflowexecutionv1.WorkflowExecutionList{}, &kubernetesexecutionv1.KubernetesExecutionList{},
	} {
		g.Expect(cluster.List(ctx, list, client.InNamespace(namespace))).To(Succeed())
		for _, object := range listed(ctx, namespace, list) {
			names = append(names, object.GetName())
		}
	}
	return names
}

// expectNothingLeft waits until the garbage collector has removed everything of a request, and no lock is left on behalf of it.
func expectNothingLeft(ctx context.Context, request *remediationv1.RemediationRequest) {
	GinkgoHelper()
	awaitGone(ctx, request)
	Eventually(func(g Gomega) {
		g.Expect(childrenIn(ctx, g, request.Namespace)).To(BeEmpty())
		var leases coordinationv1.LeaseList
		g.Expect(cluster.List(ctx, &leases, client.InNamespace(identity.DefaultNamespace))).To(Succeed())
		for _, lease := range leases.Items {
			if holder := lease.Spec.HolderIdentity; holder != nil {
				g.Expect(*holder).NotTo(ContainSubstring(request.Namespace + "/"))
			}
		}
	}).WithTimeout(rolloutTimeout).WithPolling(poll).Should(Succeed())
}

var _ = Describe("With a request goes all that was made for it", func() {
	It("when its time to live is over", func(ctx SpecContext) {
		const alert = "E2ECascadeTTL"
		install(ctx, toRevision("e2e-cascade-ttl", alert, first, "99"))
		ns := namespace(ctx, nil)
		b := builders.Deployment(ns, "cart", goodImage)
		rolledOut(ctx, b)
		builder := builders.Request(ns, "done", alert, b.Target()).Recoveries(0)
		builder.Spec.TTLAfterFinished = &metav1.Duration{Duration: 3 * time.Second}
		request := remediate(ctx, builder)
		Expect(childrenIn(ctx, Default, ns)).To(ContainElements("done-processing", "done-analysis", "done-workflow"))
		expectNothingLeft(ctx, request)
	})

	It("when it is deleted while its workflow runs, which is aborted", func(ctx SpecContext) {
		const alert = "E2ECascadeRunning"
		install(ctx, scaleUp("e2e-cascade-running", alert))
		ns := namespace(ctx, nil)
		b := builders.Deployment(ns, "cart", goodImage)
		rolledOut(ctx, b)
		request := builders.Request(ns, "running", alert, b.Target()).RemediationRequest
		Expect(cluster.Create(ctx, request)).To(Succeed())
		workflow := &workflowexecutionv1.WorkflowExecution{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "running-workflow"}}
		awaitWorkflowThere(ctx, workflow, workflowexecutionv1.PhaseMonitoring)
		Expect(childrenIn(ctx, Default, ns)).To(ContainElement("running-workflow-s0-a1"))
		Expect(cluster.Delete(ctx, request)).To(Succeed())
		expectNothingLeft(ctx, request)
	})
})

// awaitWorkflowThere waits until a workflow that somebody else makes is in a phase.
func awaitWorkflowThere(ctx context.Context, workflow *workflowexecutionv1.WorkflowExecution, phase workflowexecutionv1.WorkflowPhase) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		g.Expect(cluster.Get(ctx, client.ObjectKeyFromObject(workflow), workflow)).To(Succeed())
		g.Expect(workflow.Status.Phase).To(Equal(phase))
	}).WithTimeout(workflowTimeout).WithPolling(poll).Should(Succeed())
}

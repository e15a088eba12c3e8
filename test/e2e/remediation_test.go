package e2e

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	aianalysisv1 "kubernaut.io/kubernaut/api/aianalysis/v1"
	kubernetesexecutionv1 "kubernaut.io/kubernaut/api/kubernetesexecution/v1"
	remediationv1 "kubernaut.io/kubernaut/api/remediation/v1"
	remediationprocessingv1 "kubernaut.io/kubernaut/api/remediationprocessing/v1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/test/builders"
)

const (
	goodImage = "registry.example.com/shop/cart:1.4.2"
	badImage  = "registry.example.com/shop/cart:1.5.0-missing"
	signal    = "KubeDeploymentRolloutStuck"
)

// stuck makes a Deployment whose rollout sticks because its new image cannot be pulled.
func stuck(ctx context.Context, ns string) (*appsv1.Deployment, shared.Target) {
	GinkgoHelper()
	b := builders.Deployment(ns, "cart", goodImage).Replicas(2)
	deployment := rolledOut(ctx, b)
	breakRollout(ctx, deployment, badImage)
	return deployment, b.Target()
}

// expectRepaired checks a remediation that has repaired the Deployment cart: the object, the references, and one effect.
func expectRepaired(ctx context.Context, request *remediationv1.RemediationRequest, deployment *appsv1.Deployment) {
	GinkgoHelper()
	Expect(request.Status.OverallPhase).To(Equal(remediationv1.PhaseCompleted), request.Status.EscalationReason)
	Expect(request.Status.Outcome).To(Equal(remediationv1.OutcomeRemediated))
	awaitAvailable(ctx, deployment)
	Expect(deployment.Spec.Template.Spec.Containers[0].Image).To(Equal(goodImage))

	var executions kubernetesexecutionv1.KubernetesExecutionList
	Expect(cluster.List(ctx, &executions, client.InNamespace(request.Namespace))).To(Succeed())
	Expect(executions.Items).To(HaveLen(1))
	execution := executions.Items[0]
	Expect(execution.Name).To(Equal(request.Name + "-workflow-s0-a1"))
	Expect(execution.Status.Changed).To(HaveValue(BeTrue()))
	Expect(execution.Status.Decision.Verdict).To(Equal(shared.VerdictAllow))
	Expect(execution.Status.Decision.PolicySetRevision).To(HaveLen(64))
	Expect(deployment.Annotations).To(HaveKeyWithValue(shared.AnnotationLastExecution, string(execution.UID)))
	Expect(effectsOn(deployment.Namespace, deployment.Name)).To(ConsistOf(HaveField("User", "action-rollback-deployment")))
}

var _ = Describe("A remediation", func() {
	It("repairs a rollout that sticks because its image cannot be pulled", func(ctx SpecContext) {
		ns := namespace(ctx, map[string]string{shared.LabelEnvironment: "production"})
		deployment, target := stuck(ctx, ns)
		request := builders.Request(ns, "stuck", signal, target).RemediationRequest
		Expect(cluster.Create(ctx, request)).To(Succeed())
		awaitEnd(ctx, request)
		expectRepaired(ctx, request, deployment)

		By("naming every child of the attempt once")
		Expect(request.Status.RemediationProcessingRefs).To(ConsistOf(HaveField("Name", "stuck-processing")))
		Expect(request.Status.AIAnalysisRefs).To(ConsistOf(HaveField("Name", "stuck-analysis")))
		Expect(request.Status.WorkflowExecutionRefs).To(ConsistOf(And(
			HaveField("Name", "stuck-workflow"), HaveField("AttemptNumber", int32(1)), HaveField("Outcome", remediationv1.WorkflowReferenceOutcome("Success")))))

		By("recording the facts, the cause and the verdict")
		var processing remediationprocessingv1.RemediationProcessing
		Expect(cluster.Get(ctx, client.ObjectKey{Namespace: ns, Name: "stuck-processing"}, &processing)).To(Succeed())
		Expect(processing.Status.Classification.Environment).To(Equal("production"))
		Expect(processing.Status.Enrichment.Health.Status).To(Equal(shared.HealthFailed))
		Expect(processing.Status.Enrichment.Containers).To(ContainElement(And(
			HaveField("Image", badImage), HaveField("Reason", BeElementOf("ErrImagePull", "ImagePullBackOff")))))
		var analysis aianalysisv1.AIAnalysis
		Expect(cluster.Get(ctx, client.ObjectKey{Namespace: ns, Name: "stuck-analysis"}, &analysis)).To(Succeed())
		Expect(analysis.Status.RootCause).To(ContainSubstring(badImage))
		Expect(analysis.Status.Recommendation.PlaybookRef).To(Equal("image-pull-failure-rollback"))
		var workflow workflowexecutionv1.WorkflowExecution
		Expect(cluster.Get(ctx, client.ObjectKey{Namespace: ns, Name: "stuck-workflow"}, &workflow)).To(Succeed())
		Expect(workflow.Status.Validation.Verdict).To(Equal(shared.VerdictAllow))
		Expect(workflow.Status.Validation.DryRun).To(ContainElement(HaveField("Path", ContainSubstring("/image"))))
		Expect(workflow.Spec.RequestedBy.Username).To(Equal(request.Spec.RequestedBy.Username))

		By("having each object written by its own identity only")
		for _, row := range []struct{ resource, subresource, writer string }{
			{"remediationrequests", "status", "remediationrequest-controller"},
			{"remediationprocessings", "status", "remediationprocessing-controller"},
			{"aianalyses", "status", "aianalysis-controller"},
			{"workflowexecutions", "status", "workflowexecution-controller"},
			{"kubernetesexecutions", "status", "kubernetesexecution-controller"},
		} {
			Expect(writersOf(ns, row.resource, row.subresource, "update", "patch")).To(Equal([]string{row.writer}), row.resource)
		}
		for resource, creator := range map[string]string{
			"remediationprocessings": "remediationrequest-controller", "aianalyses": "remediationrequest-controller",
			"workflowexecutions": "remediationrequest-controller", "kubernetesexecutions": "workflowexecution-controller",
		} {
			Expect(writersOf(ns, resource, "", "create")).To(Equal([]string{creator}), resource)
		}
	})

	It("shows what goes on in one table, without -o yaml", func(ctx SpecContext) {
		ns := namespace(ctx, nil)
		_, target := stuck(ctx, ns)
		request := builders.Request(ns, "stuck", signal, target).RemediationRequest
		Expect(cluster.Create(ctx, request)).To(Succeed())
		awaitEnd(ctx, request)
		table, err := exec.CommandContext(ctx, kubectl(), "--kubeconfig", filepath.Join(clusterDir, "kubeconfig"), "get", "kubernaut", "-n", ns).CombinedOutput()
		Expect(err).NotTo(HaveOccurred(), string(table))
		for _, want := range []string{
			"remediationrequest.remediation.kubernaut.io/stuck", "Remediated", "remediationprocessing", "aianalysis", "image-pull-failure-rollback",
			"workflowexecution", "Allow", "Success", "kubernetesexecution", "rollback-deployment",
		} {
			Expect(string(table)).To(ContainSubstring(want))
		}
	})

	It("ends in a dry run without any effect when it is asked for one", func(ctx SpecContext) {
		ns := namespace(ctx, nil)
		deployment, target := stuck(ctx, ns)
		generation := deployment.Generation
		request := builders.Request(ns, "dry", signal, target).DryRun().RemediationRequest
		Expect(cluster.Create(ctx, request)).To(Succeed())
		awaitEnd(ctx, request)
		Expect(request.Status.Outcome).To(Equal(remediationv1.OutcomeDryRun))
		Expect(cluster.Get(ctx, client.ObjectKeyFromObject(deployment), deployment)).To(Succeed())
		Expect(deployment.Generation).To(Equal(generation))
		Expect(effectsOn(ns, deployment.Name)).To(BeEmpty())
	})

	It("escalates to a person when the workflow fails", func(ctx SpecContext) {
		ns := namespace(ctx, nil)
		b := builders.Deployment(ns, "cart", badImage)
		Expect(cluster.Create(ctx, b.Deployment)).To(Succeed())
		breakRollout(ctx, b.Deployment, badImage)
		request := builders.Request(ns, "hopeless", signal, b.Target()).Recoveries(0).RemediationRequest
		Expect(cluster.Create(ctx, request)).To(Succeed())
		awaitEnd(ctx, request)
		Expect(request.Status.OverallPhase).To(Equal(remediationv1.PhaseFailed))
		Expect(request.Status.Outcome).To(Equal(remediationv1.OutcomeManualReviewRequired))
		Expect(request.Status.EscalatedToManualReview).To(BeTrue())
		Expect(request.Status.EscalationReason).NotTo(BeEmpty())
		Expect(meta.IsStatusConditionFalse(request.Status.Conditions, remediationv1.ConditionRecoveryViable)).To(BeTrue())
		Expect(request.Status.WorkflowExecutionRefs).To(ConsistOf(And(
			HaveField("FailedStep", HaveValue(Equal(int32(0)))), HaveField("FailedAction", "rollback-deployment"), HaveField("ErrorType", Not(BeEmpty())), HaveField("FailureReason", Not(BeEmpty())))))
		Eventually(func(g Gomega) {
			var events eventsv1.EventList
			g.Expect(cluster.List(ctx, &events, client.InNamespace(ns))).To(Succeed())
			g.Expect(events.Items).To(ContainElement(HaveField("Reason", "EscalatedToManualReview")))
		}).WithTimeout(rolloutTimeout).WithPolling(poll).Should(Succeed())
	})

	It("is finished with one effect when the manager is killed in the middle", Serial, func(ctx SpecContext) {
		ns := namespace(ctx, nil)
		deployment, target := stuck(ctx, ns)
		request := builders.Request(ns, "killed", signal, target).RemediationRequest
		Expect(cluster.Create(ctx, request)).To(Succeed())
		By("killing it as soon as a step is announced")
		Eventually(func(g Gomega) {
			var executions kubernetesexecutionv1.KubernetesExecutionList
			g.Expect(cluster.List(ctx, &executions, client.InNamespace(ns))).To(Succeed())
			g.Expect(executions.Items).NotTo(BeEmpty())
		}).WithTimeout(workflowTimeout).WithPolling(poll / 10).Should(Succeed())
		killManager()
		startManager(ctx)
		awaitEnd(ctx, request)
		expectRepaired(ctx, request, deployment)
	})
})

func kubectl() string { return filepath.Join(os.Getenv("KUBERNAUT_BIN"), "kubectl") }

// killManager kills the manager, and endManager ends it as a rollout does, and waits until it has.
func killManager() { signalManager(syscall.SIGKILL) }

func endManager() {
	GinkgoHelper()
	pid := signalManager(syscall.SIGTERM)
	Eventually(func() error { return syscall.Kill(pid, 0) }).WithTimeout(endTimeout).WithPolling(poll).Should(MatchError(syscall.ESRCH))
}

// signalManager signals the process that the local cluster's pid file names.
func signalManager(signal syscall.Signal) (pid int) {
	GinkgoHelper()
	text, err := os.ReadFile(filepath.Join(clusterDir, "manager.pid"))
	Expect(err).NotTo(HaveOccurred())
	first, _, _ := strings.Cut(string(text), "\n")
	pid, err = strconv.Atoi(strings.TrimSpace(first))
	Expect(err).NotTo(HaveOccurred())
	Expect(syscall.Kill(pid, signal)).To(Succeed())
	return pid
}

// startManager starts it again, as make up does.
func startManager(ctx context.Context) {
	GinkgoHelper()
	bin := os.Getenv("KUBERNAUT_BIN")
	up := exec.CommandContext(ctx, filepath.Join(bin, "up"), "--cluster", clusterDir, "--bin", bin)
	up.Dir = filepath.Join("..", "..")
	output, err := up.CombinedOutput()
	Expect(err).NotTo(HaveOccurred(), string(output))
}

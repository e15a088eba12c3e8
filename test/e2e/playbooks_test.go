package e2e

import (
	"context"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	aianalysisv1 "kubernaut.io/kubernaut/api/aianalysis/v1"
	remediationv1 "kubernaut.io/kubernaut/api/remediation/v1"
	remediationprocessingv1 "kubernaut.io/kubernaut/api/remediationprocessing/v1"
	"kubernaut.io/kubernaut/api/shared"
	"kubernaut.io/kubernaut/test/builders"
)

// What the simulated kubelets of the local cluster do (test/localcluster/README.md).
const (
	crash       = "localcluster.kubernaut.io/crash"
	needsMemory = "localcluster.kubernaut.io/needs-memory"
	notReady    = "localcluster.kubernaut.io/not-ready"

	missingImage  = "registry.example.com/shop/cart:1.6.0-missing"
	crashingImage = "registry.example.com/shop/cart:1.5.0-crashing"
	worseImage    = "registry.example.com/shop/cart:1.5.1-crashing"
	unreadyImage  = "registry.example.com/shop/cart:1.5.0-unready"
)

// recoveryTimeout is for a repair that fails, is undone, and is followed by another one.
const recoveryTimeout = 3 * time.Minute

// failure is one that a playbook is shipped for.
type failure struct {
	// name is the namespace's and says what fails.
	name string
	// produce makes the Deployment cart and has it fail.
	produce func(ctx context.Context, ns string) *appsv1.Deployment
	// tried are the playbooks that are tried, in order; the last one repairs it.
	tried []string
	// repaired checks the Deployment afterwards, beyond that all its pods are available.
	repaired func(ctx context.Context, deployment *appsv1.Deployment)
}

// cart is a Deployment of some pods that is rolled out and well.
func cart(ctx context.Context, ns string, replicas int32) *appsv1.Deployment {
	GinkgoHelper()
	return rolledOut(ctx, builders.Deployment(ns, "cart", goodImage).Replicas(replicas))
}

// wellImage wants the image that was well.
func wellImage(_ context.Context, deployment *appsv1.Deployment) {
	GinkgoHelper()
	Expect(deployment.Spec.Template.Spec.Containers[0].Image).To(Equal(goodImage))
}

// memoryLimit wants a memory limit.
func memoryLimit(limit string) func(context.Context, *appsv1.Deployment) {
	return func(_ context.Context, deployment *appsv1.Deployment) {
		GinkgoHelper()
		Expect(deployment.Spec.Template.Spec.Containers[0].Resources.Limits.Memory().String()).To(Equal(limit))
	}
}

// outgrown is a Deployment of which every pod suddenly needs more memory than its limit of 128Mi, those to come included.
func outgrown(needs string) func(context.Context, string) *appsv1.Deployment {
	return func(ctx context.Context, ns string) *appsv1.Deployment {
		GinkgoHelper()
		deployment := rolledOut(ctx, builders.Deployment(ns, "cart", goodImage).MemoryLimit("128Mi"))
		annotateEach(ctx, admissionregistrationv1.NamedRuleWithOperations{RuleWithOperations: created("pods")}, ns, "", needsMemory, needs)
		Eventually(func(g Gomega) {
			probe := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "probe"}, Spec: deployment.Spec.Template.Spec}
			g.Expect(cluster.Create(ctx, probe, client.DryRunAll)).To(Succeed())
			g.Expect(probe.Annotations).To(HaveKeyWithValue(needsMemory, needs))
		}).WithTimeout(rolloutTimeout).WithPolling(poll).Should(Succeed())
		annotatePods(ctx, deployment, needsMemory, needs)
		awaitCrashes(ctx, deployment)
		return deployment
	}
}

// failures are produced by the simulated kubelets and by the real controllers above them.
func failures() []failure {
	return []failure{
		{
			name: "image-missing",
			produce: func(ctx context.Context, ns string) *appsv1.Deployment {
				deployment := cart(ctx, ns, 2)
				breakRollout(ctx, deployment, badImage)
				return deployment
			},
			tried: []string{"image-pull-failure-rollback"}, repaired: wellImage,
		},
		{
			name: "crash-loop-after-change",
			produce: func(ctx context.Context, ns string) *appsv1.Deployment {
				deployment := cart(ctx, ns, 2)
				breakRollout(ctx, deployment, crashingImage)
				return deployment
			},
			tried: []string{"crash-loop-after-change-rollback"}, repaired: wellImage,
		},
		{
			name: "crash-loop-without-change",
			produce: func(ctx context.Context, ns string) *appsv1.Deployment {
				deployment := cart(ctx, ns, 2)
				annotatePods(ctx, deployment, crash, "true")
				awaitCrashes(ctx, deployment)
				return deployment
			},
			tried: []string{"crash-loop-restart"},
			repaired: func(_ context.Context, deployment *appsv1.Deployment) {
				Expect(deployment.Spec.Template.Annotations).To(HaveKey("kubectl.kubernetes.io/restartedAt"))
			},
		},
		{
			name: "never-ready",
			produce: func(ctx context.Context, ns string) *appsv1.Deployment {
				deployment := cart(ctx, ns, 2)
				breakRollout(ctx, deployment, unreadyImage)
				return deployment
			},
			tried: []string{"stuck-rollout-serving-revision"}, repaired: wellImage,
		},
		{name: "out-of-memory", produce: outgrown("200Mi"), tried: []string{"out-of-memory-double"}, repaired: memoryLimit("256Mi")},
	}
}

// harderFailures are those that the first playbook cannot repair: what it did is undone, and its alternative is tried.
func harderFailures() []failure {
	twice := func(first, second string) func(context.Context, string) *appsv1.Deployment {
		return func(ctx context.Context, ns string) *appsv1.Deployment {
			GinkgoHelper()
			deployment := cart(ctx, ns, 2)
			breakRollout(ctx, deployment, first)
			breakRollout(ctx, deployment, second)
			return deployment
		}
	}
	return []failure{
		{
			name: "two-images-missing", produce: twice(badImage, missingImage),
			tried: []string{"image-pull-failure-rollback", "stuck-rollout-serving-revision"}, repaired: wellImage,
		},
		{
			name: "two-crashing-releases", produce: twice(crashingImage, worseImage),
			tried: []string{"crash-loop-after-change-rollback", "stuck-rollout-serving-revision"}, repaired: wellImage,
		},
		{
			name: "a-node-at-fault", produce: onBadNode,
			tried: []string{"crash-loop-restart", "crash-loop-cordon-node"},
			repaired: func(ctx context.Context, deployment *appsv1.Deployment) {
				Expect(nodesOf(ctx, deployment)).NotTo(ContainElement(badNode))
				var node corev1.Node
				Expect(cluster.Get(ctx, client.ObjectKey{Name: badNode}, &node)).To(Succeed())
				Expect(node.Spec.Unschedulable).To(BeTrue())
			},
		},
		{
			name: "serving-revision-cannot-start", produce: lostServiceAccount,
			tried: []string{"stuck-rollout-serving-revision", "stuck-rollout-other-revision"},
			repaired: func(_ context.Context, deployment *appsv1.Deployment) {
				Expect(deployment.Spec.Template.Spec.ServiceAccountName).To(Equal("new"))
			},
		},
		{
			name: "far-out-of-memory", produce: outgrown("400Mi"),
			tried: []string{"out-of-memory-double", "out-of-memory-fourfold"}, repaired: memoryLimit("512Mi"),
		},
	}
}

// badNode is a node on which everything crashes.
const badNode = "node-04"

// onBadNode is a Deployment that is well on a node until the node makes everything crash: what runs there, and what is bound to it.
func onBadNode(ctx context.Context, ns string) *appsv1.Deployment {
	GinkgoHelper()
	b := builders.Deployment(ns, "cart", goodImage)
	b.Spec.Template.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{
		PreferredDuringSchedulingIgnoredDuringExecution: []corev1.PreferredSchedulingTerm{{Weight: 100, Preference: corev1.NodeSelectorTerm{
			MatchExpressions: []corev1.NodeSelectorRequirement{{Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: []string{badNode}}},
		}}},
	}}
	deployment := rolledOut(ctx, b)
	Expect(nodesOf(ctx, deployment)).To(ConsistOf(badNode))
	DeferCleanup(func(ctx context.Context) {
		node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: badNode}}
		Expect(cluster.Patch(ctx, node, client.RawPatch(types.MergePatchType, []byte(`{"spec":{"unschedulable":null}}`)))).To(Succeed())
	})
	// The API server copies the annotations of a binding to the pod.
	annotateEach(ctx, admissionregistrationv1.NamedRuleWithOperations{RuleWithOperations: created("pods/binding")}, ns,
		"object.target.name == '"+badNode+"'", crash, "true")
	Eventually(func(g Gomega) {
		probe := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: ns, GenerateName: "probe-"}, Spec: corev1.PodSpec{
			NodeSelector: map[string]string{corev1.LabelHostname: badNode}, Containers: deployment.Spec.Template.Spec.Containers,
			TerminationGracePeriodSeconds: new(int64(0)),
		}}
		g.Expect(cluster.Create(ctx, probe)).To(Succeed())
		defer func() { g.Expect(cluster.Delete(ctx, probe)).To(Succeed()) }()
		g.Eventually(func(g Gomega) {
			g.Expect(cluster.Get(ctx, client.ObjectKeyFromObject(probe), probe)).To(Succeed())
			g.Expect(probe.Spec.NodeName).To(Equal(badNode))
		}).WithTimeout(rolloutTimeout).WithPolling(poll).Should(Succeed())
		g.Expect(probe.Annotations).To(HaveKey(crash))
	}).WithTimeout(rolloutTimeout).WithPolling(poll).Should(Succeed())
	annotatePods(ctx, deployment, crash, "true")
	awaitCrashes(ctx, deployment)
	return deployment
}

// lostServiceAccount is a Deployment of which one pod of the first release still serves, and whose first release cannot be started
// anew, because its ServiceAccount is gone. The second release is well, and was replaced by a third before any of its pods was ready.
func lostServiceAccount(ctx context.Context, ns string) *appsv1.Deployment {
	GinkgoHelper()
	accounts := map[string]*corev1.ServiceAccount{}
	for _, name := range []string{"old", "new"} {
		accounts[name] = &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name}}
		Expect(cluster.Create(ctx, accounts[name])).To(Succeed())
	}
	b := builders.Deployment(ns, "cart", goodImage).Replicas(2)
	b.Spec.Template.Spec.ServiceAccountName = "old"
	b.Spec.Strategy = appsv1.DeploymentStrategy{RollingUpdate: &appsv1.RollingUpdateDeployment{MaxUnavailable: new(intstr.FromInt32(1)), MaxSurge: new(intstr.FromInt32(0))}}
	deployment := rolledOut(ctx, b)
	By("releasing the second and the third version")
	patch := client.MergeFrom(deployment.DeepCopy())
	deployment.Spec.Template.Spec.ServiceAccountName = "new"
	deployment.Spec.Template.Spec.NodeSelector = map[string]string{ns: "true"}
	Expect(cluster.Patch(ctx, deployment, patch)).To(Succeed())
	awaitStuck(ctx, deployment)
	breakRollout(ctx, deployment, unreadyImage)
	Expect(cluster.Delete(ctx, accounts["old"])).To(Succeed())
	By("labelling the node that the second version waits for")
	label := func(value string) client.Patch {
		return client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"labels":{"`+ns+`":`+value+`}}}`))
	}
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node-05"}}
	Expect(cluster.Patch(ctx, node, label(`"true"`))).To(Succeed())
	DeferCleanup(func(ctx context.Context) { Expect(cluster.Patch(ctx, node, label("null"))).To(Succeed()) })
	return deployment
}

var _ = Describe("The playbooks that are shipped", Serial, func() {
	BeforeEach(func(ctx SpecContext) { forgetWorkflows(ctx) })

	It("repair the failures that they are for", func(ctx SpecContext) { repairAll(ctx, failures()) })

	It("have an alternative for when they fail", func(ctx SpecContext) { repairAll(ctx, harderFailures()) })
})

var _ = Describe("A node that goes NotReady", func() {
	It("is seen by the controllers, and among the facts about what runs on it", func(ctx SpecContext) {
		ns := namespace(ctx, nil)
		deployment := cart(ctx, ns, 1)
		name := nodesOf(ctx, deployment)[0]
		node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}
		annotation := func(value string) client.Patch {
			return client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"annotations":{"`+notReady+`":`+value+`}}}`))
		}
		Expect(cluster.Patch(ctx, node, annotation(`"true"`))).To(Succeed())
		DeferCleanup(func(ctx context.Context) {
			Expect(cluster.Patch(ctx, node, annotation("null"))).To(Succeed())
			Eventually(func(g Gomega) {
				g.Expect(cluster.Get(ctx, client.ObjectKeyFromObject(node), node)).To(Succeed())
				g.Expect(node.Spec.Taints).To(BeEmpty())
			}).WithTimeout(rolloutTimeout).WithPolling(poll).Should(Succeed())
		})
		By("having the node controller taint it, so that nothing new is placed there")
		Eventually(func(g Gomega) {
			g.Expect(cluster.Get(ctx, client.ObjectKeyFromObject(node), node)).To(Succeed())
			g.Expect(node.Spec.Taints).To(ContainElement(HaveField("Key", corev1.TaintNodeNotReady)))
		}).WithTimeout(stuckTimeout).WithPolling(poll).Should(Succeed())
		remediate(ctx, builders.Request(ns, "away", "KubeNodeNotReady", builders.Deployment(ns, "cart", goodImage).Target()))
		var processing remediationprocessingv1.RemediationProcessing
		Expect(cluster.Get(ctx, client.ObjectKey{Namespace: ns, Name: "away-processing"}, &processing)).To(Succeed())
		Expect(processing.Status.Enrichment.Nodes).To(ConsistOf(And(HaveField("Name", name), HaveField("Ready", HaveValue(BeFalse())))))
	})
})

// repairAll produces the failures and has all of them repaired at once.
func repairAll(ctx context.Context, all []failure) {
	GinkgoHelper()
	requests := make([]*remediationv1.RemediationRequest, len(all))
	deployments := make([]*appsv1.Deployment, len(all))
	for i, f := range all {
		By("producing " + f.name)
		deployments[i] = f.produce(ctx, namespace(ctx, nil))
		target := shared.Target{APIVersion: "apps/v1", Kind: "Deployment", Namespace: deployments[i].Namespace, Name: "cart"}
		requests[i] = builders.Request(deployments[i].Namespace, f.name, "KubeDeploymentUnwell", target).RemediationRequest
	}
	for _, request := range requests {
		Expect(cluster.Create(ctx, request)).To(Succeed())
	}
	for i, f := range all {
		By("looking at the repair of " + f.name)
		request, deployment := requests[i], deployments[i]
		Eventually(func(g Gomega) {
			g.Expect(cluster.Get(ctx, client.ObjectKeyFromObject(request), request)).To(Succeed())
			g.Expect(request.Status.OverallPhase.Terminal()).To(BeTrue(), "phase %s", request.Status.OverallPhase)
		}).WithTimeout(recoveryTimeout).WithPolling(poll).Should(Succeed())
		Expect(request.Status.Outcome).To(Equal(remediationv1.OutcomeRemediated), request.Status.EscalationReason)
		expectTried(ctx, request, f.tried)
		awaitAvailable(ctx, deployment)
		f.repaired(ctx, deployment)
	}
}

// expectTried wants the playbooks to have been tried, each in an attempt of its own, on facts that could all be read.
func expectTried(ctx context.Context, request *remediationv1.RemediationRequest, want []string) {
	GinkgoHelper()
	var tried []string
	for _, ref := range request.Status.AIAnalysisRefs {
		var analysis aianalysisv1.AIAnalysis
		Expect(cluster.Get(ctx, client.ObjectKey{Namespace: ref.Namespace, Name: ref.Name}, &analysis)).To(Succeed())
		Expect(analysis.Spec.FailedPlaybooks).To(Equal(tried))
		tried = append(tried, analysis.Status.Recommendation.PlaybookRef)
	}
	Expect(tried).To(Equal(want))
	expectAttempts(ctx, request, len(want), len(want))
	for _, ref := range request.Status.RemediationProcessingRefs {
		var processing remediationprocessingv1.RemediationProcessing
		Expect(cluster.Get(ctx, client.ObjectKey{Namespace: ref.Namespace, Name: ref.Name}, &processing)).To(Succeed())
		Expect(processing.Status.Degraded).To(BeFalse(), "%v", processing.Status.DegradedReasons)
	}
}

func podsOf(ctx context.Context, deployment *appsv1.Deployment) []corev1.Pod {
	GinkgoHelper()
	var pods corev1.PodList
	Expect(cluster.List(ctx, &pods, client.InNamespace(deployment.Namespace), client.MatchingLabels(deployment.Spec.Selector.MatchLabels))).To(Succeed())
	return pods.Items
}

func nodesOf(ctx context.Context, deployment *appsv1.Deployment) []string {
	GinkgoHelper()
	var nodes []string
	for _, pod := range podsOf(ctx, deployment) {
		if pod.DeletionTimestamp.IsZero() {
			nodes = append(nodes, pod.Spec.NodeName)
		}
	}
	return nodes
}

// annotatePods changes how the kubelets treat the pods that run.
func annotatePods(ctx context.Context, deployment *appsv1.Deployment, key, value string) {
	GinkgoHelper()
	for _, pod := range podsOf(ctx, deployment) {
		patch := client.MergeFrom(pod.DeepCopy())
		metav1.SetMetaDataAnnotation(&pod.ObjectMeta, key, value)
		Expect(cluster.Patch(ctx, &pod, patch)).To(Succeed())
	}
}

// awaitCrashes waits until each pod of a Deployment has crashed again and again, and none is available.
func awaitCrashes(ctx context.Context, deployment *appsv1.Deployment) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		for _, pod := range podsOf(ctx, deployment) {
			g.Expect(pod.Status.ContainerStatuses).To(ContainElement(And(
				HaveField("RestartCount", BeNumerically(">", 1)), HaveField("State.Waiting", HaveValue(HaveField("Reason", "CrashLoopBackOff"))))))
		}
		g.Expect(cluster.Get(ctx, client.ObjectKeyFromObject(deployment), deployment)).To(Succeed())
		g.Expect(deployment.Status.AvailableReplicas).To(BeZero())
	}).WithTimeout(stuckTimeout).WithPolling(poll).Should(Succeed())
}

func created(resource string) admissionregistrationv1.RuleWithOperations {
	return admissionregistrationv1.RuleWithOperations{
		Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create},
		Rule:       admissionregistrationv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{resource}},
	}
}

// annotateEach gives everything of a namespace that is created from now on an annotation: this is how the world of pods to come changes.
func annotateEach(ctx context.Context, rule admissionregistrationv1.NamedRuleWithOperations, ns, condition, key, value string) {
	GinkgoHelper()
	policy := &admissionregistrationv1.MutatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: ns},
		Spec: admissionregistrationv1.MutatingAdmissionPolicySpec{
			MatchConstraints: &admissionregistrationv1.MatchResources{
				NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: ns}},
				ResourceRules:     []admissionregistrationv1.NamedRuleWithOperations{rule},
			},
			Mutations: []admissionregistrationv1.Mutation{{
				PatchType: admissionregistrationv1.PatchTypeApplyConfiguration,
				ApplyConfiguration: &admissionregistrationv1.ApplyConfiguration{
					Expression: `Object{metadata: Object.metadata{annotations: {"` + key + `": "` + value + `"}}}`,
				},
			}},
			ReinvocationPolicy: admissionregistrationv1.NeverReinvocationPolicy,
		},
	}
	if condition != "" {
		policy.Spec.MatchConditions = []admissionregistrationv1.MatchCondition{{Name: "only", Expression: condition}}
	}
	binding := &admissionregistrationv1.MutatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: ns}, Spec: admissionregistrationv1.MutatingAdmissionPolicyBindingSpec{PolicyName: ns},
	}
	for _, object := range []client.Object{policy, binding} {
		Expect(cluster.Create(ctx, object)).To(Succeed())
		DeferCleanup(func(ctx context.Context) {
			if err := cluster.Delete(ctx, object); !apierrors.IsNotFound(err) {
				Expect(err).NotTo(HaveOccurred())
			}
		})
	}
}

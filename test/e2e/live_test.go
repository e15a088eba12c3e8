package e2e

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/policies/gate"
	"kubernaut.io/kubernaut/test/builders"
)

// manifest writes a workflow to a file, as its author has it before anybody has stored it.
func manifest(b builders.WorkflowBuilder) string {
	GinkgoHelper()
	b.TypeMeta = metav1.TypeMeta{APIVersion: workflowexecutionv1.GroupVersion.String(), Kind: "WorkflowExecution"}
	text, err := yaml.Marshal(map[string]any{
		"apiVersion": b.APIVersion, "kind": b.Kind, "metadata": map[string]any{"name": b.Name, "namespace": b.Namespace},
		"spec": map[string]any{"workflowDefinition": b.Spec.WorkflowDefinition},
	})
	Expect(err).NotTo(HaveOccurred())
	file := filepath.Join(GinkgoT().TempDir(), "workflow.yaml")
	Expect(os.WriteFile(file, text, 0o600)).To(Succeed())
	return file
}

// liveInput is the input document that the command line reads from the cluster.
func liveInput(ctx context.Context, file string, more ...string) gate.Input {
	GinkgoHelper()
	printed := kubernaut(ctx, append([]string{"policy", "input", "-f", file, "--live"}, more...)...)
	Expect(printed.code).To(Equal(0), "%+v", printed)
	var input gate.Input
	Expect(json.Unmarshal([]byte(printed.out), &input)).To(Succeed())
	return input
}

// verdicts are those that the command line finds.
func verdicts(ctx context.Context, file string, more ...string) map[string]shared.Verdict {
	GinkgoHelper()
	printed := kubernaut(ctx, append([]string{"policy", "eval", "-f", file, "--live", "-o", "json"}, more...)...)
	Expect(printed.code).To(Equal(0), "%+v", printed)
	var report struct {
		Steps []struct {
			Step    string
			Verdict shared.Verdict
		}
	}
	Expect(json.Unmarshal([]byte(printed.out), &report)).To(Succeed())
	found := map[string]shared.Verdict{}
	for _, step := range report.Steps {
		found[step.Step] = step.Verdict
	}
	return found
}

// mayRead lets a user do something with Deployments of a namespace.
func mayRead(ctx context.Context, ns, user string, verbs ...string) {
	GinkgoHelper()
	Expect(cluster.Create(ctx, &rbacv1.Role{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: user},
		Rules:      []rbacv1.PolicyRule{{APIGroups: []string{appsv1.GroupName}, Resources: []string{"deployments"}, Verbs: verbs}},
	})).To(Succeed())
	Expect(cluster.Create(ctx, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: user}, Subjects: []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: user}},
		RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: user},
	})).To(Succeed())
}

var _ = Describe("kubernaut policy with --live", func() {
	It("reads the facts that the manager judges on, and changes nothing", func(ctx SpecContext) {
		ns := namespace(ctx, map[string]string{shared.LabelEnvironment: "production"})
		deployment := rolledOut(ctx, builders.Deployment(ns, "cart", goodImage).Replicas(3))
		Expect(cluster.Create(ctx, &autoscalingv2.HorizontalPodAutoscaler{
			ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "another"},
			Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
				ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: "another"}, MaxReplicas: 3,
			},
		})).To(Succeed())
		Expect(cluster.Create(ctx, &policyv1.PodDisruptionBudget{
			ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "cart"},
			Spec:       policyv1.PodDisruptionBudgetSpec{MinAvailable: new(intstr.FromInt32(1)), Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "cart"}}},
		})).To(Succeed())
		runWorkflow(ctx, builders.Workflow(ns, "before", builders.Scale("scale", ns, "cart", 4).Step))
		awaitAvailable(ctx, deployment)

		workflow := builders.Workflow(ns, "try", builders.Scale("fine", ns, "cart", 5).Step, builders.Scale("zero", ns, "cart", 0).After("fine").Step)
		file := manifest(workflow)
		Eventually(func(g Gomega) {
			var budget policyv1.PodDisruptionBudget
			g.Expect(cluster.Get(ctx, client.ObjectKey{Namespace: ns, Name: "cart"}, &budget)).To(Succeed())
			g.Expect(budget.Status.ExpectedPods).To(Equal(int32(4)))
		}).WithTimeout(rolloutTimeout).WithPolling(poll).Should(Succeed())
		input := liveInput(ctx, file, "--step", "fine")
		Expect(input.Missing).To(BeEmpty())
		Expect(*input.Requester.Username).To(Equal("kubernetes-admin"))
		Expect(*input.Target.Drift.Found.UID).To(Equal(string(deployment.UID)))
		Expect(input.Target.PDBs).To(ConsistOf(HaveField("Name", "cart")))
		Expect(*input.Target.HPA.Present).To(BeFalse())
		Expect(input.Namespace.Labels).To(HaveKeyWithValue(shared.LabelEnvironment, "production"))
		Expect(input.Impact.Changes).To(ConsistOf(HaveField("Path", "/spec/replicas")))
		Expect(*input.Rollback.Proven).To(BeTrue())
		Expect(*input.Cluster.Nodes.Total).To(BeNumerically(">", 1))
		Expect(input.Cluster.Executions.Target).To(ConsistOf(HaveField("Workflow", "before")))

		By("judging as the manager does")
		Expect(verdicts(ctx, file)).To(Equal(map[string]shared.Verdict{"fine": shared.VerdictAllow, "zero": shared.VerdictDeny}))
		ran := runWorkflow(ctx, workflow)
		Expect(ran.Status.Validation.Decisions).To(HaveExactElements(HaveField("Verdict", shared.VerdictAllow), HaveField("Verdict", shared.VerdictDeny)))

		By("having changed nothing")
		generation := deployment.Generation
		Expect(cluster.Get(ctx, client.ObjectKeyFromObject(deployment), deployment)).To(Succeed())
		Expect(deployment.Generation).To(Equal(generation))

		By("letting a fact of a file stand above what was read")
		facts := filepath.Join(filepath.Dir(file), "facts.yaml")
		Expect(os.WriteFile(facts, []byte("namespace: {labels: {kubernaut.io/environment: test}}\n"), 0o600)).To(Succeed())
		Expect(liveInput(ctx, file, "--step", "fine", "--facts", facts).Namespace.Labels).To(HaveKeyWithValue(shared.LabelEnvironment, "test"))
	})

	It("says what the caller may not read, and denies on it", func(ctx SpecContext) {
		ns := namespace(ctx, nil)
		rolledOut(ctx, builders.Deployment(ns, "cart", goodImage))
		mayRead(ctx, ns, "ann", "get")
		file := manifest(builders.Workflow(ns, "try", builders.Scale("scale", ns, "cart", 2).Step))

		By("being someone who may see the target, but not change it")
		seen := liveInput(ctx, file, "--as", "ann")
		Expect(seen.Target.Object).NotTo(BeEmpty())
		Expect(seen.Impact.Changes).To(BeNil())
		Expect(seen.Missing).To(ContainElements(
			And(HaveField("Path", "impact.changes"), HaveField("Reason", ContainSubstring(`User "ann" cannot patch`))),
			And(HaveField("Path", "namespace"), HaveField("Reason", ContainSubstring(`User "ann" cannot get`))),
			And(HaveField("Path", "cluster.nodes"), HaveField("Reason", ContainSubstring(`User "ann" cannot list`))),
			And(HaveField("Path", "cluster.activeWorkflows"), HaveField("Reason", ContainSubstring(`User "ann" cannot list`))),
		))

		By("being someone who may see nothing")
		blind := liveInput(ctx, file, "--as", "eve")
		Expect(blind.Target.Object).To(BeEmpty())
		Expect(blind.Missing).To(ContainElement(And(HaveField("Path", "target.object"), HaveField("Reason", ContainSubstring(`User "eve" cannot get`)))))
		Expect(verdicts(ctx, file, "--as", "eve")).To(Equal(map[string]shared.Verdict{"scale": shared.VerdictDeny}))

		By("naming a target that is not there")
		gone := liveInput(ctx, manifest(builders.Workflow(ns, "try", builders.Scale("scale", ns, "crat", 2).Step)))
		Expect(gone.Missing).To(ContainElement(And(HaveField("Path", "target.object"), HaveField("Reason", ContainSubstring(`"crat" not found`)))))

		By("asking a cluster that is not there")
		refused(kubernaut(ctx, "policy", "eval", "-f", file, "--live", "--server", "https://127.0.0.1:1"), "does not answer")
	})
})

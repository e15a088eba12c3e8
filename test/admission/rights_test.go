package admission

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	remediationv1 "kubernaut.io/kubernaut/api/remediation/v1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/controllers/identity"
	"kubernaut.io/kubernaut/test/cluster"
	"kubernaut.io/kubernaut/webhooks/statusguard"
)

// person makes a user with a namespace of their own, in which they may do with our kinds what a person may and with Deployments
// what verbs say, and nothing elsewhere.
func person(ctx context.Context, name string, verbs ...string) client.Client {
	GinkgoHelper()
	Expect(admin.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})).To(Succeed())
	role := &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: "own", Namespace: name}, Rules: []rbacv1.PolicyRule{
		{APIGroups: []string{"apps"}, Resources: []string{"deployments"}, Verbs: verbs},
	}}
	for _, row := range statusguard.Rows() {
		role.Rules = append(role.Rules, rbacv1.PolicyRule{APIGroups: []string{row.Group}, Resources: []string{row.Resource}, Verbs: []string{"*"}})
	}
	Expect(admin.Create(ctx, role)).To(Succeed())
	Expect(admin.Create(ctx, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "own", Namespace: name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "own"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: name}},
	})).To(Succeed())
	user, err := controlPlane.AddUser(envtest.User{Name: name}, adminConfig)
	Expect(err).NotTo(HaveOccurred())
	return clientOf(user.Config())
}

// scaleIn is a step on the Deployment cart of a namespace.
func scaleIn(name, namespace string) shared.Step {
	s := step(name)
	s.Action.ScaleDeployment = &shared.ScaleDeployment{Namespace: namespace, Name: "cart", Replicas: new(int32(2))}
	return s
}

var _ = Describe("Who has rights in one namespace only", Ordered, func() {
	var carol client.Client
	BeforeAll(func(ctx SpecContext) { carol = person(ctx, "carol", "get", "patch", "remediate") })

	ownRequest := func(namespace string) *remediationv1.RemediationRequest {
		return request("r-", func(r *remediationv1.RemediationRequest) {
			r.Namespace, r.Spec.Target.Namespace = "carol", namespace
		})
	}
	ownWorkflow := func(steps ...shared.Step) *workflowexecutionv1.WorkflowExecution {
		return workflow("w-", func(w *workflowexecutionv1.WorkflowExecution) { w.Namespace = "carol" }, steps...)
	}

	It("has targets there repaired", func(ctx SpecContext) {
		Expect(carol.Create(ctx, ownRequest("carol"))).To(Succeed())
		Expect(carol.Create(ctx, ownWorkflow(scaleIn("a", "carol")))).To(Succeed())
	})

	It("cannot file a request for a target elsewhere", func(ctx SpecContext) {
		Expect(carol.Create(ctx, ownRequest(workNamespace))).To(MatchError(And(
			ContainSubstring("spec.target"), ContainSubstring("carol may not remediate deployments.apps cart in namespace shop"))))
	})

	It("cannot file a request for a cluster-scoped target", func(ctx SpecContext) {
		node := ownRequest("")
		node.Spec.Target = shared.Target{APIVersion: "v1", Kind: "Node", Name: "worker"}
		Expect(carol.Create(ctx, node)).To(MatchError(ContainSubstring("carol may not remediate nodes worker")))
	})

	It("cannot have a workflow change a target elsewhere, in whichever step", func(ctx SpecContext) {
		Expect(carol.Create(ctx, ownWorkflow(scaleIn("a", "carol"), scaleIn("b", workNamespace)))).To(MatchError(And(
			ContainSubstring("spec.workflowDefinition.steps[1].action"), ContainSubstring("carol may not patch deployments.apps cart in namespace shop"),
			ContainSubstring("carol may not get deployments.apps cart in namespace shop"), Not(ContainSubstring("steps[0]")))))
	})

	It("cannot have it done by the orchestrator either", func(ctx SpecContext) {
		grantControllers(ctx)
		config, err := cluster.TokenConfig(adminConfig, operatorNamespace, identity.RemediationRequest)
		Expect(err).NotTo(HaveOccurred())
		orchestrator := clientOf(config)
		filed := ownRequest("carol")
		Expect(carol.Create(ctx, filed)).To(Succeed())
		child := func(namespace string) *workflowexecutionv1.WorkflowExecution {
			return serving(filed, scaleIn("a", namespace))
		}
		Expect(orchestrator.Create(ctx, child("carol"), client.DryRunAll)).To(Succeed())
		Expect(orchestrator.Create(ctx, child(workNamespace), client.DryRunAll)).To(MatchError(
			ContainSubstring("carol may not remediate deployments.apps cart in namespace shop")))
	})
})

var _ = Describe("Who lacks a part of the rights", Ordered, func() {
	It("may write and not look: is refused", func(ctx SpecContext) {
		dave := person(ctx, "dave", "patch")
		own := workflow("w-", func(w *workflowexecutionv1.WorkflowExecution) { w.Namespace = "dave" }, scaleIn("a", "dave"))
		Expect(dave.Create(ctx, own)).To(MatchError(ContainSubstring("dave may not get deployments.apps cart in namespace dave")))
	})

	It("may have it remediated and not change it: files requests, starts no workflow", func(ctx SpecContext) {
		erin := person(ctx, "erin", "remediate")
		filed := request("r-", func(r *remediationv1.RemediationRequest) { r.Namespace, r.Spec.Target.Namespace = "erin", "erin" })
		Expect(erin.Create(ctx, filed)).To(Succeed())
		own := workflow("w-", func(w *workflowexecutionv1.WorkflowExecution) { w.Namespace = "erin" }, scaleIn("a", "erin"))
		Expect(erin.Create(ctx, own)).To(MatchError(ContainSubstring("erin may not patch deployments.apps cart in namespace erin")))
	})

	It("may not tell people something without the right to write events", func(ctx SpecContext) {
		frank := person(ctx, "frank", "get", "patch")
		tell := shared.Step{Name: "tell", Action: shared.Action{Type: shared.ActionNotifyOnly, NotifyOnly: &shared.NotifyOnly{Message: "hello"}}}
		own := workflow("w-", func(w *workflowexecutionv1.WorkflowExecution) { w.Namespace = "frank" }, tell)
		Expect(frank.Create(ctx, own)).To(MatchError(ContainSubstring("frank may not create events.events.k8s.io in namespace frank")))
	})
})

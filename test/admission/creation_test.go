package admission

import (
	"context"
	"fmt"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	authenticationv1 "k8s.io/api/authentication/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	remediationv1 "kubernaut.io/kubernaut/api/remediation/v1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/controllers/identity"
	"kubernaut.io/kubernaut/test/cluster"
	"kubernaut.io/kubernaut/webhooks/statusguard"
)

// create copies the fixture of a kind, as a dry run.
func create(ctx context.Context, config *rest.Config, row statusguard.Row) error {
	GinkgoHelper()
	existing, err := statusOf(adminConfig, row).Get(ctx, fixture, metav1.GetOptions{})
	Expect(err).NotTo(HaveOccurred())
	fresh := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": existing.GetAPIVersion(), "kind": existing.GetKind(), "spec": existing.Object["spec"],
		"metadata": map[string]any{"generateName": "created-"},
	}}
	if row.Owner != nil {
		owner := map[string]shared.ObjectReference{"RemediationRequest": reference, "WorkflowExecution": workflowReference}[row.Owner.Kind]
		fresh.SetOwnerReferences([]metav1.OwnerReference{controlledBy(row.Owner.Kind, owner)})
	}
	if name := childName(row.Kind); name != "" {
		fresh.SetGenerateName("")
		fresh.SetName(name)
	}
	_, err = statusOf(config, row).Create(ctx, fresh, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	return err
}

// grantCreation lets every controller create every kind: what remains is what admission says.
func grantCreation(ctx context.Context) map[string]*rest.Config {
	GinkgoHelper()
	role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "test-creator"}}
	for _, row := range statusguard.Rows() {
		role.Rules = append(role.Rules, rbacv1.PolicyRule{APIGroups: []string{row.Group}, Resources: []string{row.Resource}, Verbs: []string{"create", "get"}})
	}
	Expect(admin.Create(ctx, role)).To(Succeed())
	identities := map[string]*rest.Config{}
	var subjects []rbacv1.Subject
	for _, account := range identity.Controllers() {
		config, err := cluster.TokenConfig(adminConfig, operatorNamespace, account)
		Expect(err).NotTo(HaveOccurred())
		identities[account] = config
		subjects = append(subjects, rbacv1.Subject{Kind: rbacv1.ServiceAccountKind, Namespace: operatorNamespace, Name: account})
	}
	bind(ctx, role.Name, subjects...)
	return identities
}

var _ = Describe("The creation guard", Ordered, func() {
	var identities map[string]*rest.Config
	BeforeAll(func(ctx SpecContext) { identities = grantCreation(ctx) })

	refused := func(row statusguard.Row, user string) string {
		return fmt.Sprintf("%s are created only by %s; you are %s. %s", row.Resource, identity.Username(operatorNamespace, row.Creator), user, row.Instead)
	}
	everyoneElse := func(ctx context.Context, row statusguard.Row) {
		GinkgoHelper()
		for account, config := range identities {
			if account == row.Creator {
				continue
			}
			err := create(ctx, config, row)
			Expect(apierrors.IsForbidden(err)).To(BeTrue(), "%v", err)
			Expect(err).To(MatchError(ContainSubstring(refused(row, identity.Username(operatorNamespace, account)))))
		}
		Expect(create(ctx, adminConfig, row)).To(MatchError(ContainSubstring(refused(row, whoAmI(ctx, adminConfig)))))
		Expect(create(ctx, aliceConfig, row)).To(MatchError(ContainSubstring(refused(row, "alice"))))
	}

	for _, row := range statusguard.Rows() {
		if row.Creator == "" {
			continue
		}
		It("lets nobody but its creator make one of "+row.Resource, func(ctx SpecContext) {
			everyoneElse(ctx, row)
			err := create(ctx, cluster.Impersonated(adminConfig, operatorNamespace, row.Creator), row)
			Expect(err).To(MatchError(ContainSubstring("impersonated requests may not create %s", row.Resource)))
			Expect(create(ctx, identities[row.Creator], row)).To(Succeed())
		})
	}

	It("holds when the webhook configurations were deleted, and nothing that they stamp can be claimed", func(ctx SpecContext) {
		deleteWebhooks(ctx)
		defer webhooksBack(ctx)
		for _, row := range statusguard.Rows() {
			if row.Creator != "" {
				everyoneElse(ctx, row)
			}
		}

		By("taking oneself for the requester, and nobody else")
		me := requesterOf(ctx, alice)
		stamped := func(by shared.Requester, annotation string) *remediationv1.RemediationRequest {
			return request("stamped-", func(r *remediationv1.RemediationRequest) {
				r.Spec.RequestedBy = by
				r.Annotations = map[string]string{shared.AnnotationRequestedBy: annotation}
			})
		}
		Expect(alice.Create(ctx, stamped(me, "alice"), client.DryRunAll)).To(Succeed())
		for sentence, forged := range map[string]shared.Requester{
			"another name":     {Username: "bob", UID: me.UID, Groups: me.Groups, Extra: me.Extra},
			"another UID":      {Username: me.Username, UID: "1", Groups: me.Groups, Extra: me.Extra},
			"one more group":   {Username: me.Username, UID: me.UID, Groups: append([]string{"system:masters"}, me.Groups...), Extra: me.Extra},
			"no groups":        {Username: me.Username, UID: me.UID, Extra: me.Extra},
			"no extra":         {Username: me.Username, UID: me.UID, Groups: me.Groups},
			"a name like mine": {Username: "al\u0456ce", UID: me.UID, Groups: me.Groups, Extra: me.Extra},
		} {
			Expect(alice.Create(ctx, stamped(forged, "alice"), client.DryRunAll)).To(
				MatchError(ContainSubstring("spec.requestedBy must be who sends the request, alice")), sentence)
		}
		Expect(alice.Create(ctx, stamped(me, "bob"), client.DryRunAll)).To(MatchError(ContainSubstring("must be who sends the request, alice")))

		By("letting the orchestrator alone create a workflow that serves a request")
		child := workflow("child-", func(w *workflowexecutionv1.WorkflowExecution) {
			w.Spec.RemediationRequestRef, w.Spec.RequestedBy = &reference, me
			w.Annotations = map[string]string{shared.AnnotationRequestedBy: "alice"}
			w.OwnerReferences = []metav1.OwnerReference{controlledBy("RemediationRequest", reference)}
		}, step("a"))
		Expect(alice.Create(ctx, child, client.DryRunAll)).To(MatchError(ContainSubstring("creates a workflow that serves a RemediationRequest; you are alice")))
		impersonated := clientOf(cluster.Impersonated(adminConfig, operatorNamespace, identity.RemediationRequest))
		Expect(impersonated.Create(ctx, child, client.DryRunAll)).To(MatchError(ContainSubstring("impersonated requests may not create a workflow")))
	})
})

// requesterOf is who the API server says that a client is.
func requesterOf(ctx context.Context, c client.Client) shared.Requester {
	GinkgoHelper()
	review := &authenticationv1.SelfSubjectReview{}
	Expect(c.Create(ctx, review)).To(Succeed())
	info := review.Status.UserInfo
	requester := shared.Requester{Username: info.Username, UID: info.UID, Groups: info.Groups}
	for key, values := range info.Extra {
		if requester.Extra == nil {
			requester.Extra = map[string]shared.ExtraValue{}
		}
		requester.Extra[key] = shared.ExtraValue(values)
	}
	return requester
}

package e2e

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// as is a client of somebody who is not an admin.
func as(name string) client.Client {
	GinkgoHelper()
	own := rest.CopyConfig(config)
	own.Impersonate = rest.ImpersonationConfig{UserName: name, Groups: []string{"system:authenticated"}}
	c, err := client.New(own, client.Options{Scheme: cluster.Scheme(), Mapper: cluster.RESTMapper()})
	Expect(err).NotTo(HaveOccurred())
	return c
}

// grant gives somebody a right in a namespace, and waits until the authorizer knows. Deleting the binding takes it away.
func grant(ctx context.Context, name, ns string, rule rbacv1.PolicyRule) *rbacv1.RoleBinding {
	GinkgoHelper()
	role := &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: ns, GenerateName: name + "-"}, Rules: []rbacv1.PolicyRule{rule}}
	Expect(cluster.Create(ctx, role)).To(Succeed())
	binding := &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: role.Name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role.Name},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: name}},
	}
	Expect(cluster.Create(ctx, binding)).To(Succeed())
	awaitRight(ctx, name, ns, rule, true)
	return binding
}

// awaitRight waits until the authorizer knows that someone has, or has no more, what a rule gives.
func awaitRight(ctx context.Context, name, ns string, rule rbacv1.PolicyRule, has bool) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{User: name, ResourceAttributes: &authorizationv1.ResourceAttributes{
			Namespace: ns, Verb: rule.Verbs[0], Group: rule.APIGroups[0], Resource: rule.Resources[0],
		}}}
		g.Expect(cluster.Create(ctx, review)).To(Succeed())
		g.Expect(review.Status.Allowed).To(Equal(has))
	}).WithTimeout(rolloutTimeout).WithPolling(poll).Should(Succeed())
}

func mayRepair() rbacv1.PolicyRule {
	return rbacv1.PolicyRule{APIGroups: []string{"apps"}, Resources: []string{"deployments"}, Verbs: []string{"patch", "get"}}
}

func mayStart() rbacv1.PolicyRule {
	return rbacv1.PolicyRule{APIGroups: []string{"workflowexecution.kubernaut.io"}, Resources: []string{"workflowexecutions"}, Verbs: []string{"create", "get"}}
}

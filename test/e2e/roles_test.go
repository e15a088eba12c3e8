package e2e

import (
	"context"
	"slices"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// allowed are those of some permissions that a user has in a namespace, by resource and verb.
func allowed(ctx context.Context, user, ns string, permissions ...[3]string) []string {
	GinkgoHelper()
	var have []string
	for _, p := range permissions {
		review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{User: user, ResourceAttributes: &authorizationv1.ResourceAttributes{
			Namespace: ns, Group: p[0], Resource: p[1], Verb: p[2],
		}}}
		Expect(cluster.Create(ctx, review)).To(Succeed())
		if review.Status.Allowed {
			have = append(have, p[1]+" "+p[2])
		}
	}
	slices.Sort(have)
	return have
}

// The roles that every cluster has get ours from its controller manager.
var _ = Describe("Whoever may view, edit or administer a namespace", func() {
	It("may do with remediations what goes with it, and neither approve nor write policies", func(ctx SpecContext) {
		ns := namespace(ctx, nil)
		asked := [][3]string{
			{"remediation.kubernaut.io", "remediationrequests", "get"},
			{"safety.kubernaut.io", "approvalrequests", "list"},
			{"remediation.kubernaut.io", "remediationrequests", "create"},
			{"workflowexecution.kubernaut.io", "workflowexecutions", "patch"},
			{"apps", "deployments", "remediate"},
			{"workflowexecution.kubernaut.io", "workflowexecutions", "delete"},
			// And these nobody.
			{"", "nodes", "remediate"},
			{"workflowexecution.kubernaut.io", "workflowexecutions/status", "update"},
			{"kubernetesexecution.kubernaut.io", "kubernetesexecutions", "create"},
			{"safety.kubernaut.io", "approvalrequests", "approve"},
			{"safety.kubernaut.io", "approvalrequests", "patch"},
			{"safety.kubernaut.io", "safetypolicies", "update"},
			{"catalog.kubernaut.io", "playbooks", "create"},
		}
		views := []string{"approvalrequests list", "remediationrequests get"}
		edits := append(slices.Clone(views), "deployments remediate", "remediationrequests create", "workflowexecutions patch")
		for role, want := range map[string][]string{"view": views, "edit": edits, "admin": append(slices.Clone(edits), "workflowexecutions delete")} {
			user := role + "-of-" + ns
			Expect(cluster.Create(ctx, &rbacv1.RoleBinding{
				ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: role},
				RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
				Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}},
			})).To(Succeed())
			slices.Sort(want)
			Eventually(func() []string { return allowed(ctx, user, ns, asked...) }).WithTimeout(workflowTimeout).WithPolling(poll).Should(Equal(want), role)
		}
	})
})

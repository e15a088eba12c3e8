package admission

import (
	"context"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	remediationv1 "kubernaut.io/kubernaut/api/remediation/v1"
	safetyv1alpha1 "kubernaut.io/kubernaut/api/safety/v1alpha1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/webhooks/statusguard"
)

// peopleNamespace is where the people of this file have the roles of theirs, and theirs alone.
const peopleNamespace = "people"

// everyRequest is what somebody could ask for: our kinds, their status and finalizers, and what a repair is about or is done with.
func everyRequest() (verbs, resources []string) {
	verbs = []string{"get", "list", "watch", "create", "update", "patch", "delete", "deletecollection", "approve", "remediate", "impersonate", "escalate", "bind"}
	for _, row := range statusguard.Rows() {
		whole := row.Resource + "." + row.Group
		resources = append(resources, whole, whole+"/status", whole+"/finalizers")
	}
	return verbs, append(resources,
		"pods", "nodes", "secrets", "configmaps", "events", "serviceaccounts", "serviceaccounts/token", "deployments.apps", "statefulsets.apps", "daemonsets.apps", "replicasets.apps",
		"leases.coordination.k8s.io", "roles.rbac.authorization.k8s.io", "clusterroles.rbac.authorization.k8s.io",
		"validatingadmissionpolicies.admissionregistration.k8s.io", "validatingwebhookconfigurations.admissionregistration.k8s.io",
	)
}

// mayDo is all of everyRequest that a user may do in a namespace, one "verb resource" each, sorted.
func mayDo(ctx context.Context, user, namespace string) []string {
	GinkgoHelper()
	verbs, resources := everyRequest()
	var may []string
	for _, resource := range resources {
		whole, sub, _ := strings.Cut(resource, "/")
		name, group, _ := strings.Cut(whole, ".")
		for _, verb := range verbs {
			review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
				User: user, Groups: []string{"system:authenticated"},
				ResourceAttributes: &authorizationv1.ResourceAttributes{Namespace: namespace, Verb: verb, Group: group, Resource: name, Subresource: sub},
			}}
			Expect(admin.Create(ctx, review)).To(Succeed())
			if review.Status.Allowed {
				may = append(may, verb+" "+strings.TrimSuffix(name+"/"+sub, "/"))
			}
		}
	}
	slices.Sort(may)
	return may
}

// people are the roles, and what each allows beyond reading our kinds.
func people() map[string][]string {
	asks := []string{
		"create remediationrequests", "patch remediationrequests", "update remediationrequests",
		"create workflowexecutions", "patch workflowexecutions", "update workflowexecutions",
		"remediate pods", "remediate deployments", "remediate statefulsets", "remediate daemonsets",
	}
	removes := []string{
		"delete remediationrequests", "deletecollection remediationrequests", "delete workflowexecutions", "deletecollection workflowexecutions",
	}
	return map[string][]string{
		"kubernaut-viewer":        nil,
		"kubernaut-operator":      asks,
		"kubernaut-admin":         slices.Concat(asks, removes),
		"kubernaut-approver":      {"approve approvalrequests", "patch approvalrequests", "update approvalrequests"},
		"kubernaut-policy-author": writesOf("safetypolicies", "playbooks"),
	}
}

func everybodyReads() []string {
	var all []string
	for _, row := range statusguard.Rows() {
		for _, verb := range []string{"get", "list", "watch"} {
			all = append(all, verb+" "+row.Resource)
		}
	}
	return all
}

var _ = Describe("The roles for people", Ordered, func() {
	var clients map[string]client.Client

	BeforeAll(func(ctx SpecContext) {
		Expect(admin.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: peopleNamespace}})).To(Succeed())
		clients = map[string]client.Client{}
		for role := range people() {
			clients[role] = clientOf(certified("with-" + role))
			Expect(admin.Create(ctx, &rbacv1.RoleBinding{
				ObjectMeta: metav1.ObjectMeta{Name: role, Namespace: peopleNamespace},
				RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
				Subjects:   []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: "with-" + role}},
			})).To(Succeed())
		}
	})

	It("allow what they say and nothing more", func(ctx SpecContext) {
		for role, own := range people() {
			want := slices.Sorted(slices.Values(slices.Concat(everybodyReads(), own)))
			Eventually(mayDo).WithContext(ctx).WithArguments("with-"+role, peopleNamespace).WithTimeout(readyTimeout).WithPolling(pollInterval).Should(Equal(want), role)
			Expect(mayDo(ctx, "with-"+role, workNamespace)).To(BeEmpty(), role)
		}
	})

	It("are part of view, edit and admin as far as they are harmless", func(ctx SpecContext) {
		for role, partOf := range map[string]string{"kubernaut-viewer": "view", "kubernaut-operator": "edit", "kubernaut-admin": "admin", "kubernaut-approver": "", "kubernaut-policy-author": ""} {
			var object rbacv1.ClusterRole
			Expect(admin.Get(ctx, client.ObjectKey{Name: role}, &object)).To(Succeed())
			const label = "rbac.authorization.k8s.io/aggregate-to-"
			for _, whole := range []string{"view", "edit", "admin"} {
				if whole == partOf {
					Expect(object.Labels).To(HaveKeyWithValue(label+whole, "true"), role)
				} else {
					Expect(object.Labels).NotTo(HaveKey(label+whole), role)
				}
			}
		}
	})

	It("let an operator file a request and cancel it, without a right on its target", func(ctx SpecContext) {
		operator := clients["kubernaut-operator"]
		r := request("r-", func(r *remediationv1.RemediationRequest) {
			r.Namespace, r.Spec.Target.Namespace = peopleNamespace, peopleNamespace
		})
		Expect(operator.Create(ctx, r)).To(Succeed())
		before := client.MergeFrom(r.DeepCopy())
		r.Spec.Cancel = new(true)
		Expect(operator.Patch(ctx, r, before)).To(Succeed())
		Expect(apierrors.IsForbidden(operator.Delete(ctx, r))).To(BeTrue())
		Expect(clients["kubernaut-viewer"].Get(ctx, client.ObjectKeyFromObject(r), r)).To(Succeed())
		Expect(clients["kubernaut-admin"].Delete(ctx, r)).To(Succeed())

		node := request("r-", func(r *remediationv1.RemediationRequest) {
			r.Namespace, r.Spec.Target = peopleNamespace, shared.Target{APIVersion: "v1", Kind: "Node", Name: "worker"}
		})
		Expect(operator.Create(ctx, node)).To(MatchError(ContainSubstring("may not remediate nodes worker")))
		w := workflow("w-", func(w *workflowexecutionv1.WorkflowExecution) { w.Namespace = peopleNamespace }, scaleIn("a", peopleNamespace))
		Expect(operator.Create(ctx, w)).To(MatchError(ContainSubstring("may not patch deployments.apps cart in namespace people")))
	})

	It("let an approver decide where they are bound, and an operator nowhere", func(ctx SpecContext) {
		approver := clients["kubernaut-approver"]
		decide := func(c client.Client) error {
			r := &safetyv1alpha1.ApprovalRequest{ObjectMeta: metav1.ObjectMeta{Namespace: workNamespace, Name: openRequest}}
			patch := client.RawPatch(types.JSONPatchType, []byte(`[{"op":"add","path":"/spec/decisions","value":[{"decision":"Approved","reason":"fine"}]}]`))
			return c.Patch(ctx, r, patch, client.DryRunAll)
		}
		Expect(apierrors.IsForbidden(decide(approver))).To(BeTrue(), "the request is in another namespace")
		for role := range people() {
			Expect(admin.Create(ctx, &rbacv1.RoleBinding{
				ObjectMeta: metav1.ObjectMeta{Name: role, Namespace: workNamespace},
				RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
				Subjects:   []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: "with-" + role}},
			})).To(Succeed())
		}
		Eventually(decide).WithArguments(approver).WithTimeout(readyTimeout).WithPolling(pollInterval).Should(Succeed())
		for _, role := range []string{"kubernaut-viewer", "kubernaut-operator", "kubernaut-admin", "kubernaut-policy-author"} {
			Expect(apierrors.IsForbidden(decide(clients[role]))).To(BeTrue(), role)
		}
	})
})

func writesOf(resources ...string) []string {
	var all []string
	for _, resource := range resources {
		for _, verb := range []string{"create", "delete", "patch", "update"} {
			all = append(all, verb+" "+resource)
		}
	}
	return all
}

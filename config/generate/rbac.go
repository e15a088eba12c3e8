package main

import (
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"kubernaut.io/kubernaut/api/shared"
	"kubernaut.io/kubernaut/controllers/identity"
	"kubernaut.io/kubernaut/controllers/kubernetesexecution/actions"
	"kubernaut.io/kubernaut/webhooks"
	"kubernaut.io/kubernaut/webhooks/statusguard"
)

func read() []string  { return []string{"get", "list", "watch"} }
func tells() []string { return []string{"create", "patch"} }

// accounts are all ServiceAccounts of the operator.
func accounts() []string {
	all := append([]string{identity.Manager}, identity.Controllers()...)
	return append(all, actionAccounts()...)
}

func actionAccounts() []string {
	types := shared.ActionTypes()
	names := make([]string, 0, len(types))
	for _, action := range types {
		names = append(names, identity.Action(action))
	}
	return names
}

// managerRoles are what the process needs beside what its controllers may do under their own identities: it reads what caches
// hold, obtains the controllers' tokens, and serves the webhooks.
func managerRoles() []any {
	var rules []rbacv1.PolicyRule
	for _, row := range statusguard.Rows() {
		rules = append(rules, rbacv1.PolicyRule{APIGroups: []string{row.Group}, Resources: []string{row.Resource}, Verbs: read()})
	}
	rules = append(rules,
		rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"namespaces", "nodes", "pods"}, Verbs: read()},
		rbacv1.PolicyRule{APIGroups: []string{"apps"}, Resources: []string{"daemonsets", "deployments", "replicasets", "statefulsets"}, Verbs: read()},
		rbacv1.PolicyRule{APIGroups: []string{"autoscaling"}, Resources: []string{"horizontalpodautoscalers"}, Verbs: read()},
		rbacv1.PolicyRule{APIGroups: []string{"policy"}, Resources: []string{"poddisruptionbudgets"}, Verbs: read()},
		rbacv1.PolicyRule{APIGroups: []string{"events.k8s.io"}, Resources: []string{"events"}, Verbs: tells()},
		rbacv1.PolicyRule{APIGroups: []string{"authentication.k8s.io"}, Resources: []string{"tokenreviews"}, Verbs: []string{"create"}},
		rbacv1.PolicyRule{APIGroups: []string{"authorization.k8s.io"}, Resources: []string{"subjectaccessreviews"}, Verbs: []string{"create"}},
	)
	configurations := []string{"mutatingwebhookconfigurations", "validatingwebhookconfigurations"}
	rules = append(rules,
		rbacv1.PolicyRule{APIGroups: []string{"admissionregistration.k8s.io"}, Resources: configurations, Verbs: read()},
		rbacv1.PolicyRule{
			APIGroups: []string{"admissionregistration.k8s.io"}, Resources: configurations,
			ResourceNames: []string{webhooks.ConfigurationName}, Verbs: []string{"update"},
		},
	)
	local := []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"serviceaccounts/token"}, ResourceNames: identity.Controllers(), Verbs: []string{"create"}},
		// The certificate of the webhooks. A list or watch needs the field selector metadata.name.
		{APIGroups: []string{""}, Resources: []string{"secrets"}, ResourceNames: []string{webhooks.SecretName}, Verbs: []string{"get", "list", "watch", "update"}},
		// Leader election, which reports through core events; and who holds which lock, which the cache has.
		{APIGroups: []string{"coordination.k8s.io"}, Resources: []string{"leases"}, Verbs: []string{"get", "list", "watch", "create", "update"}},
		{APIGroups: []string{""}, Resources: []string{"events"}, Verbs: tells()},
	}
	return []any{clusterRole(identity.Manager, rules), localRole(identity.Manager, local)}
}

// certManagerRoles let the manager see why cert-manager does not provide the certificate. Only an installation with cert-manager has
// them.
func certManagerRoles() []any {
	const name = identity.Manager + "-certificates"
	group := []string{"cert-manager.io"}
	local := []rbacv1.PolicyRule{
		{APIGroups: group, Resources: []string{"certificates"}, ResourceNames: []string{webhooks.CertificateName}, Verbs: []string{"get"}},
		// The administrator chooses the issuer of the Certificate.
		{APIGroups: group, Resources: []string{"issuers"}, Verbs: []string{"get"}},
	}
	cluster := []rbacv1.PolicyRule{{APIGroups: group, Resources: []string{"clusterissuers"}, Verbs: []string{"get"}}}
	return []any{
		clusterRole(name, cluster), localRole(name, local),
		binding(role{name: name}, identity.Manager), binding(role{namespace: namespace, name: name}, identity.Manager),
	}
}

func serviceAccount(name string) *corev1.ServiceAccount {
	return &corev1.ServiceAccount{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "ServiceAccount"},
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace},
		// Tokens are requested, never mounted: only the manager runs in a pod, and its Deployment asks for its own.
		AutomountServiceAccountToken: new(false),
	}
}

func clusterRole(name string, rules []rbacv1.PolicyRule) *rbacv1.ClusterRole {
	return &rbacv1.ClusterRole{
		TypeMeta:   metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: "ClusterRole"},
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Rules:      rules,
	}
}

func localRole(name string, rules []rbacv1.PolicyRule) *rbacv1.Role {
	return &rbacv1.Role{
		TypeMeta:   metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: "Role"},
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace},
		Rules:      rules,
	}
}

// binding gives the role to the account, in the namespace of the role if it has one.
func binding(to role, account string) any {
	subjects := []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: account, Namespace: namespace}}
	if to.namespace == "" {
		return &rbacv1.ClusterRoleBinding{
			TypeMeta:   metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: "ClusterRoleBinding"},
			ObjectMeta: metav1.ObjectMeta{Name: to.name},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: to.name},
			Subjects:   subjects,
		}
	}
	return &rbacv1.RoleBinding{
		TypeMeta:   metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: "RoleBinding"},
		ObjectMeta: metav1.ObjectMeta{Name: to.name, Namespace: to.namespace},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: to.name},
		Subjects:   subjects,
	}
}

// actionRoles are a role for each action, with exactly what its mutation writes and reads.
func actionRoles() []any {
	var objects []any
	for _, action := range actions.All() {
		objects = append(objects, clusterRole(identity.Action(action.Type()), actions.PolicyRules(action)))
	}
	return objects
}

package main

import (
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"

	safetyv1alpha1 "kubernaut.io/kubernaut/api/safety/v1alpha1"
	"kubernaut.io/kubernaut/controllers/rights"
	"kubernaut.io/kubernaut/webhooks/statusguard"
)

// aggregateTo is the label by which a role becomes part of one that every cluster has.
const aggregateTo = "rbac.authorization.k8s.io/aggregate-to-"

// The roles for people, and which role of every cluster each becomes part of. None of them is bound to anybody by the manifests.
//
// What editing includes is bounded by admission: who may not change a target cannot have a workflow change it. Approving and writing
// policies are part of nothing: they are for those to whom somebody gives them.
const (
	roleViewer       = "kubernaut-viewer"
	roleOperator     = "kubernaut-operator"
	roleAdmin        = "kubernaut-admin"
	roleApprover     = "kubernaut-approver"
	rolePolicyAuthor = "kubernaut-policy-author"
)

func peopleRoles() []any {
	var all []rbacv1.PolicyRule
	for _, row := range statusguard.Rows() {
		all = append(all, rbacv1.PolicyRule{APIGroups: []string{row.Group}, Resources: []string{row.Resource}, Verbs: read()})
	}
	return []any{
		personRole(roleViewer, "view", all),
		personRole(roleOperator, "edit", slices.Concat(all, onRequested("create", "patch", "update"), remediates())),
		personRole(roleAdmin, "admin", slices.Concat(all, onRequested("create", "delete", "deletecollection", "patch", "update"), remediates())),
		personRole(roleApprover, "", append(slices.Clone(all), rbacv1.PolicyRule{
			APIGroups: []string{safetyv1alpha1.GroupVersion.Group}, Resources: []string{"approvalrequests"}, Verbs: []string{rights.VerbApprove, "patch", "update"},
		})),
		personRole(rolePolicyAuthor, "", append(slices.Clone(all), onCluster("create", "delete", "patch", "update")...)),
	}
}

func personRole(name, partOf string, rules []rbacv1.PolicyRule) *rbacv1.ClusterRole {
	role := clusterRole(name, rules)
	if partOf != "" {
		role.Labels = map[string]string{aggregateTo + partOf: "true"}
	}
	return role
}

// onRequested is about the kinds that people create: requests, and workflows by hand.
func onRequested(verbs ...string) []rbacv1.PolicyRule {
	var rules []rbacv1.PolicyRule
	for _, row := range statusguard.Rows() {
		if row.Requested {
			rules = append(rules, rbacv1.PolicyRule{APIGroups: []string{row.Group}, Resources: []string{row.Resource}, Verbs: verbs})
		}
	}
	return rules
}

// onCluster is about the kinds that the whole cluster lives by: policies and playbooks.
func onCluster(verbs ...string) []rbacv1.PolicyRule {
	var rules []rbacv1.PolicyRule
	for _, row := range statusguard.Rows() {
		if !row.Requested && row.Creator == "" {
			rules = append(rules, rbacv1.PolicyRule{APIGroups: []string{row.Group}, Resources: []string{row.Resource}, Verbs: verbs})
		}
	}
	return rules
}

// remediates lets have repaired what who edits a namespace may change anyway. Nodes are not among it: a binding of edit for the whole
// cluster must not lead to them.
func remediates() []rbacv1.PolicyRule {
	verb := []string{rights.VerbRemediate}
	return []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: verb},
		{APIGroups: []string{"apps"}, Resources: []string{"daemonsets", "deployments", "statefulsets"}, Verbs: verb},
	}
}

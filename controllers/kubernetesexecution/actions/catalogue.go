package actions

import (
	"cmp"
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"

	"kubernaut.io/kubernaut/api/shared"
)

// All is the catalogue, in the order in which people read it.
func All() []Action {
	return []Action{
		scaleDeployment{},
		restartDeployment{},
		restartPod{},
		rollbackDeployment{},
		increaseResources{},
		updateImage{},
		cordonNode{},
		uncordonNode{},
		notifyOnly{},
	}
}

// Get is the action of a type. Names are exact.
func Get(actionType shared.ActionType) (Action, bool) {
	for _, action := range All() {
		if action.Type() == actionType {
			return action, true
		}
	}
	return nil, false
}

// PolicyRules is what the account of an action is allowed: what the action writes and reads with, and nothing else. One rule
// for each resource, sorted, so that what is generated from it does not change by itself.
func PolicyRules(action Action) []rbacv1.PolicyRule {
	type resource struct{ group, name string }
	verbs := map[resource][]string{}
	for _, permission := range slices.Concat(action.Writes(), action.Reads()) {
		key := resource{permission.Group, permission.Resource}
		if permission.Subresource != "" {
			key.name += "/" + permission.Subresource
		}
		verbs[key] = append(verbs[key], permission.Verbs...)
	}
	rules := make([]rbacv1.PolicyRule, 0, len(verbs))
	for key, list := range verbs {
		slices.Sort(list)
		rules = append(rules, rbacv1.PolicyRule{
			APIGroups: []string{key.group}, Resources: []string{key.name}, Verbs: slices.Compact(list),
		})
	}
	slices.SortFunc(rules, func(a, b rbacv1.PolicyRule) int {
		return cmp.Or(cmp.Compare(a.APIGroups[0], b.APIGroups[0]), cmp.Compare(a.Resources[0], b.Resources[0]))
	})
	return rules
}

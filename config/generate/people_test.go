package main

import (
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
)

// What becomes part of a role that every cluster has, is given to people without anybody thinking of us: neither approving nor what the
// whole cluster lives by may be in it. test/admission says of each role all that it allows.
func TestWhatIsAggregatedIsHarmless(t *testing.T) {
	aggregated := 0
	for _, object := range peopleRoles() {
		role, is := object.(*rbacv1.ClusterRole)
		if !is {
			t.Fatalf("%T is no role", object)
		}
		if len(role.Labels) > 0 {
			aggregated++
		}
		for _, rule := range role.Rules {
			if slices.ContainsFunc(slices.Concat(rule.APIGroups, rule.Resources, rule.Verbs), func(s string) bool { return strings.ContainsAny(s, "*/") }) {
				t.Errorf("%s has a wildcard or a subresource: %v", role.Name, rule)
			}
			if len(role.Labels) == 0 || slices.Equal(rule.Verbs, read()) {
				continue
			}
			allowed := []string{"remediationrequests", "workflowexecutions"}
			if slices.Equal(rule.Verbs, []string{"remediate"}) {
				allowed = []string{"pods", "daemonsets", "deployments", "statefulsets"}
			}
			for _, resource := range rule.Resources {
				if !slices.Contains(allowed, resource) {
					t.Errorf("%s is part of other roles and allows %v %s", role.Name, rule.Verbs, resource)
				}
			}
		}
	}
	if aggregated != 3 {
		t.Errorf("%d roles are part of others, want view, edit and admin to have one each", aggregated)
	}
}

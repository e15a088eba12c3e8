package cluster

import (
	"context"
	"net/http"
)

const rbacPath = "/apis/rbac.authorization.k8s.io/v1/"

// allowKWOK grants what a kubelet writes, and no more.
func (a *api) allowKWOK(ctx context.Context) error {
	// The binding is created last: where it is, the role is.
	err := a.get(ctx, rbacPath+"clusterrolebindings/"+kwokUser, nil)
	if !hasCode(err, http.StatusNotFound) {
		return err
	}
	if err := a.createOnce(ctx, rbacPath+"clusterroles", kwokRole()); err != nil {
		return err
	}
	return a.createOnce(ctx, rbacPath+"clusterrolebindings", kwokBinding())
}

func kwokRole() object {
	rule := func(group string, resources []string, verbs ...string) object {
		return object{"apiGroups": []string{group}, "resources": resources, "verbs": verbs}
	}
	return object{
		"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": object{"name": kwokUser},
		"rules": []object{
			rule("", []string{"nodes"}, "get", "list", "watch"),
			rule("", []string{"pods"}, "get", "list", "watch", "delete", "patch", "update"),
			rule("", []string{"nodes/status", "pods/status"}, "patch", "update"),
			rule("", []string{"events"}, "create", "patch", "update"),
			rule("events.k8s.io", []string{"events"}, "create", "patch", "update"),
			rule("coordination.k8s.io", []string{"leases"}, "get", "list", "watch", "create", "patch", "update"),
		},
	}
}

func kwokBinding() object {
	return object{
		"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": object{"name": kwokUser},
		"roleRef":  object{"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": kwokUser},
		"subjects": []object{{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": kwokUser}},
	}
}

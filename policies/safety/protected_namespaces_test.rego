package kubernaut.safety.protected_namespaces_test

import data.kubernaut.safety.protected_namespaces as policy

deployment := {
	"step": {"action": {"type": "scale-deployment"}},
	"target": {"apiVersion": "apps/v1", "kind": "Deployment", "namespace": "shop", "name": "cart"},
}

in_namespace(namespace) := object.union(deployment, {"target": {"namespace": namespace}})

node := {
	"step": {"action": {"type": "cordon-node"}},
	"target": {"apiVersion": "v1", "kind": "Node", "namespace": null, "name": "worker-1"},
}

notification := {
	"step": {"action": {"type": "notify-only"}},
	"target": {"apiVersion": null, "kind": null, "namespace": null, "name": null},
}

messages := {result.msg | some result in policy.deny; result.code == "protected_namespace"}

unknown := "a target whose namespace is unknown may not be changed by a workflow"

test_other_namespaces_are_permitted if {
	count(policy.deny) == 0 with input as deployment
}

test_each_default_namespace_is_denied if {
	protected := ["kube-system", "kube-public", "kube-node-lease", "kubernaut-system"]
	every namespace in protected {
		msg := sprintf("namespace %v may not be changed by a workflow", [namespace])
		messages == {msg} with input as in_namespace(namespace)
	}
}

test_another_list_replaces_the_default if {
	other := {"namespaces": ["shop"]}
	count(policy.deny) == 1 with input as deployment with data.kubernaut.parameters.protected_namespaces as other
	count(policy.deny) == 0 with input as in_namespace("kube-system")
		with data.kubernaut.parameters.protected_namespaces as other
}

test_a_missing_namespace_is_denied if {
	messages == {unknown} with input as json.remove(deployment, ["target/namespace"])
}

test_a_null_namespace_is_denied if {
	messages == {unknown} with input as in_namespace(null)
}

test_an_empty_namespace_is_denied if {
	messages == {unknown} with input as in_namespace("")
}

test_a_missing_target_is_denied if {
	messages == {unknown} with input as {"step": {"action": {"type": "scale-deployment"}}}
}

test_an_empty_input_is_denied if {
	messages == {unknown} with input as {}
}

test_missing_parameters_deny if {
	count(policy.deny) == 1 with input as deployment with data.kubernaut.parameters as {}
}

test_parameters_without_the_list_deny if {
	count(policy.deny) == 1 with input as deployment
		with data.kubernaut.parameters.protected_namespaces as {}
}

test_a_list_that_is_none_denies if {
	every wrong in [null, "kube-system", {}, 1] {
		count(policy.deny) == 1 with input as deployment
			with data.kubernaut.parameters.protected_namespaces as {"namespaces": wrong}
	}
}

test_a_notification_is_permitted if {
	count(policy.deny) == 0 with input as notification
}

test_an_unknown_action_without_a_target_is_denied if {
	count(policy.deny) == 1 with input as json.remove(notification, ["step/action/type"])
	count(policy.deny) == 1 with input as object.union(notification, {"step": {"action": {"type": null}}})
}

test_a_node_is_permitted if {
	count(policy.deny) == 0 with input as node
	count(policy.deny) == 0 with input as json.remove(node, ["target/namespace"])
}

test_a_node_that_claims_a_protected_namespace_is_denied if {
	claim := {"target": {"namespace": "kube-system"}, "namespace": {"name": "kube-system"}}
	count(policy.deny) == 1 with input as object.union(node, claim)
}

test_a_kind_of_the_same_name_in_another_group_is_denied_without_a_namespace if {
	count(policy.deny) == 1 with input as object.union(node, {"target": {"apiVersion": "example.com/v1"}})
}

test_a_null_kind_without_a_namespace_is_denied if {
	count(policy.deny) == 1 with input as object.union(node, {"target": {"kind": null}})
}

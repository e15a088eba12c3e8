package kubernaut.safety.required_labels_test

import data.kubernaut.safety.required_labels as policy

target(labels) := {
	"step": {"action": {"type": "scale-deployment"}},
	"target": {"kind": "Deployment", "name": "cart", "object": {"metadata": {"labels": labels}}},
}

required := [{"key": "owner", "value": "[a-z]+"}, {"key": "tier", "value": ".+"}]

asked if {
	count(policy.require_approval) == 1 with data.kubernaut.parameters.required_labels.labels as required
}

silent if count(policy.require_approval) == 0 with data.kubernaut.parameters.required_labels.labels as required

test_all_labels_are_there if silent with input as target({"owner": "shop", "tier": "1", "more": "x"})

test_a_label_is_missing if {
	asked with input as target({"owner": "shop"})
	asked with input as target({})
}

test_a_value_does_not_fit if {
	asked with input as target({"owner": "Shop-7", "tier": "1"})
	asked with input as target({"owner": "shop", "tier": ""})
}

test_an_action_without_a_target_is_let_go if {
	silent with input as {"step": {"action": {"type": "notify-only"}}, "target": {"kind": null}}
}

test_what_is_unknown_is_asked_about if {
	asked with input as json.remove(target({"owner": "shop", "tier": "1"}), ["target/object"])
	asked with input as object.union(target({}), {"target": {"object": null}})
	asked with input as {"step": {"action": {"type": "scale-deployment"}}, "target": {"kind": null}}
	asked with input as {"step": {"action": {"type": "notify-only"}}, "target": {}}
	count(policy.require_approval) == 1 with input as target({"owner": "shop", "tier": "1"})
		with data.kubernaut.parameters.required_labels as {}
}

package kubernaut.safety.namespace_workflows_test

import data.kubernaut.safety.namespace_workflows as policy

step(active) := {
	"stage": "plan",
	"step": {"action": {"type": "scale-deployment"}},
	"target": {"apiVersion": "apps/v1", "kind": "Deployment", "namespace": "shop"},
	"cluster": {"activeWorkflows": active},
}

node := {
	"step": {"action": {"type": "cordon-node"}},
	"target": {"apiVersion": "v1", "kind": "Node", "namespace": null},
}

permitted if count(policy.deny) == 0

denied(running, place) if {
	msg := sprintf("%v workflows are already active in %v; start it again when some have ended", [running, place])
	policy.deny == {{"code": "too_many_workflows", "msg": msg}}
}

unknown := "an unknown number of"

nowhere := "a namespace that is unknown"

test_fewer_than_the_maximum_are_permitted if {
	permitted with input as step({})
	permitted with input as step({"shop": 999})
	permitted with input as step({"shop": 1, "bank": 1000})
}

test_as_many_as_the_maximum_are_denied if {
	denied(1000, "namespace shop") with input as step({"shop": 1000})
}

test_another_maximum_replaces_the_default if {
	denied(1, "namespace shop") with input as step({"shop": 1})
		with data.kubernaut.parameters.namespace_workflows.maximum as 1
}

test_a_missing_number_is_denied if {
	denied(unknown, "namespace shop") with input as json.remove(step({}), ["cluster/activeWorkflows"])
	denied(unknown, "namespace shop") with input as json.remove(step({}), ["cluster"])
}

test_a_null_number_is_denied if {
	denied(unknown, "namespace shop") with input as step(null)
	count(policy.deny) == 1 with input as step({"shop": null})
	count(policy.deny) == 1 with input as step({"shop": "1"})
}

test_a_missing_namespace_is_denied if {
	denied(unknown, nowhere) with input as json.remove(step({}), ["target/namespace"])
	denied(unknown, nowhere) with input as json.remove(step({}), ["target"])
	denied(unknown, nowhere) with input as {}
}

test_a_null_namespace_is_denied if {
	denied(unknown, nowhere) with input as object.union(step({}), {"target": {"namespace": null}})
}

test_missing_parameters_deny if {
	denied(0, "namespace shop") with input as step({}) with data.kubernaut.parameters as {}
	denied(0, "namespace shop") with input as step({}) with data.kubernaut.parameters.namespace_workflows as {}
}

test_a_maximum_that_is_no_number_denies if {
	every wrong in [null, "1000", []] {
		denied(0, "namespace shop") with input as step({})
			with data.kubernaut.parameters.namespace_workflows as {"maximum": wrong}
	}
}

test_a_notification_is_permitted if {
	permitted with input as {"step": {"action": {"type": "notify-only"}}, "target": {"namespace": null}}
}

test_a_missing_or_null_action_is_judged if {
	denied(1000, "namespace shop") with input as json.remove(step({"shop": 1000}), ["step"])
	denied(1000, "namespace shop") with input as object.union(step({"shop": 1000}), {"step": {"action": {"type": null}}})
}

test_a_workflow_that_runs_is_permitted if {
	permitted with input as object.union(step({"shop": 1000}), {"stage": "step"})
}

test_a_missing_or_null_stage_is_judged if {
	denied(1000, "namespace shop") with input as json.remove(step({"shop": 1000}), ["stage"])
	denied(1000, "namespace shop") with input as object.union(step({"shop": 1000}), {"stage": null})
}

test_a_node_is_in_no_namespace if {
	permitted with input as node
	permitted with input as json.remove(node, ["target/namespace"])
}

test_a_kind_of_the_same_name_in_another_group_is_denied_without_a_namespace if {
	count(policy.deny) == 1 with input as object.union(node, {"target": {"apiVersion": "example.com/v1"}})
	count(policy.deny) == 1 with input as object.union(node, {"target": {"kind": null}})
}

package kubernaut.safety.nodes_test

import data.kubernaut.safety.nodes as policy

step(action, ready, schedulable) := {
	"step": {"action": {"type": action}},
	"target": {"object": node(false, "True")},
	"cluster": {"nodes": {"ready": ready, "schedulable": schedulable}},
}

cordon(schedulable) := step("cordon-node", 9, schedulable)

drain(ready) := step("drain-node", ready, 9)

node(unschedulable, ready) := {
	"spec": {"unschedulable": unschedulable},
	"status": {"conditions": [{"type": "MemoryPressure", "status": "False"}, {"type": "Ready", "status": ready}]},
}

# of is a step on another node.
of(input_document, object) := json.patch(input_document, [{"op": "replace", "path": "/target/object", "value": object}])

permitted if count(policy.deny) == 0

denied(code) if {
	count(policy.deny) == 1
	some result in policy.deny
	result.code == code
}

test_a_node_of_several_may_be_cordoned if {
	permitted with input as cordon(2)
	permitted with input as of(cordon(2), {"spec": {}, "status": {}})
}

test_the_last_one_is_not_cordoned if {
	denied("last_schedulable_node") with input as cordon(1)
	denied("last_schedulable_node") with input as cordon(0)
}

test_the_message_says_how_many_are_left if {
	msg := "only 0 ready nodes would be left that take new pods, and there must be 1"
	policy.deny == {{"code": "last_schedulable_node", "msg": msg}} with input as cordon(1)
}

test_a_node_that_takes_no_pods_anyway_is_not_counted if {
	every status in ["False", "Unknown"] {
		permitted with input as of(cordon(1), node(false, status))
		denied("last_schedulable_node") with input as of(cordon(0), node(false, status))
	}
}

test_a_cordoned_node_may_be_cordoned if {
	permitted with input as of(cordon(0), node(true, "True"))
	permitted with input as json.remove(of(cordon(0), node(true, "True")), ["cluster"])
}

test_a_cordoned_node_may_be_drained_when_others_are_open if {
	permitted with input as of(step("drain-node", 3, 1), node(true, "True"))
	denied("last_schedulable_node") with input as of(step("drain-node", 3, 0), node(true, "True"))
}

test_a_drain_needs_three_nodes if {
	permitted with input as drain(3)
	denied("too_few_nodes_to_drain") with input as drain(2)
	msg := "a drain needs 3 ready nodes, and there are 2"
	policy.deny == {{"code": "too_few_nodes_to_drain", "msg": msg}} with input as drain(2)
}

test_the_last_one_is_not_drained if {
	denied("last_schedulable_node") with input as step("drain-node", 3, 1)
}

test_other_actions_are_permitted if {
	every action in ["uncordon-node", "scale-deployment", "restart-pod"] {
		permitted with input as {"step": {"action": {"type": action}}}
	}
}

test_an_unknown_action_is_denied if {
	every document in [{}, {"step": {"action": {"type": null}}}] {
		count(policy.deny) == 2 with input as document
	}
}

test_missing_numbers_are_denied if {
	denied("last_schedulable_node") with input as json.remove(cordon(9), ["cluster/nodes/schedulable"])
	denied("last_schedulable_node") with input as json.remove(cordon(9), ["cluster"])
	denied("too_few_nodes_to_drain") with input as json.remove(drain(9), ["cluster/nodes/ready"])
	msg := "only an unknown number of ready nodes would be left that take new pods, and there must be 1"
	policy.deny == {{"code": "last_schedulable_node", "msg": msg}} with input as json.remove(cordon(9), ["cluster"])
}

test_null_numbers_are_denied if {
	denied("last_schedulable_node") with input as cordon(null)
	denied("too_few_nodes_to_drain") with input as drain(null)
}

test_a_node_of_which_nothing_is_known_counts_as_open if {
	every path in ["target", "target/object", "target/object/spec", "target/object/status"] {
		denied("last_schedulable_node") with input as json.remove(cordon(1), [path])
	}
	denied("last_schedulable_node") with input as of(cordon(1), null)
}

test_the_minimum_can_be_higher if {
	three := {"nodes": {"minimumSchedulable": 3, "minimumForDrain": 5}}
	permitted with input as cordon(4) with data.kubernaut.parameters as three
	denied("last_schedulable_node") with input as cordon(3) with data.kubernaut.parameters as three
	denied("too_few_nodes_to_drain") with input as drain(4) with data.kubernaut.parameters as three
}

test_missing_parameters_are_denied if {
	every parameters in [{}, {"nodes": {}}, {"nodes": {"minimumSchedulable": null, "minimumForDrain": null}}] {
		denied("last_schedulable_node") with input as cordon(9) with data.kubernaut.parameters as parameters
		count(policy.deny) == 2 with input as drain(9) with data.kubernaut.parameters as parameters
	}
}

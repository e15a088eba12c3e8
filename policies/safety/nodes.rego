# METADATA
# title: Nodes
# description: >-
#   Enough nodes stay open for new pods: the last one is never closed, and a small cluster is not drained. The nodes are counted live,
#   while no other workflow may open or close one.
# custom:
#   enforcement: Enforce
#   stages: [plan, step]
#   parameters:
#     minimumSchedulable: The fewest nodes that must be left ready and open for new pods when one is closed.
#     minimumForDrain: The fewest ready nodes with which one of them may be drained.
package kubernaut.safety.nodes

# METADATA
# title: Closing a node for new pods when fewer than minimumSchedulable others are ready and open.
# custom:
#   example: Two of three nodes are cordoned already, and a step cordons the third.
deny contains {"code": "last_schedulable_node", "msg": msg} if {
	not leaves_nodes_open
	not is_closed_already
	not leaves_enough
	msg := sprintf("only %v ready nodes would be left that take new pods, and there must be %v", [left, least])
}

# METADATA
# title: Draining a node when fewer than minimumForDrain are ready.
# custom:
#   example: A cluster has two nodes, and a step drains one of them.
deny contains {"code": "too_few_nodes_to_drain", "msg": msg} if {
	not is_no_drain
	not has_enough
	msg := sprintf("a drain needs %v ready nodes, and there are %v", [least_for_drain, there])
}

leaves_nodes_open if {
	action := input.step.action.type
	is_string(action)
	not action in closing
}

closing := {"cordon-node", "drain-node"}

is_no_drain if {
	action := input.step.action.type
	is_string(action)
	action != "drain-node"
}

# Cordoning a node that is cordoned changes nothing.
is_closed_already if {
	input.step.action.type == "cordon-node"
	input.target.object.spec.unschedulable == true
}

leaves_enough if {
	minimum := data.kubernaut.parameters.nodes.minimumSchedulable
	is_number(minimum)
	is_number(left)
	left >= minimum
}

has_enough if {
	minimum := data.kubernaut.parameters.nodes.minimumForDrain
	is_number(minimum)
	is_number(there)
	there >= minimum
}

default left := "an unknown number of"

# A node counts as open unless it is known not to be.
left := schedulable - 1 if {
	schedulable := input.cluster.nodes.schedulable
	is_number(schedulable)
	not is_not_among_them
}

left := schedulable if {
	schedulable := input.cluster.nodes.schedulable
	is_number(schedulable)
	is_not_among_them
}

is_not_among_them if input.target.object.spec.unschedulable == true

is_not_among_them if {
	some condition in input.target.object.status.conditions
	condition.type == "Ready"
	condition.status in {"False", "Unknown"}
}

default there := "an unknown number"

there := ready if {
	ready := input.cluster.nodes.ready
	is_number(ready)
}

default least := "a number that is unknown"

least := minimum if {
	minimum := data.kubernaut.parameters.nodes.minimumSchedulable
	is_number(minimum)
}

default least_for_drain := "an unknown number of"

least_for_drain := minimum if {
	minimum := data.kubernaut.parameters.nodes.minimumForDrain
	is_number(minimum)
}

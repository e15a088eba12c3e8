# METADATA
# title: Workflows of a namespace
# description: >-
#   Only so many workflows change things in one namespace at the same time. Best effort: workflows that are planned at the same moment
#   do not see each other.
# custom:
#   enforcement: Enforce
#   stages: [plan]
#   parameters:
#     maximum: The largest number of active workflows with a target in one namespace.
package kubernaut.safety.namespace_workflows

# METADATA
# title: Starting a workflow in a namespace in which as many as maximum are active.
# custom:
#   example: 1000 workflows are running in the namespace shop, and another one is started.
deny contains {"code": "too_many_workflows", "msg": msg} if {
	not is_permitted
	msg := sprintf("%v workflows are already active in %v; start it again when some have ended", [running, place])
}

# It changes nothing in the cluster, so it has no target.
is_permitted if input.step.action.type == "notify-only"

# One that runs is not stopped half-way.
is_permitted if input.stage == "step"

is_permitted if {
	maximum := data.kubernaut.parameters.namespace_workflows.maximum
	is_number(maximum)
	is_number(running)
	running < maximum
}

# Only a kind that is known to have no namespace may come without one.
is_permitted if {
	not has_namespace
	kind := [input.target.apiVersion, input.target.kind]
	kind in cluster_scoped
}

has_namespace if is_string(input.target.namespace)

cluster_scoped := {["v1", "Node"]}

default running := "an unknown number of"

running := active if {
	namespace := input.target.namespace
	is_string(namespace)
	active_by_namespace := input.cluster.activeWorkflows
	is_object(active_by_namespace)
	active := object.get(active_by_namespace, namespace, 0)
}

default place := "a namespace that is unknown"

place := sprintf("namespace %v", [namespace]) if {
	namespace := input.target.namespace
	is_string(namespace)
}

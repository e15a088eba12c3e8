# METADATA
# title: Protected namespaces
# description: Control-plane namespaces are repaired by people.
# custom:
#   enforcement: Enforce
#   stages: [plan, step]
#   parameters:
#     namespaces: The namespaces in which no workflow changes anything.
package kubernaut.safety.protected_namespaces

# METADATA
# title: Changing anything in a protected namespace, or in one that is not known.
# custom:
#   example: A step scales a Deployment in kube-system.
deny contains {"code": "protected_namespace", "msg": msg} if {
	not is_permitted
	msg := sprintf("%v may not be changed by a workflow", [place])
}

is_permitted if {
	namespace := input.target.namespace
	is_string(namespace)
	namespace != ""
	protected := data.kubernaut.parameters.protected_namespaces.namespaces
	is_array(protected)
	not namespace in protected
}

# It changes nothing in the cluster, so it has no target.
is_permitted if input.step.action.type == "notify-only"

# Only a kind that is known to have no namespace may come without one: a namespace that is merely unknown denies.
is_permitted if {
	not has_namespace
	kind := [input.target.apiVersion, input.target.kind]
	kind in cluster_scoped
}

has_namespace if {
	some name in [object.get(input, ["target", "namespace"], null), object.get(input, ["namespace", "name"], null)]
	is_string(name)
}

cluster_scoped := {["v1", "Node"]}

default place := "a target whose namespace is unknown"

place := sprintf("namespace %v", [namespace]) if {
	namespace := input.target.namespace
	is_string(namespace)
	namespace != ""
}

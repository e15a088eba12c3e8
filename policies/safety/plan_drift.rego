# METADATA
# title: Plan drift
# description: >-
#   A step runs on the object that its workflow was judged on, in the state that it was in then or that the workflow's own last step
#   left: not on another one of the same name, and not on one that somebody has changed since.
# custom:
#   enforcement: Enforce
#   stages: [step]
package kubernaut.safety.plan_drift

# METADATA
# title: Changing a target that is not what the workflow was judged on.
# custom:
#   example: While a workflow waits for its first step, somebody else changes the image of the Deployment, and so its generation.
deny contains {"code": "target_drifted", "msg": msg} if {
	not is_permitted
	msg := sprintf("the target is not as it was judged: expected %v, found %v", [text(expected), text(found)])
}

# It changes nothing in the cluster, so it has no target.
is_permitted if input.step.action.type == "notify-only"

# Before the workflow is judged there is nothing yet that a step could rest on.
is_permitted if input.stage == "plan"

is_permitted if {
	is_same_object
	generation := input.target.drift.expected.generation
	is_number(generation)
	input.target.drift.found.generation == generation
}

# Only a kind that is known to have no generation may come without one; a Pod has one since Kubernetes 1.33.
is_permitted if {
	is_same_object
	kind := [input.target.apiVersion, input.target.kind]
	kind in without_generation
	input.target.drift.expected.generation == null
	input.target.drift.found.generation == null
}

without_generation := {["v1", "ConfigMap"], ["v1", "Node"], ["v1", "PersistentVolumeClaim"], ["v1", "Pod"], ["v1", "Secret"]}

is_same_object if {
	uid := input.target.drift.expected.uid
	is_string(uid)
	uid != ""
	input.target.drift.found.uid == uid
}

default expected := {}

expected := input.target.drift.expected

default found := {}

found := input.target.drift.found

text(identity) := sprintf("UID %v with generation %v", [uid, generation]) if {
	uid := object.get(identity, "uid", null)
	is_string(uid)
	generation := known(object.get(identity, "generation", null))
}

text(identity) := "nothing that is known" if not is_string(object.get(identity, "uid", null))

known(generation) := generation if is_number(generation)

known(generation) := "unknown" if not is_number(generation)

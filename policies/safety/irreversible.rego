# METADATA
# title: Irreversible steps
# description: What cannot be undone needs approval.
# custom:
#   enforcement: Enforce
#   stages: [plan, step]
package kubernaut.safety.irreversible

# METADATA
# title: A step whose action cannot be undone.
# custom:
#   example: An action of which the catalogue says that it is not reversible. A restart, after which nothing is to be undone, is harmless.
require_approval contains {"code": "irreversible", "msg": msg} if {
	not is_permitted
	msg := sprintf("%v, so it cannot be made good by a rollback", [reason])
}

is_permitted if {
	reversibility := input.step.reversibility
	reversibility in {"Yes", "Harmless"}
}

default reason := "whether the step can be undone is not known"

reason := sprintf("what the action %v does cannot be undone", [action]) if {
	input.step.reversibility == "No"
	action := input.step.action.type
	is_string(action)
}

# METADATA
# title: Required labels
# description: What nobody is responsible for is repaired only after a person has agreed. Who is responsible stands in its labels.
# related_resources:
# - ref: https://open-policy-agent.github.io/gatekeeper-library/website/validation/requiredlabels
# custom:
#   enforcement: Audit
#   stages: [plan, step]
#   parameters:
#     labels: "Labels that a target must have: each with its key and a regular expression for the whole value, .+ for any."
package kubernaut.safety.required_labels

# METADATA
# title: Changing a target that lacks a label, or whose value does not fit.
# custom:
#   example: A Deployment without a label named owner is scaled.
require_approval contains {"code": "label", "msg": msg} if {
	not has_no_target
	not is_labelled
	msg := sprintf("%v lacks one of the labels that say who is responsible", [object.get(input, ["target", "name"], "the target")])
}

# An action without a target, such as notify-only, changes nothing.
has_no_target if {
	kind := input.target.kind
	kind == null
	type := input.step.action.type
	type == "notify-only"
}

is_labelled if {
	labels := input.target.object.metadata.labels
	required := data.kubernaut.parameters.required_labels.labels
	is_array(required)
	every wanted in required {
		regex.match(sprintf("^(?:%s)$", [wanted.value]), labels[wanted.key])
	}
}

# METADATA
# title: Confidence
# description: >-
#   A change that the analysis is not certain enough of needs approval. A workflow that a person starts by hand has no analysis and
#   passes.
# custom:
#   enforcement: Enforce
#   stages: [plan, step]
#   parameters:
#     minimum: The confidence of the analysis, in percent, from which on no approval is needed.
package kubernaut.safety.confidence

# METADATA
# title: A change whose cause the analysis is less certain of than minimum.
# custom:
#   example: A playbook with confidencePercent 30 scales a Deployment.
require_approval contains {"code": "low_confidence", "msg": msg} if {
	not is_permitted
	msg := sprintf("the analysis is certain of the cause to %v percent", [certainty])
}

# It changes nothing in the cluster.
is_permitted if input.step.action.type == "notify-only"

is_permitted if input.remediation.present == false

is_permitted if {
	confidence := input.remediation.confidencePercent
	minimum := data.kubernaut.parameters.confidence.minimum
	is_number(confidence)
	is_number(minimum)
	confidence >= minimum
}

default certainty := "an unknown number of"

certainty := confidence if {
	confidence := input.remediation.confidencePercent
	is_number(confidence)
}

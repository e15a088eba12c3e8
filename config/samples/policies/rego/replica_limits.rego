# METADATA
# title: Replica limits
# description: A Deployment is scaled only to a number of replicas within one of the ranges that an admin named.
# related_resources:
# - ref: https://open-policy-agent.github.io/gatekeeper-library/website/validation/replicalimits
# custom:
#   enforcement: Audit
#   stages: [plan, step]
#   match:
#     actions: [scale-deployment]
#   parameters:
#     ranges: Ranges of replicas, each with minimum and maximum.
package kubernaut.safety.replica_limits

# METADATA
# title: Scaling to a number of replicas in none of the ranges.
# custom:
#   example: 60 replicas are set, and the only range is from 2 to 50.
deny contains {"code": "replicas", "msg": msg} if {
	not is_within
	msg := sprintf("%v replicas are in none of the permitted ranges", [object.get(input, ["step", "action", "scaleDeployment", "replicas"], "an unknown number of")])
}

is_within if {
	replicas := input.step.action.scaleDeployment.replicas
	some allowed in data.kubernaut.parameters.replica_limits.ranges
	is_number(allowed.minimum)
	is_number(allowed.maximum)
	is_number(replicas)
	replicas >= allowed.minimum
	replicas <= allowed.maximum
}

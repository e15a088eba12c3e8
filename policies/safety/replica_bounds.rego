# METADATA
# title: Replica bounds
# description: A Deployment is never scaled to nothing in production, and never to many times its size at once.
# custom:
#   enforcement: Enforce
#   stages: [plan, step]
#   parameters:
#     maxFactor: By how much the number of replicas may be multiplied at once.
#     alwaysReachable: The number of replicas that is permitted however few there are now.
#     productionMinimum: The fewest replicas in a namespace labelled kubernaut.io/environment=production.
package kubernaut.safety.replica_bounds

# METADATA
# title: Scaling to fewer pods than productionMinimum in production.
# custom:
#   example: A step sets the replicas of a Deployment in a production namespace to 0.
deny contains {"code": "not_below_production_minimum", "msg": msg} if {
	not is_other_action
	not is_above_minimum
	msg := sprintf("%v replicas are permitted only where it is certain that it is not production", [wanted])
}

# METADATA
# title: Scaling to more than maxFactor times the pods that are there, and to more than alwaysReachable.
# custom:
#   example: A Deployment has 2 replicas, and a step sets 7.
deny contains {"code": "too_many_replicas", "msg": msg} if {
	not is_other_action
	not is_below_maximum
	msg := sprintf("%v replicas is too large a step from %v", [wanted, current])
}

is_other_action if {
	action := input.step.action.type
	is_string(action)
	action != "scale-deployment"
}

is_above_minimum if {
	replicas := input.step.action.scaleDeployment.replicas
	minimum := data.kubernaut.parameters.replica_bounds.productionMinimum
	is_number(replicas)
	is_number(minimum)
	replicas >= minimum
}

is_above_minimum if {
	replicas := input.step.action.scaleDeployment.replicas
	is_number(replicas)
	replicas >= 0
	is_number(data.kubernaut.parameters.replica_bounds.productionMinimum)
	is_outside_production
}

# The facts must be those of the target's own namespace, and its labels must have been read.
is_outside_production if {
	is_string(input.namespace.name)
	input.namespace.name == input.target.namespace
	labels := input.namespace.labels
	is_object(labels)
	environment := object.get(labels, "kubernaut.io/environment", "unknown")
	environment != "production"
}

is_below_maximum if {
	from := input.target.object.spec.replicas
	to := input.step.action.scaleDeployment.replicas
	factor := data.kubernaut.parameters.replica_bounds.maxFactor
	reachable := data.kubernaut.parameters.replica_bounds.alwaysReachable
	is_number(from)
	is_number(to)
	is_number(factor)
	is_number(reachable)
	to <= max([factor * from, reachable])
}

default wanted := "an unknown number of"

wanted := replicas if {
	replicas := input.step.action.scaleDeployment.replicas
	is_number(replicas)
}

default current := "an unknown number"

current := replicas if {
	replicas := input.target.object.spec.replicas
	is_number(replicas)
}

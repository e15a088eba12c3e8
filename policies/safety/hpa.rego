# METADATA
# title: Horizontal pod autoscalers
# description: >-
#   What a HorizontalPodAutoscaler scales is not scaled by a step: the autoscaler would undo it, or, at zero replicas, stop working.
# custom:
#   enforcement: Enforce
#   stages: [plan, step]
package kubernaut.safety.hpa

# METADATA
# title: Scaling a workload that a HorizontalPodAutoscaler scales.
# custom:
#   example: The HorizontalPodAutoscaler cart has the Deployment cart as its target, and a step scales that Deployment.
deny contains {"code": "scaled_by_hpa", "msg": msg} if {
	not is_other_action
	not is_permitted
	msg := sprintf("%v: change its bounds instead of the number of replicas", [scaler])
}

is_other_action if {
	action := input.step.action.type
	is_string(action)
	action != "scale-deployment"
}

is_permitted if input.target.hpa.present == false

default scaler := "whether a HorizontalPodAutoscaler scales the target is not known"

scaler := sprintf("the HorizontalPodAutoscaler %v scales the target", [name]) if {
	input.target.hpa.present == true
	name := input.target.hpa.name
	is_string(name)
}

# METADATA
# title: Pod disruption budgets
# description: >-
#   Scaling down, or restarting a pod, ends at once no more pods than every PodDisruptionBudget that selects them allows to be disrupted.
#   A pod that is not ready may be restarted as it may be evicted: when as many others are healthy as the budget wants. A rollout, which
#   the workload's own strategy paces, is not concerned.
# custom:
#   enforcement: Enforce
#   stages: [plan, step]
package kubernaut.safety.pdb

# METADATA
# title: Ending more pods at once, by scaling down or by a restart, than a PodDisruptionBudget allows to be disrupted now.
# custom:
#   example: A budget allows one disruption, and a step scales from 5 replicas to 3.
deny contains {"code": "disruption_budget", "msg": msg} if {
	not is_other_action
	not is_permitted
	msg := sprintf("the step ends %v pods at once, and they are covered by %v", [ending, cover])
}

is_other_action if {
	action := input.step.action.type
	is_string(action)
	not action in ending_actions
}

ending_actions := {"restart-pod", "scale-deployment"}

is_permitted if {
	ends := input.impact.podsAffected
	is_number(ends)
	ends == 0
}

is_permitted if {
	ends := input.impact.podsAffected
	is_number(ends)
	budgets := input.target.pdbs
	is_array(budgets)
	every budget in budgets {
		is_number(budget.disruptionsAllowed)
		ends <= budget.disruptionsAllowed
	}
}

# As Kubernetes evicts such a pod unless the budget says AlwaysAllow, which is not asked here.
is_permitted if {
	is_one_unready_pod
	budgets := input.target.pdbs
	is_array(budgets)
	every budget in budgets {
		is_number(budget.currentHealthy)
		is_number(budget.desiredHealthy)
		budget.currentHealthy >= budget.desiredHealthy
	}
}

# It serves nobody yet, or not any more, and Kubernetes does not ask the budgets about it.
is_permitted if {
	input.step.action.type == "restart-pod"
	input.target.object.status.phase in {"Pending", "Succeeded", "Failed"}
}

is_one_unready_pod if {
	input.step.action.type == "restart-pod"
	some condition in input.target.object.status.conditions
	condition.type == "Ready"
	condition.status == "False"
}

default ending := "an unknown number of"

ending := ends if {
	ends := input.impact.podsAffected
	is_number(ends)
}

default cover := "budgets that are unknown"

cover := concat(", ", texts) if {
	budgets := input.target.pdbs
	is_array(budgets)
	texts := sort([text |
		some budget in budgets
		allowed := object.get(budget, "disruptionsAllowed", null)
		text := sprintf("the PodDisruptionBudget %v, which allows %v", [budget.name, known(allowed)])
	])
	count(texts) > 0
}

known(allowed) := allowed if is_number(allowed)

known(allowed) := "an unknown number" if not is_number(allowed)

# METADATA
# title: Pod disruption budgets
# description: >-
#   Scaling down ends at once no more pods than every PodDisruptionBudget that selects them allows to be disrupted. A rollout, which
#   the Deployment's own strategy paces, is not concerned.
# custom:
#   enforcement: Enforce
#   stages: [plan, step]
package kubernaut.safety.pdb

# METADATA
# title: Scaling down ends more pods at once than a PodDisruptionBudget allows to be disrupted now.
# custom:
#   example: A budget allows one disruption, and a step scales from 5 replicas to 3.
deny contains {"code": "disruption_budget", "msg": msg} if {
	not is_other_action
	not is_permitted
	msg := sprintf("scaling ends %v pods at once, and they are covered by %v", [ending, cover])
}

is_other_action if {
	action := input.step.action.type
	is_string(action)
	action != "scale-deployment"
}

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

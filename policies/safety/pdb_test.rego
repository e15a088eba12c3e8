package kubernaut.safety.pdb_test

import data.kubernaut.safety.pdb as policy

scale(ends, budgets) := {
	"step": {"action": {"type": "scale-deployment"}},
	"impact": {"podsAffected": ends},
	"target": {"pdbs": budgets},
}

cart(allowed) := {"name": "cart", "disruptionsAllowed": allowed}

shop(allowed) := {"name": "shop", "disruptionsAllowed": allowed}

permitted if count(policy.deny) == 0

denied if {
	count(policy.deny) == 1
	some result in policy.deny
	result.code == "disruption_budget"
}

test_as_many_as_every_budget_allows_is_permitted if {
	permitted with input as scale(1, [cart(1), shop(2)])
	permitted with input as scale(9, [])
}

test_more_than_one_of_them_allows_is_denied if {
	denied with input as scale(2, [cart(1), shop(2)])
	denied with input as scale(1, [cart(0)])
}

test_scaling_up_ends_nothing_and_is_permitted if {
	permitted with input as scale(0, [cart(0)])
	permitted with input as scale(0, null)
}

test_the_message_names_the_budgets if {
	msg := "scaling ends 2 pods at once, and they are covered by the PodDisruptionBudget cart, which allows 1"
	policy.deny == {{"code": "disruption_budget", "msg": msg}} with input as scale(2, [cart(1)])
}

test_a_missing_number_of_pods_is_denied if {
	denied with input as json.remove(scale(1, []), ["impact/podsAffected"])
	denied with input as json.remove(scale(1, []), ["impact"])
}

test_a_null_number_of_pods_is_denied if {
	denied with input as scale(null, [])
}

test_missing_budgets_are_denied if {
	denied with input as json.remove(scale(1, []), ["target/pdbs"])
	denied with input as json.remove(scale(1, []), ["target"])
}

test_null_budgets_are_denied if {
	denied with input as scale(1, null)
	denied with input as scale(1, {})
}

test_a_budget_without_a_number_is_denied if {
	unknown := "an unknown number"
	every budget in [cart(null), {"name": "cart"}, cart("9")] {
		msg := sprintf(
			"scaling ends 1 pods at once, and they are covered by the PodDisruptionBudget cart, which allows %v",
			[unknown],
		)
		policy.deny == {{"code": "disruption_budget", "msg": msg}} with input as scale(1, [budget])
	}
}

test_nothing_known_at_all_is_denied if {
	msg := "scaling ends an unknown number of pods at once, and they are covered by budgets that are unknown"
	policy.deny == {{"code": "disruption_budget", "msg": msg}} with input as {}
}

test_a_null_action_type_is_denied if {
	denied with input as {"step": {"action": {"type": null}}}
}

test_a_rollout_is_permitted if {
	rollout := {"step": {"action": {"type": "rollback-deployment"}}}
	permitted with input as object.union(scale(4, [cart(0)]), rollout)
}

# It has none; whatever is there changes nothing.
test_missing_parameters_change_nothing if {
	permitted with input as scale(1, [cart(1)]) with data.kubernaut.parameters as {}
	denied with input as scale(2, [cart(1)]) with data.kubernaut.parameters as {}
}

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
	msg := "the step ends 2 pods at once, and they are covered by the PodDisruptionBudget cart, which allows 1"
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
			"the step ends 1 pods at once, and they are covered by the PodDisruptionBudget cart, which allows %v",
			[unknown],
		)
		policy.deny == {{"code": "disruption_budget", "msg": msg}} with input as scale(1, [budget])
	}
}

test_nothing_known_at_all_is_denied if {
	msg := "the step ends an unknown number of pods at once, and they are covered by budgets that are unknown"
	policy.deny == {{"code": "disruption_budget", "msg": msg}} with input as {}
}

test_a_null_action_type_is_denied if {
	denied with input as {"step": {"action": {"type": null}}}
}

restart(ready, budgets) := {
	"step": {"action": {"type": "restart-pod"}},
	"impact": {"podsAffected": 1},
	"target": {
		"pdbs": budgets,
		"object": {"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": ready}]}},
	},
}

healthy(current, desired) := {"name": "cart", "disruptionsAllowed": 0, "currentHealthy": current, "desiredHealthy": desired}

test_a_restart_is_permitted_as_far_as_every_budget_allows if {
	permitted with input as restart("True", [cart(1)])
	permitted with input as restart("True", [])
	denied with input as restart("True", [cart(1), shop(0)])
	denied with input as restart("True", [healthy(3, 3)])
}

test_a_pod_that_is_not_ready_may_be_restarted_when_enough_others_are if {
	permitted with input as restart("False", [healthy(3, 3)])
	denied with input as restart("False", [healthy(2, 3)])
	denied with input as restart("False", [healthy(3, 3), healthy(2, 3)])
}

test_whether_enough_are_healthy_must_be_known if {
	every budget in [healthy(null, 3), healthy(3, null), cart(0)] {
		denied with input as restart("False", [budget])
	}
	denied with input as restart("False", null)
	denied with input as json.remove(restart("False", [healthy(3, 3)]), ["target/pdbs"])
}

test_whether_it_is_ready_must_be_known if {
	every status in ["Unknown", null] {
		denied with input as restart(status, [healthy(3, 3)])
	}
	denied with input as json.remove(restart("False", [healthy(3, 3)]), ["target/object"])
}

test_a_pod_that_runs_nothing_may_be_restarted if {
	every phase in ["Pending", "Succeeded", "Failed"] {
		waiting := {"target": {"object": {"status": {"phase": phase}}}}
		permitted with input as object.union(restart("False", [healthy(0, 3)]), waiting)
	}
}

test_scaling_looks_at_no_single_pod if {
	pod := restart("False", [healthy(3, 3)])
	denied with input as json.patch(pod, [{"op": "replace", "path": "/step/action/type", "value": "scale-deployment"}])
}

test_a_rollout_is_permitted if {
	every action in ["rollback-deployment", "restart-deployment", "increase-resources"] {
		permitted with input as object.union(scale(4, [cart(0)]), {"step": {"action": {"type": action}}})
	}
}

# It has none; whatever is there changes nothing.
test_missing_parameters_change_nothing if {
	permitted with input as scale(1, [cart(1)]) with data.kubernaut.parameters as {}
	denied with input as scale(2, [cart(1)]) with data.kubernaut.parameters as {}
}

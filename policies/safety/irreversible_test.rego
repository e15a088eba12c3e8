package kubernaut.safety.irreversible_test

import data.kubernaut.safety.irreversible as policy

step(reversibility) := {"step": {"action": {"type": "expand-pvc"}, "reversibility": reversibility}}

permitted if count(policy.require_approval) == 0

approved_first(reason) if {
	msg := sprintf("%v, so it cannot be made good by a rollback", [reason])
	policy.require_approval == {{"code": "irreversible", "msg": msg}}
}

unknown := "whether the step can be undone is not known"

test_what_can_be_undone_is_permitted if {
	permitted with input as step("Yes")
}

test_what_is_harmless_is_permitted if {
	permitted with input as step("Harmless")
}

test_what_cannot_be_undone_needs_approval if {
	approved_first("what the action expand-pvc does cannot be undone") with input as step("No")
}

test_a_missing_fact_needs_approval if {
	approved_first(unknown) with input as json.remove(step("Yes"), ["step/reversibility"])
	approved_first(unknown) with input as {}
}

test_a_null_fact_needs_approval if {
	approved_first(unknown) with input as step(null)
}

test_another_word_needs_approval if {
	approved_first(unknown) with input as step("Maybe")
	approved_first(unknown) with input as step(true)
}

test_a_missing_action_is_not_named if {
	approved_first(unknown) with input as json.remove(step("No"), ["step/action"])
}

# It has none; whatever is there changes nothing.
test_missing_parameters_change_nothing if {
	permitted with input as step("Yes") with data.kubernaut.parameters as {}
	count(policy.require_approval) == 1 with input as step("No") with data.kubernaut.parameters as {}
}

package kubernaut.safety.plan_drift_test

import data.kubernaut.safety.plan_drift as policy

step(expected, found) := {
	"stage": "step",
	"step": {"action": {"type": "scale-deployment"}},
	"target": {"apiVersion": "apps/v1", "kind": "Deployment", "drift": {"expected": expected, "found": found}},
}

state(uid, generation) := {"uid": uid, "generation": generation}

permitted if count(policy.deny) == 0

denied(expected, found) if {
	msg := sprintf("the target is not as it was judged: expected %v, found %v", [expected, found])
	policy.deny == {{"code": "target_drifted", "msg": msg}}
}

judged := "UID a with generation 7"

nothing := "nothing that is known"

test_the_expected_state_is_permitted if {
	permitted with input as step(state("a", 7), state("a", 7))
}

in_a_secret(expected, found) := object.union(
	step(expected, found),
	{"target": {"apiVersion": "v1", "kind": "Secret"}},
)

test_a_kind_without_a_generation_is_permitted if {
	permitted with input as in_a_secret(state("a", null), state("a", null))
	count(policy.deny) == 1 with input as in_a_secret(state("a", null), state("b", null))
}

test_another_kind_needs_a_generation if {
	unsure := "UID a with generation unknown"
	denied(unsure, unsure) with input as step(state("a", null), state("a", null))
	denied(unsure, unsure) with input as json.remove(
		in_a_secret(state("a", null), state("a", null)),
		["target/kind"],
	)
	denied(unsure, unsure) with input as json.remove(
		in_a_secret(state("a", null), state("a", null)),
		["target/apiVersion"],
	)
}

test_another_object_is_denied if {
	denied(judged, "UID b with generation 7") with input as step(state("a", 7), state("b", 7))
}

test_another_generation_is_denied if {
	denied(judged, "UID a with generation 8") with input as step(state("a", 7), state("a", 8))
	denied("UID a with generation unknown", judged) with input as step(state("a", null), state("a", 7))
	denied(judged, "UID a with generation unknown") with input as step(state("a", 7), state("a", null))
}

test_a_missing_fact_is_denied if {
	same := step(state("a", 7), state("a", 7))
	every path in [
		"target/drift/expected/uid", "target/drift/expected/generation", "target/drift/expected",
		"target/drift/found/uid", "target/drift/found/generation", "target/drift/found", "target/drift", "target",
	] {
		count(policy.deny) == 1 with input as json.remove(same, [path])
	}
	denied(nothing, nothing) with input as {}
}

test_missing_generations_on_both_sides_are_denied if {
	denied("UID a with generation unknown", "UID a with generation unknown") with input as step({"uid": "a"}, {"uid": "a"})
}

test_null_identities_are_denied if {
	denied(nothing, nothing) with input as step(state(null, null), state(null, null))
	denied(nothing, judged) with input as step(state(null, 7), state("a", 7))
	denied(judged, nothing) with input as step(state("a", 7), state(null, 7))
}

test_empty_identities_are_denied if {
	count(policy.deny) == 1 with input as step(state("", 7), state("", 7))
}

test_a_notification_is_permitted if {
	nowhere := step(state(null, null), state(null, null))
	permitted with input as object.union(nowhere, {"step": {"action": {"type": "notify-only"}}})
}

test_before_the_judgement_everything_is_permitted if {
	permitted with input as object.union(step(state(null, null), state("a", 7)), {"stage": "plan"})
}

test_a_missing_or_null_stage_is_judged if {
	drifted := step(state("a", 7), state("a", 8))
	count(policy.deny) == 1 with input as json.remove(drifted, ["stage"])
	count(policy.deny) == 1 with input as object.union(drifted, {"stage": null})
}

test_a_missing_or_null_action_is_judged if {
	drifted := step(state("a", 7), state("a", 8))
	count(policy.deny) == 1 with input as json.remove(drifted, ["step"])
	count(policy.deny) == 1 with input as object.union(drifted, {"step": {"action": {"type": null}}})
}

# It has none; whatever is there changes nothing.
test_missing_parameters_change_nothing if {
	permitted with input as step(state("a", 7), state("a", 7)) with data.kubernaut.parameters as {}
	count(policy.deny) == 1 with input as step(state("a", 7), state("a", 8)) with data.kubernaut.parameters as {}
}

package kubernaut.safety.replica_bounds_test

import data.kubernaut.safety.replica_bounds as policy

scale(from, to) := {
	"step": {"action": {"type": "scale-deployment", "scaleDeployment": {"replicas": to}}},
	"target": {"namespace": "shop", "object": {"spec": {"replicas": from}}},
	"namespace": {"name": "shop", "labels": {"kubernaut.io/environment": "production"}},
}

in_environment(environment) := object.union(
	scale(2, 0),
	{"namespace": {"labels": {"kubernaut.io/environment": environment}}},
)

codes := {result.code | some result in policy.deny}

minimum := {"not_below_production_minimum"}

maximum := {"too_many_replicas"}

test_within_the_bounds_is_permitted if {
	codes == set() with input as scale(2, 6)
	codes == set() with input as scale(6, 1)
	codes == set() with input as scale(0, 3)
	codes == set() with input as scale(1, 3)
}

test_more_than_the_factor_is_denied if {
	codes == maximum with input as scale(2, 7)
	codes == maximum with input as scale(0, 4)
}

test_the_message_of_too_many_says_from_and_to if {
	msg := "7 replicas is too large a step from 2"
	policy.deny == {{"code": "too_many_replicas", "msg": msg}} with input as scale(2, 7)
}

test_zero_in_production_is_denied if {
	codes == minimum with input as scale(2, 0)
}

test_zero_elsewhere_is_permitted if {
	codes == set() with input as in_environment("staging")
	codes == set() with input as json.remove(in_environment("staging"), ["namespace/labels/kubernaut.io~1environment"])
}

test_zero_with_missing_labels_is_denied if {
	codes == minimum with input as json.remove(in_environment("staging"), ["namespace/labels"])
	codes == minimum with input as json.remove(in_environment("staging"), ["namespace"])
}

test_zero_with_null_labels_is_denied if {
	input_without_labels := json.patch(
		in_environment("staging"),
		[{"op": "replace", "path": "namespace/labels", "value": null}],
	)
	codes == minimum with input as input_without_labels
}

test_zero_with_the_facts_of_another_namespace_is_denied if {
	codes == minimum with input as object.union(in_environment("staging"), {"namespace": {"name": "other"}})
}

test_zero_with_an_unknown_namespace_is_denied if {
	unknown := {"namespace": {"name": null}, "target": {"namespace": null}}
	codes == minimum with input as object.union(in_environment("staging"), unknown)
}

test_fewer_than_none_is_denied_everywhere if {
	negative := {"step": {"action": {"scaleDeployment": {"replicas": -1}}}}
	codes == minimum with input as object.union(in_environment("staging"), negative)
}

test_a_missing_current_count_is_denied if {
	codes == maximum with input as json.remove(scale(2, 2), ["target/object/spec/replicas"])
}

test_a_null_current_count_is_denied if {
	codes == maximum with input as scale(null, 2)
}

test_a_missing_object_is_denied if {
	codes == maximum with input as json.remove(scale(2, 2), ["target/object"])
	codes == maximum with input as json.remove(scale(2, 2), ["target"])
}

test_a_null_object_is_denied if {
	codes == maximum with input as object.union(scale(2, 2), {"target": {"object": null}})
}

test_a_missing_wanted_count_is_denied if {
	codes == minimum | maximum with input as json.remove(scale(2, 2), ["step/action/scaleDeployment"])
}

test_a_null_wanted_count_is_denied if {
	codes == minimum | maximum with input as scale(2, null)
}

test_a_missing_action_is_denied if {
	codes == minimum | maximum with input as {}
}

test_a_null_action_type_is_denied if {
	codes == minimum | maximum with input as {"step": {"action": {"type": null}}}
}

test_missing_parameters_deny if {
	codes == minimum | maximum with input as scale(2, 2) with data.kubernaut.parameters as {}
	codes == minimum with input as in_environment("staging")
		with data.kubernaut.parameters.replica_bounds as {"maxFactor": 3, "alwaysReachable": 3}
}

test_parameters_that_are_no_numbers_deny if {
	wrong := {"maxFactor": "3", "alwaysReachable": null, "productionMinimum": null}
	codes == minimum | maximum with input as scale(2, 2) with data.kubernaut.parameters.replica_bounds as wrong
}

test_other_parameters_change_the_bounds if {
	wide := {"maxFactor": 10, "alwaysReachable": 0, "productionMinimum": 0}
	codes == set() with input as scale(2, 20) with data.kubernaut.parameters.replica_bounds as wide
	codes == set() with input as scale(2, 0) with data.kubernaut.parameters.replica_bounds as wide
	codes == maximum with input as scale(0, 1) with data.kubernaut.parameters.replica_bounds as wide
}

test_other_actions_are_permitted if {
	codes == set() with input as {"step": {"action": {"type": "update-image"}}}
}

test_messages_with_unknown_counts_say_so if {
	msgs := {result.msg | some result in policy.deny} with input as {}
	msgs == {
		"an unknown number of replicas is too large a step from an unknown number",
		"an unknown number of replicas are permitted only where it is certain that it is not production",
	}
}

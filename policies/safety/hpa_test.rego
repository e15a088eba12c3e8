package kubernaut.safety.hpa_test

import data.kubernaut.safety.hpa as policy

scale(present, name) := {
	"step": {"action": {"type": "scale-deployment"}},
	"target": {"hpa": {"present": present, "name": name}},
}

permitted if count(policy.deny) == 0

unknown := "whether a HorizontalPodAutoscaler scales the target is not known: change its bounds instead of the number of replicas"

denied_as(msg) if policy.deny == {{"code": "scaled_by_hpa", "msg": msg}}

test_what_nothing_scales_is_permitted if {
	permitted with input as scale(false, null)
}

test_what_an_autoscaler_scales_is_denied if {
	msg := "the HorizontalPodAutoscaler cart scales the target: change its bounds instead of the number of replicas"
	denied_as(msg) with input as scale(true, "cart")
	denied_as(unknown) with input as scale(true, null)
}

test_a_missing_fact_is_denied if {
	denied_as(unknown) with input as json.remove(scale(false, null), ["target/hpa/present"])
	denied_as(unknown) with input as json.remove(scale(false, null), ["target/hpa"])
	denied_as(unknown) with input as json.remove(scale(false, null), ["target"])
}

test_a_null_fact_is_denied if {
	denied_as(unknown) with input as scale(null, null)
	denied_as(unknown) with input as {"step": {"action": {"type": "scale-deployment"}}, "target": {"hpa": null}}
}

test_another_type_is_denied if {
	denied_as(unknown) with input as scale("false", null)
	denied_as(unknown) with input as scale(0, null)
}

test_a_missing_action_is_denied if {
	denied_as(unknown) with input as {}
}

test_a_null_action_type_is_denied if {
	denied_as(unknown) with input as {"step": {"action": {"type": null}}}
}

test_other_actions_are_permitted if {
	permitted with input as object.union(scale(true, "cart"), {"step": {"action": {"type": "rollback-deployment"}}})
}

# It has none; whatever is there changes nothing.
test_missing_parameters_change_nothing if {
	permitted with input as scale(false, null) with data.kubernaut.parameters as {}
	count(policy.deny) == 1 with input as scale(true, "cart") with data.kubernaut.parameters as {}
}

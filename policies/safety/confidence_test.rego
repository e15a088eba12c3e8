package kubernaut.safety.confidence_test

import data.kubernaut.safety.confidence as policy

step(confidence) := {
	"step": {"action": {"type": "rollback-deployment"}},
	"remediation": {"present": true, "confidencePercent": confidence},
}

by_hand := {
	"step": {"action": {"type": "scale-deployment"}},
	"remediation": {"present": false, "confidencePercent": null},
}

permitted if count(policy.require_approval) == 0

approved_first(certainty) if {
	msg := sprintf("the analysis is certain of the cause to %v percent", [certainty])
	policy.require_approval == {{"code": "low_confidence", "msg": msg}}
}

unknown := "an unknown number of"

test_enough_is_permitted if {
	permitted with input as step(50)
	permitted with input as step(90)
}

test_less_needs_approval if {
	approved_first(49) with input as step(49)
	approved_first(0) with input as step(0)
}

test_another_minimum_replaces_the_default if {
	approved_first(90) with input as step(90) with data.kubernaut.parameters.confidence.minimum as 91
	permitted with input as step(0) with data.kubernaut.parameters.confidence.minimum as 0
}

test_a_workflow_that_a_person_starts_is_permitted if {
	permitted with input as by_hand
}

test_a_missing_confidence_needs_approval if {
	approved_first(unknown) with input as json.remove(step(90), ["remediation/confidencePercent"])
	approved_first(unknown) with input as json.remove(step(90), ["remediation"])
	approved_first(unknown) with input as {}
}

test_a_null_confidence_needs_approval if {
	approved_first(unknown) with input as step(null)
	approved_first(unknown) with input as step("90")
}

test_what_may_serve_a_request_is_not_by_hand if {
	approved_first(unknown) with input as json.remove(by_hand, ["remediation/present"])
	approved_first(unknown) with input as object.union(by_hand, {"remediation": {"present": null}})
	approved_first(unknown) with input as object.union(by_hand, {"remediation": {"present": "false"}})
}

test_missing_parameters_need_approval if {
	approved_first(90) with input as step(90) with data.kubernaut.parameters as {}
	approved_first(90) with input as step(90) with data.kubernaut.parameters.confidence as {}
}

test_a_minimum_that_is_no_number_needs_approval if {
	every wrong in [null, "50", []] {
		approved_first(90) with input as step(90) with data.kubernaut.parameters.confidence.minimum as wrong
	}
}

test_a_notification_is_permitted if {
	permitted with input as object.union(step(10), {"step": {"action": {"type": "notify-only"}}})
}

test_a_missing_or_null_action_is_judged if {
	approved_first(10) with input as json.remove(step(10), ["step"])
	approved_first(10) with input as object.union(step(10), {"step": {"action": {"type": null}}})
}

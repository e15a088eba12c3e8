package kubernaut.safety.cooldown_test

import data.kubernaut.safety.cooldown as policy

minute := 60000000000

now := 1000 * minute

past(minutes) := {
	"workflow": "w",
	"mutating": true,
	"remediationRequestUID": "another",
	"time_ns": now - (minutes * minute),
}

times(n) := [past(i) | some i in [1, 2, 3, 4, 5, 6, 7]; i <= n]

step(executions) := {
	"time_ns": now,
	"missing": [{"path": "target.owners", "reason": "x"}],
	"step": {"action": {"type": "scale-deployment"}},
	"remediation": {"request": {"uid": "mine"}},
	"cluster": {"executions": {"target": executions}},
}

changed(fields) := step([object.union(execution, fields) | some execution in times(5)])

permitted if count(policy.deny) == 0

denied_after(n) if {
	msg := sprintf("other workflows changed the target %v times in a short time, so a person has to look at it", [n])
	policy.deny == {{"code": "cooling_down", "msg": msg}}
}

unknown := "an unknown number of"

test_four_are_permitted_and_five_are_denied if {
	permitted with input as step([])
	permitted with input as step(times(4))
	denied_after(5) with input as step(times(5))
	denied_after(7) with input as step(times(7))
}

test_what_is_ten_minutes_old_is_not_counted if {
	permitted with input as step(array.concat(times(4), [past(10)]))
	denied_after(5) with input as step(array.concat(times(4), [past(9)]))
}

test_the_same_request_is_never_counted if {
	permitted with input as changed({"remediationRequestUID": "mine"})
}

test_workflows_that_people_start_are_counted if {
	denied_after(5) with input as changed({"remediationRequestUID": null})
	by_hand := json.patch(
		changed({"remediationRequestUID": null}),
		[{"op": "replace", "path": "remediation/request/uid", "value": null}],
	)
	denied_after(5) with input as by_hand
	denied_after(5) with input as json.remove(changed({"remediationRequestUID": null}), ["remediation"])
}

test_what_changes_nothing_is_not_counted if {
	permitted with input as changed({"mutating": false})
}

test_a_missing_fact_of_an_execution_counts_it if {
	every field in ["mutating", "remediationRequestUID", "time_ns"] {
		executions := [object.remove(execution, [field]) | some execution in times(5)]
		denied_after(5) with input as step(executions)
	}
}

test_a_null_fact_of_an_execution_counts_it if {
	every field in ["mutating", "remediationRequestUID", "time_ns"] {
		denied_after(5) with input as changed({field: null})
	}
}

test_missing_executions_are_denied if {
	denied_after(unknown) with input as json.remove(step([]), ["cluster/executions/target"])
	denied_after(unknown) with input as json.remove(step([]), ["cluster"])
	denied_after(unknown) with input as {}
}

test_null_executions_are_denied if {
	denied_after(unknown) with input as step(null)
}

test_executions_of_which_some_are_not_listed_are_denied if {
	cut := [{"path": "cluster.executions.target", "reason": "there are more"}]
	denied_after(unknown) with input as object.union(step([]), {"missing": cut})
	denied_after(unknown) with input as object.union(step([]), {"missing": null})
	denied_after(unknown) with input as json.remove(step([]), ["missing"])
}

test_a_missing_or_null_time_is_denied if {
	denied_after(unknown) with input as json.remove(step([]), ["time_ns"])
	denied_after(unknown) with input as object.union(step([]), {"time_ns": null})
}

test_missing_parameters_deny if {
	count(policy.deny) == 1 with input as step([]) with data.kubernaut.parameters as {}
	count(policy.deny) == 1 with input as step([]) with data.kubernaut.parameters.cooldown as {"limit": 5}
	count(policy.deny) == 1 with input as step([]) with data.kubernaut.parameters.cooldown as {"windowMinutes": 10}
}

test_parameters_that_are_no_numbers_deny if {
	every wrong in [
		{"limit": "5", "windowMinutes": 10}, {"limit": null, "windowMinutes": 10},
		{"limit": 5, "windowMinutes": "10"}, {"limit": 5, "windowMinutes": null},
	] {
		count(policy.deny) == 1 with input as step([]) with data.kubernaut.parameters.cooldown as wrong
	}
}

test_a_time_that_is_longer_than_what_is_known_denies if {
	longest := {"limit": 5, "windowMinutes": 60}
	permitted with input as step([]) with data.kubernaut.parameters.cooldown as longest
	denied_after(unknown) with input as step([])
		with data.kubernaut.parameters.cooldown as object.union(longest, {"windowMinutes": 61})
}

test_other_parameters_change_the_bounds if {
	strict := {"limit": 1, "windowMinutes": 2}
	denied_after(1) with input as step(times(5)) with data.kubernaut.parameters.cooldown as strict
	permitted with input as step([past(2)]) with data.kubernaut.parameters.cooldown as strict
}

test_a_notification_is_permitted if {
	permitted with input as object.union(changed({}), {"step": {"action": {"type": "notify-only"}}})
}

test_a_missing_or_null_action_is_denied if {
	denied_after(5) with input as json.remove(changed({}), ["step"])
	denied_after(5) with input as object.union(changed({}), {"step": {"action": {"type": null}}})
}

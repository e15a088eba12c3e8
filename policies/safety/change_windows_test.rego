package kubernaut.safety.change_windows_test

import data.kubernaut.safety.change_windows as policy

# at is a change in production at a time in UTC. 2 March 2026 is a Monday.
at(time_of_day) := {
	"time": time_of_day,
	"time_ns": time.parse_rfc3339_ns(time_of_day),
	"step": {"action": {"type": "scale-deployment"}},
	"target": {"namespace": "shop"},
	"namespace": {"name": "shop", "labels": {"kubernaut.io/environment": "production"}},
}

monday_noon := at("2026-03-02T12:00:00Z")

office := {"days": ["Monday", "Friday"], "from": "09:00", "to": "17:00"}

night := {"days": ["Saturday"], "from": "22:00", "to": "04:00", "timezone": "Europe/Berlin"}

permitted if count(policy.deny) == 0

denied if {
	count(policy.deny) == 1
	some result in policy.deny
	result.code == "outside_change_window"
}

permitted_at(moment, windows) if {
	permitted with input as at(moment) with data.kubernaut.parameters.change_windows.windows as windows
}

denied_at(moment, windows) if {
	denied with input as at(moment) with data.kubernaut.parameters.change_windows.windows as windows
}

test_without_windows_everything_is_permitted if {
	permitted with input as monday_noon
	permitted with input as {}
}

test_a_window_within_a_day if {
	permitted_at("2026-03-02T09:00:00Z", [office])
	permitted_at("2026-03-06T16:59:59Z", [office])
	denied_at("2026-03-02T08:59:59Z", [office])
	denied_at("2026-03-02T17:00:00Z", [office])
	denied_at("2026-03-03T12:00:00Z", [office])
}

test_a_window_over_midnight if {
	permitted_at("2026-03-07T21:00:00Z", [night])
	permitted_at("2026-03-08T02:59:59Z", [night])
	denied_at("2026-03-07T20:59:59Z", [night])
	denied_at("2026-03-08T03:00:00Z", [night])
	denied_at("2026-03-08T21:30:00Z", [night])
	denied_at("2026-03-07T02:00:00Z", [night])
}

test_in_summer_the_clock_is_another_one if {
	permitted_at("2026-07-04T20:00:00Z", [night])
	denied_at("2026-07-05T02:00:00Z", [night])
}

test_from_the_same_to_the_same_is_a_whole_day if {
	day := {"days": ["Monday"], "from": "06:00", "to": "06:00"}
	permitted_at("2026-03-02T06:00:00Z", [day])
	permitted_at("2026-03-03T05:59:59Z", [day])
	denied_at("2026-03-03T06:00:00Z", [day])
	denied_at("2026-03-02T05:59:59Z", [day])
}

test_until_midnight if {
	evening := {"days": ["Monday"], "from": "18:00", "to": "24:00"}
	permitted_at("2026-03-02T23:59:59Z", [evening])
	denied_at("2026-03-03T00:00:00Z", [evening])
}

test_one_of_several_windows_is_enough if {
	permitted_at("2026-03-02T12:00:00Z", [night, office])
}

test_a_window_that_cannot_be_read_never_opens if {
	every wrong in [
		object.remove(office, ["days"]), object.remove(office, ["from"]), object.remove(office, ["to"]),
		object.union(office, {"days": null}), object.union(office, {"days": "Monday"}), object.union(office, {"from": null}),
		object.union(office, {"from": "9:00"}), object.union(office, {"to": "25:00"}), object.union(office, {"to": 17}),
		{}, null, "Monday",
	] {
		denied_at("2026-03-02T12:00:00Z", [wrong])
	}
}

test_elsewhere_than_in_production_everything_is_permitted if {
	staging := object.union(monday_noon, {"namespace": {"labels": {"kubernaut.io/environment": "staging"}}})
	unknown := json.remove(monday_noon, ["namespace/labels/kubernaut.io~1environment"])
	every environment in [staging, unknown] {
		permitted with input as environment with data.kubernaut.parameters.change_windows.windows as [night]
	}
}

test_missing_facts_of_the_namespace_are_denied if {
	staging := object.union(monday_noon, {"namespace": {"labels": {"kubernaut.io/environment": "staging"}}})
	every path in ["namespace/labels", "namespace/name", "namespace", "target/namespace", "target"] {
		denied with input as json.remove(staging, [path]) with data.kubernaut.parameters.change_windows.windows as [night]
	}
}

test_null_facts_of_the_namespace_are_denied if {
	every path in ["namespace/labels", "namespace/name", "namespace", "target/namespace", "target"] {
		denied with input as json.patch(monday_noon, [{"op": "replace", "path": path, "value": null}])
			with data.kubernaut.parameters.change_windows.windows as [night]
	}
}

test_a_missing_or_null_time_is_denied if {
	denied with input as json.remove(monday_noon, ["time_ns"])
		with data.kubernaut.parameters.change_windows.windows as [office]
	denied with input as object.union(monday_noon, {"time_ns": null})
		with data.kubernaut.parameters.change_windows.windows as [office]
}

test_missing_parameters_deny if {
	denied with input as monday_noon with data.kubernaut.parameters as {}
	denied with input as monday_noon with data.kubernaut.parameters.change_windows as {}
}

test_windows_that_are_no_list_deny if {
	every wrong in [null, {}, "always"] {
		denied with input as monday_noon with data.kubernaut.parameters.change_windows.windows as wrong
	}
}

test_a_notification_is_permitted if {
	permitted with input as object.union(monday_noon, {"step": {"action": {"type": "notify-only"}}})
		with data.kubernaut.parameters.change_windows.windows as [night]
}

test_a_missing_or_null_action_is_judged if {
	denied with input as json.remove(monday_noon, ["step"])
		with data.kubernaut.parameters.change_windows.windows as [night]
	denied with input as object.union(monday_noon, {"step": {"action": {"type": null}}})
		with data.kubernaut.parameters.change_windows.windows as [night]
}

test_the_message_says_where_and_when if {
	place := "no change window is open at 2026-03-02T12:00:00Z, and it is not certain that namespace shop is not production"
	policy.deny == {{"code": "outside_change_window", "msg": place}} with input as monday_noon
		with data.kubernaut.parameters.change_windows.windows as [night]
	nowhere := "no change window is open at a time that is unknown, and it is not certain that the target's place is not production"
	policy.deny == {{"code": "outside_change_window", "msg": nowhere}} with input as {}
		with data.kubernaut.parameters.change_windows.windows as [night]
}

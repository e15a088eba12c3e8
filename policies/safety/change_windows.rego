# METADATA
# title: Change windows
# description: >-
#   In a namespace labelled kubernaut.io/environment=production, changes are made only while a change window is open. Without any
#   window they are made at any time.
# custom:
#   enforcement: Enforce
#   stages: [plan, step]
#   parameters:
#     windows: >-
#       The change windows, each with the days on which it opens (Monday to Sunday), from and to (hours and minutes, such as 22:00; to at
#       or before from is on the day after), and timezone (a name such as Europe/Berlin; UTC when left out). A window that cannot be read
#       never opens.
package kubernaut.safety.change_windows

# METADATA
# title: Changing something in production while no change window is open.
# custom:
#   example: The only window is open on Saturday from 22:00 to 04:00, and a workflow starts on a Monday at noon.
deny contains {"code": "outside_change_window", "msg": msg} if {
	not is_permitted
	msg := sprintf("no change window is open at %v, and it is not certain that %v is not production", [moment, place])
}

# It changes nothing in the cluster.
is_permitted if input.step.action.type == "notify-only"

is_permitted if {
	windows := data.kubernaut.parameters.change_windows.windows
	is_array(windows)
	count(windows) == 0
}

is_permitted if {
	is_array(data.kubernaut.parameters.change_windows.windows)
	is_outside_production
}

is_permitted if {
	windows := data.kubernaut.parameters.change_windows.windows
	is_array(windows)
	some window in windows
	is_open(window)
}

# The facts must be those of the target's own namespace, and its labels must have been read.
is_outside_production if {
	is_string(input.namespace.name)
	input.namespace.name == input.target.namespace
	labels := input.namespace.labels
	is_object(labels)
	environment := object.get(labels, "kubernaut.io/environment", "unknown")
	environment != "production"
}

# Within one day.
is_open(window) if {
	from := minute_of(window.from)
	to := minute_of(window.to)
	from < to
	now := now_in(object.get(window, "timezone", "UTC"))
	opens_on(window, now.day)
	now.minute >= from
	now.minute < to
}

# Over midnight: the evening.
is_open(window) if {
	from := minute_of(window.from)
	to := minute_of(window.to)
	from >= to
	now := now_in(object.get(window, "timezone", "UTC"))
	opens_on(window, now.day)
	now.minute >= from
}

# Over midnight: the morning after.
is_open(window) if {
	from := minute_of(window.from)
	to := minute_of(window.to)
	from >= to
	now := now_in(object.get(window, "timezone", "UTC"))
	opens_on(window, day_before[now.day])
	now.minute < to
}

opens_on(window, day) if {
	days := window.days
	is_array(days)
	day in days
}

minute_of(text) := (60 * to_number(parts[0])) + to_number(parts[1]) if {
	is_string(text)
	regex.match(`^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$`, text)
	parts := split(text, ":")
}

now_in(zone) := {"day": time.weekday([ns, zone]), "minute": (60 * hour) + minute} if {
	ns := input.time_ns
	is_number(ns)
	[hour, minute, _] := time.clock([ns, zone])
}

day_before := {
	"Monday": "Sunday",
	"Tuesday": "Monday",
	"Wednesday": "Tuesday",
	"Thursday": "Wednesday",
	"Friday": "Thursday",
	"Saturday": "Friday",
	"Sunday": "Saturday",
}

default place := "the target's place"

place := sprintf("namespace %v", [namespace]) if {
	namespace := input.target.namespace
	is_string(namespace)
}

default moment := "a time that is unknown"

moment := now if {
	now := input.time
	is_string(now)
}

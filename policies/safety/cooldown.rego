# METADATA
# title: Cool-down
# description: >-
#   A target that other workflows have changed again and again in a short time is left alone: repairs that fight each other, or a
#   cause that they do not reach, need a person. Workflows of the same RemediationRequest are not counted, because one request may
#   need several.
# custom:
#   enforcement: Enforce
#   stages: [plan, step]
#   parameters:
#     limit: The number of executions from which on a further one is denied.
#     windowMinutes: The time in which they are counted, in minutes; at most 60, which is how far back executions are known.
package kubernaut.safety.cooldown

# METADATA
# title: Changing a target that other workflows have changed limit times in the last windowMinutes.
# custom:
#   example: Five workflows, each started by hand, have scaled the Deployment cart in the last ten minutes, and a sixth one is started.
deny contains {"code": "cooling_down", "msg": msg} if {
	not is_permitted
	msg := sprintf("other workflows changed the target %v times in a short time, so a person has to look at it", [times])
}

# It changes nothing in the cluster, so it has no target.
is_permitted if input.step.action.type == "notify-only"

is_permitted if {
	limit := data.kubernaut.parameters.cooldown.limit
	is_number(limit)
	is_number(times)
	times < limit
}

default times := "an unknown number of"

# Undefined, and so unknown, unless all executions of the whole time are known.
times := count(counted) if {
	past := input.cluster.executions.target
	is_array(past)
	gaps := input.missing
	is_array(gaps)
	not "cluster.executions.target" in {gap.path | some gap in gaps}
	since := begin
	counted := [execution | some execution in past; not is_exempt(execution, since)]
}

begin := input.time_ns - ((minutes * 60) * 1000000000) if {
	minutes := data.kubernaut.parameters.cooldown.windowMinutes
	is_number(minutes)
	minutes <= 60
	is_number(input.time_ns)
}

# What is not known to be exempt is counted.
is_exempt(execution, _) if execution.mutating == false

is_exempt(execution, since) if {
	started := execution.time_ns
	is_number(started)
	started <= since
}

is_exempt(execution, _) if {
	request := input.remediation.request.uid
	is_string(request)
	execution.remediationRequestUID == request
}

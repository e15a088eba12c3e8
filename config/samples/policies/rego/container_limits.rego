# METADATA
# title: Container limits
# description: After a workflow has raised the resources of a container, its limits are known, and not above what an admin permits.
# related_resources:
# - ref: https://open-policy-agent.github.io/gatekeeper-library/website/validation/containerlimits
# custom:
#   enforcement: Audit
#   stages: [plan, step]
#   match:
#     actions: [increase-resources]
#   parameters:
#     memory: The most memory, as a quantity such as 2Gi.
#     cpu: The most CPU, as a quantity such as "2" or 500m.
package kubernaut.safety.container_limits

# METADATA
# title: Leaving a container with more memory than permitted, or without a limit.
# custom:
#   example: 8Gi are asked for, and 4Gi are permitted.
deny contains {"code": "memory", "msg": msg} if {
	not is_memory_permitted
	msg := sprintf("the memory of container %v would be more than permitted", [container])
}

# METADATA
# title: Leaving a container with more CPU than permitted, or without a limit.
# custom:
#   example: 8 CPUs are asked for, and 4 are permitted.
deny contains {"code": "cpu", "msg": msg} if {
	not is_cpu_permitted
	msg := sprintf("the CPU of container %v would be more than permitted", [container])
}

container := object.get(input, ["step", "action", "increaseResources", "container"], "that is not known")

is_memory_permitted if {
	units.parse_bytes(memory_after) <= units.parse_bytes(data.kubernaut.parameters.container_limits.memory)
}

is_cpu_permitted if {
	units.parse(cpu_after) <= units.parse(data.kubernaut.parameters.container_limits.cpu)
}

# What a step leaves out stays as it is.
memory_after := wanted if {
	wanted := input.step.action.increaseResources.memoryLimit
	is_string(wanted)
}

memory_after := present.memory if {
	parameters := input.step.action.increaseResources
	is_object(parameters)
	wanted := object.get(parameters, "memoryLimit", null)
	wanted == null
}

cpu_after := wanted if {
	wanted := input.step.action.increaseResources.cpuLimit
	is_string(wanted)
}

cpu_after := present.cpu if {
	parameters := input.step.action.increaseResources
	is_object(parameters)
	wanted := object.get(parameters, "cpuLimit", null)
	wanted == null
}

# Undefined unless exactly one container of that name is there.
present := limits if {
	name := input.step.action.increaseResources.container
	spec := input.target.object.spec.template.spec
	found := [existing.resources.limits |
		some field in ["containers", "initContainers"]
		some existing in spec[field]
		existing.name == name
	]
	count(found) == 1
	limits := found[0]
}

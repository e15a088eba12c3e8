package kubernaut.safety.container_limits_test

import data.kubernaut.safety.container_limits as policy

# raise is a step on a container whose limits are 1Gi and 1 CPU.
raise(amounts) := {
	"step": {"action": {"type": "increase-resources", "increaseResources": object.union(amounts, {"container": "app"})}},
	"target": {"object": {"spec": {"template": {"spec": {"containers": [
		{"name": "sidecar", "resources": {"limits": {"memory": "64Gi", "cpu": "64"}}},
		{"name": "app", "resources": {"limits": {"memory": "1Gi", "cpu": "1"}}},
	]}}}}},
}

# unlimited is one on a container without limits.
unlimited(amounts) := object.union(raise(amounts), {"target": {"object": {"spec": {"template": {"spec": {"containers": [{"name": "app"}]}}}}}})

codes contains result.code if {
	some result in policy.deny with data.kubernaut.parameters.container_limits as {"memory": "4Gi", "cpu": "2"}
}

test_what_is_within_the_limits_is_permitted if {
	codes == set() with input as raise({"memoryLimit": "4Gi", "memoryRequest": "512Mi"})
	codes == set() with input as raise({"cpuLimit": "2", "cpuRequest": "500m"})
	codes == set() with input as raise({"memoryLimit": "4096Mi", "cpuLimit": "2000m"})
	codes == set() with input as unlimited({"memoryLimit": "4Gi", "cpuLimit": "2"})
}

test_more_is_denied if {
	codes == {"memory"} with input as unlimited({"memoryLimit": "5Gi", "cpuLimit": "1"})
	codes == {"cpu"} with input as unlimited({"memoryLimit": "1Gi", "cpuLimit": "2001m"})
	codes == {"memory", "cpu"} with input as unlimited({"memoryLimit": "1Ti", "cpuLimit": "64"})
}

test_no_limit_is_denied if {
	codes == {"cpu"} with input as unlimited({"memoryLimit": "1Gi"})
	codes == {"memory"} with input as unlimited({"cpuLimit": "1"})
}

test_the_message_names_the_container if {
	messages := {result.msg | some result in policy.deny}
		with input as unlimited({"memoryLimit": "5Gi", "cpuLimit": "1"})
		with data.kubernaut.parameters.container_limits as {"memory": "4Gi", "cpu": "2"}
	messages == {"the memory of container app would be more than permitted"}
}

test_what_is_unknown_is_denied if {
	codes == {"memory", "cpu"} with input as {"step": {"action": {}}}
	codes == {"memory", "cpu"} with input as {"step": {"action": {"increaseResources": null}}}
	codes == {"memory", "cpu"} with input as object.union(raise({}), {"step": {"action": {"increaseResources": {"container": "other"}}}})
	count(policy.deny) == 2 with input as raise({"memoryLimit": "1Gi"}) with data.kubernaut.parameters.container_limits as {}
}

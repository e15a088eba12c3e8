package kubernaut.safety.replica_limits_test

import data.kubernaut.safety.replica_limits as policy

scale(replicas) := {"step": {"action": {"type": "scale-deployment", "scaleDeployment": {"replicas": replicas}}}}

ranges := [{"minimum": 2, "maximum": 10}, {"minimum": 20, "maximum": 30}]

denied if count(policy.deny) == 1 with data.kubernaut.parameters.replica_limits.ranges as ranges

allowed if count(policy.deny) == 0 with data.kubernaut.parameters.replica_limits.ranges as ranges

test_a_number_in_a_range_is_allowed if {
	allowed with input as scale(2)
	allowed with input as scale(10)
	allowed with input as scale(25)
}

test_a_number_in_no_range_is_denied if {
	denied with input as scale(1)
	denied with input as scale(15)
	denied with input as scale(31)
}

test_what_is_unknown_is_denied if {
	denied with input as scale(null)
	denied with input as scale("3")
	denied with input as {"step": {"action": {}}}
	count(policy.deny) == 1 with input as scale(3) with data.kubernaut.parameters.replica_limits as {}
	count(policy.deny) == 1 with input as scale(3) with data.kubernaut.parameters.replica_limits.ranges as [{"minimum": 2, "maximum": "ten"}]
	count(policy.deny) == 1 with input as scale(3) with data.kubernaut.parameters.replica_limits.ranges as [{"minimum": null, "maximum": 10}]
}

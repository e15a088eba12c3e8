package kubernaut.classification_test

import data.kubernaut.classification

target(labels, severity) := {"namespace": {"name": "shop", "labels": labels}, "signal": {"severity": severity}}

in_environment(environment, severity) := target({"kubernaut.io/environment": environment}, severity)

test_the_environment_is_the_label_of_the_namespace if {
	classification.environment == "production" with input as in_environment("production", "info")
	classification.environment == "qa-3" with input as in_environment("qa-3", "info")
}

test_the_business_unit_is_the_label_of_the_namespace if {
	classification.business_unit == "retail" with input as target({"kubernaut.io/business-unit": "retail"}, "info")
}

test_priority_follows_environment_and_severity if {
	every row in [
		["production", "critical", "P0"],
		["production", "warning", "P1"],
		["production", "info", "P2"],
		["staging", "critical", "P1"],
		["staging", "warning", "P2"],
		["staging", "info", "P3"],
		["development", "critical", "P2"],
		["development", "warning", "P3"],
		["development", "info", "P3"],
		["qa-3", "critical", "P1"],
		["production", "apocalyptic", "P1"],
		["production", null, "P1"],
		["qa-3", null, "P2"],
	] {
		classification.priority == row[2] with input as in_environment(row[0], row[1])
	}
}

test_without_any_fact_everything_has_a_value if {
	every facts in [{}, target(null, null), target({}, "unheard-of"), {"namespace": {"labels": null}}] {
		classification.environment == "unknown" with input as facts
		classification.business_unit == "unknown" with input as facts
		classification.priority == "P2" with input as facts
	}
}

test_an_empty_label_is_unknown if {
	labels := {"kubernaut.io/environment": "", "kubernaut.io/business-unit": null}
	classification.environment == "unknown" with input as target(labels, "info")
	classification.business_unit == "unknown" with input as target(labels, "info")
}

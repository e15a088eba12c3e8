# METADATA
# title: Environment, priority and business unit
# description: What the labels of the target's namespace and the severity of the signal say about a target.
package kubernaut.classification

default environment := "unknown"

environment := label("kubernaut.io/environment")

default business_unit := "unknown"

business_unit := label("kubernaut.io/business-unit")

# An environment that is not listed counts as much as staging, a severity that is not listed as much as a warning.
priority := priorities[row][column]

default row := "staging"

row := environment if priorities[environment]

default column := "warning"

column := severity if {
	severity := input.signal.severity
	priorities.staging[severity]
}

priorities := {
	"production": {"critical": "P0", "warning": "P1", "info": "P2"},
	"staging": {"critical": "P1", "warning": "P2", "info": "P3"},
	"development": {"critical": "P2", "warning": "P3", "info": "P3"},
}

label(name) := value if {
	value := input.namespace.labels[name]
	is_string(value)
	value != ""
}

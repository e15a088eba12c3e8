package playbook

import (
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

// The reasons of the conditions of a Playbook.
const (
	// ReasonCompiled says that the playbook can be used.
	ReasonCompiled = "Compiled"
	// ReasonDoesNotCompile says that an expression, a literal or the order of the steps is wrong.
	ReasonDoesNotCompile = "DoesNotCompile"
)

// problemText gives every problem with its path; for an expression the message has line and column.
func problemText(problems field.ErrorList) string {
	texts := make([]string, len(problems))
	for i, problem := range problems {
		texts[i] = problem.Field + ": " + problem.ErrorBody()
		if problem.Type == field.ErrorTypeInvalid {
			// The value is in the spec; what people need is what is wrong with it.
			texts[i] = problem.Field + ": " + problem.Detail
		}
	}
	return strings.Join(texts, "; ")
}

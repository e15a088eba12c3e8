package rules

import (
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"

	safetyv1alpha1 "kubernaut.io/kubernaut/api/safety/v1alpha1"
	"kubernaut.io/kubernaut/policies/gate"
)

// maxProblems bounds what is said about one policy at once.
const maxProblems = 20

// SafetyPolicyProblems are the problems that the gate found, each with the field that it is about. The source itself is left out of
// the answer: a problem quotes its line.
func SafetyPolicyProblems(policy *safetyv1alpha1.SafetyPolicy, problems []gate.Problem) (errs field.ErrorList) {
	for _, problem := range problems[:min(len(problems), maxProblems)] {
		errs = append(errs, field.Invalid(fieldOf(policy, problem), field.OmitValueType{}, problem.String()))
	}
	return errs
}

func fieldOf(policy *safetyv1alpha1.SafetyPolicy, problem gate.Problem) *field.Path {
	about := func(subject string) bool { return problem.Row == 0 && strings.HasPrefix(problem.Message, subject) }
	switch {
	case strings.HasSuffix(problem.File, "_test.rego"):
		return specPath().Child("tests")
	case about("parametersSchema"):
		return specPath().Child("parametersSchema")
	case about("parameters"):
		return specPath().Child("parameters")
	case about("namespaceSelector"):
		return specPath().Child("match", "namespaceSelector")
	case policy.Spec.Source.Baseline != "":
		return specPath().Child("source", "baseline")
	default:
		return specPath().Child("source", "rego")
	}
}

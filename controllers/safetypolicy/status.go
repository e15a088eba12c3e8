package safetypolicy

import (
	"strings"

	"kubernaut.io/kubernaut/policies/gate"
)

// The reasons of the conditions of a SafetyPolicy.
const (
	// ReasonCompiled says that the policy compiles with the schema of this version.
	ReasonCompiled = "Compiled"
	// ReasonDoesNotCompile says that the policy cannot be used; it denies what it covers.
	ReasonDoesNotCompile = "DoesNotCompile"
	// ReasonActive says that the policy is in the active set.
	ReasonActive = "Active"
	// ReasonDenies says that in the place of the policy a denial is in the active set.
	ReasonDenies = "Denies"
	// ReasonLoading says that the active set was made without this generation of the policy.
	ReasonLoading = "Loading"
	// ReasonTestsPassed says that every test passes.
	ReasonTestsPassed = "TestsPassed"
	// ReasonTestsFailed says that a test fails, or that the policy does not compile, so that none ran.
	ReasonTestsFailed = "TestsFailed"
	// ReasonNoTests says that there are no tests.
	ReasonNoTests = "NoTests"
	// ReasonTestsDidNotRun says that the process that runs the tests could not be had; it is tried again.
	ReasonTestsDidNotRun = "TestsDidNotRun"
)

// problemText gives every problem with file, line and column and the offending line.
func problemText(problems []gate.Problem) string {
	texts := make([]string, len(problems))
	for i, problem := range problems {
		texts[i] = problem.String()
	}
	return strings.Join(texts, "\n")
}

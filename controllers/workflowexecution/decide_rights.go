package workflowexecution

import (
	"fmt"
	"strings"

	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/controllers/machinery"
)

// forbidden fails a workflow that somebody who has a part in it lacks the rights for, and says whether it does.
func (d *decider) forbidden() bool {
	if len(d.denials) == 0 {
		return false
	}
	lines := make([]string, len(d.denials))
	for i, denial := range d.denials {
		lines[i] = fmt.Sprintf("step %q: %s", d.definitions()[denial.Step].Name, denial)
	}
	reason := machinery.Cut(strings.Join(lines, "; "), maxDenials) +
		"; what they may not do, no workflow does for them: give them a role with it, or take the step out"
	d.conditions.False(workflowexecutionv1.ConditionValidated, ReasonPermissionDenied, reason)
	d.fail(d.denials[0].Step, shared.ErrorPermissionDenied, reason)
	return true
}

// maxDenials leaves room in status.failureReason for what to do about them.
const maxDenials = maxReason - 160

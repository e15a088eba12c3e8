package workflowexecution

import (
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/controllers/kubernetesexecution/effects"
)

// tried says that the API server's dry run has accepted a step, and what it said.
func tried(preparation *effects.Preparation) bool {
	return preparation != nil && preparation.RollbackProven != nil && preparation.DryRunUnsupported == "" && len(preparation.DryRun) > 0
}

// trialOf is what the API server's dry run of a step said when the workflow was validated before it had to wait; nil when that is not
// recorded completely. Whether it still holds is for who prepares the step to find out.
func trialOf(workflow *workflowexecutionv1.WorkflowExecution, step int32) *effects.Trial {
	recorded, plan := workflow.Status.Validation, workflow.Status.Plan
	if recorded == nil || plan == nil || len(recorded.DryRun) >= maxDryRunChanges {
		return nil
	}
	wasTried := slices.ContainsFunc(recorded.Decisions, func(d workflowexecutionv1.StepDecision) bool { return d.Index == step && d.Tried })
	target := slices.IndexFunc(plan.Targets, func(t workflowexecutionv1.PlannedTarget) bool { return slices.Contains(t.Steps, step) })
	if !wasTried || target < 0 || plan.Targets[target].UID == "" {
		return nil
	}
	if summaryDigest(recorded.DryRun) != recorded.SummaryDigest {
		return nil // long values were left out
	}
	var changes []shared.FieldChange
	for _, change := range recorded.DryRun {
		if change.Index == step {
			changes = append(changes, change.FieldChange)
		}
	}
	return &effects.Trial{UID: types.UID(plan.Targets[target].UID), Generation: plan.Targets[target].Generation, Changes: changes}
}

package kubernetesexecution

import (
	"context"

	kubernetesexecutionv1 "kubernaut.io/kubernaut/api/kubernetesexecution/v1"
	"kubernaut.io/kubernaut/controllers/kubernetesexecution/effects"
)

// apply makes the recorded effect within the time of the step. What is written are the recorded changes, not a new plan: that
// of a crashed manager would be made on an object that may already have them.
func (r *Reconciler) apply(ctx context.Context, s Snapshot) (*Made, *Verification) {
	execution := s.Execution
	ctx, cancel := context.WithTimeout(ctx, timeLeft(execution, r.Clock.Now()))
	defer cancel()
	first := recordedNow(s)
	t, err := r.taskOf(ctx, execution)
	if err != nil {
		return &Made{Err: err, First: first, Effect: effects.Effect{Changed: new(false)}}, nil
	}
	request := effects.ApplyRequest{Action: t.action, Execution: execution}
	if execution.Status.Inverse != nil {
		request.Changes = execution.Status.Inverse.Fields
	}
	if first {
		request.Live = s.Validation.Preparation.Live
	}
	effect, err := r.Effects.Apply(ctx, request)
	made := &Made{Effect: effect, Err: err, First: first}
	if err != nil {
		return made, nil
	}
	return made, r.verify(ctx, t, effect)
}

// recordedNow says that the intent was recorded in this reconcile: only then is there a validation.
func recordedNow(s Snapshot) bool {
	return s.Validation != nil && s.Validation.Preparation != nil && s.Execution.Status.Phase == kubernetesexecutionv1.PhaseExecuting
}

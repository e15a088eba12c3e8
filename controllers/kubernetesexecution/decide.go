package kubernetesexecution

import (
	"fmt"
	"time"

	kubernetesexecutionv1 "kubernaut.io/kubernaut/api/kubernetesexecution/v1"
	"kubernaut.io/kubernaut/api/shared"
	"kubernaut.io/kubernaut/controllers/machinery"
)

// transitions are the phases that may follow each phase. What can be validated at once goes straight on: the phase validating
// is recorded only when it has to wait for something.
func transitions() machinery.Table[kubernetesexecutionv1.ExecutionPhase] {
	return machinery.Table[kubernetesexecutionv1.ExecutionPhase]{
		"": {
			kubernetesexecutionv1.PhaseValidating, kubernetesexecutionv1.PhaseExecuting, kubernetesexecutionv1.PhaseFailed,
		},
		kubernetesexecutionv1.PhaseValidating: {kubernetesexecutionv1.PhaseExecuting, kubernetesexecutionv1.PhaseFailed},
		kubernetesexecutionv1.PhaseExecuting:  {kubernetesexecutionv1.PhaseCompleted, kubernetesexecutionv1.PhaseFailed},
		kubernetesexecutionv1.PhaseCompleted:  {},
		kubernetesexecutionv1.PhaseFailed:     {},
	}
}

// then is what follows the status write.
type then string

const (
	// thenRest does nothing until a watch or the deadline wakes.
	thenRest then = "rest"
	// thenValidate finds out whether the step may be done.
	thenValidate then = "validate"
	// thenApply makes the effect.
	thenApply then = "apply"
	// thenLook looks whether the effect is there, without making it.
	thenLook then = "look"
	// thenVerify looks whether the effect was taken up.
	thenVerify then = "verify"
)

// Next is what a decision says.
type Next struct {
	// Status is the next status.
	Status kubernetesexecutionv1.KubernetesExecutionStatus
	// Then is what is done after it was written.
	Then then
	// WakeAt is when to look again at the latest, for thenRest.
	WakeAt time.Time
	// Retry is a transient error: try again with backoff.
	Retry error
}

// decide says what an execution is and does next. Its error is a transition that the table does not know.
func decide(s Snapshot, now time.Time) (Next, error) {
	d := &decider{Snapshot: s, recorder: record(s.Execution, now), at: now}
	var next Next
	from := s.Execution.Status.Phase
	switch from {
	case "", kubernetesexecutionv1.PhaseValidating:
		next = d.validating()
	case kubernetesexecutionv1.PhaseExecuting:
		next = d.executing()
	case kubernetesexecutionv1.PhaseCompleted, kubernetesexecutionv1.PhaseFailed:
		next = Next{Then: thenRest}
	default:
		return Next{}, fmt.Errorf("phase %q is unknown", from)
	}
	next.Status = d.status
	if err := transitions().Check(from, next.Status.Phase); err != nil {
		return Next{}, err
	}
	return next, nil
}

type decider struct {
	Snapshot
	*recorder
	at time.Time
}

func (d *decider) overdue() bool {
	return !unlimited(d.Execution) && !d.at.Before(Deadline(d.Execution))
}

// retry goes back to the queue, within the deadline.
func (d *decider) retry(condition string, err error) Next {
	d.retries(condition, err)
	return Next{Then: thenRest, Retry: err}
}

// ended is the end by an error; condition is the one that it keeps from becoming True.
func (d *decider) ended(condition string, err error) Next {
	errorType := machinery.Classify(err)
	return d.endedAs(condition, failureReason(errorType), errorType, err.Error()+advice(errorType))
}

func (d *decider) endedAs(condition, reason string, errorType shared.ErrorType, message string) Next {
	d.failed(condition, reason, errorType, message)
	return Next{Then: thenRest}
}

// advice says what a person can do about a failure whose error does not say it.
func advice(errorType shared.ErrorType) string {
	if errorType == shared.ErrorResourceConflict {
		return "; look at the target, and start a new workflow if it still needs repair"
	}
	return ""
}

// validating is everything before the intent is recorded: nothing was written by this execution, and that is known.
func (d *decider) validating() Next {
	const condition = kubernetesexecutionv1.ConditionValidated
	found := d.Validation
	switch {
	case stopped(d.Execution):
		return d.untouched(d.endedAs(condition, failureReason(shared.ErrorCancelled), shared.ErrorCancelled,
			"the execution was cancelled before anything was written"))
	case d.overdue():
		message := "validating was not over when the step's time-out passed"
		if found != nil && found.Err != nil {
			message += ": " + found.Err.Error()
		}
		return d.untouched(d.endedAs(condition, failureReason(shared.ErrorTimeout), shared.ErrorTimeout, message))
	case d.StillHeld:
		return Next{Then: thenRest}
	case found == nil:
		return Next{Then: thenValidate}
	case found.Err != nil && machinery.IsTransient(found.Err):
		d.status.Phase = kubernetesexecutionv1.PhaseValidating
		return d.retry(condition, found.Err)
	case found.Err != nil:
		d.validated(found)
		return d.untouched(d.ended(condition, found.Err))
	case found.Decision != nil && found.Preparation != nil && found.Decision.Verdict == shared.VerdictHold && !undoes(d.Execution):
		// The policies wake it, or the workflow, which limits how long a hold may last.
		d.holds(found)
		return Next{Then: thenRest}
	case found.Decision == nil || found.Preparation == nil || !lets(d.Execution, found):
		d.validated(found)
		return d.untouched(d.refused(found))
	}
	d.intends(found)
	return Next{Then: thenApply}
}

// untouched adds to an end that nothing was written.
func (d *decider) untouched(next Next) Next {
	d.status.Changed = new(false)
	return next
}

// lets says whether what was found lets the execution go on. Restoring captured state waits for nobody: only a deny stops it.
func lets(execution *kubernetesexecutionv1.KubernetesExecution, found *Validation) bool {
	switch found.Decision.Verdict {
	case shared.VerdictAllow:
		return undoes(execution) || uncovered(execution, found) == ""
	case shared.VerdictRequireApproval:
		return undoes(execution) || found.Approval != nil && uncovered(execution, found) == ""
	case shared.VerdictHold:
		return undoes(execution)
	case shared.VerdictDeny:
		return false
	default:
		return false
	}
}

// refused is the end by the gate.
func (d *decider) refused(found *Validation) Next {
	const condition = kubernetesexecutionv1.ConditionValidated
	reason := ReasonPolicyDenied
	var decision shared.Decision
	if found.Decision != nil {
		decision = *found.Decision
	}
	said := "denied it"
	switch decision.Verdict {
	case shared.VerdictRequireApproval:
		reason, said = ReasonApprovalNotCovered, "requires an approval that it does not have"
	case shared.VerdictAllow:
		reason, said = ReasonApprovalNotCovered, "allowed it, but its strategy requires an approval that it does not have"
	case shared.VerdictDeny, shared.VerdictHold:
	}
	message := fmt.Sprintf("the safety gate was asked about step %d (%s) just before it would %s, and %s",
		d.Execution.Spec.StepIndex, d.Execution.Spec.StepName, d.verb(), said)
	if decider := decision.DeciderText(); decider != "" {
		message += ": " + decider
	}
	if why := uncovered(d.Execution, found); why != "" {
		message += "; " + why
	}
	return d.endedAs(condition, reason, shared.ErrorPolicyDenied, message+". Nothing was written.")
}

// executing is everything after the intent was recorded.
func (d *decider) executing() Next {
	if d.Execution.Status.Changed == nil {
		return d.effect()
	}
	if d.Verification == nil {
		return Next{Then: thenVerify}
	}
	return d.verified()
}

// effect makes the effect, or records what became of it.
func (d *decider) effect() Next {
	const condition = kubernetesexecutionv1.ConditionExecuted
	made := d.Made
	halt := stopped(d.Execution) || d.overdue()
	switch {
	case made == nil && halt:
		// It may have been made and not recorded.
		return Next{Then: thenLook}
	case made == nil:
		return Next{Then: thenApply}
	case made.Err == nil && !made.Absent:
		if until, soon := d.soonTakenUp(); soon {
			return Next{Then: thenRest, WakeAt: until}
		}
		d.made(&made.Effect)
		return d.verified()
	}
	d.status.Changed = unchangedFor(made)
	switch {
	case made.Err != nil && !machinery.IsTransient(made.Err):
		return d.ended(condition, made.Err)
	case d.overdue():
		message := "the time-out passed before the effect was known to be there" + d.uncertainty()
		if made.Err != nil {
			message += ": " + made.Err.Error()
		}
		return d.endedAs(condition, failureReason(shared.ErrorTimeout), shared.ErrorTimeout, message)
	case made.Absent:
		return d.endedAs(condition, failureReason(shared.ErrorCancelled), shared.ErrorCancelled,
			"the execution was cancelled before its effect was seen"+d.uncertainty())
	default:
		d.status.Changed = nil
		return d.retry(condition, made.Err)
	}
}

// takenUpWithin is how long an effect with a marker stays unrecorded while the cluster has not taken it up: mostly it has within
// moments, and then one write records both. Until then the marker on the target tells that the effect is there.
const takenUpWithin = 2 * time.Second

// soonTakenUp says whether the effect may wait for its record, and until when.
func (d *decider) soonTakenUp() (until time.Time, soon bool) {
	seen, object := d.Verification, d.Made.Effect.Object
	if seen == nil || seen.Err != nil || seen.Done || stopped(d.Execution) || object == nil || d.status.StartedAt == nil ||
		object.GetAnnotations()[shared.AnnotationLastExecution] != string(d.Execution.UID) {
		return time.Time{}, false
	}
	if d.at.Before(d.status.StartedAt.Truncate(time.Second)) {
		return time.Time{}, false // the clock was set back: nobody knows how long it has been
	}
	until = d.status.StartedAt.Add(takenUpWithin)
	return until, d.at.Before(until) && d.at.Before(Deadline(d.Execution))
}

// unchangedFor says whether it is known that nothing was written. After a crash it is not: a request may have been on its way,
// or its effect undone by someone who also removed the marker.
func unchangedFor(made *Made) *bool {
	if made.First && made.Effect.Changed != nil && !*made.Effect.Changed {
		return made.Effect.Changed
	}
	return nil
}

func (d *decider) uncertainty() string {
	if d.status.Changed != nil {
		return ""
	}
	target := d.targetText()
	if target == "" {
		return ""
	}
	return "; a write that was on its way may still have arrived: look for the annotation " + shared.AnnotationLastExecution + ": " +
		string(d.Execution.UID) + " on " + target
}

// verified ends the execution when the cluster has taken up the effect, or waits for it. What is there stays there: a cancel
// comes too late.
func (d *decider) verified() Next {
	const condition = kubernetesexecutionv1.ConditionVerified
	seen := d.Verification
	switch {
	case seen == nil:
		return Next{Then: thenVerify}
	case seen.Err != nil && !machinery.IsTransient(seen.Err):
		return d.ended(condition, seen.Err)
	case seen.Err == nil && seen.Done:
		d.completed()
		return Next{Then: thenRest}
	case d.overdue():
		why := seen.Message
		if seen.Err != nil {
			why = seen.Err.Error()
		}
		return d.endedAs(condition, failureReason(shared.ErrorTimeout), shared.ErrorTimeout,
			fmt.Sprintf("%s was written, and the time-out passed before that was verified: %s", d.targetText(), why))
	case seen.Err != nil:
		return d.retry(condition, seen.Err)
	}
	d.awaits()
	return Next{Then: thenRest, WakeAt: Deadline(d.Execution)}
}

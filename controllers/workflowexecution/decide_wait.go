package workflowexecution

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/controllers/kubernetesexecution"
	"kubernaut.io/kubernaut/controllers/machinery"
)

// suspended says that no new step may start.
func suspended(workflow *workflowexecutionv1.WorkflowExecution) bool {
	return workflow.Spec.Suspend != nil && *workflow.Spec.Suspend
}

// wait says why the workflow waits: from now on, or from when it began to wait. That time extends the limit of its phase.
func (d *decider) wait(reason, message string) {
	d.beginToWait()
	d.conditions.True(workflowexecutionv1.ConditionSuspended, reason, message)
	d.wakeAt = machinery.Earliest(d.wakeAt, holdEnd(d.workflow, d.status.WaitingSince))
}

// beginToWait begins the waiting, unless the workflow waits already. Who waits before any step runs holds no locks.
func (d *decider) beginToWait() {
	if d.status.WaitingSince == nil {
		d.status.WaitingSince = &d.now
		d.unlock = d.status.Phase == workflowexecutionv1.PhaseValidating // a crash may have left some
	}
}

// resume ends the waiting, if any.
func (d *decider) resume() {
	if d.status.WaitingSince == nil {
		return
	}
	d.status.WaitedSeconds += seconds(d.now.Sub(d.status.WaitingSince.Time))
	d.status.WaitingSince = nil
	if meta.IsStatusConditionTrue(d.status.Conditions, workflowexecutionv1.ConditionSuspended) {
		d.conditions.False(workflowexecutionv1.ConditionSuspended, ReasonResumed, "the workflow does not wait any more")
	}
}

// seconds rounds up: the limit must not come too early.
func seconds(waited time.Duration) int64 {
	return int64((waited + time.Second - 1) / time.Second)
}

// enter begins a phase. What was waited before does not extend its limit.
func (d *decider) enter(phase workflowexecutionv1.WorkflowPhase) {
	d.resume()
	d.status.Phase = phase
	d.status.WaitedBeforePhase = d.status.WaitedSeconds
}

// waited is how long the workflow has waited in its phase, without the waiting that goes on.
func waited(status *workflowexecutionv1.WorkflowExecutionStatus) time.Duration {
	return time.Duration(status.WaitedSeconds-status.WaitedBeforePhase) * time.Second
}

// holdEnd is when a hold or a suspension has lasted too long.
func holdEnd(workflow *workflowexecutionv1.WorkflowExecution, since *metav1.Time) time.Time {
	limit := defaultHold
	if workflow.Spec.Timeouts != nil {
		limit = duration(workflow.Spec.Timeouts.Hold, defaultHold)
	}
	return since.Add(limit)
}

// waitedTooLong says that a hold or a suspension has lasted longer than it may.
func (d *decider) waitedTooLong() bool {
	since := d.workflow.Status.WaitingSince
	return since != nil && !d.now.Time.Before(holdEnd(d.workflow, since))
}

const tooLong = "the policy hold or the suspension did not end within timeouts.hold"

// suspend keeps a workflow that runs no step yet where it is, and says whether it has to.
func (d *decider) suspend() bool {
	if !suspended(d.workflow) {
		return false
	}
	if d.waitedTooLong() {
		d.fail(noStep, shared.ErrorTimeout, tooLong)
		return true
	}
	const message = "spec.suspend is true: the workflow goes on when it is taken back"
	d.wait(ReasonSuspended, message)
	d.conditions.Progressing(ReasonSuspended, message)
	return true
}

// hold keeps a workflow that the gate holds in validating.
func (d *decider) hold(i int) {
	if d.waitedTooLong() {
		d.fail(i, shared.ErrorTimeout, tooLong)
		return
	}
	message := fmt.Sprintf("the safety gate holds %s until its policies change: %s", d.judged(i), d.steps[i].decision.DeciderText())
	d.conditions.False(workflowexecutionv1.ConditionValidated, ReasonPolicyHold, message)
	d.wait(ReasonPolicyHold, message)
	d.conditions.Progressing(ReasonPolicyHold, message)
}

// holdOf is what has become of the policy hold that a workflow waits for before any of its steps runs.
func holdOf(workflow *workflowexecutionv1.WorkflowExecution, policies machinery.Policies) machinery.Hold {
	status := &workflow.Status
	suspended := meta.FindStatusCondition(status.Conditions, workflowexecutionv1.ConditionSuspended)
	if status.Phase != workflowexecutionv1.PhaseValidating || status.WaitingSince == nil || status.Validation == nil ||
		suspended == nil || suspended.Status != metav1.ConditionTrue || suspended.Reason != ReasonPolicyHold {
		return machinery.HoldUnknown
	}
	hold := machinery.HoldUnknown
	for _, step := range status.Validation.Decisions {
		if step.Verdict != shared.VerdictHold {
			continue
		}
		one := machinery.HoldOf(policies, status.Validation.PolicySetRevision, step.Rules, maxStepRules)
		if one == machinery.HoldUnknown {
			return one
		}
		hold = max(hold, one)
	}
	return hold
}

// heldAsBefore keeps a workflow waiting whose hold stands, and ends the waiting of one whose hold is lifted: that it goes on is known
// before its steps are judged again. It says whether that was all there is to do.
func (d *decider) heldAsBefore() bool {
	switch d.snapshot.hold {
	case machinery.HoldStands:
		if d.waitedTooLong() {
			d.fail(d.heldStep(), shared.ErrorTimeout, tooLong)
			return true
		}
		d.wakeAt = holdEnd(d.workflow, d.status.WaitingSince)
	case machinery.HoldLifted:
		d.resume()
		d.forgetVerdicts()
		const message = "the policy hold is over: the steps are tried and judged again"
		d.conditions.Set(workflowexecutionv1.ConditionValidated, metav1.ConditionUnknown, ReasonValidating, message)
		d.conditions.Progressing(ReasonValidating, message)
	case machinery.HoldUnknown:
		return false
	}
	return true
}

// forgetVerdicts leaves of a validation what the dry runs showed: no verdict is in force until the steps are judged again.
func (d *decider) forgetVerdicts() {
	validation := d.status.Validation
	validation.Verdict, validation.PolicySetRevision = "", ""
	for i, step := range validation.Decisions {
		validation.Decisions[i] = workflowexecutionv1.StepDecision{Index: step.Index, Tried: step.Tried}
	}
}

// heldStep is the first step that the gate was recorded to hold.
func (d *decider) heldStep() int {
	for _, step := range d.status.Validation.Decisions {
		if step.Verdict == shared.VerdictHold {
			return int(step.Index)
		}
	}
	return noStep
}

// sameHold says that the workflow is held as it was when it was recorded last. Every evaluation has an identity of its own: a
// status that always changes would never come to rest.
func (d *decider) sameHold() bool {
	recorded := d.status.Validation
	i, _ := d.hardest()
	return d.status.WaitingSince != nil && recorded != nil && i >= 0 && recorded.Verdict == shared.VerdictHold &&
		d.steps[i].decision.Verdict == shared.VerdictHold && recorded.PolicySetRevision == d.steps[i].decision.PolicySetRevision
}

// pause waits while the gate holds a step or the workflow is suspended. Steps that run go on.
func (d *decider) pause() {
	held := d.held()
	switch {
	case d.failing():
		// A held step has not begun, and what has failed starts nothing.
		d.stop(held)
		d.resume()
	case len(held) == 0 && !d.keepsBack():
		d.resume()
	case d.waitedTooLong():
		step := noStep
		if len(held) > 0 {
			step = held[0]
		}
		d.blame(step, shared.ErrorTimeout, tooLong)
		d.stop(held)
		d.resume()
	case len(held) > 0:
		d.wait(ReasonPolicyHold, "the safety gate holds "+d.names(held)+" until its policies change; the KubernetesExecutions say why")
	default:
		d.wait(ReasonSuspended, "spec.suspend is true: no new step starts until it is taken back")
	}
}

// keepsBack says that steps would start if the workflow were not suspended.
func (d *decider) keepsBack() bool {
	return suspended(d.workflow) && d.pending() > 0
}

// held are the running steps whose execution the gate holds.
func (d *decider) held() []int {
	var steps []int
	for _, i := range d.stepsIn(workflowexecutionv1.StepRunning) {
		name := d.status.Steps[i].ExecutionRef
		if execution := d.executions[name]; execution != nil && kubernetesexecution.Held(execution) && !d.lifted[name] {
			steps = append(steps, i)
		}
	}
	return steps
}

// describeWaiting says on the Ready condition that the workflow waits, and whether it does.
func (d *decider) describeWaiting() bool {
	if d.status.WaitingSince == nil {
		return false
	}
	running := slices.DeleteFunc(d.stepsIn(workflowexecutionv1.StepRunning), func(i int) bool { return slices.Contains(d.held(), i) })
	message := []string{"waiting: see the condition Suspended"}
	if len(running) > 0 {
		message = append(message, d.names(running)+" still runs")
	}
	reason := ReasonSuspended
	if len(d.held()) > 0 {
		reason = ReasonPolicyHold
	}
	d.conditions.Progressing(reason, strings.Join(message, "; "))
	return true
}

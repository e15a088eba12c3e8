package remediationrequest

import (
	"time"

	remediationv1 "kubernaut.io/kubernaut/api/remediation/v1"
	"kubernaut.io/kubernaut/api/shared"
	"kubernaut.io/kubernaut/controllers/machinery"
)

// phaseStart is when the phase began; a request that has just been seen begins now.
func (d *decider) phaseStart() time.Time {
	if d.status.PhaseStartTime != nil {
		return d.status.PhaseStartTime.Time
	}
	return d.status.StartTime.Time
}

// phaseDeadline is the end of the phase; zero for one that has no limit of its own.
func (d *decider) phaseDeadline() time.Time {
	timeouts := valueOr(d.request.Spec.Timeouts, remediationv1.RemediationTimeouts{})
	switch d.status.OverallPhase {
	case "", remediationv1.PhasePending:
		return d.phaseStart().Add(pendingLimit)
	case remediationv1.PhaseProcessing, remediationv1.PhaseRecovering:
		return d.phaseStart().Add(durationOr(timeouts.Processing, defaultProcessing))
	case remediationv1.PhaseAnalyzing:
		return d.phaseStart().Add(durationOr(timeouts.Analyzing, defaultAnalyzing))
	case remediationv1.PhaseExecuting, remediationv1.PhaseCompleted, remediationv1.PhaseFailed:
	}
	return time.Time{}
}

// overallDeadline is the end of the remediation; waiting for people does not count, so there is none while the workflow waits.
func (d *decider) overallDeadline() time.Time {
	timeouts := valueOr(d.request.Spec.Timeouts, remediationv1.RemediationTimeouts{})
	waited := d.status.WaitedSeconds
	if workflow := d.Snapshot.workflow.object; workflow != nil && !d.counted {
		if workflow.Status.WaitingSince != nil {
			return time.Time{}
		}
		waited += workflow.Status.WaitedSeconds
	}
	return d.status.StartTime.Add(durationOr(timeouts.Overall, defaultOverall) + time.Duration(waited)*time.Second)
}

func (d *decider) deadline() time.Time {
	return machinery.Earliest(d.phaseDeadline(), d.overallDeadline())
}

func (d *decider) overdue() bool {
	deadline := d.deadline()
	return !deadline.IsZero() && !d.now.Time.Before(deadline)
}

func (d *decider) overallOverdue() bool {
	deadline := d.overallDeadline()
	return !deadline.IsZero() && !d.now.Time.Before(deadline)
}

// awaited says for whom the phase waits.
func (d *decider) awaited() string {
	attempt := d.status.RecoveryAttempts
	switch d.status.OverallPhase {
	case remediationv1.PhaseProcessing, remediationv1.PhaseRecovering:
		return kindProcessing + " " + shared.ProcessingName(d.request.Name, attempt) + " had not ended"
	case remediationv1.PhaseAnalyzing:
		return kindAnalysis + " " + shared.AnalysisName(d.request.Name, attempt) + " had not ended"
	case "", remediationv1.PhasePending, remediationv1.PhaseExecuting, remediationv1.PhaseCompleted, remediationv1.PhaseFailed:
	}
	return "nothing more is known"
}

package remediationrequest

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
)

func TestJudge(t *testing.T) {
	t.Parallel()
	lost := failure{action: "rollback-deployment", errorType: shared.ErrorResourceNotFound, target: "Deployment shop/cart"}
	of := func(errorType shared.ErrorType) circumstances {
		f := failure{action: lost.action, errorType: errorType, target: lost.target}
		return circumstances{most: 3, failure: f, failures: []failure{f}}
	}
	with := func(change func(*circumstances)) circumstances {
		c := of(lost.errorType)
		change(&c)
		return c
	}
	among := func(others ...failure) circumstances {
		return with(func(c *circumstances) { c.failures = slices.Concat(others, c.failures) })
	}
	rated := func(finished, failed int) circumstances {
		return with(func(c *circumstances) { c.recent = rate{finished: finished, failed: failed} })
	}
	tests := map[string]struct {
		circumstances circumstances
		want          string
	}{
		// Rule 1.
		"no attempt is left":               {with(func(c *circumstances) { c.attempts = 3 }), ReasonAttemptsExhausted},
		"one attempt is left":              {with(func(c *circumstances) { c.attempts = 2 }), ReasonViable},
		"none was ever allowed":            {with(func(c *circumstances) { c.most = 0 }), ReasonAttemptsExhausted},
		"attempts come before other rules": {with(func(c *circumstances) { c.most, c.failure.errorType = 0, shared.ErrorPolicyDenied }), ReasonAttemptsExhausted},

		// Rule 2.
		"a failure occurs for the first time":         {among(), ReasonViable},
		"the same failure occurs again":               {among(lost), ReasonSameFailure},
		"the same failure with others in between":     {among(lost, failure{action: "scale-deployment", errorType: lost.errorType}), ReasonSameFailure},
		"another action failed the same way":          {among(failure{"scale-deployment", lost.errorType, lost.target}), ReasonViable},
		"the same action failed another way":          {among(failure{lost.action, shared.ErrorTimeout, lost.target}), ReasonViable},
		"the same action failed on another target":    {among(failure{lost.action, lost.errorType, "Deployment shop/till"}), ReasonViable},
		"another failure occurred twice":              {among(failure{"x", shared.ErrorTimeout, ""}, failure{"x", shared.ErrorTimeout, ""}), ReasonViable},
		"a failure without a step to blame, repeated": {circumstances{most: 3, failure: failure{errorType: shared.ErrorTimeout}, failures: []failure{{errorType: shared.ErrorTimeout}, {errorType: shared.ErrorTimeout}}}, ReasonSameFailure},

		// Rule 3.
		"a policy denies every plan":           {of(shared.ErrorPolicyDenied), ReasonErrorTypeNotRecoverable},
		"a right is missing for every plan":    {of(shared.ErrorPermissionDenied), ReasonErrorTypeNotRecoverable},
		"a person said no":                     {of(shared.ErrorApprovalRejected), ReasonErrorTypeNotRecoverable},
		"a person said nothing":                {of(shared.ErrorApprovalExpired), ReasonErrorTypeNotRecoverable},
		"a person stopped it":                  {of(shared.ErrorCancelled), ReasonErrorTypeNotRecoverable},
		"a time-out may be one of the plan":    {of(shared.ErrorTimeout), ReasonViable},
		"a conflict may be one of the plan":    {of(shared.ErrorResourceConflict), ReasonViable},
		"a quota may be too small for it":      {of(shared.ErrorResourceQuotaExceeded), ReasonViable},
		"a plan may be invalid":                {of(shared.ErrorValidation), ReasonViable},
		"a plan may be ineffective":            {of(shared.ErrorIneffective), ReasonViable},
		"an unknown error might be the plan's": {of(shared.ErrorUnknown), ReasonViable},

		// Rule 4.
		"nine workflows say nothing":                  {rated(9, 9), ReasonViable},
		"one of ten failed":                           {rated(10, 1), ReasonFailureRateTooHigh},
		"none of ten failed":                          {rated(10, 0), ReasonViable},
		"ten per cent is too many":                    {rated(100, 10), ReasonFailureRateTooHigh},
		"a little less is not, but close":             {rated(1000, 99), ReasonViableFailureRateHigh},
		"eight per cent is close":                     {rated(100, 8), ReasonViableFailureRateHigh},
		"a little less than that is not":              {rated(1000, 79), ReasonViable},
		"the rate comes after the other rules":        {with(func(c *circumstances) { c.failure.errorType, c.recent = shared.ErrorCancelled, rate{10, 10} }), ReasonErrorTypeNotRecoverable},
		"it is the reason although time is up":        {with(func(c *circumstances) { c.overdue, c.recent = true, rate{10, 10} }), ReasonFailureRateTooHigh},
		"no time is left, though nothing else speaks": {with(func(c *circumstances) { c.overdue = true }), ReasonTimedOut},
	}
	for sentence, test := range tests {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			got := judge(test.circumstances)
			if got.reason != test.want || got.message == "" {
				t.Errorf("got %+v, want %s", got, test.want)
			}
			if viable := test.want == ReasonViable || test.want == ReasonViableFailureRateHigh; got.viable != viable {
				t.Errorf("viable is %v", got.viable)
			}
		})
	}
}

func TestRate(t *testing.T) {
	t.Parallel()
	ended := func(phase workflowexecutionv1.WorkflowPhase, errorType shared.ErrorType, ago time.Duration) workflowexecutionv1.WorkflowExecution {
		var workflow workflowexecutionv1.WorkflowExecution
		workflow.Status.Phase, workflow.Status.ErrorType = phase, errorType
		workflow.Status.CompletionTime = new(metav1.NewTime(began.Add(-ago)))
		return workflow
	}
	running := workflowexecutionv1.WorkflowExecution{}
	running.Status.Phase = workflowexecutionv1.PhaseExecuting
	tests := map[string]struct {
		workflow workflowexecutionv1.WorkflowExecution
		want     rate
	}{
		"one that succeeded counts":             {ended(workflowexecutionv1.PhaseCompleted, "", time.Minute), rate{1, 0}},
		"one that failed counts twice":          {ended(workflowexecutionv1.PhaseFailed, shared.ErrorTimeout, time.Minute), rate{1, 1}},
		"one of the last second of the hour":    {ended(workflowexecutionv1.PhaseFailed, shared.ErrorTimeout, time.Hour-time.Second), rate{1, 1}},
		"one of an hour ago does not":           {ended(workflowexecutionv1.PhaseFailed, shared.ErrorTimeout, time.Hour), rate{}},
		"one that a policy denied does not":     {ended(workflowexecutionv1.PhaseFailed, shared.ErrorPolicyDenied, time.Minute), rate{}},
		"one that a person stopped does not":    {ended(workflowexecutionv1.PhaseFailed, shared.ErrorCancelled, time.Minute), rate{}},
		"one that was not approved does not":    {ended(workflowexecutionv1.PhaseFailed, shared.ErrorApprovalExpired, time.Minute), rate{}},
		"one without a right does not":          {ended(workflowexecutionv1.PhaseFailed, shared.ErrorPermissionDenied, time.Minute), rate{}},
		"one that runs does not":                {running, rate{}},
		"one that failed without a type does":   {ended(workflowexecutionv1.PhaseFailed, "", time.Minute), rate{1, 1}},
		"one that ended in our future does":     {ended(workflowexecutionv1.PhaseCompleted, "", -time.Second), rate{1, 0}},
		"one that nobody looked at yet doesn't": {workflowexecutionv1.WorkflowExecution{}, rate{}},
	}
	for sentence, test := range tests {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			if got := rateOf([]workflowexecutionv1.WorkflowExecution{test.workflow}, began); got != test.want {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
		})
	}
}

func TestFailureOf(t *testing.T) {
	t.Parallel()
	scale := shared.Step{Name: "scale", Action: shared.Action{
		Type: shared.ActionScaleDeployment, ScaleDeployment: &shared.ScaleDeployment{Namespace: "shop", Name: "till", Replicas: new(int32(1))},
	}}
	tell := shared.Step{Name: "tell", Action: shared.Action{Type: shared.ActionNotifyOnly, NotifyOnly: &shared.NotifyOnly{Message: "m"}}}
	failed := func(step *int32, steps ...shared.Step) *workflowexecutionv1.WorkflowExecution {
		workflow := workflowIn(workflowexecutionv1.PhaseFailed, workflowexecutionv1.OutcomeFailed)
		workflow.Spec.WorkflowDefinition.Steps, workflow.Status.FailedStep = steps, step
		return workflow
	}
	tests := map[string]struct {
		workflow *workflowexecutionv1.WorkflowExecution
		want     failure
	}{
		"that of the step to blame":             {failed(new(int32(1)), rollBack(), scale), failure{"scale-deployment", shared.ErrorIneffective, "Deployment shop/till"}},
		"a step without a target":               {failed(new(int32(0)), tell), failure{"notify-only", shared.ErrorIneffective, ""}},
		"that of all steps when none is":        {failed(nil, scale, rollBack(), tell), failure{"notify-only, rollback-deployment, scale-deployment", shared.ErrorIneffective, "Deployment shop/cart, Deployment shop/till"}},
		"each action and target once":           {failed(nil, rollBack(), rollBack()), failure{"rollback-deployment", shared.ErrorIneffective, "Deployment shop/cart"}},
		"an index that no step has blames none": {failed(new(int32(7)), rollBack()), failure{"rollback-deployment", shared.ErrorIneffective, "Deployment shop/cart"}},
	}
	for sentence, test := range tests {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(test.want, failureOf(test.workflow), cmp.AllowUnexported(failure{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	long := failed(nil)
	for range 20 {
		scale.Action.ScaleDeployment = &shared.ScaleDeployment{Namespace: "shop", Name: strings.Repeat("x", 60) + string(rune('a'+len(long.Spec.WorkflowDefinition.Steps)))}
		long.Spec.WorkflowDefinition.Steps = append(long.Spec.WorkflowDefinition.Steps, scale)
	}
	if got := failureOf(long); len(got.action) > longestAction || len(got.target) > longestTarget {
		t.Errorf("%d and %d bytes", len(got.action), len(got.target))
	}
}

func TestWorthKeeping(t *testing.T) {
	t.Parallel()
	done := func(action shared.ActionType, phase workflowexecutionv1.StepPhase) []workflowexecutionv1.StepStatus {
		return []workflowexecutionv1.StepStatus{{Action: string(action), Phase: phase}}
	}
	tests := map[string]struct {
		outcome   workflowexecutionv1.WorkflowOutcome
		errorType shared.ErrorType
		steps     []workflowexecutionv1.StepStatus
		want      bool
	}{
		"a step that changed something":      {workflowexecutionv1.OutcomeFailed, shared.ErrorTimeout, done(shared.ActionScaleDeployment, workflowexecutionv1.StepCompleted), true},
		"not one that was not completed":     {workflowexecutionv1.OutcomeFailed, shared.ErrorTimeout, done(shared.ActionScaleDeployment, workflowexecutionv1.StepFailed), false},
		"not one that only tells":            {workflowexecutionv1.OutcomeFailed, shared.ErrorTimeout, done(shared.ActionNotifyOnly, workflowexecutionv1.StepCompleted), false},
		"not one that was undone":            {workflowexecutionv1.OutcomeRolledBack, shared.ErrorTimeout, done(shared.ActionScaleDeployment, workflowexecutionv1.StepCompleted), false},
		"not one that was perhaps undone":    {workflowexecutionv1.OutcomePartiallyRolledBack, shared.ErrorTimeout, done(shared.ActionScaleDeployment, workflowexecutionv1.StepCompleted), false},
		"not steps that did not help at all": {workflowexecutionv1.OutcomeFailed, shared.ErrorIneffective, done(shared.ActionScaleDeployment, workflowexecutionv1.StepCompleted), false},
	}
	for sentence, test := range tests {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			workflow := workflowIn(workflowexecutionv1.PhaseFailed, test.outcome)
			workflow.Status.ErrorType, workflow.Status.Steps = test.errorType, test.steps
			if got := worthKeeping(workflow); got != test.want {
				t.Errorf("got %v", got)
			}
		})
	}
}

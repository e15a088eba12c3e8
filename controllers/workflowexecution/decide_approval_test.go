package workflowexecution

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	safetyv1alpha1 "kubernaut.io/kubernaut/api/safety/v1alpha1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
)

// replicas is what the dry run says of a step that scales.
func replicas(before, after string) []shared.FieldChange {
	return []shared.FieldChange{{Path: "/spec/replicas", Before: &apiextensionsv1.JSON{Raw: []byte(before)}, After: &apiextensionsv1.JSON{Raw: []byte(after)}}}
}

// asking is a validating workflow for whose first step a policy asks for approval.
func asking(t *testing.T, codes ...string) *scenario {
	t.Helper()
	c := newScenario(t, scale("a", "x"), scale("b", "y"))
	c.s.workflow.Spec.RequestedBy = shared.Requester{Username: "alice"}
	c.decide()
	c.allowed()
	c.s.locks = nil
	for i := range c.s.steps {
		c.s.steps[i].preparation.DryRun = replicas("1", "3")
	}
	return c.asks(codes...)
}

// asks has policies ask for the approval of the first step, for one reason each.
func (c *scenario) asks(codes ...string) *scenario {
	decision := &c.s.steps[0].decision
	decision.Verdict, decision.Rules = shared.VerdictAllow, nil
	for _, code := range codes {
		decision.Verdict = shared.VerdictRequireApproval
		decision.Rules = append(decision.Rules, shared.FiredRule{Policy: "p", Code: code, Effect: shared.EffectRequireApproval, Message: "because of " + code, Approvers: 1})
	}
	return c
}

// request makes the request that the last decision asks for, as the controller would.
func (c *scenario) request() *scenario {
	c.t.Helper()
	if c.last.asks == nil {
		c.t.Fatalf("no ApprovalRequest is asked for; phase %s, %v", c.s.workflow.Status.Phase, c.s.workflow.Status.Conditions)
	}
	c.s.approval = approvalState{request: &safetyv1alpha1.ApprovalRequest{
		ObjectMeta: metav1.ObjectMeta{Name: c.s.workflow.Status.ApprovalRequestRef}, Spec: *c.last.asks,
		Status: safetyv1alpha1.ApprovalRequestStatus{Phase: safetyv1alpha1.PhasePending},
	}}
	return c
}

func (c *scenario) people(phase safetyv1alpha1.ApprovalPhase, message string) *scenario {
	c.s.approval.request.Status.Phase = phase
	c.s.approval.request.Status.Conditions = []metav1.Condition{{Type: shared.ConditionReady, Message: message}}
	return c
}

func (c *scenario) wantApproved(status metav1.ConditionStatus, reason, message string) {
	c.t.Helper()
	condition := meta.FindStatusCondition(c.s.workflow.Status.Conditions, workflowexecutionv1.ConditionApproved)
	if condition == nil || condition.Status != status || condition.Reason != reason || !strings.Contains(condition.Message, message) {
		c.t.Fatalf("condition Approved is %v, want %s, %s, %q", condition, status, reason, message)
	}
}

func TestApprovalIsAskedFor(t *testing.T) {
	required := func(c *scenario) {
		c.s.workflow.Spec.ExecutionStrategy = &shared.ExecutionStrategy{ApprovalRequired: new(true)}
	}
	for sentence, test := range map[string]struct {
		change        func(*scenario)
		wantReasons   []string
		wantApprovers int32
		wantMessage   string
		wantValidated metav1.ConditionStatus
	}{
		"by the strategy alone: one person": {
			change: func(c *scenario) { required(c.asks()) }, wantApprovers: 1,
			wantMessage: "needs somebody's approval, because executionStrategy.approvalRequired is true", wantValidated: metav1.ConditionTrue,
		},
		"by policies: the largest number": {
			change: func(c *scenario) {
				c.asks("one", "two")
				c.s.steps[1].decision = shared.Decision{Verdict: shared.VerdictRequireApproval, PolicySetRevision: "r1", Rules: []shared.FiredRule{
					{Policy: "q", Effect: shared.EffectRequireApproval, Approvers: 3}, {Policy: "w", Effect: shared.EffectWarn},
				}}
			},
			wantReasons: []string{"p/one", "p/two", "q/"}, wantApprovers: 3, wantMessage: "needs the approval of 3, because of p/one, p/two, q", wantValidated: metav1.ConditionFalse,
		},
		"by both: what the policies ask for": {
			change: func(c *scenario) { required(c.asks("one")) }, wantReasons: []string{"p/one"}, wantApprovers: 1, wantMessage: "needs somebody's approval, because of p/one", wantValidated: metav1.ConditionFalse,
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			c := asking(t)
			test.change(c)
			status := c.decide()
			c.wantApproved(metav1.ConditionFalse, ReasonAwaitingApproval, "ApprovalRequest w-approval-1 "+test.wantMessage)
			if status.Phase != workflowexecutionv1.PhaseValidating || status.ApprovalRequests != 1 || status.ApprovalRequestRef != "w-approval-1" || status.WaitingSince == nil {
				t.Errorf("got %s, %d, %q, waiting since %v", status.Phase, status.ApprovalRequests, status.ApprovalRequestRef, status.WaitingSince)
			}
			if c.last.lock || !c.last.unlock {
				t.Error("who waits for people holds no locks")
			}
			if validated := meta.FindStatusCondition(status.Conditions, workflowexecutionv1.ConditionValidated); validated == nil || validated.Status != test.wantValidated {
				t.Errorf("condition Validated is %v, want %s", validated, test.wantValidated)
			}
			spec := c.request().s.approval.request.Spec
			var reasons []string
			for _, reason := range spec.Reasons {
				reasons = append(reasons, reason.Policy+"/"+reason.Code)
			}
			if diff := cmp.Diff(test.wantReasons, reasons); diff != "" {
				t.Error(diff)
			}
			if spec.RequiredApprovals != test.wantApprovers || spec.RequestedBy.Username != "alice" || !spec.ExpiresAt.Time.Equal(c.now.Add(time.Hour)) {
				t.Errorf("got %+v", spec)
			}
			if spec.PlanDigest != status.Plan.Digest || spec.SummaryDigest != status.Validation.SummaryDigest || spec.SummaryDigest == "" {
				t.Error("the request is not bound to what the workflow records")
			}
			want := []safetyv1alpha1.SummaryEntry{
				{Step: "a", Target: targetOf(&c.s.workflow.Spec.WorkflowDefinition.Steps[0].Action), Field: "/spec/replicas", Before: "1", After: "3"},
				{Step: "b", Target: targetOf(&c.s.workflow.Spec.WorkflowDefinition.Steps[1].Action), Field: "/spec/replicas", Before: "1", After: "3"},
			}
			if diff := cmp.Diff(want, spec.Summary); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// What the workflow does by what became of its request, and by what it finds when it looks again.
func TestWaitingForAnApproval(t *testing.T) {
	for sentence, test := range map[string]struct {
		// required says that the strategy asks for an approval too.
		required    bool
		change      func(*scenario)
		wantPhase   workflowexecutionv1.WorkflowPhase
		wantError   shared.ErrorType
		wantStep    *int32
		wantReason  string
		wantMessage string
		// wantRequest is the number of the request that is made; 0 for none.
		wantRequest int32
		wantLock    bool
	}{
		"pending: it waits": {
			change: func(*scenario) {}, wantPhase: workflowexecutionv1.PhaseValidating, wantReason: ReasonAwaitingApproval,
		},
		"approved: it goes on to the locks": {
			change:    func(c *scenario) { c.people(safetyv1alpha1.PhaseApproved, "approved by bob") },
			wantPhase: workflowexecutionv1.PhaseValidating, wantLock: true, wantReason: ReasonApproved, wantMessage: "approved by bob",
		},
		"rejected": {
			change:    func(c *scenario) { c.people(safetyv1alpha1.PhaseRejected, "bob rejected it: no").s.steps = nil },
			wantPhase: workflowexecutionv1.PhaseFailed, wantError: shared.ErrorApprovalRejected, wantStep: new(int32(0)), wantReason: ReasonApprovalRejected, wantMessage: "bob rejected it: no",
		},
		"expired": {
			change:    func(c *scenario) { c.people(safetyv1alpha1.PhaseExpired, "it expired").s.steps = nil },
			wantPhase: workflowexecutionv1.PhaseFailed, wantError: shared.ErrorApprovalExpired, wantStep: new(int32(0)), wantReason: ReasonApprovalExpired, wantMessage: "it expired",
		},
		"not there after a crash: it is made again": {
			change: func(c *scenario) { c.s.approval.request = nil }, wantPhase: workflowexecutionv1.PhaseValidating, wantReason: ReasonAwaitingApproval, wantRequest: 1,
		},
		"not there when its time is over": {
			change:    func(c *scenario) { c.s.approval.request = nil; c.now = c.now.Add(time.Hour) },
			wantPhase: workflowexecutionv1.PhaseFailed, wantError: shared.ErrorApprovalExpired, wantStep: new(int32(0)), wantReason: ReasonApprovalExpired,
		},
		"another object has its name": {
			change:    func(c *scenario) { c.s.approval = approvalState{foreign: "nothing"} },
			wantPhase: workflowexecutionv1.PhaseFailed, wantError: shared.ErrorResourceConflict, wantReason: ReasonAwaitingApproval,
		},
		"another reason, while pending": {
			change: func(c *scenario) { c.asks("one", "new") }, wantPhase: workflowexecutionv1.PhaseValidating, wantReason: ReasonAwaitingApproval, wantRequest: 2,
			wantMessage: "ApprovalRequest w-approval-1 is void: it does not name the reason p/new",
		},
		"another reason, after it was approved": {
			change:    func(c *scenario) { c.asks("new").people(safetyv1alpha1.PhaseApproved, "approved") },
			wantPhase: workflowexecutionv1.PhaseValidating, wantReason: ReasonAwaitingApproval, wantRequest: 2, wantMessage: "void: it does not name the reason p/new",
		},
		"a reason less, while pending": {
			required: true, change: func(c *scenario) { c.asks() },
			wantPhase: workflowexecutionv1.PhaseValidating, wantReason: ReasonAwaitingApproval, wantRequest: 2, wantMessage: "void: fewer reasons",
		},
		"a reason less, after it was approved: it is covered": {
			required: true, change: func(c *scenario) { c.asks().people(safetyv1alpha1.PhaseApproved, "approved") },
			wantPhase: workflowexecutionv1.PhaseValidating, wantReason: ReasonApproved, wantLock: true,
		},
		"more people are asked for, after it was approved": {
			change: func(c *scenario) {
				c.people(safetyv1alpha1.PhaseApproved, "approved")
				c.s.steps[0].decision.Rules[0].Approvers = 2
			},
			wantPhase: workflowexecutionv1.PhaseValidating, wantReason: ReasonAwaitingApproval, wantRequest: 2, wantMessage: "needs the approval of 2",
		},
		"the same reason in other words": {
			change: func(c *scenario) { c.s.steps[0].decision.Rules[0].Message = "7 pods" }, wantPhase: workflowexecutionv1.PhaseValidating, wantReason: ReasonAwaitingApproval,
		},
		"the target has moved and something else would change, while pending": {
			change:    func(c *scenario) { c.s.steps[1].preparation.DryRun = replicas("2", "3") },
			wantPhase: workflowexecutionv1.PhaseValidating, wantReason: ReasonAwaitingApproval, wantRequest: 2, wantMessage: "void: the steps would change something else now",
		},
		"the same after it was approved": {
			change: func(c *scenario) {
				c.s.steps[1].preparation.DryRun = replicas("2", "3")
				c.people(safetyv1alpha1.PhaseApproved, "approved")
			},
			wantPhase: workflowexecutionv1.PhaseValidating, wantReason: ReasonAwaitingApproval, wantRequest: 2, wantMessage: "void: the steps would change something else now",
		},
		"the target was made anew, and the same would change": {
			change: func(c *scenario) {
				c.s.steps[0].preparation.Live.SetUID("another")
				c.people(safetyv1alpha1.PhaseApproved, "approved")
			},
			wantPhase: workflowexecutionv1.PhaseValidating, wantReason: ReasonAwaitingApproval, wantRequest: 2, wantMessage: "void: the plan is another one",
		},
		"the same value written otherwise": {
			change: func(c *scenario) { c.s.steps[1].preparation.DryRun = replicas(" 1", "3 ") }, wantPhase: workflowexecutionv1.PhaseValidating, wantReason: ReasonAwaitingApproval,
		},
		"nobody asks any more": {
			change: func(c *scenario) { c.asks() }, wantPhase: workflowexecutionv1.PhaseValidating, wantReason: ReasonNotRequired, wantLock: true,
		},
		"a policy denies it now": {
			change:    func(c *scenario) { c.s.steps[1].decision.Verdict = shared.VerdictDeny },
			wantPhase: workflowexecutionv1.PhaseFailed, wantError: shared.ErrorPolicyDenied, wantStep: new(int32(1)), wantReason: ReasonAwaitingApproval,
		},
		"it is cancelled": {
			change:    func(c *scenario) { c.s.workflow.Spec.Cancel = workflowexecutionv1.CancelAbort },
			wantPhase: workflowexecutionv1.PhaseFailed, wantError: shared.ErrorCancelled, wantReason: ReasonAwaitingApproval,
		},
		"the phase's limit does not count the waiting": {
			change: func(c *scenario) { c.now = c.now.Add(30 * time.Minute) }, wantPhase: workflowexecutionv1.PhaseValidating, wantReason: ReasonAwaitingApproval,
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			c := asking(t, "one")
			if test.required {
				c.s.workflow.Spec.ExecutionStrategy = &shared.ExecutionStrategy{ApprovalRequired: new(true)}
			}
			c.decide()
			c.request()
			test.change(c)
			c.s.workflow = c.s.workflow.DeepCopy()
			status := c.decide()
			c.wantApproved(map[bool]metav1.ConditionStatus{true: metav1.ConditionTrue, false: metav1.ConditionFalse}[test.wantReason == ReasonApproved || test.wantReason == ReasonNotRequired],
				test.wantReason, test.wantMessage)
			if status.Phase != test.wantPhase || status.ErrorType != test.wantError || c.last.lock != test.wantLock || len(c.last.create) > 0 {
				t.Fatalf("got %s, %q (%s), lock %t, %d executions", status.Phase, status.ErrorType, status.FailureReason, c.last.lock, len(c.last.create))
			}
			if test.wantError != "" && cmp.Diff(test.wantStep, status.FailedStep) != "" {
				t.Errorf("failedStep is %v", status.FailedStep)
			}
			if (c.last.asks != nil) != (test.wantRequest > 0) {
				t.Fatalf("request asked for: %+v", c.last.asks)
			}
			if test.wantRequest > 0 && status.ApprovalRequests != test.wantRequest {
				t.Errorf("it is number %d, want %d", status.ApprovalRequests, test.wantRequest)
			}
		})
	}
}

func TestApprovedWorkflowRunsWhatItWasApprovedFor(t *testing.T) {
	c := asking(t, "one")
	c.decide()
	c.request().people(safetyv1alpha1.PhaseApproved, "approved by bob")
	c.now = c.now.Add(20 * time.Minute)
	c.s.locks = &lockState{}
	status := c.decide()
	if status.Phase != workflowexecutionv1.PhaseExecuting || status.WaitedSeconds != 1200 || status.WaitingSince != nil || started(c.last) == "" {
		t.Fatalf("got %s, waited %d, started %q", status.Phase, status.WaitedSeconds, started(c.last))
	}
	if status.Validation.Verdict != shared.VerdictRequireApproval || status.Validation.SummaryDigest != c.s.approval.request.Spec.SummaryDigest {
		t.Errorf("recorded %s, %s", status.Validation.Verdict, status.Validation.SummaryDigest)
	}
	if !meta.IsStatusConditionTrue(status.Conditions, workflowexecutionv1.ConditionValidated) {
		t.Error("Validated is not True")
	}
}

// A status that changes with every evaluation would wake its own controller for ever.
func TestWaitingForAnApprovalComesToRest(t *testing.T) {
	c := asking(t, "one")
	c.decide()
	c.request()
	first := c.decide()
	for i := range c.s.steps {
		c.s.steps[i].decision.ID = "another evaluation"
	}
	c.now = c.now.Add(time.Second)
	if diff := cmp.Diff(first, c.decide()); diff != "" {
		t.Error(diff)
	}
	for i := range c.s.steps {
		c.s.steps[i].decision.PolicySetRevision = "r2"
	}
	if second := c.decide(); second.Validation.PolicySetRevision != "r2" || second.ApprovalRequests != 1 {
		t.Errorf("another set of policies that asks the same is recorded, and the request stays: %+v", second.Validation)
	}
}

func TestAHoldAndASuspensionWhileAnApprovalIsPending(t *testing.T) {
	c := asking(t, "one")
	c.decide()
	c.request()
	since := c.s.workflow.Status.WaitingSince
	c.s.workflow.Spec.Suspend = new(true)
	c.decide()
	c.s.workflow.Spec.Suspend = nil
	c.s.steps[1].decision.Verdict = shared.VerdictHold
	c.decide()
	if !meta.IsStatusConditionTrue(c.s.workflow.Status.Conditions, workflowexecutionv1.ConditionSuspended) {
		t.Fatal("not held")
	}
	c.s.steps[1].decision.Verdict = shared.VerdictAllow
	status := c.decide()
	if meta.IsStatusConditionTrue(status.Conditions, workflowexecutionv1.ConditionSuspended) || !status.WaitingSince.Equal(since) || c.last.asks != nil {
		t.Errorf("Suspended, or waiting since %v, not %v", status.WaitingSince, since)
	}
	c.wantApproved(metav1.ConditionFalse, ReasonAwaitingApproval, "because of p/one")
	ready := meta.FindStatusCondition(status.Conditions, shared.ConditionReady)
	if ready == nil || ready.Reason != ReasonAwaitingApproval {
		t.Errorf("Ready is %v", ready)
	}
}

func TestApprovalIsNotAskedForWithoutEnd(t *testing.T) {
	c := asking(t, "one")
	c.decide()
	for i := range maxApprovalRequests {
		c.request()
		c.s.steps[0].preparation.DryRun = replicas("1", strings.Repeat("9", i+1))
		c.decide()
	}
	c.wantFailed(shared.ErrorResourceConflict, nil)
	c.wantApproved(metav1.ConditionFalse, ReasonApprovalVoid, "has changed 8 times")
}

func TestNobodyApprovesWhatCannotBeShown(t *testing.T) {
	c := asking(t, "one")
	c.s.steps[0].preparation.DryRun = slices.Repeat(replicas("1", "2"), maxSummary)
	c.decide()
	c.wantFailed(shared.ErrorValidation, nil)
	c.wantApproved(metav1.ConditionFalse, ReasonNotApprovable, "at most 200 fields")
	if c.last.asks != nil {
		t.Error("a request was made")
	}
}

func TestWhatAWebhookDoesNotTryIsShownAsPlanned(t *testing.T) {
	c := asking(t, "one")
	preparation := c.s.steps[0].preparation
	preparation.DryRun, preparation.DryRunUnsupported, preparation.Changes = nil, "a webhook", replicas("1", "7")
	c.s.steps[1].preparation.DryRun = nil
	c.decide()
	summary := c.last.asks.Summary
	if len(summary) != 2 || summary[0].After != "7" || summary[1].Field != "" || summary[1].Target == nil {
		t.Errorf("got %+v", summary)
	}
}

func TestPeopleSeeHowAStepIsUndoneByAnAction(t *testing.T) {
	c := asking(t, "one")
	back := scale("back", "z")
	step := &c.s.workflow.Spec.WorkflowDefinition.Steps[1]
	step.Rollback, step.RollbackAction = shared.RollbackAction, &back.Action
	c.decide()
	summary := c.last.asks.Summary
	if len(summary) != 3 || summary[2].Step != "b" || summary[2].Target.Name != "z" || summary[2].After != `"if it is undone: rollbackAction scale-deployment"` {
		t.Errorf("got %+v", summary)
	}
}

func TestDryRunSaysThatItWouldTakeAnApproval(t *testing.T) {
	c := asking(t, "one")
	c.s.mode = shared.ModeDryRun
	status := c.decide()
	ready := meta.FindStatusCondition(status.Conditions, shared.ConditionReady)
	if status.Outcome != workflowexecutionv1.OutcomeDryRun || c.last.asks != nil || !strings.Contains(ready.Message, "with the approval of 1") {
		t.Errorf("got %s, %v", status.Outcome, ready)
	}
}

func TestTimeThatPeopleHave(t *testing.T) {
	c := asking(t, "one")
	c.s.workflow.Spec.Timeouts = &workflowexecutionv1.WorkflowTimeouts{Approval: &metav1.Duration{Duration: 48 * time.Hour}, Validation: &metav1.Duration{Duration: time.Minute}}
	c.decide()
	want := c.now.Add(48 * time.Hour)
	if !c.last.asks.ExpiresAt.Time.Equal(want) || !c.last.wakeAt.Equal(want) {
		t.Errorf("expires at %s, wakes at %s", c.last.asks.ExpiresAt, c.last.wakeAt)
	}
	if limit := phaseDeadline(c.s.workflow); !limit.Equal(want.Add(time.Minute)) {
		t.Errorf("what keeps it from looking may last until %s", limit)
	}
	c.request()
	c.now = want.Add(time.Second)
	if c.decide(); !c.last.wakeAt.IsZero() {
		t.Error("it would wake at once, again and again")
	}
}

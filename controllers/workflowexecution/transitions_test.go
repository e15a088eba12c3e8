package workflowexecution

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	kubernetesexecutionv1 "kubernaut.io/kubernaut/api/kubernetesexecution/v1"
	safetyv1alpha1 "kubernaut.io/kubernaut/api/safety/v1alpha1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/controllers/machinery"
	"kubernaut.io/kubernaut/controllers/rights"
)

// phases are all phases, each with a workflow that has come as far and of which nothing more is known: step a runs or ran, b waits
// for it.
func phases() map[workflowexecutionv1.WorkflowPhase]func(*testing.T) *scenario {
	created := func(t *testing.T) *scenario {
		t.Helper()
		return newScenario(t, scale("a", "x"), scale("b", "y", "a"))
	}
	runs := func(t *testing.T) *scenario {
		t.Helper()
		c := created(t).running()
		return c.ends(0, kubernetesexecutionv1.KubernetesExecutionStatus{Phase: kubernetesexecutionv1.PhaseExecuting})
	}
	ran := func(t *testing.T) *scenario {
		t.Helper()
		c := created(t).running()
		c.ends(0, leftCompleted()).decide()
		c.ends(1, leftCompleted()).decide()
		c.s.targets = make([]targetState, 2)
		for i := range c.s.targets {
			c.s.targets[i].health = shared.Health{Status: shared.HealthInProgress, Message: "not yet"}
		}
		return c
	}
	return map[workflowexecutionv1.WorkflowPhase]func(*testing.T) *scenario{
		"": created,
		workflowexecutionv1.PhasePlanning: func(t *testing.T) *scenario {
			t.Helper()
			c := created(t).suspended(true)
			c.decide()
			return c.suspended(false)
		},
		workflowexecutionv1.PhaseValidating: func(t *testing.T) *scenario {
			t.Helper()
			c := created(t)
			c.decide()
			return c.allowed()
		},
		workflowexecutionv1.PhaseExecuting:  runs,
		workflowexecutionv1.PhaseMonitoring: ran,
		workflowexecutionv1.PhaseRollingBack: func(t *testing.T) *scenario {
			t.Helper()
			c := runs(t)
			c.ends(0, leftFailed(shared.ErrorTimeout, nil)).decide()
			c.decide()
			restores := shared.RollbackName("w", 0, 1)
			c.has(restores, kubernetesexecutionv1.KubernetesExecutionStatus{Phase: kubernetesexecutionv1.PhaseExecuting})
			c.s.executions[restores].Spec.Purpose = kubernetesexecutionv1.PurposeRollBack
			return c
		},
		workflowexecutionv1.PhaseCompleted: func(t *testing.T) *scenario {
			t.Helper()
			c := ran(t)
			c.everyTarget(shared.HealthUnknown)
			c.decide()
			return c
		},
		workflowexecutionv1.PhaseFailed: func(t *testing.T) *scenario {
			t.Helper()
			c := runs(t)
			c.ends(0, leftFailed(shared.ErrorTimeout, new(false))).decide()
			return c
		},
	}
}

func (c *scenario) everyTarget(health shared.HealthStatus) {
	for i := range c.s.targets {
		c.s.targets[i].health = shared.Health{Status: health, Message: "so it is"}
	}
}

// judged makes the gate say so of the first step, while it is judged.
func (c *scenario) judgedAs(verdict shared.Verdict) {
	if len(c.s.steps) > 0 {
		c.s.steps[0].decision.Verdict = verdict
	}
}

// asksByStrategy makes the strategy ask for an approval, and the request, if there is one, reach a phase.
func (c *scenario) asksByStrategy(phase safetyv1alpha1.ApprovalPhase) {
	c.s.workflow.Spec.ExecutionStrategy = &shared.ExecutionStrategy{ApprovalRequired: new(true)}
	if phase == "" || c.s.workflow.Status.Plan == nil {
		return
	}
	digest := decide(c.s, c.now).status.Plan.Digest // that of the plan with this strategy, on the objects that were judged
	c.s.workflow.Status.ApprovalRequests, c.s.workflow.Status.ApprovalRequestRef = 1, "w-approval-1"
	request := &safetyv1alpha1.ApprovalRequest{ObjectMeta: metav1.ObjectMeta{Name: "w-approval-1"}}
	request.Spec.PlanDigest, request.Spec.SummaryDigest, request.Spec.RequiredApprovals = digest, summaryDigest(nil), 1
	request.Status.Phase = phase
	c.s.approval.request = request
}

func (c *scenario) executionsBecome(status kubernetesexecutionv1.KubernetesExecutionStatus) {
	for _, execution := range c.s.executions {
		if !execution.Status.Phase.Terminal() {
			execution.Status = status
		}
	}
}

// observations are all that a decision may come to know.
func observations() map[string]func(*scenario) {
	cancel := func(mode workflowexecutionv1.CancelMode) func(*scenario) {
		return func(c *scenario) { c.cancelledBy(mode) }
	}
	return map[string]func(*scenario){
		"nothing new":                  func(*scenario) {},
		"suspend":                      func(c *scenario) { c.suspended(true) },
		"cancel: FinishStep":           cancel(finishStep),
		"cancel: Abort":                cancel(abort),
		"cancel: AbortAndRollBack":     cancel(andBack),
		"deleted":                      func(c *scenario) { c.deleted() },
		"deleted after a cancel":       func(c *scenario) { c.cancelledBy(andBack).deleted() },
		"the namespace is terminating": func(c *scenario) { c.deleted(); c.s.terminating = true },
		"the time is up":               func(c *scenario) { c.now = c.now.Add(30 * time.Hour) },
		"suspended for too long": func(c *scenario) {
			c.suspended(true)
			c.s.workflow.Status.WaitingSince = new(metav1.NewTime(c.now))
			c.now = c.now.Add(defaultHold)
		},
		"the order of the steps is lost": func(c *scenario) { c.s.graph, c.s.graphError = nil, errors.New("a circle") },
		"a right is missing":             func(c *scenario) { c.s.denials = []rights.Denial{{Who: "anna"}} },
		"a step cannot be prepared": func(c *scenario) {
			if len(c.s.steps) > 0 {
				c.s.steps[0].err = machinery.Typed(shared.ErrorResourceNotFound, errors.New("gone"))
			}
		},
		"the gate denies": func(c *scenario) { c.judgedAs(shared.VerdictDeny) },
		"the gate holds": func(c *scenario) {
			c.judgedAs(shared.VerdictHold)
			c.executionsBecome(holding())
		},
		"the strategy asks for an approval": func(c *scenario) { c.asksByStrategy("") },
		"people have approved":              func(c *scenario) { c.asksByStrategy(safetyv1alpha1.PhaseApproved) },
		"people have rejected":              func(c *scenario) { c.asksByStrategy(safetyv1alpha1.PhaseRejected) },
		"nobody approved in time":           func(c *scenario) { c.asksByStrategy(safetyv1alpha1.PhaseExpired) },
		"it is a dry run":                   func(c *scenario) { c.s.mode = shared.ModeDryRun },
		"another holds a lock":              func(c *scenario) { c.s.locks = &lockState{heldBy: "another"} },
		"the locks were not tried":          func(c *scenario) { c.s.locks = nil },
		"the targets moved each time":       func(c *scenario) { c.s.locks = &lockState{moved: "a field"} },
		"an execution is completed":         func(c *scenario) { c.executionsBecome(leftCompleted()) },
		"an execution failed, with an effect": func(c *scenario) {
			c.executionsBecome(leftFailed(shared.ErrorTimeout, nil))
		},
		"an execution failed, without an effect": func(c *scenario) {
			c.executionsBecome(leftFailed(shared.ErrorPermissionDenied, new(false)))
		},
		"an execution is gone": func(c *scenario) {
			maps.DeleteFunc(c.s.executions, func(string, *kubernetesexecutionv1.KubernetesExecution) bool { return true })
		},
		"somebody else has its name": func(c *scenario) {
			c.s.foreign = map[string]string{}
			for name := range c.s.executions {
				c.s.foreign[name] = "another"
			}
			clear(c.s.executions)
		},
		"the targets are healthy": func(c *scenario) { c.everyTarget(shared.HealthCurrent) },
		"the targets have been healthy for long enough": func(c *scenario) {
			c.everyTarget(shared.HealthCurrent)
			c.s.workflow.Status.HealthySince = new(metav1.NewTime(c.now.Add(-defaultStabilization)))
		},
		"a target is broken":               func(c *scenario) { c.everyTarget(shared.HealthFailed) },
		"nobody can tell whether they are": func(c *scenario) { c.everyTarget(shared.HealthUnknown) },
	}
}

// then says what a decision does, in short: the phase that it leads to, the outcome or the wait, and what it has done.
func (c *scenario) then() string {
	status := c.last.status
	parts := []string{string(status.Phase)}
	if c.last.release {
		parts = append(parts, "let go")
	}
	if status.Outcome != "" {
		parts = append(parts, string(status.Outcome))
	}
	if status.ErrorType != "" && status.ErrorType != c.s.workflow.Status.ErrorType {
		parts = append(parts, string(status.ErrorType))
	}
	if status.WaitingSince != nil {
		parts = append(parts, "waits")
	}
	if c.last.lock {
		parts = append(parts, "locks")
	}
	if len(c.last.cancel) > 0 {
		parts = append(parts, "cancels "+strings.Join(c.last.cancel, " "))
	}
	if made := c.made(); made != "" {
		parts = append(parts, "makes "+made)
	}
	if c.last.asks != nil {
		parts = append(parts, "asks "+status.ApprovalRequestRef)
	}
	if c.last.remove {
		parts = append(parts, "deletes itself")
	}
	return strings.Join(parts, ", ")
}

// TestEveryObservationInEveryPhase: whatever comes to be known in whatever phase, what follows is written down once, and the table
// of transitions allows it.
func TestEveryObservationInEveryPhase(t *testing.T) {
	rows := transitionRows()
	for phase, reach := range phases() {
		for observation, apply := range observations() {
			t.Run(fmt.Sprintf("%s: %s", phase, observation), func(t *testing.T) {
				c := reach(t)
				if c.s.workflow.Status.Phase != phase {
					t.Fatalf("the workflow is %s", c.s.workflow.Status.Phase)
				}
				apply(c)
				before := c.s.workflow.Status.Phase
				c.last = decide(c.s, c.now)
				if err := transitions().Check(before, c.last.status.Phase); err != nil {
					t.Fatal(err)
				}
				got := c.then()
				var want []string
				for then, observed := range rows[phase] {
					if slices.Contains(observed, observation) {
						want = append(want, then)
					}
				}
				if len(want) != 1 || got != want[0] {
					t.Errorf("got %q, the rows want %q", got, want)
				}
			})
		}
	}
	known := slices.Collect(maps.Keys(observations()))
	for phase, row := range rows {
		for then, observed := range row {
			for _, observation := range observed {
				if phases()[phase] == nil || !slices.Contains(known, observation) {
					t.Errorf("a row is about nothing: %s: %s: %s", phase, observation, then)
				}
			}
		}
	}
	if got, want := len(phases()), len(transitions()); got != want {
		t.Errorf("%d phases are looked at, the table of transitions has %d", got, want)
	}
}

// transitionRows says for every phase what follows from which observations.
func transitionRows() map[workflowexecutionv1.WorkflowPhase]map[string][]string {
	return map[workflowexecutionv1.WorkflowPhase]map[string][]string{
		"": {
			"validating": {
				"a right is missing", "a step cannot be prepared", "a target is broken", "an execution failed, with an effect",
				"an execution failed, without an effect", "an execution is completed", "an execution is gone", "another holds a lock",
				"it is a dry run", "nobody can tell whether they are", "nothing new", "the strategy asks for an approval", "people have approved", "people have rejected", "nobody approved in time", "somebody else has its name", "the gate denies",
				"the gate holds", "the locks were not tried", "the targets are healthy", "the targets have been healthy for long enough",
				"the targets moved each time", "the time is up",
			},
			"failed, Cancelled, cancelled": {
				"cancel: Abort", "cancel: AbortAndRollBack", "cancel: FinishStep",
			},
			", let go": {
				"deleted after a cancel", "deleted", "the namespace is terminating",
			},
			"failed, Failed, validation_error": {"the order of the steps is lost"},
			"planning, waits":                  {"suspend"},
			"failed, Failed, timeout":          {"suspended for too long"},
		},
		workflowexecutionv1.PhasePlanning: {
			"validating": {
				"a right is missing", "a step cannot be prepared", "a target is broken", "an execution failed, with an effect",
				"an execution failed, without an effect", "an execution is completed", "an execution is gone", "another holds a lock",
				"it is a dry run", "nobody can tell whether they are", "nothing new", "the strategy asks for an approval", "people have approved", "people have rejected", "nobody approved in time", "somebody else has its name", "the gate denies",
				"the gate holds", "the locks were not tried", "the targets are healthy", "the targets have been healthy for long enough",
				"the targets moved each time", "the time is up",
			},
			"failed, Cancelled, cancelled": {
				"cancel: Abort", "cancel: AbortAndRollBack", "cancel: FinishStep",
			},
			"planning, let go, waits": {
				"deleted after a cancel", "deleted", "the namespace is terminating",
			},
			"planning, waits":                  {"suspend"},
			"failed, Failed, timeout":          {"suspended for too long"},
			"failed, Failed, validation_error": {"the order of the steps is lost"},
		},
		workflowexecutionv1.PhaseValidating: {
			"executing, makes w-s0-a1": {
				"a target is broken", "an execution failed, with an effect", "an execution failed, without an effect",
				"an execution is completed", "an execution is gone", "nobody can tell whether they are", "nothing new", "people have approved",
				"somebody else has its name", "the targets are healthy", "the targets have been healthy for long enough",
			},
			"failed, Cancelled, cancelled": {
				"cancel: Abort", "cancel: AbortAndRollBack", "cancel: FinishStep",
			},
			"validating, let go": {
				"deleted after a cancel", "deleted", "the namespace is terminating",
			},
			"failed, Failed, timeout":              {"suspended for too long", "the time is up"},
			"validating, waits":                    {"suspend", "the gate holds"},
			"failed, Failed, validation_error":     {"the order of the steps is lost"},
			"failed, Failed, policy_denied":        {"the gate denies"},
			"validating":                           {"another holds a lock"},
			"failed, Failed, resource_conflict":    {"the targets moved each time"},
			"validating, locks":                    {"the locks were not tried"},
			"failed, Failed, resource_not_found":   {"a step cannot be prepared"},
			"failed, Failed, permission_denied":    {"a right is missing"},
			"completed, DryRun":                    {"it is a dry run"},
			"validating, waits, asks w-approval-1": {"the strategy asks for an approval"},
			"failed, Failed, approval_rejected":    {"people have rejected"},
			"failed, Failed, approval_expired":     {"nobody approved in time"},
		},
		workflowexecutionv1.PhaseExecuting: {
			"executing": {
				"a right is missing", "a step cannot be prepared", "a target is broken", "another holds a lock", "it is a dry run",
				"nobody can tell whether they are", "nothing new", "the strategy asks for an approval", "people have approved", "people have rejected", "nobody approved in time", "the gate denies", "the locks were not tried",
				"the targets are healthy", "the targets have been healthy for long enough", "the targets moved each time",
			},
			"executing, cancelled, cancels w-s0-a1": {
				"cancel: Abort", "cancel: AbortAndRollBack", "deleted after a cancel", "deleted", "the namespace is terminating",
			},
			"rolling_back, timeout": {
				"an execution failed, with an effect", "suspended for too long", "the time is up",
			},
			"executing, waits":                  {"suspend", "the gate holds"},
			"failed, Failed, resource_conflict": {"somebody else has its name"},
			"rolling_back, validation_error":    {"the order of the steps is lost"},
			"executing, makes w-s0-a1":          {"an execution is gone"},
			"executing, cancelled":              {"cancel: FinishStep"},
			"executing, makes w-s1-a1":          {"an execution is completed"},
			"failed, Failed, permission_denied": {"an execution failed, without an effect"},
		},
		workflowexecutionv1.PhaseMonitoring: {
			"monitoring": {
				"a right is missing", "a step cannot be prepared", "a target is broken", "an execution failed, with an effect",
				"an execution failed, without an effect", "an execution is completed", "an execution is gone", "another holds a lock",
				"it is a dry run", "nothing new", "the strategy asks for an approval", "people have approved", "people have rejected", "nobody approved in time", "somebody else has its name", "suspend", "the gate denies", "the gate holds",
				"the locks were not tried", "the order of the steps is lost", "the targets are healthy", "the targets moved each time",
			},
			"failed, Cancelled, cancelled": {
				"cancel: Abort", "cancel: FinishStep", "deleted", "the namespace is terminating",
			},
			"rolling_back, cancelled":   {"cancel: AbortAndRollBack", "deleted after a cancel"},
			"rolling_back, ineffective": {"suspended for too long", "the time is up"},
			"completed, Success":        {"the targets have been healthy for long enough"},
			"completed, Unverified":     {"nobody can tell whether they are"},
		},
		workflowexecutionv1.PhaseRollingBack: {
			"rolling_back": {
				"a right is missing", "a step cannot be prepared", "a target is broken", "another holds a lock", "cancel: Abort",
				"cancel: AbortAndRollBack", "cancel: FinishStep", "deleted after a cancel", "deleted", "it is a dry run",
				"nobody can tell whether they are", "nothing new", "the strategy asks for an approval", "people have approved", "people have rejected", "nobody approved in time", "suspend", "the gate denies", "the gate holds",
				"the locks were not tried", "the namespace is terminating", "the targets are healthy",
				"the targets have been healthy for long enough", "the targets moved each time",
			},
			"failed, RollbackFailed": {
				"an execution failed, with an effect", "an execution failed, without an effect", "an execution is gone",
				"the order of the steps is lost",
			},
			"failed, RollbackFailed, cancels w-s0-r1": {"suspended for too long", "the time is up"},
			"failed, Failed":     {"somebody else has its name"},
			"failed, RolledBack": {"an execution is completed"},
		},
		workflowexecutionv1.PhaseCompleted: {
			"completed, Unverified": {
				"a right is missing", "a step cannot be prepared", "a target is broken", "an execution failed, with an effect",
				"an execution failed, without an effect", "an execution is completed", "an execution is gone", "another holds a lock",
				"cancel: Abort", "cancel: AbortAndRollBack", "cancel: FinishStep", "it is a dry run", "nobody can tell whether they are",
				"nothing new", "the strategy asks for an approval", "people have approved", "people have rejected", "nobody approved in time", "somebody else has its name", "suspend", "the gate denies", "the gate holds", "the locks were not tried",
				"the order of the steps is lost", "the targets are healthy", "the targets have been healthy for long enough",
				"the targets moved each time",
			},
			"completed, let go, Unverified": {
				"deleted after a cancel", "deleted", "the namespace is terminating",
			},
			"completed, Unverified, waits, deletes itself": {"suspended for too long"},
			"completed, Unverified, deletes itself":        {"the time is up"},
		},
		workflowexecutionv1.PhaseFailed: {
			"failed, Failed": {
				"a right is missing", "a step cannot be prepared", "a target is broken", "an execution failed, with an effect",
				"an execution failed, without an effect", "an execution is completed", "an execution is gone", "another holds a lock",
				"cancel: Abort", "cancel: AbortAndRollBack", "cancel: FinishStep", "it is a dry run", "nobody can tell whether they are",
				"nothing new", "the strategy asks for an approval", "people have approved", "people have rejected", "nobody approved in time", "somebody else has its name", "suspend", "the gate denies", "the gate holds", "the locks were not tried",
				"the order of the steps is lost", "the targets are healthy", "the targets have been healthy for long enough",
				"the targets moved each time",
			},
			"failed, let go, Failed": {
				"deleted after a cancel", "deleted", "the namespace is terminating",
			},
			"failed, Failed, deletes itself":        {"the time is up"},
			"failed, Failed, waits, deletes itself": {"suspended for too long"},
		},
	}
}

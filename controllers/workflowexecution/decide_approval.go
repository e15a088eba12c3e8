package workflowexecution

import (
	"fmt"
	"slices"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	safetyv1alpha1 "kubernaut.io/kubernaut/api/safety/v1alpha1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/controllers/approvalrequest"
	"kubernaut.io/kubernaut/controllers/machinery"
)

// The bounds of an ApprovalRequest, and of how many a workflow makes.
const (
	maxSummary = 200
	maxReasons = 64
	maxValue   = 512
	// maxApprovalRequests is how often what is to be approved may change.
	maxApprovalRequests = 8
	defaultApproval     = time.Hour
)

// approvalState is the ApprovalRequest that a workflow's status names, read live.
type approvalState struct {
	// request is nil when there is none of that name.
	request *safetyv1alpha1.ApprovalRequest
	// foreign says whose the object of that name is, when it is not the workflow's.
	foreign string
}

// refused is the request when people have refused it, or let it expire: then nothing needs to be judged any more.
func (a approvalState) refused() bool {
	return a.request != nil && (a.request.Status.Phase == safetyv1alpha1.PhaseRejected || a.request.Status.Phase == safetyv1alpha1.PhaseExpired)
}

// wanted is what people are asked for; nil when nobody asks.
type wanted struct {
	reasons       []safetyv1alpha1.ApprovalReason
	approvers     int32
	summaryDigest string
}

// approvalRequired says that the strategy asks for approval, whatever the policies say.
func approvalRequired(strategy *shared.ExecutionStrategy) bool {
	return strategy != nil && strategy.ApprovalRequired != nil && *strategy.ApprovalRequired
}

// wants is what the strategy and the safety gate ask for: the largest number of people of all.
func (d *decider) wants() *wanted {
	decisions := make([]shared.Decision, len(d.steps))
	for i := range d.steps {
		decisions[i] = d.steps[i].decision
	}
	w := &wanted{}
	w.reasons, w.approvers = approvalrequest.Asked(decisions...)
	if approvalRequired(d.workflow.Spec.ExecutionStrategy) {
		w.approvers = max(w.approvers, 1)
	}
	if w.approvers == 0 {
		return nil
	}
	w.summaryDigest = summaryDigest(d.changes())
	return w
}

// changes are all that the steps would change, in their order.
func (d *decider) changes() []workflowexecutionv1.StepChange {
	var changes []workflowexecutionv1.StepChange
	for i := range d.steps {
		for _, change := range d.steps[i].preparation.Shown() {
			changes = append(changes, workflowexecutionv1.StepChange{Index: int32(i), FieldChange: change})
		}
	}
	return changes
}

// approved says whether the workflow may go on: nobody asks for approval, or people have approved exactly what is asked for now.
// Otherwise it asks, waits, or fails.
func (d *decider) approved() bool {
	want := d.wants()
	if want == nil {
		d.withdraw()
		return true
	}
	if d.approval.foreign != "" {
		d.fail(noStep, shared.ErrorResourceConflict, fmt.Sprintf("ApprovalRequest %s exists and its controller is %s; delete it and start the workflow again",
			d.status.ApprovalRequestRef, d.approval.foreign))
		return false
	}
	request := d.approval.request
	why := ""
	if request != nil {
		why = d.changedSince(request, want)
	}
	switch {
	case d.status.ApprovalRequestRef == "":
		d.request(want, "")
	case request == nil && !d.now.Time.Before(d.expiry()):
		d.unapproved(shared.ErrorApprovalExpired, ReasonApprovalExpired, fmt.Sprintf("ApprovalRequest %s was not there when its time was over", d.status.ApprovalRequestRef))
	case request == nil:
		d.ask(want) // announced, and not made before a crash, or deleted
	case why != "":
		d.request(want, why)
	case request.Status.Phase == safetyv1alpha1.PhaseApproved:
		return d.goOn(request)
	default:
		d.await(request.Spec.Reasons, request.Spec.RequiredApprovals, "")
	}
	return false
}

// refusedByPeople fails a workflow whose request was rejected or has expired, and says whether it does.
func (d *decider) refusedByPeople() bool {
	if !d.approval.refused() {
		return false
	}
	request := d.approval.request
	message := fmt.Sprintf("ApprovalRequest %s is %s", request.Name, request.Status.Phase)
	if ready := meta.FindStatusCondition(request.Status.Conditions, shared.ConditionReady); ready != nil {
		message += ": " + ready.Message
	}
	if request.Status.Phase == safetyv1alpha1.PhaseRejected {
		d.unapproved(shared.ErrorApprovalRejected, ReasonApprovalRejected, message)
	} else {
		d.unapproved(shared.ErrorApprovalExpired, ReasonApprovalExpired, message)
	}
	return true
}

// unapproved ends the workflow; to blame is the first step for which a policy asked for the approval, if any.
func (d *decider) unapproved(errorType shared.ErrorType, reason, message string) {
	step := noStep
	if recorded := d.status.Validation; recorded != nil {
		step = slices.IndexFunc(recorded.Decisions, func(s workflowexecutionv1.StepDecision) bool { return s.Verdict == shared.VerdictRequireApproval })
	}
	d.conditions.False(workflowexecutionv1.ConditionApproved, reason, message)
	d.fail(step, errorType, message)
}

// changedSince says why a request is not about what is asked for now; empty when it is. A pending one must ask for the same; one that
// was approved must cover it.
func (d *decider) changedSince(request *safetyv1alpha1.ApprovalRequest, want *wanted) string {
	switch {
	case request.Status.Phase == safetyv1alpha1.PhaseVoid:
		return "it is void"
	case request.Spec.PlanDigest != d.status.Plan.Digest:
		return "the plan is another one"
	case request.Spec.SummaryDigest != want.summaryDigest:
		return "the steps would change something else now"
	}
	if why := approvalrequest.Lacks(request, want.reasons, want.approvers); why != "" {
		return why
	}
	if request.Status.Phase != safetyv1alpha1.PhaseApproved && len(request.Spec.Reasons) != len(want.reasons) {
		return "fewer reasons ask for it now"
	}
	return ""
}

// request announces a new ApprovalRequest, which has a time of its own, and has it made.
func (d *decider) request(want *wanted, why string) {
	if d.status.ApprovalRequests >= maxApprovalRequests {
		message := fmt.Sprintf("what is to be approved has changed %d times, at last because of ApprovalRequest %s: %s", d.status.ApprovalRequests, d.status.ApprovalRequestRef, why)
		d.conditions.False(workflowexecutionv1.ConditionApproved, ReasonApprovalVoid, message)
		d.fail(noStep, shared.ErrorResourceConflict, message)
		return
	}
	if problem := d.unshowable(want); problem != "" {
		d.conditions.False(workflowexecutionv1.ConditionApproved, ReasonNotApprovable, problem)
		d.fail(noStep, shared.ErrorValidation, problem)
		return
	}
	before := d.status.ApprovalRequestRef
	d.resume()
	d.status.ApprovalRequests++
	d.status.ApprovalRequestRef = shared.ApprovalName(d.workflow.Name, d.status.ApprovalRequests)
	if before != "" {
		why = fmt.Sprintf("ApprovalRequest %s is void: %s", before, why)
	}
	d.await(want.reasons, want.approvers, why)
	d.make(want)
}

// ask has an announced request made.
func (d *decider) ask(want *wanted) {
	d.await(want.reasons, want.approvers, "")
	d.make(want)
}

// unshowable says why nobody could be shown what they approve.
func (d *decider) unshowable(want *wanted) string {
	switch {
	case len(d.summary()) > maxSummary:
		return fmt.Sprintf("an approval shows at most %d fields that change, and this workflow changes more: split it", maxSummary)
	case len(want.reasons) > maxReasons:
		return fmt.Sprintf("an approval names at most %d reasons, and the policies give more: split the workflow", maxReasons)
	}
	return ""
}

// make has the request made that the status names.
func (d *decider) make(want *wanted) {
	d.asks = &safetyv1alpha1.ApprovalRequestSpec{
		WorkflowExecutionRef: shared.ObjectReference{Name: d.workflow.Name, UID: d.workflow.UID},
		PlanDigest:           d.status.Plan.Digest,
		SummaryDigest:        want.summaryDigest,
		Summary:              d.summary(),
		Reasons:              want.reasons,
		RequestedBy:          *d.workflow.Spec.RequestedBy.DeepCopy(),
		RequiredApprovals:    want.approvers,
		ExpiresAt:            metav1.NewTime(d.expiry()),
	}
}

// expiry is until when decisions count: from when the workflow began to wait for them.
func (d *decider) expiry() time.Time {
	since := d.now.Time
	if d.status.WaitingSince != nil {
		since = d.status.WaitingSince.Time
	}
	return since.Add(approvalLimit(d.workflow))
}

// approvalLimit is how long people have to approve.
func approvalLimit(workflow *workflowexecutionv1.WorkflowExecution) time.Duration {
	if workflow.Spec.Timeouts == nil {
		return defaultApproval
	}
	return duration(workflow.Spec.Timeouts.Approval, defaultApproval)
}

// summary is what people are shown: each field of each step, a step that changes no field by its name and target alone, and a
// rollbackAction by what it is and its target: what it changes is not known before it runs.
func (d *decider) summary() []safetyv1alpha1.SummaryEntry {
	var entries []safetyv1alpha1.SummaryEntry
	definitions := d.definitions()
	for i := range d.steps {
		entry := safetyv1alpha1.SummaryEntry{Step: definitions[i].Name, Target: targetOf(&definitions[i].Action)}
		shown := d.steps[i].preparation.Shown()
		if len(shown) == 0 {
			entries = append(entries, entry)
		}
		for _, change := range shown {
			entry.Field, entry.Before, entry.After = change.Path, valueText(change.Before), valueText(change.After)
			entries = append(entries, entry)
		}
		if byAction(&definitions[i]) {
			entries = append(entries, safetyv1alpha1.SummaryEntry{
				Step: definitions[i].Name, Target: targetOf(definitions[i].RollbackAction),
				After: fmt.Sprintf("%q", "if it is undone: rollbackAction "+string(definitions[i].RollbackAction.Type)),
			})
		}
	}
	return entries
}

func valueText(value *apiextensionsv1.JSON) string {
	if value == nil {
		return ""
	}
	return machinery.Cut(string(value.Raw), maxValue)
}

// await says that the workflow waits for people. It holds no locks meanwhile, and its phase's limit does not count it.
func (d *decider) await(reasons []safetyv1alpha1.ApprovalReason, approvers int32, why string) {
	d.beginToWait()
	if meta.IsStatusConditionTrue(d.status.Conditions, workflowexecutionv1.ConditionSuspended) {
		d.conditions.False(workflowexecutionv1.ConditionSuspended, ReasonResumed, "the workflow waits for an approval only")
	}
	message := fmt.Sprintf("ApprovalRequest %s needs the approval of %d", d.status.ApprovalRequestRef, approvers)
	if approvers == 1 {
		message = fmt.Sprintf("ApprovalRequest %s needs somebody's approval", d.status.ApprovalRequestRef)
	}
	if len(reasons) > 0 {
		message += ", because of " + approvalrequest.ReasonsText(reasons)
	} else {
		message += ", because executionStrategy.approvalRequired is true"
	}
	if why == "" {
		if current := meta.FindStatusCondition(d.status.Conditions, workflowexecutionv1.ConditionApproved); current != nil &&
			current.Reason == ReasonAwaitingApproval && d.workflow.Status.ApprovalRequestRef == d.status.ApprovalRequestRef {
			message = current.Message // it says why there is another request
		}
	} else {
		message += "; " + why
	}
	if len(reasons) > 0 {
		d.conditions.False(workflowexecutionv1.ConditionValidated, ReasonApprovalRequired, "the safety gate lets the steps run once people have approved them")
	} else {
		d.conditions.True(workflowexecutionv1.ConditionValidated, ReasonAllowed, everyStepAllowed)
	}
	d.conditions.False(workflowexecutionv1.ConditionApproved, ReasonAwaitingApproval, message)
	d.conditions.Progressing(ReasonAwaitingApproval, message)
	if expiry := d.expiry(); d.now.Time.Before(expiry) {
		d.wakeAt = machinery.Earliest(d.wakeAt, expiry)
	}
}

// goOn records who approved.
func (d *decider) goOn(request *safetyv1alpha1.ApprovalRequest) bool {
	message := "ApprovalRequest " + request.Name
	if ready := meta.FindStatusCondition(request.Status.Conditions, shared.ConditionReady); ready != nil {
		message += " was " + ready.Message
	}
	d.conditions.True(workflowexecutionv1.ConditionApproved, ReasonApproved, message)
	return true
}

// withdraw ends the waiting for a request that nobody asks for any more: the request becomes void.
func (d *decider) withdraw() {
	if d.status.ApprovalRequestRef == "" {
		return
	}
	d.status.ApprovalRequestRef = ""
	d.conditions.True(workflowexecutionv1.ConditionApproved, ReasonNotRequired, "no policy asks for an approval any more")
}

// awaitsApproval says that a workflow waits for people to approve.
func awaitsApproval(workflow *workflowexecutionv1.WorkflowExecution) bool {
	condition := meta.FindStatusCondition(workflow.Status.Conditions, workflowexecutionv1.ConditionApproved)
	return workflow.Status.Phase == workflowexecutionv1.PhaseValidating && workflow.Status.WaitingSince != nil &&
		condition != nil && condition.Reason == ReasonAwaitingApproval
}

// sameApproval says that the workflow waits for people as it was recorded last: judged by the same policies, to the same end.
func (d *decider) sameApproval() bool {
	recorded, request := d.status.Validation, d.approval.request
	if !awaitsApproval(d.workflow) || recorded == nil || request == nil || request.Status.Phase == safetyv1alpha1.PhaseApproved {
		return false
	}
	want := d.wants()
	return want != nil && recorded.PolicySetRevision == d.steps[0].decision.PolicySetRevision && d.changedSince(request, want) == ""
}

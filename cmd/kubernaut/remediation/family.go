package remediation

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	aianalysisv1 "kubernaut.io/kubernaut/api/aianalysis/v1"
	kubernetesexecutionv1 "kubernaut.io/kubernaut/api/kubernetesexecution/v1"
	remediationv1 "kubernaut.io/kubernaut/api/remediation/v1"
	remediationprocessingv1 "kubernaut.io/kubernaut/api/remediationprocessing/v1"
	safetyv1alpha1 "kubernaut.io/kubernaut/api/safety/v1alpha1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
)

// family is one remediation with everything that was made for it; for a workflow that is looked at alone there is no request. The
// children of a kind are in the order in which they were made.
type family struct {
	request     *remediationv1.RemediationRequest
	processings []remediationprocessingv1.RemediationProcessing
	analyses    []aianalysisv1.AIAnalysis
	workflows   []workflowexecutionv1.WorkflowExecution
	executions  []kubernetesexecutionv1.KubernetesExecution
	approvals   []safetyv1alpha1.ApprovalRequest
	// undoing is the workflow that undoes the one that is looked at alone; nil without one.
	undoing *workflowexecutionv1.WorkflowExecution
	events  []eventsv1.Event
	// unread says what could not be read, and why.
	unread []string
}

// root is what the family was asked by.
func (f *family) root() client.Object {
	if f.request != nil {
		return f.request
	}
	return &f.workflows[0]
}

// objects are all members, owners first.
func (f *family) objects() []client.Object {
	var objects []client.Object
	if f.request != nil {
		objects = append(objects, f.request)
	}
	for i := range f.processings {
		objects = append(objects, &f.processings[i])
	}
	for i := range f.analyses {
		objects = append(objects, &f.analyses[i])
	}
	for i := range f.workflows {
		objects = append(objects, &f.workflows[i])
	}
	for i := range f.approvals {
		objects = append(objects, &f.approvals[i])
	}
	for i := range f.executions {
		objects = append(objects, &f.executions[i])
	}
	return objects
}

// executionsOf are the executions of a workflow's step, those that undo it last.
func (f *family) executionsOf(w *workflowexecutionv1.WorkflowExecution, step int32) []*kubernetesexecutionv1.KubernetesExecution {
	var found []*kubernetesexecutionv1.KubernetesExecution
	for i := range f.executions {
		e := &f.executions[i]
		if e.Spec.WorkflowExecutionRef.UID == w.UID && e.Spec.StepIndex == step {
			found = append(found, e)
		}
	}
	slices.SortStableFunc(found, func(a, b *kubernetesexecutionv1.KubernetesExecution) int {
		return cmp.Or(cmp.Compare(a.Spec.Purpose, b.Spec.Purpose), cmp.Compare(a.Spec.Attempt, b.Spec.Attempt))
	})
	return found
}

func (f *family) approvalsOf(w *workflowexecutionv1.WorkflowExecution) []*safetyv1alpha1.ApprovalRequest {
	var found []*safetyv1alpha1.ApprovalRequest
	for i := range f.approvals {
		if f.approvals[i].Spec.WorkflowExecutionRef.UID == w.UID {
			found = append(found, &f.approvals[i])
		}
	}
	return found
}

// finished says whether nothing more happens to the root, and whether it ended well.
func (f *family) finished() (over, well bool) {
	switch root := f.root().(type) {
	case *remediationv1.RemediationRequest:
		return root.Status.OverallPhase.Terminal(), root.Status.OverallPhase == remediationv1.PhaseCompleted
	case *workflowexecutionv1.WorkflowExecution:
		return root.Status.Phase.Terminal(), root.Status.Phase == workflowexecutionv1.PhaseCompleted
	default:
		return false, false
	}
}

// gather reads a family. What may not be read beside the root itself is left out and said.
func gather(ctx context.Context, reader client.Reader, root client.Object) (*family, error) {
	key := client.ObjectKeyFromObject(root)
	g := gathering{ctx: ctx, reader: reader, namespace: key.Namespace}
	switch root.(type) {
	case *remediationv1.RemediationRequest:
		g.request = &remediationv1.RemediationRequest{}
		if err := reader.Get(ctx, key, g.request); err != nil {
			return nil, err
		}
		g.label(shared.LabelRemediationRequest, key.Name)
		g.belowRequest()
	case *workflowexecutionv1.WorkflowExecution:
		var alone workflowexecutionv1.WorkflowExecution
		if err := reader.Get(ctx, key, &alone); err != nil {
			return nil, err
		}
		g.workflows = []workflowexecutionv1.WorkflowExecution{alone}
		g.label(shared.LabelWorkflowExecution, key.Name)
		g.undone(&alone)
	default:
		return nil, fmt.Errorf("%T is no remediation", root)
	}
	g.belowWorkflows()
	g.readEvents()
	if g.err != nil {
		return nil, g.err
	}
	return &g.family, nil
}

// gathering reads the kinds of a family one after the other; the first error ends it.
type gathering struct {
	family

	ctx       context.Context
	reader    client.Reader
	namespace string
	labels    client.MatchingLabels
	err       error
}

func (g *gathering) label(key, name string) {
	g.labels = client.MatchingLabels{key: shared.Bounded(name)}
}

// read lists one kind; what is forbidden is left out.
func (g *gathering) read(what string, list client.ObjectList, options ...client.ListOption) bool {
	if g.err != nil {
		return false
	}
	err := g.reader.List(g.ctx, list, append(options, client.InNamespace(g.namespace))...)
	if apierrors.IsForbidden(err) {
		g.unread = append(g.unread, fmt.Sprintf("%s are left out: %v", what, err))
		return false
	}
	g.err = err
	return err == nil
}

func (g *gathering) belowRequest() {
	uid := g.request.UID
	var processings remediationprocessingv1.RemediationProcessingList
	if g.read("RemediationProcessings", &processings, g.labels) {
		g.processings = keep(processings.Items, func(o *remediationprocessingv1.RemediationProcessing) bool {
			return o.Spec.RemediationRequestRef.UID == uid
		})
	}
	var analyses aianalysisv1.AIAnalysisList
	if g.read("AIAnalyses", &analyses, g.labels) {
		g.analyses = keep(analyses.Items, func(o *aianalysisv1.AIAnalysis) bool { return o.Spec.RemediationRequestRef.UID == uid })
	}
	var workflows workflowexecutionv1.WorkflowExecutionList
	if g.read("WorkflowExecutions", &workflows, g.labels) {
		g.workflows = keep(workflows.Items, func(o *workflowexecutionv1.WorkflowExecution) bool {
			return o.Spec.RemediationRequestRef != nil && o.Spec.RemediationRequestRef.UID == uid
		})
	}
}

func (g *gathering) belowWorkflows() {
	mine := map[types.UID]bool{}
	for i := range g.workflows {
		mine[g.workflows[i].UID] = true
	}
	var executions kubernetesexecutionv1.KubernetesExecutionList
	if g.read("KubernetesExecutions", &executions, g.labels) {
		g.executions = keep(executions.Items, func(o *kubernetesexecutionv1.KubernetesExecution) bool { return mine[o.Spec.WorkflowExecutionRef.UID] })
	}
	var approvals safetyv1alpha1.ApprovalRequestList
	if g.read("ApprovalRequests", &approvals) {
		g.approvals = keep(approvals.Items, func(o *safetyv1alpha1.ApprovalRequest) bool { return mine[o.Spec.WorkflowExecutionRef.UID] })
	}
}

// undone finds the workflow that undoes another one, by the name that rollback gives it.
func (g *gathering) undone(of *workflowexecutionv1.WorkflowExecution) {
	var found workflowexecutionv1.WorkflowExecution
	err := g.reader.Get(g.ctx, client.ObjectKey{Namespace: g.namespace, Name: undoName(of.Name)}, &found)
	if err == nil && found.Spec.RollbackOf != nil && found.Spec.RollbackOf.UID == of.UID {
		g.undoing = &found
	}
	if client.IgnoreNotFound(err) != nil {
		g.err = err
	}
}

func (g *gathering) readEvents() {
	var events eventsv1.EventList
	if !g.read("events", &events) {
		return
	}
	mine := map[types.UID]bool{}
	for _, object := range g.objects() {
		mine[object.GetUID()] = true
	}
	g.events = slices.DeleteFunc(events.Items, func(event eventsv1.Event) bool { return !mine[event.Regarding.UID] })
	slices.SortStableFunc(g.events, func(a, b eventsv1.Event) int {
		return cmp.Or(eventTime(&a).Compare(eventTime(&b)), cmp.Compare(a.Name, b.Name))
	})
}

// eventTime is when an event happened: events of the old form have another field for it.
func eventTime(event *eventsv1.Event) time.Time {
	if !event.EventTime.IsZero() {
		return event.EventTime.Time
	}
	if !event.DeprecatedLastTimestamp.IsZero() {
		return event.DeprecatedLastTimestamp.Time
	}
	return event.CreationTimestamp.Time
}

// keep keeps what belongs to the family, in the order in which it was made.
func keep[T any, P interface {
	*T
	client.Object
}](items []T, mine func(*T) bool) []T {
	kept := slices.DeleteFunc(items, func(item T) bool { return !mine(&item) })
	slices.SortStableFunc(kept, func(a, b T) int {
		x, y := P(&a), P(&b)
		return cmp.Or(x.GetCreationTimestamp().Compare(y.GetCreationTimestamp().Time), cmp.Compare(x.GetName(), y.GetName()))
	})
	return kept
}

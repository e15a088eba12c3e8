package remediation

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	remediationv1 "kubernaut.io/kubernaut/api/remediation/v1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/cmd/kubernaut/terminal"
)

// fieldOwner is who wrote, as managedFields show it.
const fieldOwner = client.FieldOwner("kubernaut-cli")

// undoName is the name of the workflow that undoes another one: doing it twice finds the first.
func undoName(workflow string) string { return shared.ChildName(workflow, "undo") }

// cancelModes from the mildest to the hardest.
func cancelModes() []workflowexecutionv1.CancelMode {
	return []workflowexecutionv1.CancelMode{workflowexecutionv1.CancelFinishStep, workflowexecutionv1.CancelAbort, workflowexecutionv1.CancelAbortAndRollBack}
}

// cancelMode is the mode that was asked for. A request has one only: its workflow is aborted and what it did is undone.
func cancelMode(object client.Object, asked string) (workflowexecutionv1.CancelMode, error) {
	mode := workflowexecutionv1.CancelMode(asked)
	if kindOf(object) == request {
		if asked != "" && mode != workflowexecutionv1.CancelAbortAndRollBack {
			return "", terminal.Usagef("--mode: a RemediationRequest is always cancelled with %s; to stop its workflow in another way, cancel that", workflowexecutionv1.CancelAbortAndRollBack)
		}
		return workflowexecutionv1.CancelAbortAndRollBack, nil
	}
	if asked == "" {
		return workflowexecutionv1.CancelFinishStep, nil
	}
	if !slices.Contains(cancelModes(), mode) {
		names := make([]string, 0, len(cancelModes()))
		for _, known := range cancelModes() {
			names = append(names, string(known))
		}
		return "", terminal.Usagef("--mode: %q is not one of %s%s", asked, strings.Join(names, ", "), terminal.DidYouMean(asked, names))
	}
	return mode, nil
}

// cancelText is what a cancellation does from here on.
func cancelText(object client.Object, mode workflowexecutionv1.CancelMode) string {
	name := short(object)
	if kindOf(object) == request {
		return fmt.Sprintf("%s is being cancelled: its workflow makes no further write, and what it did is undone", name)
	}
	switch mode {
	case workflowexecutionv1.CancelAbort:
		return fmt.Sprintf("%s is being cancelled: no write that has not begun is made, and what was done stays", name)
	case workflowexecutionv1.CancelAbortAndRollBack:
		return fmt.Sprintf("%s is being cancelled: no write that has not begun is made, and what was done is undone", name)
	default:
		return fmt.Sprintf("%s is being cancelled: the steps that run finish, no other one starts, and what was done stays", name)
	}
}

// unfinished refuses to stop what is over.
func unfinished(object client.Object, verb string) error {
	phase, outcome, over := "", "", false
	switch o := object.(type) {
	case *remediationv1.RemediationRequest:
		phase, outcome, over = string(o.Status.OverallPhase), string(o.Status.Outcome), o.Status.OverallPhase.Terminal()
	case *workflowexecutionv1.WorkflowExecution:
		phase, outcome, over = string(o.Status.Phase), string(o.Status.Outcome), o.Status.Phase.Terminal()
	}
	if !over {
		return nil
	}
	text := fmt.Sprintf("%s is over (%s: %s): there is nothing to %s", short(object), phase, outcome, verb)
	if kindOf(object) == workflow && verb == "cancel" {
		text += fmt.Sprintf("; kubernaut rollback %s undoes what it did", short(object))
	}
	return terminal.Usagef("%s", text)
}

// cancel asks for the end of a request or workflow.
func cancel(ctx context.Context, c client.Client, object client.Object, asked string) (string, error) {
	mode, err := cancelMode(object, asked)
	if err != nil {
		return "", err
	}
	if err := unfinished(object, "cancel"); err != nil {
		return "", err
	}
	value := any(true)
	if kindOf(object) == workflow {
		value = mode
	}
	if err := patchSpec(ctx, c, object, "cancel", value); err != nil {
		return "", err
	}
	return cancelText(object, mode), nil
}

// patchSpec sets one field of the spec of the very object that was read.
func patchSpec(ctx context.Context, c client.Client, object client.Object, field string, value any) error {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"uid": object.GetUID()}, "spec": map[string]any{field: value}})
	if err != nil {
		return err
	}
	if err := c.Patch(ctx, object, client.RawPatch(types.MergePatchType, patch), fieldOwner); err != nil {
		return fmt.Errorf("%s: %w", short(object), err)
	}
	return nil
}

// suspend keeps a workflow from starting further steps, or lets it go on; that of a request is its current one.
func suspend(ctx context.Context, c client.Client, object client.Object, suspended bool) (string, error) {
	verb := "resume"
	if suspended {
		verb = "suspend"
	}
	if err := unfinished(object, verb); err != nil {
		return "", err
	}
	w, err := workflowOf(ctx, c, object)
	if err != nil {
		return "", err
	}
	if err := unfinished(w, verb); err != nil {
		return "", err
	}
	if is := w.Spec.Suspend != nil && *w.Spec.Suspend; is == suspended {
		return unchangedText(w, suspended), nil
	}
	if err := patchSpec(ctx, c, w, "suspend", suspended); err != nil {
		return "", err
	}
	if suspended {
		return fmt.Sprintf("%s is suspended: the steps that run go on, no other one starts until kubernaut resume %s", short(w), short(w)), nil
	}
	return short(w) + " goes on", nil
}

// unchangedText is said where there is nothing to do; a workflow may wait for something else.
func unchangedText(w *workflowexecutionv1.WorkflowExecution, suspended bool) string {
	if suspended {
		return short(w) + " is suspended already"
	}
	if waiting := waits(w.Status.Conditions); waiting != "" {
		return fmt.Sprintf("%s is not suspended; it waits for something else: %s", short(w), waiting)
	}
	return short(w) + " is not suspended"
}

// workflowOf is the workflow that is meant by a request: the current one, or, when it is over, the last.
func workflowOf(ctx context.Context, reader client.Reader, object client.Object) (*workflowexecutionv1.WorkflowExecution, error) {
	if w, is := object.(*workflowexecutionv1.WorkflowExecution); is {
		return w, nil
	}
	r, is := object.(*remediationv1.RemediationRequest)
	if !is {
		return nil, fmt.Errorf("%T has no workflow", object)
	}
	name := r.Status.CurrentWorkflowExecutionRef
	if name == nil && len(r.Status.WorkflowExecutionRefs) > 0 {
		name = &r.Status.WorkflowExecutionRefs[len(r.Status.WorkflowExecutionRefs)-1].Name
	}
	if name == nil {
		return nil, terminal.Usagef("%s has no workflow yet (phase %s): kubernaut cancel %s stops it now", short(r), phaseText(string(r.Status.OverallPhase)), short(r))
	}
	var w workflowexecutionv1.WorkflowExecution
	err := reader.Get(ctx, client.ObjectKey{Namespace: r.Namespace, Name: *name}, &w)
	if apierrors.IsNotFound(err) {
		return nil, terminal.Usagef("%s: its workflow wfe/%s is gone", short(r), *name)
	}
	return &w, err
}

// rollback makes the workflow that undoes a finished one.
func rollback(ctx context.Context, c client.Client, object client.Object, dryRun bool) (string, error) {
	of, err := workflowOf(ctx, c, object)
	if err != nil {
		return "", err
	}
	if err := undoable(of); err != nil {
		return "", err
	}
	undo := newUndo(of, dryRun)
	err = c.Create(ctx, undo, fieldOwner)
	if apierrors.IsAlreadyExists(err) {
		return "", terminal.Usagef("wfe/%s exists: %s was undone before (kubernaut tree wfe/%s); delete it to undo again", undo.Name, short(of), undo.Name)
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w", short(undo), err)
	}
	text := fmt.Sprintf("%s undoes what %s changed; kubernaut watch %s shows how", short(undo), short(of), short(undo))
	if dryRun {
		text = fmt.Sprintf("%s tries, as a dry run, to undo what %s changed; kubernaut tree %s shows what it would do", short(undo), short(of), short(undo))
	}
	return text, nil
}

// undoable says why a workflow cannot be undone by another one.
func undoable(of *workflowexecutionv1.WorkflowExecution) error {
	switch {
	case !of.Status.Phase.Terminal():
		return terminal.Usagef("%s is not over (phase %s): kubernaut cancel %s --mode AbortAndRollBack stops it and undoes what it did", short(of), phaseText(string(of.Status.Phase)), short(of))
	case of.Status.Outcome == workflowexecutionv1.OutcomeRolledBack:
		return terminal.Usagef("%s has undone what it did: its outcome is %s", short(of), of.Status.Outcome)
	case of.Status.Outcome == workflowexecutionv1.OutcomeDryRun:
		return terminal.Usagef("%s was a dry run: it changed nothing", short(of))
	default:
		return nil
	}
}

func newUndo(of *workflowexecutionv1.WorkflowExecution, dryRun bool) *workflowexecutionv1.WorkflowExecution {
	undo := &workflowexecutionv1.WorkflowExecution{
		ObjectMeta: metav1.ObjectMeta{Namespace: of.Namespace, Name: undoName(of.Name)},
		Spec:       workflowexecutionv1.WorkflowExecutionSpec{RollbackOf: &shared.ObjectReference{Name: of.Name, UID: of.UID}},
	}
	if dryRun {
		// One that only tries has a name of its own: the real one may follow.
		undo.Name, undo.Spec.Mode = shared.ChildName(of.Name, "undo-dry-run"), shared.ModeDryRun
	}
	return undo
}

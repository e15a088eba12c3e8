package workflowexecution

import (
	"context"
	"errors"
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubernetesexecutionv1 "kubernaut.io/kubernaut/api/kubernetesexecution/v1"
	safetyv1alpha1 "kubernaut.io/kubernaut/api/safety/v1alpha1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/controllers/kubernetesexecution"
	"kubernaut.io/kubernaut/controllers/kubernetesexecution/actions"
	"kubernaut.io/kubernaut/controllers/kubernetesexecution/effects"
	"kubernaut.io/kubernaut/controllers/machinery"
	"kubernaut.io/kubernaut/controllers/rights"
	"kubernaut.io/kubernaut/controllers/workflowexecution/planning"
)

// snapshot is all that a decision rests on.
type snapshot struct {
	workflow *workflowexecutionv1.WorkflowExecution
	// reversal is what undoes the workflow that spec.rollbackOf names, and reversalError why there is nothing; only while planning.
	reversal      *workflowexecutionv1.Undo
	reversalError error
	// inUse says that a workflow which has not ended undoes this one; only when it is over.
	inUse bool
	// graph is the order of the steps; graphError says why there is none.
	graph      *planning.Graph
	graphError error
	// terminating says that the namespace of a workflow that was deleted is being deleted too.
	terminating bool
	// mode is the mode that applies: that of the spec, or DryRun where a target's namespace forces it.
	mode shared.Mode
	// denials are the rights that somebody who has a part in the workflow lacks; only while validating.
	denials []rights.Denial
	// steps are what was found out about the steps before anything runs; only while planning and validating.
	steps []assessment
	// owners are the controllers above the targets of the steps, by the target's UID.
	owners map[types.UID][]shared.OwnedObject
	// hold is what has become of the policy hold that the workflow waits for; only while validating.
	hold machinery.Hold
	// lifted are the executions whose hold is over, and which are judged again, by name.
	lifted map[string]bool
	// approval is the ApprovalRequest that the status names; only while validating.
	approval approvalState
	// locksLeft says that the workflow is over and still holds locks.
	locksLeft bool
	// stillLocked says that the lock which the workflow waits for is held as it was.
	stillLocked bool
	// locks is what came of taking the locks; nil before they were tried.
	locks *lockState
	// executions are those of this workflow, by name.
	executions map[string]*kubernetesexecutionv1.KubernetesExecution
	// foreign are objects that have the name of an execution of ours and are not ours, by that name.
	foreign map[string]string
	// targets are the states of the changed targets; only while monitoring, or when a step has failed.
	targets []targetState
}

// assessment is what was found out about one step before anything ran.
type assessment struct {
	// preparation is what the step would change; nil when err is set.
	preparation *effects.Preparation
	// decision is the gate's: that about the step, or about its rollbackAction when that one is harder.
	decision         shared.Decision
	ofRollbackAction bool
	// rollback is what the rollbackAction would change; nil without one.
	rollback *effects.Preparation
	// err says why the step cannot be prepared.
	err error
}

// targetState is how one target is now, from the cache.
type targetState struct {
	health shared.Health
	// generation is that of the object as the cache has it.
	generation int64
	object     *unstructured.Unstructured
}

// gather reads what the phase needs, and nothing else. Its errors are transient: what is wrong for good is in the snapshot.
func (r *Reconciler) gather(ctx context.Context, workflow *workflowexecutionv1.WorkflowExecution) (snapshot, error) {
	s := snapshot{workflow: workflow, mode: workflow.Spec.Mode}
	phase := workflow.Status.Phase
	var err error
	if phase.Terminal() {
		if s.locksLeft, err = r.locksLeft(ctx, workflow); err != nil {
			return s, err
		}
		s.inUse, err = r.beingUndone(ctx, workflow)
		return s, err
	}
	if leaves(workflow) {
		return s, nil
	}
	definition := workflow.Definition()
	if undoesAnother(workflow) && definition == nil {
		of, err := r.gatherUndone(ctx, workflow)
		if err != nil {
			return s, err
		}
		if s.reversal, s.reversalError = undoOf(*workflow.Spec.RollbackOf, of); s.reversalError == nil {
			definition = s.reversal.Definition()
		}
	}
	if definition == nil {
		s.graphError = errors.New("what the workflow does is not known: neither its spec nor its plan says it")
		return s, nil
	}
	if s.terminating, err = r.terminating(ctx, workflow); err != nil {
		return s, err
	}
	steps := definition.Steps
	s.graph, s.graphError = planning.NewGraph(steps, func(i int) string { return targetKey(&steps[i].Action) })
	if s.graph == nil {
		return s, nil // graphError says why; it is for decide
	}
	switch phase {
	case "", workflowexecutionv1.PhasePlanning:
		s.mode, err = r.mode(ctx, workflow.Spec.Mode, steps)
	case workflowexecutionv1.PhaseValidating:
		if suspended(workflow) || workflow.Spec.Cancel != "" {
			return s, nil // nothing is judged that does not go on
		}
		err = r.gatherValidation(ctx, workflow, steps, &s)
	case workflowexecutionv1.PhaseExecuting:
		if err = r.gatherExecutions(ctx, workflow, &s); err == nil && anyFailed(&s) {
			s.targets, err = r.gatherTargets(ctx, workflow)
		}
	case workflowexecutionv1.PhaseMonitoring:
		if err = r.gatherExecutions(ctx, workflow, &s); err == nil {
			s.targets, err = r.gatherTargets(ctx, workflow)
		}
	case workflowexecutionv1.PhaseRollingBack:
		if err = r.gatherExecutions(ctx, workflow, &s); err == nil {
			err = r.gatherOrigins(ctx, workflow, &s)
		}
	case workflowexecutionv1.PhaseCompleted, workflowexecutionv1.PhaseFailed:
	}
	return s, err
}

// gatherValidation finds out, in this order, what people said, whether everybody may do their part, and what the steps would change.
func (r *Reconciler) gatherValidation(ctx context.Context, workflow *workflowexecutionv1.WorkflowExecution, steps []shared.Step, s *snapshot) (err error) {
	if s.hold = holdOf(workflow, r.Policies); s.hold != machinery.HoldUnknown {
		return nil
	}
	if s.mode, err = r.mode(ctx, workflow.Spec.Mode, steps); err != nil {
		return err
	}
	if s.approval, err = r.gatherApproval(ctx, workflow); err != nil || s.approval.refused() {
		return err
	}
	if s.stillLocked = r.stillLocked(ctx, workflow); s.stillLocked {
		return nil
	}
	if s.denials, err = r.reviewRights(ctx, workflow); err != nil || len(s.denials) > 0 {
		return err
	}
	return r.assessAll(ctx, s)
}

// assessAll finds out what the steps would change, and whose it is.
func (r *Reconciler) assessAll(ctx context.Context, s *snapshot) (err error) {
	if s.steps, err = r.assess(ctx, s.workflow, s.graph); err != nil {
		return err
	}
	s.owners = map[types.UID][]shared.OwnedObject{}
	for i := range s.steps {
		for _, preparation := range []*effects.Preparation{s.steps[i].preparation, s.steps[i].rollback} {
			if preparation == nil || preparation.Live == nil {
				continue
			}
			uid := preparation.Live.GetUID()
			if _, known := s.owners[uid]; known {
				continue
			}
			if s.owners[uid], err = r.Surroundings.Owners(ctx, preparation.Live); err != nil {
				return fmt.Errorf("owners of %s: %w", preparation.Target, err)
			}
		}
	}
	return nil
}

// terminating says that the namespace of a workflow which was deleted is being deleted too.
func (r *Reconciler) terminating(ctx context.Context, workflow *workflowexecutionv1.WorkflowExecution) (bool, error) {
	if !deleting(workflow) {
		return false, nil
	}
	var namespace corev1.Namespace
	err := r.Cache.Get(ctx, client.ObjectKey{Name: workflow.Namespace}, &namespace)
	if apierrors.IsNotFound(err) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("reading namespace %s: %w", workflow.Namespace, err)
	}
	return !namespace.DeletionTimestamp.IsZero(), nil
}

func targetKey(action *shared.Action) string {
	target := targetOf(action)
	if target == nil {
		return ""
	}
	return target.Key()
}

// targetOf is what an action changes; nil for one that changes nothing.
func targetOf(action *shared.Action) *shared.Target {
	known, ok := actions.Get(action.Type)
	if !ok {
		return nil
	}
	return known.Target(action)
}

// mode is the mode of the spec unless the namespace of a target forces a dry run.
func (r *Reconciler) mode(ctx context.Context, mode shared.Mode, steps []shared.Step) (shared.Mode, error) {
	seen := map[string]bool{}
	for _, target := range plannedTargets(steps) {
		if target.Namespace == "" || seen[target.Namespace] {
			continue
		}
		seen[target.Namespace] = true
		forced, err := r.Surroundings.ForcesDryRun(ctx, target.Namespace)
		if err != nil {
			return "", fmt.Errorf("mode of namespace %s: %w", target.Namespace, err)
		}
		if forced {
			return shared.ModeDryRun, nil
		}
	}
	return mode, nil
}

// assess prepares every step and has the gate judge it. What people are to approve is always shown by a dry run.
func (r *Reconciler) assess(ctx context.Context, workflow *workflowexecutionv1.WorkflowExecution, graph *planning.Graph) ([]assessment, error) {
	dryRun := dryRunFirst(workflow.Spec.ExecutionStrategy) || approvalRequired(workflow.Spec.ExecutionStrategy)
	assessments, err := r.assessSteps(ctx, workflow, graph, dryRun)
	if err == nil && !dryRun && slices.ContainsFunc(assessments, func(a assessment) bool { return a.decision.Verdict == shared.VerdictRequireApproval }) {
		return r.assessSteps(ctx, workflow, graph, true)
	}
	return assessments, err
}

// assessSteps prepares every step in order and has the gate judge it, with its rollbackAction. A step that builds on an earlier one
// of the same target is prepared on top of that step's result.
func (r *Reconciler) assessSteps(ctx context.Context, workflow *workflowexecutionv1.WorkflowExecution, graph *planning.Graph, dryRun bool) ([]assessment, error) {
	steps := workflow.Definition().Steps
	assessments := make([]assessment, len(steps))
	results := map[string]*unstructured.Unstructured{}
	for _, i := range graph.Order() {
		assessed, err := r.assessAction(ctx, workflow, i, &steps[i].Action, results, false, dryRun)
		if err != nil {
			return nil, fmt.Errorf("step %q: %w", steps[i].Name, err)
		}
		if key := targetKey(&steps[i].Action); key != "" && assessed.preparation != nil && assessed.preparation.Result != nil {
			results[key] = assessed.preparation.Result
		}
		if rollback := steps[i].RollbackAction; rollback != nil && assessed.err == nil {
			judged, err := r.assessAction(ctx, workflow, i, rollback, results, true, dryRun)
			if err != nil {
				return nil, fmt.Errorf("rollbackAction of step %q: %w", steps[i].Name, err)
			}
			assessed = withRollback(assessed, judged)
		}
		assessments[i] = assessed
	}
	return assessments, nil
}

// assessAction prepares one action, of a step or its rollbackAction, on the results of the steps before, and has the gate judge
// it. Its error is transient.
func (r *Reconciler) assessAction(
	ctx context.Context, workflow *workflowexecutionv1.WorkflowExecution, i int, action *shared.Action,
	results map[string]*unstructured.Unstructured, rollback, dryRun bool,
) (assessment, error) {
	question := kubernetesexecution.JudgeRequest{
		Stage: safetyv1alpha1.StagePlan, Workflow: workflow, StepIndex: int32(i), RollbackAction: rollback, //nolint:gosec // at most 100 steps
	}
	base := results[targetKey(action)]
	occasion := actions.OccasionOf(workflow, int32(i)) //nolint:gosec // at most 100 steps
	occasion.Rollback = rollback
	var trial *effects.Trial
	if !rollback {
		trial = trialOf(workflow, int32(i)) //nolint:gosec // at most 100 steps
	}
	var preparation *effects.Preparation
	var err error
	if undoesAnother(workflow) && workflow.Status.Plan.Undo.Steps[i].RestoreFrom != "" {
		question.Stage = safetyv1alpha1.StageRollback
		preparation, err = r.prepareUndo(ctx, workflow, i, base, dryRun)
	} else {
		preparation, err = r.Effects.Prepare(ctx, effects.Request{
			Action: action, Occasion: occasion, Base: base, DryRun: dryRun, Tried: trial,
		})
	}
	if err != nil && machinery.IsTransient(err) {
		return assessment{}, fmt.Errorf("preparing it: %w", err)
	}
	if err != nil {
		return assessment{err: err}, nil //nolint:nilerr // it is the answer: it fails the step
	}
	question.Preparation = preparation
	decision, err := r.Gate.Judge(ctx, question)
	if err != nil {
		return assessment{}, fmt.Errorf("judging it: %w", err)
	}
	return assessment{preparation: preparation, decision: decision}, nil
}

func dryRunFirst(strategy *shared.ExecutionStrategy) bool {
	return strategy == nil || strategy.DryRunFirst == nil || *strategy.DryRunFirst
}

// gatherExecutions reads the executions; of a step that runs and has none in the cache, whether something else has its name.
func (r *Reconciler) gatherExecutions(ctx context.Context, workflow *workflowexecutionv1.WorkflowExecution, s *snapshot) error {
	var list kubernetesexecutionv1.KubernetesExecutionList
	err := r.Clients.Cached.List(ctx, &list, client.InNamespace(workflow.Namespace), client.MatchingFields{indexWorkflow: string(workflow.UID)})
	if err != nil {
		return fmt.Errorf("listing executions: %w", err)
	}
	s.executions = make(map[string]*kubernetesexecutionv1.KubernetesExecution, len(list.Items))
	s.foreign, s.lifted = map[string]string{}, map[string]bool{}
	for i := range list.Items {
		if machinery.OwnedBy(&list.Items[i], workflow) {
			s.executions[list.Items[i].Name] = &list.Items[i]
		}
		if kubernetesexecution.HoldOf(&list.Items[i], r.Policies) == machinery.HoldLifted {
			s.lifted[list.Items[i].Name] = true
		}
	}
	for _, step := range workflow.Status.Steps {
		if step.Phase != workflowexecutionv1.StepRunning || s.executions[step.ExecutionRef] != nil {
			continue
		}
		if err := r.gatherUncached(ctx, workflow, step.ExecutionRef, s); err != nil {
			return err
		}
	}
	return nil
}

// gatherOrigins reads the executions of steps that the cache does not have: what they captured must not be taken for lost.
func (r *Reconciler) gatherOrigins(ctx context.Context, workflow *workflowexecutionv1.WorkflowExecution, s *snapshot) error {
	for i := range workflow.Status.Steps {
		step := &workflow.Status.Steps[i]
		for attempt := int32(1); attempt <= step.Attempts; attempt++ {
			name := shared.ExecutionName(workflow.Name, step.Index, attempt)
			if s.executions[name] != nil || !undoneLater(step.Phase) {
				continue
			}
			if err := r.gatherUncached(ctx, workflow, name, s); err != nil {
				return err
			}
		}
	}
	return nil
}

func anyFailed(s *snapshot) bool {
	for _, execution := range s.executions {
		if execution.Status.Phase == kubernetesexecutionv1.PhaseFailed {
			return true
		}
	}
	return false
}

// gatherUncached reads an execution that the cache does not have: it was not made yet, or only just.
func (r *Reconciler) gatherUncached(ctx context.Context, workflow *workflowexecutionv1.WorkflowExecution, name string, s *snapshot) error {
	var execution kubernetesexecutionv1.KubernetesExecution
	err := r.Clients.Live.Get(ctx, client.ObjectKey{Namespace: workflow.Namespace, Name: name}, &execution)
	switch {
	case apierrors.IsNotFound(err):
		return nil
	case err != nil:
		return fmt.Errorf("reading execution %s: %w", name, err)
	case machinery.OwnedBy(&execution, workflow):
		s.executions[name] = &execution
	default:
		s.foreign[name] = ownerText(&execution)
	}
	return nil
}

// ownerText names the controller of an object, for people.
func ownerText(object metav1.Object) string {
	if ref := metav1.GetControllerOf(object); ref != nil {
		return ref.Kind + " " + ref.Name + " with UID " + string(ref.UID)
	}
	return "nothing"
}

// gatherTargets reads the targets of the plan from the cache, in its order.
func (r *Reconciler) gatherTargets(ctx context.Context, workflow *workflowexecutionv1.WorkflowExecution) ([]targetState, error) {
	if workflow.Status.Plan == nil {
		return nil, nil
	}
	states := make([]targetState, len(workflow.Status.Plan.Targets))
	for i, target := range workflow.Status.Plan.Targets {
		watched := target.Watched()
		object, err := r.cached(ctx, watched)
		switch {
		case apierrors.IsNotFound(err):
			states[i].health = shared.Health{Status: shared.HealthNotFound, Message: watched.String() + " does not exist"}
			continue
		case err != nil:
			return nil, fmt.Errorf("reading %s: %w", watched.String(), err)
		case object == nil:
			states[i].health = shared.Health{Status: shared.HealthUnknown, Message: "the health of a " + watched.Kind + " cannot be determined"}
			continue
		}
		states[i] = targetState{health: actions.Health(object), generation: object.GetGeneration(), object: object}
	}
	return states, nil
}

// cached reads a target from the manager's cache; nil for a kind that is not watched.
func (r *Reconciler) cached(ctx context.Context, target shared.Target) (*unstructured.Unstructured, error) {
	var object client.Object
	switch target.GroupVersionKind() {
	case appsv1.SchemeGroupVersion.WithKind("Deployment"):
		object = &appsv1.Deployment{}
	case appsv1.SchemeGroupVersion.WithKind("StatefulSet"):
		object = &appsv1.StatefulSet{}
	case appsv1.SchemeGroupVersion.WithKind("DaemonSet"):
		object = &appsv1.DaemonSet{}
	case corev1.SchemeGroupVersion.WithKind("Node"):
		object = &corev1.Node{}
	default:
		return nil, nil //nolint:nilnil // nil is the answer: this kind is not watched
	}
	if err := r.Cache.Get(ctx, client.ObjectKey{Namespace: target.Namespace, Name: target.Name}, object); err != nil {
		return nil, err
	}
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
	if err != nil {
		return nil, fmt.Errorf("converting %s: %w", target.String(), err)
	}
	converted := &unstructured.Unstructured{Object: content}
	converted.SetGroupVersionKind(target.GroupVersionKind())
	return converted, nil
}

package workflowexecution

import (
	"context"
	"errors"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	kubernetesexecutionv1 "kubernaut.io/kubernaut/api/kubernetesexecution/v1"
	safetyv1alpha1 "kubernaut.io/kubernaut/api/safety/v1alpha1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/controllers/kubernetesexecution"
	"kubernaut.io/kubernaut/controllers/kubernetesexecution/effects"
	"kubernaut.io/kubernaut/controllers/machinery"
)

// +kubebuilder:rbac:groups=workflowexecution.kubernaut.io,resources=workflowexecutions,verbs=get;patch;delete
// +kubebuilder:rbac:groups=workflowexecution.kubernaut.io,resources=workflowexecutions/status,verbs=update
// +kubebuilder:rbac:groups=workflowexecution.kubernaut.io,resources=workflowexecutions/finalizers,verbs=update
// +kubebuilder:rbac:groups=kubernetesexecution.kubernaut.io,resources=kubernetesexecutions,verbs=get;create;patch
// +kubebuilder:rbac:groups=coordination.k8s.io,namespace=kubernaut-system,resources=leases,verbs=get;list;create;update;delete

// Gate judges steps.
type Gate interface {
	Judge(ctx context.Context, question kubernetesexecution.JudgeRequest) (shared.Decision, error)
}

// Preparer computes and tries what a step would change, as the account of its action.
type Preparer interface {
	Prepare(ctx context.Context, request effects.Request) (*effects.Preparation, error)
	// PrepareRestore does so for restoring what an execution captured.
	PrepareRestore(ctx context.Context, request effects.RestoreRequest) (*effects.Preparation, error)
	// Read reads the target of an action, live; nil for an action without a target.
	Read(ctx context.Context, action *shared.Action) (*unstructured.Unstructured, error)
}

// Surroundings are facts about where targets are.
type Surroundings interface {
	// ForcesDryRun says whether a namespace allows dry runs only.
	ForcesDryRun(ctx context.Context, namespace string) (bool, error)
	// Owners are the controllers above an object, the nearest first, as far as they can be followed.
	Owners(ctx context.Context, live *unstructured.Unstructured) ([]shared.OwnedObject, error)
}

// Reconciler runs workflows.
type Reconciler struct {
	// Clients are those of the workflowexecution-controller.
	Clients machinery.Clients
	// Cache reads what the manager watches; the health of targets comes from it.
	Cache client.Reader
	// Effects prepares steps.
	Effects Preparer
	// Gate judges them.
	Gate Gate
	// Surroundings tell the mode of a target's namespace.
	Surroundings Surroundings
	// Policies are those that the gate judges by: when they change, what it holds is judged again. Nil is never.
	Policies machinery.Policies
	// Recorder records events, after the status write that they tell of.
	Recorder events.EventRecorder
	// Clock is the time.
	Clock clock.PassiveClock
	// Namespace is that of the operator: the locks of targets are Leases there.
	Namespace string
}

const (
	// indexTarget finds the active workflows that change an object.
	indexTarget = "status.plan.targets"
	// indexWorkflow finds the executions of a workflow by its UID.
	indexWorkflow = "spec.workflowExecutionRef.uid"
	// indexWaiting finds the workflows that wait.
	indexWaiting = "status.waiting"
	waiting      = "true"
)

// SetupWithManager registers the controller: it is woken by workflows, by their executions and by the objects whose health they watch.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager, options controller.Options) error {
	indexer := mgr.GetFieldIndexer()
	if err := indexer.IndexField(context.Background(), &workflowexecutionv1.WorkflowExecution{}, indexTarget, activeTargets); err != nil {
		return fmt.Errorf("index of workflows by target: %w", err)
	}
	if err := indexer.IndexField(context.Background(), &kubernetesexecutionv1.KubernetesExecution{}, indexWorkflow, workflowUID); err != nil {
		return fmt.Errorf("index of executions by workflow: %w", err)
	}
	if err := indexer.IndexField(context.Background(), &workflowexecutionv1.WorkflowExecution{}, indexWaiting, waitingWorkflows); err != nil {
		return fmt.Errorf("index of workflows that wait: %w", err)
	}
	if err := indexer.IndexField(context.Background(), &workflowexecutionv1.WorkflowExecution{}, indexUndoes, undoneUID); err != nil {
		return fmt.Errorf("index of workflows by the one they undo: %w", err)
	}
	if err := indexLocks(indexer); err != nil {
		return err
	}
	moved := builder.WithPredicates(predicate.ResourceVersionChangedPredicate{})
	build := ctrl.NewControllerManagedBy(mgr).
		Named("workflowexecution").
		WithOptions(options).
		For(&workflowexecutionv1.WorkflowExecution{}).
		Owns(&kubernetesexecutionv1.KubernetesExecution{}).
		Owns(&safetyv1alpha1.ApprovalRequest{}).
		Watches(&workflowexecutionv1.WorkflowExecution{}, undoings()).
		Watches(&coordinationv1.Lease{}, r.lockChanges()).
		Watches(&appsv1.Deployment{}, r.workflowsOf(appsv1.SchemeGroupVersion.WithKind("Deployment")), moved).
		Watches(&appsv1.StatefulSet{}, r.workflowsOf(appsv1.SchemeGroupVersion.WithKind("StatefulSet")), moved).
		Watches(&appsv1.DaemonSet{}, r.workflowsOf(appsv1.SchemeGroupVersion.WithKind("DaemonSet")), moved).
		Watches(&corev1.Node{}, r.workflowsOf(corev1.SchemeGroupVersion.WithKind("Node")), moved)
	if err := r.watchApprovals(mgr, build); err != nil {
		return err
	}
	if r.Policies != nil {
		build = build.WatchesRawSource(machinery.OnChange(r.Policies, r.waitingOnes))
	}
	return build.Complete(r)
}

func waitingWorkflows(object client.Object) []string {
	workflow, ok := object.(*workflowexecutionv1.WorkflowExecution)
	if !ok || workflow.Status.WaitingSince == nil {
		return nil
	}
	return []string{waiting}
}

// waitingOnes are the workflows that wait: for a hold, for people, for the end of a suspension.
func (r *Reconciler) waitingOnes(ctx context.Context) []reconcile.Request {
	return r.listed(ctx, client.MatchingFields{indexWaiting: waiting})
}

// undoings wakes a workflow when the one that undoes it is over or gone.
func undoings() handler.EventHandler {
	wake := func(object client.Object, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) {
		if workflow, ok := object.(*workflowexecutionv1.WorkflowExecution); ok && undoesAnother(workflow) {
			queue.Add(reconcile.Request{NamespacedName: types.NamespacedName{Namespace: workflow.Namespace, Name: workflow.Spec.RollbackOf.Name}})
		}
	}
	return handler.Funcs{
		UpdateFunc: func(_ context.Context, e event.UpdateEvent, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			if !over(e.ObjectOld) && over(e.ObjectNew) {
				wake(e.ObjectNew, queue)
			}
		},
		DeleteFunc: func(_ context.Context, e event.DeleteEvent, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			wake(e.Object, queue)
		},
	}
}

func over(object client.Object) bool {
	workflow, ok := object.(*workflowexecutionv1.WorkflowExecution)
	return ok && workflow.Status.Phase.Terminal()
}

// activeTargets are the keys of the objects whose health a workflow waits for.
func activeTargets(object client.Object) []string {
	workflow, ok := object.(*workflowexecutionv1.WorkflowExecution)
	if !ok || workflow.Status.Phase != workflowexecutionv1.PhaseMonitoring || workflow.Status.Plan == nil {
		return nil
	}
	keys := make([]string, 0, len(workflow.Status.Plan.Targets))
	for _, target := range workflow.Status.Plan.Targets {
		keys = append(keys, target.Watched().Key())
	}
	return keys
}

func workflowUID(object client.Object) []string {
	execution, ok := object.(*kubernetesexecutionv1.KubernetesExecution)
	if !ok {
		return nil
	}
	return []string{string(execution.Spec.WorkflowExecutionRef.UID)}
}

func (r *Reconciler) workflowsOf(kind schema.GroupVersionKind) handler.EventHandler {
	apiVersion, name := kind.ToAPIVersionAndKind()
	return handler.EnqueueRequestsFromMapFunc(func(ctx context.Context, object client.Object) []reconcile.Request {
		target := shared.Target{APIVersion: apiVersion, Kind: name, Namespace: object.GetNamespace(), Name: object.GetName()}
		return r.listed(ctx, client.MatchingFields{indexTarget: target.Key()})
	})
}

// Reconcile takes one workflow one step further: gather, decide, record, act.
func (r *Reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	outcome := r.reconcile(ctx, request)
	return outcome.Result(r.Clock.Now())
}

func (r *Reconciler) reconcile(ctx context.Context, request ctrl.Request) machinery.Outcome {
	var workflow workflowexecutionv1.WorkflowExecution
	err := r.Clients.Cached.Get(ctx, request.NamespacedName, &workflow)
	if client.IgnoreNotFound(err) != nil {
		return machinery.Transient(err)
	}
	if err := r.clear(ctx, request.NamespacedName, workflow.UID); err != nil {
		return machinery.Transient(err)
	}
	if workflow.UID == "" {
		return machinery.Done() // it is gone
	}
	if deleting(&workflow) && !controllerutil.ContainsFinalizer(&workflow, shared.FinalizerWorkflowExecution) {
		return machinery.Done()
	}
	if err := r.keep(ctx, &workflow); err != nil {
		return machinery.Transient(client.IgnoreNotFound(err))
	}
	snapshot, err := r.gather(ctx, &workflow)
	if err != nil {
		return r.retryWithinDeadline(ctx, &workflow, err)
	}
	next := decide(snapshot, r.Clock.Now())
	if next.release {
		return r.letGo(ctx, &workflow)
	}
	if next.lock {
		if next, err = r.decideLocked(ctx, &snapshot); err != nil {
			return r.retryWithinDeadline(ctx, &workflow, err)
		}
	}
	outcome, written := r.record(ctx, &workflow, next)
	if written {
		r.announce(&workflow, next)
		r.announceNamespace(&workflow, snapshot, next)
	}
	return outcome
}

// decideLocked takes the locks and decides again.
func (r *Reconciler) decideLocked(ctx context.Context, s *snapshot) (decision, error) {
	if err := r.lock(ctx, s); err != nil {
		return decision{}, err
	}
	return decide(*s, r.Clock.Now()), nil
}

// record writes the status, then acts.
func (r *Reconciler) record(ctx context.Context, workflow *workflowexecutionv1.WorkflowExecution, next decision) (machinery.Outcome, bool) {
	if err := transitions().Check(workflow.Status.Phase, next.status.Phase); err != nil {
		return machinery.Stalled(err), false
	}
	after := workflow.DeepCopy()
	after.Status = *bounded(workflow, &next.status)
	var held []coordinationv1.Lease
	if next.unlock && next.status.Phase == workflowexecutionv1.PhaseValidating {
		next.unlock = false
		var err error
		if held, err = r.locksOfWaiting(ctx, workflow, after); err != nil {
			return machinery.Transient(err), false
		}
	}
	written, err := machinery.Record(ctx, r.Clients.Cached, workflow, after)
	if err != nil {
		return machinery.Transient(client.IgnoreNotFound(err)), false
	}
	if err := errors.Join(r.releaseThese(ctx, held), r.act(ctx, after, next)); err != nil {
		return machinery.Transient(err), written
	}
	return machinery.Waiting(next.wakeAt), written
}

// retryWithinDeadline goes back to the queue after a transient error, until the deadline of the phase has passed: then the
// workflow fails with what kept it from going on.
func (r *Reconciler) retryWithinDeadline(ctx context.Context, workflow *workflowexecutionv1.WorkflowExecution, cause error) machinery.Outcome {
	now := r.Clock.Now()
	if apierrors.IsConflict(cause) || now.Before(phaseDeadline(workflow)) {
		return machinery.Transient(cause)
	}
	next := abandon(workflow, now, cause)
	outcome, written := r.record(ctx, workflow, next)
	if written {
		r.announce(workflow, next)
	}
	return outcome
}

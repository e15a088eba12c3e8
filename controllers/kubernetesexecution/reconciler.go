package kubernetesexecution

import (
	"context"
	"errors"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	kubernetesexecutionv1 "kubernaut.io/kubernaut/api/kubernetesexecution/v1"
	safetyv1alpha1 "kubernaut.io/kubernaut/api/safety/v1alpha1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/controllers/kubernetesexecution/actions"
	"kubernaut.io/kubernaut/controllers/kubernetesexecution/effects"
	"kubernaut.io/kubernaut/controllers/machinery"
)

// What the kubernetesexecution-controller itself may do; what caches hold is read by the manager, and targets are touched only by
// the accounts of the actions.
// +kubebuilder:rbac:groups=kubernetesexecution.kubernaut.io,resources=kubernetesexecutions,verbs=get;patch
// +kubebuilder:rbac:groups=kubernetesexecution.kubernaut.io,resources=kubernetesexecutions/status,verbs=update
// +kubebuilder:rbac:groups=workflowexecution.kubernaut.io,resources=workflowexecutions,verbs=get
// +kubebuilder:rbac:groups="",namespace=kubernaut-system,resources=serviceaccounts/token,resourceNames=action-scale-deployment;action-restart-deployment;action-restart-pod;action-rollback-deployment;action-increase-resources;action-update-image;action-cordon-node;action-uncordon-node;action-notify-only,verbs=create

// JudgeRequest asks about one step on the facts that were read for it.
type JudgeRequest struct {
	// Stage is the moment at which the gate is asked.
	Stage safetyv1alpha1.Stage
	// Workflow is the workflow of the step.
	Workflow *workflowexecutionv1.WorkflowExecution
	// StepIndex is the 0-based index of the step.
	StepIndex int32
	// RollbackAction says that it is the step's rollbackAction that is judged.
	RollbackAction bool
	// Attempt is the attempt, from 1; 0 before the first.
	Attempt int32
	// Expected is the state in which the target is expected; nil where the workflow's plan says it.
	Expected *kubernetesexecutionv1.ExpectedTarget
	// Preparation is what the step would do.
	Preparation *effects.Preparation
}

// Gatekeeper judges steps. An error is no verdict: asking again may give one.
type Gatekeeper interface {
	Judge(ctx context.Context, question JudgeRequest) (shared.Decision, error)
}

// Reconciler carries out executions.
type Reconciler struct {
	// Clients are those of the kubernetesexecution-controller, for our own kinds.
	Clients machinery.Clients
	// Effects touches targets, with the accounts of the actions.
	Effects *effects.Effects
	// Gate judges each step just before it runs.
	Gate Gatekeeper
	// Recorder records events, after the status write that they tell of.
	Recorder events.EventRecorder
	// Policies are those that the gate judges by: when they change, what it holds is judged again. Nil is never.
	Policies machinery.Policies
	// Clock is the time.
	Clock clock.PassiveClock
}

const (
	// indexTarget finds the executions that wait for an object.
	indexTarget = "spec.action.target"
	// indexHeld finds the executions that wait for the end of a policy hold.
	indexHeld = "status.held"
	held      = "true"
)

const (
	// maxPasses bounds the passes of one reconcile; validate, apply, and record are three.
	maxPasses = 6
)

// SetupWithManager registers the controller: it is woken by executions, and by the objects that they change.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager, options controller.Options) error {
	err := mgr.GetFieldIndexer().IndexField(context.Background(), &kubernetesexecutionv1.KubernetesExecution{}, indexTarget, awaitedTarget)
	if err != nil {
		return fmt.Errorf("index of executions by target: %w", err)
	}
	err = mgr.GetFieldIndexer().IndexField(context.Background(), &kubernetesexecutionv1.KubernetesExecution{}, indexHeld, heldExecutions)
	if err != nil {
		return fmt.Errorf("index of held executions: %w", err)
	}
	moved := builder.WithPredicates(predicate.ResourceVersionChangedPredicate{})
	build := ctrl.NewControllerManagedBy(mgr).
		Named("kubernetesexecution").
		WithOptions(options).
		For(&kubernetesexecutionv1.KubernetesExecution{}).
		Watches(&appsv1.Deployment{}, r.executionsOf(apps(shared.WorkloadDeployment)), moved).
		Watches(&appsv1.StatefulSet{}, r.executionsOf(apps(shared.WorkloadStatefulSet)), moved).
		Watches(&appsv1.DaemonSet{}, r.executionsOf(apps(shared.WorkloadDaemonSet)), moved).
		Watches(&corev1.Node{}, r.executionsOf(corev1.SchemeGroupVersion.WithKind("Node")), moved).
		// Whether a pod is there is all that is waited for: there are too many to hold more of them.
		WatchesMetadata(&corev1.Pod{}, r.executionsOf(corev1.SchemeGroupVersion.WithKind("Pod")), moved).
		Watches(&workflowexecutionv1.WorkflowExecution{}, r.leavingExecutions())
	if r.Policies != nil {
		build = build.WatchesRawSource(machinery.OnChange(r.Policies, r.heldOnes))
	}
	return build.Complete(r)
}

func heldExecutions(object client.Object) []string {
	execution, ok := object.(*kubernetesexecutionv1.KubernetesExecution)
	if !ok || !Held(execution) {
		return nil
	}
	return []string{held}
}

// heldOnes are the executions that the gate holds.
func (r *Reconciler) heldOnes(ctx context.Context) []reconcile.Request {
	var waiting kubernetesexecutionv1.KubernetesExecutionList
	if err := r.Clients.Cached.List(ctx, &waiting, client.MatchingFields{indexHeld: held}, client.UnsafeDisableDeepCopy); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "listing the executions that wait for the end of a hold")
		return nil
	}
	requests := make([]reconcile.Request, len(waiting.Items))
	for i := range waiting.Items {
		requests[i].NamespacedName = client.ObjectKeyFromObject(&waiting.Items[i])
	}
	return requests
}

// awaitedTarget is the key of the object that an execution waits for. If the cache has a target's event before it has the
// execution's phase, no wake-up is lost: the phase's own event follows.
func awaitedTarget(object client.Object) []string {
	execution, ok := object.(*kubernetesexecutionv1.KubernetesExecution)
	if !ok || execution.Status.Phase != kubernetesexecutionv1.PhaseExecuting || execution.Spec.Action == nil {
		return nil
	}
	action, known := actions.Get(execution.Spec.Action.Type)
	if !known {
		return nil
	}
	target := action.Target(execution.Spec.Action)
	if target == nil {
		return nil
	}
	return []string{target.Key()}
}

func apps(kind shared.WorkloadKind) schema.GroupVersionKind {
	return appsv1.SchemeGroupVersion.WithKind(string(kind))
}

func (r *Reconciler) executionsOf(kind schema.GroupVersionKind) handler.EventHandler {
	apiVersion, name := kind.ToAPIVersionAndKind()
	return handler.EnqueueRequestsFromMapFunc(func(ctx context.Context, object client.Object) []reconcile.Request {
		target := shared.Target{APIVersion: apiVersion, Kind: name, Namespace: object.GetNamespace(), Name: object.GetName()}
		var waiting kubernetesexecutionv1.KubernetesExecutionList
		err := r.Clients.Cached.List(ctx, &waiting, client.MatchingFields{indexTarget: target.Key()}, client.UnsafeDisableDeepCopy)
		if err != nil {
			ctrl.LoggerFrom(ctx).Error(err, "listing the executions that wait for a target", "target", target.String())
			return nil
		}
		requests := make([]reconcile.Request, len(waiting.Items))
		for i := range waiting.Items {
			requests[i].NamespacedName = client.ObjectKeyFromObject(&waiting.Items[i])
		}
		return requests
	})
}

// Reconcile takes one execution as far as it gets without waiting.
func (r *Reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	outcome := r.reconcile(ctx, request.NamespacedName)
	return outcome.Result(r.Clock.Now())
}

func (r *Reconciler) reconcile(ctx context.Context, key client.ObjectKey) machinery.Outcome {
	execution, err := r.read(ctx, key)
	if err != nil {
		return machinery.Transient(client.IgnoreNotFound(err))
	}
	if leaves(execution) {
		return machinery.Transient(client.IgnoreNotFound(r.release(ctx, execution)))
	}
	snapshot := Snapshot{Execution: execution, StillHeld: HoldOf(execution, r.Policies) == machinery.HoldStands}
	for range maxPasses {
		next, err := decide(snapshot, r.Clock.Now())
		if err != nil {
			return machinery.Stalled(err)
		}
		if err := r.record(ctx, &snapshot, next); err != nil {
			// Gone: nothing is left to do. A conflict: someone else wrote, and the decision is made again on that.
			return machinery.Transient(client.IgnoreNotFound(err))
		}
		if next.Retry != nil {
			return machinery.Transient(next.Retry)
		}
		if next.Then == thenRest {
			return machinery.Waiting(next.WakeAt)
		}
		r.act(ctx, &snapshot, next.Then)
	}
	return machinery.Stalled(errors.New("the execution came to no rest: this is a defect of Kubernaut"))
}

// record writes the status once, and tells of an end after it is written.
func (r *Reconciler) record(ctx context.Context, s *Snapshot, next Next) error {
	after := s.Execution.DeepCopy()
	after.Status = next.Status
	written, err := machinery.Record(ctx, r.Clients.Live, s.Execution, after)
	if err != nil || !written {
		return err
	}
	if after.Status.Phase.Terminal() {
		count(after, r.Clock.Now())
		r.announce(after)
	}
	s.Execution = after
	return nil
}

// act does what the decision asks for and puts what came of it into the snapshot.
func (r *Reconciler) act(ctx context.Context, s *Snapshot, what then) {
	switch what {
	case thenValidate:
		ctx, cancel := context.WithTimeout(ctx, timeLeft(s.Execution, r.Clock.Now()))
		defer cancel()
		s.Validation = r.validate(ctx, s.Execution)
	case thenApply:
		s.Made, s.Verification = r.apply(ctx, *s)
	case thenLook:
		s.Made, s.Verification = r.look(ctx, s.Execution)
	case thenVerify:
		s.Verification = r.verification(ctx, s.Execution)
	case thenRest:
	}
}

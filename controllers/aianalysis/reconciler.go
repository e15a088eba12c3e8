package aianalysis

import (
	"context"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	aianalysisv1 "kubernaut.io/kubernaut/api/aianalysis/v1"
	"kubernaut.io/kubernaut/controllers/machinery"
)

// The analyses and what the provider playbook reads come from the manager's cache.
// +kubebuilder:rbac:groups=aianalysis.kubernaut.io,resources=aianalyses/status,verbs=update

// Provider finds a cause and a workflow. It reads the spec, a complete snapshot, and what it knows itself; never the cluster.
type Provider interface {
	// Name is the name that the status gives.
	Name() string
	// Analyze concludes. An error means that it could not, now; that there is nothing to conclude is no error.
	Analyze(ctx context.Context, spec *aianalysisv1.AIAnalysisSpec) (Analysis, error)
}

// Analysis is what a provider concludes. None of it is trusted: it is bounded and checked here, checked again by the schema of the
// status that holds it, and, as a workflow, by admission and by the safety gate. A provider that is given text decodes it strictly.
type Analysis struct {
	// RootCause is the cause in words.
	RootCause string
	// ConfidencePercent is how sure the provider is.
	ConfidencePercent *int32
	// Recommendation is the workflow to run.
	Recommendation *aianalysisv1.Recommendation
	// NoActionRequired says that nothing has to be done.
	NoActionRequired bool
	// Alternatives are what else was considered, the best first.
	Alternatives []aianalysisv1.Alternative
	// Unresolved says why there is neither a recommendation nor nothing to do.
	Unresolved string
}

// Reconciler carries out analyses.
type Reconciler struct {
	// Clients are those of the aianalysis-controller.
	Clients machinery.Clients
	// Recorder records events, after the status write that they tell of.
	Recorder events.EventRecorder
	// Clock is the time.
	Clock clock.PassiveClock
	// Provider analyses.
	Provider Provider
}

// SetupWithManager registers the controller. An analysis needs nothing but its own spec, so only its creation wakes it, and the loss of its request.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager, options controller.Options) error {
	return ctrl.NewControllerManagedBy(mgr).
		Named("aianalysis").
		WithOptions(options).
		For(&aianalysisv1.AIAnalysis{}, builder.WithPredicates(predicate.Or(predicate.GenerationChangedPredicate{}, machinery.OwnersChanged()))).
		Complete(r)
}

// Reconcile takes one analysis to its end.
func (r *Reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	return r.reconcile(ctx, request).Result(r.Clock.Now())
}

func (r *Reconciler) reconcile(ctx context.Context, request ctrl.Request) machinery.Outcome {
	var analysis aianalysisv1.AIAnalysis
	if err := r.Clients.Cached.Get(ctx, request.NamespacedName, &analysis); err != nil {
		return machinery.Transient(client.IgnoreNotFound(err))
	}
	if !analysis.DeletionTimestamp.IsZero() {
		return machinery.Done()
	}
	snapshot := Snapshot{analysis: &analysis}
	if !analysis.Status.Phase.Terminal() && machinery.Orphaned(&analysis, analysis.Spec.RemediationRequestRef) == "" {
		snapshot = r.gather(ctx, &analysis)
	}
	next := decide(snapshot, r.Clock.Now())
	err := r.record(ctx, &analysis, next)
	if apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) || apierrors.IsRequestEntityTooLargeError(err) {
		snapshot.refused = err
		next = decide(snapshot, r.Clock.Now())
		err = r.record(ctx, &analysis, next)
	}
	switch {
	case err != nil:
		return machinery.Transient(client.IgnoreNotFound(err))
	case next.retry != nil:
		return machinery.Transient(next.retry)
	default:
		return machinery.Done()
	}
}

// record writes the status, and tells of it. A phase that may not follow is a mistake of decide: trying again does not help.
func (r *Reconciler) record(ctx context.Context, analysis *aianalysisv1.AIAnalysis, next decision) error {
	if err := transitions().Check(analysis.Status.Phase, next.status.Phase); err != nil {
		return reconcile.TerminalError(err)
	}
	after := analysis.DeepCopy()
	after.Status = next.status
	written, err := machinery.Record(ctx, r.Clients.Cached, analysis, after)
	if written {
		r.announce(analysis, after)
	}
	return err
}

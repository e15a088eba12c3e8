package remediationrequest

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	aianalysisv1 "kubernaut.io/kubernaut/api/aianalysis/v1"
	remediationv1 "kubernaut.io/kubernaut/api/remediation/v1"
	remediationprocessingv1 "kubernaut.io/kubernaut/api/remediationprocessing/v1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/controllers/machinery"
)

// Snapshot is all that a decision rests on.
type Snapshot struct {
	request *remediationv1.RemediationRequest
	// rivals are the other active requests for the same signal and target; only before processing.
	rivals []rival
	// The children of the current attempt, as far as the phase needs them.
	processing child[remediationprocessingv1.RemediationProcessing]
	analysis   child[aianalysisv1.AIAnalysis]
	workflow   child[workflowexecutionv1.WorkflowExecution]
	// failed is the workflow that the current recovery follows; only while its examination is to be made.
	failed child[workflowexecutionv1.WorkflowExecution]
	// earlier are the analyses of the attempts before the current one, in order; only while its own is to be made.
	earlier []child[aianalysisv1.AIAnalysis]
	// recent is how the workflows of all requests have ended lately; only when the workflow has failed.
	recent rate
	// unread says what could not be read; the rest of the snapshot is then not to be relied on.
	unread error
	// refusal says why the child of the phase cannot be created.
	refusal error
	// notifies says that there is a sink which is told of escalations.
	notifies bool
}

// rival is another active request for the same signal and target.
type rival struct {
	name    string
	uid     string
	created metav1.Time
	// started says that it is beyond the check for duplicates.
	started bool
}

// child is an object with the name of a child: ours, or somebody's.
type child[T any] struct {
	// object is the child; nil when there is none.
	object *T
	// foreign says why an object of that name is not ours.
	foreign string
	// lost is the object that is foreign although it was made for this request: its owner reference was taken away.
	lost *T
}

// gather reads what the phase needs, and nothing else.
func (r *Reconciler) gather(ctx context.Context, request *remediationv1.RemediationRequest) Snapshot {
	s := Snapshot{request: request, notifies: r.Notifies}
	attempt := request.Status.RecoveryAttempts
	switch request.Status.OverallPhase {
	case "", remediationv1.PhasePending:
		s.rivals, s.unread = r.rivals(ctx, request)
	case remediationv1.PhaseProcessing, remediationv1.PhaseRecovering:
		r.gatherProcessing(ctx, &s, attempt)
	case remediationv1.PhaseAnalyzing:
		s.analysis, s.unread = r.readAnalysis(ctx, request, attempt)
		if s.unread == nil && s.analysis.object == nil {
			r.gatherProcessing(ctx, &s, attempt)
		}
	case remediationv1.PhaseExecuting:
		r.gatherWorkflow(ctx, &s, attempt)
	case remediationv1.PhaseCompleted, remediationv1.PhaseFailed:
		if runsOn(request) {
			s.workflow, s.unread = r.readWorkflow(ctx, request, attempt)
		}
	}
	return s
}

// gatherProcessing reads the examination, and what its absence or its end calls for in a recovery.
func (r *Reconciler) gatherProcessing(ctx context.Context, s *Snapshot, attempt int32) {
	s.processing, s.unread = r.readProcessing(ctx, s.request, attempt)
	switch examined := s.processing.object; {
	case s.unread != nil || attempt == 0:
	case examined == nil:
		s.failed, s.unread = r.readWorkflow(ctx, s.request, attempt-1)
	case examined.Status.Phase == remediationprocessingv1.PhaseCompleted:
		for earlier := int32(0); earlier < attempt && s.unread == nil; earlier++ {
			var analysis child[aianalysisv1.AIAnalysis]
			analysis, s.unread = r.readAnalysis(ctx, s.request, earlier)
			s.earlier = append(s.earlier, analysis)
		}
	}
}

// gatherWorkflow reads the workflow; what recommended it if it is not there, and how others have ended if it has failed.
func (r *Reconciler) gatherWorkflow(ctx context.Context, s *Snapshot, attempt int32) {
	s.workflow, s.unread = r.readWorkflow(ctx, s.request, attempt)
	switch workflow := s.workflow.object; {
	case s.unread != nil:
	case workflow == nil:
		s.analysis, s.unread = r.readAnalysis(ctx, s.request, attempt)
	case workflow.Status.Phase == workflowexecutionv1.PhaseFailed:
		s.recent, s.unread = r.readRate(ctx)
	}
}

// readRate counts over the workflows of all namespaces, as the manager's cache has them: they may be many, and are only read.
func (r *Reconciler) readRate(ctx context.Context) (rate, error) {
	var list workflowexecutionv1.WorkflowExecutionList
	if err := r.Clients.Cached.List(ctx, &list, client.UnsafeDisableDeepCopy); err != nil {
		return rate{}, fmt.Errorf("counting the workflows that failed: %w", err)
	}
	return rateOf(list.Items, r.Clock.Now()), nil
}

// runsOn says whether a workflow of the request had not ended when the request did.
func runsOn(request *remediationv1.RemediationRequest) bool {
	for _, ref := range request.Status.WorkflowExecutionRefs {
		if ref.Outcome == remediationv1.OutcomeInProgress {
			return true
		}
	}
	return false
}

func (r *Reconciler) readProcessing(ctx context.Context, request *remediationv1.RemediationRequest, attempt int32) (child[remediationprocessingv1.RemediationProcessing], error) {
	return readChild(ctx, r.Clients, request, shared.ProcessingName(request.Name, attempt), &remediationprocessingv1.RemediationProcessing{})
}

func (r *Reconciler) readAnalysis(ctx context.Context, request *remediationv1.RemediationRequest, attempt int32) (child[aianalysisv1.AIAnalysis], error) {
	return readChild(ctx, r.Clients, request, shared.AnalysisName(request.Name, attempt), &aianalysisv1.AIAnalysis{})
}

func (r *Reconciler) readWorkflow(ctx context.Context, request *remediationv1.RemediationRequest, attempt int32) (child[workflowexecutionv1.WorkflowExecution], error) {
	return readChild(ctx, r.Clients, request, shared.WorkflowName(request.Name, attempt), &workflowexecutionv1.WorkflowExecution{})
}

// readChild reads a child from the cache; one that the cache does not have live: it was not made yet, only just, or is gone.
func readChild[T any, P interface {
	*T
	client.Object
}](ctx context.Context, clients machinery.Clients, request *remediationv1.RemediationRequest, name string, object P) (child[T], error) {
	key := client.ObjectKey{Namespace: request.Namespace, Name: name}
	err := clients.Cached.Get(ctx, key, object)
	if apierrors.IsNotFound(err) {
		err = clients.Live.Get(ctx, key, object)
	}
	switch {
	case apierrors.IsNotFound(err):
		return child[T]{}, nil
	case err != nil:
		return child[T]{}, fmt.Errorf("reading %T %s: %w", object, name, err)
	case !machinery.OwnedBy(object, request):
		found := child[T]{foreign: "its controller is " + controllerText(object)}
		if requestOf(object).UID == request.UID {
			found.lost = object
		}
		return found, nil
	default:
		return child[T]{object: object}, nil
	}
}

// requestOf is the request that a child names. Unlike its owner references it cannot change.
func requestOf(object client.Object) shared.ObjectReference {
	switch child := object.(type) {
	case *remediationprocessingv1.RemediationProcessing:
		return child.Spec.RemediationRequestRef
	case *aianalysisv1.AIAnalysis:
		return child.Spec.RemediationRequestRef
	case *workflowexecutionv1.WorkflowExecution:
		if child.Spec.RemediationRequestRef != nil {
			return *child.Spec.RemediationRequestRef
		}
	}
	return shared.ObjectReference{}
}

func controllerText(object metav1.Object) string {
	owner := metav1.GetControllerOf(object)
	if owner == nil {
		return "nobody"
	}
	return fmt.Sprintf("%s %s with UID %s", owner.Kind, owner.Name, owner.UID)
}

// fingerprintField can be selected by, at the API server.
const fingerprintField = "spec.signalContext.fingerprint"

// rivals reads live: two requests that are made at once must see each other. The API server gives only those of the same fingerprint.
func (r *Reconciler) rivals(ctx context.Context, request *remediationv1.RemediationRequest) ([]rival, error) {
	var list remediationv1.RemediationRequestList
	same := client.MatchingFields{fingerprintField: request.Spec.SignalContext.Fingerprint}
	if err := r.Clients.Live.List(ctx, &list, client.InNamespace(request.Namespace), same); err != nil {
		return nil, fmt.Errorf("looking for duplicates: %w", err)
	}
	var rivals []rival
	for i := range list.Items {
		other := &list.Items[i]
		phase := other.Status.OverallPhase
		if other.UID == request.UID || phase.Terminal() || !other.DeletionTimestamp.IsZero() || !sameProblem(request, other) {
			continue
		}
		rivals = append(rivals, rival{
			name: other.Name, uid: string(other.UID), created: other.CreationTimestamp,
			started: phase != "" && phase != remediationv1.PhasePending,
		})
	}
	return rivals, nil
}

// sameProblem compares fingerprint and target. Admission gives every request a fingerprint; without one the name of the signal
// counts, so that nothing is repaired twice because admission was away.
func sameProblem(a, b *remediationv1.RemediationRequest) bool {
	x, y := a.Spec.SignalContext, b.Spec.SignalContext
	return a.Spec.Target == b.Spec.Target && x.Fingerprint == y.Fingerprint && (x.Fingerprint != "" || x.Name == y.Name)
}

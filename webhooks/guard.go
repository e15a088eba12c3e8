package webhooks

import (
	"context"
	"fmt"
	"net/http"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/cache"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/flowcontrol"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	remediationv1 "kubernaut.io/kubernaut/api/remediation/v1"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/controllers/machinery"
	"kubernaut.io/kubernaut/webhooks/statusguard"
)

// Events about refusals. Whoever is refused may ask again at once, and for ever: what they make us write is bounded.
const (
	admissionRecorder = "kubernaut-admission"
	actionRefuse      = "Refuse"

	// sameEvent is how long nothing more is said about the same user and the same object.
	sameEvent = 5 * time.Minute
	// rememberedEvents is how many users and objects are remembered.
	rememberedEvents = 1024
	// eventsPerSecond and eventBurst bound all events about refusals.
	eventsPerSecond = 0.5
	eventBurst      = 20

	longestNote = 1024
)

func guardHook(row statusguard.Row) hook {
	return hook{group: row.Group, version: row.Version, kind: row.Kind, resource: row.Resource}
}

func (h hook) guardPath() string { return h.path("guard-status") }

// guardWebhooks are the status guard a second time: they hold when the policies were deleted. A status write of the rightful
// writer and a change that claims no owner skip them, so that the one costs no call and the other does not wait for a manager
// that is gone.
func guardWebhooks(namespace string, config func(path string) admissionregistrationv1.WebhookClientConfig) []admissionregistrationv1.ValidatingWebhook {
	var list []admissionregistrationv1.ValidatingWebhook
	for _, row := range statusguard.Rows() {
		list = append(list, admissionregistrationv1.ValidatingWebhook{
			Name:                    guardHook(row).name("guard-status"),
			ClientConfig:            config(guardHook(row).guardPath()),
			Rules:                   row.Guarded(),
			FailurePolicy:           new(admissionregistrationv1.Fail),
			MatchPolicy:             new(admissionregistrationv1.Equivalent),
			SideEffects:             new(admissionregistrationv1.SideEffectClassNoneOnDryRun),
			TimeoutSeconds:          new(int32(timeoutSeconds)),
			AdmissionReviewVersions: []string{"v1"},
			MatchConditions: []admissionregistrationv1.MatchCondition{
				{Name: "not-the-writer", Expression: "!(" + row.Writes(namespace) + ")"},
				{Name: "guarded-change", Expression: "(" + statusguard.StatusWrite + ") || " + statusguard.Claims()},
			},
		})
	}
	return list
}

func registerGuard(mgr ctrl.Manager, namespace string) {
	guard := NewGuard(statusguard.New(namespace), mgr.GetClient(), mgr.GetAPIReader(), mgr.GetEventRecorder(admissionRecorder))
	for _, row := range statusguard.Rows() {
		mgr.GetWebhookServer().Register(guardHook(row).guardPath(), &admission.Webhook{Handler: guard})
	}
}

// NewGuard is the handler of the status guard for all kinds. What the cached owner allows is allowed; what it does not is decided on
// the live one, because a cache may not have seen it yet.
func NewGuard(guard *statusguard.Guard, cached, live client.Reader, recorder events.EventRecorder) admission.Handler {
	return &guardHandler{guard: guard, cached: cached, live: live, tell: &refusalEvents{
		recorder: recorder,
		recent:   cache.NewLRUExpireCache(rememberedEvents),
		limit:    flowcontrol.NewTokenBucketPassiveRateLimiter(eventsPerSecond, eventBurst),
	}}
}

type guardHandler struct {
	guard        *statusguard.Guard
	cached, live client.Reader
	tell         *refusalEvents
}

// Handle answers one request.
func (g *guardHandler) Handle(ctx context.Context, request admission.Request) admission.Response {
	refusal, err := g.guard.Decide(ctx, &request.AdmissionRequest, ownerIn(g.cached))
	if err != nil || refusal != nil {
		refusal, err = g.guard.Decide(ctx, &request.AdmissionRequest, ownerIn(g.live))
	}
	if err != nil {
		log.FromContext(ctx).Error(err, "the status guard has no answer", "resource", request.Resource.Resource)
		return admission.Errored(http.StatusInternalServerError, err)
	}
	if refusal == nil {
		return checkChild(&request)
	}
	denied.WithLabelValues(request.Resource.Resource, refusal.Reason).Inc()
	g.tell.refused(&request, refusal)
	return admission.Response{AdmissionResponse: admissionv1.AdmissionResponse{Result: &metav1.Status{
		Status: metav1.StatusFailure, Code: http.StatusForbidden, Reason: metav1.StatusReasonForbidden, Message: refusal.Message,
	}}}
}

// ownerIn looks an owner up.
func ownerIn(reader client.Reader) statusguard.Lookup {
	return func(ctx context.Context, kind statusguard.Owner, name types.NamespacedName) (*statusguard.LiveOwner, error) {
		var workflow workflowexecutionv1.WorkflowExecution
		var request remediationv1.RemediationRequest
		var owner client.Object = &workflow
		if kind.Group == remediationv1.GroupVersion.Group {
			owner = &request
		}
		if err := reader.Get(ctx, name, owner); err != nil {
			if apierrors.IsNotFound(err) {
				return nil, nil //nolint:nilnil // the contract of Lookup: nil says that there is none
			}
			return nil, err
		}
		return &statusguard.LiveOwner{UID: owner.GetUID(), RequestedBy: request.Spec.RequestedBy}, nil
	}
}

// refusalEvents tells people on the object that somebody else tried to change it.
type refusalEvents struct {
	recorder events.EventRecorder
	recent   *cache.LRUExpireCache
	limit    flowcontrol.PassiveRateLimiter
}

func (e *refusalEvents) refused(request *admission.Request, refusal *statusguard.Refusal) {
	if request.DryRun == nil || *request.DryRun || len(request.OldObject.Raw) == 0 {
		return // nothing is written for a dry run, and about what does not exist there is nothing to write on
	}
	var stored metav1.PartialObjectMetadata
	if err := utiljson.Unmarshal(request.OldObject.Raw, &stored); err != nil {
		return
	}
	key := fmt.Sprintf("%s/%s/%s", stored.UID, refusal.Rule, request.UserInfo.Username)
	if _, said := e.recent.Get(key); said || !e.limit.TryAccept() {
		return
	}
	e.recent.Add(key, nil, sameEvent)
	kind := schema.GroupVersionKind(request.Kind)
	e.recorder.Eventf(&corev1.ObjectReference{
		APIVersion: kind.GroupVersion().String(), Kind: kind.Kind, Namespace: stored.Namespace, Name: stored.Name, UID: stored.UID,
	}, nil, corev1.EventTypeWarning, refusal.Reason, actionRefuse, "%s", machinery.Cut(refusal.Message, longestNote))
}

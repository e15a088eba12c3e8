package webhooks

import (
	"context"
	"fmt"
	"reflect"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"kubernaut.io/kubernaut/api/shared"
	"kubernaut.io/kubernaut/controllers/identity"
	"kubernaut.io/kubernaut/controllers/rights"
	"kubernaut.io/kubernaut/webhooks/rules"
)

// Options are what the webhooks must know about the installation.
type Options struct {
	// Namespace is the operator's namespace: its ServiceAccounts are trusted with what only controllers may say.
	Namespace string
	// Policies checks a SafetyPolicy: the safety gate.
	Policies PolicyReviewer
	// Preview says what the safety gate would say about a new workflow; nil says nothing.
	Preview Previewer
	// Clock is the time by which decisions of people are stamped and expire. Default: the real one.
	Clock clock.PassiveClock
}

// Setup registers all webhooks with the manager's webhook server. They are served by every replica, leader or not.
func Setup(mgr ctrl.Manager, options Options) error {
	if options.Namespace == "" {
		return fmt.Errorf("webhooks: the operator's namespace is not set")
	}
	if options.Policies == nil {
		return fmt.Errorf("webhooks: nobody checks policies")
	}
	if options.Clock == nil {
		options.Clock = clock.RealClock{}
	}
	who := callers{orchestrator: identity.Username(options.Namespace, identity.RemediationRequest)}
	asks := authorizer{client: mgr.GetClient(), mapper: mgr.GetRESTMapper()}
	requests := &remediationRequests{callers: who, authorizer: asks, scopes: scopes{mapper: mgr.GetRESTMapper()}}
	if err := register(mgr, remediationRequestHook(), requests); err != nil {
		return err
	}
	workflows := &workflowExecutions{callers: who, authorizer: asks, live: mgr.GetAPIReader()}
	if options.Preview != nil {
		workflows.preview = newPreview(options.Preview)
	}
	if err := register(mgr, workflowExecutionHook(), workflows); err != nil {
		return err
	}
	if err := registerValidator(mgr, safetyPolicyHook(), &safetyPolicies{reviewer: options.Policies}); err != nil {
		return err
	}
	if err := register(mgr, approvalRequestHook(), &approvalRequests{authorizer: asks, clock: options.Clock}); err != nil {
		return err
	}
	if err := registerValidator(mgr, playbookHook(), &playbooks{}); err != nil {
		return err
	}
	registerGuard(mgr, options.Namespace)
	return nil
}

// webhook is what each kind has.
type webhook[T client.Object] interface {
	admission.Defaulter[T]
	admission.Validator[T]
}

func register[T client.Object](mgr ctrl.Manager, h hook, w webhook[T]) error {
	if err := registerValidator(mgr, h, w); err != nil {
		return err
	}
	// The builder has no place for a handler of our own.
	mgr.GetWebhookServer().Register(h.mutatePath(), &admission.Webhook{Handler: &defaulting[T]{decoder: admission.NewDecoder(mgr.GetScheme()), defaulter: w}})
	return nil
}

func registerValidator[T client.Object](mgr ctrl.Manager, h hook, w admission.Validator[T]) error {
	if err := ctrl.NewWebhookManagedBy(mgr, newObject[T]()).WithValidator(w).WithValidatorCustomPath(h.validatePath()).Complete(); err != nil {
		return fmt.Errorf("validating webhook of %s: %w", h.kind, err)
	}
	return nil
}

func newObject[T client.Object]() T {
	return reflect.New(reflect.TypeFor[T]().Elem()).Interface().(T) //nolint:errcheck,forcetypeassert // a pointer to what T points to is a T
}

// callers knows whose requests are special.
type callers struct{ orchestrator string }

// caller is who sends the request, and whether that is the orchestrator.
func (c callers) caller(request *admission.Request) (shared.Requester, bool) {
	return rules.Requester(request.UserInfo), request.UserInfo.Username == c.orchestrator
}

// authorizer asks the API server what someone may do, as the manager.
type authorizer struct {
	client client.Client
	mapper meta.RESTMapper
}

// review refuses an object whose author lacks a permission.
func (a authorizer) review(ctx context.Context, h hook, object client.Object, who shared.Requester, needs []rights.Need) error {
	denials, err := rights.Review(ctx, a.client, who, needs)
	if err != nil {
		return apierrors.NewInternalError(err)
	}
	errs := make(field.ErrorList, len(denials))
	for i, denial := range denials {
		errs[i] = field.Forbidden(denial.Path, fmt.Sprintf(
			"%s, so may not have it done either: ask an admin for a role with the verb %s", denial, denial.Verb))
	}
	return h.refuse(object, errs)
}

// scopes asks the API server which kinds live in namespaces.
type scopes struct{ mapper meta.RESTMapper }

func (s scopes) of(kind schema.GroupVersionKind) (rules.Scope, error) {
	if kind.Empty() || kind.Version == "" {
		return rules.ScopeUnknown, nil
	}
	mapping, err := s.mapper.RESTMapping(kind.GroupKind(), kind.Version)
	switch {
	case meta.IsNoMatchError(err):
		return rules.ScopeUnknown, nil
	case err != nil:
		return rules.ScopeUnknown, fmt.Errorf("ask the API server whether %s lives in namespaces; try again: %w", kind.Kind, err)
	case mapping.Scope.Name() == meta.RESTScopeNameRoot:
		return rules.ScopeCluster, nil
	default:
		return rules.ScopeNamespaced, nil
	}
}

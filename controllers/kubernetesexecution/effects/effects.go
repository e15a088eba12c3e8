// Package effects computes, tries and makes the effects of actions, each under the action's own ServiceAccount. It has the one
// function that writes to a target.
package effects

import (
	"context"
	"errors"
	"fmt"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubernetesexecutionv1 "kubernaut.io/kubernaut/api/kubernetesexecution/v1"
	"kubernaut.io/kubernaut/api/shared"
	"kubernaut.io/kubernaut/controllers/identity"
	"kubernaut.io/kubernaut/controllers/kubernetesexecution/actions"
	"kubernaut.io/kubernaut/controllers/machinery"
)

// FieldManager is the field manager of the writes of an action. It is load-bearing: changing it leaves fields without the owner
// that they had.
func FieldManager(action shared.ActionType) string { return "kubernaut-" + string(action) }

// ClientsFor gives the clients of the account of an action. It may ask for a token, and is asked once for each type that is
// used, again after an error.
type ClientsFor func(shared.ActionType) (machinery.Clients, error)

// Effects computes, tries and makes effects. Its methods can be called concurrently.
type Effects struct {
	clientsFor ClientsFor

	mutex   sync.Mutex
	clients map[shared.ActionType]*account
}

// account is the client of one action, once there is one.
type account struct {
	mutex sync.Mutex
	live  client.Client
}

// New makes Effects that act with the clients that clientsFor gives.
func New(clientsFor ClientsFor) *Effects {
	return &Effects{clientsFor: clientsFor, clients: map[shared.ActionType]*account{}}
}

// client is the client of an action's account. Its reads are live: what happens to a target never rests on a cache.
func (e *Effects) client(action shared.ActionType) (client.Client, error) {
	e.mutex.Lock()
	entry, known := e.clients[action]
	if !known {
		entry = &account{}
		e.clients[action] = entry
	}
	e.mutex.Unlock()

	entry.mutex.Lock()
	defer entry.mutex.Unlock()
	if entry.live != nil {
		return entry.live, nil
	}
	clients, err := e.clientsFor(action)
	if apierrors.IsNotFound(err) || apierrors.IsForbidden(err) {
		// It is the account that is missing, not the target.
		return nil, machinery.Typed(shared.ErrorPermissionDenied, fmt.Errorf("acting as %s: %w", identity.Action(action), err))
	}
	if err != nil {
		return nil, fmt.Errorf("acting as %s: %w", identity.Action(action), err)
	}
	entry.live = clients.Live
	return entry.live, nil
}

// subject is an action with its target and the client that reads and writes it.
type subject struct {
	actions.Action
	parameters *shared.Action
	target     *shared.Target
	client     client.Client
}

func (e *Effects) subject(parameters *shared.Action) (subject, error) {
	if parameters == nil {
		return subject{}, machinery.Typed(shared.ErrorValidation, errors.New("there is no action"))
	}
	action, known := actions.Get(parameters.Type)
	if !known {
		return subject{}, machinery.Typed(shared.ErrorValidation, fmt.Errorf("there is no action of type %q", parameters.Type))
	}
	target := action.Target(parameters)
	if target == nil && action.Mutates() {
		return subject{}, machinery.Typed(shared.ErrorValidation, fmt.Errorf("action %s has no parameters, so there is no target", parameters.Type))
	}
	c, err := e.client(parameters.Type)
	if err != nil {
		return subject{}, err
	}
	return subject{Action: action, parameters: parameters, target: target, client: c}, nil
}

// Read reads the target of an action, live and as the action's account. An action without a target has nil.
func (e *Effects) Read(ctx context.Context, action *shared.Action) (*unstructured.Unstructured, error) {
	s, err := e.subject(action)
	if err != nil || s.target == nil {
		return nil, err
	}
	return s.read(ctx)
}

func (s subject) read(ctx context.Context) (*unstructured.Unstructured, error) {
	live := &unstructured.Unstructured{}
	live.SetGroupVersionKind(s.target.GroupVersionKind())
	key := client.ObjectKey{Namespace: s.target.Namespace, Name: s.target.Name}
	err := onceMore(func() error { return s.client.Get(ctx, key, live) })
	if err != nil {
		return nil, s.describe("get", err)
	}
	return live, nil
}

// onceMore repeats a request that was refused for its token: the refusal makes the transport get a new one. Such a request was
// not carried out.
func onceMore(request func() error) error {
	err := request()
	if apierrors.IsUnauthorized(err) {
		err = request()
	}
	return err
}

// describe says what was being done, by whom, to what; the class of the error stays.
func (s subject) describe(verb string, err error) error {
	switch {
	case err == nil:
		return nil
	case apierrors.IsNotFound(err):
		return machinery.Typed(shared.ErrorResourceNotFound, fmt.Errorf("%s does not exist: %w", s.target, err))
	case machinery.Classify(err) == shared.ErrorPermissionDenied:
		return fmt.Errorf("%s may not %s %s (the ClusterRole of that name in config/rbac allows it): %w",
			identity.Action(s.Type()), verb, s.target, err)
	default:
		return fmt.Errorf("%s %s as %s: %w", verb, s.target, identity.Action(s.Type()), err)
	}
}

// expect checks that live is the object that was expected, unchanged and not about to go. A generation of 0 expects nothing.
func (s subject) expect(live *unstructured.Unstructured, expected *kubernetesexecutionv1.ExpectedTarget) error {
	if expected != nil && live.GetUID() != expected.UID {
		return machinery.Typed(shared.ErrorResourceConflict, fmt.Errorf(
			"%s was deleted and made again: expected UID %s, found %s", s.target, expected.UID, live.GetUID()))
	}
	if live.GetDeletionTimestamp() != nil {
		return machinery.Typed(shared.ErrorResourceConflict, fmt.Errorf("%s is being deleted", s.target))
	}
	if expected != nil && expected.Generation > 0 && live.GetGeneration() != expected.Generation {
		return machinery.Typed(shared.ErrorResourceConflict, fmt.Errorf(
			"someone else changed %s: expected generation %d, found %d (see metadata.managedFields for who it was)",
			s.target, expected.Generation, live.GetGeneration()))
	}
	return nil
}

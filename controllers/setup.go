// Package controllers sets up every controller of Kubernaut with its own identity.
package controllers

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/client-go/transport"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"kubernaut.io/kubernaut/api/shared"
	"kubernaut.io/kubernaut/controllers/aianalysis"
	"kubernaut.io/kubernaut/controllers/aianalysis/playbook"
	"kubernaut.io/kubernaut/controllers/approvalrequest"
	"kubernaut.io/kubernaut/controllers/facts"
	"kubernaut.io/kubernaut/controllers/identity"
	"kubernaut.io/kubernaut/controllers/kubernetesexecution"
	"kubernaut.io/kubernaut/controllers/kubernetesexecution/effects"
	"kubernaut.io/kubernaut/controllers/machinery"
	"kubernaut.io/kubernaut/controllers/notification"
	playbookcontroller "kubernaut.io/kubernaut/controllers/playbook"
	"kubernaut.io/kubernaut/controllers/remediationprocessing"
	"kubernaut.io/kubernaut/controllers/remediationrequest"
	"kubernaut.io/kubernaut/controllers/safetypolicy"
	"kubernaut.io/kubernaut/controllers/workflowexecution"
	"kubernaut.io/kubernaut/policies/gate"
)

// Options are what the controllers need.
type Options struct {
	// Namespace is that of the operator's ServiceAccounts.
	Namespace string
	// Gate is the safety gate.
	Gate *gate.Gate
	// Facts are what the gate judges on, from the manager's cache.
	Facts *facts.Facts
	// Concurrency is how many objects of a kind are reconciled at once.
	Concurrency int
	// MaxBackoff is the longest pause after an error until an object is tried again; 0 is what is installed.
	MaxBackoff time.Duration
	// Notifications takes what people outside of the cluster must know; nil is that nobody is told.
	Notifications *notification.Sink
	// Clock is the time; nil is the real one.
	Clock clock.PassiveClock
	// WrapTransport wraps the transport of every client of the controllers and of the actions; nil wraps nothing. That of the
	// manager's own clients is set in its configuration.
	WrapTransport transport.WrapperFunc
}

const (
	// minBackoff and maxBackoff bound the pauses after transient errors: a pause must not outlast the time limit of a step or of a phase
	// by much, and the end that controller-runtime has is a quarter of an hour.
	minBackoff = 5 * time.Millisecond
	maxBackoff = 15 * time.Second
)

// Cache is what the cache of the manager holds: of each object no more than is needed. The argument is the namespace of the operator.
func Cache(namespace string) cache.Options {
	return cache.Options{DefaultTransform: cache.TransformStripManagedFields(), ByObject: workflowexecution.CachedLocks(namespace)}
}

// reconciler is what every controller has.
type reconciler interface {
	SetupWithManager(mgr ctrl.Manager, options controller.Options) error
}

// Setup gives every controller its identity and registers it with the manager, in the order in which a remediation meets them.
func Setup(mgr ctrl.Manager, options Options) error {
	if options.Clock == nil {
		options.Clock = clock.RealClock{}
	}
	s := &setup{mgr: mgr, options: options}
	if err := s.identities(); err != nil {
		return err
	}
	if err := mgr.Add(&safetypolicy.Loader{Cache: mgr.GetCache(), Gate: options.Gate}); err != nil {
		return fmt.Errorf("loader of policies: %w", err)
	}
	known := options.Facts
	effect := effects.New(s.actionClients)
	analysts := playbook.New(mgr.GetCache())
	for _, c := range []struct {
		account    string
		controller func(machinery.Clients) reconciler
	}{
		{identity.RemediationRequest, func(clients machinery.Clients) reconciler {
			return &remediationrequest.Reconciler{
				Clients: clients, Recorder: mgr.GetEventRecorder(identity.RemediationRequest), Clock: options.Clock,
				Notifies: options.Notifications != nil,
			}
		}},
		{identity.RemediationProcessing, func(clients machinery.Clients) reconciler {
			return &remediationprocessing.Reconciler{Clients: clients, Classifier: options.Gate, Recorder: mgr.GetEventRecorder(identity.RemediationProcessing), Clock: options.Clock}
		}},
		{identity.AIAnalysis, func(clients machinery.Clients) reconciler {
			return &aianalysis.Reconciler{Clients: clients, Provider: analysts, Recorder: mgr.GetEventRecorder(identity.AIAnalysis), Clock: options.Clock}
		}},
		{identity.WorkflowExecution, func(clients machinery.Clients) reconciler {
			return &workflowexecution.Reconciler{
				Clients: clients, Cache: mgr.GetCache(), Effects: effect, Gate: known, Surroundings: known, Policies: options.Gate,
				Recorder: mgr.GetEventRecorder(identity.WorkflowExecution), Clock: options.Clock, Namespace: options.Namespace,
			}
		}},
		{identity.WorkflowExecution, func(clients machinery.Clients) reconciler {
			return &approvalrequest.Reconciler{Clients: clients, Recorder: mgr.GetEventRecorder(identity.WorkflowExecution), Clock: options.Clock}
		}},
		{identity.KubernetesExecution, func(clients machinery.Clients) reconciler {
			return &kubernetesexecution.Reconciler{
				Clients: clients, Effects: effect, Gate: known, Policies: options.Gate,
				Recorder: mgr.GetEventRecorder(identity.KubernetesExecution), Clock: options.Clock,
			}
		}},
		{identity.SafetyPolicy, func(clients machinery.Clients) reconciler {
			return &safetypolicy.Reconciler{Clients: clients, Gate: options.Gate, Recorder: mgr.GetEventRecorder(identity.SafetyPolicy), Clock: options.Clock}
		}},
		{identity.Playbook, func(clients machinery.Clients) reconciler {
			return &playbookcontroller.Reconciler{Clients: clients, Recorder: mgr.GetEventRecorder(identity.Playbook), Clock: options.Clock}
		}},
	} {
		if err := s.add(c.account, c.controller); err != nil {
			return err
		}
	}
	if options.Notifications == nil {
		return nil
	}
	return s.add(identity.RemediationRequest, func(clients machinery.Clients) reconciler {
		return &notification.Reconciler{
			Clients: clients, Sink: options.Notifications, Recorder: mgr.GetEventRecorder(identity.RemediationRequest), Clock: options.Clock,
		}
	})
}

// setup obtains identities.
type setup struct {
	mgr     ctrl.Manager
	options Options
	// controllers issues the tokens of the controllers, as the manager; actions those of the actions, as the
	// kubernetesexecution-controller, which alone may.
	controllers, actions *identity.Issuer
}

func (s *setup) identities() (err error) {
	if s.controllers, err = identity.NewIssuer(s.mgr.GetConfig(), s.options.Namespace); err != nil {
		return err
	}
	s.controllers.Wrap = s.options.WrapTransport
	config, err := s.controllers.Config(identity.KubernetesExecution)
	if err != nil {
		return err
	}
	if s.actions, err = identity.NewIssuer(config, s.options.Namespace); err != nil {
		return err
	}
	s.actions.Wrap = s.options.WrapTransport
	return nil
}

// add registers a controller that acts as account.
func (s *setup) add(account string, build func(machinery.Clients) reconciler) error {
	clients, err := s.clients(account)
	if err != nil {
		return err
	}
	options := controller.Options{MaxConcurrentReconciles: s.options.Concurrency, RateLimiter: s.backoff()}
	if err := build(clients).SetupWithManager(s.mgr, options); err != nil {
		return fmt.Errorf("%s: %w", account, err)
	}
	return nil
}

func (s *setup) backoff() workqueue.TypedRateLimiter[reconcile.Request] {
	return workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](minBackoff, cmp.Or(s.options.MaxBackoff, maxBackoff))
}

func (s *setup) clients(account string) (machinery.Clients, error) {
	return s.controllers.Clients(account, s.mgr.GetScheme(), s.mgr.GetRESTMapper(), s.mgr.GetCache())
}

func (s *setup) actionClients(action shared.ActionType) (machinery.Clients, error) {
	return s.actions.Clients(identity.Action(action), s.mgr.GetScheme(), s.mgr.GetRESTMapper(), s.mgr.GetCache())
}

// Collectors are the metrics of all controllers, to be registered once.
func Collectors() []prometheus.Collector {
	return slices.Concat(
		remediationrequest.Collectors(), notification.Collectors(), workflowexecution.Collectors(), approvalrequest.Collectors(), kubernetesexecution.Collectors(),
	)
}

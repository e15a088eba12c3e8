package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/transport"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrlconfig "sigs.k8s.io/controller-runtime/pkg/config"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/webhook"

	"kubernaut.io/kubernaut/cmd/kubernaut/app"
	"kubernaut.io/kubernaut/controllers"
	"kubernaut.io/kubernaut/controllers/facts"
	"kubernaut.io/kubernaut/controllers/identity"
	"kubernaut.io/kubernaut/controllers/notification"
	"kubernaut.io/kubernaut/controllers/safetypolicy"
	"kubernaut.io/kubernaut/policies/gate"
	"kubernaut.io/kubernaut/test/builders"
	"kubernaut.io/kubernaut/webhooks"
	"kubernaut.io/kubernaut/webhooks/certs"
)

const (
	webhooksReady = 30 * time.Second
	managerStop   = 20 * time.Second
	// managerGrace is how long a manager that stops waits for what it still does.
	managerGrace = 10 * time.Second
	// managerConcurrency is how many objects of a kind a manager reconciles at once.
	managerConcurrency = 4
)

// InProcess is an API server with everything that the manifests install, whose webhooks are served by this process. There is no
// controller manager: Workloads stands in for it. Managers are started on it one by one.
type InProcess struct {
	*ControlPlane
	// Scheme knows every kind that the manager does.
	Scheme *runtime.Scheme
	// Admin may do everything that admission lets a person do.
	Admin client.WithWatch
	// Workloads reports on Deployments.
	Workloads *Workloads

	// managers is the configuration of the manager's own account, and mapper what each would otherwise ask the API server for.
	managers *rest.Config
	mapper   meta.RESTMapper
	stops    []func() error
}

// StartInProcess starts it, and returns when a request is admitted. The caller stops it, also after an error.
func StartInProcess(ctx context.Context) (*InProcess, error) {
	p := &InProcess{}
	if err := p.start(ctx); err != nil {
		return nil, errors.Join(err, p.Stop())
	}
	return p, nil
}

func (p *InProcess) start(ctx context.Context) (err error) {
	if p.Scheme, err = app.Scheme(); err != nil {
		return err
	}
	if p.ControlPlane, err = StartControlPlane(); err != nil {
		return err
	}
	p.stops = append(p.stops, p.ControlPlane.Stop)
	if p.Admin, err = client.NewWithWatch(p.Config, client.Options{Scheme: p.Scheme}); err != nil {
		return err
	}
	root, err := Root()
	if err != nil {
		return err
	}
	port, err := freePort(ctx)
	if err != nil {
		return err
	}
	url := fmt.Sprintf("https://localhost:%d", port)
	if err := Install(ctx, p.Config, Options{Root: root, WebhookURL: url}); err != nil {
		return err
	}
	if p.managers, err = TokenConfig(p.Config, identity.DefaultNamespace, identity.Manager); err != nil {
		return err
	}
	p.managers.QPS = -1
	p.mapper = p.Admin.RESTMapper()
	if err := p.serveWebhooks(port); err != nil {
		return err
	}
	if p.Workloads, err = startWorkloads(p.Admin); err != nil {
		return err
	}
	p.stops = append(p.stops, p.Workloads.stop)
	return p.admits(ctx)
}

// Stop ends everything, the last that was started first.
func (p *InProcess) Stop() error {
	var problems []error
	for len(p.stops) > 0 {
		last := len(p.stops) - 1
		problems = append(problems, p.stops[last]())
		p.stops = p.stops[:last]
	}
	return errors.Join(problems...)
}

// serveWebhooks serves them as the manager does, with certificates that it makes itself and policies that it loads itself.
func (p *InProcess) serveWebhooks(port int) error {
	source := certs.NewSource()
	mgr, err := ctrl.NewManager(rest.CopyConfig(p.managers), ctrl.Options{
		Scheme:                  p.Scheme,
		Logger:                  logr.Discard(),
		GracefulShutdownTimeout: new(managerGrace),
		Metrics:                 metricsserver.Options{BindAddress: "0"},
		WebhookServer:           webhook.NewServer(webhook.Options{Host: "127.0.0.1", Port: port, TLSOpts: source.TLSOptions()}),
	})
	if err != nil {
		return err
	}
	if err := source.SelfSigned(mgr, certs.Options{Namespace: identity.DefaultNamespace, ExtraDNSNames: []string{"localhost"}}); err != nil {
		return err
	}
	safety, err := gate.New(gate.Options{AwaitObjects: true})
	if err != nil {
		return err
	}
	if err := mgr.Add(&safetypolicy.Loader{Cache: mgr.GetCache(), Gate: safety}); err != nil {
		return err
	}
	known, err := facts.New(context.Background(), mgr.GetCache(), mgr.GetAPIReader(), safety, clock.RealClock{})
	if err != nil {
		return err
	}
	if err := webhooks.Setup(mgr, webhooks.Options{
		Namespace: identity.DefaultNamespace, Policies: safety, Preview: facts.NewPreview(known, mgr.GetClient()),
	}); err != nil {
		return err
	}
	p.stops = append(p.stops, run(mgr).Stop)
	return nil
}

// admits waits until the API server trusts the webhooks: it takes a moment to see their CA.
func (p *InProcess) admits(ctx context.Context) error {
	probe := builders.Request(metav1.NamespaceDefault, "probe", "Probe", builders.Deployment(metav1.NamespaceDefault, "probe", "probe").Target())
	var last error
	err := wait.PollUntilContextTimeout(ctx, pollInterval, webhooksReady, true, func(ctx context.Context) (bool, error) {
		last = p.Admin.Create(ctx, probe.DeepCopy(), client.DryRunAll)
		return last == nil, nil
	})
	if err != nil {
		return fmt.Errorf("the API server does not admit a request: %w", errors.Join(last, err))
	}
	return nil
}

// NewNamespace makes a namespace whose name begins with prefix.
func (p *InProcess) NewNamespace(ctx context.Context, prefix string, labels map[string]string) (string, error) {
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: prefix, Labels: labels}}
	err := p.Admin.Create(ctx, namespace)
	return namespace.Name, err
}

// ManagerOptions are what tests change about a manager; the zero value is a manager as it is installed.
type ManagerOptions struct {
	// Namespaces are those whose objects it sees; none is all.
	Namespaces []string
	// Clock is the time of its controllers; nil is the real one.
	Clock clock.PassiveClock
	// Wrap wraps the transport of every client, whoever's account it has; nil wraps nothing. The user agent is the account.
	Wrap transport.WrapperFunc
	// MaxBackoff is the longest pause after an error until an object is tried again; 0 is what is installed.
	MaxBackoff time.Duration
	// Gate is the safety gate; nil gives it one of its own, as a process has.
	Gate *gate.Gate
	// Notifications takes what people outside of the cluster must know; nil is that nobody is told.
	Notifications *notification.Sink
	// Log is where it logs; the zero value is nowhere.
	Log logr.Logger
}

// Manager is a manager that runs.
type Manager struct {
	cancel context.CancelFunc
	ended  chan error
}

// StartManager starts all controllers, each with its own identity, as one manager that elects no leader and serves no webhooks. It
// returns once they are set up; its caches fill afterwards.
func (p *InProcess) StartManager(options ManagerOptions) (*Manager, error) {
	safety := options.Gate
	if safety == nil {
		var err error
		if safety, err = gate.New(gate.Options{AwaitObjects: true}); err != nil {
			return nil, err
		}
	}
	now := options.Clock
	if now == nil {
		now = clock.RealClock{}
	}
	config := rest.CopyConfig(p.managers)
	config.UserAgent = identity.Manager
	config.Wrap(options.Wrap)
	caches := controllers.Cache(identity.DefaultNamespace)
	for _, namespace := range options.Namespaces {
		if caches.DefaultNamespaces == nil {
			caches.DefaultNamespaces = map[string]cache.Config{}
		}
		caches.DefaultNamespaces[namespace] = cache.Config{}
	}
	log := options.Log
	if log.GetSink() == nil {
		log = logr.Discard()
	}
	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Scheme:                  p.Scheme,
		MapperProvider:          func(*rest.Config, *http.Client) (meta.RESTMapper, error) { return p.mapper, nil },
		Logger:                  log,
		Controller:              ctrlconfig.Controller{SkipNameValidation: new(true)}, // several managers in one process
		GracefulShutdownTimeout: new(managerGrace),
		Metrics:                 metricsserver.Options{BindAddress: "0"},
		Cache:                   caches,
	})
	if err != nil {
		return nil, fmt.Errorf("manager: %w", err)
	}
	known, err := facts.New(context.Background(), mgr.GetCache(), mgr.GetAPIReader(), safety, now)
	if err != nil {
		return nil, fmt.Errorf("facts: %w", err)
	}
	err = controllers.Setup(mgr, controllers.Options{
		Namespace: identity.DefaultNamespace, Gate: safety, Facts: known, Concurrency: managerConcurrency, Clock: now, WrapTransport: options.Wrap,
		Notifications: options.Notifications, MaxBackoff: options.MaxBackoff,
	})
	if err != nil {
		return nil, fmt.Errorf("controllers: %w", err)
	}
	return run(mgr), nil
}

func run(mgr ctrl.Manager) *Manager {
	ctx, cancel := context.WithCancel(context.Background())
	m := &Manager{cancel: cancel, ended: make(chan error, 1)}
	go func() { m.ended <- mgr.Start(ctx) }()
	return m
}

// Stop ends the manager and waits until nothing of it runs. Its error is that of the manager, or that it did not end.
func (m *Manager) Stop() error {
	m.cancel()
	select {
	case err := <-m.ended:
		m.ended <- err
		return err
	case <-time.After(managerStop):
		return fmt.Errorf("a manager did not end within %s", managerStop)
	}
}

func freePort(ctx context.Context) (int, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("finding a free port: %w", err)
	}
	address, isTCP := listener.Addr().(*net.TCPAddr)
	if err := listener.Close(); err != nil || !isTCP {
		return 0, fmt.Errorf("finding a free port: %s: %w", listener.Addr(), err)
	}
	return address.Port, nil
}

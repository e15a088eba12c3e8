package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.uber.org/zap/zapcore"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client/config"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	"sigs.k8s.io/controller-runtime/pkg/metrics/filters"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/webhook"

	"kubernaut.io/kubernaut/cmd/kubernaut/terminal"
	"kubernaut.io/kubernaut/controllers"
	"kubernaut.io/kubernaut/controllers/facts"
	"kubernaut.io/kubernaut/controllers/identity"
	"kubernaut.io/kubernaut/controllers/notification"
	"kubernaut.io/kubernaut/policies/gate"
	"kubernaut.io/kubernaut/webhooks"
	"kubernaut.io/kubernaut/webhooks/certs"
)

// ManagerOptions are what the manager can be told.
type ManagerOptions struct {
	// Namespace is that of the operator: of its ServiceAccounts, its Leases and the Secret of its certificates.
	Namespace string
	// LeaderElect lets only one of several replicas run the controllers; webhooks are served by all.
	LeaderElect bool
	// MetricsAddress is where metrics are served; "0" serves none.
	MetricsAddress string
	// MetricsSecure serves them over TLS, and only to whom the API server lets get /metrics.
	MetricsSecure bool
	// ProbeAddress is where /healthz and /readyz are served; "0" serves none.
	ProbeAddress string
	// WebhookHost and WebhookPort are where the webhooks are served.
	WebhookHost string
	WebhookPort int
	// WebhookCerts says where the certificate of the webhooks comes from.
	WebhookCerts certs.Origin
	// WebhookCertDir holds tls.crt and tls.key when it comes from files.
	WebhookCertDir string
	// WebhookDNSNames are further names that the serving certificate gets or, from files, must have, for a manager outside the cluster.
	WebhookDNSNames []string
	// Concurrency is how many objects of a kind are reconciled at once.
	Concurrency int
	// PolicyTimeLimit is the longest that one decision of the safety gate may take.
	PolicyTimeLimit time.Duration
	// DecisionLog is the file in which every decision of the safety gate is a line; - is the standard output, and empty is none.
	DecisionLog string
	// DecisionLogInputs adds the complete input to every line of the decision log.
	DecisionLogInputs bool
	// NotificationURLFile is a file with the address that is told of escalations; empty is that nobody is told. NotificationCAFile holds
	// further authorities that may vouch for it.
	NotificationURLFile string
	NotificationCAFile  string
	// ShutdownTimeout is how long running reconciles may take to end.
	ShutdownTimeout time.Duration
}

// logStdout stands for the standard output, where the manager writes nothing else.
const logStdout = "-"

// DefaultManagerOptions are those of a replica in a cluster.
func DefaultManagerOptions() ManagerOptions {
	return ManagerOptions{
		Namespace: identity.DefaultNamespace, LeaderElect: true, MetricsAddress: ":8443", ProbeAddress: ":8081",
		WebhookPort: webhook.DefaultPort, WebhookCerts: certs.OriginSelfSigned, Concurrency: 8,
		PolicyTimeLimit: time.Second, DecisionLog: logStdout, ShutdownTimeout: 30 * time.Second,
	}
}

func (o *ManagerOptions) bind(flags *pflag.FlagSet) {
	flags.StringVar(&o.Namespace, "namespace", o.Namespace, "namespace of the operator: its ServiceAccounts, Leases and certificates")
	flags.BoolVar(&o.LeaderElect, "leader-elect", o.LeaderElect, "let only one of several replicas run the controllers; webhooks are served by all")
	flags.StringVar(&o.MetricsAddress, "metrics-bind-address", o.MetricsAddress, "address of the metrics; 0 serves none")
	flags.BoolVar(&o.MetricsSecure, "metrics-secure", o.MetricsSecure, "serve the metrics over TLS, and only to whom RBAC lets get /metrics")
	flags.StringVar(&o.ProbeAddress, "health-probe-bind-address", o.ProbeAddress, "address of /healthz and /readyz; 0 serves none")
	flags.StringVar(&o.WebhookHost, "webhook-host", o.WebhookHost, "address that the webhooks are served on; empty is all")
	flags.IntVar(&o.WebhookPort, "webhook-port", o.WebhookPort, "port that the webhooks are served on")
	flags.StringVar((*string)(&o.WebhookCerts), "webhook-certs", string(o.WebhookCerts), "where the certificate of the webhooks comes from: "+originList())
	flags.StringVar(&o.WebhookCertDir, "webhook-cert-dir", o.WebhookCertDir, "directory with tls.crt and tls.key, for --webhook-certs=files")
	flags.StringSliceVar(&o.WebhookDNSNames, "webhook-dns-names", o.WebhookDNSNames, "further DNS names that the serving certificate gets or, from files, must have; for a manager outside the cluster")
	flags.IntVar(&o.Concurrency, "concurrency", o.Concurrency, "how many objects of a kind are reconciled at once")
	flags.DurationVar(&o.PolicyTimeLimit, "policy-time-limit", o.PolicyTimeLimit, "longest time that one decision of the safety gate may take")
	flags.StringVar(&o.DecisionLog, "decision-log", o.DecisionLog, "file in which every decision of the safety gate is one JSON line, rotated at 100 MB; - is the standard output, empty is none")
	flags.BoolVar(&o.DecisionLogInputs, "decision-log-inputs", o.DecisionLogInputs, "log the complete input of every decision, for kubernaut policy replay; values of Secrets are left out")
	flags.StringVar(&o.NotificationURLFile, "notification-url-file", o.NotificationURLFile, "file with the address, https, of a Slack-compatible webhook that is told when a person must go on; read each time, never logged; empty tells nobody")
	flags.StringVar(&o.NotificationCAFile, "notification-ca-file", o.NotificationCAFile, "file with further certificate authorities, in PEM, that may vouch for that address")
	flags.DurationVar(&o.ShutdownTimeout, "shutdown-timeout", o.ShutdownTimeout, "how long running reconciles may take to end")
}

func (o *ManagerOptions) validate() error {
	if !slices.Contains(certs.Origins(), o.WebhookCerts) {
		return fmt.Errorf("--webhook-certs=%s is not known; use one of %s", o.WebhookCerts, originList())
	}
	if files := o.WebhookCerts == certs.OriginFiles; files != (o.WebhookCertDir != "") {
		return fmt.Errorf("--webhook-cert-dir goes with --webhook-certs=%s, and only with it", certs.OriginFiles)
	}
	if o.Concurrency < 1 {
		return fmt.Errorf("--concurrency=%d must be at least 1", o.Concurrency)
	}
	if o.DecisionLogInputs && o.DecisionLog == "" {
		return errors.New("--decision-log-inputs needs --decision-log")
	}
	if o.NotificationCAFile != "" && o.NotificationURLFile == "" {
		return errors.New("--notification-ca-file needs --notification-url-file")
	}
	if o.PolicyTimeLimit <= 0 {
		return fmt.Errorf("--policy-time-limit=%s must be more than 0", o.PolicyTimeLimit)
	}
	return nil
}

func originList() string {
	var names []string
	for _, origin := range certs.Origins() {
		names = append(names, string(origin))
	}
	return strings.Join(names, ", ")
}

func newManagerCommand() *cobra.Command {
	options := DefaultManagerOptions()
	var kubeconfig string
	var verbose bool
	command := &cobra.Command{
		Use:   "manager",
		Short: "Run the controllers and the admission webhooks",
		Args:  terminal.Args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := options.validate(); err != nil {
				return terminal.Usage(err)
			}
			// Before there is a logger: what cannot be found is said once, by the error.
			cfg, err := restConfig(kubeconfig)
			if err != nil {
				return err
			}
			level := zapcore.InfoLevel
			if verbose {
				level = zapcore.DebugLevel
			}
			ctrl.SetLogger(zap.New(zap.Level(level), zap.UseDevMode(false)))
			return RunManager(cmd.Context(), cfg, options)
		},
	}
	options.bind(command.Flags())
	command.Flags().StringVar(&kubeconfig, "kubeconfig", "", "kubeconfig of the account kubernaut-manager; default: the one of the pod, or $KUBECONFIG")
	command.Flags().BoolVarP(&verbose, "verbose", "v", false, "log at debug level")
	return command
}

func restConfig(kubeconfig string) (*rest.Config, error) {
	if kubeconfig != "" {
		return terminal.Kubeconfig(kubeconfig)
	}
	cfg, err := config.GetConfig()
	if err != nil {
		return nil, terminal.Usagef("which cluster? There is neither a pod's account nor a kubeconfig: name one with --kubeconfig (%w)", err)
	}
	return cfg, nil
}

// Scheme knows every kind that the manager reads or writes.
func Scheme() (*runtime.Scheme, error) {
	return terminal.Scheme()
}

// RunManager runs the manager until the context ends.
func RunManager(ctx context.Context, cfg *rest.Config, options ManagerOptions) error {
	mgr, err := NewManager(cfg, options)
	if err != nil {
		return err
	}
	return mgr.Start(ctx)
}

// NewManager assembles the manager: the safety gate first, because nothing may run without it, then certificates and webhooks,
// then the controllers, each with its own identity.
func NewManager(cfg *rest.Config, options ManagerOptions) (manager.Manager, error) {
	if err := options.validate(); err != nil {
		return nil, err
	}
	safety, err := newGate(options)
	if err != nil {
		return nil, fmt.Errorf("safety gate: %w", err)
	}
	scheme, err := Scheme()
	if err != nil {
		return nil, err
	}
	// The API server's own priority and fairness limits the manager; a second limit here would only add latency.
	cfg = rest.CopyConfig(cfg)
	cfg.QPS = -1
	source := certs.NewSource()
	mgr, err := ctrl.NewManager(cfg, ctrl.Options{
		Scheme:                  scheme,
		LeaderElection:          options.LeaderElect,
		LeaderElectionID:        "kubernaut-manager",
		LeaderElectionNamespace: options.Namespace,
		// The process ends when the manager does, so the next leader need not wait for the lease to run out.
		LeaderElectionReleaseOnCancel: true,
		GracefulShutdownTimeout:       &options.ShutdownTimeout,
		HealthProbeBindAddress:        options.ProbeAddress,
		Metrics:                       metricsOptions(options),
		WebhookServer:                 webhooks.NewServer(webhook.Options{Host: options.WebhookHost, Port: options.WebhookPort, TLSOpts: source.TLSOptions()}),
		Cache:                         controllers.Cache(options.Namespace),
	})
	if err != nil {
		return nil, fmt.Errorf("manager: %w", err)
	}
	if err := setup(mgr, source, safety, options); err != nil {
		return nil, err
	}
	return mgr, nil
}

func setup(mgr manager.Manager, source *certs.Source, safety *gate.Gate, options ManagerOptions) error {
	if err := provideCertificate(mgr, source, options); err != nil {
		return fmt.Errorf("--webhook-certs=%s: %w", options.WebhookCerts, err)
	}
	known, err := facts.New(context.Background(), mgr.GetCache(), mgr.GetAPIReader(), safety, clock.RealClock{})
	if err != nil {
		return fmt.Errorf("facts: %w", err)
	}
	if err := webhooks.Setup(mgr, webhooks.Options{Namespace: options.Namespace, Policies: safety, Preview: facts.NewPreview(known, mgr.GetClient())}); err != nil {
		return fmt.Errorf("webhooks: %w", err)
	}
	sink, err := notificationSink(options)
	if err != nil {
		return fmt.Errorf("--notification-url-file: %w", err)
	}
	if err := controllers.Setup(mgr, controllers.Options{
		Namespace: options.Namespace, Gate: safety, Facts: known, Concurrency: options.Concurrency, Notifications: sink,
	}); err != nil {
		return fmt.Errorf("controllers: %w", err)
	}
	return errors.Join(
		mgr.AddHealthzCheck("ping", healthz.Ping),
		mgr.AddReadyzCheck("webhooks", mgr.GetWebhookServer().StartedChecker()),
		mgr.AddReadyzCheck("certificates", source.Checker()),
		mgr.AddReadyzCheck("policies", policiesLoaded(safety)),
		registerMetrics(),
	)
}

// notificationSink is nil where none is configured.
func notificationSink(options ManagerOptions) (*notification.Sink, error) {
	if options.NotificationURLFile == "" {
		return nil, nil //nolint:nilnil // nobody is told
	}
	return notification.NewSink(notification.SinkOptions{URLFile: options.NotificationURLFile, CAFile: options.NotificationCAFile})
}

func newGate(options ManagerOptions) (*gate.Gate, error) {
	var log *gate.DecisionLog
	if options.DecisionLog != "" {
		target := gate.LogOptions{
			File: options.DecisionLog, Inputs: options.DecisionLogInputs,
			OnError: func(err error) { ctrl.Log.WithName("decision-log").Error(err, "a decision was not logged") },
		}
		if options.DecisionLog == logStdout {
			target.Out = os.Stdout
		}
		opened, err := gate.OpenDecisionLog(target)
		if err != nil {
			return nil, err
		}
		log = opened // every line is written at once: the end of the process closes it
	}
	return gate.New(gate.Options{TimeLimit: options.PolicyTimeLimit, AwaitObjects: true, Log: log})
}

// policiesLoaded is not ready until the gate has its first set: without one it judges nothing.
func policiesLoaded(safety *gate.Gate) healthz.Checker {
	return func(*http.Request) error {
		if !safety.Ready() {
			return errors.New("the safety gate has no policies yet")
		}
		return nil
	}
}

func provideCertificate(mgr manager.Manager, source *certs.Source, options ManagerOptions) error {
	names := certs.Options{Namespace: options.Namespace, ExtraDNSNames: options.WebhookDNSNames}
	switch options.WebhookCerts {
	case certs.OriginCertManager:
		return source.CertManager(mgr, names)
	case certs.OriginFiles:
		return source.Files(mgr, names, options.WebhookCertDir)
	default:
		return source.SelfSigned(mgr, names)
	}
}

// metricsOptions ask the API server who reads the metrics, and whether they may.
func metricsOptions(options ManagerOptions) metricsserver.Options {
	served := metricsserver.Options{BindAddress: options.MetricsAddress}
	if options.MetricsSecure {
		served.SecureServing, served.FilterProvider = true, filters.WithAuthenticationAndAuthorization
	}
	return served
}

// registerMetrics adds our metrics to those that the manager serves. A second manager in one process, as tests have it, shares them.
func registerMetrics() error {
	var problems []error
	for _, collector := range slices.Concat(gate.Collectors(), controllers.Collectors(), webhooks.Collectors(), certs.Collectors()) {
		if err := metrics.Registry.Register(collector); err != nil && !errors.As(err, new(prometheus.AlreadyRegisteredError)) {
			problems = append(problems, err)
		}
	}
	return errors.Join(problems...)
}

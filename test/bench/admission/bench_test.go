package admission

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/go-logr/logr"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrlconfig "sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/webhook"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/cmd/kubernaut/app"
	"kubernaut.io/kubernaut/controllers"
	"kubernaut.io/kubernaut/controllers/facts"
	"kubernaut.io/kubernaut/controllers/identity"
	"kubernaut.io/kubernaut/controllers/rights"
	"kubernaut.io/kubernaut/controllers/safetypolicy"
	"kubernaut.io/kubernaut/policies/gate"
	"kubernaut.io/kubernaut/test/cluster"
	"kubernaut.io/kubernaut/webhooks"
	"kubernaut.io/kubernaut/webhooks/certs"
)

const (
	namespace = "shop"
	// withNoop is a namespace of the bare API server whose workflows pass a webhook that does nothing.
	withNoop = "noop"
	steps    = 10
	ready    = time.Minute
	poll     = 50 * time.Millisecond
)

func TestMain(m *testing.M) {
	gate.MaybeChild()
	ctrl.SetLogger(logr.Discard())
	os.Exit(m.Run())
}

// side is one of the two API servers.
type side struct {
	admin client.Client
	// alice creates workflows, writer writes their status.
	alice, writer client.Client
	config        *rest.Config
}

// newSide starts an API server, has it installed, and makes what a workflow is about.
func newSide(b *testing.B, install func(config *rest.Config) error) *side {
	b.Helper()
	plane, err := cluster.StartControlPlane()
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := plane.Stop(); err != nil {
			b.Error(err)
		}
	})
	if err := install(plane.Config); err != nil {
		b.Fatal(err)
	}
	s := &side{admin: clientOf(b, plane.Config), config: plane.Config}
	user, err := plane.Environment.AddUser(envtest.User{Name: "alice", Groups: []string{"on-call"}}, plane.Config)
	if err != nil {
		b.Fatal(err)
	}
	s.alice = clientOf(b, user.Config())
	token, err := cluster.TokenConfig(plane.Config, identity.DefaultNamespace, identity.WorkflowExecution)
	if err != nil {
		b.Fatal(err)
	}
	s.writer = clientOf(b, token)
	s.populate(b)
	return s
}

// newBare is an API server with the kinds and the accounts, and no admission of ours.
func newBare(b *testing.B) *side {
	b.Helper()
	return newSide(b, func(config *rest.Config) error {
		for _, folder := range []string{"crd", "namespace", "rbac"} {
			if err := cluster.ApplyFolder(b.Context(), config, filepath.Join(rootOf(b), "config", folder)); err != nil {
				return err
			}
		}
		return nil
	})
}

func rootOf(b *testing.B) string {
	b.Helper()
	root, err := cluster.Root()
	if err != nil {
		b.Fatal(err)
	}
	return root
}

func clientOf(b *testing.B, config *rest.Config) client.Client {
	b.Helper()
	scheme, err := app.Scheme()
	if err != nil {
		b.Fatal(err)
	}
	config = rest.CopyConfig(config)
	config.QPS = -1
	config.WarningHandler = rest.NoWarnings{}
	c, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		b.Fatal(err)
	}
	return c
}

// populate makes what a workflow is about: a Deployment for each step, and somebody who may change them.
func (s *side) populate(b *testing.B) {
	b.Helper()
	objects := []client.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace, Labels: map[string]string{"kubernaut.io/environment": "production"}}},
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: withNoop}},
		&rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "bench"}, Rules: []rbacv1.PolicyRule{
			{APIGroups: []string{"apps"}, Resources: []string{"deployments"}, Verbs: []string{"get", "patch"}},
			{APIGroups: []string{workflowexecutionv1.GroupVersion.Group}, Resources: []string{"workflowexecutions"}, Verbs: []string{"create", "get"}},
		}},
		&rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: "bench"}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "bench"},
			Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: "alice"}},
		},
	}
	for i := range steps {
		labels := map[string]string{"app": name(i)}
		objects = append(objects, &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name(i)}, Spec: appsv1.DeploymentSpec{
			Replicas: new(int32(2)), Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "shop/app:1"}}}},
		}})
	}
	for _, object := range objects {
		if err := s.admin.Create(b.Context(), object); err != nil {
			b.Fatal(err)
		}
	}
}

func name(step int) string { return fmt.Sprintf("service-%d", step) }

// workflow scales ten Deployments, as its author leaves it: who asked is for admission to say. Without admission it must be there.
func workflow(in string, stamped bool) *workflowexecutionv1.WorkflowExecution {
	definition := &shared.WorkflowDefinition{Name: "bench"}
	for i := range steps {
		step := shared.Step{Name: name(i), Action: shared.Action{Type: shared.ActionScaleDeployment, ScaleDeployment: &shared.ScaleDeployment{Namespace: namespace, Name: name(i), Replicas: new(int32(3))}}}
		if i > 0 {
			step.DependsOn = []string{name(i - 1)}
		}
		definition.Steps = append(definition.Steps, step)
	}
	w := &workflowexecutionv1.WorkflowExecution{ObjectMeta: metav1.ObjectMeta{Namespace: in, GenerateName: "bench-"}, Spec: workflowexecutionv1.WorkflowExecutionSpec{WorkflowDefinition: definition}}
	if stamped {
		w.Annotations = map[string]string{shared.AnnotationRequestedBy: "alice"}
		w.Spec.RequestedBy = shared.Requester{Username: "alice", Groups: []string{"on-call", "system:authenticated"}}
		w.Spec.Timeouts = &workflowexecutionv1.WorkflowTimeouts{Workflow: &metav1.Duration{Duration: 50 * time.Minute}}
	}
	return w
}

// newGuarded is an API server with everything installed, whose webhooks this process serves under the manager's own identity.
func newGuarded(b *testing.B) (*side, *facts.Preview) {
	b.Helper()
	port := freePort(b)
	s := newSide(b, func(config *rest.Config) error {
		return cluster.Install(b.Context(), config, cluster.Options{Root: rootOf(b), WebhookURL: fmt.Sprintf("https://localhost:%d", port)})
	})
	config, err := cluster.TokenConfig(s.config, identity.DefaultNamespace, identity.Manager)
	if err != nil {
		b.Fatal(err)
	}
	config.QPS = -1
	source := certs.NewSource()
	mgr := newManager(b, config, webhook.NewServer(webhook.Options{Host: "127.0.0.1", Port: port, TLSOpts: source.TLSOptions()}))
	if err := source.SelfSigned(mgr, certs.Options{Namespace: identity.DefaultNamespace, ExtraDNSNames: []string{"localhost"}}); err != nil {
		b.Fatal(err)
	}
	safety, err := gate.New(gate.Options{AwaitObjects: true})
	if err != nil {
		b.Fatal(err)
	}
	known, err := facts.New(b.Context(), mgr.GetCache(), mgr.GetAPIReader(), safety, clock.RealClock{})
	if err != nil {
		b.Fatal(err)
	}
	preview := facts.NewPreview(known, mgr.GetClient())
	if err := webhooks.Setup(mgr, webhooks.Options{Namespace: identity.DefaultNamespace, Policies: safety, Preview: preview}); err != nil {
		b.Fatal(err)
	}
	if err := mgr.Add(&safetypolicy.Loader{Cache: mgr.GetCache(), Gate: safety}); err != nil {
		b.Fatal(err)
	}
	start(b, mgr)
	until(b, func(ctx context.Context) (bool, error) {
		probe := workflow(namespace, false)
		return source.Checker()(nil) == nil && previewed(ctx, preview) && s.alice.Create(ctx, probe, client.DryRunAll) == nil && probe.Spec.RequestedBy.Username == "alice", nil
	})
	return s, preview
}

// previewed says that the gate knows enough to allow the workflow.
func previewed(ctx context.Context, preview *facts.Preview) bool {
	previews, err := preview.Steps(ctx, workflow(namespace, true))
	return err == nil && previews[0].Decision.Verdict == shared.VerdictAllow
}

// noop has workflows of one namespace pass a webhook that does nothing.
func (s *side) noop(b *testing.B) {
	b.Helper()
	port := freePort(b)
	options := &envtest.WebhookInstallOptions{LocalServingHost: "127.0.0.1", LocalServingPort: port, LocalServingCertDir: b.TempDir()}
	if err := options.PrepWithoutInstalling(); err != nil {
		b.Fatal(err)
	}
	mgr := newManager(b, s.config, webhook.NewServer(webhook.Options{Host: "127.0.0.1", Port: port, CertDir: options.LocalServingCertDir}))
	mgr.GetWebhookServer().Register("/noop", &admission.Webhook{Handler: admission.HandlerFunc(func(context.Context, admission.Request) admission.Response { return admission.Allowed("") })})
	start(b, mgr)
	configuration := &admissionregistrationv1.ValidatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: "noop"}, Webhooks: []admissionregistrationv1.ValidatingWebhook{{
		Name: "noop.example.com", SideEffects: new(admissionregistrationv1.SideEffectClassNone), AdmissionReviewVersions: []string{"v1"},
		NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"kubernetes.io/metadata.name": withNoop}},
		ClientConfig:      admissionregistrationv1.WebhookClientConfig{URL: new(fmt.Sprintf("https://127.0.0.1:%d/noop", port)), CABundle: options.LocalServingCAData},
		Rules: []admissionregistrationv1.RuleWithOperations{{Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create}, Rule: admissionregistrationv1.Rule{
			APIGroups: []string{workflowexecutionv1.GroupVersion.Group}, APIVersions: []string{"*"}, Resources: []string{"workflowexecutions"},
		}}},
	}}}
	if err := s.admin.Create(b.Context(), configuration); err != nil {
		b.Fatal(err)
	}
	until(b, func(ctx context.Context) (bool, error) {
		return s.alice.Create(ctx, workflow(withNoop, true), client.DryRunAll) == nil, nil
	})
}

func newManager(b *testing.B, config *rest.Config, server webhook.Server) manager.Manager {
	b.Helper()
	scheme, err := app.Scheme()
	if err != nil {
		b.Fatal(err)
	}
	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Scheme: scheme, Controller: ctrlconfig.Controller{SkipNameValidation: new(true)}, Metrics: metricsserver.Options{BindAddress: "0"}, WebhookServer: server,
		Cache: controllers.Cache(identity.DefaultNamespace),
	})
	if err != nil {
		b.Fatal(err)
	}
	return mgr
}

func start(b *testing.B, mgr manager.Manager) {
	b.Helper()
	ctx, stop := context.WithCancel(context.WithoutCancel(b.Context()))
	ended := make(chan error, 1)
	go func() { ended <- mgr.Start(ctx) }()
	b.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			b.Error(err)
		}
	})
}

func until(b *testing.B, condition wait.ConditionWithContextFunc) {
	b.Helper()
	if err := wait.PollUntilContextTimeout(b.Context(), poll, ready, true, condition); err != nil {
		b.Fatal(err)
	}
}

func freePort(b *testing.B) int {
	b.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	address, is := listener.Addr().(*net.TCPAddr)
	if !is {
		b.Fatal(listener.Addr())
	}
	return address.Port
}

// times are how long something took, each time.
type times []time.Duration

func (t *times) measure(b *testing.B, what func() error) {
	b.Helper()
	began := time.Now()
	err := what()
	*t = append(*t, time.Since(began))
	if err != nil {
		b.Fatal(err)
	}
}

func (t times) percentile(p int) float64 {
	sorted := slices.Sorted(slices.Values(t))
	return float64(sorted[min(len(sorted)*p/100, len(sorted)-1)]) / float64(time.Millisecond)
}

// BenchmarkAdmissionCreate creates a workflow of ten steps, each on a Deployment of its own, with all of admission and without, in turn;
// and measures the parts of it.
func BenchmarkAdmissionCreate(b *testing.B) {
	bare := newBare(b)
	with, preview := newGuarded(b)
	bare.noop(b)
	mapper, definition := with.alice.RESTMapper(), workflow(namespace, true).Spec.WorkflowDefinition
	author := workflow(namespace, true).Spec.RequestedBy
	managerConfig, err := cluster.TokenConfig(with.config, identity.DefaultNamespace, identity.Manager)
	if err != nil {
		b.Fatal(err)
	}
	asks := clientOf(b, managerConfig)
	ctx := b.Context()
	var guarded, alone, noop, reviews, previews times
	for range 20 { // connections, caches and compiled expressions are there from now on
		createBoth(b, with, bare, new(times), new(times), new(times))
	}
	b.ResetTimer()
	for b.Loop() {
		createBoth(b, with, bare, &guarded, &alone, &noop)
		reviews.measure(b, func() error {
			needs, err := rights.Steps(namespace, mapper, definition, field.NewPath("spec"))
			if err != nil {
				return err
			}
			denied, err := rights.Review(ctx, asks, author, needs)
			if len(denied) > 0 {
				return fmt.Errorf("alice lacks %v", denied)
			}
			return err
		})
		previews.measure(b, func() error {
			_, err := preview.Steps(ctx, workflow(namespace, true))
			return err
		})
	}
	b.ReportMetric(guarded.percentile(50)/alone.percentile(50), "p50-ratio")
	b.ReportMetric(guarded.percentile(99)/alone.percentile(99), "p99-ratio")
	b.ReportMetric(guarded.percentile(50), "p50-ms")
	b.ReportMetric(guarded.percentile(99), "p99-ms")
	b.ReportMetric(alone.percentile(50), "bare-p50-ms")
	b.ReportMetric(alone.percentile(99), "bare-p99-ms")
	b.ReportMetric(noop.percentile(50)-alone.percentile(50), "noop-p50-ms")
	b.ReportMetric(reviews.percentile(50), "reviews-p50-ms")
	b.ReportMetric(previews.percentile(50), "preview-p50-ms")
}

func createBoth(b *testing.B, with, bare *side, guarded, alone, noop *times) {
	b.Helper()
	ctx := b.Context()
	guarded.measure(b, func() error { return with.alice.Create(ctx, workflow(namespace, false)) })
	alone.measure(b, func() error { return bare.alice.Create(ctx, workflow(namespace, true)) })
	noop.measure(b, func() error { return bare.alice.Create(ctx, workflow(withNoop, true)) })
}

// BenchmarkGuardStatusWrite writes the status of a workflow as its controller, with the guard and without, in turn.
func BenchmarkGuardStatusWrite(b *testing.B) {
	bare := newBare(b)
	with, _ := newGuarded(b)
	objects := map[*side]*workflowexecutionv1.WorkflowExecution{with: workflow(namespace, true), bare: workflow(namespace, true)}
	for s, object := range objects {
		if s == with {
			object = workflow(namespace, false)
			objects[s] = object
		}
		if err := s.alice.Create(b.Context(), object); err != nil {
			b.Fatal(err)
		}
	}
	var n int64
	write := func(s *side, writer client.Client) error {
		n++
		objects[s].Status.WaitedSeconds = n
		return writer.Status().Update(b.Context(), objects[s])
	}
	// The guard is there: who is not the writer is refused.
	if err := write(with, with.admin); !apierrors.IsForbidden(err) {
		b.Fatalf("a member of system:masters writes a status: %v", err)
	}
	var guarded, alone times
	for range 20 {
		new(times).measure(b, func() error { return write(with, with.writer) })
		new(times).measure(b, func() error { return write(bare, bare.writer) })
	}
	b.ResetTimer()
	for b.Loop() {
		guarded.measure(b, func() error { return write(with, with.writer) })
		alone.measure(b, func() error { return write(bare, bare.writer) })
	}
	b.ReportMetric(guarded.percentile(50)/alone.percentile(50), "p50-ratio")
	b.ReportMetric(guarded.percentile(50), "p50-ms")
	b.ReportMetric(alone.percentile(50), "bare-p50-ms")
}

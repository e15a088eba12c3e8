package engine

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/sync/errgroup"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/cmd/kubernaut/app"
	"kubernaut.io/kubernaut/test/builders"
	"kubernaut.io/kubernaut/test/cluster"
)

const (
	// parallelism is how many clients write at once: as many as the manager has workers for workflows and for executions.
	parallelism = 16
	// namespaces is over how many namespaces workflows are spread: no policy of the baseline then limits them.
	namespaces = 20

	// managerMemory is what the manager's Deployment says.
	managerMemory = "GOMEMLIMIT=460MiB"

	before = "registry.example.com/shop/cart:1.0.0"
	after  = "registry.example.com/shop/cart:1.1.0"
)

// bench is the cluster that is measured.
type bench struct {
	*testing.B
	root, directory string
	config          *rest.Config
	client.WithWatch
	metrics *metrics
	made    []string
}

// begin starts a cluster of its own, and has it ended and discarded when the benchmark ends: what one benchmark leaves behind
// burdens no other. The manager has the memory limit of its Deployment for the garbage collector.
func begin(b *testing.B) *bench {
	b.Helper()
	if b.N > 1 {
		b.Skip("each of these benchmarks is one run of many workflows: -benchtime 1x")
	}
	log.SetLogger(logr.Discard())
	root, err := cluster.Root()
	check(b, err)
	name := ".cluster-bench-" + strings.ToLower(strings.ReplaceAll(b.Name(), "/", "-"))
	one := &bench{B: b, root: root, directory: filepath.Join(root, name)}
	b.Cleanup(func() { one.make(context.Background(), "down") })
	one.make(b.Context(), "cluster-up")
	one.make(b.Context(), "up", managerMemory)

	one.config, err = clientcmd.BuildConfigFromFlags("", filepath.Join(one.directory, "kubeconfig"))
	check(b, err)
	one.config.QPS = -1
	one.config.WarningHandler = rest.NoWarnings{}
	scheme, err := app.Scheme()
	check(b, err)
	one.WithWatch, err = client.NewWithWatch(one.config, client.Options{Scheme: scheme})
	check(b, err)
	one.metrics, err = newMetrics(one.config)
	check(b, err)
	for i := range namespaces {
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("bench-%02d", i)}}
		check(b, one.Create(b.Context(), namespace))
		one.made = append(one.made, namespace.Name)
	}
	return one
}

// make makes a target for the cluster. The environment is that of every process which the target starts.
func (b *bench) make(ctx context.Context, target string, environment ...string) {
	b.Helper()
	command := exec.CommandContext(ctx, "make", "--no-print-directory", "-C", b.root, target, "CLUSTER="+filepath.Base(b.directory))
	command.Env = append(os.Environ(), environment...)
	if out, err := command.CombinedOutput(); err != nil {
		b.Fatalf("make %s: %v\n%s", target, err, out)
	}
}

// check ends the benchmark with an error: what could not be measured has not met its bar.
func check(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// prepareTimeout bounds what is not timed.
const prepareTimeout = 10 * time.Minute

// awaitInterval is how often await asks.
const awaitInterval = 200 * time.Millisecond

// await asks until something is so. It is for what is not timed.
func await(ctx context.Context, b *testing.B, what string, is func(context.Context) bool) {
	b.Helper()
	tick := time.NewTicker(awaitInterval)
	defer tick.Stop()
	for !is(ctx) {
		select {
		case <-ctx.Done():
			b.Fatalf("waiting for %s: %v", what, ctx.Err())
		case <-tick.C:
		}
	}
}

// namespaceOf spreads workflows.
func (b *bench) namespaceOf(i int) string { return b.made[i%len(b.made)] }

// each runs one call for each number below n, as many at once as the parallelism says.
func each(ctx context.Context, n int, call func(ctx context.Context, i int) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallelism)
	for i := range n {
		if ctx.Err() != nil {
			break
		}
		group.Go(func() error { return call(ctx, i) })
	}
	return group.Wait()
}

// targets makes the Deployments of n workflows of so many steps. They are paused and have no pods: what is measured is the
// engine, not the Deployment controller, which only observes the new generation.
func (b *bench) targets(n, steps int) {
	b.Helper()
	check(b.B, each(b.Context(), n*steps, func(ctx context.Context, i int) error {
		deployment := builders.Deployment(b.namespaceOf(i/steps), target(i/steps, i%steps), before).Replicas(0).Deployment
		deployment.Spec.Paused = true
		deployment.Spec.ProgressDeadlineSeconds = new(int32(1<<31 - 1)) // none: a paused rollout makes no progress
		return b.Create(ctx, deployment)
	}))
	ctx, cancel := context.WithTimeout(b.Context(), prepareTimeout)
	defer cancel()
	await(ctx, b.B, "the Deployments to be observed", func(ctx context.Context) bool {
		for _, namespace := range b.made {
			var list appsv1.DeploymentList
			check(b.B, b.List(ctx, &list, client.InNamespace(namespace)))
			for i := range list.Items {
				if len(list.Items[i].Status.Conditions) == 0 {
					return false
				}
			}
		}
		return true
	})
}

func target(workflow, step int) string { return fmt.Sprintf("t-%d-%d", workflow, step) }

// workflow is number i: a chain of steps, each on a target of its own.
func (b *bench) workflow(i, steps int) *workflowexecutionv1.WorkflowExecution {
	namespace := b.namespaceOf(i)
	chain := make([]shared.Step, steps)
	for s := range chain {
		step := builders.UpdateImage(stepName(s), namespace, target(i, s), after)
		if s > 0 {
			step = step.After(stepName(s - 1))
		}
		chain[s] = step.Step
	}
	object := builders.Workflow(namespace, fmt.Sprintf("w-%d", i), chain...).WorkflowExecution
	object.Spec.StabilizationWindow = &metav1.Duration{}
	object.Spec.Timeouts = &workflowexecutionv1.WorkflowTimeouts{
		Validation: &metav1.Duration{Duration: time.Hour}, Workflow: &metav1.Duration{Duration: 2 * time.Hour}, Monitoring: &metav1.Duration{Duration: time.Hour},
	}
	return object
}

func stepName(s int) string { return fmt.Sprintf("s%d", s) }

// start creates n workflows of so many steps, all at once.
func (b *bench) start(n, steps int) {
	b.Helper()
	check(b.B, each(b.Context(), n, func(ctx context.Context, i int) error { return b.Create(ctx, b.workflow(i, steps)) }))
}

package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"kubernaut.io/kubernaut/test/localcluster/internal/process"
)

// UpOptions say what a cluster is made of.
type UpOptions struct {
	// Bin holds the components' binaries.
	Bin   string
	Nodes int
	// Limit is the time until the cluster must be usable.
	Limit time.Duration
	Out   io.Writer
}

// launch is one run of Up.
type launch struct {
	UpOptions
	layout
	table process.Table
	api   *api
	// started are the daemons to end again if the launch fails, with where their output begins.
	started []string
	logs    map[string]int64
}

// Up starts what does not run yet and returns when the cluster is usable. If it fails, it ends what it started.
func (d Directory) Up(ctx context.Context, o UpOptions) error {
	begun := time.Now()
	lock, err := d.lockNew(ctx)
	if err != nil {
		return err
	}
	defer lock.Release()
	l, err := d.prepare(o)
	if err != nil {
		return err
	}
	if err := l.bringUp(ctx); err != nil {
		return errors.Join(err, l.undo())
	}
	fmt.Fprintf(o.Out, "cluster usable after %.1f s: KUBECONFIG=%s\n", time.Since(begun).Seconds(), d.Kubeconfig())
	return nil
}

func (d Directory) prepare(o UpOptions) (*launch, error) {
	s, err := d.loadOrCreate()
	if err != nil {
		return nil, err
	}
	for _, folder := range []string{"pki", "config", "logs"} {
		if err := os.MkdirAll(d.path(folder), 0o700); err != nil {
			return nil, err
		}
	}
	if err := d.ensurePKI(); err != nil {
		return nil, err
	}
	if err := d.writeKubeconfigs(s.Ports); err != nil {
		return nil, err
	}
	stages, err := d.writeConfig()
	if err != nil {
		return nil, err
	}
	client, err := d.client(s.Ports)
	if err != nil {
		return nil, err
	}
	bin, err := filepath.Abs(o.Bin)
	if err != nil {
		return nil, err
	}
	l := layout{Directory: d, ports: s.Ports, bin: bin, stages: stages}
	return &launch{UpOptions: o, layout: l, table: d.processes(), api: client, logs: map[string]int64{}}, nil
}

func (l *launch) bringUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, l.Limit, fmt.Errorf("not usable after %s", l.Limit))
	defer cancel()
	if err := l.controlPlane(ctx); err != nil {
		return err
	}
	if err := l.simulatedNodes(ctx); err != nil {
		return err
	}
	return l.await(ctx, kubeControllerManager, "the default ServiceAccount", func(ctx context.Context) error {
		return l.api.get(ctx, "/api/v1/namespaces/default/serviceaccounts/default", nil)
	})
}

// controlPlane waits for each part before it starts the next: the controller manager ends when it meets no API server.
func (l *launch) controlPlane(ctx context.Context) error {
	steps := []struct{ name, health string }{
		{etcd, "http://" + address(l.Etcd) + "/health"},
		{kubeAPIServer, secureURL(l.APIServer) + "/readyz"},
	}
	for _, step := range steps {
		if err := l.ensure(ctx, step.name); err != nil {
			return err
		}
		if err := l.awaitHealth(ctx, step.name, step.health); err != nil {
			return err
		}
	}
	if err := l.ensure(ctx, kubeControllerManager); err != nil {
		return err
	}
	return l.ensure(ctx, kubeScheduler)
}

func (l *launch) simulatedNodes(ctx context.Context) error {
	if err := l.api.allowKWOK(ctx); err != nil {
		return fmt.Errorf("permissions of %s: %w", kwok, err)
	}
	if err := l.ensure(ctx, kwok); err != nil {
		return err
	}
	if err := l.api.createNodes(ctx, l.Nodes); err != nil {
		return fmt.Errorf("create nodes: %w", err)
	}
	if err := l.await(ctx, kwok, "ready nodes", l.api.nodesReady); err != nil {
		return err
	}
	health := secureURL(l.Scheduler) + "/readyz"
	if err := l.awaitHealth(ctx, kubeScheduler, health); err != nil {
		return err
	}
	return l.awaitHealth(ctx, kubeControllerManager, secureURL(l.ControllerManager)+"/healthz")
}

func (l *launch) ensure(ctx context.Context, name string) error {
	offset := l.table.LogSize(name)
	outcome, record, err := l.table.Ensure(ctx, l.spec(name))
	if outcome == process.Started || outcome == process.Replaced {
		l.started, l.logs[name] = append(l.started, name), offset
		fmt.Fprintf(l.Out, "%s: %s (pid %d)\n", name, outcome, record.PID)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w (localcluster build --bin %s provides it)", err, l.bin)
	}
	return err
}

// undo ends what this launch started, the last first, and leaves what ran before.
func (l *launch) undo() error {
	var failures []error
	for _, v := range slices.Backward(l.started) {
		_, err := l.table.Stop(v)
		failures = append(failures, err)
	}
	return errors.Join(failures...)
}

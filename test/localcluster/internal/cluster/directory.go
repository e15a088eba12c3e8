// Package cluster runs etcd, the control plane and simulated nodes as daemons, with all their data in one directory.
package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"kubernaut.io/kubernaut/test/localcluster/internal/filelock"
	"kubernaut.io/kubernaut/test/localcluster/internal/process"
)

const (
	markerFile = "cluster.json"
	markerKind = "kubernaut-local-cluster"
	lockFile   = "lock"
	grace      = 5 * time.Second
)

// ErrNoCluster means that the directory holds no cluster of ours.
var ErrNoCluster = errors.New("no local cluster")

// Directory is where a cluster keeps everything it has. The path is absolute.
type Directory string

// Open makes the path absolute, so that daemons may be given paths below it.
func Open(path string) (Directory, error) {
	absolute, err := filepath.Abs(path)
	return Directory(absolute), err
}

func (d Directory) path(parts ...string) string {
	return filepath.Join(append([]string{string(d)}, parts...)...)
}

// Kubeconfig is the administrator's.
func (d Directory) Kubeconfig() string { return d.path("kubeconfig") }

func (d Directory) processes() process.Table {
	return process.Table{Dir: string(d), Logs: d.path("logs"), Grace: grace}
}

// state is the content of the marker file: what must stay the same when a component is started again.
type state struct {
	Kind  string `json:"kind"`
	Ports ports  `json:"ports"`
}

// load returns ErrNoCluster when the directory is missing or empty, another error when it is somebody else's.
func (d Directory) load() (state, error) {
	var s state
	data, err := os.ReadFile(d.path(markerFile))
	if errors.Is(err, fs.ErrNotExist) {
		return s, d.mustBeEmpty()
	}
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal(data, &s); err != nil || s.Kind != markerKind {
		return s, fmt.Errorf("%s is not a local cluster's", d.path(markerFile))
	}
	return s, nil
}

func (d Directory) mustBeEmpty() error {
	entries, err := os.ReadDir(string(d))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, entry := range entries {
		if entry.Name() != lockFile {
			return fmt.Errorf("%s holds something else than a local cluster (no %s)", d, markerFile)
		}
	}
	return fmt.Errorf("%w in %s", ErrNoCluster, d)
}

// loadOrCreate returns the state of the cluster in the directory, which it turns into one if it is empty.
func (d Directory) loadOrCreate() (state, error) {
	s, err := d.load()
	if !errors.Is(err, ErrNoCluster) {
		return s, err
	}
	s = state{Kind: markerKind}
	if s.Ports, err = pickPorts(); err != nil {
		return s, err
	}
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return s, err
	}
	return s, os.WriteFile(d.path(markerFile), append(data, '\n'), 0o600)
}

// lock keeps two launchers from changing one cluster at once. It fails with fs.ErrNotExist without the directory.
func (d Directory) lock(ctx context.Context) (*filelock.Lock, error) {
	return filelock.Acquire(ctx, d.path(lockFile), nil)
}

// lockNew makes the directory if need be, also when somebody removes it while we wait.
func (d Directory) lockNew(ctx context.Context) (*filelock.Lock, error) {
	for {
		if err := os.MkdirAll(string(d), 0o700); err != nil {
			return nil, err
		}
		lock, err := d.lock(ctx)
		if !errors.Is(err, fs.ErrNotExist) {
			return lock, err
		}
	}
}

// lockExisting is for a cluster that must be there already; else it fails with ErrNoCluster.
func (d Directory) lockExisting(ctx context.Context) (*filelock.Lock, error) {
	if _, err := d.load(); err != nil {
		return nil, err
	}
	lock, err := d.lock(ctx)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w in %s", ErrNoCluster, d)
	}
	return lock, err
}

package binaries

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"kubernaut.io/kubernaut/test/localcluster/internal/filelock"
)

// Options say what to build and where to.
type Options struct {
	// Source is the launcher's folder, with the modules below.
	Source string
	// Bin receives a link for each component.
	Bin string
	// Names restricts the components.
	Names []string
	Out   io.Writer
}

// Build sees to it that every wanted component is cached and linked. It does nothing that is already done.
func Build(ctx context.Context, o Options) error {
	targets, err := o.targets()
	if err != nil {
		return err
	}
	cache, err := CacheDir()
	if err != nil {
		return err
	}
	for _, dir := range []string{cache, o.Bin} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	for _, t := range targets {
		if err := o.provide(ctx, t, cache); err != nil {
			return err
		}
	}
	return nil
}

func (o Options) targets() ([]target, error) {
	components, err := Select(o.Names)
	if err != nil {
		return nil, err
	}
	var targets []target
	for _, c := range components {
		t, err := newTarget(c, o.Source)
		if err != nil {
			return nil, err
		}
		targets = append(targets, t)
	}
	return targets, nil
}

func (o Options) provide(ctx context.Context, t target, cache string) error {
	if !t.cached(cache) {
		if err := o.build(ctx, t, cache); err != nil {
			return err
		}
	}
	return t.link(cache, o.Bin)
}

// build holds the lock for one component only, so that two checkouts take turns instead of one waiting for it all.
func (o Options) build(ctx context.Context, t target, cache string) error {
	lock, err := filelock.Acquire(ctx, filepath.Join(cache, "build.lock"), func() {
		fmt.Fprintf(o.Out, "%s: waiting for another build on this machine\n", t.Name)
	})
	if err != nil {
		return err
	}
	defer lock.Release()
	if t.cached(cache) {
		return nil
	}
	if err := dropUnfinished(cache); err != nil {
		return err
	}
	p := startProgress(o.Out, fmt.Sprintf("building %s %s", t.Name, t.version))
	err = t.compile(ctx, cache)
	p.end(err)
	return err
}

// compile builds into a temporary folder and renames it: what bears the final name is complete.
func (t target) compile(ctx context.Context, cache string) error {
	temporary, err := os.MkdirTemp(cache, unfinished)
	if err != nil {
		return err
	}
	defer os.RemoveAll(temporary)
	// MkdirTemp makes it private; the cache is no secret.
	if err := os.Chmod(temporary, 0o755); err != nil {
		return err
	}
	if err := goBuild(ctx, t, filepath.Join(temporary, t.Name)); err != nil {
		return err
	}
	final := filepath.Join(cache, t.key)
	if err := os.RemoveAll(final); err != nil {
		return err
	}
	return os.Rename(temporary, final)
}

// grace is what the go command gets to remove its work folder when it is interrupted.
const grace = 5 * time.Second

package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
)

// Down ends every daemon of the cluster and removes its directory. Where no cluster is, it does nothing.
func (d Directory) Down(ctx context.Context, out io.Writer) error {
	lock, err := d.lockExisting(ctx)
	if errors.Is(err, ErrNoCluster) {
		fmt.Fprintf(out, "nothing to end: %v\n", err)
		return nil
	}
	if err != nil {
		return err
	}
	defer lock.Release()
	if err := d.stopAll(out); err != nil {
		return err
	}
	return d.remove()
}

// remove first takes the directory away in one step: whoever waits for its lock then makes a new one.
func (d Directory) remove() error {
	removed := fmt.Sprintf("%s.removed-%d", d, os.Getpid())
	if err := os.Rename(string(d), removed); err != nil {
		return err
	}
	return os.RemoveAll(removed)
}

// stopAll ends first what was added to the cluster, then the components, in the opposite order of starting.
func (d Directory) stopAll(out io.Writer) error {
	table := d.processes()
	names, err := table.Names()
	if err != nil {
		return err
	}
	var failures []error
	for _, name := range inOrderOfStopping(names) {
		alive, err := table.Stop(name)
		failures = append(failures, err)
		if alive && err == nil {
			fmt.Fprintf(out, "%s: ended\n", name)
		}
	}
	return errors.Join(failures...)
}

func inOrderOfStopping(names []string) []string {
	components := componentNames()
	slices.Reverse(components)
	ordered := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return slices.Contains(components, name) })
	for _, name := range components {
		if slices.Contains(names, name) {
			ordered = append(ordered, name)
		}
	}
	return ordered
}

package cluster

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"kubernaut.io/kubernaut/test/localcluster/internal/process"
)

// settle is how long a new daemon is watched for an end right after its start, as with a wrong flag.
const settle = 200 * time.Millisecond

// Start runs another process as a daemon of the cluster. An equal one that is alive is left alone.
func (d Directory) Start(ctx context.Context, spec process.Spec, out io.Writer) error {
	if err := addable(spec.Name); err != nil {
		return err
	}
	lock, err := d.lockExisting(ctx)
	if err != nil {
		return err
	}
	defer lock.Release()
	table := d.processes()
	offset := table.LogSize(spec.Name)
	outcome, record, err := table.Ensure(ctx, spec)
	if err != nil {
		return err
	}
	if outcome == process.Kept {
		fmt.Fprintf(out, "%s: runs already (pid %d)\n", spec.Name, record.PID)
		return nil
	}
	fmt.Fprintf(out, "%s: %s (pid %d), log in %s\n", spec.Name, outcome, record.PID, table.LogFile(spec.Name))
	time.Sleep(settle)
	if !record.Alive() {
		return fmt.Errorf("%s ended at once; end of %s:\n%s", spec.Name, table.LogFile(spec.Name), table.Tail(spec.Name, offset, tailLines))
	}
	return nil
}

// Stop ends one daemon that Start started.
func (d Directory) Stop(ctx context.Context, name string, out io.Writer) error {
	if err := addable(name); err != nil {
		return err
	}
	lock, err := d.lockExisting(ctx)
	if err != nil {
		return err
	}
	defer lock.Release()
	alive, err := d.processes().Stop(name)
	if err != nil {
		return err
	}
	if alive {
		fmt.Fprintf(out, "%s: ended\n", name)
	} else {
		fmt.Fprintf(out, "%s: does not run\n", name)
	}
	return nil
}

// addable refuses the components' own names and what could not be a file name. The audit log has its own name too.
func addable(name string) error {
	if !process.ValidName(name) || name == "audit" || slices.Contains(componentNames(), name) {
		return fmt.Errorf("no daemon may be called %q", name)
	}
	return nil
}

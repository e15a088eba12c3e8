// Package process starts daemons that outlive the launcher, remembers them in pid files and ends exactly those.
package process

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Table is the set of daemons that have a pid file in Dir. Its callers keep others out while they change it.
type Table struct {
	Dir string
	// Logs is the folder of <name>.log.
	Logs string
	// Grace is how long a daemon may take to end after SIGTERM before it gets SIGKILL.
	Grace time.Duration
}

// Outcome is what Ensure did.
type Outcome string

const (
	Kept     Outcome = "kept"
	Started  Outcome = "started"
	Replaced Outcome = "replaced"
)

const pidSuffix = ".pid"

func (t Table) pidFile(name string) string { return filepath.Join(t.Dir, name+pidSuffix) }

// LogFile is where the named daemon's output is appended.
func (t Table) LogFile(name string) string { return filepath.Join(t.Logs, name+".log") }

// Names lists the daemons that have a pid file, alive or not.
func (t Table) Names() ([]string, error) {
	files, err := filepath.Glob(filepath.Join(t.Dir, "*"+pidSuffix))
	if err != nil {
		return nil, err
	}
	var names []string
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), pidSuffix)
		if ValidName(name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}

// Lookup returns the daemon's record if it is alive.
func (t Table) Lookup(name string) (Record, bool, error) {
	r, found, err := readRecord(t.pidFile(name))
	if err != nil || !found {
		return Record{}, false, err
	}
	return r, r.Alive(), nil
}

// Ensure leaves the daemon running as the spec says: an equal one is kept, a different one is ended first.
func (t Table) Ensure(ctx context.Context, spec Spec) (Outcome, Record, error) {
	fingerprint, err := spec.fingerprint()
	if err != nil {
		return "", Record{}, fmt.Errorf("%s: %w", spec.Name, err)
	}
	old, alive, err := t.Lookup(spec.Name)
	if err != nil {
		return "", Record{}, err
	}
	if alive && old.Fingerprint == fingerprint {
		return Kept, old, nil
	}
	outcome := Started
	if alive {
		outcome = Replaced
		if _, err := t.Stop(spec.Name); err != nil {
			return "", Record{}, err
		}
	}
	if err := ctx.Err(); err != nil {
		return "", Record{}, err
	}
	r, err := t.start(spec, fingerprint)
	if err != nil {
		return "", Record{}, fmt.Errorf("start %s: %w", spec.Name, err)
	}
	return outcome, r, nil
}

// Stop ends the daemon and forgets it; it reports whether it was alive. Only the very process that was recorded is
// signalled, with the group that it leads.
func (t Table) Stop(name string) (bool, error) {
	r, alive, err := t.Lookup(name)
	if err != nil {
		return false, err
	}
	if alive {
		if err := t.end(r); err != nil {
			return true, fmt.Errorf("stop %s: %w", name, err)
		}
	}
	if err := os.Remove(t.pidFile(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return alive, err
	}
	return alive, nil
}

func (t Table) end(r Record) error {
	if err := signalGroup(r.PID, syscall.SIGTERM); err != nil {
		return err
	}
	if gone(r, t.Grace) || !r.Alive() {
		return nil
	}
	if err := signalGroup(r.PID, syscall.SIGKILL); err != nil {
		return err
	}
	if !gone(r, 5*time.Second) {
		return fmt.Errorf("process %d survived SIGKILL", r.PID)
	}
	return nil
}

func signalGroup(pid int, signal syscall.Signal) error {
	if err := syscall.Kill(-pid, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
		return err
	}
	return nil
}

func gone(r Record, limit time.Duration) bool {
	for deadline := time.Now().Add(limit); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if !r.Alive() {
			return true
		}
	}
	return false
}

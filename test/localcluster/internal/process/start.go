package process

import (
	"errors"
	"os"
	"os/exec"
	"strconv"
	"syscall"
)

func (t Table) start(spec Spec, fingerprint string) (Record, error) {
	log, err := os.OpenFile(t.LogFile(spec.Name), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return Record{}, err
	}
	defer log.Close()
	closeInherited()
	cmd := exec.Command(spec.Args[0], spec.Args[1:]...)
	cmd.Dir = spec.Dir
	cmd.Env = append(os.Environ(), spec.Env...)
	cmd.Stdout, cmd.Stderr = log, log
	// A session of its own: neither Ctrl-C nor the end of the terminal reaches it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return Record{}, err
	}
	return t.remember(cmd, spec, fingerprint)
}

// remember writes the pid file. A daemon that cannot be remembered could never be ended, so it ends at once.
func (t Table) remember(cmd *exec.Cmd, spec Spec, fingerprint string) (Record, error) {
	r := Record{PID: cmd.Process.Pid, Fingerprint: fingerprint, Command: spec.Args}
	// Before it is reaped, so that also one that ended at once has a start time.
	r.Start, _ = startTime(r.PID)
	// A launcher that stays has to reap it, else it lingers as a zombie.
	go func() { _ = cmd.Wait() }()
	if r.Start == "" {
		return r, errors.Join(errors.New("its start time cannot be read"), cmd.Process.Kill())
	}
	if err := writeRecord(t.pidFile(spec.Name), r); err != nil {
		return r, errors.Join(err, cmd.Process.Kill())
	}
	return r, nil
}

// closeInherited keeps descriptors that the launcher's parent left open (a pipe of make, a lock) out of the daemons:
// whoever waits for such a pipe to close would wait as long as the cluster lives.
func closeInherited() {
	entries, err := os.ReadDir("/dev/fd")
	if err != nil {
		return
	}
	for _, entry := range entries {
		if fd, err := strconv.Atoi(entry.Name()); err == nil && fd > 2 {
			syscall.CloseOnExec(fd)
		}
	}
}

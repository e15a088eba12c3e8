package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"kubernaut.io/kubernaut/test/localcluster/internal/cluster"
)

// patience is how long the command may take to end after a signal before it is killed.
const patience = 20 * time.Second

func run(ctx context.Context, args []string, out io.Writer) (err error) {
	f := newFlags("run", out).withDir("").withBin().withSize()
	if err := f.parse(args, true); err != nil {
		return err
	}
	if f.NArg() == 0 {
		return fmt.Errorf("%w: no command after --", errUsage)
	}
	d, remove, err := openOrTemporary(f.dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Down(context.WithoutCancel(ctx), io.Discard), remove()) }()
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(signals)
	if err := d.Up(ctx, f.upOptions(out)); err != nil {
		return err
	}
	return foreground(d, f.Args(), signals)
}

// openOrTemporary returns also what removes the folder that it made.
func openOrTemporary(path string) (cluster.Directory, func() error, error) {
	if path != "" {
		d, err := cluster.Open(path)
		return d, func() error { return nil }, err
	}
	temporary, err := os.MkdirTemp("", "kubernaut-cluster-")
	if err != nil {
		return "", nil, err
	}
	d, err := cluster.Open(temporary)
	return d, func() error { return os.RemoveAll(temporary) }, err
}

// foreground runs the command in a process group of its own: a Ctrl-C then reaches it once, by us, and not twice.
// Such a group must not read from the terminal, so a terminal is not passed on as its input.
func foreground(d cluster.Directory, args []string, signals <-chan os.Signal) error {
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if info, err := os.Stdin.Stat(); err == nil && info.Mode()&os.ModeCharDevice == 0 {
		cmd.Stdin = os.Stdin
	}
	cmd.Env = append(os.Environ(), "KUBECONFIG="+d.Kubeconfig(), "KUBERNAUT_CLUSTER_DIR="+string(d))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	return forwarding(cmd, ended, signals)
}

func forwarding(cmd *exec.Cmd, ended <-chan error, signals <-chan os.Signal) error {
	var overdue <-chan time.Time
	for {
		select {
		case err := <-ended:
			return result(err)
		case s := <-signals:
			if number, ok := s.(syscall.Signal); ok {
				_ = syscall.Kill(-cmd.Process.Pid, number)
			}
			if overdue == nil {
				overdue = time.After(patience)
			}
		case <-overdue:
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		}
	}
}

// result turns the end of the command into our exit code, a signal as shells do.
func result(err error) error {
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok {
		return err
	}
	if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return exitError(128 + int(status.Signal()))
	}
	return exitError(exit.ExitCode())
}

package binaries

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"kubernaut.io/kubernaut/test/localcluster/internal/process"
)

func goBuild(ctx context.Context, t target, output string) error {
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, "go", "build", "-mod=readonly", "-buildvcs=false", "-trimpath", "-p", "2",
		"-ldflags", t.ldflags(t.version), "-o", output, t.Package)
	cmd.Dir = t.module
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	cmd.Stdout, cmd.Stderr = &out, &out
	endAsGroup(cmd)
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("build %s: %w", t.Name, context.Cause(ctx))
		}
		return fmt.Errorf("build %s in %s: %w\n%s", t.Name, t.module, err, process.LastLines(out.String(), 30))
	}
	return nil
}

// endAsGroup makes the end of the context reach the compilers too, not only the go command that started them.
func endAsGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = grace
	cmd.Cancel = func() error {
		err := syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
		if errors.Is(err, syscall.ESRCH) {
			return os.ErrProcessDone
		}
		return err
	}
}

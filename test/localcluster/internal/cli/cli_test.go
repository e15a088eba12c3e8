package cli

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"kubernaut.io/kubernaut/test/localcluster/internal/cluster"
)

func TestWrongUseHasItsOwnExitCode(t *testing.T) {
	for name, args := range map[string][]string{
		"no command":              {},
		"unknown command":         {"fly"},
		"unknown option":          {"up", "--fast"},
		"argument of up":          {"up", "now"},
		"start without a command": {"start", "--name", "x"},
		"run without a command":   {"run"},
		"token without a name":    {"token", "--namespace", "n"},
		"variable without value":  {"start", "--env", "A", "--", "sleep"},
	} {
		t.Run(name, func(t *testing.T) {
			if have := Main(t.Context(), args, &bytes.Buffer{}, &bytes.Buffer{}); have != codeUsage {
				t.Errorf("exit code %d", have)
			}
		})
	}
}

func TestInterruptedRunFailsAndLeavesNoFolder(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	dir := filepath.Join(t.TempDir(), "cluster")
	have := Main(ctx, []string{"run", "--dir", dir, "--bin", t.TempDir(), "--", "true"}, &bytes.Buffer{}, &bytes.Buffer{})
	if have == 0 {
		t.Error("exit code 0")
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("the directory is still there")
	}
}

func shell(t *testing.T, script string) []string {
	t.Helper()
	path, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("this machine has no sh")
	}
	return []string{path, "-c", script}
}

func TestForegroundGivesTheCommandsExitCode(t *testing.T) {
	d := cluster.Directory("/c")
	script := `test "$KUBERNAUT_CLUSTER_DIR" = /c && test "$KUBECONFIG" = /c/kubeconfig && exit 7`
	if err := foreground(d, shell(t, script), nil); !errors.Is(err, exitError(7)) {
		t.Errorf("error %v", err)
	}
	if err := foreground(d, shell(t, "true"), nil); err != nil {
		t.Errorf("error %v", err)
	}
}

func TestForegroundForwardsSignals(t *testing.T) {
	ready := filepath.Join(t.TempDir(), "ready")
	signals := make(chan os.Signal, 1)
	go func() {
		for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
			if _, err := os.Stat(ready); err == nil {
				break
			}
		}
		signals <- syscall.SIGTERM
	}()
	script := `trap 'exit 9' TERM; : > "` + ready + `"; while :; do sleep 0.05; done`
	if err := foreground("/c", shell(t, script), signals); !errors.Is(err, exitError(9)) {
		t.Errorf("error %v", err)
	}
}

func TestSourceIsFoundUpwards(t *testing.T) {
	source, err := findSource()
	if err != nil || !isSource(source) {
		t.Errorf("%q, %v", source, err)
	}
}

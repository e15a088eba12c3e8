package policy

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kubernaut.io/kubernaut/test/guide"
)

// TestGuide does what docs/policy-author.md says, in an empty folder, and compares what it shows with what happens.
func TestGuide(t *testing.T) {
	text, err := os.ReadFile("../../../docs/policy-author.md")
	if err != nil {
		t.Fatal(err)
	}
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("the guide is for a shell, and there is none")
	}
	path := commandPath(t)
	t.Chdir(t.TempDir())
	ran, output := 0, ""
	for _, block := range guide.Read(string(text)) {
		at := fmt.Sprintf("docs/policy-author.md:%d", block.Line)
		switch {
		case block.File != "":
			if err := os.MkdirAll(filepath.Dir(block.File), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(block.File, []byte(block.Text), 0o600); err != nil {
				t.Fatal(err)
			}
		case block.Language == "sh":
			command := exec.CommandContext(t.Context(), bash, "-euo", "pipefail", "-c", block.Text)
			command.Env = []string{"PATH=" + path, asKubernaut + "=1", "LC_ALL=C"}
			shown, err := command.CombinedOutput()
			code := 0
			if ended, is := errors.AsType[*exec.ExitError](err); is {
				code = ended.ExitCode()
			} else if err != nil {
				t.Fatal(err)
			}
			if code != block.Exit {
				t.Fatalf("%s: exit code %d, want %d:\n%s\n%s", at, code, block.Exit, block.Text, shown)
			}
			ran, output = ran+1, string(shown)
		case block.Language == "text":
			if diff := cmp.Diff(block.Text, output); diff != "" {
				t.Errorf("%s: (-shown +got):\n%s", at, diff)
			}
		case block.Language == "console":
			for line := range strings.Lines(block.Text) {
				if !strings.HasPrefix(line, "$ kubectl ") {
					t.Errorf("%s: %q is not run by this test: write it in a block of sh", at, line)
				}
			}
		default:
			t.Errorf("%s: a block of %q without the name of a file is not checked", at, block.Language)
		}
	}
	if ran < 10 {
		t.Errorf("only %d commands were run", ran)
	}
}

// commandPath is a search path on which this very test is the kubernaut binary.
func commandPath(t *testing.T) string {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	var script bytes.Buffer
	fmt.Fprintf(&script, "#!/bin/sh\nexec %q \"$@\"\n", program)
	if err := os.WriteFile(filepath.Join(dir, "kubernaut"), script.Bytes(), 0o700); err != nil {
		t.Fatal(err)
	}
	return dir + ":" + os.Getenv("PATH")
}

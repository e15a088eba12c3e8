package policy

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// block is one fenced block of the guide, with the comment before it.
type block struct {
	line     int
	language string
	text     string
	file     string // <!-- file: … -->
	exit     int    // <!-- exit: … -->
}

// readGuide takes the blocks out of a Markdown text. The margin of a block in a list is taken off.
func readGuide(text string) []block {
	comment := regexp.MustCompile(`^\s*<!-- (file|exit): (\S+) -->$`)
	var blocks []block
	var next block
	open, margin := false, ""
	for i, line := range strings.Split(text, "\n") {
		trimmed := strings.TrimSpace(line)
		switch {
		case open && trimmed == "```":
			blocks, next, open = append(blocks, next), block{}, false
		case open:
			next.text += strings.TrimPrefix(line, margin) + "\n"
		case strings.HasPrefix(trimmed, "```"):
			next.line, next.language, open = i+1, strings.TrimPrefix(trimmed, "```"), true
			margin, _, _ = strings.Cut(line, "`")
		default:
			switch found := comment.FindStringSubmatch(line); {
			case len(found) != 3:
			case found[1] == "file":
				next.file = found[2]
			default:
				next.exit, _ = strconv.Atoi(found[2])
			}
		}
	}
	return blocks
}

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
	for _, block := range readGuide(string(text)) {
		at := fmt.Sprintf("docs/policy-author.md:%d", block.line)
		switch {
		case block.file != "":
			if err := os.MkdirAll(filepath.Dir(block.file), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(block.file, []byte(block.text), 0o600); err != nil {
				t.Fatal(err)
			}
		case block.language == "sh":
			command := exec.CommandContext(t.Context(), bash, "-euo", "pipefail", "-c", block.text)
			command.Env = []string{"PATH=" + path, asKubernaut + "=1", "LC_ALL=C"}
			shown, err := command.CombinedOutput()
			code := 0
			if ended, is := errors.AsType[*exec.ExitError](err); is {
				code = ended.ExitCode()
			} else if err != nil {
				t.Fatal(err)
			}
			if code != block.exit {
				t.Fatalf("%s: exit code %d, want %d:\n%s\n%s", at, code, block.exit, block.text, shown)
			}
			ran, output = ran+1, string(shown)
		case block.language == "text":
			if diff := cmp.Diff(block.text, output); diff != "" {
				t.Errorf("%s: (-shown +got):\n%s", at, diff)
			}
		case block.language == "console":
			for line := range strings.Lines(block.text) {
				if !strings.HasPrefix(line, "$ kubectl ") {
					t.Errorf("%s: %q is not run by this test: write it in a block of sh", at, line)
				}
			}
		default:
			t.Errorf("%s: a block of %q without the name of a file is not checked", at, block.language)
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

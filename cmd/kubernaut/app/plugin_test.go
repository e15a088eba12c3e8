package app

import (
	"bytes"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"kubernaut.io/kubernaut/cmd/kubernaut/terminal"
)

// output runs the binary under a name.
func output(t *testing.T, arguments ...string) (string, int) {
	t.Helper()
	var out bytes.Buffer
	command := CommandFor(arguments)
	command.SetOut(&out)
	command.SetErr(&out)
	err := command.ExecuteContext(t.Context())
	return out.String(), terminal.ExitCode(err)
}

func TestPluginSpeaksOfItselfAsPeopleTypeIt(t *testing.T) {
	for _, command := range NewCommand().Commands() {
		if command.Hidden || command.Name() == "help" || command.Name() == "completion" {
			continue
		}
		text, code := output(t, "/usr/local/bin/kubectl-kubernaut", command.Name(), "--help")
		if code != 0 || !strings.Contains(text, "kubectl kubernaut "+command.Name()) {
			t.Errorf("%s --help, code %d:\n%s", command.Name(), code, text)
		}
		if strings.Contains(strings.ReplaceAll(text, "kubectl kubernaut "+command.Name(), ""), "kubernaut "+command.Name()+" ") {
			t.Errorf("%s --help speaks of kubernaut alone:\n%s", command.Name(), text)
		}
		alone, _ := output(t, "kubernaut", command.Name(), "--help")
		if strings.Contains(alone, "kubectl kubernaut") {
			t.Errorf("%s --help speaks of a plugin:\n%s", command.Name(), alone)
		}
	}
	if text, code := output(t, "kubectl-kubernaut", "gte"); code != terminal.ExitUsage || !strings.Contains(text, `"kubectl kubernaut gte"; did you mean get? (kubectl kubernaut --help`) {
		t.Errorf("code %d: %s", code, text)
	}
}

func TestCompleterOfThePlugin(t *testing.T) {
	text, code := output(t, "kubectl_complete-kubernaut", "ca")
	if code != 0 || !strings.HasPrefix(text, "cancel\t") {
		t.Errorf("code %d: %s", code, text)
	}
}

// TestEveryCommandIsDocumented looks at what people read when they ask for help.
func TestEveryCommandIsDocumented(t *testing.T) {
	var check func(*cobra.Command)
	check = func(command *cobra.Command) {
		if command.Short == "" || strings.HasSuffix(command.Short, ".") {
			t.Errorf("%s: %q", command.CommandPath(), command.Short)
		}
		leaf := !command.HasSubCommands() && command.Name() != "manager"
		if leaf && !strings.Contains(command.Long, "Exit codes:") {
			t.Errorf("%s: its help does not say the exit codes", command.CommandPath())
		}
		for _, child := range command.Commands() {
			check(child)
		}
	}
	check(NewCommand())
}

// TestBadInputIsOneLine runs every command with what it cannot know.
func TestBadInputIsOneLine(t *testing.T) {
	t.Setenv("KUBECONFIG", "/nowhere/config")
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	var check func(*cobra.Command, []string)
	check = func(command *cobra.Command, path []string) {
		for _, child := range command.Commands() {
			check(child, append(append([]string{}, path...), child.Name()))
		}
		wrong := [][]string{{"--no-such-flag"}}
		if command.HasSubCommands() {
			wrong = append(wrong, []string{"no-such-command"})
		} else {
			wrong = append(wrong, []string{"one", "two", "three"})
		}
		for _, arguments := range wrong {
			text, code := output(t, append(path, arguments...)...)
			if code != terminal.ExitUsage || strings.Count(strings.TrimSuffix(text, "\n"), "\n") > 0 || !strings.HasPrefix(text, "Error: ") {
				t.Errorf("%s: exit code %d: %s", strings.Join(append(path, arguments...), " "), code, text)
			}
		}
	}
	check(NewCommand(), []string{"kubernaut"})
}

func TestNoClusterIsOneLine(t *testing.T) {
	t.Setenv("KUBECONFIG", "/nowhere/config")
	t.Setenv("HOME", t.TempDir())
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	for _, arguments := range []string{
		"get", "tree x", "watch x", "logs x", "cancel x", "suspend x", "resume x", "rollback x", "certs status", "manager",
		"get --kubeconfig /nowhere/config", "certs status --kubeconfig /nowhere/config", "manager --kubeconfig /nowhere/config",
	} {
		text, code := output(t, append([]string{"kubernaut"}, strings.Fields(arguments)...)...)
		if code != terminal.ExitUsage || strings.Count(text, "\n") != 1 || !strings.Contains(text, "kubeconfig") {
			t.Errorf("%s: exit code %d: %s", arguments, code, text)
		}
	}
}

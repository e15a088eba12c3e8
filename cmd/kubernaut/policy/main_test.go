package policy

import (
	"context"
	"fmt"
	"os"
	"testing"

	"kubernaut.io/kubernaut/cmd/kubernaut/terminal"
	"kubernaut.io/kubernaut/policies/gate"
)

// asKubernaut marks a process of this test that is to be the kubernaut binary.
const asKubernaut = "KUBERNAUT_POLICY_TEST_COMMAND"

func TestMain(m *testing.M) {
	gate.MaybeChild()
	if os.Getenv(asKubernaut) == "" {
		os.Exit(m.Run())
	}
	if len(os.Args) < 2 || os.Args[1] != "policy" {
		fmt.Fprintln(os.Stderr, "there is only kubernaut policy here")
		os.Exit(terminal.ExitUsage)
	}
	command := NewCommand()
	command.SilenceUsage = true
	command.SetArgs(os.Args[2:])
	os.Exit(terminal.ExitCode(command.ExecuteContext(context.Background())))
}

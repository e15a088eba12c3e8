// Package policy is the command line of the people who write safety policies.
package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"kubernaut.io/kubernaut/cmd/kubernaut/terminal"
	"kubernaut.io/kubernaut/policies/gate/authoring"
)

const exitCodes = `Exit codes: 0 all is well; 1 something was found; 2 wrong arguments, an unreadable file, or a policy that does not compile.`

// NewCommand is kubernaut policy with everything below it.
func NewCommand() *cobra.Command {
	command := terminal.Group(&cobra.Command{
		Use:   "policy",
		Short: "Write, test and roll out safety policies",
		Long: `Write, test and roll out safety policies: the Rego that judges every step of a repair. Nothing here needs a cluster.

A folder of policies holds <policy>.rego with the package kubernaut.safety.<policy>, its tests in <policy>_test.rego beside it, and,
if there are parameters, their defaults in data.yaml: kubernaut.parameters.<policy>.<parameter>.

` + exitCodes,
	})
	command.SetFlagErrorFunc(terminal.FlagError)
	command.AddCommand(newCheckCommand(), newTestCommand(), newEvalCommand(), newInputCommand(), newRenderCommand(), newReplayCommand(), newDocsCommand())
	return command
}

// folderFlags name the policies that a command works on.
type folderFlags struct {
	baseline bool
}

func (f *folderFlags) add(command *cobra.Command) {
	command.Flags().BoolVar(&f.baseline, "baseline", false, "work on the policies that this binary holds")
}

func (f *folderFlags) load(args []string) (*authoring.Set, error) {
	if len(args) == 0 && !f.baseline {
		return nil, errors.New("name a folder of policies, or --baseline for those that this binary holds")
	}
	return authoring.Load(authoring.Folders{Dirs: args, BaselineOwn: f.baseline})
}

// outputFlag is the form of the output.
type outputFlag struct{ format string }

const (
	formatText  = "text"
	formatJSON  = "json"
	formatJUnit = "junit"
)

func (f *outputFlag) add(command *cobra.Command, others ...string) {
	known := append([]string{formatText, formatJSON}, others...)
	command.Flags().StringVarP(&f.format, "output", "o", formatText, "form of the output: "+strings.Join(known, ", "))
}

func (f *outputFlag) validate(others ...string) error {
	known := append([]string{formatText, formatJSON}, others...)
	if slices.Contains(known, f.format) {
		return nil
	}
	return fmt.Errorf("--output: %q is not one of %s", f.format, strings.Join(known, ", "))
}

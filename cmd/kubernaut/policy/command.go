// Package policy is the command line of the people who write safety policies.
package policy

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"kubernaut.io/kubernaut/policies/gate/authoring"
)

// The exit codes of every command.
const (
	// ExitOK says that all is well.
	ExitOK = 0
	// ExitFindings says that the command did its work and found what must not be: a failed test, a rule that would not fire.
	ExitFindings = 1
	// ExitUsage says that the command could not do its work: wrong arguments, an unreadable file, a policy that does not compile.
	ExitUsage = 2
)

const exitCodes = `Exit codes: 0 all is well; 1 something was found; 2 wrong arguments, an unreadable file, or a policy that does not compile.`

// codedError is an error with the exit code of the process.
type codedError struct {
	error

	code int
}

// ExitCode is the code with which the process ends.
func (e codedError) ExitCode() int { return e.code }

func (e codedError) Unwrap() error { return e.error }

// findings says that the command did its work and found something. What it found has been printed.
func findings(text string) error {
	return codedError{error: errors.New(text), code: ExitFindings}
}

// ExitCode is the code with which a process ends whose command returned err: 0 without an error, that of the error if it has one,
// and otherwise 1.
func ExitCode(err error) int {
	if err == nil {
		return ExitOK
	}
	if coded, is := errors.AsType[interface {
		error
		ExitCode() int
	}](err); is {
		return coded.ExitCode()
	}
	return ExitFindings
}

// NewCommand is kubernaut policy with everything below it.
func NewCommand() *cobra.Command {
	command := &cobra.Command{
		Use:   "policy",
		Short: "Write, test and roll out safety policies",
		Long: `Write, test and roll out safety policies: the Rego that judges every step of a repair. Nothing here needs a cluster.

A folder of policies holds <policy>.rego with the package kubernaut.safety.<policy>, its tests in <policy>_test.rego beside it, and,
if there are parameters, their defaults in data.yaml: kubernaut.parameters.<policy>.<parameter>.

` + exitCodes,
		Args: usageArgs(cobra.NoArgs),
	}
	command.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usage(err) })
	command.AddCommand(newCheckCommand(), newTestCommand(), newEvalCommand(), newInputCommand(), newRenderCommand(), newReplayCommand(), newDocsCommand())
	return command
}

func usage(err error) error {
	if err == nil {
		return nil
	}
	if _, is := errors.AsType[codedError](err); is {
		return err
	}
	return codedError{error: err, code: ExitUsage}
}

func usageArgs(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(command *cobra.Command, args []string) error { return usage(check(command, args)) }
}

// run makes every error of a command that has no code one of usage.
func run(do func(command *cobra.Command, args []string) error) func(*cobra.Command, []string) error {
	return func(command *cobra.Command, args []string) error { return usage(do(command, args)) }
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

func writeJSON(out io.Writer, value any) error {
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(value)
}

// paint colours text for people, on a terminal only.
type paint bool

func painter(out io.Writer) paint {
	return paint(isTerminal(out) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb")
}

func isTerminal(out io.Writer) bool {
	file, is := out.(*os.File)
	return is && term.IsTerminal(int(file.Fd()))
}

func (p paint) with(code, text string) string {
	if !p || text == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (p paint) red(text string) string    { return p.with("31", text) }
func (p paint) green(text string) string  { return p.with("32", text) }
func (p paint) yellow(text string) string { return p.with("33", text) }
func (p paint) bold(text string) string   { return p.with("1", text) }
func (p paint) faint(text string) string  { return p.with("2", text) }

// count is a number with its noun, in the plural when it must be.
func count(number int, noun string) string {
	switch {
	case number == 1:
		return "1 " + noun
	case strings.HasSuffix(noun, "cy"):
		return fmt.Sprintf("%d %sies", number, noun[:len(noun)-1])
	default:
		return fmt.Sprintf("%d %ss", number, noun)
	}
}

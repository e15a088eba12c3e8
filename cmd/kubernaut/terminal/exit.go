package terminal

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
)

// The exit codes that all commands share; those of watching an object to its end have their own sentence in its help.
const (
	// ExitOK says that all is well.
	ExitOK = 0
	// ExitFindings says that the command did its work and found what must not be: a failed test, a remediation that failed.
	ExitFindings = 1
	// ExitUsage says that the command could not do its work: wrong arguments, an unreadable file, no cluster, no right to.
	ExitUsage = 2
	// ExitUndecided says that the end was not seen: the time was up, or the object was deleted.
	ExitUndecided = 3
	// ExitInterrupted says that the user ended the command.
	ExitInterrupted = 130
)

// codedError is an error with the exit code of the process.
type codedError struct {
	error

	code int
}

// ExitCode is the code with which the process ends.
func (e codedError) ExitCode() int { return e.code }

func (e codedError) Unwrap() error { return e.error }

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

// WithCode gives an error the exit code of the process.
func WithCode(code int, err error) error { return codedError{error: err, code: code} }

// Findings says that the command did its work and found something. What it found has been printed.
func Findings(text string) error { return WithCode(ExitFindings, errors.New(text)) }

// Usage makes an error that has no code one of a command that could not do its work.
func Usage(err error) error {
	if err == nil {
		return nil
	}
	if _, is := errors.AsType[codedError](err); is {
		return err
	}
	return WithCode(ExitUsage, err)
}

// Usagef is Usage of a new error.
func Usagef(format string, args ...any) error { return Usage(fmt.Errorf(format, args...)) }

// Args checks arguments; what is wrong with them is an error of usage that names the help.
func Args(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(command *cobra.Command, args []string) error {
		if err := check(command, args); err != nil {
			return Usagef("%w (%s --help shows how it is used)", err, command.CommandPath())
		}
		return nil
	}
}

// Run makes every error of a command that has no code one of usage, and says the way out of those that come from a cluster.
func Run(do func(command *cobra.Command, args []string) error) func(*cobra.Command, []string) error {
	return func(command *cobra.Command, args []string) error { return Usage(Explain(do(command, args))) }
}

// Group makes a command that only holds others: without one of them it shows its help, and with anything else it names the nearest.
func Group(command *cobra.Command) *cobra.Command {
	command.Args = func(command *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		return unknownCommand(command, args[0])
	}
	command.RunE = func(command *cobra.Command, _ []string) error { return command.Help() }
	return command
}

func unknownCommand(group *cobra.Command, name string) error {
	var names []string
	for _, command := range group.Commands() {
		if command.IsAvailableCommand() {
			names = append(names, command.Name())
		}
	}
	return Usagef("there is no command %q%s (%s --help lists the commands)", group.CommandPath()+" "+name, DidYouMean(name, names), group.CommandPath())
}

// FlagError says what is wrong with the flags of a command, and names the nearest flag for an unknown one.
func FlagError(command *cobra.Command, err error) error {
	return Usagef("%w%s (%s --help lists the flags)", err, nearestFlag(command, err), command.CommandPath())
}

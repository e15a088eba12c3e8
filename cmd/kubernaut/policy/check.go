package policy

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"kubernaut.io/kubernaut/cmd/kubernaut/terminal"
	"kubernaut.io/kubernaut/policies/gate/authoring"
)

type checkFlags struct {
	folders folderFlags
	output  outputFlag
	format  bool
}

func newCheckCommand() *cobra.Command {
	var flags checkFlags
	command := &cobra.Command{
		Use:   "check DIR…",
		Short: "Compile policies as the manager does, and find rules that would not fire in silence",
		Long: `Compile policies and their tests as the manager does: in strict mode, with the types of the input, with the functions of the sandbox.

Then find deny, hold and require_approval rules that would not fire when something they read is missing. In Rego, what is missing
is undefined, an undefined reference makes a rule undefined, and a rule that is undefined allows.

Exit codes: 0 all is well; 1 a rule would not fire in silence, or a file is not formatted; 2 wrong arguments, an unreadable file, or a
policy that does not compile.`,
		Example: "  kubernaut policy check my-policies\n  kubernaut policy check --baseline -o json",
		RunE: terminal.Run(func(command *cobra.Command, args []string) error {
			return flags.run(command.OutOrStdout(), args)
		}),
	}
	flags.folders.add(command)
	flags.output.add(command)
	command.Flags().BoolVar(&flags.format, "format", false, "report files too that opa fmt would change")
	return command
}

type checkReport struct {
	Policies []string            `json:"policies"`
	Problems []authoring.Problem `json:"problems"`
}

func (f *checkFlags) run(out io.Writer, args []string) error {
	if err := f.output.validate(); err != nil {
		return err
	}
	set, err := f.folders.load(args)
	if err != nil {
		return err
	}
	problems, err := set.Check(authoring.CheckOptions{Format: f.format})
	if err != nil {
		return err
	}
	report := checkReport{Policies: set.Policies(), Problems: problems}
	if f.output.format == formatJSON {
		if report.Problems == nil {
			report.Problems = []authoring.Problem{}
		}
		if err := terminal.WriteJSON(out, report); err != nil {
			return err
		}
	} else {
		report.print(out)
	}
	return checkResult(problems)
}

func checkResult(problems []authoring.Problem) error {
	if len(problems) == 0 {
		return nil
	}
	if problems[0].Kind == authoring.KindCompile {
		return terminal.Usage(fmt.Errorf("the policies do not compile: %s", terminal.Count(len(problems), "problem")))
	}
	return terminal.Findings(terminal.Count(len(problems), "problem"))
}

func (r checkReport) print(out io.Writer) {
	printProblems(out, r.Problems)
	if len(r.Problems) == 0 {
		fmt.Fprintf(out, "%s: %s\n", terminal.Count(len(r.Policies), "policy"), terminal.Painter(out).Green("ok"))
	}
}

func printProblems(out io.Writer, problems []authoring.Problem) {
	colour := terminal.Painter(out)
	said := ""
	for _, problem := range problems {
		fmt.Fprintf(out, "%s: %s\n", colour.Bold(problem.Place()), colour.Red(problem.Message))
		if problem.Line != "" {
			fmt.Fprintf(out, "  %s\n", problem.Line)
		}
		if caret := problem.Caret(); caret != "" {
			fmt.Fprintf(out, "  %s\n", colour.Red(caret))
		}
		// The same advice once is enough.
		if problem.Hint != "" && problem.Hint != said {
			fmt.Fprintf(out, "\n%s\n", indented(problem.Hint, "    "))
		}
		said = problem.Hint
		fmt.Fprintln(out)
	}
}

// indented puts a margin before every line that is not empty.
func indented(text, margin string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if line != "" {
			lines[i] = margin + line
		}
	}
	return strings.Join(lines, "\n")
}

// compileFailure prints the problems of policies that do not compile; any other error is returned as it is.
func compileFailure(out io.Writer, err error) error {
	wrong, is := errors.AsType[*authoring.CheckError](err)
	if !is {
		return err
	}
	printProblems(out, wrong.Problems)
	return terminal.Usage(fmt.Errorf("the policies do not compile: %s", terminal.Count(len(wrong.Problems), "problem")))
}

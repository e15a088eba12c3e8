package policy

import (
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"kubernaut.io/kubernaut/cmd/kubernaut/terminal"
	"kubernaut.io/kubernaut/policies/gate/authoring"
)

type testFlags struct {
	folders     folderFlags
	output      outputFlag
	failClosed  bool
	minCoverage float64
	verbose     bool
}

func newTestCommand() *cobra.Command {
	var flags testFlags
	command := &cobra.Command{
		Use:   "test DIR…",
		Short: "Run the tests of policies, and try what happens when facts are missing",
		Long: `Run the tests of policies as the manager does, and measure how much of the policies they evaluate.

With --fail-closed, leave out one fact or parameter after the other from every input for which a test has a deny, hold or
require_approval rule fire. What then is allowed is reported. A label or an annotation is not left out: that it is not there is a fact.
Where allowing is right, the METADATA of the test says so:

    # METADATA
    # custom:
    #   allows_without: [input.target.namespace]
    test_… if …

Exit codes: 0 all is well; 1 a test failed, the coverage is too low, or a verdict turned into allow; 2 wrong arguments, an unreadable
file, or a policy that does not compile.`,
		Example: "  kubernaut policy test my-policies --fail-closed --min-coverage 100\n  kubernaut policy test --baseline -o junit > report.xml",
		RunE: terminal.Run(func(command *cobra.Command, args []string) error {
			return flags.run(command.Context(), command.OutOrStdout(), command.ErrOrStderr(), args)
		}),
	}
	flags.folders.add(command)
	flags.output.add(command, formatJUnit)
	command.Flags().BoolVar(&flags.failClosed, "fail-closed", false, "leave out every fact, one by one, and report what is allowed then")
	command.Flags().Float64Var(&flags.minCoverage, "min-coverage", 0, "fail when less than this percentage of the policies is evaluated")
	command.Flags().BoolVarP(&flags.verbose, "verbose", "v", false, "name the tests too that passed")
	return command
}

func (f *testFlags) run(ctx context.Context, out, problems io.Writer, args []string) error {
	if err := f.output.validate(formatJUnit); err != nil {
		return err
	}
	if f.minCoverage < 0 || f.minCoverage > 100 {
		return fmt.Errorf("--min-coverage: %v is not a percentage, 0 to 100", f.minCoverage)
	}
	set, err := f.folders.load(args)
	if err != nil {
		return err
	}
	report, err := set.Test(ctx, authoring.TestOptions{FailClosed: f.failClosed})
	if err != nil {
		return compileFailure(problems, err)
	}
	switch f.output.format {
	case formatJSON:
		err = terminal.WriteJSON(out, report)
	case formatJUnit:
		err = writeJUnit(out, report)
	default:
		f.print(out, report)
	}
	if err != nil {
		return err
	}
	return f.result(report)
}

// result is what the tests come to.
func (f *testFlags) result(report *authoring.TestReport) error {
	var wrong []string
	if bad := report.Count(authoring.Failed) + report.Count(authoring.Errored); bad > 0 {
		wrong = append(wrong, fmt.Sprintf("%d of %s failed", bad, terminal.Count(len(report.Tests), "test")))
	}
	if len(report.Tests) == 0 {
		wrong = append(wrong, "there are no tests: write them in <policy>_test.rego beside the policy")
	}
	if report.Coverage.Percent < f.minCoverage {
		wrong = append(wrong, fmt.Sprintf("the coverage is %.1f %%, which is less than %v", report.Coverage.Percent, f.minCoverage))
	}
	if len(report.FailClosed) > 0 {
		wrong = append(wrong, fmt.Sprintf("%s to allow when something is missing", terminal.Count(len(report.FailClosed), "way")))
	}
	if wrong == nil {
		return nil
	}
	return terminal.Findings(strings.Join(wrong, "; "))
}

func (f *testFlags) print(out io.Writer, report *authoring.TestReport) {
	colour := terminal.Painter(out)
	for _, test := range report.Tests {
		word := map[authoring.Outcome]string{
			authoring.Passed: colour.Green("pass"), authoring.Failed: colour.Red("FAIL"),
			authoring.Errored: colour.Red("ERROR"), authoring.Skipped: colour.Yellow("skip"),
		}[test.Outcome]
		if test.Outcome == authoring.Passed && !f.verbose {
			continue
		}
		fmt.Fprintf(out, "%s:%d: %s %s\n", test.File, test.Row, word, colour.Bold(test.Name))
		if test.Message != "" {
			fmt.Fprintf(out, "  %s\n", test.Message)
		}
		printLines(out, test.Why, "  ")
		if test.Output != "" {
			fmt.Fprintf(out, "  printed:\n%s\n", indented(strings.TrimRight(test.Output, "\n"), "    "))
		}
	}
	for _, opening := range report.FailClosed {
		printOpening(out, opening)
	}
	fmt.Fprintf(out, "%s passed", terminal.Count(report.Count(authoring.Passed), "test"))
	for _, outcome := range []authoring.Outcome{authoring.Failed, authoring.Errored, authoring.Skipped} {
		if number := report.Count(outcome); number > 0 {
			fmt.Fprintf(out, ", %d %s", number, map[authoring.Outcome]string{
				authoring.Failed: "failed", authoring.Errored: "ended in an error", authoring.Skipped: "skipped",
			}[outcome])
		}
	}
	fmt.Fprintf(out, "; coverage %.1f %%\n", report.Coverage.Percent)
	for _, file := range report.Coverage.Files {
		if len(file.NotCovered) > 0 {
			fmt.Fprintf(out, "%s: %.1f %%, not evaluated by any test: %s\n", file.File, file.Percent, rows(file.NotCovered))
		}
	}
}

func rows(ranges [][2]int) string {
	texts := make([]string, len(ranges))
	for i, rows := range ranges {
		if texts[i] = fmt.Sprintf("line %d", rows[0]); rows[1] > rows[0] {
			texts[i] = fmt.Sprintf("lines %d–%d", rows[0], rows[1])
		}
	}
	return strings.Join(texts, ", ")
}

func printOpening(out io.Writer, opening authoring.Opening) {
	colour := terminal.Painter(out)
	if opening.Path == "" {
		fmt.Fprintf(out, "%s: %s\n", opening.File, colour.Red("no test has a rule of "+opening.Policy+" fire, so nothing could be left out: write one"))
		return
	}
	fmt.Fprintf(out, "%s:%d: %s\n  in %s\n", opening.File, opening.Row,
		colour.Red(fmt.Sprintf("%s no longer fires, and it is allowed, when %s is %s", opening.Rule, opening.Path, opening.Left)), opening.Test)
}

// printLines shows an explanation: the lines of the policy with what they read, and below them what explains them.
func printLines(out io.Writer, lines []authoring.Line, margin string) {
	colour := terminal.Painter(out)
	for _, line := range lines {
		place := ""
		if line.Row > 0 {
			place = colour.Faint(fmt.Sprintf("%s:%d: ", baseName(line.File), line.Row))
		}
		fmt.Fprintf(out, "%s%s%s\n", margin, place, line.Text)
		for _, fact := range append(line.Facts, line.Values...) {
			fmt.Fprintf(out, "%s    %s\n", margin, factText(fact))
		}
		printLines(out, line.Because, margin+"  ")
	}
}

func factText(fact authoring.Fact) string {
	if fact.Value == "" {
		return fact.Path
	}
	return fact.Path + " = " + fact.Value
}

func baseName(file string) string { return file[strings.LastIndexAny(file, `/\`)+1:] }

type junitSuites struct {
	XMLName xml.Name     `xml:"testsuites"`
	Suites  []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Errors   int         `xml:"errors,attr"`
	Skipped  int         `xml:"skipped,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Class   string        `xml:"classname,attr"`
	Name    string        `xml:"name,attr"`
	File    string        `xml:"file,attr"`
	Line    int           `xml:"line,attr"`
	Time    string        `xml:"time,attr,omitempty"`
	Failure *junitMessage `xml:"failure"`
	Error   *junitMessage `xml:"error"`
	Skipped *junitMessage `xml:"skipped"`
}

type junitMessage struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

// writeJUnit writes a suite for each package, and one for what the facts that were left out have shown.
func writeJUnit(out io.Writer, report *authoring.TestReport) error {
	var suites junitSuites
	for _, test := range report.Tests {
		last := len(suites.Suites) - 1
		if last < 0 || suites.Suites[last].Name != test.Package {
			suites.Suites = append(suites.Suites, junitSuite{Name: test.Package})
			last++
		}
		suites.Suites[last].add(test)
	}
	if len(report.FailClosed) > 0 {
		suite := junitSuite{Name: "fail-closed", Tests: len(report.FailClosed), Failures: len(report.FailClosed)}
		for _, opening := range report.FailClosed {
			var text strings.Builder
			printOpening(&text, opening)
			suite.Cases = append(suite.Cases, junitCase{
				Class: opening.Policy, Name: strings.TrimSpace(opening.Path + " " + opening.Left), File: opening.File, Line: opening.Row,
				Failure: &junitMessage{Message: "the verdict turned into allow", Text: text.String()},
			})
		}
		suites.Suites = append(suites.Suites, suite)
	}
	if _, err := io.WriteString(out, xml.Header); err != nil {
		return err
	}
	encoder := xml.NewEncoder(out)
	encoder.Indent("", "  ")
	if err := encoder.Encode(suites); err != nil {
		return err
	}
	_, err := io.WriteString(out, "\n")
	return err
}

func (s *junitSuite) add(test authoring.TestResult) {
	s.Tests++
	one := junitCase{
		Class: test.Package, Name: test.Name, File: test.File, Line: test.Row, Time: fmt.Sprintf("%.6f", test.Duration.Seconds()),
	}
	var text strings.Builder
	printLines(&text, test.Why, "")
	message := &junitMessage{Message: test.Message, Text: text.String()}
	switch test.Outcome {
	case authoring.Failed:
		s.Failures++
		one.Failure = message
	case authoring.Errored:
		s.Errors++
		one.Error = message
	case authoring.Skipped:
		s.Skipped++
		one.Skipped = message
	case authoring.Passed:
	}
	s.Cases = append(s.Cases, one)
}

package authoring

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/cover"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/tester"
	"github.com/open-policy-agent/opa/v1/topdown"

	"kubernaut.io/kubernaut/policies/gate"
)

// TestOptions say what Test does besides running the tests.
type TestOptions struct {
	// FailClosed drops every fact and parameter, one by one, from each input for which a test has a rule fire.
	FailClosed bool
}

// TestReport is what came out of the tests of a set.
type TestReport struct {
	Tests    []TestResult `json:"tests"`
	Coverage Coverage     `json:"coverage"`
	// FailClosed are the verdicts that turned into allow, nil when that was not tried.
	FailClosed []Opening `json:"failClosed,omitempty"`
}

// Outcome is how a test ended.
type Outcome string

// The outcomes.
const (
	Passed  Outcome = "pass"
	Failed  Outcome = "fail"
	Errored Outcome = "error"
	Skipped Outcome = "skip"
)

// TestResult is how one test ended.
type TestResult struct {
	Package string  `json:"package"`
	Name    string  `json:"name"`
	File    string  `json:"file"`
	Row     int     `json:"row"`
	Outcome Outcome `json:"outcome"`
	// Message is the error, or which cases of a test with several failed.
	Message string `json:"message,omitempty"`
	// Why is the line at which the test failed, with what explains it.
	Why []Line `json:"why,omitempty"`
	// Output is what the test and the policy printed.
	Output string `json:"output,omitempty"`
	// Duration is how long the test took.
	Duration time.Duration `json:"-"`
}

// Count is the number of tests with an outcome.
func (r TestReport) Count(outcome Outcome) int {
	number := 0
	for _, test := range r.Tests {
		if test.Outcome == outcome {
			number++
		}
	}
	return number
}

// Coverage is how much of the policies the tests have evaluated; the tests themselves do not count.
type Coverage struct {
	Percent float64        `json:"percent"`
	Files   []FileCoverage `json:"files"`
}

// FileCoverage is the coverage of one file.
type FileCoverage struct {
	File    string  `json:"file"`
	Percent float64 `json:"percent"`
	// NotCovered are the lines that no test has evaluated, as first and last of each range.
	NotCovered [][2]int `json:"notCovered,omitempty"`
}

// Test runs the tests of the policies. Its error is a *CheckError when they do not compile.
func (s *Set) Test(ctx context.Context, options TestOptions) (*TestReport, error) {
	problems, err := s.compileProblems()
	if err != nil {
		return nil, err
	}
	if len(problems) > 0 {
		return nil, &CheckError{Problems: sorted(problems)}
	}
	report := &TestReport{Tests: []TestResult{}}
	var lines, covered int
	for _, unit := range s.units() {
		if err := unit.test(ctx, report, &lines, &covered); err != nil {
			return nil, err
		}
		if options.FailClosed && unit.folder == safetyFolder && unit.policy() != nil {
			openings, err := unit.failClosed(ctx, report.Tests)
			if err != nil {
				return nil, err
			}
			report.FailClosed = append(report.FailClosed, openings...)
		}
	}
	report.Coverage.Percent = percent(covered, lines)
	return report, nil
}

func percent(part, whole int) float64 {
	if whole == 0 {
		return 100
	}
	return float64(part) * 100 / float64(whole)
}

func (u *unit) test(ctx context.Context, report *TestReport, lines, covered *int) error {
	modules, err := u.parse()
	if err != nil {
		return err
	}
	coverage := cover.New()
	results, err := u.runTests(ctx, modules, coverage)
	if err != nil {
		return err
	}
	report.Tests = append(report.Tests, results...)
	measured := coverage.Report(modules)
	for _, source := range u.sources {
		file := measured.Files[source.Path]
		if source.isTest() || file == nil {
			continue
		}
		result := FileCoverage{File: source.Path, Percent: percent(file.CoveredLines, file.CoveredLines+file.NotCoveredLines)}
		for _, gap := range file.NotCovered {
			result.NotCovered = append(result.NotCovered, [2]int{gap.Start.Row, gap.End.Row})
		}
		result.NotCovered = slices.Compact(result.NotCovered)
		*lines, *covered = *lines+file.CoveredLines+file.NotCoveredLines, *covered+file.CoveredLines
		report.Coverage.Files = append(report.Coverage.Files, result)
	}
	return nil
}

func (u *unit) runTests(ctx context.Context, modules map[string]*ast.Module, coverage *cover.Cover) ([]TestResult, error) {
	store := u.set.store()
	txn, err := store.NewTransaction(ctx, storage.TransactionParams{})
	if err != nil {
		return nil, err
	}
	defer store.Abort(ctx, txn)
	running, err := tester.NewRunner().
		SetCompiler(ast.NewCompiler().WithCapabilities(gate.Capabilities()).WithStrict(true).WithEnablePrintStatements(true)).
		SetStore(store).
		SetModules(modules).
		SetCoverageQueryTracer(coverage).
		SetCoverageRuns(nil).
		RaiseBuiltinErrors(true).
		RunTests(ctx, txn)
	if err != nil {
		return nil, fmt.Errorf("tests of %s: %w", u.name, err)
	}
	var results []TestResult
	for raw := range running {
		results = append(results, u.result(ctx, raw))
	}
	slices.SortFunc(results, func(a, b TestResult) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Row, b.Row), cmp.Compare(a.Name, b.Name))
	})
	return results, ctx.Err()
}

func (u *unit) result(ctx context.Context, raw *tester.Result) TestResult {
	result := TestResult{
		Package: strings.TrimPrefix(raw.Package, "data."), Name: raw.Name, File: raw.Location.File, Row: raw.Location.Row,
		Outcome: Passed, Output: string(raw.Output), Duration: raw.Duration,
	}
	switch {
	case raw.Skip:
		result.Outcome = Skipped
		return result
	case raw.Error != nil:
		result.Outcome, result.Message = Errored, raw.Error.Error()
	case raw.Fail:
		result.Outcome, result.Message = Failed, failedCases(raw)
	default:
		return result
	}
	if why, err := u.whyFailed(ctx, raw.Package+"."+raw.Name); err == nil {
		result.Why = why
	}
	return result
}

func failedCases(raw *tester.Result) string {
	var failed []string
	for name, sub := range raw.SubResults.Iter {
		if sub.Fail && len(sub.SubResults) == 0 {
			failed = append(failed, strings.Join(name, "/"))
		}
	}
	return strings.Join(failed, ", ")
}

// whyFailed evaluates one test again, and looks where it stopped.
func (u *unit) whyFailed(ctx context.Context, path string) ([]Line, error) {
	compiler, err := u.compile()
	if err != nil {
		return nil, err
	}
	recorder := newRecorder(namesOf(compiler))
	if _, err := u.ask(ctx, compiler, path, rego.EvalQueryTracer(recorder)); err != nil && !isEvaluation(err) {
		return nil, err
	}
	explainer := u.explainer(recorder)
	for _, frame := range recorder.helpers[path] {
		if frame.fired == 0 {
			return explainer.whyNot(frame, 0), nil
		}
	}
	return nil, nil
}

// ask evaluates a path with what an explanation needs: nothing is left out because an index says that it cannot hold.
func (u *unit) ask(ctx context.Context, compiler *ast.Compiler, path string, options ...rego.EvalOption) (rego.ResultSet, error) {
	prepared, err := rego.New(
		rego.Compiler(compiler), rego.Store(u.set.store()), rego.Query(path), rego.SetRegoVersion(ast.RegoV1),
		rego.StrictBuiltinErrors(true),
	).PrepareForEval(ctx)
	if err != nil {
		return nil, err
	}
	return prepared.Eval(ctx, append(options, rego.EvalRuleIndexing(false), rego.EvalEarlyExit(false))...)
}

// isEvaluation says whether an error is one of the policy, not of the machinery.
func isEvaluation(err error) bool {
	_, is := errors.AsType[*topdown.Error](err)
	return is
}

func (u *unit) explainer(recorder *recorder) *explainer {
	return &explainer{recorder: recorder, line: func(file string, row int) string {
		if source := u.source(file); source != nil {
			return source.line(row)
		}
		return ""
	}}
}

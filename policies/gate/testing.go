package gate

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// TestReport is what came of compiling a policy and running its tests.
type TestReport struct {
	// Tests are the names of the tests that ran, in the order of the source.
	Tests []string `json:"tests,omitempty"`
	// Problems are what is wrong with the policy or its tests; none when the policy compiles and every test passes.
	Problems []Problem `json:"problems,omitempty"`
}

const (
	testPrefix = "test_"
	testSuffix = "_test"
)

// testRun compiles one policy and runs its tests, in the process that it is in.
type testRun struct {
	base   *compiledIn
	object PolicyObject
	// begin is called before each part, with the place of a test: what is under way when the process ends is at fault.
	begin func(part Problem)
}

func (r *testRun) run(ctx context.Context) TestReport {
	r.begin(Problem{File: r.object.file(), Message: "compiling the policy"})
	policy, problems := r.base.build(ctx, r.object)
	if len(problems) > 0 || r.object.Tests == "" {
		return TestReport{Problems: problems}
	}
	tests := module{name: policy.name + testSuffix, file: r.object.testsFile(), text: r.object.Tests}
	r.begin(Problem{File: tests.file, Message: "compiling the tests"})
	if len(tests.text) > maxModuleSize {
		return problemReport(Problem{File: tests.file, Message: fmt.Sprintf("more than %d bytes", maxModuleSize)})
	}
	if err := tests.parse(); err != nil {
		return TestReport{Problems: problemsOf(err, []module{tests})}
	}
	if problems := tests.packageProblems(safetyPackage + "." + tests.name); problems != nil {
		return TestReport{Problems: problems}
	}
	compiler, problems := compileTests(policy, tests, r.base.library)
	if problems != nil {
		return TestReport{Problems: problems}
	}
	rules := testRules(compiler.Modules[tests.file])
	if len(rules) == 0 {
		return problemReport(problemAt(tests, tests.parsed.Package.Location, "there is no rule whose name begins with %s", testPrefix))
	}
	store := inmem.NewFromObject(map[string]any{
		"kubernaut": map[string]any{"parameters": map[string]any{policy.name: policy.parameters}},
	})
	var report TestReport
	for _, rule := range rules {
		report.Tests = append(report.Tests, testName(rule))
		r.begin(problemAt(tests, rule.Location, "%s", testName(rule)))
		if problem := runTest(ctx, compiler, store, policy, tests, rule); problem != nil {
			report.Problems = append(report.Problems, *problem)
		}
	}
	return report
}

func problemReport(problem Problem) TestReport { return TestReport{Problems: []Problem{problem}} }

func compileTests(policy *policy, tests module, library []module) (*ast.Compiler, []Problem) {
	sources := append([]module{policy.module, tests}, library...)
	modules := map[string]*ast.Module{}
	for _, source := range sources {
		modules[source.file] = source.parsed
	}
	compiler := ast.NewCompiler().WithCapabilities(capabilities()).WithStrict(true)
	if compiler.Compile(modules); compiler.Failed() {
		return nil, problemsOf(compiler.Errors, sources)
	}
	return compiler, nil
}

// testRules are the first rule of each test, in the order of the source.
func testRules(tests *ast.Module) []*ast.Rule {
	var rules []*ast.Rule
	for _, rule := range tests.Rules {
		isNew := !slices.ContainsFunc(rules, func(other *ast.Rule) bool { return testName(other) == testName(rule) })
		if strings.HasPrefix(testName(rule), testPrefix) && isNew {
			rules = append(rules, rule)
		}
	}
	return rules
}

func testName(rule *ast.Rule) string {
	name, _ := rule.Head.Ref()[0].Value.(ast.Var)
	return string(name)
}

func runTest(
	ctx context.Context, compiler *ast.Compiler, store storage.Store, policy *policy, tests module, rule *ast.Rule,
) *Problem {
	if !assertsSomething(compiler, policy, tests, rule) {
		return new(problemAt(tests, rule.Location,
			"%s asserts nothing: compare what the policy says with what it must say, as in count(data.%s.%s.deny) == 1 with input as {…}",
			testName(rule), safetyPackage, policy.name))
	}
	failed := &lastFailure{file: tests.file}
	query := rego.New(
		rego.Compiler(compiler), rego.Store(store), rego.StrictBuiltinErrors(true), rego.SetRegoVersion(ast.RegoV1),
		rego.Query(fmt.Sprintf("data.%s.%s.%s", safetyPackage, tests.name, testName(rule))), rego.QueryTracer(failed),
	)
	results, err := query.Eval(ctx)
	switch {
	case err != nil:
		return new(problemAt(tests, rule.Location, "%s: %v", testName(rule), err))
	case len(results) == 1 && passed(results[0].Expressions[0].Value):
		return nil
	case failed.at != nil:
		return new(problemAt(tests, failed.at, "%s failed", testName(rule)))
	default:
		return new(problemAt(tests, rule.Location, "%s failed", testName(rule)))
	}
}

// passed says whether the value of a test is true; an object of cases is when each of its cases is.
func passed(value any) bool {
	cases, isObject := value.(map[string]any)
	if !isObject {
		return value == true
	}
	for _, each := range cases {
		if !passed(each) {
			return false
		}
	}
	return len(cases) > 0
}

// lastFailure is where in a file an expression was last not true.
type lastFailure struct {
	file string
	at   *ast.Location
}

func (*lastFailure) Enabled() bool { return true }

func (*lastFailure) Config() topdown.TraceConfig { return topdown.TraceConfig{} }

func (l *lastFailure) TraceEvent(event topdown.Event) {
	if event.Op == topdown.FailOp && event.Location != nil && event.Location.File == l.file {
		l.at = event.Location
	}
}

// assertsSomething says whether a test, or a rule of the tests that it uses, has an expression that rests on a rule of the policy. A rule
// set that stands alone, as in deny with input as x, is no assertion: it is true even when it is empty.
func assertsSomething(compiler *ast.Compiler, policy *policy, tests module, rule *ast.Rule) bool {
	own := ast.MustParseRef("data." + safetyPackage + "." + policy.name)
	found := false
	for _, each := range withDependencies(compiler, tests, rule) {
		ast.WalkExprs(each, func(expr *ast.Expr) bool {
			found = found || asserts(expr, own)
			return found
		})
	}
	return found
}

func asserts(expr *ast.Expr, own ast.Ref) bool {
	if term, isTerm := expr.Terms.(*ast.Term); isTerm && !expr.Negated && isRuleSet(term, own) {
		return false
	}
	found := false
	ast.WalkRefs(expr, func(ref ast.Ref) bool {
		found = found || ref.HasPrefix(own) || len(ref.GroundPrefix()) < len(own) && own.HasPrefix(ref.GroundPrefix()) && !ref.IsGround()
		return found
	})
	return found
}

// isRuleSet says whether a term is one of the sets of results, and nothing more.
func isRuleSet(term *ast.Term, own ast.Ref) bool {
	ref, isRef := term.Value.(ast.Ref)
	if !isRef || len(ref) != len(own)+1 || !ref.HasPrefix(own) {
		return false
	}
	name, _ := ref[len(own)].Value.(ast.String)
	_, known := effectNamed(string(name))
	return known
}

// withDependencies is a rule, all rules of its name, and all rules of the tests that they use.
func withDependencies(compiler *ast.Compiler, tests module, rule *ast.Rule) []*ast.Rule {
	var todo, done []*ast.Rule
	for _, each := range compiler.Modules[tests.file].Rules {
		if testName(each) == testName(rule) {
			todo = append(todo, each)
		}
	}
	for len(todo) > 0 {
		next := todo[0]
		todo = todo[1:]
		if slices.Contains(done, next) {
			continue
		}
		done = append(done, next)
		for dependency := range compiler.Graph.Dependencies(next) {
			used, isRule := dependency.(*ast.Rule)
			if isRule && used.Location != nil && used.Location.File == tests.file {
				todo = append(todo, used)
			}
		}
	}
	return done
}

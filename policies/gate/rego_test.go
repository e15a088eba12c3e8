package gate

import (
	"io/fs"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/cover"
	"github.com/open-policy-agent/opa/v1/format"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/tester"

	"kubernaut.io/kubernaut/policies"
)

// regoSources are all Rego files of the baseline, tests included, by path.
func regoSources(t *testing.T) map[string]string {
	t.Helper()
	sources := map[string]string{}
	err := fs.WalkDir(policies.FS, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".rego") {
			return err
		}
		text, err := fs.ReadFile(policies.FS, path)
		sources[path] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return sources
}

func TestRegoIsFormatted(t *testing.T) {
	for path, text := range regoSources(t) {
		want, err := format.SourceWithOpts(path, []byte(text), format.Opts{RegoVersion: ast.RegoV1})
		if err != nil {
			t.Fatal(err)
		}
		if string(want) != text {
			t.Errorf("%s is not formatted as opa fmt does", path)
		}
	}
}

func TestRego(t *testing.T) {
	modules := map[string]*ast.Module{}
	for path, text := range regoSources(t) {
		parsed, err := ast.ParseModuleWithOpts(path, text, ast.ParserOptions{ProcessAnnotation: true, RegoVersion: ast.RegoV1})
		if err != nil {
			t.Fatal(err)
		}
		modules[path] = parsed
	}
	coverage := cover.New()
	passed := runRegoTests(t, modules, coverage)
	for path, module := range modules {
		name := module.Package.Path.String()
		if strings.HasSuffix(path, "_test.rego") && passed[name] == 0 {
			t.Errorf("%s has no test that passed", path)
		}
		if !strings.HasSuffix(path, "_test.rego") && passed[name+"_test"] == 0 {
			t.Errorf("%s has no tests in a package %s_test", path, name)
		}
	}
	report := coverage.Report(modules)
	for path, file := range report.Files {
		for _, gap := range file.NotCovered {
			t.Errorf("%s:%d is not covered", path, gap.Start.Row)
		}
	}
	if report.Coverage < 100 {
		t.Errorf("the coverage is %.1f %%, want 100", report.Coverage)
	}
}

// runRegoTests returns the number of tests that passed, by package.
func runRegoTests(t *testing.T, modules map[string]*ast.Module, coverage *cover.Cover) map[string]int {
	t.Helper()
	parameters, err := readParameters(policies.FS)
	if err != nil {
		t.Fatal(err)
	}
	store := inmem.NewFromObject(map[string]any{"kubernaut": map[string]any{"parameters": plain(parameters)}})
	txn, err := store.NewTransaction(t.Context(), storage.TransactionParams{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Abort(t.Context(), txn)
	results, err := tester.NewRunner().
		SetCompiler(ast.NewCompiler().WithStrict(true).WithCapabilities(capabilities())).
		SetStore(store).
		SetModules(modules).
		SetCoverageQueryTracer(coverage).
		RaiseBuiltinErrors(true).
		RunTests(t.Context(), txn)
	if err != nil {
		t.Fatal(err)
	}
	passed := map[string]int{}
	for result := range results {
		if !result.Pass() {
			t.Errorf("%v: %s", result.Location, result)
			continue
		}
		passed[result.Package]++
	}
	return passed
}

func plain(parameters parameterSets) map[string]any {
	plain := map[string]any{}
	for policy, values := range parameters {
		plain[policy] = values
	}
	return plain
}

package gate

import (
	"context"
	"fmt"
	"io/fs"
	"reflect"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
)

// compiledIn is what comes with the binary: policies with their parameters, the library that every policy may use, and the
// classification. It never changes.
type compiledIn struct {
	policies []*policy
	library  []module
	input    *document
	schemas  *ast.SchemaSet

	classificationInput *document
	classify            *rego.PreparedEvalQuery // nil when there is no classification
}

// readCompiledIn compiles everything below a folder of policies.
func readCompiledIn(ctx context.Context, files fs.FS, overrides map[string]any) (*compiledIn, error) {
	defaults, err := readParameters(files)
	if err != nil {
		return nil, err
	}
	result, err := newCompiledIn()
	if err != nil {
		return nil, err
	}
	if result.library, err = readLibrary(files); err != nil {
		return nil, err
	}
	if result.policies, err = readPolicies(files); err != nil {
		return nil, err
	}
	if _, err := parametersOf(result.policies, defaults, overrides); err != nil {
		return nil, err
	}
	var problems []Problem
	for _, policy := range result.policies {
		if err := policy.seal(); err != nil {
			return nil, err
		}
		problems = append(problems, result.compileAlone(policy)...)
	}
	if err := compileError(problems); err != nil {
		return nil, err
	}
	if err := result.compileClassification(ctx, files); err != nil {
		return nil, err
	}
	return result, nil
}

// newCompiledIn is one without any policy.
func newCompiledIn() (*compiledIn, error) {
	input := documentOf(reflect.TypeFor[Input]())
	schemas, err := schemaSet(input)
	return &compiledIn{input: input, schemas: schemas}, err
}

func (b *compiledIn) policy(name string) *policy {
	for _, policy := range b.policies {
		if policy.name == name {
			return policy
		}
	}
	return nil
}

func (b *compiledIn) names() []string {
	names := make([]string, len(b.policies))
	for i, policy := range b.policies {
		names[i] = policy.name
	}
	return names
}

func readPolicies(files fs.FS) ([]*policy, error) {
	modules, err := readModules(files, "safety")
	if err != nil {
		return nil, err
	}
	var policies []*policy
	var problems []Problem
	for _, module := range modules {
		policy, found := newPolicy(module)
		policies, problems = append(policies, policy), append(problems, found...)
	}
	return policies, compileError(problems)
}

// readLibrary reads the modules below kubernaut.lib, which every policy may use.
func readLibrary(files fs.FS) ([]module, error) {
	library, err := readModules(files, "lib")
	if err != nil {
		return nil, err
	}
	var problems []Problem
	for _, source := range library {
		problems = append(problems, source.libraryProblems()...)
	}
	return library, compileError(problems)
}

// compile parses the module of an object and checks it, as a unit of its own.
func (b *compiledIn) compile(p *policy) []Problem {
	if err := p.parse(); err != nil {
		return problemsOf(err, []module{p.module})
	}
	if problems := p.packageProblems(safetyPackage + "." + p.name); problems != nil {
		return problems
	}
	if problems := p.readEffects(); problems != nil {
		return problems
	}
	return b.compileAlone(p)
}

// compileAlone compiles one policy with the library and nothing else, so that what is wrong with it is its own.
func (b *compiledIn) compileAlone(p *policy) []Problem {
	sources := append([]module{p.module}, b.library...)
	compiler, err := compileModules(sources, b.schemas)
	if err != nil {
		return asProblems(err)
	}
	problems := referenceProblems(p.module, compiler.Modules[p.file], b.input, readableOf(p.name, p.shape)...)
	for _, source := range b.library {
		problems = append(problems, referenceProblems(source, compiler.Modules[source.file], b.input, readableRules(libraryPackage))...)
	}
	return problems
}

// build makes a policy of an object. A policy that cannot be used is broken and says why: it denies what it would have been asked
// about.
func (b *compiledIn) build(ctx context.Context, object PolicyObject) (*policy, []Problem) {
	result, problems := b.resolve(ctx, object)
	if len(problems) == 0 && object.Baseline == "" {
		problems = b.compile(result)
	}
	if len(problems) > 0 {
		result.breakDown(problems)
	}
	return result, problems
}

// breakDown turns a policy into one that denies. It keeps a name of its own, even one that is not fit for a package.
func (p *policy) breakDown(problems []Problem) {
	texts := make([]string, len(problems))
	for i, problem := range problems {
		texts[i] = problem.String()
	}
	p.broken = "the policy cannot be used, and so denies what it covers: " + strings.Join(texts, "; ")
	p.parsed, p.effects = nil, nil
}

// compileModules compiles in strict mode, in the sandbox, and with the types of the input.
func compileModules(sources []module, schemas *ast.SchemaSet) (*ast.Compiler, error) {
	modules := map[string]*ast.Module{}
	for _, source := range sources {
		modules[source.file] = source.parsed
	}
	compiler := ast.NewCompiler().WithCapabilities(capabilities()).WithStrict(true).WithSchemas(schemas)
	if compiler.Compile(modules); compiler.Failed() {
		return nil, compileError(problemsOf(compiler.Errors, sources))
	}
	return compiler, nil
}

// compileTogether compiles policies that are good each for itself into what is evaluated. Types were checked before.
func compileTogether(policies []*policy, library []module) (*ast.Compiler, error) {
	modules := map[string]*ast.Module{}
	var sources []module
	for _, source := range library {
		modules[source.file], sources = source.parsed, append(sources, source)
	}
	for _, policy := range policies {
		if policy.broken == "" {
			modules[policy.file], sources = policy.parsed, append(sources, policy.module)
		}
	}
	compiler := ast.NewCompiler().WithCapabilities(capabilities())
	if compiler.Compile(modules); compiler.Failed() {
		return nil, compileError(problemsOf(compiler.Errors, sources))
	}
	return compiler, nil
}

// asProblems are the problems of a compile error.
func asProblems(err error) []Problem {
	if failure, ok := err.(*CompileError); ok { //nolint:errorlint // the error of this package's compileError, never wrapped
		return failure.Problems
	}
	return []Problem{{Message: fmt.Sprint(err)}}
}

package authoring

import (
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"

	"kubernaut.io/kubernaut/policies/gate"
)

// unit is what the manager compiles and tests at once: a policy with its test and the library; or the classification; or the
// library itself.
type unit struct {
	set     *Set
	name    string
	folder  string
	sources []*Source // of the unit itself: policy and test
	library []*Source
}

// units are those of the files that the user works on, by name.
func (s *Set) units() []*unit { return s.unitsOf(func(source *Source) bool { return source.Own }) }

func (s *Set) unitsOf(wanted func(*Source) bool) []*unit {
	var library []*Source
	for _, place := range slices.Sorted(maps.Keys(s.sources)) {
		if source := s.sources[place]; source.folder() == libraryFolder && !source.isTest() {
			library = append(library, source)
		}
	}
	byName := map[string]*unit{}
	for _, place := range slices.Sorted(maps.Keys(s.sources)) {
		source := s.sources[place]
		if !wanted(source) {
			continue
		}
		name := source.folder()
		if name == safetyFolder {
			name = source.name()
		}
		if byName[name] == nil {
			byName[name] = &unit{set: s, name: name, folder: source.folder()}
		}
		byName[name].sources = append(byName[name].sources, source)
	}
	units := make([]*unit, 0, len(byName))
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		unit := byName[name]
		if unit.folder == libraryFolder {
			unit.library = slices.DeleteFunc(slices.Clone(library), func(s *Source) bool { return s.Own })
		} else {
			unit.library = library
		}
		units = append(units, unit)
	}
	return units
}

// parse reads the files of the unit, by path. Its error is a *CheckError.
func (u *unit) parse() (map[string]*ast.Module, error) {
	modules := map[string]*ast.Module{}
	var problems []Problem
	for _, source := range slices.Concat(u.sources, u.library) {
		module, err := source.parse()
		if err != nil {
			problems = append(problems, u.problems(err)...)
			continue
		}
		if source.isTest() {
			problems = append(problems, testProblems(source, module)...)
		}
		modules[source.Path] = module
	}
	if len(problems) > 0 {
		return nil, &CheckError{Problems: problems}
	}
	return modules, nil
}

func (s *Source) parse() (*ast.Module, error) {
	module, err := ast.ParseModuleWithOpts(s.Path, s.Text, parserOptions())
	if err == nil && module == nil {
		err = errors.New(s.Path + ": the file is empty")
	}
	return module, err
}

// testProblems keeps tests in a package of their own beside what they test: only there the manager looks for them.
func testProblems(source *Source, module *ast.Module) []Problem {
	got := strings.TrimPrefix(module.Package.Path.String(), "data.")
	want := "kubernaut.safety." + source.name() + "_test"
	if source.folder() != safetyFolder || got == want {
		return nil
	}
	location := module.Package.Location
	return []Problem{{
		Kind: KindCompile, File: source.Path, Row: location.Row, Column: location.Col, Line: source.line(location.Row),
		Message: "the package of this test must be " + want + ", not " + got,
	}}
}

// compile compiles the unit with the capabilities of the gate. The input's types are checked by the gate itself: a test hands in
// parts of a document, and wrong ones too.
func (u *unit) compile() (*ast.Compiler, error) {
	modules, err := u.parse()
	if err != nil {
		return nil, err
	}
	compiler := ast.NewCompiler().WithCapabilities(gate.Capabilities()).WithStrict(true).WithEnablePrintStatements(true)
	if compiler.Compile(modules); compiler.Failed() {
		return nil, &CheckError{Problems: u.problems(compiler.Errors)}
	}
	return compiler, nil
}

func (u *unit) problems(err error) []Problem {
	several, is := errors.AsType[ast.Errors](err)
	if !is {
		return []Problem{{Kind: KindCompile, File: u.name, Message: err.Error()}}
	}
	problems := make([]Problem, len(several))
	for i, single := range several {
		problems[i] = Problem{Kind: KindCompile, File: u.name, Message: single.Code + ": " + single.Message}
		if single.Location == nil {
			continue
		}
		problems[i].File, problems[i].Row, problems[i].Column = single.Location.File, single.Location.Row, single.Location.Col
		if source := u.source(single.Location.File); source != nil {
			problems[i].Line = source.line(single.Location.Row)
		}
	}
	return problems
}

func (u *unit) source(path string) *Source {
	for _, source := range slices.Concat(u.sources, u.library) {
		if source.Path == path {
			return source
		}
	}
	return nil
}

// policy is the file of the policy; nil when there is only a test.
func (u *unit) policy() *Source {
	for _, source := range u.sources {
		if !source.isTest() {
			return source
		}
	}
	return nil
}

// store holds the parameters of the policies, where they read them.
func (s *Set) store() storage.Store {
	parameters := map[string]any{}
	for name, values := range s.parameters {
		parameters[name] = values
	}
	return inmem.NewFromObject(map[string]any{"kubernaut": map[string]any{"parameters": parameters}})
}

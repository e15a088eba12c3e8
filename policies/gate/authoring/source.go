package authoring

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing/fstest"

	"github.com/open-policy-agent/opa/v1/ast"
	"sigs.k8s.io/yaml"

	"kubernaut.io/kubernaut/policies"
	"kubernaut.io/kubernaut/policies/gate"
)

// The layout that package gate reads.
const (
	safetyFolder         = "safety"
	classificationFolder = "classification"
	libraryFolder        = "lib"
	parametersFile       = "data.yaml"
	regoSuffix           = ".rego"
	testSuffix           = "_test.rego"
)

// baselineName stands for the folder of the policies that the binary holds.
const baselineName = "baseline"

// Source is one Rego file.
type Source struct {
	// Path is how the user names the file; for the baseline, baseline/ and its path there.
	Path string
	// Text is its content.
	Text string
	// Own says whether the file is one of those that the user works on, not one that only has to be there.
	Own bool

	place string // in the folder that the gate reads
}

// name is the name of the file without its suffix, and for a test that of the policy which it tests.
func (s *Source) name() string {
	base := path.Base(s.place)
	return strings.TrimSuffix(strings.TrimSuffix(base, testSuffix), regoSuffix)
}

func (s *Source) isTest() bool { return strings.HasSuffix(s.place, testSuffix) }

func (s *Source) folder() string { return path.Dir(s.place) }

func (s *Source) line(row int) string {
	lines := strings.Split(s.Text, "\n")
	if row < 1 || row > len(lines) {
		return ""
	}
	return lines[row-1]
}

// Set is a set of policies as the user has them in folders.
type Set struct {
	sources    map[string]*Source // by place
	parameters map[string]map[string]any
}

// Folders says what to load.
type Folders struct {
	// Dirs are folders of policies: <policy>.rego with <policy>_test.rego beside it, in any subfolder, and data.yaml with the default
	// parameters at the top.
	Dirs []string
	// Baseline adds the policies that the binary holds. One of the same name in Dirs takes the place of the baseline's.
	Baseline bool
	// BaselineOwn makes the baseline one of the folders that the user works on.
	BaselineOwn bool
	// Enforce has the policies of Dirs decide, whatever enforcement their METADATA says.
	Enforce bool
}

// Load reads folders of policies. It does not compile them: that is Check's and Gate's.
func Load(folders Folders) (*Set, error) {
	set := &Set{sources: map[string]*Source{}, parameters: map[string]map[string]any{}}
	own := folders.BaselineOwn
	if err := set.loadFolder(policies.FS, baselineName, own, func(place string) bool {
		return folders.Baseline || own || path.Dir(place) == libraryFolder
	}); err != nil {
		return nil, err
	}
	taken := map[string]string{}
	for _, dir := range folders.Dirs {
		info, err := os.Stat(dir)
		if err != nil {
			return nil, err
		}
		if !info.IsDir() {
			return nil, fmt.Errorf("%s is a file: name the folder that holds the policies", dir)
		}
		if err := set.loadDir(dir, taken, folders.Enforce); err != nil {
			return nil, err
		}
	}
	return set, nil
}

func (s *Set) loadDir(dir string, taken map[string]string, enforce bool) error {
	folder := &Set{sources: map[string]*Source{}, parameters: map[string]map[string]any{}}
	if err := folder.loadFolder(os.DirFS(dir), dir, true, func(string) bool { return true }); err != nil {
		return err
	}
	if len(folder.sources) == 0 && len(folder.parameters) == 0 {
		return fmt.Errorf("%s: there is no policy in it: a policy is a file <name>%s with the package kubernaut.safety.<name>", dir, regoSuffix)
	}
	s.setParameters(folder.parameters)
	s.forgetClassification(folder)
	for _, place := range slices.Sorted(maps.Keys(folder.sources)) {
		source := folder.sources[place]
		if other, is := taken[place]; is {
			return fmt.Errorf("%s and %s are both the policy %s: rename one of them", other, source.Path, source.name())
		}
		taken[place] = source.Path
		if before := s.sources[place]; before != nil && !source.isTest() {
			s.forget(before)
		}
		if enforce && !source.isTest() && source.folder() == safetyFolder {
			if err := source.enforce(); err != nil {
				return err
			}
		}
		s.sources[place] = source
	}
	return nil
}

// forget removes a policy of the baseline whose place another one takes, with its test.
func (s *Set) forget(source *Source) {
	delete(s.sources, source.place)
	test := strings.TrimSuffix(source.place, regoSuffix) + testSuffix
	if found := s.sources[test]; found != nil && !found.Own {
		delete(s.sources, test)
	}
}

// forgetClassification removes the classification of the baseline when a folder brings one: all of it is one package.
func (s *Set) forgetClassification(folder *Set) {
	inClassification := func(source *Source) bool { return source.folder() == classificationFolder }
	if slices.ContainsFunc(slices.Collect(maps.Values(folder.sources)), inClassification) {
		maps.DeleteFunc(s.sources, func(_ string, source *Source) bool {
			return inClassification(source) && strings.HasPrefix(source.Path, baselineName+"/")
		})
	}
}

func (s *Set) loadFolder(files fs.FS, name string, own bool, wanted func(place string) bool) error {
	return fs.WalkDir(files, ".", func(file string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && strings.HasPrefix(entry.Name(), ".") && file != ".":
			return fs.SkipDir
		case entry.IsDir():
			return nil
		case file == parametersFile:
			return s.loadParameters(files, file, filepath.Join(name, file), wanted(safetyFolder+"/"))
		case path.Ext(file) == regoSuffix:
			text, err := fs.ReadFile(files, file)
			if err != nil {
				return err
			}
			source := &Source{Path: filepath.Join(name, file), Text: string(text), Own: own}
			source.place = placeOf(file, source.Text)
			if !wanted(source.place) {
				return nil
			}
			if other := s.sources[source.place]; other != nil {
				return fmt.Errorf("%s and %s are both the policy %s: rename one of them", other.Path, source.Path, source.name())
			}
			s.sources[source.place] = source
		}
		return nil
	})
}

// placeOf is where the gate expects a file. A file that cannot be parsed is taken for a policy, so that the gate says what is
// wrong with it.
func placeOf(file, text string) string {
	folder := safetyFolder
	if parsed, err := ast.ParseModuleWithOpts(file, text, parserOptions()); err == nil && parsed != nil {
		name := parsed.Package.Path.String()
		switch {
		case strings.HasPrefix(name, "data.kubernaut.classification"):
			folder = classificationFolder
		case name == "data.kubernaut.lib", strings.HasPrefix(name, "data.kubernaut.lib."), strings.HasPrefix(name, "data.kubernaut.lib_test"):
			folder = libraryFolder
		}
	}
	return folder + "/" + path.Base(file)
}

func parserOptions() ast.ParserOptions {
	return ast.ParserOptions{Capabilities: gate.Capabilities(), ProcessAnnotation: true, RegoVersion: ast.RegoV1}
}

// loadParameters reads default parameters; what a later folder says about one of them counts.
func (s *Set) loadParameters(files fs.FS, file, shown string, wanted bool) error {
	if !wanted {
		return nil
	}
	text, err := fs.ReadFile(files, file)
	if err != nil {
		return err
	}
	var content struct {
		Kubernaut struct {
			Parameters map[string]map[string]any `json:"parameters"`
		} `json:"kubernaut"`
	}
	if err := yaml.UnmarshalStrict(text, &content); err != nil {
		return fmt.Errorf("%s: %w: it holds kubernaut.parameters.<policy>.<parameter>", shown, err)
	}
	s.setParameters(content.Kubernaut.Parameters)
	return nil
}

func (s *Set) setParameters(parameters map[string]map[string]any) {
	for policy, values := range parameters {
		if s.parameters[policy] == nil {
			s.parameters[policy] = map[string]any{}
		}
		maps.Copy(s.parameters[policy], values)
	}
}

// own are the files that the user works on, in the order of their paths.
func (s *Set) own() []*Source {
	var own []*Source
	for _, source := range s.sources {
		if source.Own {
			own = append(own, source)
		}
	}
	slices.SortFunc(own, func(a, b *Source) int { return strings.Compare(a.Path, b.Path) })
	return own
}

// Policies are the names of the safety policies that the user works on.
func (s *Set) Policies() []string {
	var names []string
	for _, source := range s.own() {
		if source.folder() == safetyFolder && !source.isTest() {
			names = append(names, source.name())
		}
	}
	slices.Sort(names)
	return names
}

// Gate compiles the policies as the manager does. Its error is a *CheckError when a policy is wrong.
func (s *Set) Gate(options gate.Options) (*gate.Gate, error) {
	files := fstest.MapFS{}
	for place, source := range s.sources {
		if !source.isTest() {
			files[place] = &fstest.MapFile{Data: []byte(source.Text)}
		}
	}
	text, err := yaml.Marshal(map[string]any{"kubernaut": map[string]any{"parameters": s.parameters}})
	if err != nil {
		return nil, fmt.Errorf("parameters: %w", err)
	}
	files[parametersFile] = &fstest.MapFile{Data: text}
	options.Policies = files
	compiled, err := gate.New(options)
	if wrong, is := errors.AsType[*gate.CompileError](err); is {
		return nil, &CheckError{Problems: s.problemsOf(wrong.Problems)}
	}
	return compiled, err
}

func (s *Set) problemsOf(found []gate.Problem) []Problem {
	problems := make([]Problem, len(found))
	for i, problem := range found {
		problems[i] = Problem{
			Kind: KindCompile, File: problem.File, Row: problem.Row, Column: problem.Column, Line: problem.Line, Message: problem.Message,
		}
		if source := s.sources[problem.File]; source != nil {
			problems[i].File = source.Path
			problems[i].Line = source.line(problem.Row)
		}
	}
	return problems
}

// enforce makes a policy one that decides, whatever its METADATA says.
func (s *Source) enforce() error {
	meta, err := readMeta(s)
	if err != nil || meta.Enforcement == "" || meta.Enforcement == string(gate.Enforce) {
		return nil //nolint:nilerr // what is wrong with a file is for the compiler to say
	}
	lines := strings.Split(s.Text, "\n")
	for row := meta.row; row <= len(lines) && strings.HasPrefix(lines[row-1], "#"); row++ {
		if before, found := strings.CutSuffix(strings.TrimRight(lines[row-1], " \t\r"), meta.Enforcement); found {
			if strings.HasSuffix(strings.TrimRight(before, " \"'"), "enforcement:") {
				lines[row-1] = before + string(gate.Enforce)
				s.Text = strings.Join(lines, "\n")
				return nil
			}
		}
	}
	return fmt.Errorf("%s: cannot be enforced for a trial: write its enforcement on a line of its own in the METADATA", s.Path)
}

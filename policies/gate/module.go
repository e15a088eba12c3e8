package gate

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"k8s.io/apimachinery/pkg/labels"
)

// Enforcement says what the results of a policy do.
type Enforcement string

// The enforcements of a policy.
const (
	// Enforce makes the results count.
	Enforce Enforcement = "Enforce"
	// Warn makes every result, and every error, a warning.
	Warn Enforcement = "Warn"
	// Audit records every result, and every error, and changes nothing.
	Audit Enforcement = "Audit"
)

// module is one parsed source file.
type module struct {
	name   string // the file name without .rego
	file   string
	text   string
	parsed *ast.Module
}

// policy is one safety policy: its module, and how it applies. METADATA says so for a policy of the baseline, the object for another.
type policy struct {
	module

	object      string // the name of the object that it comes from, or that changed it; empty for the baseline
	enforcement Enforcement
	stages      []Stage
	match       Match
	selector    labels.Selector // nil is every namespace
	parameters  map[string]any
	shape       *document // of the parameters
	declared    []string  // names of the parameters of a policy of the baseline
	effects     []effect  // the rules that it has
	broken      string    // why it cannot be evaluated, and therefore denies; empty for a good one
	digest      string
}

// decidesAt says whether the results of the policy count at a stage.
func (p *policy) decidesAt(stage Stage) bool {
	return p.enforcement == Enforce && slices.Contains(p.stages, stage)
}

// askedAt says whether the policy is evaluated at a stage at all. At a rollback every policy is: what those without that stage say
// is recorded.
func (p *policy) askedAt(stage Stage) bool {
	return stage == StageRollback || slices.Contains(p.stages, stage)
}

const (
	safetyPackage         = "kubernaut.safety"
	classificationPackage = "kubernaut.classification"
	libraryPackage        = "kubernaut.lib"
)

// policyName keeps the names of policies fit for a package path, a metric label and a Rego identifier.
var policyName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,62}$`)

// readModules parses every .rego file of a folder but the tests. A folder that is not there holds none.
func readModules(files fs.FS, folder string) ([]module, error) {
	paths, err := fs.Glob(files, folder+"/*.rego")
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", folder, err)
	}
	var modules []module
	var problems []Problem
	for _, file := range paths {
		if strings.HasSuffix(file, "_test.rego") {
			continue
		}
		text, err := fs.ReadFile(files, file)
		if err != nil {
			return nil, fmt.Errorf("read policy: %w", err)
		}
		source := module{name: strings.TrimSuffix(path.Base(file), ".rego"), file: file, text: string(text)}
		if err := source.parse(); err != nil {
			problems = append(problems, problemsOf(err, []module{source})...)
			continue
		}
		modules = append(modules, source)
	}
	return modules, compileError(problems)
}

func (m *module) parse() error {
	parsed, err := ast.ParseModuleWithOpts(m.file, m.text, ast.ParserOptions{
		Capabilities: capabilities(), ProcessAnnotation: true, RegoVersion: ast.RegoV1,
	})
	if err != nil {
		return err
	}
	if parsed == nil {
		return fmt.Errorf("%s: an empty file is not a policy", m.file)
	}
	m.parsed = parsed
	return nil
}

// libraryProblems finds a module that is in the folder of the library and not in its package.
func (m *module) libraryProblems() []Problem {
	path := m.parsed.Package.Path
	if !path.HasPrefix(ast.MustParseRef("data." + libraryPackage)) {
		return []Problem{problemAt(*m, m.parsed.Package.Location, "the package of this file must be %s or below", libraryPackage)}
	}
	return nil
}

func (m *module) packageProblems(want string) []Problem {
	path := m.parsed.Package.Path
	if got := strings.TrimPrefix(path.String(), "data."); got != want {
		return []Problem{problemAt(*m, m.parsed.Package.Location, "the package of this file must be %s, not %s", want, got)}
	}
	return nil
}

// newPolicy reads the METADATA and the rules of a module of the baseline.
func newPolicy(source module) (*policy, []Problem) {
	if !policyName.MatchString(source.name) {
		return nil, []Problem{problemAt(source, nil, "a policy's file name must match %s", policyName)}
	}
	if problems := source.packageProblems(safetyPackage + "." + source.name); problems != nil {
		return nil, problems
	}
	result := &policy{module: source}
	problems := result.readMetadata()
	return result, append(problems, result.readEffects()...)
}

// metadata is what the gate reads below custom in the METADATA of a policy of the baseline.
type metadata struct {
	Enforcement *Enforcement      `json:"enforcement"`
	Stages      []Stage           `json:"stages"`
	Match       Match             `json:"match"`
	Parameters  map[string]string `json:"parameters"`
}

func (p *policy) readMetadata() []Problem {
	for _, annotations := range p.parsed.Annotations {
		if annotations.Scope != "package" {
			continue
		}
		return p.applyMetadata(annotations)
	}
	return p.settle()
}

func (p *policy) applyMetadata(annotations *ast.Annotations) []Problem {
	var custom metadata
	if err := decodeStrictly(annotations.Custom, &custom); err != nil {
		return []Problem{problemAt(p.module, annotations.Location, "METADATA: custom: %v", err)}
	}
	p.declared = slices.Sorted(maps.Keys(custom.Parameters))
	p.stages, p.match = custom.Stages, custom.Match
	var problems []Problem
	if custom.Enforcement != nil {
		if p.enforcement = *custom.Enforcement; p.enforcement == "" {
			problems = append(problems, problemAt(p.module, annotations.Location, "METADATA: an empty enforcement"))
		}
	}
	if custom.Stages != nil && len(custom.Stages) == 0 {
		problems = append(problems, problemAt(p.module, annotations.Location, "METADATA: no stage"))
	}
	for _, problem := range p.settle() {
		problems = append(problems, problemAt(p.module, annotations.Location, "METADATA: %s", problem.Message))
	}
	return problems
}

// readEffects finds which of the rule sets a policy has. Their shape is left to the evaluation, which denies on a wrong one.
func (p *policy) readEffects() []Problem {
	var problems []Problem
	for _, rule := range p.parsed.Rules {
		effect, known := effectOfRule(rule)
		if !known {
			continue
		}
		if rule.Head.Args != nil {
			problems = append(problems, problemAt(p.module, rule.Location, "%s must be a set of results, not a function", effect.rule()))
		}
		if !slices.Contains(p.effects, effect) {
			p.effects = append(p.effects, effect)
		}
	}
	if len(p.effects) == 0 {
		return []Problem{problemAt(p.module, p.parsed.Package.Location,
			"a policy needs at least one rule deny, hold, require_approval or warn")}
	}
	slices.Sort(p.effects)
	return problems
}

func effectOfRule(rule *ast.Rule) (effect, bool) {
	name, ok := rule.Head.Ref()[0].Value.(ast.Var)
	if !ok {
		return 0, false
	}
	return effectNamed(string(name))
}

// sealed is what the digest of a policy is computed over: all that makes it decide as it does.
type sealed struct {
	Source      string         `json:"source"`
	Parameters  map[string]any `json:"parameters"`
	Enforcement Enforcement    `json:"enforcement"`
	Stages      []Stage        `json:"stages"`
	Match       Match          `json:"match,omitzero"`
	Broken      bool           `json:"broken,omitempty"`
}

// seal computes the digest of the policy: SHA-256 over its canonical JSON, in which the source stands by its own SHA-256.
func (p *policy) seal() error {
	text, err := json.Marshal(sealed{
		Source: hexSHA256([]byte(p.text)), Parameters: p.parameters, Enforcement: p.enforcement,
		Stages: slices.Sorted(slices.Values(p.stages)), Match: p.match, Broken: p.broken != "",
	})
	if err != nil {
		return fmt.Errorf("parameters of %s: %w", p.name, err)
	}
	p.digest = hexSHA256(text)
	return nil
}

func hexSHA256(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

// revisionOf identifies a set of policies: SHA-256 over their sorted digests, a line each, with those of the library.
func revisionOf(policies []*policy, library []module) string {
	digests := make([]string, 0, len(policies)+len(library))
	for _, policy := range policies {
		digests = append(digests, policy.digest)
	}
	for _, source := range library {
		digests = append(digests, hexSHA256([]byte(source.text)))
	}
	slices.Sort(digests)
	return hexSHA256([]byte(strings.Join(digests, "\n")))
}

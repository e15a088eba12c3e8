package authoring

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/types"

	"kubernaut.io/kubernaut/policies/gate"
)

// Opening is a verdict that turned into allow because something was missing; or a policy that no test has tried.
type Opening struct {
	Policy string `json:"policy"`
	// Test is the test whose input it was; empty when no test has a rule of the policy fire.
	Test string `json:"test,omitempty"`
	// Path is what was left out, and Left how: missing or null.
	Path string `json:"path,omitempty"`
	Left string `json:"left,omitempty"`
	// Rule is the rule that fired before, and File and Row its place.
	Rule string `json:"rule,omitempty"`
	File string `json:"file"`
	Row  int    `json:"row,omitempty"`
}

// same says whether another test has shown the same.
func (o Opening) same(other Opening) bool {
	other.Test = o.Test
	return o == other
}

// How something is left out.
const (
	leftMissing = "missing"
	leftNull    = "null"
)

// captured is the input and the parameters for which a test asked the policy.
type captured struct {
	tests      []string
	exempt     map[string]bool
	input      any
	parameters map[string]any
}

const captureName = "kubernaut.capture"

func captureBuiltin() *ast.Builtin {
	return &ast.Builtin{Name: captureName, Decl: types.NewFunction(types.Args(types.A, types.A), types.B)}
}

// failClosed leaves out, one by one, whatever can be missing from each input for which a test has a rule of the policy fire. It looks
// only at the tests that passed.
func (u *unit) failClosed(ctx context.Context, tests []TestResult) ([]Opening, error) {
	effects, err := u.effects()
	if err != nil || len(effects) == 0 {
		return nil, err
	}
	cases, err := u.capture(ctx, tests)
	if err != nil {
		return nil, err
	}
	compiler, err := u.compile()
	if err != nil {
		return nil, err
	}
	judge, err := u.newJudge(ctx, compiler, effects)
	if err != nil {
		return nil, err
	}
	schema, err := readSchema()
	if err != nil {
		return nil, err
	}
	var openings []Opening
	tried := false
	for _, one := range cases {
		if !judge.fires(ctx, one.input, one.parameters) {
			continue
		}
		tried = true
		for _, opening := range u.openings(ctx, judge, schema, one) {
			if !slices.ContainsFunc(openings, opening.same) {
				openings = append(openings, opening)
			}
		}
	}
	if !tried {
		openings = append(openings, Opening{Policy: u.name, File: u.policy().Path})
	}
	return openings, ctx.Err()
}

// effects are the rules of the policy that can keep a step from running.
func (u *unit) effects() ([]string, error) {
	module, err := u.policy().parse()
	if err != nil {
		return nil, err
	}
	var effects []string
	for _, name := range effectRules() {
		if slices.ContainsFunc(module.Rules, func(rule *ast.Rule) bool { return ruleName(rule) == name }) {
			effects = append(effects, name)
		}
	}
	return effects, nil
}

// capture runs the tests with a policy that tells what it is asked about.
func (u *unit) capture(ctx context.Context, tests []TestResult) ([]*captured, error) {
	modules, err := u.parse()
	if err != nil {
		return nil, err
	}
	for _, rule := range modules[u.policy().Path].Rules {
		if slices.Contains(effectRules(), ruleName(rule)) {
			instrument(rule)
		}
	}
	capabilities := gate.Capabilities()
	capabilities.Builtins = append(capabilities.Builtins, captureBuiltin())
	compiler := ast.NewCompiler().WithCapabilities(capabilities)
	if compiler.Compile(modules); compiler.Failed() {
		return nil, fmt.Errorf("tests of %s: %w", u.name, compiler.Errors)
	}
	var cases []*captured
	byKey := map[string]*captured{}
	for _, test := range tests {
		if test.Outcome != Passed || !u.has(test) {
			continue
		}
		exempt := exemptions(modules[test.File], test.Row)
		take := func(input, parameters *ast.Term) {
			key := input.String() + "\n" + parameters.String()
			one := byKey[key]
			if one == nil {
				one = newCaptured(input, parameters)
				byKey[key] = one
				if one != nil {
					cases = append(cases, one)
				}
			}
			if one != nil {
				one.add(test.Package+"."+test.Name, exempt)
			}
		}
		if err := u.runCapturing(ctx, compiler, "data."+test.Package+"."+test.Name, take); err != nil {
			return nil, err
		}
	}
	return cases, nil
}

func (u *unit) has(test TestResult) bool {
	return slices.ContainsFunc(u.sources, func(source *Source) bool { return source.Path == test.File })
}

// instrument has a rule tell input and parameters before it does anything else. The comprehensions are defined when they are not.
func instrument(rule *ast.Rule) {
	tell := ast.MustParseExpr(captureName + "([x | x = input], [x | x = data.kubernaut.parameters])")
	ast.WalkTerms(tell, func(term *ast.Term) bool {
		term.Location = rule.Location
		return false
	})
	ast.WalkExprs(tell, func(expr *ast.Expr) bool {
		expr.Location = rule.Location
		return false
	})
	rule.Body = ast.NewBody(append([]*ast.Expr{tell}, rule.Body...)...)
}

func newCaptured(input, parameters *ast.Term) *captured {
	var documents []any
	for _, term := range []*ast.Term{input, parameters} {
		list, is := term.Value.(*ast.Array)
		if !is || list.Len() == 0 {
			return nil
		}
		plain, err := ast.JSON(list.Elem(0).Value)
		if err != nil {
			return nil // a set in the input: no JSON can say so
		}
		documents = append(documents, plain)
	}
	values, _ := documents[1].(map[string]any)
	return &captured{input: documents[0], parameters: values, exempt: map[string]bool{}}
}

func (c *captured) add(test string, exempt []string) {
	if !slices.Contains(c.tests, test) {
		c.tests = append(c.tests, test)
	}
	for _, path := range exempt {
		c.exempt[path] = true
	}
}

// exemptions are the paths without which a test says that allowing is right: METADATA of the test, custom.allows_without.
func exemptions(module *ast.Module, row int) []string {
	for _, rule := range module.Rules {
		if rule.Location.Row != row {
			continue
		}
		for _, annotations := range rule.Annotations {
			paths, _ := annotations.Custom["allows_without"].([]any)
			names := make([]string, len(paths))
			for i, path := range paths {
				names[i] = fmt.Sprint(path)
			}
			return names
		}
	}
	return nil
}

func (u *unit) runCapturing(ctx context.Context, compiler *ast.Compiler, path string, take func(input, parameters *ast.Term)) error {
	builtin := captureBuiltin()
	told := rego.Function2(
		&rego.Function{Name: builtin.Name, Decl: builtin.Decl},
		func(_ rego.BuiltinContext, input, parameters *ast.Term) (*ast.Term, error) {
			take(input, parameters)
			return ast.InternedTerm(true), nil
		},
	)
	_, err := rego.New(
		rego.Compiler(compiler), rego.Store(u.set.store()), rego.Query(path), rego.SetRegoVersion(ast.RegoV1), told,
	).Eval(ctx)
	if err != nil && !isEvaluation(err) {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// judge asks a policy about an input and parameters.
type judge struct {
	query rego.PreparedEvalQuery
}

func (u *unit) newJudge(ctx context.Context, compiler *ast.Compiler, effects []string) (*judge, error) {
	parts := make([]string, len(effects))
	for i, effect := range effects {
		parts[i] = effectVariable(effect) + " := data.kubernaut.safety[\"" + u.name + "\"]." + effect +
			" with input as input.input with data.kubernaut.parameters as input.parameters"
	}
	query, err := rego.New(
		rego.Compiler(compiler), rego.Store(u.set.store()), rego.Query(strings.Join(parts, "; ")), rego.SetRegoVersion(ast.RegoV1),
		rego.StrictBuiltinErrors(true),
	).PrepareForEval(ctx)
	return &judge{query: query}, err
}

func effectVariable(effect string) string { return "the_" + effect }

// fires says whether the policy keeps the step from running. An error and what is undefined do so too: the gate denies then.
func (j *judge) fires(ctx context.Context, input any, parameters map[string]any, options ...rego.EvalOption) bool {
	document := map[string]any{"input": input, "parameters": parameters}
	results, err := j.query.Eval(ctx, append(options, rego.EvalInput(document))...)
	if err != nil || len(results) == 0 {
		return true
	}
	for _, value := range results[0].Bindings {
		set, is := value.([]any)
		if !is || len(set) > 0 {
			return true
		}
	}
	return false
}

// openings are the paths of one case without which the policy allows; of nested ones the innermost only.
func (u *unit) openings(ctx context.Context, judge *judge, schema *schema, one *captured) []Opening {
	var openings []Opening
	report := func(path []any, left string, input any, parameters map[string]any) {
		shown := documentPath(path)
		inner := func(other Opening) bool {
			return strings.HasPrefix(other.Path, shown+".") || strings.HasPrefix(other.Path, shown+"[")
		}
		if one.exempt[shown] || slices.ContainsFunc(openings, inner) || judge.fires(ctx, input, parameters) {
			return
		}
		openings = append(openings, Opening{Policy: u.name, Test: one.tests[0], Path: shown, Left: left})
	}
	for _, path := range removable(one.input, schema, []any{"input"}) {
		for _, left := range lefts(path.null) {
			report(path.elements, left, without(one.input, path.elements[1:], left), one.parameters)
		}
	}
	base := []any{"data", "kubernaut", "parameters", u.name}
	own, _ := one.parameters[u.name].(map[string]any)
	for _, path := range parameterPaths(own, base) {
		for _, left := range lefts(true) {
			changed, _ := without(one.parameters, path[3:], left).(map[string]any)
			report(path, left, one.input, changed)
		}
	}
	if len(openings) > 0 {
		u.blame(ctx, openings, one)
	}
	return openings
}

func lefts(null bool) []string {
	if null {
		return []string{leftMissing, leftNull}
	}
	return []string{leftMissing}
}

func parameterPaths(own map[string]any, base []any) [][]any {
	var paths [][]any
	for _, name := range sortedKeys(own) {
		paths = append(paths, append(slices.Clone(base), name))
	}
	if own != nil {
		paths = append(paths, base)
	}
	return paths
}

// blame says which rule had fired.
func (u *unit) blame(ctx context.Context, openings []Opening, one *captured) {
	compiler, err := u.compile()
	if err != nil {
		return
	}
	effects, err := u.effects()
	if err != nil {
		return
	}
	judge, err := u.newJudge(ctx, compiler, effects)
	if err != nil {
		return
	}
	recorder := newRecorder(namesOf(compiler))
	judge.fires(ctx, one.input, one.parameters, rego.EvalQueryTracer(recorder))
	for _, effect := range effects {
		for _, frame := range recorder.helpers["data.kubernaut.safety."+u.name+"."+effect] {
			if frame.fired == 0 {
				continue
			}
			for i := range openings {
				openings[i].Rule, openings[i].File, openings[i].Row = effect, frame.rule.Location.File, frame.rule.Location.Row
			}
			return
		}
	}
}

// removablePath is what can be missing from an input. What the gate reads itself can be null too; what stands in an object of the
// cluster is there or not.
type removablePath struct {
	elements []any
	null     bool
}

// removable are the paths of a document that can be missing, the innermost first. A label or an annotation is none: that it is not
// there is a fact, and so is that a list has no such element.
func removable(value any, schema *schema, at []any) []removablePath {
	var paths []removablePath
	if schema != nil {
		schema, _ = schema.nullable()
	}
	switch value := value.(type) {
	case map[string]any:
		free := schema.free()
		if !free && schema.Properties == nil {
			return nil
		}
		for _, name := range sortedKeys(value) {
			below := append(slices.Clone(at), name)
			if free {
				if name != "labels" && name != "annotations" {
					paths = append(paths, removable(value[name], nil, below)...)
					paths = append(paths, removablePath{elements: below})
				}
				continue
			}
			paths = append(paths, removable(value[name], schema.Properties[name], below)...)
			if !schema.always(name) {
				paths = append(paths, removablePath{elements: below, null: value[name] != nil})
			}
		}
	case []any:
		items := schema
		if schema != nil {
			items = schema.Items
		}
		for i, element := range value {
			paths = append(paths, removable(element, items, append(slices.Clone(at), i))...)
		}
	}
	return paths
}

// without is a document less what a path names. It shares what it keeps.
func without(value any, path []any, left string) any {
	switch value := value.(type) {
	case map[string]any:
		name, _ := path[0].(string)
		changed := maps.Clone(value)
		switch {
		case len(path) > 1:
			changed[name] = without(value[name], path[1:], left)
		case left == leftNull:
			changed[name] = nil
		default:
			delete(changed, name)
		}
		return changed
	case []any:
		index, _ := path[0].(int)
		changed := slices.Clone(value)
		changed[index] = without(value[index], path[1:], left)
		return changed
	default:
		return value
	}
}

func documentPath(path []any) string {
	root, _ := path[0].(string)
	ref := ast.Ref{ast.VarTerm(root)}
	for _, element := range path[1:] {
		switch element := element.(type) {
		case string:
			ref = ref.Append(ast.StringTerm(element))
		case int:
			ref = ref.Append(ast.IntNumberTerm(element))
		}
	}
	return ref.String()
}

func sortedKeys(object map[string]any) []string { return slices.Sorted(maps.Keys(object)) }

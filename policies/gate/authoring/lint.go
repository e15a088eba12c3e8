package authoring

import (
	"fmt"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// effectRules are the rules that must fire when something they read is missing.
func effectRules() []string { return []string{"deny", "hold", "require_approval"} }

// linter looks for rules that do not fire, in silence, when a fact or a parameter that they read is missing. It works on the
// source as it was written, and follows a rule into the helpers it uses:
//
//   - what must hold for the rule to fire (its body, its result, and the helpers of both) may read nothing that can be missing;
//   - what must not hold (a helper below not) may read everything: undefined is not permitted. But not inside another not, and not
//     inside a comprehension, where what is missing makes the whole hold.
type linter struct {
	source   *Source
	schema   *schema
	rules    map[string][]*ast.Rule
	imports  map[string]ast.Ref
	visited  map[visit]bool
	problems []Problem

	effect *ast.Rule // the rule that is looked at
}

// visit is a rule that was looked at, so that nothing is looked at twice.
type visit struct {
	effect string
	rule   *ast.Rule
	sense  sense
}

// sense says what a rule must be for the effect to happen.
type sense int

const (
	mustHold    sense = iota
	mustNotHold       // below one not
	mustBeEmpty       // a set of which the number or the whole is looked at, below one not
)

func lint(source *Source, schema *schema) ([]Problem, error) {
	module, err := source.parse()
	if err != nil {
		return nil, err
	}
	l := &linter{source: source, schema: schema, rules: map[string][]*ast.Rule{}, imports: map[string]ast.Ref{}, visited: map[visit]bool{}}
	for _, rule := range module.Rules {
		name := ruleName(rule)
		l.rules[name] = append(l.rules[name], rule)
	}
	for _, imported := range module.Imports {
		if path, is := imported.Path.Value.(ast.Ref); is {
			l.imports[string(imported.Name())] = path
		}
	}
	for _, name := range effectRules() {
		for _, rule := range l.rules[name] {
			l.effect = rule
			l.rule(rule, mustHold)
		}
	}
	return l.problems, nil
}

func ruleName(rule *ast.Rule) string {
	if name, is := rule.Head.Ref()[0].Value.(ast.Var); is {
		return string(name)
	}
	return rule.Head.Name.String()
}

func (l *linter) rule(rule *ast.Rule, sense sense) {
	key := visit{effect: ruleName(l.effect), rule: rule, sense: sense}
	if l.visited[key] {
		return
	}
	l.visited[key] = true
	for ; rule != nil; rule = rule.Else {
		place := place{rule: rule, sense: sense}
		l.body(rule.Body, place)
		place.inResult = true
		for _, term := range []*ast.Term{rule.Head.Key, rule.Head.Value} {
			if term != nil {
				l.term(term, place)
			}
		}
	}
}

// place is where in a policy a term stands.
type place struct {
	rule            *ast.Rule
	sense           sense
	inResult        bool // part of the result of a rule, or bound to a variable
	inNot           bool
	inComprehension bool
	inMembership    bool // an operand of in
	inCall          bool
}

func (l *linter) body(body ast.Body, at place) {
	for _, expr := range body {
		l.expr(expr, at)
	}
}

func (l *linter) expr(expr *ast.Expr, at place) {
	at.inNot = at.inNot || expr.Negated
	for _, with := range expr.With {
		l.term(with.Value, at)
	}
	switch terms := expr.Terms.(type) {
	case *ast.Term:
		l.term(terms, at)
	case *ast.SomeDecl:
		for _, symbol := range terms.Symbols {
			l.term(symbol, at)
		}
	case *ast.Every:
		l.term(terms.Domain, at)
		l.body(terms.Body, at)
	case *ast.Not:
		at.inNot = true
		l.body(terms.Body, at)
	case []*ast.Term:
		if expr.IsAssignment() {
			at.inResult = true
		}
		l.call(terms, at)
	}
}

func (l *linter) call(terms []*ast.Term, at place) {
	operator, _ := terms[0].Value.(ast.Ref)
	name := operator.String()
	if !isBuiltin(name) {
		l.reference(operator, terms[0].Location, at)
	}
	if name == ast.Member.Name || name == ast.MemberWithKey.Name {
		at.inMembership = true
	} else if name != ast.Assign.Name {
		at.inCall = true
	}
	for _, operand := range terms[1:] {
		l.term(operand, at)
	}
}

func isBuiltin(name string) bool {
	_, is := ast.BuiltinMap[name]
	return is
}

func (l *linter) term(term *ast.Term, at place) {
	switch value := term.Value.(type) {
	case ast.Var:
		l.reference(ast.Ref{term}, term.Location, at)
	case ast.Ref:
		l.reference(value, term.Location, at)
		for _, element := range value[1:] {
			if _, is := element.Value.(ast.Var); !is {
				l.term(element, at)
			}
		}
	case ast.Call:
		l.call(value, at)
	case *ast.Array:
		value.Foreach(func(element *ast.Term) { l.term(element, at) })
	case ast.Set:
		value.Foreach(func(element *ast.Term) { l.term(element, at) })
	case ast.Object:
		value.Foreach(func(key, element *ast.Term) {
			l.term(key, at)
			l.term(element, at)
		})
	case *ast.ArrayComprehension:
		l.comprehension(value.Body, at, value.Term)
	case *ast.SetComprehension:
		l.comprehension(value.Body, at, value.Term)
	case *ast.ObjectComprehension:
		l.comprehension(value.Body, at, value.Key, value.Value)
	}
}

func (l *linter) comprehension(body ast.Body, at place, terms ...*ast.Term) {
	at.inComprehension = true
	l.body(body, at)
	for _, term := range terms {
		l.term(term, at)
	}
}

// reference looks at a reference: to input or parameters, or to a helper, which is followed.
func (l *linter) reference(ref ast.Ref, location *ast.Location, at place) {
	name, isVar := ref[0].Value.(ast.Var)
	if !isVar {
		return
	}
	if imported, is := l.imports[string(name)]; is {
		ref = imported.Concat(ref[1:])
	}
	path := constantPath(ref)
	switch {
	case path[0] == "input":
		if !l.schema.guaranteed(path[1:]) {
			l.read(path, location, at)
		}
	case len(path) > 2 && path[0] == "data" && path[1] == "kubernaut" && path[2] == "parameters":
		l.read(path, location, at)
	case len(path) > 4 && path[0] == "data" && path[2] == "safety" && path[3] == l.source.name():
		l.helper(path[4], len(ref) == 5, at)
	case path[0] != "data":
		l.helper(string(name), len(ref) == 1, at)
	}
}

// constantPath are the names of a reference up to the first that is computed.
func constantPath(ref ast.Ref) []string {
	head, _ := ref[0].Value.(ast.Var)
	path := []string{string(head)}
	for _, element := range ref[1:] {
		name, is := element.Value.(ast.String)
		if !is {
			break
		}
		path = append(path, string(name))
	}
	return path
}

func pathText(path []string) string {
	ref := ast.Ref{ast.VarTerm(path[0])}
	for _, name := range path[1:] {
		ref = ref.Append(ast.StringTerm(name))
	}
	return ref.String()
}

// helper follows a reference to another rule of the policy.
func (l *linter) helper(name string, whole bool, at place) {
	rules := l.rules[name]
	if len(rules) == 0 || slices.Contains(effectRules(), name) || isArgument(at.rule, name) {
		return
	}
	next := at.sense
	switch {
	case at.sense == mustHold && at.inNot:
		next = mustNotHold
	case at.sense != mustHold && at.inNot:
		return // two negations: only what stands inside the second one directly is looked at
	case at.sense == mustHold && at.inResult && slices.ContainsFunc(rules, isDefault):
		return // always defined
	case at.sense == mustNotHold && isPartial(rules[0]) && whole && at.inCall && !at.inMembership:
		next = mustBeEmpty
	}
	for _, rule := range rules {
		l.rule(rule, next)
	}
}

func isArgument(rule *ast.Rule, name string) bool {
	return slices.ContainsFunc(rule.Head.Args, func(term *ast.Term) bool {
		argument, is := term.Value.(ast.Var)
		return is && string(argument) == name
	})
}

func isDefault(rule *ast.Rule) bool { return rule.Default }

func isPartial(rule *ast.Rule) bool {
	kind := rule.Head.DocKind()
	return kind == ast.PartialSetDoc || kind == ast.PartialObjectDoc
}

// read judges a reference to something that can be missing.
func (l *linter) read(path []string, location *ast.Location, at place) {
	effect, reader := ruleName(l.effect), ruleName(at.rule)
	what := pathText(path)
	var message, hint string
	switch {
	case at.inComprehension:
		message = fmt.Sprintf("%s reads %s inside a comprehension: when it is missing, the comprehension is empty, and %s may allow in silence", reader, what, effect)
		hint = bindHint(path, "the comprehension")
	case at.sense == mustBeEmpty:
		message = fmt.Sprintf("the set %s reads %s: when it is missing, the set is empty, and %s may allow in silence", reader, what, effect)
		hint = bindHint(path, "the rule that looks at the whole set, and check its type there")
	case at.sense == mustNotHold && at.inNot:
		message = fmt.Sprintf("%s reads %s inside not: when it is missing, the negation holds, and %s allows in silence", reader, what, effect)
		hint = bindHint(path, "the negation")
	case at.sense == mustNotHold, at.inNot:
		return
	case at.rule != l.effect:
		message = fmt.Sprintf("%s needs %s, which reads %s: when it is missing, both are undefined, and it is allowed in silence", effect, reader, what)
		hint = l.helperHint(path, at)
	case at.inResult:
		message = fmt.Sprintf("the result of %s reads %s: when it is missing, the rule is undefined and allows in silence", effect, what)
		hint = defaultHint(path)
	default:
		message = fmt.Sprintf("%s reads %s: when it is missing, the rule is undefined and allows in silence", effect, what)
		hint = permittedHint(effect, path)
	}
	problem := Problem{Kind: KindSilent, File: l.source.Path, Message: message, Rule: effect, Hint: hint}
	if location != nil {
		problem.Row, problem.Column, problem.Line = location.Row, location.Col, l.source.line(location.Row)
	}
	l.problems = append(l.problems, problem)
}

func (l *linter) helperHint(path []string, at place) string {
	if at.inResult || at.rule.Head.Value != nil && !isTrue(at.rule.Head.Value) {
		return defaultHint(path)
	}
	return permittedHint(ruleName(l.effect), path)
}

func isTrue(term *ast.Term) bool { return term.Value.Compare(ast.Boolean(true)) == 0 }

// variable is a name for what a path leads to.
func variable(path []string) string {
	name := strings.Map(func(char rune) rune {
		if char >= 'a' && char <= 'z' || char >= 'A' && char <= 'Z' || char >= '0' && char <= '9' || char == '_' {
			return char
		}
		return '_'
	}, path[len(path)-1])
	if name == "input" || name == "data" || ast.IsKeyword(name) {
		name += "_value"
	}
	return name
}

func permittedHint(effect string, path []string) string {
	name := variable(path)
	return fmt.Sprintf(`Write what is permitted as a rule of its own, and have %s fire when it does not hold:

%s contains {"code": "…", "msg": "…"} if {
	not is_permitted
}

is_permitted if {
	%s := %s
	… # what %s must be
}`, effect, effect, name, pathText(path), name)
}

func defaultHint(path []string) string {
	name := variable(path) + "_text"
	return fmt.Sprintf(`Take the text from a rule that is always defined:

default %s := "unknown"

%s := value if {
	value := %s
	value != null
}`, name, name, pathText(path))
}

func bindHint(path []string, before string) string {
	name := variable(path)
	return fmt.Sprintf(`Bind it to a variable before %s, which is undefined, and so not permitted, when it is missing:

	%s := %s`, before, name, pathText(path))
}

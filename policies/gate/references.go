package gate

import (
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// OPA's type checker reads nothing below an anyOf, so a typo there would be an undefined reference, which is no error. This check
// compares every constant path below input, also in object.get and through a local variable, and every parameter with what there is.
type referenceCheck struct {
	source   module
	input    *document
	data     []readable
	locals   map[ast.Var]ast.Ref
	problems []Problem
}

// readable is a part of data that a module may read, and what can be there; nil for rules, which the compiler checks.
type readable struct {
	root  ast.Ref
	shape *document
}

func readableRules(packageName string) readable {
	return readable{root: ast.MustParseRef("data." + packageName)}
}

// readableOf is all that a policy may read of data: its own rules and parameters, and the library.
func readableOf(policy string, parameters *document) []readable {
	own := ast.MustParseRef("data.kubernaut.parameters").Append(ast.StringTerm(policy))
	return []readable{
		{root: own, shape: parameters}, readableRules(safetyPackage + "." + policy), readableRules(libraryPackage),
	}
}

func referenceProblems(source module, compiled *ast.Module, input *document, data ...readable) []Problem {
	check := &referenceCheck{source: source, input: input, data: data, locals: localsOf(compiled)}
	ast.WalkTerms(compiled, func(term *ast.Term) bool {
		if ref, ok := term.Value.(ast.Ref); ok {
			check.reference(ref, term.Location)
		}
		return false
	})
	ast.WalkExprs(compiled, func(expr *ast.Expr) bool {
		check.objectGet(expr)
		return false
	})
	return check.problems
}

// localsOf are the variables that stand for a reference. The compiler gives each variable of a rule a name of its own, so that one
// name has one meaning in the whole module.
func localsOf(compiled *ast.Module) map[ast.Var]ast.Ref {
	locals := map[ast.Var]ast.Ref{}
	ast.WalkExprs(compiled, func(expr *ast.Expr) bool {
		if !expr.IsEquality() {
			return false
		}
		name, isVar := expr.Operand(0).Value.(ast.Var)
		ref, isRef := expr.Operand(1).Value.(ast.Ref)
		if isVar && isRef && name.IsGenerated() {
			locals[name] = ref
		}
		return false
	})
	return locals
}

// resolve replaces a local variable at the head of a reference by what it stands for.
func (c *referenceCheck) resolve(ref ast.Ref) ast.Ref {
	for range len(c.locals) {
		name, isVar := ref[0].Value.(ast.Var)
		meaning := c.locals[name]
		if !isVar || meaning == nil {
			return ref
		}
		ref = meaning.Concat(ref[1:])
	}
	return ref
}

func (c *referenceCheck) reference(ref ast.Ref, location *ast.Location) {
	switch ref = c.resolve(ref); {
	case ref.HasPrefix(ast.InputRootRef):
		if !c.input.knows(ref[1:]) {
			c.report(ref, location, "there is no such thing")
		}
	case ref.HasPrefix(ast.DefaultRootRef):
		c.readsData(ref, location)
	}
}

func (c *referenceCheck) readsData(ref ast.Ref, location *ast.Location) {
	for _, part := range c.data {
		if !ref.HasPrefix(part.root) {
			continue
		}
		if part.shape != nil && !part.shape.knows(ref[len(part.root):]) {
			c.report(ref, location, "there is no such thing")
		}
		return
	}
	names := make([]string, len(c.data))
	for i, part := range c.data {
		names[i] = part.root.String()
	}
	c.report(ref, location, "of data it may read only "+strings.Join(names, ", "))
}

func (c *referenceCheck) report(ref ast.Ref, location *ast.Location, message string) {
	if location == nil {
		location = ref[0].Location
	}
	problem := problemAt(c.source, location, "%s: %s", ref, message)
	// One place is reached on several ways: as a term, and through object.get or a local variable.
	if !slices.Contains(c.problems, problem) {
		c.problems = append(c.problems, problem)
	}
}

// objectGet checks the path of object.get(input…, key or path, default).
func (c *referenceCheck) objectGet(expr *ast.Expr) {
	if !expr.IsCall() || !expr.Operator().Equal(ast.ObjectGet.Ref()) {
		return
	}
	from := asRef(expr.Operand(0))
	if from == nil {
		return
	}
	key := expr.Operand(1)
	if path, isPath := key.Value.(*ast.Array); isPath {
		path.Foreach(func(element *ast.Term) { from = from.Append(element) })
	} else {
		from = from.Append(key)
	}
	c.reference(from, expr.Location)
}

func asRef(term *ast.Term) ast.Ref {
	switch value := term.Value.(type) {
	case ast.Ref:
		return value
	case ast.Var:
		return ast.Ref{term}
	default:
		return nil
	}
}

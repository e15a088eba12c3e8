package gate

import (
	"github.com/open-policy-agent/opa/v1/ast"
)

// OPA's type checker reads nothing below an anyOf, so a typo there would be an undefined reference, which is no error. This check
// compares every constant path below input, also in object.get and through a local variable, and every parameter with what there is.
type referenceCheck struct {
	source   module
	input    *document
	params   *document
	locals   map[ast.Var]ast.Ref
	problems []Problem
}

func referenceProblems(source module, compiled *ast.Module, input *document, parameters []string) []Problem {
	check := &referenceCheck{
		source: source, input: input, params: parameterDocument(source.name, parameters), locals: localsOf(compiled),
	}
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

// parameterDocument is the shape of what a policy may read below data.kubernaut.parameters: its own, and nothing of others.
func parameterDocument(policy string, names []string) *document {
	own := &document{kind: kindObject}
	for _, name := range names {
		own.fields = append(own.fields, documentField{name: name, value: &document{kind: kindAny}})
	}
	return &document{kind: kindObject, fields: []documentField{{name: policy, value: own}}}
}

func (c *referenceCheck) reference(ref ast.Ref, location *ast.Location) {
	switch ref = c.resolve(ref); {
	case ref.HasPrefix(ast.InputRootRef):
		c.check(c.input, ref, 1, location)
	case ref.HasPrefix(parametersRef()):
		c.check(c.params, ref, len(parametersRef()), location)
	}
}

func (c *referenceCheck) check(root *document, ref ast.Ref, skip int, location *ast.Location) {
	if root.knows(ref[skip:]) {
		return
	}
	if location == nil {
		location = ref[0].Location
	}
	c.problems = append(c.problems, problemAt(c.source, location, "%s: there is no such thing", ref))
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

// parametersRef is where a policy finds parameters.
func parametersRef() ast.Ref { return ast.MustParseRef("data.kubernaut.parameters") }

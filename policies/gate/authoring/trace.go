package authoring

import (
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// Fact is something that a rule read, and what it found.
type Fact struct {
	// Path is the path, such as input.target.namespace.
	Path string `json:"path"`
	// Value is what was there as JSON, cut when it is long; "missing" when nothing was; empty when it is not known.
	Value string `json:"value,omitempty"`
}

// missing is what stands for the value of a fact that is not there.
const missing = "missing"

// recorder listens to an evaluation and keeps what happened as a tree of rules and expressions.
type recorder struct {
	names  *names
	frames map[uint64]*frame
	// parameters are those of the set, whose values are shown; nil where a test may have replaced them.
	parameters ast.Value
	// helpers are the frames of rules by their path: a rule that was evaluated before is not evaluated again.
	helpers map[string][]*frame
}

// frame is the evaluation of one rule or one body.
type frame struct {
	rule   *ast.Rule // nil for a body
	steps  []*step
	fired  int         // how often the rule held
	values []ast.Value // what it gave, for a set
}

// step is one expression of a frame. When it is evaluated several times, in a loop, the last time counts.
type step struct {
	expr     *ast.Expr
	failed   bool
	facts    []Fact
	values   []Fact // of the variables
	children []*frame
	helpers  []string // paths of the rules that it refers to
}

func newRecorder(names *names) *recorder {
	return &recorder{names: names, frames: map[uint64]*frame{}, helpers: map[string][]*frame{}}
}

// Enabled says that the recorder listens.
func (*recorder) Enabled() bool { return true }

// Config says that the recorder looks up the values itself.
func (*recorder) Config() topdown.TraceConfig { return topdown.TraceConfig{} }

// TraceEvent takes in one event.
func (r *recorder) TraceEvent(event topdown.Event) {
	switch event.Op {
	case topdown.EnterOp:
		r.enter(&event)
	case topdown.ExitOp:
		r.exit(&event)
	case topdown.EvalOp:
		if step := r.step(&event); step != nil {
			step.failed = false
			r.look(&event, step)
		}
	case topdown.FailOp:
		if step := r.step(&event); step != nil {
			step.failed = true
			r.look(&event, step)
		}
	}
}

func (r *recorder) enter(event *topdown.Event) {
	entered := &frame{}
	if rule, is := event.Node.(*ast.Rule); is {
		entered.rule = rule
		path := rule.Path().String() //nolint:staticcheck // the path of the whole set is meant
		r.helpers[path] = append(r.helpers[path], entered)
	}
	if parent := r.frames[event.ParentID]; parent != nil && len(parent.steps) > 0 {
		step := parent.steps[len(parent.steps)-1]
		step.children = append(step.children, entered)
	}
	r.frames[event.QueryID] = entered
}

func (r *recorder) exit(event *topdown.Event) {
	frame := r.frames[event.QueryID]
	if frame == nil {
		return
	}
	if rule, is := event.Node.(*ast.Rule); is {
		frame.fired++
		if rule.Head.Key != nil {
			frame.values = append(frame.values, event.Plug(rule.Head.Key).Value)
		}
	}
}

// step is that of the expression of an event, which stands at the end of its frame afterwards.
func (r *recorder) step(event *topdown.Event) *step {
	expr, is := event.Node.(*ast.Expr)
	frame := r.frames[event.QueryID]
	if !is || frame == nil {
		return nil
	}
	at := slices.IndexFunc(frame.steps, func(s *step) bool { return s.expr == expr })
	if at < 0 {
		frame.steps = append(frame.steps, &step{expr: expr})
		at = len(frame.steps) - 1
	}
	found := frame.steps[at]
	frame.steps = append(slices.Delete(frame.steps, at, at+1), found)
	return found
}

// look takes down what the expression reads and which values its variables have.
func (r *recorder) look(event *topdown.Event, into *step) {
	into.values = nil
	plug := func(term *ast.Term) *ast.Term { return event.Plug(term) }
	ast.WalkTerms(into.expr, func(term *ast.Term) bool {
		switch value := term.Value.(type) {
		case *ast.ArrayComprehension, *ast.SetComprehension, *ast.ObjectComprehension:
			return true // has events of its own
		case ast.Ref:
			r.reference(event, into, value, plug)
		case ast.Var:
			r.variable(into, value, plug(term))
		}
		return false
	})
	if get := objectGet(into.expr); get != nil {
		r.reference(event, into, get, plug)
	}
}

func (r *recorder) variable(into *step, name ast.Var, value *ast.Term) {
	shown := r.names.of(name)
	if shown == "" || !ast.IsConstant(value.Value) {
		return
	}
	fact := Fact{Path: shown, Value: short(value.String())}
	if !slices.Contains(into.values, fact) {
		into.values = append(into.values, fact)
	}
}

func (r *recorder) reference(event *topdown.Event, into *step, ref ast.Ref, plug func(*ast.Term) *ast.Term) {
	ref = r.names.resolve(ref)
	switch {
	case ref.HasPrefix(ast.InputRootRef):
		if len(ref) > 1 {
			into.addFact(inputFact(event.Input(), ref, plug))
		}
	case ref.HasPrefix(parametersRef()):
		into.addFact(r.parameterFact(ref, plug))
	case ref.HasPrefix(ast.DefaultRootRef):
		path := ref.ConstantPrefix().String()
		if !slices.Contains(into.helpers, path) {
			into.helpers = append(into.helpers, path)
		}
	}
}

// addFact keeps the last that was seen of a path.
func (s *step) addFact(fact Fact) {
	if at := slices.IndexFunc(s.facts, func(f Fact) bool { return f.Path == fact.Path }); at >= 0 {
		s.facts[at] = fact
		return
	}
	s.facts = append(s.facts, fact)
}

func parametersRef() ast.Ref { return ast.MustParseRef("data.kubernaut.parameters") }

// plugged is a reference with the values of its variables, up to the first that has none.
func plugged(ref ast.Ref, plug func(*ast.Term) *ast.Term) ast.Ref {
	result := ast.Ref{ref[0]}
	for _, element := range ref[1:] {
		element = plug(element)
		if !ast.IsConstant(element.Value) {
			break
		}
		result = append(result, element)
	}
	return result
}

func inputFact(input *ast.Term, ref ast.Ref, plug func(*ast.Term) *ast.Term) Fact {
	path := plugged(ref, plug)
	fact := Fact{Path: path.String(), Value: missing}
	if input == nil {
		return fact
	}
	if value, err := input.Value.Find(path[1:]); err == nil {
		fact.Value = short(value.String())
	}
	return fact
}

func (r *recorder) parameterFact(ref ast.Ref, plug func(*ast.Term) *ast.Term) Fact {
	path := plugged(ref, plug)
	fact := Fact{Path: path.String()}
	if r.parameters == nil {
		return fact
	}
	fact.Value = missing
	if value, err := r.parameters.Find(path[len(parametersRef()):]); err == nil {
		fact.Value = short(value.String())
	}
	return fact
}

// objectGet is the reference that object.get(input…, key or path, default) stands for; nil for any other expression.
func objectGet(expr *ast.Expr) ast.Ref {
	if !expr.IsCall() || !expr.Operator().Equal(ast.ObjectGet.Ref()) {
		return nil
	}
	var ref ast.Ref
	switch from := expr.Operand(0).Value.(type) {
	case ast.Ref:
		ref = from
	case ast.Var:
		ref = ast.Ref{expr.Operand(0)}
	default:
		return nil
	}
	key := expr.Operand(1)
	if path, is := key.Value.(*ast.Array); is {
		path.Foreach(func(element *ast.Term) { ref = ref.Append(element) })
		return ref
	}
	return ref.Append(key)
}

// maxValue is how many characters of a value are shown.
const maxValue = 100

func short(text string) string {
	if runes := []rune(text); len(runes) > maxValue {
		return string(runes[:maxValue-1]) + "…"
	}
	return text
}

// names know what the variables of compiled modules stand for.
type names struct {
	rewritten map[ast.Var]ast.Var
	locals    map[ast.Var]ast.Ref // variables that stand for a reference
	texts     map[ast.Var]string  // what generated variables hold, as it was written
}

// namesOf reads compiled modules. The compiler gives each variable of a module a name of its own.
func namesOf(compiler *ast.Compiler) *names {
	n := &names{rewritten: compiler.RewrittenVars, locals: map[ast.Var]ast.Ref{}, texts: map[ast.Var]string{}}
	for _, module := range compiler.Modules {
		ast.WalkExprs(module, func(expr *ast.Expr) bool {
			n.define(expr)
			return false
		})
	}
	return n
}

func (n *names) define(expr *ast.Expr) {
	terms, is := expr.Terms.([]*ast.Term)
	if !is || len(terms) < 2 {
		return
	}
	if expr.IsEquality() {
		name, isVar := terms[1].Value.(ast.Var)
		ref, isRef := terms[2].Value.(ast.Ref)
		if isVar && isRef && name.IsGenerated() {
			n.locals[name] = ref
			n.texts[name] = textOf(terms[2].Location, expr.Location)
		}
		return
	}
	if name, isVar := terms[len(terms)-1].Value.(ast.Var); isVar && name.IsGenerated() {
		n.texts[name] = textOf(expr.Location)
	}
}

func textOf(locations ...*ast.Location) string {
	for _, location := range locations {
		if location != nil && len(location.Text) > 0 {
			line, _, more := strings.Cut(string(location.Text), "\n")
			if more {
				line += " …"
			}
			return line
		}
	}
	return ""
}

// of is how people know a variable; empty for one that they have not written and that holds nothing which they have.
func (n *names) of(name ast.Var) string {
	if !name.IsGenerated() {
		return "" // the operator of a call
	}
	if written, is := n.rewritten[name]; is {
		return string(written)
	}
	return n.texts[name]
}

// resolve replaces a variable at the head of a reference by what it stands for.
func (n *names) resolve(ref ast.Ref) ast.Ref {
	for range len(n.locals) {
		name, is := ref[0].Value.(ast.Var)
		meaning := n.locals[name]
		if !is || meaning == nil {
			return ref
		}
		ref = meaning.Concat(ref[1:])
	}
	return ref
}

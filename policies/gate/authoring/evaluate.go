package authoring

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"

	"kubernaut.io/kubernaut/policies/gate"
)

// Evaluator judges steps by a set of policies, and says why.
type Evaluator struct {
	gate  *gate.Gate
	rules []*tracedRule
}

// tracedRule is all rules of one name of one policy, which are evaluated once more to see what they do.
type tracedRule struct {
	unit       *unit
	effect     string
	names      *names
	query      rego.PreparedEvalQuery
	parameters ast.Value
}

// Evaluation is a decision with what led to it.
type Evaluation struct {
	Decision gate.Decision `json:"decision"`
	// Fired are the rules that fired, in the order of the decision: first those that count, then those that are recorded.
	Fired []FiredRule `json:"fired"`
	// Silent are the rules of the policies that the user works on that did not fire, when that was asked for.
	Silent []SilentRule `json:"silent,omitempty"`
}

// FiredRule is one result of a decision with the place of its rule and the facts that were read.
type FiredRule struct {
	gate.Result

	// Recorded says that the result changes nothing: the policy is audited only, or does not have this stage.
	Recorded bool `json:"recorded,omitempty"`
	// File and Row are where the rule is; empty for an error of the policy.
	File  string `json:"file,omitempty"`
	Row   int    `json:"row,omitempty"`
	Facts []Fact `json:"facts,omitempty"`
}

// SilentRule is a rule that did not fire, or that the gate did not ask.
type SilentRule struct {
	Policy string `json:"policy"`
	Rule   string `json:"rule"`
	File   string `json:"file"`
	Row    int    `json:"row"`
	// NotAsked says that the rule would fire but that the policy is not asked about this step: by its match or its stages.
	NotAsked bool   `json:"notAsked,omitempty"`
	Why      []Line `json:"why,omitempty"`
}

// NewEvaluator compiles the policies. Its error is a *CheckError when one is wrong.
func (s *Set) NewEvaluator(ctx context.Context, options gate.Options) (*Evaluator, error) {
	compiled, err := s.Gate(options)
	if err != nil {
		return nil, err
	}
	evaluator := &Evaluator{gate: compiled}
	parameters, err := s.parameterValue()
	if err != nil {
		return nil, err
	}
	for _, unit := range s.unitsOf(func(*Source) bool { return true }) {
		if unit.folder != safetyFolder || unit.policy() == nil {
			continue
		}
		rules, err := unit.trace(ctx, parameters)
		if err != nil {
			return nil, err
		}
		evaluator.rules = append(evaluator.rules, rules...)
	}
	return evaluator, nil
}

// Revision identifies the set of policies.
func (e *Evaluator) Revision() string { return e.gate.Revision() }

func (s *Set) parameterValue() (ast.Value, error) {
	value, err := ast.InterfaceToValue(s.parameters)
	if err != nil {
		return nil, fmt.Errorf("parameters: %w", err)
	}
	return value, nil
}

func (u *unit) trace(ctx context.Context, parameters ast.Value) ([]*tracedRule, error) {
	compiler, err := u.compile()
	if err != nil {
		return nil, err
	}
	module, err := u.policy().parse()
	if err != nil {
		return nil, err
	}
	names := namesOf(compiler)
	var rules []*tracedRule
	for _, effect := range append(effectRules(), "warn") {
		if !slices.ContainsFunc(module.Rules, func(rule *ast.Rule) bool { return ruleName(rule) == effect }) {
			continue
		}
		query, err := rego.New(
			rego.Compiler(compiler), rego.Store(u.set.store()), rego.SetRegoVersion(ast.RegoV1), rego.StrictBuiltinErrors(true),
			rego.Query(fmt.Sprintf("data.kubernaut.safety[%q].%s", u.name, effect)),
		).PrepareForEval(ctx)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", u.name, err)
		}
		rules = append(rules, &tracedRule{unit: u, effect: effect, names: names, query: query, parameters: parameters})
	}
	return rules, nil
}

// Evaluate judges one step. With silent it also says why the rules that did not fire did not.
func (e *Evaluator) Evaluate(ctx context.Context, in *gate.Input, silent bool) (*Evaluation, error) {
	evaluation := &Evaluation{Decision: e.gate.Evaluate(ctx, in), Fired: []FiredRule{}}
	for _, result := range evaluation.Decision.Results {
		evaluation.Fired = append(evaluation.Fired, FiredRule{Result: result})
	}
	for _, result := range evaluation.Decision.Recorded {
		evaluation.Fired = append(evaluation.Fired, FiredRule{Result: result, Recorded: true})
	}
	input, err := inputValue(in)
	if err != nil {
		return nil, err
	}
	for _, rule := range e.rules {
		rule.look(ctx, input, evaluation, silent)
	}
	return evaluation, ctx.Err()
}

func inputValue(in *gate.Input) (ast.Value, error) {
	text, err := json.Marshal(in)
	if err != nil {
		return nil, fmt.Errorf("input: %w", err)
	}
	return ast.ValueFromReader(bytes.NewReader(text))
}

// look evaluates the rules once more, and adds what it saw. What goes wrong is in the decision already.
func (r *tracedRule) look(ctx context.Context, input ast.Value, evaluation *Evaluation, silent bool) {
	recorder := newRecorder(r.names)
	recorder.parameters = r.parameters
	_, _ = r.query.Eval(ctx, rego.EvalParsedInput(input), rego.EvalQueryTracer(recorder), rego.EvalRuleIndexing(false), rego.EvalEarlyExit(false))
	explainer := r.unit.explainer(recorder)
	for _, frame := range recorder.helpers["data.kubernaut.safety."+r.unit.name+"."+r.effect] {
		asked := true
		for _, value := range frame.values {
			asked = evaluation.place(r.unit.name, value, frame, explainer) && asked
		}
		if !silent || !r.unit.policy().Own || frame.fired > 0 && asked {
			continue
		}
		rule := SilentRule{
			Policy: r.unit.name, Rule: r.effect, File: frame.rule.Location.File, Row: frame.rule.Location.Row, NotAsked: frame.fired > 0,
		}
		if frame.fired == 0 {
			rule.Why = explainer.whyNot(frame, 0)
		}
		evaluation.Silent = append(evaluation.Silent, rule)
	}
}

// place gives the results that a rule made their place. It says whether there is one: a policy that is not asked makes none.
func (e *Evaluation) place(policy string, value ast.Value, frame *frame, explainer *explainer) bool {
	message, code := resultText(value)
	found := false
	for i := range e.Fired {
		fired := &e.Fired[i]
		if fired.Policy != policy || fired.Message != message || fired.Code != code || fired.File != "" {
			continue
		}
		found = true
		fired.File, fired.Row, fired.Facts = frame.rule.Location.File, frame.rule.Location.Row, explainer.facts(frame)
	}
	return found || slices.ContainsFunc(e.Fired, func(f FiredRule) bool { return f.Policy == policy })
}

// resultText are the message and the code of a result.
func resultText(value ast.Value) (message, code string) {
	text := func(term *ast.Term) string {
		if term == nil {
			return ""
		}
		text, _ := term.Value.(ast.String)
		return string(text)
	}
	switch value := value.(type) {
	case ast.String:
		return string(value), ""
	case ast.Object:
		return text(value.Get(ast.StringTerm("msg"))), text(value.Get(ast.StringTerm("code")))
	default:
		return "", ""
	}
}

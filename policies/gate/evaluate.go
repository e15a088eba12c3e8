package gate

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/topdown"
)

var (
	errCancelled = errors.New("the evaluation was cancelled")
	errTimeLimit = errors.New("the evaluation took longer than the time limit")
	errUndefined = errors.New("a rule set is undefined")
)

// evaluate runs the policies that decide, then those whose results are only warnings or recorded.
func (g *Gate) evaluate(parent context.Context, groups stageGroups, input ast.Value, decision *Decision) {
	ctx, cancel := context.WithTimeout(parent, g.limit)
	defer cancel()
	g.evaluateGroup(ctx, groups.deciding, input, decision)
	if ctx.Err() == nil {
		g.evaluateGroup(ctx, groups.advisory, input, decision)
	} else {
		decision.recordUnevaluated(groups.advisory.policies)
	}
	if parent.Err() != nil {
		decision.Results = nil // policies that had no time are not at fault
		decision.refuse(errCancelled.Error())
	}
}

// evaluateGroup asks for all policies at once, for which it has half of the time. When that fails in any way it asks one by one,
// which leaves no doubt who is at fault.
func (g *Gate) evaluateGroup(ctx context.Context, group group, input ast.Value, decision *Decision) {
	if len(group.policies) == 0 {
		return
	}
	value, err := run(ctx, g.limit/2, group.together, input)
	if err != nil {
		g.evaluateSingly(ctx, group, input, decision)
		return
	}
	for _, policy := range group.policies {
		results, err := resultsOf(policy, value)
		if err != nil {
			results = []Result{errorResult(policy.name, err.Error())}
		}
		decision.add(policy, results)
	}
}

// evaluateSingly blames the first policy that does not end within the time. Those after it had no chance; that is recorded.
func (g *Gate) evaluateSingly(ctx context.Context, group group, input ast.Value, decision *Decision) {
	for i, policy := range group.policies {
		value, err := run(ctx, g.limit, group.single[policy.name], input)
		var results []Result
		if err == nil {
			results, err = resultsOf(policy, value)
		}
		if errors.Is(err, errTimeLimit) {
			decision.add(policy, []Result{errorResult(policy.name, fmt.Sprintf("%v of %v", err, g.limit))})
			decision.recordUnevaluated(group.policies[i+1:])
			return
		}
		if err != nil {
			results = []Result{errorResult(policy.name, err.Error())}
		}
		decision.add(policy, results)
	}
}

func resultsOf(policy *policy, value ast.Object) ([]Result, error) {
	return readResults(policy.name, policy.effects, value.Get(ast.StringTerm(policy.name)).Value)
}

// run evaluates one query, which has one result: an object.
func run(
	parent context.Context, limit time.Duration, query rego.PreparedEvalQuery, input ast.Value,
) (ast.Object, error) {
	ctx, cancel := context.WithTimeout(parent, limit)
	defer cancel()
	if ctx.Err() != nil {
		return nil, errTimeLimit
	}
	results, err := query.Eval(ctx, rego.EvalParsedInput(input))
	if topdown.IsCancel(err) || errors.Is(err, context.DeadlineExceeded) {
		return nil, errTimeLimit
	}
	if err != nil {
		return nil, err
	}
	if len(results) != 1 {
		return nil, errUndefined
	}
	object, ok := results[0].Expressions[0].Value.(ast.Object)
	if !ok {
		return nil, errUndefined
	}
	return object, nil
}

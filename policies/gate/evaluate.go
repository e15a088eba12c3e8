package gate

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
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

// abandonAfter is how long an evaluation may go on after its time. OPA asks between two steps whether it is to stop; a single
// function, such as a regular expression on a huge text, is not interrupted and ends behind the decision's back.
const abandonAfter = 20 * time.Millisecond

// turn is the right to evaluate. It is given back when the decision is made and every evaluation that was begun for it has ended,
// so that those that were abandoned count against the bound on concurrency too.
type turn struct {
	holders atomic.Int32
	free    func()
}

func newTurn(free func()) *turn {
	t := &turn{free: free}
	t.hold()
	return t
}

func (t *turn) hold() { t.holders.Add(1) }

func (t *turn) release() {
	if t.holders.Add(-1) == 0 {
		t.free()
	}
}

// evaluation is one decision being made.
type evaluation struct {
	limit    time.Duration
	turn     *turn
	in       *Input
	input    ast.Value
	decision *Decision
}

// judge runs the policies that decide, then those whose results are only warnings or recorded.
func (e *evaluation) judge(parent context.Context, cell cell) {
	ctx, cancel := context.WithTimeout(parent, e.limit)
	defer cancel()
	e.evaluateGroup(ctx, cell.deciding.group(e.in))
	advisory := cell.advisory.group(e.in)
	if ctx.Err() == nil {
		e.evaluateGroup(ctx, advisory)
	} else {
		e.decision.recordUnevaluated(advisory.members)
	}
	if parent.Err() != nil {
		e.decision.Results = nil // policies that had no time are not at fault
		e.decision.refuse(errCancelled.Error())
	}
}

// evaluateGroup asks for all policies at once, for which it has half of the time. When that fails in any way it asks one by one,
// which leaves no doubt who is at fault.
func (e *evaluation) evaluateGroup(ctx context.Context, group *group) {
	for _, broken := range group.broken {
		e.decision.add(broken, []Result{errorResult(broken.name, broken.broken)})
	}
	if len(group.members) == 0 {
		return
	}
	sets, err := e.run(ctx, e.limit/2, group.together, group.members...)
	if err != nil {
		e.evaluateSingly(ctx, group)
		return
	}
	for _, member := range group.members {
		e.file(member, sets[:len(member.effects)])
		sets = sets[len(member.effects):]
	}
}

// evaluateSingly blames the first policy that does not end within the time. Those after it had no chance; that is recorded.
func (e *evaluation) evaluateSingly(ctx context.Context, group *group) {
	for i, member := range group.members {
		sets, err := e.run(ctx, e.limit, member.alone, member)
		switch {
		case errors.Is(err, errTimeLimit):
			e.blame(member, fmt.Sprintf("%v of %v", err, e.limit))
			e.decision.recordUnevaluated(group.members[i+1:])
			return
		case err != nil:
			e.blame(member, err.Error())
		default:
			e.file(member, sets)
		}
	}
}

func (e *evaluation) blame(member *member, reason string) {
	e.decision.add(member.policy, []Result{errorResult(member.name, reason)})
}

// file adds the results of a policy to the decision.
func (e *evaluation) file(member *member, sets []*ast.Term) {
	results, err := readResults(member.name, member.effects, sets)
	if err != nil {
		e.blame(member, err.Error())
		return
	}
	e.decision.add(member.policy, results)
}

// run asks for the rule sets of members; that one of them is undefined is an error.
func (e *evaluation) run(ctx context.Context, limit time.Duration, query *query, members ...*member) ([]*ast.Term, error) {
	prepared, err := query.get(ctx)
	if err != nil {
		return nil, err
	}
	value, err := run(ctx, limit, e.turn, prepared, e.input)
	if err != nil {
		return nil, err
	}
	want := 0
	for _, member := range members {
		want += len(member.effects)
	}
	sets, ok := value.(*ast.Array)
	if !ok || sets.Len() != want {
		return nil, errUndefined
	}
	terms := make([]*ast.Term, 0, want)
	sets.Foreach(func(term *ast.Term) { terms = append(terms, term) })
	return terms, nil
}

// outcome is what came of an evaluation.
type outcome struct {
	results rego.ResultSet
	err     error
}

// run evaluates one query, which has one result. It returns when its time is over even if the evaluation does not end.
func run(parent context.Context, limit time.Duration, turn *turn, query rego.PreparedEvalQuery, input ast.Value) (ast.Value, error) {
	ctx, cancel := context.WithTimeout(parent, limit)
	defer cancel()
	if ctx.Err() != nil {
		return nil, errTimeLimit
	}
	done := make(chan outcome, 1)
	turn.hold()
	go func() {
		defer turn.release()
		growStack()
		done <- guarded(func() (rego.ResultSet, error) { return query.Eval(ctx, rego.EvalParsedInput(input)) })
	}()
	var ended outcome
	select {
	case ended = <-done:
	case <-ctx.Done():
		select {
		case ended = <-done:
		case <-time.After(abandonAfter):
			return nil, errTimeLimit
		}
	}
	switch {
	case topdown.IsCancel(ended.err), errors.Is(ended.err, context.DeadlineExceeded):
		return nil, errTimeLimit
	case ended.err != nil:
		return nil, ended.err
	case len(ended.results) != 1:
		return nil, errUndefined
	}
	value, ok := ended.results[0].Expressions[0].Value.(ast.Value)
	if !ok {
		return nil, errUndefined
	}
	return value, nil
}

// growStack makes the stack of a new goroutine as large as an evaluation needs, at once and while there is nothing on it. It would
// become so by doubling, and each time everything on it is copied: a quarter of what a decision costs.
//
//go:noinline
func growStack() {
	var room [evaluationStack]byte
	runtime.KeepAlive(&room)
}

// evaluationStack is what policies as people write them need.
const evaluationStack = 64 << 10

// guarded makes an error of a panic: a policy that finds a mistake in an evaluator must not take the operator down.
func guarded(evaluate func() (rego.ResultSet, error)) (ended outcome) {
	defer func() {
		if problem := recover(); problem != nil {
			ended = outcome{err: fmt.Errorf("the evaluation panicked: %v", problem)}
		}
	}()
	results, err := evaluate()
	return outcome{results: results, err: err}
}

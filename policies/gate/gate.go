// Package gate is the safety gate: it compiles policies in a sandbox, and evaluates them on facts that it is handed. It is the
// only package that imports OPA. Whatever it cannot evaluate, it denies.
package gate

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"reflect"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"

	"kubernaut.io/kubernaut/policies"
)

const defaultTimeLimit = time.Second

// Options are what a Gate needs; the zero value is the compiled-in baseline with its defaults.
type Options struct {
	// Policies is the folder of policies: safety/<policy>.rego, classification/*.rego and data.yaml with the default parameters.
	// Default: the baseline.
	Policies fs.FS
	// Parameters replace defaults, by policy and parameter. One that does not exist, or of another JSON type, is an error.
	Parameters map[string]any
	// TimeLimit is the longest that one decision may evaluate, and the longest that it may wait for its turn before. Default: 1 s.
	TimeLimit time.Duration
	// MaxConcurrent is how many decisions evaluate at the same time. Default: four for every CPU.
	MaxConcurrent int
	// AwaitObjects has the gate begin without a set of policies: the first Apply makes it ready, and until then it denies everything.
	// Without it the gate begins with the baseline.
	AwaitObjects bool
	// Log gets a record of every decision; the caller closes it. Default: none.
	Log *DecisionLog
	// Now is the clock of Decision.Time and Duration; policies see only the time in their input. Default: time.Now.
	Now func() time.Time
}

// Gate judges steps by the active set of policies. All its methods can be called concurrently.
type Gate struct {
	compiledIn *compiledIn
	active     atomic.Pointer[set]
	turns      chan struct{}
	limit      time.Duration
	now        func() time.Time
	log        *DecisionLog

	applying sync.Mutex // held by Apply, which compiles; decisions never wait for it
	mutex    sync.Mutex
	changed  chan struct{}
	children chan struct{} // one for each process that runs tests
}

// New compiles the baseline. Its error is a *CompileError when one of its policies is wrong; then there is no gate. A folder without
// policies is not an error: that gate denies everything.
func New(options Options) (*Gate, error) {
	if options.Policies == nil {
		options.Policies = policies.FS
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	ctx := context.Background()
	base, err := readCompiledIn(ctx, options.Policies, options.Parameters)
	if err != nil {
		return nil, fmt.Errorf("compile policies: %w", err)
	}
	gate := &Gate{
		compiledIn: base,
		turns:      make(chan struct{}, cmp.Or(max(options.MaxConcurrent, 0), 4*runtime.GOMAXPROCS(0))),
		limit:      cmp.Or(max(options.TimeLimit, 0), defaultTimeLimit),
		now:        options.Now,
		log:        options.Log,
		changed:    make(chan struct{}),
		children:   make(chan struct{}, maxChildren),
	}
	if options.AwaitObjects {
		return gate, nil
	}
	if _, err := gate.Apply(ctx, nil); err != nil {
		return nil, err
	}
	return gate, nil
}

// Ready says whether there is a set of policies to decide by.
func (g *Gate) Ready() bool {
	return g.active.Load() != nil
}

// Revision identifies the active set: SHA-256 over the sorted digests of its policies, in hexadecimal; empty when there is none.
func (g *Gate) Revision() string {
	active := g.active.Load()
	if active == nil {
		return ""
	}
	return active.revision
}

// Has says whether the active set has a policy of this name.
func (g *Gate) Has(name string) bool {
	active := g.active.Load()
	if active == nil {
		return false
	}
	_, found := slices.BinarySearchFunc(active.policies, name, func(p *policy, name string) int { return cmp.Compare(p.name, name) })
	return found
}

// Evaluate judges one step. It always returns a verdict; what keeps it from judging is a deny with the code policy_error, which
// names the policy at fault, or PolicyNone. The input must not change meanwhile.
func (g *Gate) Evaluate(ctx context.Context, in *Input) Decision {
	decision := g.decide(ctx, in, true)
	observe(decision)
	g.log.write(decision, in)
	return decision
}

// decide judges one step. Only a decision that is recorded needs the digest of its input.
func (g *Gate) decide(ctx context.Context, in *Input, recorded bool) Decision {
	decision := Decision{Time: g.now()}
	if in == nil {
		decision.refuse("there is no input")
	} else {
		decision.Stage = in.Stage
		g.judge(ctx, in, recorded, &decision)
	}
	decision.conclude()
	decision.Duration = g.now().Sub(decision.Time)
	return decision
}

func (g *Gate) judge(ctx context.Context, in *Input, recorded bool, decision *Decision) {
	active := g.active.Load()
	if active == nil {
		decision.refuse("no set of policies is active")
		return
	}
	decision.PolicySetRevision = active.revision
	if len(active.policies) == 0 {
		decision.refuse("there are no policies")
		return
	}
	if in.APIVersion != InputVersion || !slices.Contains(Stages(), in.Stage) {
		decision.refuse(fmt.Sprintf("the input is of version %q and stage %q", in.APIVersion, in.Stage))
		return
	}
	if recorded {
		digest, err := digestOf(in)
		if err != nil {
			decision.refuse(err.Error())
			return
		}
		decision.InputDigest = digest
	}
	document, err := active.read(in)
	if err != nil {
		decision.refuse(err.Error())
		return
	}
	turn, err := g.acquire(ctx)
	if err != nil {
		decision.refuse(err.Error())
		return
	}
	defer turn.release()
	evaluation := &evaluation{limit: g.limit, turn: turn, in: in, input: document, decision: decision}
	evaluation.judge(ctx, active.cell(in))
}

// read turns the input into what OPA evaluates.
func (s *set) read(in *Input) (ast.Value, error) {
	term, err := s.input.term(reflect.ValueOf(in))
	if err != nil {
		return nil, fmt.Errorf("input: %w", err)
	}
	return term.Value, nil
}

// digestOf identifies the facts of an input, whenever they are judged.
func digestOf(in *Input) (string, error) {
	timeless := *in
	timeless.Time, timeless.TimeNS = "", 0
	text, err := json.Marshal(timeless)
	if err != nil {
		return "", fmt.Errorf("input: %w", err)
	}
	return hexSHA256(text), nil
}

// acquire waits for a turn, as long as an evaluation may take.
func (g *Gate) acquire(ctx context.Context) (*turn, error) {
	if ctx.Err() != nil {
		return nil, errCancelled
	}
	timer := time.NewTimer(g.limit)
	defer timer.Stop()
	select {
	case g.turns <- struct{}{}:
		return newTurn(func() { <-g.turns }), nil
	case <-ctx.Done():
		return nil, errCancelled
	case <-timer.C:
		return nil, fmt.Errorf("too many evaluations at once: no turn within %v", g.limit)
	}
}

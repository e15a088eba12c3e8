package gate

import "context"

// Preview judges one step as Evaluate does, for somebody who only wants to know: it is no decision, so it is neither counted nor
// logged. It takes its turn like any other.
func (g *Gate) Preview(ctx context.Context, in *Input) Decision {
	decision := Decision{Time: g.now()}
	if in == nil {
		decision.refuse("there is no input")
	} else {
		decision.Stage = in.Stage
		g.judge(ctx, in, &decision)
	}
	decision.conclude()
	decision.Duration = g.now().Sub(decision.Time)
	return decision
}

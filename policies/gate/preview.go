package gate

import "context"

// Preview judges one step as Evaluate does, for somebody who only wants to know: it is no decision, so it is neither counted nor
// logged, and has no digest of its input. It takes its turn like any other.
func (g *Gate) Preview(ctx context.Context, in *Input) Decision {
	return g.decide(ctx, in, false)
}

package aianalysis

import (
	"context"
	"time"

	aianalysisv1 "kubernaut.io/kubernaut/api/aianalysis/v1"
)

// analyzeLimit bounds one call of the provider.
const analyzeLimit = time.Minute

// Snapshot is all that a decision rests on.
type Snapshot struct {
	analysis *aianalysisv1.AIAnalysis
	provider string
	// conclusion is the provider's; err says why there is none.
	conclusion Analysis
	err        error
	// refused says why the API server does not take the conclusion: it checks what a provider says down to the last field.
	refused error
}

func (r *Reconciler) gather(ctx context.Context, analysis *aianalysisv1.AIAnalysis) Snapshot {
	ctx, cancel := context.WithTimeout(ctx, analyzeLimit)
	defer cancel()
	snapshot := Snapshot{analysis: analysis, provider: r.Provider.Name()}
	snapshot.conclusion, snapshot.err = r.Provider.Analyze(ctx, analysis.Spec.DeepCopy())
	return snapshot
}

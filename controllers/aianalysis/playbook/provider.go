package playbook

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/client"

	aianalysisv1 "kubernaut.io/kubernaut/api/aianalysis/v1"
	catalogv1alpha1 "kubernaut.io/kubernaut/api/catalog/v1alpha1"
	"kubernaut.io/kubernaut/api/shared"
	"kubernaut.io/kubernaut/controllers/aianalysis"
	"kubernaut.io/kubernaut/controllers/machinery"
)

// Name is the name of this provider.
const Name = "playbook"

const (
	longestWhyNot = 512
	shortWhyNot   = 128
)

// Provider chooses among the Playbooks of the cluster. Compiled ones are kept until their spec changes.
type Provider struct {
	reader client.Reader

	mutex    sync.Mutex
	compiled map[types.UID]cacheEntry
}

type cacheEntry struct {
	generation int64
	playbook   *Compiled
	problems   field.ErrorList
}

// New makes a provider that reads Playbooks from reader, which should be a cache.
func New(reader client.Reader) *Provider {
	return &Provider{reader: reader, compiled: map[types.UID]cacheEntry{}}
}

// Name is part of aianalysis.Provider.
func (*Provider) Name() string { return Name }

// Analyze chooses a playbook by match, then the highest priority, then name; one that failed for this request is out. A playbook that cannot be evaluated is passed
// over and says so among the alternatives; the error is that of reading, or of ctx.
func (p *Provider) Analyze(ctx context.Context, spec *aianalysisv1.AIAnalysisSpec) (aianalysis.Analysis, error) {
	var list catalogv1alpha1.PlaybookList
	if err := p.reader.List(ctx, &list); err != nil {
		return aianalysis.Analysis{}, fmt.Errorf("listing playbooks: %w", err)
	}
	slices.SortFunc(list.Items, func(a, b catalogv1alpha1.Playbook) int {
		return cmp.Or(cmp.Compare(priority(&b), priority(&a)), cmp.Compare(a.Name, b.Name))
	})
	variables := variablesOf(spec)
	candidates := make([]candidate, 0, len(list.Items))
	for i, entry := range p.compile(list.Items) {
		candidates = append(candidates, assess(ctx, &list.Items[i], entry, spec, variables))
	}
	if err := ctx.Err(); err != nil {
		return aianalysis.Analysis{}, fmt.Errorf("evaluating playbooks: %w", err)
	}
	slices.SortStableFunc(candidates, func(a, b candidate) int { return cmp.Compare(a.standing, b.standing) })
	return choose(candidates, spec), nil
}

// compile gives the compiled form of each playbook, in order, and forgets those that are gone.
func (p *Provider) compile(playbooks []catalogv1alpha1.Playbook) []cacheEntry {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	present := make(map[types.UID]bool, len(playbooks))
	entries := make([]cacheEntry, len(playbooks))
	for i := range playbooks {
		playbook := &playbooks[i]
		present[playbook.UID] = true
		entry, known := p.compiled[playbook.UID]
		if !known || entry.generation != playbook.Generation {
			entry = cacheEntry{generation: playbook.Generation}
			entry.playbook, entry.problems = Compile(playbook.Spec.DeepCopy())
			p.compiled[playbook.UID] = entry
		}
		entries[i] = entry
	}
	maps.DeleteFunc(p.compiled, func(uid types.UID, _ cacheEntry) bool { return !present[uid] })
	return entries
}

func priority(playbook *catalogv1alpha1.Playbook) int32 {
	if playbook.Spec.Priority == nil {
		return 0
	}
	return *playbook.Spec.Priority
}

// standing says how far a playbook came.
type standing int

const (
	applies standing = iota
	broken
	doesNotApply
)

// candidate is one playbook and what became of it.
type candidate struct {
	playbook   *catalogv1alpha1.Playbook
	standing   standing
	whyNot     string
	rootCause  string
	definition shared.WorkflowDefinition
}

func assess(ctx context.Context, playbook *catalogv1alpha1.Playbook, entry cacheEntry, spec *aianalysisv1.AIAnalysisSpec, variables map[string]any) candidate {
	result := candidate{playbook: playbook}
	if entry.playbook == nil {
		result.standing, result.whyNot = broken, "it does not compile: "+entry.problems.ToAggregate().Error()
		return result
	}
	whyNot, err := entry.playbook.match(ctx, spec, variables)
	switch {
	case err != nil:
		result.standing, result.whyNot = broken, "it could not be evaluated: "+err.Error()
		return result
	case whyNot != "":
		result.standing, result.whyNot = doesNotApply, whyNot
		return result
	case failedBefore(playbook.Name, spec):
		result.standing, result.whyNot = doesNotApply, "its workflow has failed for this request"
		return result
	}
	result.rootCause, result.definition, err = entry.playbook.fill(ctx, variables)
	if err != nil {
		result.standing, result.whyNot = broken, "it could not be filled in: "+err.Error()
	}
	return result
}

// failedBefore says whether the workflow of a playbook has failed for this request.
func failedBefore(name string, spec *aianalysisv1.AIAnalysisSpec) bool {
	last := spec.Enrichment.FailedWorkflow
	return slices.Contains(spec.FailedPlaybooks, name) || (last != nil && last.Playbook == name)
}

// choose takes the first candidate that applies; they are in the order of preference.
func choose(candidates []candidate, spec *aianalysisv1.AIAnalysisSpec) aianalysis.Analysis {
	var analysis aianalysis.Analysis
	chosen := slices.IndexFunc(candidates, func(c candidate) bool { return c.standing == applies })
	for i, other := range candidates {
		if i == chosen {
			continue
		}
		if other.standing == applies {
			candidates[i].whyNot = fmt.Sprintf("it applies too; %s comes first by priority, then by name", candidates[chosen].playbook.Name)
		}
		analysis.Alternatives = append(analysis.Alternatives, aianalysisv1.Alternative{
			Name: other.playbook.Name, ConfidencePercent: other.playbook.Spec.ConfidencePercent,
			WhyNot: machinery.Cut(candidates[i].whyNot, longestWhyNot),
		})
	}
	if chosen < 0 {
		analysis.Unresolved = unresolved(candidates, spec)
		return analysis
	}
	best := candidates[chosen]
	analysis.RootCause = best.rootCause
	analysis.ConfidencePercent = best.playbook.Spec.ConfidencePercent
	if len(best.definition.Steps) == 0 {
		analysis.NoActionRequired = true
		return analysis
	}
	analysis.Recommendation = &aianalysisv1.Recommendation{
		WorkflowDefinition: best.definition,
		PlaybookRef:        best.playbook.Name,
		Rationale: machinery.Cut(fmt.Sprintf("Playbook %s with priority %d applies to signal %s on %s.",
			best.playbook.Name, priority(best.playbook), spec.SignalContext.Name, spec.Target.String()), longestText),
	}
	if strategy := best.playbook.Spec.ExecutionStrategy; strategy != nil {
		analysis.Recommendation.ExecutionStrategy = *strategy.DeepCopy()
	}
	return analysis
}

// unresolved says what was considered and why none of it applies.
func unresolved(candidates []candidate, spec *aianalysisv1.AIAnalysisSpec) string {
	subject := fmt.Sprintf("signal %s on %s", spec.SignalContext.Name, spec.Target.String())
	if len(candidates) == 0 {
		return "No playbook matches " + subject + ": there is none in the cluster. Apply one (kubectl explain playbook.spec)."
	}
	reasons := make([]string, len(candidates))
	for i, c := range candidates {
		reasons[i] = c.playbook.Name + " (" + machinery.Cut(c.whyNot, shortWhyNot) + ")"
	}
	return "No playbook matches " + subject + ". Considered: " + strings.Join(reasons, ", ") + "."
}

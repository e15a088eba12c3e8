package gate

import (
	"cmp"
	"context"
	"fmt"
	"slices"
)

// PolicyStatus is what became of one object.
type PolicyStatus struct {
	// Policy is the name by which decisions call the policy.
	Policy string
	// Digest is SHA-256 over all that makes the policy decide as it does.
	Digest string
	// Problems say why the policy cannot be used; it is in the set all the same, and denies what it covers. None for a good one.
	Problems []Problem

	baseline, key string // of the object
}

// Applied is what became of the objects that a set was made of.
type Applied struct {
	// Revision is that of the active set.
	Revision string
	// Policies say what became of each object, by its name.
	Policies map[string]PolicyStatus
}

// Apply makes a set of the baseline and the objects, and swaps it for the active one; decisions that are being made end with the set
// that they began with. A policy that cannot be used is no error: it is in the set, and denies what it covers. With an error nothing
// was swapped. An equal set is not swapped either, and nobody is told. Calls are made one after the other.
func (g *Gate) Apply(ctx context.Context, objects []PolicyObject) (Applied, error) {
	g.applying.Lock()
	defer g.applying.Unlock()
	old := g.active.Load()
	next, err := g.compile(ctx, objects, old)
	if err != nil {
		return Applied{}, fmt.Errorf("compile policies: %w", err)
	}
	if old == nil || old.revision != next.revision {
		g.swap(next)
	} else {
		// The same policies may come from other objects.
		old.objects.Store(next.objects.Load())
	}
	return Applied{Revision: next.revision, Policies: *next.objects.Load()}, nil
}

// Applied is what became of the objects of the active set; the zero value when none is active.
func (g *Gate) Applied() Applied {
	active := g.active.Load()
	if active == nil {
		return Applied{}
	}
	return Applied{Revision: active.revision, Policies: *active.objects.Load()}
}

// Changed returns a channel that is closed when the active set is swapped for another one. To miss no change, take the channel
// first and look at the gate then:
//
//	for {
//		changed := g.Changed()
//		look(g)
//		<-changed
//	}
func (g *Gate) Changed() <-chan struct{} {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	return g.changed
}

func (g *Gate) swap(next *set) {
	g.active.Store(next)
	g.mutex.Lock()
	defer g.mutex.Unlock()
	close(g.changed)
	g.changed = make(chan struct{})
}

// compile makes the next set. What was made for the last one is used again: compiling alone is most of the work.
func (g *Gate) compile(ctx context.Context, objects []PolicyObject, last *set) (*set, error) {
	objects = slices.SortedFunc(slices.Values(objects), func(a, b PolicyObject) int { return cmp.Compare(a.Name, b.Name) })
	policies := slices.Clone(g.compiledIn.policies)
	built := map[string]builtPolicy{}
	status := map[string]PolicyStatus{}
	changes := map[string]string{} // policies of the baseline, and the object that changes each
	for _, object := range objects {
		key, err := object.key()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", object.Name, err)
		}
		made, known := last.lookUp(key)
		if !known {
			if made, err = g.compiledIn.make(ctx, object); err != nil {
				return nil, err
			}
		}
		built[key] = made
		if first := changes[object.Baseline]; object.Baseline != "" && first != "" {
			if made, err = secondChange(made, object, first); err != nil {
				return nil, err
			}
		}
		policies = withPolicy(policies, made.policy, object)
		changes[object.Baseline] = object.Name
		status[object.Name] = PolicyStatus{
			Policy: made.policy.name, Digest: made.policy.digest, Problems: made.problems, baseline: object.Baseline, key: key,
		}
	}
	next, err := assemble(ctx, g.compiledIn, policies)
	if err != nil {
		return nil, err
	}
	next.objects.Store(&status)
	next.built = built
	return next, nil
}

func (s *set) lookUp(key string) (builtPolicy, bool) {
	if s == nil {
		return builtPolicy{}, false
	}
	made, known := s.built[key]
	return made, known
}

// make builds and seals.
func (b *compiledIn) make(ctx context.Context, object PolicyObject) (builtPolicy, error) {
	made, problems := b.build(ctx, object)
	return builtPolicy{policy: made, problems: problems}, made.seal()
}

// secondChange breaks the second of two objects that change the same policy: which of them is meant nobody can know.
func secondChange(made builtPolicy, object PolicyObject, first string) (builtPolicy, error) {
	problem := Problem{
		File:    object.file(),
		Message: fmt.Sprintf("the object %s changes %s already: delete one of the two", first, object.Baseline),
	}
	broken := *made.policy
	broken.module = module{name: object.PolicyName(), file: object.file()}
	problems := append(slices.Clone(made.problems), problem)
	broken.breakDown(problems)
	return builtPolicy{policy: &broken, problems: problems}, broken.seal()
}

// withPolicy adds a policy; one that changes a policy of the baseline takes its place, unless it is broken.
func withPolicy(policies []*policy, added *policy, object PolicyObject) []*policy {
	for i, policy := range policies {
		if object.Baseline != "" && added.broken == "" && policy.name == added.name {
			policies[i] = added
			return policies
		}
	}
	return append(policies, added)
}

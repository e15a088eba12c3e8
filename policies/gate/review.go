package gate

import (
	"context"
	"fmt"
	"slices"
)

// Review is what is to be said about an object before it is stored.
type Review struct {
	// Problems are why it must not be stored.
	Problems []Problem
	// Warnings are for its author.
	Warnings []string
}

// Review compiles an object, runs its tests as Test does, and compares it with the objects of the active set.
func (g *Gate) Review(ctx context.Context, object PolicyObject) (Review, error) {
	report, err := g.Test(ctx, object)
	if err != nil {
		return Review{}, err
	}
	result := Review{Problems: report.Problems, Warnings: g.warnings(object)}
	for name, status := range g.Applied().Policies {
		if object.Baseline != "" && status.baseline == object.Baseline && name != object.Name {
			result.Problems = append(result.Problems, Problem{File: object.file(), Message: fmt.Sprintf(
				"the object %s changes %s already: change that one, or delete it first", name, object.Baseline,
			)})
		}
	}
	return result, nil
}

// warnings say what an author may not have meant.
func (g *Gate) warnings(object PolicyObject) []string {
	if object.Baseline == "" {
		if object.Tests == "" {
			return []string{"spec.tests: without tests nothing shows that the policy denies what it should and nothing else"}
		}
		return nil
	}
	standard, wanted := g.compiledIn.policy(object.Baseline), &policy{enforcement: object.Enforcement, stages: object.Stages}
	if standard == nil || len(wanted.settle()) > 0 {
		return nil
	}
	var warnings []string
	if wanted.enforcement != standard.enforcement {
		warnings = append(warnings, fmt.Sprintf("spec.enforcement: %s has %s unless it is changed; this object makes it %s",
			standard.name, standard.enforcement, wanted.enforcement))
	}
	for _, stage := range standard.stages {
		if !slices.Contains(wanted.stages, stage) {
			warnings = append(warnings, fmt.Sprintf("spec.stages: %s counts at stage %s unless it is changed; with this object it does not",
				standard.name, stage))
		}
	}
	return warnings
}

// StatusOf is what the active set made of an object, and the revision of that set; false when the set was made without this object
// as it is, which is so until it was applied.
func (g *Gate) StatusOf(object PolicyObject) (status PolicyStatus, revision string, applied bool) {
	key, err := object.key()
	all := g.Applied()
	status, applied = all.Policies[object.Name]
	if err != nil || !applied || status.key != key {
		return PolicyStatus{}, all.Revision, false
	}
	return status, all.Revision, true
}

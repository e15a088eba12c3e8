package machinery

import (
	"slices"
	"testing"

	"kubernaut.io/kubernaut/api/shared"
)

// policySet is a set of policies by their names.
type policySet struct {
	revision string
	names    []string
}

func (policySet) Changed() <-chan struct{} { return nil }
func (p policySet) Revision() string       { return p.revision }
func (p policySet) Has(policy string) bool { return slices.Contains(p.names, policy) }
func rule(policy string, effect shared.RuleEffect) shared.FiredRule {
	return shared.FiredRule{Policy: policy, Effect: effect}
}

func TestWhatBecomesOfAHold(t *testing.T) {
	const limit = 3
	stop, freeze, careful := rule("stop", shared.EffectHold), rule("freeze", shared.EffectHold), rule("careful", shared.EffectWarn)
	for sentence, test := range map[string]struct {
		policies Policies
		rules    []shared.FiredRule
		want     Hold
	}{
		"nobody tells":                          {rules: []shared.FiredRule{stop}},
		"there is no set yet":                   {policies: policySet{}, rules: []shared.FiredRule{stop}},
		"the same set":                          {policies: policySet{"r1", []string{"stop"}}, rules: []shared.FiredRule{stop}, want: HoldStands},
		"another set with the policy":           {policies: policySet{"r2", []string{"stop"}}, rules: []shared.FiredRule{stop}},
		"another set without it":                {policies: policySet{"r2", []string{"careful"}}, rules: []shared.FiredRule{stop, careful}, want: HoldLifted},
		"another set without one of two":        {policies: policySet{"r2", []string{"freeze"}}, rules: []shared.FiredRule{stop, freeze}},
		"another set, and no rule is known":     {policies: policySet{"r2", nil}, rules: []shared.FiredRule{careful}},
		"another set, and not all are recorded": {policies: policySet{"r2", nil}, rules: []shared.FiredRule{stop, freeze, stop}},
	} {
		t.Run(sentence, func(t *testing.T) {
			if got := HoldOf(test.policies, "r1", test.rules, limit); got != test.want {
				t.Errorf("got %d, want %d", got, test.want)
			}
		})
	}
}

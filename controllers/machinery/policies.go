package machinery

import (
	"slices"

	"kubernaut.io/kubernaut/api/shared"
)

// Policies are the set of policies that the safety gate judges by.
type Policies interface {
	Changes
	// Revision identifies the set; empty while there is none.
	Revision() string
	// Has says whether the set has a policy of this name.
	Has(policy string) bool
}

// Hold is what has become of a hold.
type Hold int

const (
	// HoldUnknown says that only judging again can tell.
	HoldUnknown Hold = iota
	// HoldStands says that the policies are those that decided: a hold ends by a change of them.
	HoldStands
	// HoldLifted says that no policy which asked for the hold is left. Others may hold instead: what was held is judged again before
	// anything is done.
	HoldLifted
)

// HoldOf is what has become of a hold that policies of a revision decided by these rules; of more than limit rules some are not recorded.
func HoldOf(policies Policies, revision string, rules []shared.FiredRule, limit int) Hold {
	if policies == nil || policies.Revision() == "" {
		return HoldUnknown
	}
	if policies.Revision() == revision {
		return HoldStands
	}
	holds := slices.DeleteFunc(slices.Clone(rules), func(rule shared.FiredRule) bool { return rule.Effect != shared.EffectHold })
	if len(holds) == 0 || len(holds) >= limit {
		return HoldUnknown
	}
	if slices.ContainsFunc(holds, func(rule shared.FiredRule) bool { return policies.Has(rule.Policy) }) {
		return HoldUnknown
	}
	return HoldLifted
}

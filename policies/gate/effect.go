package gate

import (
	"fmt"

	"github.com/open-policy-agent/opa/v1/ast"

	"kubernaut.io/kubernaut/api/shared"
)

// effect is one of the rule sets of a policy; the hardest comes first.
type effect int

const (
	deny effect = iota
	hold
	requireApproval
	warn
)

// rule is the name of the rule in a policy.
func (e effect) rule() string {
	return [...]string{"deny", "hold", "require_approval", "warn"}[e]
}

func (e effect) shared() shared.RuleEffect {
	return [...]shared.RuleEffect{
		shared.EffectDeny, shared.EffectHold, shared.EffectRequireApproval, shared.EffectWarn,
	}[e]
}

func effectNamed(rule string) (effect, bool) {
	for e := deny; e <= warn; e++ {
		if e.rule() == rule {
			return e, true
		}
	}
	return 0, false
}

// The bounds of a result.
const (
	maxApprovers  = 5
	maxResults    = 1000 // of one policy
	maxCodeLength = 128
)

// readResults takes the rule sets of one policy apart. Any shape that is not that of a result is an error.
func readResults(policy string, effects []effect, sets []*ast.Term) ([]Result, error) {
	var results []Result
	for i, effect := range effects {
		set, ok := sets[i].Value.(ast.Set)
		if !ok {
			return nil, fmt.Errorf("%s is not a set", effect.rule())
		}
		if len(results)+set.Len() > maxResults {
			return nil, fmt.Errorf("more than %d results", maxResults)
		}
		for _, element := range set.Slice() {
			result, err := readResult(effect, element.Value)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", effect.rule(), err)
			}
			result.Policy = policy
			results = append(results, result)
		}
	}
	return results, nil
}

func readResult(effect effect, value ast.Value) (Result, error) {
	result := Result{FiredRule: shared.FiredRule{Effect: effect.shared()}}
	if effect == requireApproval {
		result.Approvers = 1
	}
	switch value := value.(type) {
	case ast.String:
		result.Message = string(value)
		return result, nil
	case ast.Object:
		if value.Get(ast.InternedTerm("msg")) == nil {
			return result, fmt.Errorf("a result lacks msg: %v", value)
		}
		return result, value.Iter(func(key, member *ast.Term) error {
			return result.read(effect, key, member.Value)
		})
	default:
		return result, fmt.Errorf("a result is neither a string nor an object: %v", value)
	}
}

// read takes one member of a result object.
func (r *Result) read(effect effect, key *ast.Term, value ast.Value) error {
	name, _ := key.Value.(ast.String)
	text, isText := value.(ast.String)
	switch {
	case name == "msg" && isText:
		r.Message = string(text)
	case name == "code" && isText && len(text) <= maxCodeLength:
		r.Code = string(text)
	case name == "approvers":
		return r.readApprovers(effect, value)
	case name == "details":
		details, err := ast.JSON(value)
		if err != nil {
			return fmt.Errorf("details: %w", err)
		}
		r.Details = details
	default:
		return fmt.Errorf("a result may hold msg, code, approvers and details, each of its type, not %v: %v", key, value)
	}
	return nil
}

func (r *Result) readApprovers(effect effect, value ast.Value) error {
	number, ok := value.(ast.Number)
	if !ok || effect != requireApproval {
		return fmt.Errorf("approvers is a number of require_approval, not %v of %s", value, effect.rule())
	}
	approvers, ok := number.Int()
	if !ok || approvers < 1 || approvers > maxApprovers {
		return fmt.Errorf("approvers must be 1 to %d, not %v", maxApprovers, value)
	}
	r.Approvers = int32(approvers)
	return nil
}

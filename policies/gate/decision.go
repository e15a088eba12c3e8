package gate

import (
	"cmp"
	"slices"
	"time"

	"github.com/google/uuid"

	"kubernaut.io/kubernaut/api/shared"
)

// PolicyNone stands in the place of a policy's name where none has decided: there is no policy, the context was cancelled, or
// the input cannot be judged.
const PolicyNone = "none"

// The bounds of the short form of a decision, which a status holds.
const (
	maxRules         = 16
	maxMessageLength = 512
)

// Result is one result of one policy.
type Result struct {
	shared.FiredRule

	// Details is what else the policy said, as JSON values.
	Details any `json:"details,omitempty"`
}

// Decision is one evaluation of the gate. The embedded short form is bounded: at most 16 rules with messages of at most 512
// characters, in the order of Results.
type Decision struct {
	// Decision is the short form. Its ID is a UUID of version 7, new for every evaluation, and so in the order of time. Its InputDigest
	// is SHA-256 over the JSON of the input without time and time_ns, so that equal facts have equal digests whenever they are judged.
	shared.Decision

	// Stage is the stage of the input.
	Stage Stage `json:"stage"`
	// Time is when the evaluation began.
	Time time.Time `json:"time"`
	// Duration is how long it took, waiting for its turn included.
	Duration time.Duration `json:"durationNanoseconds"`
	// Results are all results that count, those that decided first: by effect, number of approvers, policy, code and message.
	Results []Result `json:"results,omitempty"`
	// Recorded are the results, errors included, that would have counted but for the enforcement Audit, or because their policy does
	// not have this stage; at stage rollback also every hold. And the policies for which no time was left.
	Recorded []Result `json:"recorded,omitempty"`
}

// Approvers is how many people must approve: the largest number that a rule asks for, 0 unless the verdict is RequireApproval.
func (d Decision) Approvers() int32 {
	if d.Verdict != shared.VerdictRequireApproval {
		return 0
	}
	return d.Results[0].Approvers
}

// add files the results of a policy where its enforcement and its stages put them.
func (d *Decision) add(policy *policy, results []Result) {
	for _, result := range results {
		switch {
		case !slices.Contains(policy.stages, d.Stage), policy.enforcement == Audit:
			d.Recorded = append(d.Recorded, result)
		case policy.enforcement == Warn:
			result.Effect = shared.EffectWarn
			result.Approvers = 0
			d.Results = append(d.Results, result)
		case d.Stage == StageRollback && result.Effect == shared.EffectHold:
			d.Recorded = append(d.Recorded, result)
		default:
			d.Results = append(d.Results, result)
		}
	}
}

// refuse denies for a reason that is no policy's.
func (d *Decision) refuse(reason string) {
	d.Results = append(d.Results, errorResult(PolicyNone, reason))
}

// recordUnevaluated says which policies had no chance because another one took all the time.
func (d *Decision) recordUnevaluated(members []*member) {
	for _, member := range members {
		d.Recorded = append(d.Recorded, errorResult(member.name, "not evaluated: no time was left"))
	}
}

func errorResult(policy, reason string) Result {
	return Result{FiredRule: shared.FiredRule{
		Policy: policy, Effect: shared.EffectDeny, Code: shared.CodePolicyError, Message: reason,
	}}
}

// conclude orders the results and draws the verdict from them.
func (d *Decision) conclude() {
	slices.SortFunc(d.Results, compareResults)
	slices.SortFunc(d.Recorded, compareResults)
	d.ID = uuid.Must(uuid.NewV7()).String()
	d.Verdict = shared.VerdictAllow
	if len(d.Results) > 0 {
		d.Verdict = verdictOf(d.Results[0].Effect)
	}
	for _, result := range d.Results[:min(len(d.Results), maxRules)] {
		rule := result.FiredRule
		rule.Message = cut(rule.Message)
		d.Rules = append(d.Rules, rule)
	}
}

func verdictOf(hardest shared.RuleEffect) shared.Verdict {
	switch hardest {
	case shared.EffectWarn:
		return shared.VerdictAllow
	case shared.EffectRequireApproval:
		return shared.VerdictRequireApproval
	case shared.EffectHold:
		return shared.VerdictHold
	default:
		return shared.VerdictDeny
	}
}

func compareResults(a, b Result) int {
	return cmp.Or(
		cmp.Compare(hardness(a.Effect), hardness(b.Effect)),
		cmp.Compare(b.Approvers, a.Approvers),
		cmp.Compare(a.Policy, b.Policy),
		cmp.Compare(a.Code, b.Code),
		cmp.Compare(a.Message, b.Message),
	)
}

func hardness(of shared.RuleEffect) effect {
	for e := deny; e <= warn; e++ {
		if e.shared() == of {
			return e
		}
	}
	return deny
}

// cut keeps a message within the bound of the status, in characters.
func cut(message string) string {
	runes := []rune(message)
	if len(runes) <= maxMessageLength {
		return message
	}
	return string(runes[:maxMessageLength-1]) + "…"
}

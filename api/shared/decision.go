package shared

// Verdict is what the safety gate says about one step.
// +kubebuilder:validation:Enum=Allow;RequireApproval;Hold;Deny
type Verdict string

// The verdicts, from the mildest to the hardest.
const (
	// VerdictAllow lets the step run.
	VerdictAllow Verdict = "Allow"
	// VerdictRequireApproval lets the step run once a person has approved it.
	VerdictRequireApproval Verdict = "RequireApproval"
	// VerdictHold makes the step wait until the policy set changes.
	VerdictHold Verdict = "Hold"
	// VerdictDeny refuses the step.
	VerdictDeny Verdict = "Deny"
)

// RuleEffect is what a policy rule that fired asks for.
// +kubebuilder:validation:Enum=Deny;Hold;RequireApproval;Warn
type RuleEffect string

// The effects of a rule, named as the rules of a policy package.
const (
	EffectDeny            RuleEffect = "Deny"
	EffectHold            RuleEffect = "Hold"
	EffectRequireApproval RuleEffect = "RequireApproval"
	EffectWarn            RuleEffect = "Warn"
)

// CodePolicyError is the code of a deny that a policy did not ask for: it failed, was undefined, took too long, or gave
// something that is not a verdict.
const CodePolicyError = "policy_error"

// FiredRule is one result of one policy.
type FiredRule struct {
	// policy is the name of the policy, such as replica_bounds.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Policy string `json:"policy,omitempty"`
	// effect is what the rule asked for: Deny, Hold, RequireApproval or Warn.
	// +required
	Effect RuleEffect `json:"effect,omitempty"`
	// code is the machine-readable reason that the policy gave.
	// +optional
	// +kubebuilder:validation:MaxLength=128
	Code string `json:"code,omitempty"`
	// message is the policy's sentence for people.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Message string `json:"message,omitempty"`
	// approvers is how many people must approve, for a rule that requires approval.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=5
	Approvers int32 `json:"approvers,omitempty"`
}

// Decision is one evaluation of the safety gate, in the short form that a status holds.
type Decision struct {
	// id is the identity of the evaluation; it leads to the line of the decision log.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	ID string `json:"id,omitempty"`
	// verdict is what the gate said.
	// +optional
	Verdict Verdict `json:"verdict,omitempty"`
	// rules are the rules that fired, those that decided first.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	Rules []FiredRule `json:"rules,omitempty"`
	// policySetRevision identifies the set of policies that decided: SHA-256 over the sorted digests of the active ones.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	PolicySetRevision string `json:"policySetRevision,omitempty"`
	// inputDigest is the SHA-256 of the canonical JSON of the input document.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	InputDigest string `json:"inputDigest,omitempty"`
}

// DeciderText names the rule that decided, for messages and tables: "policy/code: message"; empty when no rule fired.
func (d Decision) DeciderText() string {
	if len(d.Rules) == 0 {
		return ""
	}
	rule := d.Rules[0]
	text := rule.Policy
	if rule.Code != "" {
		text += "/" + rule.Code
	}
	if rule.Message != "" {
		text += ": " + rule.Message
	}
	return text
}

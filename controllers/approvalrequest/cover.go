package approvalrequest

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	utiljson "k8s.io/apimachinery/pkg/util/json"

	safetyv1alpha1 "kubernaut.io/kubernaut/api/safety/v1alpha1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
)

// Asked is what the safety gate's decisions ask for: each policy's reason once, sorted, and the largest number of people. It is
// nothing when no decision requires an approval.
func Asked(decisions ...shared.Decision) (reasons []safetyv1alpha1.ApprovalReason, approvers int32) {
	for _, decision := range decisions {
		if decision.Verdict != shared.VerdictRequireApproval {
			continue
		}
		approvers = max(approvers, 1)
		for _, rule := range decision.Rules {
			if rule.Effect != shared.EffectRequireApproval {
				continue
			}
			approvers = max(approvers, rule.Approvers)
			if !contains(reasons, rule.Policy, rule.Code) {
				reasons = append(reasons, safetyv1alpha1.ApprovalReason{Policy: rule.Policy, Code: rule.Code, Message: rule.Message})
			}
		}
	}
	slices.SortFunc(reasons, func(a, b safetyv1alpha1.ApprovalReason) int {
		return cmp.Or(cmp.Compare(a.Policy, b.Policy), cmp.Compare(a.Code, b.Code))
	})
	return reasons, approvers
}

func contains(reasons []safetyv1alpha1.ApprovalReason, policy, code string) bool {
	return slices.ContainsFunc(reasons, func(r safetyv1alpha1.ApprovalReason) bool { return r.Policy == policy && r.Code == code })
}

// Lacks says what of the reasons and the number of people a request does not cover; empty when it covers all.
func Lacks(request *safetyv1alpha1.ApprovalRequest, reasons []safetyv1alpha1.ApprovalReason, approvers int32) string {
	var lacking []string
	for _, reason := range reasons {
		if !contains(request.Spec.Reasons, reason.Policy, reason.Code) {
			lacking = append(lacking, reasonText(reason))
		}
	}
	switch {
	case len(lacking) > 0:
		return "it does not name the reason " + strings.Join(lacking, ", ")
	case approvers > request.Spec.RequiredApprovals:
		return fmt.Sprintf("it takes the approval of %d, and %d are asked for now", request.Spec.RequiredApprovals, approvers)
	}
	return ""
}

func reasonText(reason safetyv1alpha1.ApprovalReason) string {
	if reason.Code == "" {
		return reason.Policy
	}
	return reason.Policy + "/" + reason.Code
}

// ReasonsText names the reasons, for people.
func ReasonsText(reasons []safetyv1alpha1.ApprovalReason) string {
	names := make([]string, len(reasons))
	for i, reason := range reasons {
		names[i] = reasonText(reason)
	}
	return strings.Join(names, ", ")
}

// Digest is SHA-256 over changes, whichever way their values are written: what the API server gives back has the digest of what it
// was given.
func Digest(changes []workflowexecutionv1.StepChange) (string, error) {
	canonical := make([]workflowexecutionv1.StepChange, len(changes))
	for i, change := range changes {
		canonical[i] = change
		var err error
		if canonical[i].Before, err = canonicalJSON(change.Before); err != nil {
			return "", fmt.Errorf("value of %s before: %w", change.Path, err)
		}
		if canonical[i].After, err = canonicalJSON(change.After); err != nil {
			return "", fmt.Errorf("value of %s after: %w", change.Path, err)
		}
	}
	text, err := json.Marshal(canonical)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), nil
}

func canonicalJSON(value *apiextensionsv1.JSON) (*apiextensionsv1.JSON, error) {
	if value == nil {
		return nil, nil //nolint:nilnil // what is absent stays absent
	}
	var decoded any
	if err := utiljson.Unmarshal(value.Raw, &decoded); err != nil {
		return nil, err
	}
	raw, err := json.Marshal(decoded)
	return &apiextensionsv1.JSON{Raw: raw}, err
}

// Of are the changes of one step.
func Of(changes []workflowexecutionv1.StepChange, step int32) []workflowexecutionv1.StepChange {
	return slices.DeleteFunc(slices.Clone(changes), func(c workflowexecutionv1.StepChange) bool { return c.Index != step })
}

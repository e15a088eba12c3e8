package rules

import (
	"strings"
	"testing"

	safetyv1alpha1 "kubernaut.io/kubernaut/api/safety/v1alpha1"
	"kubernaut.io/kubernaut/policies/gate"
)

func TestSafetyPolicyProblems(t *testing.T) {
	own := &safetyv1alpha1.SafetyPolicy{Spec: safetyv1alpha1.SafetyPolicySpec{Source: safetyv1alpha1.PolicySource{Rego: "x"}}}
	change := &safetyv1alpha1.SafetyPolicy{Spec: safetyv1alpha1.SafetyPolicySpec{Source: safetyv1alpha1.PolicySource{Baseline: "x"}}}
	for sentence, test := range map[string]struct {
		policy  *safetyv1alpha1.SafetyPolicy
		problem gate.Problem
		want    string
	}{
		"a problem of the module":     {own, gate.Problem{File: "p.rego", Row: 3, Column: 7, Line: "deny", Message: "parameters are odd"}, "spec.source.rego: Invalid value: p.rego:3:7: parameters are odd\n\tdeny"},
		"a problem of the tests":      {own, gate.Problem{File: "p_test.rego", Row: 3, Column: 7, Line: "a", Message: "test_a failed"}, "spec.tests: "},
		"a problem of the parameters": {own, gate.Problem{File: "p.rego", Message: "parameters: limit: Invalid type"}, "spec.parameters: "},
		"a problem of their schema":   {own, gate.Problem{File: "p.rego", Message: "parametersSchema: x"}, "spec.parametersSchema: "},
		"a problem of the selector":   {own, gate.Problem{File: "p.rego", Message: "namespaceSelector: x"}, "spec.match.namespaceSelector: "},
		"a problem of the name":       {change, gate.Problem{File: "p.rego", Message: "there is no policy"}, "spec.source.baseline: "},
	} {
		errs := SafetyPolicyProblems(test.policy, []gate.Problem{test.problem})
		if len(errs) != 1 || !strings.HasPrefix(errs[0].Error(), test.want) {
			t.Errorf("%s: got %v, want %q", sentence, errs, test.want)
		}
	}
	if errs := SafetyPolicyProblems(own, make([]gate.Problem, 100)); len(errs) != maxProblems {
		t.Errorf("got %d problems", len(errs))
	}
}

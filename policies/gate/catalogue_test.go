package gate

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kubernaut.io/kubernaut/api/shared"
	"kubernaut.io/kubernaut/policies"
)

func TestTheBaselineDescribesItself(t *testing.T) {
	catalogue, err := Catalogue(policies.FS)
	if err != nil {
		t.Fatal(err)
	}
	codes := map[string]string{}
	for _, policy := range catalogue {
		if policy.Title == policy.Name || policy.Title == "" || policy.Description == "" || len(policy.Stages) == 0 {
			t.Errorf("%s lacks a title, a description or stages: %+v", policy.Name, policy)
		}
		if policy.Enforcement != Enforce {
			t.Errorf("%s has the enforcement %s", policy.Name, policy.Enforcement)
		}
		for _, rule := range policy.Rules {
			if rule.Code == "" || rule.Title == "" || rule.Example == "" {
				t.Errorf("%s: a rule lacks a code, a title or an example: %+v", policy.Name, rule)
			}
			if other, taken := codes[rule.Code]; taken {
				t.Errorf("%s and %s both have the code %s", other, policy.Name, rule.Code)
			}
			codes[rule.Code] = policy.Name
		}
		for _, parameter := range policy.Parameters {
			if parameter.Description == "" || parameter.Default == nil {
				t.Errorf("%s: a parameter lacks a description or a default: %+v", policy.Name, parameter)
			}
		}
	}
}

func TestCatalogue(t *testing.T) {
	got, err := Catalogue(folder(map[string]string{
		"plain": policyText("plain", "warn contains \"careful\"\n\nhold contains x if x := {\"msg\": \"m\", \"code\": \"c\"}\n\nhelper := 1"),
		"whole": "# METADATA\n# title: T\n# description: D\n# custom:\n#   enforcement: Audit\n#   stages: [rollback]\n#   parameters:\n#     size: N\n" +
			"package kubernaut.safety.whole\n\n# METADATA\n# title: R\n# custom:\n#   example: E\ndeny contains {\"code\": \"c\", \"msg\": \"m\"}\n\n" +
			"deny contains {\"code\": code, \"msg\": \"m\"} if code := \"d\"\n",
		parametersFile: "kubernaut: {parameters: {whole: {size: 3}}}",
	}))
	if err != nil {
		t.Fatal(err)
	}
	want := []PolicyDescription{{
		Name: "plain", File: "safety/plain.rego", Title: "plain", Enforcement: Enforce, Stages: []Stage{StagePlan, StageStep},
		Rules: []RuleDescription{{Effect: shared.EffectWarn}, {Effect: shared.EffectHold}},
	}, {
		Name: "whole", File: "safety/whole.rego", Title: "T", Description: "D", Enforcement: Audit, Stages: []Stage{StageRollback},
		Rules:      []RuleDescription{{Effect: shared.EffectDeny, Code: "c", Title: "R", Example: "E"}, {Effect: shared.EffectDeny}},
		Parameters: []ParameterDescription{{Name: "size", Description: "N", Default: 3.0}},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestWhatCannotBeParsedIsNotDescribed(t *testing.T) {
	_, err := Catalogue(folder(map[string]string{"p": "package p"}))
	if _, is := errors.AsType[*CompileError](err); !is {
		t.Errorf("got %v", err)
	}
	if _, err := Catalogue(folder(map[string]string{parametersFile: "["})); err == nil {
		t.Error("want an error for parameters that are no YAML")
	}
}

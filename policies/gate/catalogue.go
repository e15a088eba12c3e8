package gate

import (
	"fmt"
	"io/fs"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"

	"kubernaut.io/kubernaut/api/shared"
)

// PolicyDescription is what a policy says of itself in its METADATA, and the defaults of its parameters.
type PolicyDescription struct {
	// Name is the policy's name, as decisions and SafetyPolicies have it.
	Name string
	// File is the path of its source in the folder of policies.
	File string
	// Title and Description are for people; the description may be empty.
	Title, Description string
	// Enforcement and Stages are those that hold unless a SafetyPolicy says otherwise.
	Enforcement Enforcement
	Stages      []Stage
	// Rules are the rules that give results, in the order of the source.
	Rules []RuleDescription
	// Parameters are sorted by name.
	Parameters []ParameterDescription
}

// RuleDescription is one rule that denies, holds, asks for approval or warns.
type RuleDescription struct {
	// Effect is what a result of the rule asks for.
	Effect shared.RuleEffect
	// Code is the code of its results; empty when they have none, or one that the rule computes.
	Code string
	// Title says what the rule refuses, and Example gives a case; both are empty when its METADATA has none.
	Title, Example string
}

// ParameterDescription is one parameter of a policy.
type ParameterDescription struct {
	// Name is its name, as the policy reads it and a SafetyPolicy sets it.
	Name string
	// Description says what it means.
	Description string
	// Default is its value unless a SafetyPolicy sets another one, as JSON has it.
	Default any
}

// Catalogue describes the policies of a folder, sorted by name. Its error is a *CompileError when one of them cannot be parsed.
func Catalogue(files fs.FS) ([]PolicyDescription, error) {
	defaults, err := readParameters(files)
	if err != nil {
		return nil, err
	}
	policies, err := readPolicies(files)
	if err != nil {
		return nil, fmt.Errorf("describe policies: %w", err)
	}
	descriptions := make([]PolicyDescription, len(policies))
	for i, policy := range policies {
		descriptions[i] = policy.describe(defaults[policy.name])
	}
	return descriptions, nil
}

func (p *policy) describe(defaults map[string]any) PolicyDescription {
	description := PolicyDescription{
		Name: p.name, File: p.file, Title: p.name, Enforcement: p.enforcement, Stages: slices.Clone(p.stages),
	}
	var custom metadata
	for _, annotations := range p.parsed.Annotations {
		if annotations.Scope == "package" {
			description.Title, description.Description = annotations.Title, annotations.Description
			// That it can be decoded was found when the policy was read.
			_ = decodeStrictly(annotations.Custom, &custom)
		}
	}
	for _, name := range p.declared {
		description.Parameters = append(description.Parameters, ParameterDescription{
			Name: name, Description: custom.Parameters[name], Default: defaults[name],
		})
	}
	for _, rule := range p.parsed.Rules {
		if effect, is := effectOfRule(rule); is {
			description.Rules = append(description.Rules, describeRule(effect, rule))
		}
	}
	return description
}

func describeRule(effect effect, rule *ast.Rule) RuleDescription {
	description := RuleDescription{Effect: effect.shared()}
	if rule.Head.Key != nil {
		if result, is := rule.Head.Key.Value.(ast.Object); is {
			description.Code = textIn(result, "code")
		}
	}
	for _, annotations := range rule.Annotations {
		if annotations.Scope != "rule" {
			continue
		}
		description.Title = annotations.Title
		if example, is := annotations.Custom["example"].(string); is {
			description.Example = example
		}
	}
	return description
}

// textIn is a constant text in an object; empty for anything else.
func textIn(object ast.Object, name string) string {
	if term := object.Get(ast.StringTerm(name)); term != nil {
		if text, is := term.Value.(ast.String); is {
			return string(text)
		}
	}
	return ""
}

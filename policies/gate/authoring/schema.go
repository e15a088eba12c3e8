package authoring

import (
	"encoding/json"
	"fmt"
	"slices"

	"kubernaut.io/kubernaut/policies/gate"
)

// schema is the part of a JSON schema that the gate uses for its input.
type schema struct {
	Type        string             `json:"type"`
	Description string             `json:"description"`
	Properties  map[string]*schema `json:"properties"`
	Required    []string           `json:"required"`
	AnyOf       []*schema          `json:"anyOf"`
	Items       *schema            `json:"items"`
	// Additional is the schema of the values of an object of unknown fields; false where there can be none.
	Additional json.RawMessage `json:"additionalProperties"`
}

// free says whether the value is any JSON.
func (s *schema) free() bool {
	if s == nil {
		return true
	}
	return s.Type == "" && len(s.AnyOf) == 0 || s.Type == "object" && string(s.Additional) == "{}"
}

func readSchema() (*schema, error) {
	text, err := gate.InputSchema()
	if err != nil {
		return nil, err
	}
	var root schema
	if err := json.Unmarshal(text, &root); err != nil {
		return nil, fmt.Errorf("the schema of the input: %w", err)
	}
	return &root, nil
}

// nullable says whether the value can be null; what else it can be comes with it.
func (s *schema) nullable() (*schema, bool) {
	if len(s.AnyOf) == 0 {
		return s, false
	}
	for _, option := range s.AnyOf {
		if option.Type != "null" {
			return option, true
		}
	}
	return s, true
}

// always says whether a field is in every object, with a value that is not null.
func (s *schema) always(field string) bool {
	next := s.Properties[field]
	if next == nil || !slices.Contains(s.Required, field) {
		return false
	}
	_, can := next.nullable()
	return !can
}

// guaranteed says whether what a path names is in every input, with a value that is not null.
func (s *schema) guaranteed(path []string) bool {
	for _, name := range path {
		if !s.always(name) {
			return false
		}
		s = s.Properties[name]
	}
	return true
}

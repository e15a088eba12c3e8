package authoring

import (
	"encoding/json"
	"fmt"

	"github.com/open-policy-agent/opa/v1/ast"

	safetyv1alpha1 "kubernaut.io/kubernaut/api/safety/v1alpha1"
)

// Meta is what the METADATA of a policy says.
type Meta struct {
	Title       string
	Description string
	Enforcement string
	Stages      []safetyv1alpha1.Stage
	Match       *safetyv1alpha1.PolicyMatch
	// Parameters are the descriptions of the parameters by name.
	Parameters map[string]string

	row int // where the METADATA begins
}

func readMeta(source *Source) (Meta, error) {
	module, err := source.parse()
	if err != nil {
		return Meta{}, err
	}
	return metaOf(source, module)
}

func metaOf(source *Source, module *ast.Module) (Meta, error) {
	for _, annotations := range module.Annotations {
		if annotations.Scope != "package" {
			continue
		}
		meta := Meta{Title: annotations.Title, Description: annotations.Description, row: annotations.Location.Row}
		text, err := json.Marshal(annotations.Custom)
		if err != nil {
			return Meta{}, fmt.Errorf("%s:%d: METADATA: %w", source.Path, meta.row, err)
		}
		var custom struct {
			Enforcement string                      `json:"enforcement"`
			Stages      []safetyv1alpha1.Stage      `json:"stages"`
			Match       *safetyv1alpha1.PolicyMatch `json:"match"`
			Parameters  map[string]string           `json:"parameters"`
		}
		if err := json.Unmarshal(text, &custom); err != nil {
			return Meta{}, fmt.Errorf("%s:%d: METADATA: custom: %w", source.Path, meta.row, err)
		}
		meta.Enforcement, meta.Stages, meta.Match, meta.Parameters = custom.Enforcement, custom.Stages, custom.Match, custom.Parameters
		return meta, nil
	}
	return Meta{}, nil
}

package authoring

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"kubernaut.io/kubernaut/policies/gate"
)

// Absent are the paths of an input, such as target.object, whose value is null and could be known. Of an object of which nothing is
// known it names the object. The paths in but, and what is below them, are left out.
func Absent(in *gate.Input, but []string) ([]string, error) {
	text, err := json.Marshal(in)
	if err != nil {
		return nil, fmt.Errorf("input: %w", err)
	}
	var document map[string]any
	if err := json.Unmarshal(text, &document); err != nil {
		return nil, fmt.Errorf("input: %w", err)
	}
	root, err := readSchema()
	if err != nil {
		return nil, err
	}
	paths, _ := root.absent(document, "", but)
	return paths, nil
}

// absent also says whether the object holds anything that is known.
func (s *schema) absent(document map[string]any, prefix string, but []string) (paths []string, known bool) {
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		path := prefix + name
		if slices.Contains(but, path) {
			continue
		}
		field, can := s.Properties[name].nullable()
		value := document[name]
		below, isObject := value.(map[string]any)
		switch {
		case isObject && !field.free() && field.Properties != nil:
			inner, anything := field.absent(below, path+".", but)
			if !anything && len(inner) > 0 {
				inner = []string{path}
			}
			paths, known = append(paths, inner...), known || anything
		case value == nil && can:
			paths = append(paths, path)
		case value != nil:
			known = true
		}
	}
	return paths, known
}

package gate

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"reflect"
	"slices"

	"sigs.k8s.io/yaml"
)

// parametersFile holds the defaults, where an unmodified opa loads them from too.
const parametersFile = "data.yaml"

// parameterSets are the parameters of all policies, by policy and parameter.
type parameterSets map[string]map[string]any

func readParameters(files fs.FS) (parameterSets, error) {
	text, err := fs.ReadFile(files, parametersFile)
	if errors.Is(err, fs.ErrNotExist) {
		return parameterSets{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read parameters: %w", err)
	}
	var file struct {
		Kubernaut struct {
			Parameters parameterSets `json:"parameters"`
		} `json:"kubernaut"`
	}
	if err := yaml.UnmarshalStrict(text, &file); err != nil {
		return nil, fmt.Errorf("%s: %w", parametersFile, err)
	}
	return file.Kubernaut.Parameters, nil
}

// parametersOf merges what an admin set over the defaults. A policy must declare in METADATA exactly what has a default, and
// only that can be set, to a value of the same JSON type: a mistyped name must not leave a bound at its default in silence.
func parametersOf(policies []*policy, defaults parameterSets, overrides map[string]any) (parameterSets, error) {
	set, err := overrideSets(overrides)
	if err != nil {
		return nil, err
	}
	merged := parameterSets{}
	for _, policy := range policies {
		values := defaults[policy.name]
		if names := slices.Sorted(maps.Keys(values)); !slices.Equal(names, policy.declared) {
			return nil, compileError([]Problem{problemAt(policy.module, policy.parsed.Package.Location,
				"METADATA declares the parameters %v, but %s has defaults for %v", policy.declared, parametersFile, names)})
		}
		merged[policy.name], err = withOverrides(policy.name, values, set[policy.name])
		if err != nil {
			return nil, err
		}
		policy.parameters, policy.shape = merged[policy.name], shapeOfNames(merged[policy.name])
	}
	for _, sets := range []parameterSets{defaults, set} {
		for name := range sets {
			if merged[name] == nil {
				return nil, fmt.Errorf("parameters of %s: there is no policy of that name", name)
			}
		}
	}
	return merged, nil
}

func withOverrides(policy string, defaults, overrides map[string]any) (map[string]any, error) {
	values := map[string]any{}
	maps.Copy(values, defaults)
	for name, value := range overrides {
		standard, known := defaults[name]
		if !known {
			return nil, fmt.Errorf("parameters of %s: there is no parameter %s", policy, name)
		}
		if reflect.TypeOf(value) != reflect.TypeOf(standard) {
			return nil, fmt.Errorf("parameters of %s: %s must be of the type of its default, %v", policy, name, standard)
		}
		values[name] = value
	}
	return values, nil
}

// overrideSets brings values of any Go type to what JSON makes of them.
func overrideSets(overrides map[string]any) (parameterSets, error) {
	var sets parameterSets
	if err := decodeStrictly(overrides, &sets); err != nil {
		return nil, fmt.Errorf("parameters: %w", err)
	}
	return sets, nil
}

// decodeStrictly takes a value through JSON into a type, and refuses fields that the type lacks.
func decodeStrictly(value, into any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	return decoder.Decode(into)
}

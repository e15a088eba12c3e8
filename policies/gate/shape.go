package gate

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
)

// shapeOfNames is the shape of parameters of which only the names are known.
func shapeOfNames[V any](parameters map[string]V) *document {
	shape := &document{kind: kindObject}
	for _, name := range slices.Sorted(maps.Keys(parameters)) {
		shape.fields = append(shape.fields, documentField{name: name, value: &document{kind: kindAny}})
	}
	return shape
}

// shapeOfSchema is what can be read of a document that a JSON schema describes. An object with properties has no others, unless
// the schema says so; whatever is more than types, properties and items can hold anything.
func shapeOfSchema(schema any) *document {
	free := &document{kind: kindAny}
	members, isObject := schema.(map[string]any)
	if !isObject || hasAny(members, "$ref", "anyOf", "oneOf", "allOf", "not", "if", "patternProperties") {
		return free
	}
	properties, hasProperties := members["properties"].(map[string]any)
	additional, hasAdditional := members["additionalProperties"]
	switch typeName, _ := members["type"].(string); {
	case hasProperties && hasAdditional && additional != false:
		return free
	case hasProperties || typeName == "object" && hasAdditional && additional == false:
		shape := &document{kind: kindObject}
		for _, name := range slices.Sorted(maps.Keys(properties)) {
			shape.fields = append(shape.fields, documentField{name: name, value: shapeOfSchema(properties[name])})
		}
		return shape
	case typeName == "array":
		return &document{kind: kindArray, element: shapeOfSchema(members["items"])}
	case slices.Contains([]string{"string", "number", "integer", "boolean", "null"}, typeName):
		return &document{kind: kindString}
	default:
		return free
	}
}

func hasAny(members map[string]any, names ...string) bool {
	return slices.ContainsFunc(names, func(name string) bool {
		_, has := members[name]
		return has
	})
}

// checkAgainstSchema lists what is wrong with a document; its error says what is wrong with the schema. References must stay within
// the schema: nothing is fetched.
func checkAgainstSchema(ctx context.Context, document, schema map[string]any) ([]string, error) {
	if reference := foreignReference(schema); reference != "" {
		return nil, fmt.Errorf("the reference %q leads out of the schema", reference)
	}
	offline := ast.CapabilitiesForThisVersion()
	offline.AllowNet = []string{}
	query := rego.New(
		rego.Capabilities(offline),
		rego.Query("[valid, errors] = json.match_schema(input.document, input.schema)"),
		rego.Input(map[string]any{"document": document, "schema": schema}),
		rego.SetRegoVersion(ast.RegoV1),
		rego.StrictBuiltinErrors(true),
	)
	results, err := query.Eval(ctx)
	if err != nil {
		return nil, err
	}
	if len(results) != 1 {
		return nil, fmt.Errorf("it cannot be evaluated")
	}
	errors, _ := results[0].Bindings["errors"].([]any)
	var wrong []string
	for _, entry := range errors {
		if members, isObject := entry.(map[string]any); isObject {
			wrong = append(wrong, fmt.Sprint(members["error"]))
		}
	}
	slices.Sort(wrong)
	if results[0].Bindings["valid"] != true && len(wrong) == 0 {
		wrong = []string{"they do not match the schema"}
	}
	return wrong, nil
}

// foreignReference is the first reference of a schema that leads elsewhere, in no particular order.
func foreignReference(value any) string {
	switch value := value.(type) {
	case map[string]any:
		if reference, isText := value["$ref"].(string); isText && !strings.HasPrefix(reference, "#") {
			return reference
		}
		// An identifier is the base of the references below it.
		for _, key := range []string{"$id", "id"} {
			if base, isText := value[key].(string); isText && strings.Contains(base, ":") {
				return base
			}
		}
		for _, member := range value {
			if reference := foreignReference(member); reference != "" {
				return reference
			}
		}
	case []any:
		for _, member := range value {
			if reference := foreignReference(member); reference != "" {
				return reference
			}
		}
	}
	return ""
}

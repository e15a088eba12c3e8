package gate

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"strings"
)

// The descriptions in the schemas are the comments of the Go types: this is where they are read from.
//
//go:embed input.go
var inputSource string

const schemaDialect = "http://json-schema.org/draft-07/schema#"

// InputSchema is the JSON schema of Input, with a description of every field.
func InputSchema() ([]byte, error) {
	return describedSchema("The input of a safety policy", reflect.TypeFor[Input]())
}

// ClassificationInputSchema is the JSON schema of ClassificationInput, with a description of every field.
func ClassificationInputSchema() ([]byte, error) {
	return describedSchema("The input of a classification policy", reflect.TypeFor[ClassificationInput]())
}

// Schemas are the files of policies/schemas by their path in it. OPA merges all JSON files of one folder into one document, so the
// two have a folder each; otherwise `opa test policies` would end in a conflict.
func Schemas() (map[string][]byte, error) {
	input, err := InputSchema()
	if err != nil {
		return nil, err
	}
	classification, err := ClassificationInputSchema()
	if err != nil {
		return nil, err
	}
	return map[string][]byte{"input.json": input, "classification/input.json": classification}, nil
}

func describedSchema(title string, goType reflect.Type) ([]byte, error) {
	comments, err := fieldComments(inputSource)
	if err != nil {
		return nil, err
	}
	schema := documentOf(goType).schema(comments)
	schema["$schema"] = schemaDialect
	schema["title"] = title
	text, err := json.MarshalIndent(schema, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("schema of %s: %w", goType, err)
	}
	return append(text, '\n'), nil
}

// schema is the JSON schema of a document. A leaf that can be unknown is anyOf its type and null, because OPA's type checker
// reads a list of types as the first of them.
func (d *document) schema(comments map[string]string) map[string]any {
	schema := d.plainSchema(comments)
	if d.nullable {
		return map[string]any{"anyOf": []any{schema, map[string]any{"type": "null"}}}
	}
	return schema
}

func (d *document) plainSchema(comments map[string]string) map[string]any {
	switch d.kind {
	case kindAny:
		return map[string]any{}
	case kindArray:
		return map[string]any{"type": "array", "items": d.element.schema(comments)}
	case kindMap:
		return map[string]any{"type": "object", "additionalProperties": d.element.schema(comments)}
	case kindObject:
		return d.objectSchema(comments)
	default:
		return map[string]any{"type": string(d.kind)}
	}
}

func (d *document) objectSchema(comments map[string]string) map[string]any {
	properties := map[string]any{}
	required := []any{}
	for _, field := range d.fields {
		property := field.value.schema(comments)
		if comment := comments[d.goType.Name()+"."+field.goName]; comment != "" {
			property["description"] = comment
		}
		properties[field.name] = property
		if !field.optional {
			required = append(required, field.name)
		}
	}
	return map[string]any{
		"type": "object", "properties": properties, "required": required, "additionalProperties": false,
	}
}

// fieldComments are the comments of the fields in a Go source, by Type.Field.
func fieldComments(source string) (map[string]string, error) {
	file, err := parser.ParseFile(token.NewFileSet(), "input.go", source, parser.ParseComments)
	if err != nil {
		return nil, fmt.Errorf("comments of the input: %w", err)
	}
	comments := map[string]string{}
	ast.Inspect(file, func(node ast.Node) bool {
		spec, ok := node.(*ast.TypeSpec)
		if !ok {
			return true
		}
		fields, ok := spec.Type.(*ast.StructType)
		if !ok {
			return true
		}
		for _, field := range fields.Fields.List {
			comments[spec.Name.Name+"."+field.Names[0].Name] = strings.Join(strings.Fields(field.Doc.Text()), " ")
		}
		return true
	})
	return comments, nil
}

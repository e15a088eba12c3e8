package gate

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// document is the shape of one value of an input document. It is read off the Go types once; schema, type check and conversion
// all follow it, so that they cannot disagree.
type document struct {
	kind     kind
	goType   reflect.Type
	nullable bool
	fields   []documentField // of an object of known fields
	element  *document       // of a list, and of an object of unknown fields
}

type kind string

const (
	kindObject  kind = "object"
	kindMap     kind = "map"
	kindArray   kind = "array"
	kindString  kind = "string"
	kindInteger kind = "integer"
	kindBoolean kind = "boolean"
	kindAny     kind = "any"
)

type documentField struct {
	name     string
	goName   string
	key      *ast.Term
	index    int
	optional bool
	value    *document
}

// documentOf is the shape of a Go type. It panics for a type that no input document may hold, which is a mistake in input.go that
// any test finds.
func documentOf(goType reflect.Type) *document {
	doc := &document{goType: goType}
	switch goType.Kind() {
	case reflect.Pointer:
		doc = documentOf(goType.Elem())
		doc.nullable = true
	case reflect.Struct:
		doc.kind, doc.fields = kindObject, fieldsOf(goType)
	case reflect.Map:
		doc.kind, doc.nullable, doc.element = kindMap, true, documentOf(goType.Elem())
	case reflect.Slice:
		doc.kind, doc.nullable, doc.element = kindArray, true, documentOf(goType.Elem())
	case reflect.String:
		doc.kind = kindString
	case reflect.Int, reflect.Int32, reflect.Int64:
		doc.kind = kindInteger
	case reflect.Bool:
		doc.kind = kindBoolean
	case reflect.Interface:
		doc.kind = kindAny
	default:
		panic(fmt.Sprintf("an input document cannot hold a %s", goType))
	}
	return doc
}

func fieldsOf(goType reflect.Type) []documentField {
	var fields []documentField
	for index := range goType.NumField() {
		field := goType.Field(index)
		name, option, _ := strings.Cut(field.Tag.Get("json"), ",")
		value := documentOf(field.Type)
		optional := option == "omitempty"
		if optional {
			value.nullable = false
		}
		fields = append(fields, documentField{
			name: name, goName: field.Name, key: ast.StringTerm(name), index: index, optional: optional, value: value,
		})
	}
	return fields
}

func (d *document) field(name string) *document {
	for _, field := range d.fields {
		if field.name == name {
			return field.value
		}
	}
	return nil
}

// knows says whether a path leads to something that this document can hold. Free JSON can hold anything, and so can a place that
// the path computes.
func (d *document) knows(path []*ast.Term) bool {
	for _, element := range path {
		name, isName := element.Value.(ast.String)
		switch d.kind {
		case kindAny:
			return true
		case kindMap:
			d = d.element
		case kindArray:
			if isName {
				return false
			}
			d = d.element
		case kindObject:
			if !isName {
				return !ast.IsConstant(element.Value)
			}
			if d = d.field(string(name)); d == nil {
				return false
			}
		default:
			return false
		}
	}
	return true
}

// term turns a Go value of this shape into what OPA evaluates, without the detour over JSON.
func (d *document) term(value reflect.Value) (*ast.Term, error) {
	for value.Kind() == reflect.Pointer {
		if value.IsNil() {
			return ast.InternedNullTerm, nil
		}
		value = value.Elem()
	}
	switch d.kind {
	case kindObject:
		return d.objectTerm(value)
	case kindMap:
		return d.mapTerm(value)
	case kindArray:
		return d.arrayTerm(value)
	case kindString:
		return ast.InternedTerm(value.String()), nil
	case kindInteger:
		return ast.InternedTerm(value.Int()), nil
	case kindBoolean:
		return ast.InternedTerm(value.Bool()), nil
	default:
		return freeTerm(value.Interface())
	}
}

func (d *document) objectTerm(value reflect.Value) (*ast.Term, error) {
	pairs := make([][2]*ast.Term, 0, len(d.fields))
	for i := range d.fields {
		field := &d.fields[i]
		member := value.Field(field.index)
		if field.optional && isEmpty(member) {
			continue
		}
		term, err := field.value.term(member)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", field.name, err)
		}
		pairs = append(pairs, [2]*ast.Term{field.key, term})
	}
	return ast.ObjectTerm(pairs...), nil
}

func (d *document) mapTerm(value reflect.Value) (*ast.Term, error) {
	if value.IsNil() {
		return ast.InternedNullTerm, nil
	}
	if d.element.kind == kindAny {
		return freeTerm(value.Interface())
	}
	pairs := make([][2]*ast.Term, 0, value.Len())
	for entries := value.MapRange(); entries.Next(); {
		term, err := d.element.term(entries.Value())
		if err != nil {
			return nil, fmt.Errorf("%s: %w", entries.Key(), err)
		}
		pairs = append(pairs, [2]*ast.Term{ast.StringTerm(entries.Key().String()), term})
	}
	return ast.ObjectTerm(pairs...), nil
}

func (d *document) arrayTerm(value reflect.Value) (*ast.Term, error) {
	if value.IsNil() {
		return ast.InternedNullTerm, nil
	}
	terms := make([]*ast.Term, value.Len())
	for i := range terms {
		term, err := d.element.term(value.Index(i))
		if err != nil {
			return nil, fmt.Errorf("%d: %w", i, err)
		}
		terms[i] = term
	}
	return ast.ArrayTerm(terms...), nil
}

func freeTerm(value any) (*ast.Term, error) {
	free, err := ast.InterfaceToValue(value)
	if err != nil {
		return nil, err
	}
	return ast.NewTerm(free), nil
}

// isEmpty is what omitempty of encoding/json leaves out, for the kinds that an input document holds.
func isEmpty(value reflect.Value) bool {
	switch value.Kind() {
	case reflect.Map, reflect.Slice, reflect.String:
		return value.Len() == 0
	case reflect.Struct:
		return false
	default:
		return value.IsZero()
	}
}

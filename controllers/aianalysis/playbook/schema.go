package playbook

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// schema gives CEL our Go types in their JSON form: the names are those of the json tags, so an unknown field is an error of
// the type check. A field that is left out reads as its zero value, so that an empty text needs no has(); a pointer that is nil
// is not known and an error to read: ask with has(), or read it as enrichment.?hpa.
type schema struct {
	types.Provider
	base    types.Adapter
	structs map[string]*structType
	byType  map[reflect.Type]*structType
}

type structType struct {
	celType *types.Type
	fields  map[string]structField
	names   []string
}

type structField struct {
	index   int
	celType *types.Type
}

// withTypes declares the variables, each of the type of its value.
func withTypes(variables map[string]any) cel.EnvOption {
	return func(env *cel.Env) (*cel.Env, error) {
		s := &schema{
			Provider: env.CELTypeProvider(), base: env.CELTypeAdapter(),
			structs: map[string]*structType{}, byType: map[reflect.Type]*structType{},
		}
		var err error
		for name, value := range variables {
			variable, known := s.typeOf(reflect.TypeOf(value))
			if !known {
				return nil, fmt.Errorf("variable %s has no CEL type", name)
			}
			if env, err = cel.Variable(name, variable)(env); err != nil {
				return nil, err
			}
		}
		if env, err = cel.CustomTypeAdapter(s)(env); err != nil {
			return nil, err
		}
		return cel.CustomTypeProvider(s)(env)
	}
}

// typeOf is the CEL type of a Go type; structs are registered on the way.
func (s *schema) typeOf(t reflect.Type) (*types.Type, bool) {
	if t == reflect.TypeFor[metav1.Time]() {
		return types.TimestampType, true
	}
	switch t.Kind() {
	case reflect.Bool:
		return types.BoolType, true
	case reflect.String:
		return types.StringType, true
	case reflect.Int, reflect.Int32, reflect.Int64:
		return types.IntType, true
	case reflect.Pointer:
		return s.typeOf(t.Elem())
	case reflect.Slice:
		element, known := s.typeOf(t.Elem())
		return types.NewListType(element), known
	case reflect.Map:
		value, known := s.typeOf(t.Elem())
		return types.NewMapType(types.StringType, value), known && t.Key().Kind() == reflect.String
	case reflect.Struct:
		return s.structOf(t).celType, true
	default:
		return nil, false
	}
}

func (s *schema) structOf(t reflect.Type) *structType {
	if known, ok := s.byType[t]; ok {
		return known
	}
	name := "kubernaut." + t.Name()
	result := &structType{celType: types.NewObjectType(name), fields: map[string]structField{}}
	s.byType[t], s.structs[name] = result, result
	for i := range t.NumField() {
		fieldName, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		if fieldName == "" || fieldName == "-" {
			continue
		}
		if celType, ok := s.typeOf(t.Field(i).Type); ok {
			result.fields[fieldName] = structField{index: i, celType: celType}
			result.names = append(result.names, fieldName)
		}
	}
	slices.Sort(result.names)
	return result
}

// FindStructType is part of types.Provider.
func (s *schema) FindStructType(name string) (*types.Type, bool) {
	if known, ok := s.structs[name]; ok {
		return types.NewTypeTypeWithParam(known.celType), true
	}
	return s.Provider.FindStructType(name)
}

// FindStructFieldNames is part of types.Provider.
func (s *schema) FindStructFieldNames(name string) ([]string, bool) {
	if known, ok := s.structs[name]; ok {
		return known.names, true
	}
	return s.Provider.FindStructFieldNames(name)
}

// FindStructFieldType is part of types.Provider.
func (s *schema) FindStructFieldType(name, field string) (*types.FieldType, bool) {
	known, ok := s.structs[name]
	if !ok {
		return s.Provider.FindStructFieldType(name, field)
	}
	found, ok := known.fields[field]
	if !ok {
		return nil, false
	}
	return &types.FieldType{Type: found.celType}, true
}

// NewValue is part of types.Provider: an expression reads our types and makes none.
func (s *schema) NewValue(name string, fields map[string]ref.Val) ref.Val {
	if _, ok := s.structs[name]; ok {
		return types.NewErr("%s cannot be made in an expression", name)
	}
	return s.Provider.NewValue(name, fields)
}

// NativeToValue is part of types.Adapter.
func (s *schema) NativeToValue(value any) ref.Val {
	if already, ok := value.(ref.Val); ok {
		return already
	}
	v := reflect.ValueOf(value)
	if !v.IsValid() {
		return types.NullValue
	}
	return s.adapt(v)
}

func (s *schema) adapt(v reflect.Value) ref.Val {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return types.NullValue
		}
		if _, ok := s.byType[v.Type().Elem()]; ok || v.Type().Elem().Kind() != reflect.Struct || v.Type().Elem() == reflect.TypeFor[metav1.Time]() {
			return s.adapt(v.Elem())
		}
	case reflect.Bool:
		return types.Bool(v.Bool())
	case reflect.String:
		return types.String(v.String())
	case reflect.Int, reflect.Int32, reflect.Int64:
		if v.Type().PkgPath() == "" {
			return types.Int(v.Int())
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() != reflect.Uint8 {
			return types.NewDynamicList(s, v.Interface())
		}
	case reflect.Map:
		if v.Type().Key().Kind() == reflect.String {
			return types.NewDynamicMap(s, v.Interface())
		}
	case reflect.Struct:
		if moment, ok := reflect.TypeAssert[metav1.Time](v); ok {
			return types.Timestamp{Time: moment.UTC()}
		}
		if known, ok := s.byType[v.Type()]; ok {
			return object{schema: s, structType: known, value: v}
		}
	}
	return s.base.NativeToValue(v.Interface())
}

// object is a struct as CEL sees it.
type object struct {
	schema     *schema
	structType *structType
	value      reflect.Value
}

func (o object) field(name ref.Val) (reflect.Value, ref.Val) {
	text, ok := name.(types.String)
	if !ok {
		return reflect.Value{}, types.MaybeNoSuchOverloadErr(name)
	}
	field, ok := o.structType.fields[string(text)]
	if !ok {
		return reflect.Value{}, types.NewErr("no such field: %s", string(text))
	}
	return o.value.Field(field.index), nil
}

// Get is part of traits.Indexer.
func (o object) Get(name ref.Val) ref.Val {
	field, problem := o.field(name)
	if problem != nil {
		return problem
	}
	if field.Kind() == reflect.Pointer && field.IsNil() {
		return types.NewErr("%v of %s is not known", name.Value(), o.structType.celType.TypeName())
	}
	return o.schema.adapt(field)
}

// IsSet is part of traits.FieldTester.
func (o object) IsSet(name ref.Val) ref.Val {
	field, problem := o.field(name)
	if problem != nil {
		return problem
	}
	return types.Bool(!field.IsZero())
}

// ConvertToNative is part of ref.Val.
func (o object) ConvertToNative(t reflect.Type) (any, error) {
	if o.value.Type() == t {
		return o.value.Interface(), nil
	}
	return nil, fmt.Errorf("%s cannot be converted to %s", o.structType.celType.TypeName(), t)
}

// ConvertToType is part of ref.Val.
func (o object) ConvertToType(t ref.Type) ref.Val {
	switch t.TypeName() {
	case types.TypeType.TypeName():
		return o.structType.celType
	case o.structType.celType.TypeName():
		return o
	default:
		return types.NewErr("%s cannot be converted to %s", o.structType.celType.TypeName(), t.TypeName())
	}
}

// Equal is part of ref.Val.
func (o object) Equal(other ref.Val) ref.Val {
	same, ok := other.(object)
	return types.Bool(ok && reflect.DeepEqual(o.value.Interface(), same.value.Interface()))
}

// Type is part of ref.Val.
func (o object) Type() ref.Type { return o.structType.celType }

// Value is part of ref.Val.
func (o object) Value() any { return o.value.Interface() }

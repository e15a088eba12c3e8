// Package fields speaks of the fields of objects as JSON pointers (RFC 6901): what differs between two objects, how such a
// difference is applied, taken back, and found again.
package fields

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	utiljson "k8s.io/apimachinery/pkg/util/json"

	"kubernaut.io/kubernaut/api/shared"
)

// Bounds of a list of changes, those of the API's status fields.
const (
	// MaxChanges is how many changes a list has at most; a difference with more of them is one change of the whole.
	MaxChanges = 64
	// MaxPath is how long a path may be; a field that lies deeper is part of a change of what it lies in.
	MaxPath = 512
)

// Pointer is the JSON pointer of a field, its keys escaped.
func Pointer(keys ...string) string {
	var pointer strings.Builder
	for _, key := range keys {
		pointer.WriteByte('/')
		pointer.WriteString(strings.NewReplacer("~", "~0", "/", "~1").Replace(key))
	}
	return pointer.String()
}

// split gives the keys of a pointer, unescaped.
func split(pointer string) ([]string, error) {
	if !strings.HasPrefix(pointer, "/") {
		return nil, fmt.Errorf("%q is not a JSON pointer to a field: it does not begin with a slash", pointer)
	}
	keys := strings.Split(pointer[1:], "/")
	for i, key := range keys {
		keys[i] = strings.NewReplacer("~1", "/", "~0", "~").Replace(key)
	}
	return keys, nil
}

// Diff lists what has to change for before, the value at path, to become after: the deepest fields that differ, sorted by
// their keys. Maps are compared key by key, lists of equal length item by item, all else as a whole. A null is an absent
// field, as the API server has it. More than MaxChanges are one change of path.
func Diff(path string, before, after any) ([]shared.FieldChange, error) {
	found := differences(path, before, after)
	if len(found) > MaxChanges {
		found = []difference{{path: path, before: before, after: after}}
	}
	changes := make([]shared.FieldChange, len(found))
	for i, d := range found {
		change, err := d.change()
		if err != nil {
			return nil, err
		}
		changes[i] = change
	}
	return changes, nil
}

type difference struct {
	path          string
	before, after any
}

func (d difference) change() (shared.FieldChange, error) {
	before, err := encode(d.before)
	if err != nil {
		return shared.FieldChange{}, fmt.Errorf("value of %s before: %w", d.path, err)
	}
	after, err := encode(d.after)
	if err != nil {
		return shared.FieldChange{}, fmt.Errorf("value of %s after: %w", d.path, err)
	}
	return shared.FieldChange{Path: d.path, Before: before, After: after}, nil
}

func differences(path string, before, after any) []difference {
	if reflect.DeepEqual(before, after) {
		return nil
	}
	whole := []difference{{path: path, before: before, after: after}}
	var found []difference
	switch b := before.(type) {
	case map[string]any:
		a, ok := after.(map[string]any)
		if !ok {
			return whole
		}
		keys := slices.Collect(maps.Keys(b))
		keys = slices.AppendSeq(keys, maps.Keys(a))
		slices.Sort(keys)
		for _, key := range slices.Compact(keys) {
			found = append(found, differences(path+Pointer(key), b[key], a[key])...)
		}
	case []any:
		a, ok := after.([]any)
		// JSON Patch cannot tell a null in a list from an item to remove.
		if !ok || len(a) != len(b) || slices.Contains(a, nil) || slices.Contains(b, nil) {
			return whole
		}
		for i := range b {
			found = append(found, differences(path+"/"+strconv.Itoa(i), b[i], a[i])...)
		}
	default:
		return whole
	}
	if slices.ContainsFunc(found, func(d difference) bool { return len(d.path) > MaxPath }) {
		return whole
	}
	return found
}

// Between lists what differs between two states of one object in what its users decide: spec, labels and annotations, without
// what is only bookkeeping.
func Between(before, after *unstructured.Unstructured) ([]shared.FieldChange, error) {
	var changes []shared.FieldChange
	for _, keys := range [][]string{{"metadata", "annotations"}, {"metadata", "labels"}, {"spec"}} {
		part, err := Diff(Pointer(keys...), decided(before, keys), decided(after, keys))
		if err != nil {
			return nil, err
		}
		changes = append(changes, part...)
	}
	if len(changes) > MaxChanges {
		return collapsed(changes, before, after)
	}
	return changes, nil
}

// collapsed is one change for each part of the object that changes.
func collapsed(changes []shared.FieldChange, before, after *unstructured.Unstructured) ([]shared.FieldChange, error) {
	var whole []shared.FieldChange
	for _, keys := range [][]string{{"metadata", "annotations"}, {"metadata", "labels"}, {"spec"}} {
		path := Pointer(keys...)
		if !slices.ContainsFunc(changes, func(c shared.FieldChange) bool { return c.Path == path || strings.HasPrefix(c.Path, path+"/") }) {
			continue
		}
		change, err := difference{path: path, before: decided(before, keys), after: decided(after, keys)}.change()
		if err != nil {
			return nil, err
		}
		whole = append(whole, change)
	}
	return whole, nil
}

// bookkeeping are annotations that no user decides: our marker, and the generation of a DaemonSet's template, which the API
// server counts.
func bookkeeping() []string {
	return []string{shared.AnnotationLastExecution, appsv1.DeprecatedTemplateGeneration}
}

// decided is one part of an object without bookkeeping; nil when there is nothing else in it.
func decided(object *unstructured.Unstructured, keys []string) any {
	value, found, err := unstructured.NestedFieldNoCopy(object.Object, keys...)
	if err != nil || !found {
		return nil
	}
	part, ok := value.(map[string]any)
	if !ok || keys[0] != "metadata" {
		return value
	}
	part = maps.Clone(part)
	for _, key := range bookkeeping() {
		delete(part, key)
	}
	if len(part) == 0 {
		return nil
	}
	return part
}

// Inverse is what takes changes back: in reverse order, with before and after exchanged.
func Inverse(changes []shared.FieldChange) []shared.FieldChange {
	inverse := make([]shared.FieldChange, len(changes))
	for i, change := range changes {
		inverse[len(changes)-1-i] = shared.FieldChange{Path: change.Path, Before: change.After, After: change.Before}
	}
	return inverse
}

// Get is the value at path in object, and whether there is one.
func Get(object map[string]any, path string) (any, bool, error) {
	keys, err := split(path)
	if err != nil {
		return nil, false, err
	}
	var value any = object
	for _, key := range keys {
		next, ok := child(value, key)
		if !ok {
			return nil, false, nil
		}
		value = next
	}
	return value, value != nil, nil
}

func child(value any, key string) (any, bool) {
	switch v := value.(type) {
	case map[string]any:
		next, ok := v[key]
		return next, ok
	case []any:
		i, err := strconv.Atoi(key)
		if err != nil || i < 0 || i >= len(v) {
			return nil, false
		}
		return v[i], true
	default:
		return nil, false
	}
}

// Moved is the first of the changes whose field is not as it was before them, with the value that it has now.
func Moved(object map[string]any, changes []shared.FieldChange) (path string, now *apiextensionsv1.JSON, moved bool) {
	for _, change := range changes {
		value, _, err := Get(object, change.Path)
		if err != nil {
			return change.Path, nil, true
		}
		if is(value, change.Before) {
			continue
		}
		encoded, err := encode(value)
		if err != nil {
			encoded = nil
		}
		return change.Path, encoded, true
	}
	return "", nil, false
}

// is says whether a value of an object is the one that was recorded; an absent one is nil in both.
func is(value any, recorded *apiextensionsv1.JSON) bool {
	decoded, err := decode(recorded)
	return err == nil && reflect.DeepEqual(value, decoded)
}

// Restoring lists what takes captured changes back on object, in reverse order: the fields that have the value that the changes
// left. A field that already has the value from before is left out. Seen are the changes as the API server's dry run showed
// them: a value that admission made of one of ours counts as ours. An error is a *ForeignError, for a field that has neither
// value, or says that the captured changes cannot be read.
func Restoring(object map[string]any, captured, seen []shared.FieldChange) ([]shared.FieldChange, error) {
	var restoring []shared.FieldChange
	for _, change := range slices.Backward(captured) {
		parts, err := singly(change)
		if err != nil {
			return nil, err
		}
		for _, part := range slices.Backward(parts) {
			value, _, err := Get(object, part.Path)
			if err != nil {
				return nil, err
			}
			now, err := encode(value)
			if err != nil {
				return nil, err
			}
			switch {
			case is(value, part.Before):
			case is(value, part.After), left(value, part.Path, seen):
				restoring = append(restoring, shared.FieldChange{Path: part.Path, Before: now, After: part.Before})
			default:
				return nil, &ForeignError{Path: part.Path, Now: now}
			}
		}
	}
	return restoring, nil
}

// ForeignError says that a field has neither the value from before a change nor the one that the change left.
type ForeignError struct {
	Path string
	// Now is the value that it has; nil when it is absent.
	Now *apiextensionsv1.JSON
}

// Error names the field and what it is now.
func (e *ForeignError) Error() string {
	now := "absent"
	if e.Now != nil {
		now = string(e.Now.Raw)
	}
	return e.Path + " is neither as it was before nor as it was left: it is now " + now
}

// singly is a change of all annotations or labels as changes of each: others put theirs beside ours, and our marker is there too.
func singly(change shared.FieldChange) ([]shared.FieldChange, error) {
	if change.Path != Pointer("metadata", "annotations") && change.Path != Pointer("metadata", "labels") {
		return []shared.FieldChange{change}, nil
	}
	var sides [2]map[string]any
	for i, side := range []*apiextensionsv1.JSON{change.Before, change.After} {
		value, err := decode(side)
		if err != nil {
			return nil, fmt.Errorf("captured value of %s: %w", change.Path, err)
		}
		sides[i], _ = value.(map[string]any)
		if sides[i] == nil {
			sides[i] = map[string]any{}
		}
	}
	return Diff(change.Path, sides[0], sides[1])
}

// left says whether the dry run showed this value as what the change would leave at path.
func left(value any, path string, seen []shared.FieldChange) bool {
	return slices.ContainsFunc(seen, func(change shared.FieldChange) bool { return change.Path == path && is(value, change.After) })
}

// Apply gives a copy of object with the changes made. What a change lies in must be there.
func Apply(object map[string]any, changes []shared.FieldChange) (map[string]any, error) {
	result := runtime.DeepCopyJSON(object)
	for _, change := range changes {
		after, err := decode(change.After)
		if err != nil {
			return nil, fmt.Errorf("value of %s: %w", change.Path, err)
		}
		if err := set(result, change.Path, after); err != nil {
			return nil, err
		}
	}
	return result, nil
}

func set(object map[string]any, path string, value any) error {
	keys, err := split(path)
	if err != nil {
		return err
	}
	var parent any = object
	for _, key := range keys[:len(keys)-1] {
		next, ok := child(parent, key)
		if !ok {
			return fmt.Errorf("%s: there is nothing at %q", path, key)
		}
		parent = next
	}
	last := keys[len(keys)-1]
	switch p := parent.(type) {
	case map[string]any:
		if value == nil {
			delete(p, last)
		} else {
			p[last] = value
		}
		return nil
	case []any:
		i, err := strconv.Atoi(last)
		if err != nil || i < 0 || i >= len(p) || value == nil {
			return fmt.Errorf("%s: an item of a list of %d can only be replaced", path, len(p))
		}
		p[i] = value
		return nil
	default:
		return fmt.Errorf("%s: what it lies in is neither a map nor a list", path)
	}
}

func encode(value any) (*apiextensionsv1.JSON, error) {
	if value == nil {
		return nil, nil //nolint:nilnil // an absent value is nil in the API too
	}
	raw, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	return &apiextensionsv1.JSON{Raw: raw}, nil
}

// decode gives whole numbers as int64, as in the objects that the client reads.
func decode(value *apiextensionsv1.JSON) (any, error) {
	if value == nil || len(value.Raw) == 0 {
		return nil, nil //nolint:nilnil // an absent value is nil
	}
	var decoded any
	if err := utiljson.Unmarshal(value.Raw, &decoded); err != nil {
		return nil, err
	}
	return decoded, nil
}

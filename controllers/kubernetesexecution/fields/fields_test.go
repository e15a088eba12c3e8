package fields

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utiljson "k8s.io/apimachinery/pkg/util/json"

	"kubernaut.io/kubernaut/api/shared"
)

func parse(t *testing.T, text string) any {
	t.Helper()
	var value any
	if err := utiljson.Unmarshal([]byte(text), &value); err != nil {
		t.Fatal(err)
	}
	return value
}

func parseMap(t *testing.T, text string) map[string]any {
	t.Helper()
	value, ok := parse(t, text).(map[string]any)
	if !ok {
		t.Fatalf("%s is not a map", text)
	}
	return value
}

// lines shows changes as "path: before -> after".
func lines(changes []shared.FieldChange) []string {
	text := func(value *apiextensionsv1.JSON) string {
		if value == nil {
			return "absent"
		}
		return string(value.Raw)
	}
	var out []string
	for _, c := range changes {
		out = append(out, fmt.Sprintf("%s: %s -> %s", c.Path, text(c.Before), text(c.After)))
	}
	return out
}

func TestDiff(t *testing.T) {
	tests := map[string]struct {
		before, after string
		want          []string
	}{
		"nothing differs": {before: `{"a":1}`, after: `{"a":1}`},
		"a leaf changes":  {before: `{"a":{"b":1,"c":2}}`, after: `{"a":{"b":3,"c":2}}`, want: []string{"/spec/a/b: 1 -> 3"}},
		"leaves are added and removed, in the order of their keys": {
			before: `{"z":1,"m":1}`, after: `{"a":"x","m":1}`, want: []string{`/spec/a: absent -> "x"`, "/spec/z: 1 -> absent"},
		},
		"a map that was absent is added as a whole": {
			before: `{}`, after: `{"annotations":{"k":"v"}}`, want: []string{`/spec/annotations: absent -> {"k":"v"}`},
		},
		"keys are escaped": {before: `{"a/b":1,"c~d":1}`, after: `{"a/b":2,"c~d":2}`, want: []string{"/spec/a~1b: 1 -> 2", "/spec/c~0d: 1 -> 2"}},
		"lists of equal length are compared item by item": {
			before: `{"containers":[{"name":"a","image":"x:1"},{"name":"b","image":"y:1"}]}`,
			after:  `{"containers":[{"name":"a","image":"x:1"},{"name":"b","image":"y:2"}]}`,
			want:   []string{`/spec/containers/1/image: "y:1" -> "y:2"`},
		},
		"lists of other lengths are one value": {
			before: `{"args":["a"]}`, after: `{"args":["a","b"]}`, want: []string{`/spec/args: ["a"] -> ["a","b"]`},
		},
		"a null is an absent field": {before: `{"creationTimestamp":null}`, after: `{}`},
		"types that differ are one value": {
			before: `{"port":80}`, after: `{"port":{"name":"http"}}`, want: []string{`/spec/port: 80 -> {"name":"http"}`},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			before, after := parseMap(t, test.before), parseMap(t, test.after)
			changes, err := Diff("/spec", before, after)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, lines(changes)); diff != "" {
				t.Errorf("changes (-want +got):\n%s", diff)
			}
			checkRoundTrip(t, map[string]any{"spec": before}, map[string]any{"spec": after}, changes)
		})
	}
}

// checkRoundTrip shows that the changes make after of before, and that their inverse makes before of after.
func checkRoundTrip(t *testing.T, before, after map[string]any, changes []shared.FieldChange) {
	t.Helper()
	applied, err := Apply(before, changes)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(withoutNulls(after), withoutNulls(applied)); diff != "" {
		t.Errorf("before with the changes is not after (-want +got):\n%s", diff)
	}
	restored, err := Apply(applied, Inverse(changes))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(withoutNulls(before), withoutNulls(restored)); diff != "" {
		t.Errorf("after with the inverse is not before (-want +got):\n%s", diff)
	}
}

func withoutNulls(value map[string]any) map[string]any {
	out := map[string]any{}
	for k, v := range value {
		switch v := v.(type) {
		case nil:
		case map[string]any:
			out[k] = withoutNulls(v)
		default:
			out[k] = v
		}
	}
	return out
}

func TestDiffIsBounded(t *testing.T) {
	before, after := map[string]any{}, map[string]any{}
	for i := range MaxChanges + 1 {
		before[fmt.Sprintf("k%03d", i)], after[fmt.Sprintf("k%03d", i)] = int64(i), int64(i+1)
	}
	changes, err := Diff("/spec/template", before, after)
	if err != nil {
		t.Fatal(err)
	}
	if len(changes) != 1 || changes[0].Path != "/spec/template" {
		t.Errorf("want one change of /spec/template, got %d, the first of %s", len(changes), changes[0].Path)
	}
}

func TestDiffKeepsPathsShort(t *testing.T) {
	long := strings.Repeat("k", MaxPath)
	changes, err := Diff("/spec", map[string]any{"a": map[string]any{long: "x"}}, map[string]any{"a": map[string]any{long: "y"}})
	if err != nil {
		t.Fatal(err)
	}
	if len(changes) != 1 || changes[0].Path != "/spec/a" {
		t.Errorf("want one change of /spec/a, got %v", lines(changes))
	}
}

func TestBetweenLeavesOutWhatUsersDoNotDecide(t *testing.T) {
	before := &unstructured.Unstructured{Object: parseMap(t, `{"metadata":{"resourceVersion":"1","generation":1,"labels":{"app":"cart"}},
		"spec":{"replicas":1},"status":{"replicas":1}}`)}
	after := &unstructured.Unstructured{Object: parseMap(t, `{"metadata":{"resourceVersion":"2","generation":2,"labels":{"app":"cart"},
		"annotations":{"kubernaut.io/last-execution":"u"}},"spec":{"replicas":3},"status":{"replicas":3}}`)}
	changes, err := Between(before, after)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"/spec/replicas: 1 -> 3"}, lines(changes)); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
}

func TestMoved(t *testing.T) {
	changes := []shared.FieldChange{
		{Path: "/spec/replicas", Before: &apiextensionsv1.JSON{Raw: []byte("1")}, After: &apiextensionsv1.JSON{Raw: []byte("3")}},
		{Path: "/metadata/annotations/a~1b", After: &apiextensionsv1.JSON{Raw: []byte(`"x"`)}},
	}
	tests := map[string]struct{ object, want string }{
		"all is as it was":              {object: `{"spec":{"replicas":1},"metadata":{"annotations":{}}}`},
		"a value is another":            {object: `{"spec":{"replicas":2},"metadata":{}}`, want: "/spec/replicas"},
		"a value is gone":               {object: `{"spec":{},"metadata":{}}`, want: "/spec/replicas"},
		"a value that was not is there": {object: `{"spec":{"replicas":1},"metadata":{"annotations":{"a/b":"x"}}}`, want: "/metadata/annotations/a~1b"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			path, _, moved := Moved(parseMap(t, test.object), changes)
			if moved != (test.want != "") || path != test.want {
				t.Errorf("want %q, got %q (moved: %v)", test.want, path, moved)
			}
		})
	}
}

func TestApplyDoesNotTouchItsInput(t *testing.T) {
	object := parseMap(t, `{"spec":{"replicas":1}}`)
	if _, err := Apply(object, []shared.FieldChange{{Path: "/spec/replicas", After: &apiextensionsv1.JSON{Raw: []byte("3")}}}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(parseMap(t, `{"spec":{"replicas":1}}`), object); diff != "" {
		t.Errorf("input changed:\n%s", diff)
	}
}

func TestApplyRefusesWhatIsNotThere(t *testing.T) {
	for _, path := range []string{"spec", "/spec/template/x", "/spec/list/7", "/spec/replicas/x"} {
		_, err := Apply(parseMap(t, `{"spec":{"replicas":1,"list":["a"]}}`), []shared.FieldChange{{Path: path, After: &apiextensionsv1.JSON{Raw: []byte("3")}}})
		if err == nil {
			t.Errorf("%s: want an error", path)
		}
	}
}

// FuzzDiff shows for any two documents that the difference leads from one to the other and back.
func FuzzDiff(f *testing.F) {
	f.Add(`{"a":[1,2,{"b":null}],"c/d":{"~":"x"}}`, `{"a":[1,2,{"b":1}],"c/d":{}}`)
	f.Add(`{"a":{}}`, `{"a":[]}`)
	f.Fuzz(func(t *testing.T, left, right string) {
		var before, after map[string]any
		if utiljson.Unmarshal([]byte(left), &before) != nil || utiljson.Unmarshal([]byte(right), &after) != nil || before == nil || after == nil {
			t.Skip()
		}
		changes, err := Diff("/spec", before, after)
		if err != nil {
			t.Skip()
		}
		applied, err := Apply(map[string]any{"spec": before}, changes)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Diff("/spec", applied["spec"], after)
		if err != nil || len(again) != 0 {
			text, _ := json.Marshal(again)
			t.Fatalf("still differs: %s %v", text, err)
		}
		if len(changes) == 0 && !reflect.DeepEqual(Inverse(changes), []shared.FieldChange{}) {
			t.Fatal("the inverse of nothing is something")
		}
	})
}

func TestRestoring(t *testing.T) {
	captured := func(path, before, after string) shared.FieldChange {
		value := func(text string) *apiextensionsv1.JSON {
			if text == "" {
				return nil
			}
			return &apiextensionsv1.JSON{Raw: []byte(text)}
		}
		return shared.FieldChange{Path: path, Before: value(before), After: value(after)}
	}
	replicas, image, paused := captured("/spec/replicas", "2", "5"), captured("/spec/image", `"a:1"`, `"a:2"`), captured("/spec/paused", "", "true")
	tests := map[string]struct {
		object         string
		captured, seen []shared.FieldChange
		want           []string
		wantForeign    string
	}{
		"every field as it was left is restored, the last first": {
			object:   `{"spec":{"replicas":5,"image":"a:2","paused":true}}`,
			captured: []shared.FieldChange{replicas, image, paused},
			want:     []string{"/spec/paused: true -> absent", `/spec/image: "a:2" -> "a:1"`, "/spec/replicas: 5 -> 2"},
		},
		"a field that is as before is left out": {
			object: `{"spec":{"replicas":2,"image":"a:2"}}`, captured: []shared.FieldChange{replicas, image}, want: []string{`/spec/image: "a:2" -> "a:1"`},
		},
		"nothing to do when all is as before": {object: `{"spec":{"replicas":2}}`, captured: []shared.FieldChange{replicas, paused}},
		"a value of someone else's": {
			object: `{"spec":{"replicas":7}}`, captured: []shared.FieldChange{replicas}, wantForeign: "/spec/replicas is neither as it was before nor as it was left: it is now 7",
		},
		"a field that someone removed": {object: `{}`, captured: []shared.FieldChange{image}, wantForeign: "it is now absent"},
		"what admission made of our value is ours": {
			object: `{"spec":{"image":"mirror/a:2"}}`, captured: []shared.FieldChange{image}, seen: []shared.FieldChange{captured("/spec/image", `"a:1"`, `"mirror/a:2"`)},
			want: []string{`/spec/image: "mirror/a:2" -> "a:1"`},
		},
		"annotations that others put beside ours stay": {
			object:   `{"metadata":{"annotations":{"cause":"x","kubernaut.io/last-execution":"e1","theirs":"y"}}}`,
			captured: []shared.FieldChange{captured("/metadata/annotations", "", `{"cause":"x"}`)}, want: []string{`/metadata/annotations/cause: "x" -> absent`},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := Restoring(parseMap(t, test.object), test.captured, test.seen)
			if (test.wantForeign != "") != (err != nil) || err != nil && !strings.Contains(err.Error(), test.wantForeign) {
				t.Fatalf("want the error %q, got %v", test.wantForeign, err)
			}
			if diff := cmp.Diff(test.want, lines(got)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	for name, change := range map[string]shared.FieldChange{
		"a path that is none":       captured("spec", "1", "2"),
		"annotations that are none": captured("/metadata/annotations", "{", `{"a":"b"}`),
	} {
		t.Run(name+" is an error", func(t *testing.T) {
			if _, err := Restoring(map[string]any{}, []shared.FieldChange{change}, nil); err == nil {
				t.Error("want an error")
			}
		})
	}
}

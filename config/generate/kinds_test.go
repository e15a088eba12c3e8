package main

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	"github.com/google/go-cmp/cmp"

	"kubernaut.io/kubernaut/config/crd"
)

func TestThePagesAboutKindsAreUpToDate(t *testing.T) {
	kinds, err := kindsIn(crd.FS)
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join("..", "..", kindPages)
	for _, name := range slices.Sorted(maps.Keys(kinds)) {
		page, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			t.Error(err)
			continue
		}
		want, err := filled(page, kinds[name])
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if !bytes.Equal(page, want) {
			t.Errorf("docs/kinds/%s is not what the types say; run make generate", name)
		}
	}
	have, err := filepath.Glob(filepath.Join(folder, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range have {
		if kinds[filepath.Base(path)] == nil {
			t.Errorf("%s is the page of no kind", path)
		}
	}
	for kind := range diagrams() {
		if page := strings.ToLower(kind) + ".md"; kinds[page]["phases"] == "" {
			t.Errorf("the diagram of %s is on no page", kind)
		}
	}
	for key := range elsewhere() {
		kind, path, _ := strings.Cut(key, " ")
		if part, _, _ := strings.Cut(path, "."); !strings.Contains(kinds[strings.ToLower(kind)+".md"][part], "`"+path+"`") {
			t.Errorf("%s is no field", key)
		}
	}
}

func TestFilled(t *testing.T) {
	const spec, status = "<!-- Written by `make generate` from Go types, spec: change it there. -->", "<!-- End of what `make generate` wrote: spec. -->"
	tests := map[string]struct{ page, want string }{
		"an empty part is filled":        {"a\n" + spec + "\n" + status + "\nb", "a\n" + spec + "\n\nnew\n\n" + status + "\nb"},
		"a part is replaced":             {spec + "\n\nold\n\n" + status, spec + "\n\nnew\n\n" + status},
		"a page without it is wrong":     {"a", ""},
		"a part without an end is wrong": {spec + "\nold", ""},
		"a part that nothing writes is wrong": {
			spec + "\n" + status + strings.ReplaceAll(spec+status, "spec", "other"), "",
		},
	}
	for sentence, test := range tests {
		t.Run(sentence, func(t *testing.T) {
			got, err := filled([]byte(test.page), map[string]string{"spec": "new\n"})
			if (err != nil) != (test.want == "") {
				t.Fatal(err)
			}
			if err != nil {
				return
			}
			if diff := cmp.Diff(test.want, string(got)); diff != "" {
				t.Error(diff)
			}
			again, err := filled(got, map[string]string{"spec": "new\n"})
			if err != nil || !bytes.Equal(got, again) {
				t.Errorf("filling it again changes it: %v\n%s", err, again)
			}
		})
	}
}

func TestFieldTable(t *testing.T) {
	text := apiextensionsv1.JSONSchemaProps{Type: "string"}
	schema := &apiextensionsv1.JSONSchemaProps{Properties: map[string]apiextensionsv1.JSONSchemaProps{"spec": {
		Required: []string{"name"},
		Properties: map[string]apiextensionsv1.JSONSchemaProps{
			"name": {Type: "string", MaxLength: new(int64(63)), Description: "name is\n  a | b."},
			"mode": {
				Type: "string", Enum: []apiextensionsv1.JSON{{Raw: []byte(`"A"`)}, {Raw: []byte(`"B"`)}}, Description: "mode is how.",
				Default: &apiextensionsv1.JSON{Raw: []byte(`"A"`)},
			},
			"count":  {Type: "integer", Minimum: new(float64(0)), Maximum: new(float64(10))},
			"labels": {Type: "object", MaxProperties: new(int64(4)), AdditionalProperties: &apiextensionsv1.JSONSchemaPropsOrBool{Schema: &text}},
			"steps": {Type: "array", MaxItems: new(int64(2)), Items: &apiextensionsv1.JSONSchemaPropsOrArray{Schema: &apiextensionsv1.JSONSchemaProps{
				Type: "object", Properties: map[string]apiextensionsv1.JSONSchemaProps{"at": {Type: "string", Format: "date-time"}},
				XValidations: apiextensionsv1.ValidationRules{{Rule: "self.x", Message: "is needed", FieldPath: ".at"}},
			}}},
		},
		XValidations: apiextensionsv1.ValidationRules{{Rule: "self == oldSelf"}},
	}}}
	const want = "| field | type | meaning |\n|---|---|---|\n" +
		"| `spec.name` | string, at most 63, **required** | name is a \\| b. |\n" +
		"| `spec.count` | integer, 0 to 10 |  |\n" +
		"| `spec.labels` | at most 4: map of string |  |\n" +
		"| `spec.mode` | `A`, `B` | mode is how. Default: `\"A\"`. |\n" +
		"| `spec.steps` | at most 2: list of object |  |\n" +
		"| `spec.steps[].at` | time |  |\n" +
		"\nRules that the API server checks:\n\n- `spec` `self == oldSelf`\n- `spec.steps[].at` is needed\n"
	if diff := cmp.Diff(want, fieldTable("Thing", "spec", schema)); diff != "" {
		t.Error(diff)
	}
}

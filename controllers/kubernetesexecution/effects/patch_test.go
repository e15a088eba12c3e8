package effects

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	"kubernaut.io/kubernaut/api/shared"
)

func object(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	u := &unstructured.Unstructured{}
	raw, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if err := u.UnmarshalJSON(raw); err != nil {
		t.Fatal(err)
	}
	return u
}

func change(path, before, after string) shared.FieldChange {
	value := func(text string) *apiextensionsv1.JSON {
		if text == "" {
			return nil
		}
		return &apiextensionsv1.JSON{Raw: []byte(text)}
	}
	return shared.FieldChange{Path: path, Before: value(before), After: value(after)}
}

const cart = `{apiVersion: apps/v1, kind: Deployment, metadata: {namespace: shop, name: cart, uid: u1, resourceVersion: "7"ANNOTATIONS},
  spec: {replicas: 2, paused: true, template: {spec: {containers: [{name: a, image: "a:1"}, {name: b, image: "b:1"}]}}}}`

func withAnnotations(t *testing.T, annotations string) *unstructured.Unstructured {
	t.Helper()
	if annotations != "" {
		annotations = ", annotations: " + annotations
	}
	return object(t, strings.Replace(cart, "ANNOTATIONS", annotations, 1))
}

func TestPatch(t *testing.T) {
	preconditions := `[{"op":"replace","path":"/metadata/uid","value":"u1"},{"op":"replace","path":"/metadata/resourceVersion","value":"7"}`
	newMarker := `,{"op":"add","path":"/metadata/annotations","value":{"kubernaut.io/last-execution":"e1"}}]`
	nextMarker := `,{"op":"add","path":"/metadata/annotations/kubernaut.io~1last-execution","value":"e1"}]`
	tests := map[string]struct {
		annotations string
		changes     []shared.FieldChange
		execution   types.UID
		want        string
	}{
		"a dry run has no marker": {
			changes: []shared.FieldChange{change("/spec/replicas", "2", "3")},
			want:    preconditions + `,{"op":"replace","path":"/spec/replicas","value":3}]`,
		},
		"the first annotation makes the map": {
			changes: []shared.FieldChange{change("/spec/replicas", "2", "3")}, execution: "e1",
			want: preconditions + `,{"op":"replace","path":"/spec/replicas","value":3}` + newMarker,
		},
		"a marker replaces the one before": {
			annotations: "{kubernaut.io/last-execution: e0}", changes: []shared.FieldChange{change("/spec/replicas", "2", "3")}, execution: "e1",
			want: preconditions + `,{"op":"replace","path":"/spec/replicas","value":3}` + nextMarker,
		},
		"annotations that the change makes are there for the marker": {
			changes: []shared.FieldChange{change("/metadata/annotations", "", `{"x":"y"}`)}, execution: "e1",
			want: preconditions + `,{"op":"add","path":"/metadata/annotations","value":{"x":"y"}}` + nextMarker,
		},
		"annotations that the change removes are made again for the marker": {
			annotations: "{x: y}", changes: []shared.FieldChange{change("/metadata/annotations", `{"x":"y"}`, "")}, execution: "e1",
			want: preconditions + `,{"op":"remove","path":"/metadata/annotations"}` + newMarker,
		},
		"added, removed, and replaced in a list": {
			annotations: "{x: y}",
			changes: []shared.FieldChange{
				change("/spec/minReadySeconds", "", "5"), change("/spec/paused", "true", ""),
				change("/spec/template/spec/containers/1/image", `"b:1"`, `"b:2"`),
			},
			execution: "e1",
			want: preconditions + `,{"op":"add","path":"/spec/minReadySeconds","value":5},{"op":"remove","path":"/spec/paused"},` +
				`{"op":"replace","path":"/spec/template/spec/containers/1/image","value":"b:2"}` + nextMarker,
		},
		"false is a value": {
			changes: []shared.FieldChange{change("/spec/paused", "true", "false")},
			want:    preconditions + `,{"op":"replace","path":"/spec/paused","value":false}]`,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			body, err := patchOf(withAnnotations(t, test.annotations), test.changes, test.execution)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, string(body)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if !json.Valid(body) {
				t.Error("not JSON")
			}
		})
	}
}

func TestPatchNeedsAnObjectThatWasRead(t *testing.T) {
	live := withAnnotations(t, "")
	live.SetResourceVersion("")
	if _, err := patchOf(live, nil, "e1"); err == nil {
		t.Error("a write without a precondition")
	}
}

func TestPatchRefusesWhatDoesNotFit(t *testing.T) {
	if _, err := patchOf(withAnnotations(t, ""), []shared.FieldChange{change("/spec/template/spec/containers/7/image", "1", "2")}, "e1"); err == nil {
		t.Error("want an error")
	}
}

func TestRestores(t *testing.T) {
	image := change("/spec/template/spec/containers/0/image", `"a:1"`, `"a:2"`)
	tests := map[string]struct {
		result string
		want   bool
	}{
		"the change alone":                        {result: `{spec: {containers: [{name: a, image: "a:2"}]}}`, want: true},
		"admission added a container in front":    {result: `{spec: {containers: [{name: s, image: "s:1"}, {name: a, image: "a:2"}]}}`},
		"admission added a container behind":      {result: `{spec: {containers: [{name: a, image: "a:2"}, {name: s, image: "s:1"}]}}`},
		"admission set another field of the spec": {result: `{spec: {hostNetwork: true, containers: [{name: a, image: "a:2"}]}}`},
		"the field is gone":                       {result: `{spec: {}}`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			around := func(template string) *unstructured.Unstructured {
				return object(t, "{apiVersion: apps/v1, kind: Deployment, metadata: {name: cart}, spec: {template: "+template+"}}")
			}
			p := &Preparation{
				Live: around(`{spec: {containers: [{name: a, image: "a:1"}]}}`), Changes: []shared.FieldChange{image}, Result: around(test.result),
			}
			if got := restores(p); got != test.want {
				t.Errorf("want %v, got %v", test.want, got)
			}
		})
	}
}

func TestFieldManagersStay(t *testing.T) {
	want := map[shared.ActionType]string{
		shared.ActionScaleDeployment: "kubernaut-scale-deployment", shared.ActionRollbackDeployment: "kubernaut-rollback-deployment",
		shared.ActionUpdateImage: "kubernaut-update-image", shared.ActionNotifyOnly: "kubernaut-notify-only",
		shared.ActionRestartDeployment: "kubernaut-restart-deployment", shared.ActionRestartPod: "kubernaut-restart-pod",
		shared.ActionIncreaseResources: "kubernaut-increase-resources", shared.ActionCordonNode: "kubernaut-cordon-node",
		shared.ActionUncordonNode: "kubernaut-uncordon-node",
	}
	for _, action := range shared.ActionTypes() {
		if got := FieldManager(action); got != want[action] {
			t.Errorf("%s: want %s, got %s", action, want[action], got)
		}
	}
}

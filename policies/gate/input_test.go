package gate

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/open-policy-agent/opa/v1/ast"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"kubernaut.io/kubernaut/api/shared"
)

var evaluationTime = time.Date(2026, 3, 1, 12, 0, 0, 5, time.UTC)

// scaleInput is a step that all baseline policies allow: shop/cart, in production, from 2 to 4 replicas.
func scaleInput(change ...func(*Input)) *Input {
	in := NewInput(StagePlan, evaluationTime)
	in.Workflow = Workflow{Name: "cart-workflow", Namespace: "shop", Mode: shared.ModeRemediate, TotalSteps: 1}
	in.Step = Step{Name: "scale", Critical: new(true), Reversibility: new("Yes"), Action: shared.Action{
		Type:            shared.ActionScaleDeployment,
		ScaleDeployment: &shared.ScaleDeployment{Namespace: "shop", Name: "cart", Replicas: new(int32(4))},
	}}
	in.Target = Target{
		APIVersion: new("apps/v1"), Kind: new("Deployment"), Namespace: new("shop"), Name: new("cart"),
		Object: deployment(2, "registry.example.com/shop/cart:1"),
		Drift: Drift{
			Expected: Identity{UID: new("cart-1"), Generation: new(int64(7))}, Found: Identity{UID: new("cart-1"), Generation: new(int64(7))},
		},
		Owners: []shared.OwnedObject{},
		GitOps: GitOps{Managed: new(false)},
		HPA:    HPA{Present: new(false)},
		PDBs:   []PDB{{Name: "cart", DisruptionsAllowed: new(int32(1))}},
	}
	in.Namespace = Namespace{Name: new("shop"), Labels: map[string]string{shared.LabelEnvironment: "production"}}
	in.Remediation.Present = new(false)
	in.Requester = Requester{Username: new("prometheus"), Groups: []string{"system:authenticated"}}
	in.Cluster.Nodes = Nodes{Total: new(3), Ready: new(3), Unschedulable: new(0)}
	in.Cluster.ActiveWorkflows = map[string]int{}
	in.Cluster.Executions = Executions{Target: []PastExecution{}, Namespace: []PastExecution{}}
	in.Impact = Impact{PodsAffected: new(int32(0)), PodsAffectedPercent: new(int32(0))}
	for _, apply := range change {
		apply(in)
	}
	return in
}

func imageInput(container, image string) *Input {
	return scaleInput(func(in *Input) {
		in.Step.Action = shared.Action{Type: shared.ActionUpdateImage, UpdateImage: &shared.UpdateImage{
			Namespace: "shop", Name: "cart", Container: container, Image: image,
		}}
	})
}

func deployment(replicas int64, image string) map[string]any {
	return map[string]any{
		"apiVersion": "apps/v1", "kind": "Deployment",
		"metadata": map[string]any{"name": "cart", "namespace": "shop"},
		"spec": map[string]any{
			"replicas": replicas,
			"template": map[string]any{"spec": map[string]any{
				"containers": []any{map[string]any{"name": "app", "image": image, "cpu": 1.5}},
			}},
		},
	}
}

func TestSchemaFilesAreThoseOfTheTypes(t *testing.T) {
	schemas, err := Schemas()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range schemas {
		got, err := os.ReadFile(filepath.Join("..", "schemas", name))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("policies/schemas/%s differs from the Go types; run the generator (-want +got):\n%s", name, diff)
		}
	}
}

func TestEveryFieldOfTheGateIsDescribed(t *testing.T) {
	comments, err := fieldComments(inputSource)
	if err != nil {
		t.Fatal(err)
	}
	for _, root := range []reflect.Type{reflect.TypeFor[Input](), reflect.TypeFor[ClassificationInput]()} {
		eachObject(documentOf(root), func(object *document) {
			if object.goType.PkgPath() != reflect.TypeFor[Input]().PkgPath() {
				return
			}
			for _, field := range object.fields {
				if comments[object.goType.Name()+"."+field.goName] == "" {
					t.Errorf("%s.%s has no comment", object.goType.Name(), field.goName)
				}
			}
		})
	}
}

func eachObject(doc *document, visit func(*document)) {
	if doc.element != nil {
		eachObject(doc.element, visit)
	}
	if doc.kind == kindObject {
		visit(doc)
	}
	for _, field := range doc.fields {
		eachObject(field.value, visit)
	}
}

func TestTheCommentsOfABrokenSourceAreAnError(t *testing.T) {
	if _, err := fieldComments("not Go"); err == nil {
		t.Error("want an error")
	}
}

func TestLeavesAreNullableAndObjectsAreNot(t *testing.T) {
	text, err := InputSchema()
	if err != nil {
		t.Fatal(err)
	}
	var schema struct {
		Properties map[string]struct {
			Type       string
			Properties map[string]struct {
				Type  string
				AnyOf []struct{ Type string }
			}
		}
	}
	if err := json.Unmarshal(text, &schema); err != nil {
		t.Fatal(err)
	}
	target := schema.Properties["target"]
	if target.Type != "object" {
		t.Errorf("target is of type %q", target.Type)
	}
	for leaf, want := range map[string]string{"namespace": "string", "object": "object", "pdbs": "array"} {
		types := target.Properties[leaf].AnyOf
		if len(types) != 2 || types[0].Type != want || types[1].Type != "null" {
			t.Errorf("target.%s: got %v, want %s or null", leaf, types, want)
		}
	}
	if drift := target.Properties["drift"]; drift.Type != "object" {
		t.Errorf("target.drift: got %v", drift)
	}
}

func TestATypeThatNoDocumentCanHoldPanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("want a panic")
		}
	}()
	documentOf(reflect.TypeFor[chan int]())
}

// The value that OPA sees and the JSON that a log shows are made by different code.
func TestTheDocumentIsTheJSONOfTheInput(t *testing.T) {
	for name, in := range map[string]*Input{
		"a complete step":      scaleInput(),
		"nothing but zeroes":   {},
		"an image":             imageInput("app", "x"),
		"changes of free JSON": scaleInput(addChanges),
		"empty and not nil":    scaleInput(func(in *Input) { in.Namespace.Labels = map[string]string{} }),
		"other workflows":      scaleInput(addExecutions),
	} {
		t.Run(name, func(t *testing.T) {
			text, err := json.Marshal(in)
			if err != nil {
				t.Fatal(err)
			}
			want, err := ast.ValueFromReader(strings.NewReader(string(text)))
			if err != nil {
				t.Fatal(err)
			}
			got, err := documentOf(reflect.TypeFor[Input]()).term(reflect.ValueOf(in))
			if err != nil {
				t.Fatal(err)
			}
			if want.Compare(got.Value) != 0 {
				t.Errorf("want %v\ngot  %v", want, got.Value)
			}
		})
	}
}

func addChanges(in *Input) {
	in.Impact.Changes = []Change{
		{Path: "spec.replicas", Before: int64(2), After: int64(4)},
		{Path: "spec.paused", Before: nil, After: true},
		{Path: "spec.template", Before: map[string]any{"a": []any{"b", 1.25}}, After: nil},
	}
	in.Rollback = Rollback{Available: new(true), Restores: []RestoredField{{Path: "spec.replicas", Value: 2}}}
}

func addExecutions(in *Input) {
	in.Plan.Batches = [][]int{{0, 1}, {2}}
	in.Cluster.ActiveWorkflows = map[string]int{"shop": 2, "": 1}
	in.Cluster.Executions.Target = []PastExecution{{Workflow: "w", Action: shared.ActionNotifyOnly, TimeNS: 1 << 60}}
	in.Target.Owners = []shared.OwnedObject{{APIVersion: "v1", Kind: "X", UID: "u"}}
	in.Target.Drift.Expected = Identity{UID: new("u"), Generation: new(int64(7))}
}

func TestADocumentThatIsNoJSONIsDenied(t *testing.T) {
	for name, change := range map[string]func(*Input){
		"in the object":  func(in *Input) { in.Target.Object["x"] = make(chan int) },
		"in a list":      func(in *Input) { in.Impact.Changes = []Change{{Before: func() {}}} },
		"as a restored ": func(in *Input) { in.Rollback.Restores = []RestoredField{{Value: func() {}}} },
	} {
		t.Run(name, func(t *testing.T) {
			in := scaleInput(change)
			wantPolicyError(t, baseline(t).Evaluate(t.Context(), in), PolicyNone)
			if _, err := documentOf(reflect.TypeFor[Input]()).term(reflect.ValueOf(in)); err == nil {
				t.Error("the conversion gave no error")
			}
		})
	}
	doc := documentOf(reflect.TypeFor[map[string][]any]())
	if _, err := doc.term(reflect.ValueOf(map[string][]any{"x": {func() {}}})); err == nil {
		t.Error("a map of what is not JSON gave no error")
	}
}

func TestSanitizeObject(t *testing.T) {
	secret := func() map[string]any {
		return map[string]any{
			"apiVersion": "v1", "kind": "Secret", "type": "Opaque",
			"metadata": map[string]any{
				"name":          "s",
				"managedFields": []any{map[string]any{"manager": "kubectl"}},
				"annotations":   map[string]any{lastApplied: `{"data":{"p":"c2VjcmV0"}}`, "team": "a"},
			},
			"data": map[string]any{"p": "c2VjcmV0"}, "stringData": map[string]any{"p": "secret"},
		}
	}
	object := &unstructured.Unstructured{Object: secret()}
	want := map[string]any{
		"apiVersion": "v1", "kind": "Secret", "type": "Opaque",
		"metadata": map[string]any{"name": "s", "annotations": map[string]any{"team": "a"}},
	}
	if diff := cmp.Diff(want, SanitizeObject(object)); diff != "" {
		t.Errorf("a Secret (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(secret(), object.Object); diff != "" {
		t.Errorf("the object itself has changed:\n%s", diff)
	}
	configMap := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap", "data": map[string]any{"a": "b"},
	}}
	if diff := cmp.Diff(configMap.Object, SanitizeObject(configMap)); diff != "" {
		t.Errorf("a ConfigMap (-want +got):\n%s", diff)
	}
	for name, object := range map[string]*unstructured.Unstructured{"nil": nil, "empty": {}} {
		if got := SanitizeObject(object); got != nil {
			t.Errorf("%s: got %v, want nil, which is unknown", name, got)
		}
	}
}

// pathOf is what follows the head of a reference.
func pathOf(reference string) []*ast.Term { return ast.MustParseRef(reference)[1:] }

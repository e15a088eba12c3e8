package actions

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/yaml"

	"kubernaut.io/kubernaut/api/shared"
	"kubernaut.io/kubernaut/controllers/machinery"
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

const cart = `
apiVersion: apps/v1
kind: Deployment
metadata: {namespace: shop, name: cart, uid: cart-uid, annotations: {deployment.kubernetes.io/revision: "3"}}
spec:
  replicas: 2
  selector: {matchLabels: {app: cart}}
  template:
    metadata: {labels: {app: cart}}
    spec:
      initContainers: [{name: migrate, image: "shop/migrate:1"}]
      containers: [{name: cart, image: "shop/cart:3"}, {name: proxy, image: "proxy:1", env: [{name: A, value: b}]}]
`

func scale(replicas int32) *shared.Action {
	return &shared.Action{
		Type:            shared.ActionScaleDeployment,
		ScaleDeployment: &shared.ScaleDeployment{Namespace: "shop", Name: "cart", Replicas: new(replicas)},
	}
}

func image(container, reference string) *shared.Action {
	return &shared.Action{
		Type:        shared.ActionUpdateImage,
		UpdateImage: &shared.UpdateImage{Namespace: "shop", Name: "cart", Container: container, Image: reference},
	}
}

func rollBack(revision int64) *shared.Action {
	return &shared.Action{
		Type:               shared.ActionRollbackDeployment,
		RollbackDeployment: &shared.RollbackDeployment{Namespace: "shop", Name: "cart", Revision: new(revision)},
	}
}

// replicaSet is a revision of cart whose images are as given.
func replicaSet(revision, cartImage, owner, extra string) string {
	return fmt.Sprintf(`
apiVersion: apps/v1
kind: ReplicaSet
metadata:
  namespace: shop
  name: cart-%[1]s-%[3]s
  labels: {app: cart, pod-template-hash: h%[1]s}
  annotations: {deployment.kubernetes.io/revision: "%[1]s"%[4]s}
  ownerReferences: [{apiVersion: apps/v1, kind: Deployment, name: cart, uid: %[3]s, controller: true}]
spec:
  selector: {matchLabels: {app: cart, pod-template-hash: h%[1]s}}
  template:
    metadata: {labels: {app: cart, pod-template-hash: h%[1]s}}
    spec:
      initContainers: [{name: migrate, image: "shop/migrate:1"}]
      containers: [{name: cart, image: "%[2]s"}, {name: proxy, image: "proxy:1", env: [{name: A, value: b}]}]
`, revision, cartImage, owner, extra)
}

func TestPlan(t *testing.T) {
	history := []string{
		replicaSet("1", "shop/cart:1", "cart-uid", ""),
		replicaSet("2", "shop/cart:2", "cart-uid", ""),
		replicaSet("3", "shop/cart:3", "cart-uid", ""),
		replicaSet("9", "shop/cart:9", "someone-else", ""),
	}
	tests := map[string]struct {
		live      string
		history   []string
		action    *shared.Action
		want      []string
		wantError shared.ErrorType
		wantText  string
	}{
		"scale changes the replicas":        {action: scale(5), want: []string{"/spec/replicas: 2 -> 5"}},
		"scale to zero":                     {action: scale(0), want: []string{"/spec/replicas: 2 -> 0"}},
		"scale to what is there is nothing": {action: scale(2)},
		"scale sets replicas that are not set": {
			live: strings.Replace(cart, "  replicas: 2\n", "", 1), action: scale(5), want: []string{"/spec/replicas: absent -> 5"},
		},
		"scale without parameters": {action: &shared.Action{Type: shared.ActionScaleDeployment}, wantError: shared.ErrorValidation},

		"image of a container": {
			action: image("proxy", "proxy:2"), want: []string{`/spec/template/spec/containers/1/image: "proxy:1" -> "proxy:2"`},
		},
		"image of an init container": {
			action: image("migrate", "shop/migrate:2"),
			want:   []string{`/spec/template/spec/initContainers/0/image: "shop/migrate:1" -> "shop/migrate:2"`},
		},
		"image that is there is nothing": {action: image("cart", "shop/cart:3")},
		"image of an unknown container": {
			action: image("carts", "x:1"), wantError: shared.ErrorValidation, wantText: `no container "carts"; it has cart, proxy, migrate`,
		},
		"image without parameters": {action: &shared.Action{Type: shared.ActionUpdateImage}, wantError: shared.ErrorValidation},

		"roll back to the previous revision": {
			history: history, action: rollBack(0), want: []string{`/spec/template/spec/containers/0/image: "shop/cart:3" -> "shop/cart:2"`},
		},
		"roll back to a revision": {
			history: history, action: rollBack(1), want: []string{`/spec/template/spec/containers/0/image: "shop/cart:3" -> "shop/cart:1"`},
		},
		"roll back to the present revision is nothing": {history: history, action: rollBack(3)},
		"roll back before the newest template has a revision: the previous one is the newest": {
			live: strings.Replace(cart, "shop/cart:3", "shop/cart:4", 1), history: history, action: rollBack(0),
			want: []string{`/spec/template/spec/containers/0/image: "shop/cart:4" -> "shop/cart:3"`},
		},
		"roll back while the Deployment controller has not yet renumbered": {
			live: strings.Replace(cart, "shop/cart:3", "shop/cart:1", 1), history: history, action: rollBack(0),
			want: []string{`/spec/template/spec/containers/0/image: "shop/cart:1" -> "shop/cart:3"`},
		},
		"roll back to a revision that is not there": {
			history: history, action: rollBack(7), wantError: shared.ErrorResourceNotFound, wantText: "no revision 7; it has 1, 2, 3",
		},
		"roll back to a revision of another Deployment": {history: history, action: rollBack(9), wantError: shared.ErrorResourceNotFound},
		"roll back without history":                     {action: rollBack(0), wantError: shared.ErrorValidation, wantText: "keeps no revisions"},
		"roll back with one revision":                   {history: history[2:], action: rollBack(0), wantError: shared.ErrorValidation, wantText: "no previous revision"},
		"roll back a paused Deployment": {
			live: strings.Replace(cart, "replicas: 2", "paused: true", 1), history: history, action: rollBack(0),
			wantError: shared.ErrorValidation, wantText: "paused",
		},
		"roll back takes the change-cause along": {
			history: []string{replicaSet("2", "shop/cart:2", "cart-uid", `, kubernetes.io/change-cause: "release 2"`), history[2]}, action: rollBack(0),
			want: []string{
				`/spec/template/spec/containers/0/image: "shop/cart:3" -> "shop/cart:2"`,
				`/metadata/annotations/kubernetes.io~1change-cause: absent -> "release 2"`,
			},
		},
		"roll back of more than images": {
			live: strings.Replace(cart, "env: [{name: A, value: b}]", "args: [--debug]", 1), history: history[:2], action: rollBack(2),
			want: []string{
				`/spec/template/spec/containers/0/image: "shop/cart:3" -> "shop/cart:2"`,
				`/spec/template/spec/containers/1/args: ["--debug"] -> absent`,
				`/spec/template/spec/containers/1/env: absent -> [{"name":"A","value":"b"}]`,
			},
		},
		"roll back without parameters": {action: &shared.Action{Type: shared.ActionRollbackDeployment}, wantError: shared.ErrorValidation},

		"notify changes nothing":    {action: &shared.Action{Type: shared.ActionNotifyOnly, NotifyOnly: &shared.NotifyOnly{Message: "x"}}},
		"notify without parameters": {action: &shared.Action{Type: shared.ActionNotifyOnly}, wantError: shared.ErrorValidation},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if test.live == "" {
				test.live = cart
			}
			action, known := Get(test.action.Type)
			if !known {
				t.Fatalf("no action %s", test.action.Type)
			}
			plan, err := action.Plan(t.Context(), reader(t, test.history), object(t, test.live), test.action)
			if machinery.Classify(err) != test.wantError {
				t.Fatalf("want error type %q, got %v", test.wantError, err)
			}
			if err != nil && !strings.Contains(err.Error(), test.wantText) {
				t.Errorf("want an error with %q, got %q", test.wantText, err)
			}
			if diff := cmp.Diff(test.want, lines(plan.Changes)); diff != "" {
				t.Errorf("changes (-want +got):\n%s", diff)
			}
		})
	}
}

func reader(t *testing.T, texts []string) client.Reader {
	t.Helper()
	var objects []runtime.Object
	for _, text := range texts {
		objects = append(objects, object(t, text))
	}
	scheme := runtime.NewScheme()
	for _, text := range []string{cart, replicaSet("1", "x", "y", "")} {
		u := object(t, text)
		scheme.AddKnownTypeWithName(u.GroupVersionKind(), &unstructured.Unstructured{})
		list := u.GroupVersionKind()
		list.Kind += "List"
		scheme.AddKnownTypeWithName(list, &unstructured.UnstructuredList{})
	}
	return fake.NewClientBuilder().WithScheme(scheme).WithRuntimeObjects(objects...).Build()
}

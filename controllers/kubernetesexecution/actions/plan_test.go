package actions

import (
	"fmt"
	"strings"
	"testing"
	"time"

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

var occasion = Occasion{Workflow: "workflow-uid", Created: time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC), Step: 3}

func restart() *shared.Action {
	return &shared.Action{Type: shared.ActionRestartDeployment, RestartDeployment: &shared.RestartDeployment{Namespace: "shop", Name: "cart"}}
}

func restartedCart(at string) string {
	return strings.Replace(cart, "{labels: {app: cart}}", `{labels: {app: cart}, annotations: {kubectl.kubernetes.io/restartedAt: "`+at+`"}}`, 1)
}

const cartPod = `{apiVersion: v1, kind: Pod, metadata: {namespace: shop, name: cart-1, uid: p, ownerReferences: [
  {apiVersion: apps/v1, kind: ReplicaSet, name: cart-1, uid: r, controller: true}]}, spec: {containers: [{name: cart, image: i}]}}`

func restartOf(force *bool) *shared.Action {
	return &shared.Action{Type: shared.ActionRestartPod, RestartPod: &shared.RestartPod{Namespace: "shop", Name: "cart-1", Force: force}}
}

// sized is cart with these resources.
func sized(resources string) string {
	return strings.Replace(cart, `image: "shop/cart:3"`, `image: "shop/cart:3", resources: {`+resources+`}`, 1)
}

func increase(set func(*shared.IncreaseResources)) *shared.Action {
	parameters := &shared.IncreaseResources{Namespace: "shop", Name: "cart", Container: "cart"}
	set(parameters)
	return &shared.Action{Type: shared.ActionIncreaseResources, IncreaseResources: parameters}
}

const node = `{apiVersion: v1, kind: Node, metadata: {name: worker-1, uid: n}, spec: {providerID: x}, status: {conditions: [{type: Ready, status: "True"}]}}`

func cordon() *shared.Action {
	return &shared.Action{Type: shared.ActionCordonNode, CordonNode: &shared.CordonNode{Name: "worker-1"}}
}

func uncordon() *shared.Action {
	return &shared.Action{Type: shared.ActionUncordonNode, UncordonNode: &shared.UncordonNode{Name: "worker-1"}}
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

		"a restart sets the annotation that kubectl sets": {
			action: restart(), want: []string{`/spec/template/metadata/annotations: absent -> {"` + annotationRestartedAt + `":"` + restartedAt(occasion) + `"}`},
		},
		"a restart of what has other annotations": {
			live: strings.Replace(cart, "{labels: {app: cart}}", "{labels: {app: cart}, annotations: {a: b}}", 1), action: restart(),
			want: []string{`/spec/template/metadata/annotations/kubectl.kubernetes.io~1restartedAt: absent -> "` + restartedAt(occasion) + `"`},
		},
		"a second restart": {
			live: restartedCart("2026-01-01T00:00:00Z"), action: restart(),
			want: []string{`/spec/template/metadata/annotations/kubectl.kubernetes.io~1restartedAt: "2026-01-01T00:00:00Z" -> "` + restartedAt(occasion) + `"`},
		},
		"a restart for the same step is nothing": {live: restartedCart(restartedAt(occasion)), action: restart()},
		"a restart of a paused Deployment": {
			live: strings.Replace(cart, "replicas: 2", "paused: true", 1), action: restart(), wantError: shared.ErrorValidation, wantText: "paused",
		},
		"restart without parameters": {action: &shared.Action{Type: shared.ActionRestartDeployment}, wantError: shared.ErrorValidation},

		"restart a pod of a controller": {live: cartPod, action: restartOf(nil)},
		"restart a pod without a controller": {
			live: strings.Replace(cartPod, "controller: true", "controller: false", 1), action: restartOf(nil),
			wantError: shared.ErrorValidation, wantText: "set force: true",
		},
		"restart a pod without a controller by force": {
			live: strings.Replace(cartPod, "controller: true", "controller: false", 1), action: restartOf(new(true)),
		},
		"restart a pod that mirrors a static one": {
			live: strings.Replace(cartPod, "uid: p,", `uid: p, annotations: {kubernetes.io/config.mirror: x},`, 1), action: restartOf(new(true)),
			wantError: shared.ErrorValidation, wantText: "static pod",
		},
		"restart a pod twice": {
			live: strings.Replace(cartPod, "uid: p,", `uid: p, deletionGracePeriodSeconds: 30,`, 1), action: restartOf(nil),
			wantError: shared.ErrorResourceConflict, wantText: "already deleted",
		},
		"restart a pod without parameters": {action: &shared.Action{Type: shared.ActionRestartPod}, wantError: shared.ErrorValidation},

		"raise memory": {
			live:   sized("limits: {memory: 512Mi, cpu: 1}, requests: {memory: 256Mi}"),
			action: increase(func(p *shared.IncreaseResources) { p.MemoryRequest, p.MemoryLimit = "512Mi", "1024Mi" }),
			want: []string{
				`/spec/template/spec/containers/0/resources/limits/memory: "512Mi" -> "1Gi"`,
				`/spec/template/spec/containers/0/resources/requests/memory: "256Mi" -> "512Mi"`,
			},
		},
		"raise CPU where no request was": {
			live: sized("limits: {cpu: 1}"), action: increase(func(p *shared.IncreaseResources) { p.CPURequest, p.CPULimit = "1", "1.5" }),
			want: []string{
				`/spec/template/spec/containers/0/resources/limits/cpu: 1 -> "1500m"`,
				`/spec/template/spec/containers/0/resources/requests: absent -> {"cpu":"1"}`,
			},
		},
		"a first request": {
			action: increase(func(p *shared.IncreaseResources) { p.MemoryRequest = "1Gi" }),
			want:   []string{`/spec/template/spec/containers/0/resources: absent -> {"requests":{"memory":"1Gi"}}`},
		},
		"raise an init container": {
			action: increase(func(p *shared.IncreaseResources) { p.Container, p.CPURequest = "migrate", "1" }),
			want:   []string{`/spec/template/spec/initContainers/0/resources: absent -> {"requests":{"cpu":"1"}}`},
		},
		"what is there by another name is nothing": {
			live:   sized("limits: {memory: 1Gi}, requests: {memory: 1Gi, cpu: 1}"),
			action: increase(func(p *shared.IncreaseResources) { p.MemoryLimit, p.CPURequest = "1024Mi", "1000m" }),
		},
		"lower a limit": {
			live: sized("limits: {memory: 1Gi}"), action: increase(func(p *shared.IncreaseResources) { p.MemoryLimit = "512Mi" }),
			wantError: shared.ErrorValidation, wantText: "memoryLimit: 512Mi is below the memory limit of container cart of Deployment shop/cart, which is 1Gi",
		},
		"lower a request": {
			live: sized("requests: {cpu: 500m}"), action: increase(func(p *shared.IncreaseResources) { p.CPURequest = "0.2" }),
			wantError: shared.ErrorValidation, wantText: "cpuRequest: 200m is below the cpu request",
		},
		"a request below the limit that stands for it": {
			live: sized("limits: {cpu: 1}"), action: increase(func(p *shared.IncreaseResources) { p.CPURequest = "500m" }),
			wantError: shared.ErrorValidation, wantText: "cpuRequest: 500m is below the cpu limit",
		},
		"a limit where none was": {
			action: increase(func(p *shared.IncreaseResources) { p.MemoryLimit = "9Gi" }), wantError: shared.ErrorValidation, wantText: "has no memory limit",
		},
		"a request above the limit that is there": {
			live:   sized("limits: {memory: 512Mi}, requests: {memory: 256Mi}"),
			action: increase(func(p *shared.IncreaseResources) { p.MemoryRequest = "1Gi" }), wantError: shared.ErrorValidation, wantText: "set memoryLimit too",
		},
		"an amount that is none": {
			action: increase(func(p *shared.IncreaseResources) { p.MemoryRequest = "lots" }), wantError: shared.ErrorValidation, wantText: `memoryRequest: "lots"`,
		},
		"raise an unknown container": {
			action:    increase(func(p *shared.IncreaseResources) { p.Container, p.CPURequest = "carts", "1" }),
			wantError: shared.ErrorValidation, wantText: `no container "carts"`,
		},
		"raise without parameters": {action: &shared.Action{Type: shared.ActionIncreaseResources}, wantError: shared.ErrorValidation},

		"cordon":                      {live: node, action: cordon(), want: []string{"/spec/unschedulable: absent -> true"}},
		"cordon a cordoned node":      {live: strings.Replace(node, "spec: {", "spec: {unschedulable: true, ", 1), action: cordon()},
		"uncordon":                    {live: strings.Replace(node, "spec: {", "spec: {unschedulable: true, ", 1), action: uncordon(), want: []string{"/spec/unschedulable: true -> absent"}},
		"uncordon an open node":       {live: node, action: uncordon()},
		"cordon without parameters":   {action: &shared.Action{Type: shared.ActionCordonNode}, wantError: shared.ErrorValidation},
		"uncordon without parameters": {action: &shared.Action{Type: shared.ActionUncordonNode}, wantError: shared.ErrorValidation},

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
			plan, err := action.Plan(t.Context(), Subject{
				Reader: reader(t, test.history), Live: object(t, test.live), Action: test.action, Occasion: occasion,
			})
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

func TestARestartIsTheSameForAllAttemptsOfAStepAndNoOther(t *testing.T) {
	value := restartedAt(occasion)
	if again := restartedAt(occasion); again != value {
		t.Errorf("%s, then %s", value, again)
	}
	at, err := time.Parse(time.RFC3339Nano, value)
	if err != nil || !at.Truncate(time.Second).Equal(occasion.Created) {
		t.Errorf("%s is not a time in the second of %s: %v", value, occasion.Created, err)
	}
	other, step, rollback := occasion, occasion, occasion
	other.Workflow, step.Step, rollback.Rollback = "another", 4, true
	for _, o := range []Occasion{other, step, rollback} {
		if restartedAt(o) == value {
			t.Errorf("%+v restarts at the same time", o)
		}
	}
	_, err = restartDeployment{}.Plan(t.Context(), Subject{Live: object(t, cart), Action: restart()})
	if err == nil {
		t.Error("without an occasion every restart would be the same")
	}
}

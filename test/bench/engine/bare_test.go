package engine

import (
	"context"
	"fmt"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubernetesexecutionv1 "kubernaut.io/kubernaut/api/kubernetesexecution/v1"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
)

// bareGroup is the group of kinds with the schemas of ours, on which no webhook and no policy is.
const bareGroup = "bench.example.com"

// bare writes what the workflows cost: as many workflows and executions, with as many writes of their statuses, and as many patches of
// targets. It says how long that took.
func (b *bench) bare(workflows, steps int, cost costs) time.Duration {
	b.Helper()
	workflow := b.bareKind("workflowexecutions", &workflowexecutionv1.WorkflowExecutionList{})
	execution := b.bareKind("kubernetesexecutions", &kubernetesexecutionv1.KubernetesExecutionList{})
	const ofExecution = 2 // its intent, and its end
	ofWorkflow := int(cost.updates+cost.patches)/workflows - steps*ofExecution
	began := time.Now()
	check(b.B, each(b.Context(), workflows, func(ctx context.Context, i int) error {
		if err := b.writeBare(ctx, workflow, i, 0, ofWorkflow); err != nil {
			return err
		}
		for s := range steps {
			if err := b.writeBare(ctx, execution, i, s, ofExecution); err != nil {
				return err
			}
			patch := `[{"op":"replace","path":"/spec/template/spec/containers/0/image","value":"` + before + `"},` +
				`{"op":"add","path":"/metadata/annotations/bare","value":"1"}]`
			deployment := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: b.namespaceOf(i), Name: target(i, s)}}
			if err := b.Patch(ctx, deployment, client.RawPatch(types.JSONPatchType, []byte(patch))); err != nil {
				return err
			}
		}
		return nil
	}))
	return time.Since(began)
}

// bareObject is what is written of a kind: the spec and the status of an object of ours.
type bareObject struct {
	schema.GroupVersionKind
	spec, status any
}

// writeBare creates an object and writes its status so many times, each different.
func (b *bench) writeBare(ctx context.Context, kind bareObject, i, s, updates int) error {
	object, err := b.createBare(ctx, kind, i, s)
	for turn := 0; err == nil && turn < updates; turn++ {
		err = b.updateBare(ctx, kind, object, turn)
	}
	return err
}

func (b *bench) createBare(ctx context.Context, kind bareObject, i, s int) (*unstructured.Unstructured, error) {
	object := &unstructured.Unstructured{Object: map[string]any{"spec": runtime.DeepCopyJSONValue(kind.spec)}}
	object.SetGroupVersionKind(kind.GroupVersionKind)
	object.SetNamespace(b.namespaceOf(i))
	object.SetName(fmt.Sprintf("bare-%d-%d", i, s))
	return object, b.Create(ctx, object)
}

func (b *bench) updateBare(ctx context.Context, kind bareObject, object *unstructured.Unstructured, turn int) error {
	object.Object["status"] = runtime.DeepCopyJSONValue(kind.status)
	if err := unstructured.SetNestedField(object.Object, int64(turn), "status", "observedGeneration"); err != nil {
		return err
	}
	return b.Status().Update(ctx, object)
}

// bareStatuses writes the statuses of n workflows once, and says how long that took: about what it takes to record anything of each.
func (b *bench) bareStatuses(n int) time.Duration {
	b.Helper()
	kind := b.bareKind("workflowexecutions", &workflowexecutionv1.WorkflowExecutionList{})
	objects := make([]*unstructured.Unstructured, n)
	check(b.B, each(b.Context(), n, func(ctx context.Context, i int) (err error) {
		if objects[i], err = b.createBare(ctx, kind, i, 0); err == nil {
			err = b.updateBare(ctx, kind, objects[i], 0)
		}
		return err
	}))
	began := time.Now()
	check(b.B, each(b.Context(), n, func(ctx context.Context, i int) error { return b.updateBare(ctx, kind, objects[i], 1) }))
	return time.Since(began)
}

// bareKind copies a kind of ours into a group of its own, and takes the content from an object that the engine has written.
func (b *bench) bareKind(resource string, written client.ObjectList) bareObject {
	b.Helper()
	check(b.B, apiextensionsv1.AddToScheme(b.Scheme()))
	group := strings.TrimSuffix(resource, "s") + ".kubernaut.io"
	ours := &apiextensionsv1.CustomResourceDefinition{}
	check(b.B, b.Get(b.Context(), client.ObjectKey{Name: resource + "." + group}, ours))
	copied := &apiextensionsv1.CustomResourceDefinition{ObjectMeta: metav1.ObjectMeta{Name: resource + "." + bareGroup}, Spec: ours.Spec}
	copied.Spec.Group = bareGroup
	copied.Spec.Names.ShortNames, copied.Spec.Names.Categories = nil, nil
	check(b.B, b.Create(b.Context(), copied))
	kind := schema.GroupVersionKind{Group: bareGroup, Version: copied.Spec.Versions[0].Name, Kind: copied.Spec.Names.Kind}
	ctx, cancel := context.WithTimeout(b.Context(), prepareTimeout)
	defer cancel()
	await(ctx, b.B, "the copy of "+resource+" to be served", func(ctx context.Context) bool {
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(kind)
		return b.List(ctx, list, client.InNamespace(b.made[0])) == nil
	})

	check(b.B, b.List(b.Context(), written, client.InNamespace(b.made[0]), client.Limit(1)))
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(written)
	check(b.B, err)
	items, _, err := unstructured.NestedSlice(content, "items")
	check(b.B, err)
	if len(items) == 0 {
		b.Fatalf("the engine has written no %s", resource)
	}
	item, is := items[0].(map[string]any)
	if !is {
		b.Fatalf("an item of %s is a %T", resource, items[0])
	}
	return bareObject{GroupVersionKind: kind, spec: item["spec"], status: item["status"]}
}

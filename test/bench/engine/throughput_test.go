package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	appsv1 "k8s.io/api/apps/v1"

	kubernetesexecutionv1 "kubernaut.io/kubernaut/api/kubernetesexecution/v1"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
)

const (
	throughputWorkflows = 500
	throughputSteps     = 5
	throughputLimit     = 10 * time.Minute
)

// BenchmarkEngineThroughput carries out 500 workflows of 5 steps, and then has bare clients write as often, with the same
// parallelism and objects of the same size.
func BenchmarkEngineThroughput(b *testing.B) {
	c := begin(b)
	c.targets(throughputWorkflows, throughputSteps)
	workflows := c.follow(&workflowexecutionv1.WorkflowExecutionList{}, &workflowexecutionv1.WorkflowExecution{}, nil)

	first, err := c.metrics.persisted(b.Context())
	check(b, err)
	used := c.used()
	began := time.Now()
	c.start(throughputWorkflows, throughputSteps)
	workflows.until(c, "all workflows to be completed", throughputLimit, c.completed(throughputWorkflows))
	took := time.Since(began)
	last, err := c.metrics.persisted(b.Context())
	check(b, err)
	cost := between(first, last)
	c.reportUsed(used, throughputWorkflows, "", "workflow")

	used = c.used()
	bare := c.bare(cost)
	c.reportUsed(used, throughputWorkflows, "bare-", "workflow")
	b.ReportMetric(throughputWorkflows/took.Seconds(), "workflows/s")
	b.ReportMetric(cost.total()/took.Seconds(), "writes/s")
	b.ReportMetric(cost.total()/bare.Seconds(), "bare-writes/s")
	b.ReportMetric(100*bare.Seconds()/took.Seconds(), "percent")
	b.ReportMetric(cost.total()/throughputWorkflows, "writes/workflow")
	b.ReportMetric(cost.leases/throughputWorkflows, "lease-writes/workflow")
	b.ReportMetric(cost.events/throughputWorkflows, "event-writes/workflow")
}

// completed says whether so many workflows are completed. One that failed ends the benchmark.
func (b *bench) completed(n int) func(map[types.UID]client.Object) bool {
	return func(objects map[types.UID]client.Object) bool {
		done := 0
		for _, object := range objects {
			workflow, is := object.(*workflowexecutionv1.WorkflowExecution)
			if !is || !workflow.Status.Phase.Terminal() {
				continue
			}
			if workflow.Status.Outcome != workflowexecutionv1.OutcomeSuccess {
				b.Fatalf("workflow %s is %s: %s", workflow.Name, workflow.Status.Outcome, workflow.Status.FailureReason)
			}
			done++
		}
		return done >= n
	}
}

// bare writes what the workflows cost: objects of a kind without any admission, of the size of a finished execution.
func (b *bench) bare(cost costs) time.Duration {
	b.Helper()
	kind := b.bareKind()
	spec, status := b.payload()
	creates, updates := int(cost.creates), int(cost.updates+cost.patches)
	targets := int(cost.targets)
	began := time.Now()
	check(b.B, each(b.Context(), creates, func(ctx context.Context, i int) error {
		object := &unstructured.Unstructured{Object: map[string]any{"spec": spec}}
		object.SetGroupVersionKind(kind)
		object.SetNamespace(b.namespaceOf(i))
		object.SetName(fmt.Sprintf("bare-%d", i))
		if err := b.Create(ctx, object); err != nil {
			return err
		}
		for turn := range (updates - i + creates - 1) / creates { // in all, updates of them
			object.Object["status"] = status(turn)
			if err := b.Status().Update(ctx, object); err != nil {
				return err
			}
		}
		if i >= targets {
			return nil
		}
		return b.Patch(ctx, b.bareTarget(i), client.RawPatch(types.JSONPatchType, []byte(
			`[{"op":"replace","path":"/spec/template/spec/containers/0/image","value":"`+before+`"},{"op":"add","path":"/metadata/annotations/bare","value":"1"}]`)))
	}))
	return time.Since(began)
}

func (b *bench) bareTarget(i int) client.Object {
	workflow, step := i/throughputSteps%throughputWorkflows, i%throughputSteps
	return &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: b.namespaceOf(workflow), Name: target(workflow, step)}}
}

// payload is the spec and the status of an execution that has ended; every status differs from the one before.
func (b *bench) payload() (spec any, status func(turn int) any) {
	b.Helper()
	var executions kubernetesexecutionv1.KubernetesExecutionList
	check(b.B, b.List(b.Context(), &executions, client.InNamespace(b.made[0]), client.Limit(1)))
	if len(executions.Items) == 0 {
		b.Fatal("no execution was made")
	}
	data, err := json.Marshal(executions.Items[0])
	check(b.B, err)
	var object map[string]any
	check(b.B, json.Unmarshal(data, &object))
	return object["spec"], func(turn int) any {
		var next map[string]any
		text, err := json.Marshal(object["status"])
		check(b.B, err)
		check(b.B, json.Unmarshal(text, &next))
		next["turn"] = int64(turn)
		return next
	}
}

// bareKind makes a kind that is stored as it is written.
func (b *bench) bareKind() schema.GroupVersionKind {
	b.Helper()
	kind := schema.GroupVersionKind{Group: "bench.example.com", Version: "v1", Kind: "Bare"}
	crd := &apiextensionsv1.CustomResourceDefinition{
		ObjectMeta: metav1.ObjectMeta{Name: "bares." + kind.Group},
		Spec: apiextensionsv1.CustomResourceDefinitionSpec{
			Group: kind.Group, Scope: apiextensionsv1.NamespaceScoped,
			Names: apiextensionsv1.CustomResourceDefinitionNames{Plural: "bares", Singular: "bare", Kind: kind.Kind, ListKind: "BareList"},
			Versions: []apiextensionsv1.CustomResourceDefinitionVersion{{
				Name: kind.Version, Served: true, Storage: true,
				Subresources: &apiextensionsv1.CustomResourceSubresources{Status: &apiextensionsv1.CustomResourceSubresourceStatus{}},
				Schema: &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{
					Type: "object", XPreserveUnknownFields: new(true),
				}},
			}},
		},
	}
	check(b.B, apiextensionsv1.AddToScheme(b.Scheme()))
	check(b.B, b.Create(b.Context(), crd))
	b.Cleanup(func() { check(b.B, b.Delete(context.Background(), crd)) })
	ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
	defer cancel()
	await(ctx, b.B, "the kind to be served", func(ctx context.Context) bool {
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(kind)
		return b.List(ctx, list, client.InNamespace(b.made[0])) == nil
	})
	return kind
}

// BenchmarkEngineWrites counts what workflows of 1, 5 and 20 steps write, one workflow after the other.
func BenchmarkEngineWrites(b *testing.B) {
	for _, steps := range []int{1, 5, 20} {
		b.Run(fmt.Sprint(steps), func(b *testing.B) {
			const workflows = 5
			c := begin(b)
			c.targets(workflows, steps)
			seen := c.follow(&workflowexecutionv1.WorkflowExecutionList{}, &workflowexecutionv1.WorkflowExecution{}, nil)
			first, err := c.metrics.persisted(b.Context())
			check(b, err)
			for i := range workflows {
				check(b, c.Create(b.Context(), c.workflow(i, steps)))
				seen.until(c, "the workflow to be completed", throughputLimit, c.completed(i+1))
			}
			last, err := c.metrics.persisted(b.Context())
			check(b, err)
			cost := between(first, last)
			b.ReportMetric(cost.total()/workflows, "writes/workflow")
			b.ReportMetric(cost.creates/workflows, "creates/workflow")
			b.ReportMetric(cost.updates/workflows, "status-writes/workflow")
			b.ReportMetric(cost.patches/workflows, "patches/workflow")
			b.ReportMetric(cost.targets/workflows, "target-writes/workflow")
			b.ReportMetric(cost.leases/workflows, "lease-writes/workflow")
			b.ReportMetric(cost.events/workflows, "event-writes/workflow")
		})
	}
}

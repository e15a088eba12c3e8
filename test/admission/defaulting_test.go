package admission

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	remediationv1 "kubernaut.io/kubernaut/api/remediation/v1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/controllers/identity"
	"kubernaut.io/kubernaut/test/cluster"
)

func fromYAML(text string) *unstructured.Unstructured {
	GinkgoHelper()
	object := &unstructured.Unstructured{}
	Expect(yaml.UnmarshalStrict([]byte(text), &object.Object)).To(Succeed())
	object.SetNamespace(workNamespace)
	return object
}

var _ = Describe("Defaulting", func() {
	It("completes a RemediationRequest and stamps who sent it", func(ctx SpecContext) {
		created := request("defaults-", func(r *remediationv1.RemediationRequest) {
			r.Spec.Target.Namespace = ""
			r.Annotations = map[string]string{shared.AnnotationRequestedBy: "mallory"}
		})
		Expect(alice.Create(ctx, created)).To(Succeed())
		Expect(created.Annotations).To(HaveKeyWithValue(shared.AnnotationRequestedBy, "alice"))
		Expect(created.Spec.RequestedBy.Username).To(Equal("alice"))
		Expect(created.Spec.RequestedBy.Groups).To(ContainElements("on-call", "system:authenticated"))
		Expect(created.Spec.RequestedBy.Extra).To(HaveKey("authentication.kubernetes.io/credential-id"))
		Expect(created.Spec.Target.Namespace).To(Equal(workNamespace))
		// printf %s KubeDeploymentRolloutStuck:shop:Deployment:cart | sha256sum
		Expect(created.Spec.SignalContext.Fingerprint).To(Equal("5fa8137753b8bcdf9f3576efa241e39d4cc7efef0ac33123d4d53d3a4f04b296"))
		Expect(created.Spec.Mode).To(Equal(shared.ModeRemediate))
	})

	It("leaves a cluster-scoped target without a namespace, and warns about a kind that nobody serves", func(ctx SpecContext) {
		node := request("node-", func(r *remediationv1.RemediationRequest) {
			r.Spec.Target = shared.Target{APIVersion: "v1", Kind: "Node", Name: "worker-1"}
		})
		Expect(alice.Create(ctx, node)).To(Succeed())
		Expect(node.Spec.Target.Namespace).To(BeEmpty())

		warned := warnings{}
		c, err := client.New(warned.listen(aliceConfig), client.Options{Scheme: scheme})
		Expect(err).NotTo(HaveOccurred())
		unknown := request("unknown-", func(r *remediationv1.RemediationRequest) {
			r.Spec.Target = shared.Target{APIVersion: "example.com/v1", Kind: "Widget", Name: "w"}
		})
		Expect(c.Create(ctx, unknown)).To(Succeed())
		Expect(unknown.Spec.Target.Namespace).To(Equal(workNamespace))
		Expect(warned.texts).To(ContainElement(ContainSubstring("does not serve kind Widget of example.com/v1")))
	})

	It("gives a WorkflowExecution the time that its steps may take, and stores durations in one form", func(ctx SpecContext) {
		created := fromYAML(`
apiVersion: workflowexecution.kubernaut.io/v1
kind: WorkflowExecution
metadata: {generateName: times-}
spec:
  workflowDefinition:
    name: repair
    steps:
    - {name: a, timeout: 90s, maxRetries: 1, action: {type: scale-deployment, scaleDeployment: {namespace: shop, name: a, replicas: 1}}}
    - {name: b, dependsOn: [a], action: {type: scale-deployment, scaleDeployment: {namespace: shop, name: b, replicas: 1}}}
`)
		Expect(alice.Create(ctx, created)).To(Succeed())
		timeout, _, err := unstructured.NestedString(created.Object, "spec", "timeouts", "workflow")
		Expect(err).NotTo(HaveOccurred())
		Expect(time.ParseDuration(timeout)).To(Equal(2*90*time.Second + 5*time.Second + 5*time.Minute))
		steps, _, err := unstructured.NestedSlice(created.Object, "spec", "workflowDefinition", "steps")
		Expect(err).NotTo(HaveOccurred())
		Expect(steps[0]).To(HaveKeyWithValue("timeout", "1m30s"))
	})

	It("changes nothing when the same manifest is applied again, in any way", func(ctx SpecContext) {
		manifest := `
apiVersion: workflowexecution.kubernaut.io/v1
kind: WorkflowExecution
metadata: {name: again}
spec:
  stabilizationWindow: 60s
  workflowDefinition:
    name: repair
    steps:
    - {name: a, timeout: 90s, action: {type: scale-deployment, scaleDeployment: {namespace: shop, name: a, replicas: 1}}}
`
		apply := func(object *unstructured.Unstructured) error {
			return alice.Apply(ctx, client.ApplyConfigurationFromUnstructured(object), client.FieldOwner("test"))
		}
		Expect(apply(fromYAML(manifest))).To(Succeed())
		created := fromYAML(manifest)
		Expect(alice.Get(ctx, client.ObjectKeyFromObject(created), created)).To(Succeed())

		Expect(apply(fromYAML(manifest))).To(Succeed())
		again := fromYAML(manifest)
		Expect(alice.Get(ctx, client.ObjectKeyFromObject(again), again)).To(Succeed())
		Expect(again.GetResourceVersion()).To(Equal(created.GetResourceVersion()), "server-side apply")

		replaced := fromYAML(manifest)
		replaced.SetResourceVersion(again.GetResourceVersion())
		Expect(alice.Update(ctx, replaced)).To(Succeed())
		Expect(replaced.GetGeneration()).To(Equal(created.GetGeneration()), "replace")
		Expect(replaced.Object["spec"]).To(Equal(created.Object["spec"]))
		Expect(replaced.GetAnnotations()).To(HaveKeyWithValue(shared.AnnotationRequestedBy, "alice"))
	})

	It("stores what a client with Go types can write back", func(ctx SpecContext) {
		created := fromYAML(`
apiVersion: remediation.kubernaut.io/v1
kind: RemediationRequest
metadata: {generateName: forms-, annotations: {}}
spec:
  signalContext: {name: x, source: "", labels: {}, firingTime: "2026-11-23T09:00:00.5+02:00"}
  target: {apiVersion: apps/v1, kind: Deployment, name: cart}
  ttlAfterFinished: 1440m
  timeouts: {overall: 90m}
`)
		Expect(alice.Create(ctx, created)).To(Succeed())
		typed := &remediationv1.RemediationRequest{}
		Expect(alice.Get(ctx, client.ObjectKeyFromObject(created), typed)).To(Succeed())
		typed.Labels = map[string]string{"team": "shop"}
		Expect(alice.Update(ctx, typed)).To(Succeed())
		Expect(typed.Generation).To(Equal(int64(1)))
	})

	It("leaves what does not decode to the schema, which names the field", func(ctx SpecContext) {
		object := fromYAML(`
apiVersion: workflowexecution.kubernaut.io/v1
kind: WorkflowExecution
metadata: {generateName: garbage-}
spec:
  workflowDefinition:
    name: repair
    steps:
    - {name: a, timeout: soon, action: {type: scale-deployment, scaleDeployment: {namespace: shop, name: a, replicas: 1}}}
`)
		err := alice.Create(ctx, object)
		Expect(err).To(MatchError(ContainSubstring("spec.workflowDefinition.steps[0].timeout")))
		Expect(err).NotTo(MatchError(ContainSubstring("requestedBy")))
	})
})

var _ = Describe("The requester", func() {
	It("cannot be forged", func(ctx SpecContext) {
		Expect(alice.Create(ctx, request("forged-", func(r *remediationv1.RemediationRequest) {
			r.Spec.RequestedBy = shared.Requester{Username: "bob"}
		}))).To(MatchError(ContainSubstring("you are alice; leave requestedBy out")))
		Expect(alice.Create(ctx, workflow("forged-", func(w *workflowexecutionv1.WorkflowExecution) {
			w.Spec.RequestedBy = shared.Requester{Username: "alice", Groups: []string{"system:masters"}}
		}, step("a")))).To(MatchError(ContainSubstring("they are not your groups")))
	})

	It("never changes, and neither does the annotation", func(ctx SpecContext) {
		created := workflow("stamped-", nil, step("a"))
		Expect(alice.Create(ctx, created)).To(Succeed())
		patch := func(text string) error {
			return alice.Patch(ctx, created.DeepCopy(), client.RawPatch(types.MergePatchType, []byte(text)))
		}
		Expect(patch(`{"spec":{"requestedBy":{"username":"bob"}}}`)).To(MatchError(ContainSubstring("spec.requestedBy")))
		Expect(patch(`{"metadata":{"annotations":{"kubernaut.io/requested-by":"bob"}}}`)).To(MatchError(ContainSubstring("nobody changes it")))
		Expect(patch(`{"metadata":{"annotations":{"kubernaut.io/requested-by":null}}}`)).To(Succeed())
		Expect(alice.Get(ctx, client.ObjectKeyFromObject(created), created)).To(Succeed())
		Expect(created.Annotations).To(HaveKeyWithValue(shared.AnnotationRequestedBy, "alice"))
		Expect(patch(`{"metadata":{"annotations":{"note":"mine"},"labels":{"team":"shop"}}}`)).To(Succeed())
	})

	It("is named by the orchestrator, and by nobody else, for a workflow that serves a request", func(ctx SpecContext) {
		asked := &remediationv1.RemediationRequest{}
		Expect(admin.Get(ctx, client.ObjectKey{Namespace: workNamespace, Name: fixture}, asked)).To(Succeed())
		child := func() *workflowexecutionv1.WorkflowExecution { return serving(asked, step("a")) }
		Expect(alice.Create(ctx, child())).To(MatchError(ContainSubstring("you are alice")))
		unforged := child()
		unforged.Spec.RequestedBy = shared.Requester{}
		Expect(alice.Create(ctx, unforged)).To(MatchError(ContainSubstring("creates a workflow that serves a RemediationRequest; you are alice")))

		grantControllers(ctx)
		config, err := cluster.TokenConfig(adminConfig, operatorNamespace, identity.RemediationRequest)
		Expect(err).NotTo(HaveOccurred())
		orchestrator := clientOf(config)
		created := child()
		Expect(orchestrator.Create(ctx, created)).To(Succeed())
		Expect(created.Spec.RequestedBy).To(Equal(somebody))
		Expect(created.Annotations).To(HaveKeyWithValue(shared.AnnotationRequestedBy, identity.Username(operatorNamespace, identity.RemediationRequest)))
		other := child()
		other.Spec.RequestedBy = shared.Requester{Username: "alice", Groups: []string{"on-call"}}
		Expect(orchestrator.Create(ctx, other)).To(MatchError(ContainSubstring("is who made that request")))

		own := request("own-", func(r *remediationv1.RemediationRequest) { r.Spec.RequestedBy = shared.Requester{Username: "bob"} })
		Expect(orchestrator.Create(ctx, own)).To(MatchError(ContainSubstring("leave requestedBy out")))
	})
})

var _ = Describe("What the webhooks do not guard", func() {
	It("skips them, so that finalizers go when no manager is there", func(ctx SpecContext) {
		created := workflow("finalized-", func(w *workflowexecutionv1.WorkflowExecution) {
			w.Finalizers = []string{shared.FinalizerWorkflowExecution}
		}, step("a"))
		Expect(alice.Create(ctx, created)).To(Succeed())
		webhooksGone(ctx, func() {
			Expect(alice.Patch(ctx, created, client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"labels":{"team":"shop"}}}`)))).To(Succeed())
			Expect(alice.Patch(ctx, created, client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"annotations":{"kubernaut.io/requested-by":"x"}}}`)))).
				To(MatchError(ContainSubstring("failed calling webhook")))
			Expect(alice.Delete(ctx, created)).To(Succeed())
			Expect(alice.Patch(ctx, created, client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`)))).To(Succeed())
			err := alice.Get(ctx, client.ObjectKeyFromObject(created), created)
			Expect(client.IgnoreNotFound(err)).To(Succeed())
			Expect(err).To(HaveOccurred())
		})
	})
})

package actions

import (
	"context"
	"fmt"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubernetesexecutionv1 "kubernaut.io/kubernaut/api/kubernetesexecution/v1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/controllers/kubernetesexecution"
	"kubernaut.io/kubernaut/controllers/kubernetesexecution/actions"
	"kubernaut.io/kubernaut/controllers/kubernetesexecution/effects"
	"kubernaut.io/kubernaut/controllers/machinery"
	"kubernaut.io/kubernaut/test/builders"
	"kubernaut.io/kubernaut/test/invariants"
)

// verdict is a gate that always says the same, and remembers what it was asked.
type verdict struct {
	says  shared.Verdict
	err   error
	asked []kubernetesexecution.JudgeRequest
}

func (v *verdict) Judge(_ context.Context, question kubernetesexecution.JudgeRequest) (shared.Decision, error) {
	v.asked = append(v.asked, question)
	if v.err != nil {
		return shared.Decision{}, v.err
	}
	decision := shared.Decision{ID: "decision-1", Verdict: v.says}
	if v.says != shared.VerdictAllow {
		decision.Rules = []shared.FiredRule{{Policy: "test", Effect: shared.EffectDeny, Code: "no", Message: "not today"}}
	}
	return decision, nil
}

// example is one action on a target of its own.
type example struct {
	name   string
	target func(namespace string) client.Object
	action func(namespace string) shared.Action
	// field is what the action changes, and its value before and after.
	field         []string
	before, after any
	// foreign is a value that somebody else might give it.
	foreign any
	// history makes what else must be there.
	history func(ctx context.Context, target client.Object)
}

const (
	oldImage, newImage, foreignImage = "registry.example.com/shop/cart:1", "registry.example.com/shop/cart:2", "registry.example.com/shop/cart:9"
	oldMemory, newMemory             = "512Mi", "1Gi"
)

func podTemplate() corev1.PodTemplateSpec {
	template := builders.Deployment("", "cart", oldImage).Spec.Template
	template.Spec.Containers[0].Resources.Limits = corev1.ResourceList{corev1.ResourceMemory: resource.MustParse(oldMemory)}
	return template
}

func memoryOf(kind shared.WorkloadKind) func(string) shared.Action {
	return func(namespace string) shared.Action {
		action := builders.IncreaseMemory("", namespace, "cart", "", newMemory).Action
		action.IncreaseResources.Kind = kind
		return action
	}
}

func imageOf(kind shared.WorkloadKind) func(string) shared.Action {
	return func(namespace string) shared.Action {
		action := builders.UpdateImage("", namespace, "cart", newImage).Action
		action.UpdateImage.Kind = kind
		return action
	}
}

func deployment(namespace string) client.Object {
	built := builders.Deployment(namespace, "cart", oldImage).Replicas(2).Deployment
	built.Spec.Template = podTemplate()
	return built
}

func selector() *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchLabels: map[string]string{"app": "cart"}}
}

func statefulSet(namespace string) client.Object {
	return &appsv1.StatefulSet{
		TypeMeta: metav1.TypeMeta{APIVersion: "apps/v1", Kind: "StatefulSet"}, ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "cart"},
		Spec: appsv1.StatefulSetSpec{Selector: selector(), Template: podTemplate()},
	}
}

func daemonSet(namespace string) client.Object {
	return &appsv1.DaemonSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "cart"},
		Spec:       appsv1.DaemonSetSpec{Selector: selector(), Template: podTemplate()},
	}
}

// examples are the actions that change a workload and can be undone.
func examples() []example {
	image := []string{"spec", "template", "spec", "containers", "0", "image"}
	memory := []string{"spec", "template", "spec", "containers", "0", "resources", "limits", "memory"}
	imageExample := func(name string, target func(string) client.Object, action func(string) shared.Action) example {
		return example{name: name, target: target, action: action, field: image, before: oldImage, after: newImage, foreign: foreignImage}
	}
	memoryExample := func(name string, target func(string) client.Object, action func(string) shared.Action) example {
		return example{name: name, target: target, action: action, field: memory, before: oldMemory, after: newMemory, foreign: "3Gi"}
	}
	back := imageExample("rollback-deployment", deployment, func(namespace string) shared.Action { return builders.RollBack("", namespace, "cart").Action })
	back.history = makeHistory
	return []example{
		{
			name: "scale-deployment", target: deployment, field: []string{"spec", "replicas"}, before: int64(2), after: int64(5), foreign: int64(9),
			action: func(namespace string) shared.Action { return builders.Scale("", namespace, "cart", 5).Action },
		},
		back,
		imageExample("update-image of a Deployment", deployment, imageOf(shared.WorkloadDeployment)),
		imageExample("update-image of a StatefulSet", statefulSet, imageOf(shared.WorkloadStatefulSet)),
		imageExample("update-image of a DaemonSet", daemonSet, imageOf(shared.WorkloadDaemonSet)),
		memoryExample("increase-resources of a Deployment", deployment, memoryOf(shared.WorkloadDeployment)),
		memoryExample("increase-resources of a StatefulSet", statefulSet, memoryOf(shared.WorkloadStatefulSet)),
		memoryExample("increase-resources of a DaemonSet", daemonSet, memoryOf(shared.WorkloadDaemonSet)),
	}
}

// makeHistory makes the ReplicaSets that the Deployment controller would have left: the previous one has the image that the
// rollback leads back to.
func makeHistory(ctx context.Context, target client.Object) {
	GinkgoHelper()
	owner, ok := target.(*appsv1.Deployment)
	Expect(ok).To(BeTrue())
	for revision, image := range map[string]string{"1": newImage, "2": oldImage} {
		template := *owner.Spec.Template.DeepCopy()
		template.Labels["pod-template-hash"] = "hash" + revision
		template.Spec.Containers[0].Image = image
		Expect(admin.Create(ctx, &appsv1.ReplicaSet{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: owner.Namespace, Name: "cart-" + revision, Labels: template.Labels,
				Annotations:     map[string]string{"deployment.kubernetes.io/revision": revision},
				OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(owner, appsv1.SchemeGroupVersion.WithKind("Deployment"))},
			},
			Spec: appsv1.ReplicaSetSpec{
				Replicas: new(int32(0)), Selector: &metav1.LabelSelector{MatchLabels: template.Labels}, Template: template,
			},
		})).To(Succeed())
	}
}

// scene is one execution of an example, with its workflow and its target.
type scene struct {
	example
	namespace string
	action    shared.Action
	execution *kubernetesexecutionv1.KubernetesExecution
	gate      *verdict
	recorder  *events.FakeRecorder
	// ahead is how much later it is for the controller than it is.
	ahead time.Duration
}

// laterClock is ahead of the time.
type laterClock struct {
	clock.RealClock

	ahead time.Duration
}

func (c laterClock) Now() time.Time                  { return c.RealClock.Now().Add(c.ahead) }
func (c laterClock) Since(t time.Time) time.Duration { return c.Now().Sub(t) }

// set makes the target, a workflow of one step, and its execution.
func set(ctx context.Context, e example) *scene {
	GinkgoHelper()
	s := &scene{example: e, namespace: newNamespace(ctx), gate: &verdict{says: shared.VerdictAllow}, recorder: events.NewFakeRecorder(10)}
	s.action = e.action(s.namespace)
	var expected *kubernetesexecutionv1.ExpectedTarget
	if e.target != nil {
		target := e.target(s.namespace)
		Expect(admin.Create(ctx, target)).To(Succeed())
		if e.history != nil {
			e.history(ctx, target)
		}
		expected = &kubernetesexecutionv1.ExpectedTarget{UID: target.GetUID(), Generation: target.GetGeneration()}
	}
	s.execution = s.newExecution(ctx, "w", expected)
	return s
}

func (s *scene) newExecution(ctx context.Context, name string, expected *kubernetesexecutionv1.ExpectedTarget) *kubernetesexecutionv1.KubernetesExecution {
	GinkgoHelper()
	workflow := builders.Workflow(s.namespace, name, shared.Step{Name: "step", Action: s.action}).WorkflowExecution
	workflow.Spec.RequestedBy = shared.Requester{Username: "jane"}
	Expect(admin.Create(ctx, workflow)).To(Succeed())
	s.action = workflow.Spec.WorkflowDefinition.Steps[0].Action
	execution := &kubernetesexecutionv1.KubernetesExecution{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: s.namespace, Name: shared.ExecutionName(name, 0, 1),
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(workflow, workflowexecutionv1.GroupVersion.WithKind("WorkflowExecution"))},
		},
		Spec: kubernetesexecutionv1.KubernetesExecutionSpec{
			WorkflowExecutionRef: shared.ObjectReference{Name: workflow.Name, UID: workflow.UID},
			StepName:             "step", Attempt: 1, Purpose: kubernetesexecutionv1.PurposeExecute, Action: &s.action,
			ExpectedTarget: expected, PlanDigest: strings.Repeat("0", 64),
		},
	}
	Expect(admin.Create(ctx, execution)).To(Succeed())
	return execution
}

func (s *scene) reconciler() *kubernetesexecution.Reconciler { return s.reconcilerWith(made) }

func (s *scene) reconcilerWith(e *effects.Effects) *kubernetesexecution.Reconciler {
	return &kubernetesexecution.Reconciler{Clients: controllerClient, Effects: e, Gate: s.gate, Recorder: s.recorder, Clock: laterClock{ahead: s.ahead}}
}

// reconcile runs one reconcile and reads what it left.
func (s *scene) reconcile(ctx context.Context) (ctrl.Result, error) {
	GinkgoHelper()
	return s.reconcileBy(ctx, s.reconciler())
}

func (s *scene) reconcileBy(ctx context.Context, r *kubernetesexecution.Reconciler) (ctrl.Result, error) {
	GinkgoHelper()
	result, err := r.Reconcile(ctx, requestFor(s.execution))
	s.refresh(ctx)
	Expect(invariants.Check(s.execution)).To(Succeed())
	return result, err
}

func requestFor(object client.Object) ctrl.Request {
	return ctrl.Request{NamespacedName: client.ObjectKeyFromObject(object)}
}

func (s *scene) refresh(ctx context.Context) {
	GinkgoHelper()
	Expect(admin.Get(ctx, client.ObjectKeyFromObject(s.execution), s.execution)).To(Succeed())
}

// run reconciles without error.
func (s *scene) run(ctx context.Context) ctrl.Result {
	GinkgoHelper()
	result, err := s.reconcile(ctx)
	Expect(err).NotTo(HaveOccurred())
	return result
}

// later reconciles when the controller does not wait any more for the cluster to take an effect up before it records it.
func (s *scene) later(ctx context.Context) ctrl.Result {
	GinkgoHelper()
	s.ahead = soon
	defer func() { s.ahead = 0 }()
	return s.run(ctx)
}

// live is the target as it is.
func (s *scene) live(ctx context.Context) *unstructured.Unstructured {
	GinkgoHelper()
	live := &unstructured.Unstructured{}
	typed := s.target(s.namespace)
	gvk, err := admin.GroupVersionKindFor(typed)
	Expect(err).NotTo(HaveOccurred())
	live.SetGroupVersionKind(gvk)
	Expect(admin.Get(ctx, client.ObjectKeyFromObject(typed), live)).To(Succeed())
	return live
}

// value is what the action changes, as it is.
func (s *scene) value(live *unstructured.Unstructured) any {
	GinkgoHelper()
	return s.at(live, s.field)
}

func (*scene) at(live *unstructured.Unstructured, path []string) any {
	GinkgoHelper()
	var value any = live.Object
	for _, key := range path {
		switch v := value.(type) {
		case map[string]any:
			value = v[key]
		case []any:
			value = v[0]
		default:
			Fail(fmt.Sprintf("nothing at %s", key))
		}
	}
	return value
}

// observe does what the workload's controller would do at the least.
func (s *scene) observe(ctx context.Context) {
	GinkgoHelper()
	live := s.live(ctx)
	Expect(unstructured.SetNestedField(live.Object, live.GetGeneration(), "status", "observedGeneration")).To(Succeed())
	Expect(admin.Status().Update(ctx, live)).To(Succeed())
}

// intend records the intent of the execution as the reconciler does, and stops there: the manager crashed.
func (s *scene) intend(ctx context.Context) *effects.Preparation {
	GinkgoHelper()
	preparation, err := made.Prepare(ctx, effects.Request{
		Action: &s.action, Occasion: s.occasion(ctx), Expected: s.execution.Spec.ExpectedTarget, DryRun: true,
	})
	Expect(err).NotTo(HaveOccurred())
	s.recordIntent(ctx, preparation)
	return preparation
}

// recordIntent writes the status that the reconciler writes before the effect.
func (s *scene) recordIntent(ctx context.Context, preparation *effects.Preparation) {
	GinkgoHelper()
	status, now := &s.execution.Status, metav1.Now()
	status.Phase, status.StartedAt = kubernetesexecutionv1.PhaseExecuting, &now
	status.Inverse, status.DryRun = preparation.Inverse, preparation.DryRun
	status.Decision = &shared.Decision{Verdict: shared.VerdictAllow}
	conditions := machinery.ConditionsOf(&status.Conditions, s.execution.Generation, now)
	conditions.Progressing(kubernetesexecution.ReasonExecuting, "the intent is recorded")
	Expect(admin.Status().Update(ctx, s.execution)).To(Succeed())
}

// occasion is what the execution is done for.
func (s *scene) occasion(ctx context.Context) actions.Occasion {
	GinkgoHelper()
	workflow := &workflowexecutionv1.WorkflowExecution{}
	Expect(admin.Get(ctx, client.ObjectKey{Namespace: s.namespace, Name: s.execution.Spec.WorkflowExecutionRef.Name}, workflow)).To(Succeed())
	return actions.OccasionOf(workflow, 0)
}

func (s *scene) apply(ctx context.Context, p *effects.Preparation) (effects.Effect, error) {
	return made.Apply(ctx, effects.ApplyRequest{Action: &s.action, Execution: s.execution, Live: p.Live, Changes: p.Changes})
}

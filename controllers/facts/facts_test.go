package facts

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	aianalysisv1 "kubernaut.io/kubernaut/api/aianalysis/v1"
	kubernetesexecutionv1 "kubernaut.io/kubernaut/api/kubernetesexecution/v1"
	safetyv1alpha1 "kubernaut.io/kubernaut/api/safety/v1alpha1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/controllers/kubernetesexecution"
	"kubernaut.io/kubernaut/controllers/kubernetesexecution/effects"
	"kubernaut.io/kubernaut/policies/gate"
)

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

func testScheme(t *testing.T) *runtime.Scheme {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		clientgoscheme.AddToScheme, aianalysisv1.AddToScheme, workflowexecutionv1.AddToScheme, kubernetesexecutionv1.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	return scheme
}

func cacheOf(t *testing.T, objects ...client.Object) client.WithWatch {
	t.Helper()
	return fake.NewClientBuilder().WithScheme(testScheme(t)).WithObjects(objects...).
		WithIndex(&autoscalingv2.HorizontalPodAutoscaler{}, indexScaled, scaledBy).Build()
}

// world is a step and what is around it: shop/cart is scaled from 4 to 1 by a workflow of the request r.
type world struct {
	question kubernetesexecution.JudgeRequest
	objects  []client.Object
	activity *Activity
	clock    *clocktesting.FakePassiveClock
}

func newWorld() *world {
	clock := clocktesting.NewFakePassiveClock(noon)
	live := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apps/v1", "kind": "Deployment",
		"metadata": map[string]any{"namespace": "shop", "name": "cart", "uid": "cart-1", "generation": int64(7)},
		"spec": map[string]any{
			"replicas": int64(4),
			"template": map[string]any{"metadata": map[string]any{"labels": map[string]any{"app": "cart"}}},
		},
		"status": map[string]any{"replicas": int64(4), "observedGeneration": int64(7)},
	}}
	target := &shared.Target{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "shop", Name: "cart"}
	down := []shared.FieldChange{{Path: "/spec/replicas", Before: raw("4"), After: raw("1")}}
	workflow := &workflowexecutionv1.WorkflowExecution{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "r-workflow", UID: "workflow-1"},
		Spec: workflowexecutionv1.WorkflowExecutionSpec{
			RemediationRequestRef: &shared.ObjectReference{Name: "r", UID: "request-1"},
			RequestedBy:           shared.Requester{Username: "prometheus", Groups: []string{"system:authenticated"}},
			Mode:                  shared.ModeRemediate,
			WorkflowDefinition: &shared.WorkflowDefinition{Name: "down", Version: "1", Steps: []shared.Step{{
				Name: "scale", Action: scaleTo("shop", "cart", 1),
			}}},
		},
		Status: workflowexecutionv1.WorkflowExecutionStatus{Plan: &workflowexecutionv1.Plan{
			Strategy: workflowexecutionv1.StrategySequential, Batches: []workflowexecutionv1.Batch{{0}}, Digest: "d",
			EstimatedDuration: &metav1.Duration{Duration: 10 * time.Second},
			Targets:           []workflowexecutionv1.PlannedTarget{{Target: *target, UID: "cart-1", Generation: 7}},
		}},
	}
	return &world{
		clock: clock, activity: NewActivity(clock),
		question: kubernetesexecution.JudgeRequest{
			Stage: safetyv1alpha1.StageStep, Workflow: workflow, Attempt: 1,
			Preparation: &effects.Preparation{
				Target: target, Live: live, Changes: down, DryRun: down, Result: live, RollbackProven: new(true),
				Inverse: &kubernetesexecutionv1.Inverse{Target: target, UID: "cart-1", Fields: down},
			},
		},
		objects: []client.Object{
			&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop", Labels: map[string]string{shared.LabelEnvironment: "production"}}},
			node("a", true, false), node("b", true, true), node("c", false, false),
			&aianalysisv1.AIAnalysis{
				ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "r-analysis"},
				Spec: aianalysisv1.AIAnalysisSpec{
					RemediationRequestRef: shared.ObjectReference{Name: "r", UID: "request-1"},
					SignalContext:         shared.SignalContext{Name: "Stuck", Severity: shared.SeverityCritical},
					Classification:        shared.Classification{Environment: "production", Priority: "P0", BusinessUnit: "retail"},
				},
				Status: aianalysisv1.AIAnalysisStatus{ConfidencePercent: new(int32(90)), Provider: "playbook"},
			},
		},
	}
}

func raw(text string) *apiextensionsv1.JSON { return &apiextensionsv1.JSON{Raw: []byte(text)} }

func scaleTo(namespace, name string, n int32) shared.Action {
	return shared.Action{
		Type: shared.ActionScaleDeployment, ScaleDeployment: &shared.ScaleDeployment{Namespace: namespace, Name: name, Replicas: &n},
	}
}

func node(name string, ready, cordoned bool) *corev1.Node {
	status := corev1.ConditionFalse
	if ready {
		status = corev1.ConditionTrue
	}
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.NodeSpec{Unschedulable: cordoned},
		Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: status}}},
	}
}

func (w *world) live() *unstructured.Unstructured { return w.question.Preparation.Live }

func (w *world) add(objects ...client.Object) { w.objects = append(w.objects, objects...) }

func (w *world) facts(t *testing.T) *Facts {
	t.Helper()
	return &Facts{Cache: cacheOf(t, w.objects...), Activity: w.activity, Clock: w.clock}
}

func (w *world) input(t *testing.T) *gate.Input {
	t.Helper()
	input, err := w.facts(t).Input(t.Context(), w.question)
	if err != nil {
		t.Fatal(err)
	}
	return input
}

func missing(input *gate.Input) []string {
	paths := []string{}
	for _, fact := range input.Missing {
		if fact.Reason == "" {
			paths = append(paths, fact.Path+" without a reason")
		}
		paths = append(paths, fact.Path)
	}
	return paths
}

func wantMissing(t *testing.T, input *gate.Input, want ...string) {
	t.Helper()
	if diff := cmp.Diff(append([]string{}, want...), missing(input)); diff != "" {
		t.Errorf("missing (-want +got):\n%s", diff)
	}
}

func same(t *testing.T, what string, want, got any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// nulls are the paths of the leaves that are null.
func nulls(path string, value any) []string {
	switch value := value.(type) {
	case nil:
		return []string{path}
	case map[string]any:
		var found []string
		for name, member := range value {
			found = append(found, nulls(strings.TrimPrefix(path+"."+name, "."), member)...)
		}
		slices.Sort(found)
		return found
	default:
		return nil
	}
}

func TestNothingIsNullThatCanBeRead(t *testing.T) {
	w := newWorld()
	w.add(autoscaler("cart", "apps/v1", "Deployment", "cart"))
	w.live().SetAnnotations(map[string]string{argoCDTracking: "shop:apps/Deployment:shop/cart"})
	input := w.input(t)
	wantMissing(t, input)
	text, err := json.Marshal(input)
	if err != nil {
		t.Fatal(err)
	}
	var document map[string]any
	if err := json.Unmarshal(text, &document); err != nil {
		t.Fatal(err)
	}
	same(t, "nulls", []string(nil), nulls("", document))
}

func TestTheSurroundings(t *testing.T) {
	input := newWorld().input(t)
	same(t, "namespace", gate.Namespace{
		Name: new("shop"), Labels: map[string]string{shared.LabelEnvironment: "production"}, Annotations: map[string]string{},
	}, input.Namespace)
	same(t, "nodes", gate.Nodes{Total: new(3), Ready: new(2), Unschedulable: new(1), Schedulable: new(1)}, input.Cluster.Nodes)
	same(t, "requester", gate.Requester{Username: new("prometheus"), Groups: []string{"system:authenticated"}}, input.Requester)
	same(t, "remediation", gate.Remediation{
		Present: new(true), Request: gate.Request{Name: new("r"), UID: new("request-1")}, Signal: new("Stuck"), Severity: new("critical"),
		Classification: gate.RemediationClassification{
			Environment: new("production"), Priority: new("P0"), BusinessUnit: new("retail"),
		},
		RecoveryAttempt: new(int32(0)), ConfidencePercent: new(int32(90)), Provider: new("playbook"),
	}, input.Remediation)
	same(t, "drift", gate.Drift{
		Expected: gate.Identity{UID: new("cart-1"), Generation: new(int64(7))}, Found: gate.Identity{UID: new("cart-1"), Generation: new(int64(7))},
	}, input.Target.Drift)
	same(t, "hpa", gate.HPA{Present: new(false)}, input.Target.HPA)
	same(t, "gitops", gate.GitOps{Managed: new(false)}, input.Target.GitOps)
	same(t, "pdbs", []gate.PDB{}, input.Target.PDBs)
	same(t, "owners", []shared.OwnedObject{}, input.Target.Owners)
	same(t, "executions", gate.Executions{Target: []gate.PastExecution{}, Namespace: []gate.PastExecution{}}, input.Cluster.Executions)
	same(t, "plan", gate.Plan{Batches: [][]int{{0}}, EstimatedDuration: new("10s"), Digest: new("d")}, input.Plan)
	same(t, "reversibility", new("Yes"), input.Step.Reversibility)
}

func TestAWorkflowThatAPersonStartedHasNoRemediationAndMissesNothing(t *testing.T) {
	w := newWorld()
	w.question.Workflow.Spec.RemediationRequestRef = nil
	input := w.input(t)
	same(t, "remediation", gate.Remediation{Present: new(false)}, input.Remediation)
	wantMissing(t, input)
}

func TestWhatIsNotThereIsNullAndNamed(t *testing.T) {
	for sentence, test := range map[string]struct {
		change func(*world)
		want   []string
	}{
		"the analysis is gone": {
			change: func(w *world) { w.drop("r-analysis") }, want: []string{"remediation"},
		},
		"the analysis of another request": {
			change: func(w *world) { w.question.Workflow.Spec.RemediationRequestRef.UID = "request-2" }, want: []string{"remediation"},
		},
		"an analysis that says nothing": {
			change: func(w *world) {
				analysis := w.object("r-analysis").(*aianalysisv1.AIAnalysis) //nolint:errcheck,forcetypeassert // it is one
				analysis.Spec.Classification, analysis.Status = shared.Classification{}, aianalysisv1.AIAnalysisStatus{}
			},
			want: []string{"remediation.classification", "remediation.confidencePercent", "remediation.provider"},
		},
		"no plan": {
			change: func(w *world) { w.question.Workflow.Status.Plan = nil }, want: []string{"plan", "target.drift.expected"},
		},
		"no requester": {
			change: func(w *world) { w.question.Workflow.Spec.RequestedBy = shared.Requester{} }, want: []string{"requester"},
		},
		"the namespace is gone": {change: func(w *world) { w.drop("shop") }, want: []string{"namespace"}},
		"nobody watches": {
			change: func(w *world) { w.activity = nil }, want: []string{"cluster.activeWorkflows", "cluster.executions"},
		},
		"an action that is not in the catalogue": {
			change: func(w *world) { w.question.Workflow.Spec.WorkflowDefinition.Steps[0].Action.Type = "drain-node" },
			want:   []string{"step.reversibility"},
		},
		"no dry run": {
			change: func(w *world) {
				w.question.Preparation.DryRun, w.question.Preparation.RollbackProven = nil, nil
				w.question.Preparation.DryRunUnsupported = "a webhook has side effects"
				w.question.Preparation.Result = nil
			},
			want: []string{"impact.changes", "rollback.proven"},
		},
		"no live target": {
			change: func(w *world) { w.question.Preparation.Live = nil },
			want: []string{
				"target.object", "target.drift.found", "target.owners", "target.gitops", "target.hpa", "target.pdbs",
				"impact.podsAffected", "impact.podsAffectedPercent", "cluster.executions.target",
			},
		},
		"a target that has no pods": {
			change: func(w *world) { w.live().SetAPIVersion("example.com/v1") },
			want:   []string{"target.pdbs", "impact.podsAffected", "impact.podsAffectedPercent"},
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			w := newWorld()
			test.change(w)
			wantMissing(t, w.input(t), test.want...)
		})
	}
}

func (w *world) drop(name string) {
	w.objects = slices.DeleteFunc(w.objects, func(o client.Object) bool { return o.GetName() == name })
}

func (w *world) object(name string) client.Object {
	return w.objects[slices.IndexFunc(w.objects, func(o client.Object) bool { return o.GetName() == name })]
}

// failing is a cache that cannot be read.
type failing struct{ client.Reader }

var errCache = errors.New("the cache has not synced")

func (failing) Get(context.Context, client.ObjectKey, client.Object, ...client.GetOption) error {
	return errCache
}

func (failing) List(context.Context, client.ObjectList, ...client.ListOption) error { return errCache }

func TestACacheThatFailsLeavesItsFactsNullAndNamed(t *testing.T) {
	w := newWorld()
	known := w.facts(t)
	known.Cache = failing{}
	input, err := known.Input(t.Context(), w.question)
	if err != nil {
		t.Fatal(err)
	}
	wantMissing(t, input, "target.hpa", "target.pdbs", "namespace", "remediation", "cluster.nodes")
	for _, fact := range input.Missing {
		if !strings.Contains(fact.Reason, errCache.Error()) {
			t.Errorf("%s: the reason is %q", fact.Path, fact.Reason)
		}
	}
	same(t, "hpa", gate.HPA{}, input.Target.HPA)
	same(t, "pdbs", []gate.PDB(nil), input.Target.PDBs)
	same(t, "nodes", gate.Nodes{}, input.Cluster.Nodes)
	same(t, "namespace", gate.Namespace{}, input.Namespace)
	same(t, "request", gate.Request{Name: new("r"), UID: new("request-1")}, input.Remediation.Request)
}

func TestANotificationHasNoTargetAndMissesNothing(t *testing.T) {
	w := newWorld()
	w.question.Workflow.Spec.WorkflowDefinition.Steps[0].Action = shared.Action{
		Type: shared.ActionNotifyOnly, NotifyOnly: &shared.NotifyOnly{Message: "hello"},
	}
	w.question.Preparation = &effects.Preparation{Inverse: &kubernetesexecutionv1.Inverse{AbsentReason: "changes no object"}}
	input := w.input(t)
	wantMissing(t, input)
	same(t, "target", gate.Target{}, input.Target)
	same(t, "impact", gate.Impact{Changes: []gate.Change{}, PodsAffected: new(int32(0)), PodsAffectedPercent: new(int32(0))}, input.Impact)
	same(t, "executions", gate.Executions{}, input.Cluster.Executions)
}

func TestAStepThatIsNotThereIsAnError(t *testing.T) {
	w := newWorld()
	w.question.StepIndex = 1
	if _, err := w.facts(t).Input(t.Context(), w.question); err == nil {
		t.Error("want an error")
	}
}

func TestTheFirstExpectationIsThatOfTheExecution(t *testing.T) {
	w := newWorld()
	w.question.Expected = &kubernetesexecutionv1.ExpectedTarget{UID: "cart-1", Generation: 9}
	same(t, "expected", gate.Identity{UID: new("cart-1"), Generation: new(int64(9))}, w.input(t).Target.Drift.Expected)
}

func autoscaler(name, apiVersion, kind, target string) *autoscalingv2.HorizontalPodAutoscaler {
	return &autoscalingv2.HorizontalPodAutoscaler{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name},
		Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
			ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: apiVersion, Kind: kind, Name: target},
			MinReplicas:    new(int32(2)), MaxReplicas: 9,
		},
	}
}

func TestTheAutoscalerIsTheOneThatScalesTheTarget(t *testing.T) {
	present := func(name string) gate.HPA {
		return gate.HPA{Present: new(true), Name: &name, MinReplicas: new(int32(2)), MaxReplicas: new(int32(9))}
	}
	unset := autoscaler("unset", "apps/v1", "Deployment", "cart")
	unset.Spec.MinReplicas = nil
	elsewhere := autoscaler("elsewhere", "apps/v1", "Deployment", "cart")
	elsewhere.Namespace = "other"
	for sentence, test := range map[string]struct {
		hpas  []client.Object
		owner *metav1.OwnerReference
		want  gate.HPA
	}{
		"its own":                  {hpas: []client.Object{autoscaler("h", "apps/v1", "Deployment", "cart")}, want: present("h")},
		"of another version":       {hpas: []client.Object{autoscaler("h", "apps/v1beta2", "Deployment", "cart")}, want: present("h")},
		"of another group":         {hpas: []client.Object{autoscaler("h", "example.com/v1", "Deployment", "cart")}, want: gate.HPA{Present: new(false)}},
		"of another kind":          {hpas: []client.Object{autoscaler("h", "apps/v1", "StatefulSet", "cart")}, want: gate.HPA{Present: new(false)}},
		"of another workload":      {hpas: []client.Object{autoscaler("h", "apps/v1", "Deployment", "card")}, want: gate.HPA{Present: new(false)}},
		"of another namespace":     {hpas: []client.Object{elsewhere}, want: gate.HPA{Present: new(false)}},
		"the first by name of two": {hpas: []client.Object{autoscaler("i", "apps/v1", "Deployment", "cart"), autoscaler("h", "apps/v1", "Deployment", "cart")}, want: present("h")},
		"of its owner": {
			hpas:  []client.Object{autoscaler("h", "argoproj.io/v1alpha1", "Rollout", "cart")},
			owner: &metav1.OwnerReference{APIVersion: "argoproj.io/v1alpha1", Kind: "Rollout", Name: "cart", UID: "rollout-1", Controller: new(true)},
			want:  present("h"),
		},
		"without a minimum it is one": {
			hpas: []client.Object{unset}, want: gate.HPA{Present: new(true), Name: new("unset"), MinReplicas: new(int32(1)), MaxReplicas: new(int32(9))},
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			w := newWorld()
			w.add(test.hpas...)
			if test.owner != nil {
				w.live().SetOwnerReferences([]metav1.OwnerReference{*test.owner})
			}
			same(t, "hpa", test.want, w.input(t).Target.HPA)
		})
	}
	if keys := scaledBy(&corev1.Pod{}); keys != nil {
		t.Errorf("a Pod has the keys %v", keys)
	}
}

func budget(name string, selector *metav1.LabelSelector) *policyv1.PodDisruptionBudget {
	return &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, Generation: 1},
		Spec:       policyv1.PodDisruptionBudgetSpec{Selector: selector},
		Status: policyv1.PodDisruptionBudgetStatus{
			ObservedGeneration: 1, DisruptionsAllowed: 1, CurrentHealthy: 4, DesiredHealthy: 3, ExpectedPods: 4,
		},
	}
}

func TestTheBudgetsAreThoseThatSelectThePods(t *testing.T) {
	w := newWorld()
	app := func(name string) *metav1.LabelSelector {
		return &metav1.LabelSelector{MatchLabels: map[string]string{"app": name}}
	}
	elsewhere := budget("elsewhere", app("cart"))
	elsewhere.Namespace = "other"
	w.add(budget("own", app("cart")), budget("all", &metav1.LabelSelector{}), budget("none", nil), budget("foreign", app("pay")), elsewhere)
	input := w.input(t)
	full := func(name string) gate.PDB {
		return gate.PDB{
			Name: name, DisruptionsAllowed: new(int32(1)), CurrentHealthy: new(int32(4)), DesiredHealthy: new(int32(3)), ExpectedPods: new(int32(4)),
		}
	}
	same(t, "pdbs", []gate.PDB{full("all"), full("own")}, input.Target.PDBs)
	wantMissing(t, input)
}

func TestABudgetWhoseStatusIsOldHasNoNumbers(t *testing.T) {
	w := newWorld()
	old := budget("old", &metav1.LabelSelector{})
	old.Generation = 2
	w.add(old)
	input := w.input(t)
	same(t, "pdbs", []gate.PDB{{Name: "old"}}, input.Target.PDBs)
	wantMissing(t, input, "target.pdbs")
}

func TestABudgetWithASelectorThatCannotBeReadHidesAll(t *testing.T) {
	w := newWorld()
	w.add(budget("broken", &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "app", Operator: "Near"}}}))
	input := w.input(t)
	same(t, "pdbs", []gate.PDB(nil), input.Target.PDBs)
	wantMissing(t, input, "target.pdbs")
}

func TestTheOwnersAreFollowedToTheRoot(t *testing.T) {
	ref := func(apiVersion, kind, name, uid string) metav1.OwnerReference {
		return metav1.OwnerReference{APIVersion: apiVersion, Kind: kind, Name: name, UID: types.UID(uid), Controller: new(true)}
	}
	link := func(r metav1.OwnerReference) shared.OwnedObject {
		return shared.OwnedObject{APIVersion: r.APIVersion, Kind: r.Kind, Name: r.Name, UID: r.UID}
	}
	set, root := ref("apps/v1", "ReplicaSet", "set", "set-1"), ref("apps/v1", "Deployment", "root", "root-1")
	custom := ref("example.com/v1", "App", "app", "app-1")
	bystander := ref("v1", "ConfigMap", "other", "other-1")
	bystander.Controller = nil
	meta := func(r metav1.OwnerReference, owners ...metav1.OwnerReference) metav1.ObjectMeta {
		return metav1.ObjectMeta{Namespace: "shop", Name: r.Name, UID: r.UID, OwnerReferences: owners}
	}
	for sentence, test := range map[string]struct {
		owners  []metav1.OwnerReference
		objects []client.Object
		want    []shared.OwnedObject
		missing []string
	}{
		"no controller": {owners: []metav1.OwnerReference{bystander}, want: []shared.OwnedObject{}},
		"up to the root": {
			owners:  []metav1.OwnerReference{set},
			objects: []client.Object{&appsv1.ReplicaSet{ObjectMeta: meta(set, root)}, &appsv1.Deployment{ObjectMeta: meta(root)}},
			want:    []shared.OwnedObject{link(set), link(root)},
		},
		"of kinds that workloads have": {
			owners: []metav1.OwnerReference{ref("apps/v1", "StatefulSet", "s", "s-1")},
			objects: []client.Object{
				&appsv1.StatefulSet{ObjectMeta: meta(ref("", "", "s", "s-1"), ref("apps/v1", "DaemonSet", "d", "d-1"))},
				&appsv1.DaemonSet{ObjectMeta: meta(ref("", "", "d", "d-1"))},
			},
			want: []shared.OwnedObject{link(ref("apps/v1", "StatefulSet", "s", "s-1")), link(ref("apps/v1", "DaemonSet", "d", "d-1"))},
		},
		"up to a kind that is not read": {
			owners: []metav1.OwnerReference{custom}, want: []shared.OwnedObject{link(custom)}, missing: []string{"target.owners"},
		},
		"up to one that is gone": {
			owners: []metav1.OwnerReference{root}, want: []shared.OwnedObject{link(root)}, missing: []string{"target.owners"},
		},
		"up to another of the same name": {
			owners:  []metav1.OwnerReference{root},
			objects: []client.Object{&appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "root", UID: "root-2"}}},
			want:    []shared.OwnedObject{link(root)}, missing: []string{"target.owners"},
		},
		"a circle has an end": {
			owners:  []metav1.OwnerReference{root},
			objects: []client.Object{&appsv1.Deployment{ObjectMeta: meta(root, root)}},
			want:    slices.Repeat([]shared.OwnedObject{link(root)}, maxOwners), missing: []string{"target.owners"},
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			w := newWorld()
			w.live().SetOwnerReferences(test.owners)
			w.add(test.objects...)
			input := w.input(t)
			same(t, "owners", test.want, input.Target.Owners)
			wantMissing(t, input, test.missing...)
		})
	}
}

func TestWhatGitOpsManages(t *testing.T) {
	writer := func(manager string) []metav1.ManagedFieldsEntry {
		return []metav1.ManagedFieldsEntry{{Manager: "kubectl"}, {Manager: manager}}
	}
	managed := func(tool, application string) gate.GitOps {
		return gate.GitOps{Managed: new(true), Tool: &tool, Application: &application}
	}
	for sentence, test := range map[string]struct {
		labels, annotations map[string]string
		fields              []metav1.ManagedFieldsEntry
		want                gate.GitOps
	}{
		"no mark":                 {want: gate.GitOps{Managed: new(false)}},
		"Argo CD's annotation":    {annotations: map[string]string{argoCDTracking: "shop:apps/Deployment:shop/cart"}, want: managed("ArgoCD", "shop")},
		"Argo CD's label":         {labels: map[string]string{argoCDInstance: "shop"}, want: managed("ArgoCD", "shop")},
		"Flux's kustomization":    {labels: map[string]string{fluxKustomize: "apps"}, want: managed("Flux", "apps")},
		"Flux's release":          {labels: map[string]string{fluxHelm: "cart"}, want: managed("Flux", "cart")},
		"the label of everybody":  {labels: map[string]string{commonInstance: "cart"}, fields: writer("helm"), want: gate.GitOps{Managed: new(false)}},
		"the same, by Argo CD":    {labels: map[string]string{commonInstance: "cart"}, fields: writer("argocd-controller"), want: managed("ArgoCD", "cart")},
		"a write without a label": {fields: writer("argocd-controller"), want: gate.GitOps{Managed: new(false)}},
	} {
		t.Run(sentence, func(t *testing.T) {
			w := newWorld()
			w.live().SetLabels(test.labels)
			w.live().SetAnnotations(test.annotations)
			w.live().SetManagedFields(test.fields)
			same(t, "gitops", test.want, w.input(t).Target.GitOps)
		})
	}
}

func TestThePodsThatAStepAffects(t *testing.T) {
	scale := func(before, after string) []shared.FieldChange {
		change := shared.FieldChange{Path: "/spec/replicas", After: raw(after)}
		if before != "" {
			change.Before = raw(before)
		}
		return []shared.FieldChange{change}
	}
	field := func(path string) []shared.FieldChange { return []shared.FieldChange{{Path: path, After: raw(`"x"`)}} }
	for sentence, test := range map[string]struct {
		changes, dryRun []shared.FieldChange
		change          func(*unstructured.Unstructured)
		want, percent   *int32
		missing         bool
	}{
		"down by three of four":           {changes: scale("4", "1"), want: new(int32(3)), percent: new(int32(75))},
		"down to nothing":                 {changes: scale("4", "0"), want: new(int32(4)), percent: new(int32(100))},
		"one of three, rounded up":        {changes: scale("3", "2"), want: new(int32(1)), percent: new(int32(34))},
		"up":                              {changes: scale("4", "9"), want: new(int32(0)), percent: new(int32(0))},
		"absent is one":                   {changes: scale("", "0"), want: new(int32(1)), percent: new(int32(100))},
		"nothing changes":                 {want: new(int32(0)), percent: new(int32(0))},
		"an annotation of the workload":   {changes: field("/metadata/annotations/x"), want: new(int32(0)), percent: new(int32(0))},
		"the image":                       {changes: field("/spec/template/spec/containers/0/image"), want: new(int32(4)), percent: new(int32(100))},
		"the template":                    {changes: field("/spec/template"), want: new(int32(4)), percent: new(int32(100))},
		"a name that only begins like it": {changes: field("/spec/templates"), want: new(int32(0)), percent: new(int32(0))},
		"what admission adds counts":      {changes: scale("4", "5"), dryRun: field("/spec/template/spec/priority"), want: new(int32(4)), percent: new(int32(100))},
		"the harder of two":               {changes: scale("4", "3"), dryRun: scale("4", "1"), want: new(int32(3)), percent: new(int32(75))},
		"the image of no pods": {
			changes: field("/spec/template"),
			change:  func(u *unstructured.Unstructured) { unstructured.RemoveNestedField(u.Object, "status", "replicas") },
			want:    new(int32(0)), percent: new(int32(0)),
		},
		"the image of a DaemonSet": {
			changes: field("/spec/template"),
			change: func(u *unstructured.Unstructured) {
				u.SetKind("DaemonSet")
				u.Object["status"] = map[string]any{"currentNumberScheduled": int64(7)}
			},
			want: new(int32(7)), percent: new(int32(100)),
		},
		"no status yet": {
			changes: field("/spec/template"),
			change:  func(u *unstructured.Unstructured) { delete(u.Object, "status") },
			missing: true,
		},
		"a status of another shape": {
			changes: field("/spec/template"),
			change:  func(u *unstructured.Unstructured) { u.Object["status"] = "fine" },
			missing: true,
		},
		"a number of another type": {changes: scale(`"4"`, "1"), missing: true},
		"the whole spec":           {changes: field("/spec"), missing: true},
	} {
		t.Run(sentence, func(t *testing.T) {
			w := newWorld()
			w.question.Preparation.Changes, w.question.Preparation.DryRun = test.changes, test.dryRun
			if test.change != nil {
				test.change(w.live())
			}
			input := w.input(t)
			same(t, "pods", test.want, input.Impact.PodsAffected)
			same(t, "percent", test.percent, input.Impact.PodsAffectedPercent)
			if test.missing {
				wantMissing(t, input, "impact.podsAffected", "impact.podsAffectedPercent")
			} else {
				wantMissing(t, input)
			}
		})
	}
}

func TestTheRollbackIsWhatWasCaptured(t *testing.T) {
	w := newWorld()
	input := w.input(t)
	same(t, "rollback", gate.Rollback{
		Available: new(true), Proven: new(true), Restores: []gate.RestoredField{{Path: "/spec/replicas", Value: 4.0}},
	}, input.Rollback)
	same(t, "changes", []gate.Change{{Path: "/spec/replicas", Before: 4.0, After: 1.0}}, input.Impact.Changes)
	w.question.Preparation.Inverse.AbsentReason = "the target is already as wanted"
	same(t, "available", new(false), w.input(t).Rollback.Available)
	if got := value(raw("no JSON")); got != "no JSON" {
		t.Errorf("what is no JSON: got %v", got)
	}
}

func TestANamespaceForcesDryRuns(t *testing.T) {
	known := &Facts{Cache: cacheOf(t,
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "careful", Labels: map[string]string{shared.LabelNamespaceMode: shared.NamespaceModeDryRun}}},
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop"}},
	)}
	for namespace, want := range map[string]bool{"careful": true, "shop": false, "nowhere": false} {
		got, err := known.ForcesDryRun(t.Context(), namespace)
		if err != nil || got != want {
			t.Errorf("%s: got %v, %v", namespace, got, err)
		}
	}
	known.Cache = failing{}
	if _, err := known.ForcesDryRun(t.Context(), "shop"); !errors.Is(err, errCache) {
		t.Errorf("got %v", err)
	}
}

func TestJudge(t *testing.T) {
	judge, err := gate.New(gate.Options{})
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld()
	known := w.facts(t)
	known.Gate = judge
	decision, err := known.Judge(t.Context(), w.question)
	if err != nil || decision.Verdict != shared.VerdictAllow {
		t.Errorf("got %v, %v", decision, err)
	}
	t.Run("not before all executions are known", func(t *testing.T) {
		known.Activity.synced = []func() bool{func() bool { return false }}
		if _, err := known.Judge(t.Context(), w.question); err == nil {
			t.Error("want an error")
		}
		known.Activity.synced = nil
	})
	t.Run("not when nobody waits any more", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := known.Judge(ctx, w.question); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("not what is not there", func(t *testing.T) {
		question := w.question
		question.StepIndex = 5
		if _, err := known.Judge(t.Context(), question); err == nil {
			t.Error("want an error")
		}
	})
	t.Run("not without a policy set", func(t *testing.T) {
		known.Gate = &gate.Gate{}
		if _, err := known.Judge(t.Context(), w.question); err == nil {
			t.Error("want an error")
		}
	})
}

func ExampleReads() {
	for _, rule := range Reads() {
		fmt.Println(rule.APIGroups[0], rule.Resources, rule.Verbs)
	}
	// Output:
	//  [namespaces nodes] [get list watch]
	// apps [daemonsets deployments replicasets statefulsets] [get list watch]
	// autoscaling [horizontalpodautoscalers] [get list watch]
	// policy [poddisruptionbudgets] [get list watch]
	// aianalysis.kubernaut.io [aianalyses] [get list watch]
	// workflowexecution.kubernaut.io [workflowexecutions] [get list watch]
	// kubernetesexecution.kubernaut.io [kubernetesexecutions] [get list watch]
}

package facts

import (
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	kubernetesexecutionv1 "kubernaut.io/kubernaut/api/kubernetesexecution/v1"
	"kubernaut.io/kubernaut/api/shared"
	"kubernaut.io/kubernaut/controllers/kubernetesexecution/effects"
	"kubernaut.io/kubernaut/policies/gate"
)

// cordoning is a world in which node a is cordoned.
func cordoning() *world {
	w := newWorld()
	target := &shared.Target{APIVersion: "v1", Kind: "Node", Name: "a"}
	live := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "Node", "metadata": map[string]any{"name": "a", "uid": "node-a"}, "spec": map[string]any{},
	}}
	changes := []shared.FieldChange{{Path: "/spec/unschedulable", After: raw("true")}}
	w.question.Workflow.Spec.WorkflowDefinition.Steps[0].Action = shared.Action{
		Type: shared.ActionCordonNode, CordonNode: &shared.CordonNode{Name: "a"},
	}
	w.question.Expected = &kubernetesexecutionv1.ExpectedTarget{UID: "node-a"}
	w.question.Preparation = &effects.Preparation{
		Target: target, Live: live, Changes: changes, DryRun: changes, Result: live, RollbackProven: new(true),
		Inverse: &kubernetesexecutionv1.Inverse{Target: target, UID: "node-a", Fields: changes},
	}
	return w
}

func TestNodesAreCountedLiveForAStepThatLocksThem(t *testing.T) {
	w := cordoning()
	known := w.facts(t)
	known.Live = cacheOf(t, node("a", true, false), node("b", true, false), node("c", false, true), node("d", false, false))
	input, err := known.Input(t.Context(), w.question)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "nodes", gate.Nodes{Total: new(4), Ready: new(2), Unschedulable: new(1), Schedulable: new(2)}, input.Cluster.Nodes)
	same(t, "pods", new(int32(0)), input.Impact.PodsAffected)
	same(t, "percent", new(int32(0)), input.Impact.PodsAffectedPercent)
	same(t, "namespace", gate.Namespace{}, input.Namespace)
	same(t, "target", (*string)(nil), input.Target.Namespace)
	wantMissing(t, input, "target.pdbs")

	known.Live = failing{}
	if input, err = known.Input(t.Context(), w.question); err != nil {
		t.Fatal(err)
	}
	same(t, "nodes that cannot be read live", gate.Nodes{}, input.Cluster.Nodes)
	wantMissing(t, input, "target.pdbs", "cluster.nodes")

	known.Live = nil
	if input, err = known.Input(t.Context(), w.question); err != nil {
		t.Fatal(err)
	}
	same(t, "nodes that nobody reads live", gate.Nodes{}, input.Cluster.Nodes)
}

func TestWhatElseChangesOnANodeIsNotKnown(t *testing.T) {
	w := cordoning()
	w.question.Preparation.DryRun = append(w.question.Preparation.DryRun, shared.FieldChange{Path: "/spec/taints", After: raw("[]")})
	same(t, "pods", (*int32)(nil), w.input(t).Impact.PodsAffected)
}

// restarting is a world in which the pod cart-1 is deleted.
func restarting(owners ...metav1.OwnerReference) *world {
	w := newWorld()
	target := &shared.Target{APIVersion: "v1", Kind: "Pod", Namespace: "shop", Name: "cart-1"}
	live := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "Pod", "spec": map[string]any{},
		"metadata": map[string]any{"namespace": "shop", "name": "cart-1", "uid": "pod-1", "labels": map[string]any{"app": "cart"}},
	}}
	live.SetOwnerReferences(owners)
	w.question.Workflow.Spec.WorkflowDefinition.Steps[0].Action = shared.Action{
		Type: shared.ActionRestartPod, RestartPod: &shared.RestartPod{Namespace: "shop", Name: "cart-1"},
	}
	w.question.Expected = &kubernetesexecutionv1.ExpectedTarget{UID: "pod-1"}
	grace := []shared.FieldChange{{Path: "/metadata/deletionGracePeriodSeconds", After: raw("30")}}
	w.question.Preparation = &effects.Preparation{
		Target: target, Live: live, Deletes: true, DryRun: grace, Result: live, RollbackProven: new(false),
		Inverse: &kubernetesexecutionv1.Inverse{Target: target, UID: "pod-1", AbsentReason: "it cannot be brought back"},
	}
	return w
}

func TestAPodThatEndsIsPartOfItsWorkload(t *testing.T) {
	owner := func(kind, name string) metav1.OwnerReference {
		return metav1.OwnerReference{APIVersion: "apps/v1", Kind: kind, Name: name, UID: "uid", Controller: new(true)}
	}
	meta := func(name string, owners ...metav1.OwnerReference) metav1.ObjectMeta {
		return metav1.ObjectMeta{Namespace: "shop", Name: name, UID: "uid", OwnerReferences: owners}
	}
	for sentence, test := range map[string]struct {
		owners  []metav1.OwnerReference
		add     func(*world)
		percent *int32
		missing []string
	}{
		"of a Deployment": {
			owners: []metav1.OwnerReference{owner("ReplicaSet", "r")},
			add: func(w *world) {
				w.add(&appsv1.ReplicaSet{ObjectMeta: meta("r", owner("Deployment", "d"))},
					&appsv1.Deployment{ObjectMeta: meta("d"), Status: appsv1.DeploymentStatus{Replicas: 3}})
			},
			percent: new(int32(34)),
		},
		"of a StatefulSet": {
			owners: []metav1.OwnerReference{owner("StatefulSet", "s")},
			add: func(w *world) {
				w.add(&appsv1.StatefulSet{ObjectMeta: meta("s"), Status: appsv1.StatefulSetStatus{Replicas: 2}})
			},
			percent: new(int32(50)),
		},
		"of a DaemonSet": {
			owners: []metav1.OwnerReference{owner("DaemonSet", "d")},
			add: func(w *world) {
				w.add(&appsv1.DaemonSet{ObjectMeta: meta("d"), Status: appsv1.DaemonSetStatus{CurrentNumberScheduled: 4}})
			},
			percent: new(int32(25)),
		},
		"of nobody": {percent: new(int32(100))},
		"of a ReplicaSet that nobody has": {
			owners: []metav1.OwnerReference{owner("ReplicaSet", "r")}, add: func(w *world) { w.add(&appsv1.ReplicaSet{ObjectMeta: meta("r")}) },
			missing: []string{"impact.podsAffectedPercent"},
		},
		"of a Deployment that is gone": {
			owners: []metav1.OwnerReference{owner("Deployment", "d")}, missing: []string{"target.owners", "impact.podsAffectedPercent"},
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			w := restarting(test.owners...)
			if test.add != nil {
				test.add(w)
			}
			w.add(budget("own", &metav1.LabelSelector{MatchLabels: map[string]string{"app": "cart"}}))
			input := w.input(t)
			same(t, "pods", new(int32(1)), input.Impact.PodsAffected)
			same(t, "percent", test.percent, input.Impact.PodsAffectedPercent)
			same(t, "budgets", 1, len(input.Target.PDBs))
			same(t, "reversibility", new("No"), input.Step.Reversibility)
			same(t, "rollback", gate.Rollback{Available: new(false), Proven: new(false), Restores: []gate.RestoredField{}}, input.Rollback)
			wantMissing(t, input, test.missing...)
		})
	}
}

func TestTheOwnersOfATarget(t *testing.T) {
	set := metav1.OwnerReference{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "r", UID: "uid", Controller: new(true)}
	w := restarting(set)
	known := w.facts(t)
	owners, err := known.Owners(t.Context(), w.live())
	if err != nil || len(owners) != 1 || owners[0].Name != "r" {
		t.Errorf("one that is gone: %v, %v", owners, err)
	}
	known.Cache = failing{}
	if _, err = known.Owners(t.Context(), w.live()); err == nil {
		t.Error("a cache that cannot be read knows no owners")
	}
}

package workflowexecution

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	kubernetesexecutionv1 "kubernaut.io/kubernaut/api/kubernetesexecution/v1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/controllers/kubernetesexecution/effects"
)

func restartPod(name, pod string) shared.Step {
	return shared.Step{Name: name, Action: shared.Action{
		Type: shared.ActionRestartPod, RestartPod: &shared.RestartPod{Namespace: "shop", Name: pod},
	}}
}

func cordon(name, node string) shared.Step {
	return shared.Step{Name: name, Action: shared.Action{Type: shared.ActionCordonNode, CordonNode: &shared.CordonNode{Name: node}}}
}

func liveOf(kind, namespace, name string) *unstructured.Unstructured {
	live := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": kind}}
	live.SetNamespace(namespace)
	live.SetName(name)
	live.SetUID("uid-t")
	return live
}

func TestNodesAreLockedBesideTheNodeItself(t *testing.T) {
	c := newScenario(t, cordon("a", "worker-1"), cordon("b", "worker-2"))
	for _, name := range []string{"worker-1", "worker-2"} {
		c.s.steps = append(c.s.steps, assessment{preparation: &effects.Preparation{Live: liveOf("Node", "", name)}})
	}
	want := []string{"Node /worker-1", "Node /worker-2", "scope nodes"}
	if diff := cmp.Diff(want, lockKeys(&c.s)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// The pod itself will be gone: what is watched is what makes another.
func TestTheWorkloadOfAPodIsWatchedInItsPlace(t *testing.T) {
	deployment := shared.OwnedObject{APIVersion: "apps/v1", Kind: "Deployment", Name: "cart", UID: "d"}
	chain := []shared.OwnedObject{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "cart-1", UID: "r"}, deployment}
	for sentence, test := range map[string]struct {
		step    shared.Step
		live    *unstructured.Unstructured
		owners  []shared.OwnedObject
		want    *shared.OwnedObject
		watched string
	}{
		"of a controller":              {step: restartPod("a", "cart-1-x"), live: liveOf("Pod", "shop", "cart-1-x"), owners: chain, want: &deployment, watched: "Deployment shop/cart"},
		"without one":                  {step: restartPod("a", "cart-1-x"), live: liveOf("Pod", "shop", "cart-1-x"), watched: "Pod shop/cart-1-x"},
		"anything else is watched too": {step: cordon("a", "worker-1"), live: liveOf("Node", "", "worker-1"), owners: chain, watched: "Node worker-1"},
	} {
		t.Run(sentence, func(t *testing.T) {
			c := newScenario(t, test.step)
			c.decide()
			c.allowed()
			c.s.steps[0].preparation.Live = test.live
			c.s.owners = map[types.UID][]shared.OwnedObject{test.live.GetUID(): test.owners}
			c.decide()
			target := c.s.workflow.Status.Plan.Targets[0]
			if diff := cmp.Diff(test.want, target.Workload); diff != "" {
				t.Errorf("workload (-want +got):\n%s", diff)
			}
			if got := target.Watched().String(); got != test.watched {
				t.Errorf("watched is %s, want %s", got, test.watched)
			}
			c.s.workflow.Status.Phase = workflowexecutionv1.PhaseMonitoring
			if diff := cmp.Diff([]string{target.Watched().Key()}, activeTargets(c.s.workflow)); diff != "" {
				t.Errorf("what wakes it (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAnEffectThatCannotBeUndoneIsNotCalledNone(t *testing.T) {
	began := metav1.Now()
	for sentence, test := range map[string]struct {
		changed *bool
		want    string
	}{
		"one that was made":           {changed: new(true), want: `what step "restart" did is not undone`},
		"one of which nobody knows":   {want: `what step "restart" did is not undone`},
		"one that never was anything": {changed: new(false), want: "no step has changed anything"},
	} {
		t.Run(sentence, func(t *testing.T) {
			c := newScenario(t, restartPod("restart", "cart-1"))
			c.running()
			c.ends(0, kubernetesexecutionv1.KubernetesExecutionStatus{
				Phase: kubernetesexecutionv1.PhaseFailed, Changed: test.changed, StartedAt: &began, ErrorType: shared.ErrorTimeout, ErrorMessage: "it has not ended",
				Inverse: &kubernetesexecutionv1.Inverse{Target: targetOf(&c.s.workflow.Spec.WorkflowDefinition.Steps[0].Action), AbsentReason: "it cannot be brought back"},
			})
			c.decide()
			condition := meta.FindStatusCondition(c.s.workflow.Status.Conditions, workflowexecutionv1.ConditionRolledBack)
			if condition == nil || !strings.Contains(condition.Message, test.want) {
				t.Errorf("want %q, got %+v", test.want, condition)
			}
		})
	}
}

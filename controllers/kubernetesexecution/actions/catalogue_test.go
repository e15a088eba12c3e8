package actions

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	kubernetesexecutionv1 "kubernaut.io/kubernaut/api/kubernetesexecution/v1"
	"kubernaut.io/kubernaut/api/shared"
)

func TestCatalogueIsThatOfTheAPI(t *testing.T) {
	var types []shared.ActionType
	for _, action := range All() {
		types = append(types, action.Type())
	}
	if diff := cmp.Diff(shared.ActionTypes(), types); diff != "" {
		t.Errorf("(-API +catalogue):\n%s", diff)
	}
	if _, known := Get("scale"); known {
		t.Error("aliases are not accepted")
	}
}

func TestPolicyRules(t *testing.T) {
	apps := func(resource string, verbs ...string) rbacv1.PolicyRule {
		return rbacv1.PolicyRule{APIGroups: []string{"apps"}, Resources: []string{resource}, Verbs: verbs}
	}
	want := map[shared.ActionType][]rbacv1.PolicyRule{
		shared.ActionScaleDeployment:   {apps("deployments", "get", "patch")},
		shared.ActionRestartDeployment: {apps("deployments", "get", "patch")},
		shared.ActionRestartPod:        {{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"delete", "get"}}},
		shared.ActionIncreaseResources: {
			apps("daemonsets", "get", "patch"), apps("deployments", "get", "patch"), apps("statefulsets", "get", "patch"),
		},
		shared.ActionCordonNode:         {{APIGroups: []string{""}, Resources: []string{"nodes"}, Verbs: []string{"get", "patch"}}},
		shared.ActionUncordonNode:       {{APIGroups: []string{""}, Resources: []string{"nodes"}, Verbs: []string{"get", "patch"}}},
		shared.ActionRollbackDeployment: {apps("deployments", "get", "patch"), apps("replicasets", "list")},
		shared.ActionUpdateImage: {
			apps("daemonsets", "get", "patch"), apps("deployments", "get", "patch"), apps("statefulsets", "get", "patch"),
		},
		shared.ActionNotifyOnly: {{APIGroups: []string{"events.k8s.io"}, Resources: []string{"events"}, Verbs: []string{"create"}}},
	}
	for _, action := range All() {
		if diff := cmp.Diff(want[action.Type()], PolicyRules(action)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", action.Type(), diff)
		}
		for _, rule := range PolicyRules(action) {
			for _, word := range slices.Concat(rule.APIGroups, rule.Resources, rule.Verbs) {
				if strings.Contains(word, "*") || (word == "" && !slices.Contains(rule.APIGroups, word)) {
					t.Errorf("%s: %q in %+v", action.Type(), word, rule)
				}
			}
		}
	}
}

func TestWritesForIsWhatThisActionNeeds(t *testing.T) {
	action := image("cart", "x:2")
	action.UpdateImage.Kind = shared.WorkloadStatefulSet
	want := []Permission{{Group: "apps", Resource: "statefulsets", Verbs: []string{"patch"}}}
	if diff := cmp.Diff(want, updateImage{}.WritesFor(action)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTargets(t *testing.T) {
	tests := map[string]struct {
		action *shared.Action
		want   string
	}{
		"scale":                      {action: scale(1), want: "Deployment shop/cart"},
		"image of a Deployment":      {action: image("c", "i"), want: "Deployment shop/cart"},
		"roll back":                  {action: rollBack(0), want: "Deployment shop/cart"},
		"restart":                    {action: restart(), want: "Deployment shop/cart"},
		"restart a pod":              {action: restartOf(nil), want: "Pod shop/cart-1"},
		"raise":                      {action: increase(func(*shared.IncreaseResources) {}), want: "Deployment shop/cart"},
		"cordon":                     {action: cordon(), want: "Node worker-1"},
		"uncordon":                   {action: uncordon(), want: "Node worker-1"},
		"restart without parameters": {action: &shared.Action{Type: shared.ActionRestartDeployment}},
		"pod without parameters":     {action: &shared.Action{Type: shared.ActionRestartPod}},
		"raise without parameters":   {action: &shared.Action{Type: shared.ActionIncreaseResources}},
		"cordon without parameters":  {action: &shared.Action{Type: shared.ActionCordonNode}},
		"uncordon without any":       {action: &shared.Action{Type: shared.ActionUncordonNode}},
		"notify":                     {action: &shared.Action{Type: shared.ActionNotifyOnly, NotifyOnly: &shared.NotifyOnly{Message: "x"}}},
		"scale without parameters":   {action: &shared.Action{Type: shared.ActionScaleDeployment}},
		"image without parameters":   {action: &shared.Action{Type: shared.ActionUpdateImage}},
		"rolling back with no value": {action: &shared.Action{Type: shared.ActionRollbackDeployment}},
	}
	apiVersions := map[string]string{"Deployment": "apps/v1", "Pod": "v1", "Node": "v1"}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			action, _ := Get(test.action.Type)
			target := action.Target(test.action)
			if target == nil {
				if test.want != "" {
					t.Errorf("want %s, got none", test.want)
				}
				return
			}
			if target.String() != test.want || target.APIVersion != apiVersions[target.Kind] {
				t.Errorf("want %s, got %s of %s", test.want, target, target.APIVersion)
			}
		})
	}
}

func TestGoingBackToThePreviousRevisionTwiceIsGoingForth(t *testing.T) {
	if (rollbackDeployment{}).Repeatable(rollBack(0)) {
		t.Error("the previous revision is another one once it is done")
	}
	if !(rollbackDeployment{}).Repeatable(rollBack(2)) {
		t.Error("a named revision stays the same")
	}
}

func TestVerify(t *testing.T) {
	tests := map[string]struct {
		status string
		want   Verification
	}{
		"not observed": {status: "{observedGeneration: 1}", want: Verification{
			Message: "waiting for the Deployment controller to observe generation 2; it has observed 1",
		}},
		"no status": {status: "{}", want: Verification{Message: "waiting for the Deployment controller to observe generation 2; it has observed 0"}},
		"observed, not there": {
			status: "{observedGeneration: 2, replicas: 1, updatedReplicas: 1}", want: Verification{Done: true, Message: "Replicas: 1/2"},
		},
		"observed and there": {
			status: `{observedGeneration: 2, replicas: 2, updatedReplicas: 2, readyReplicas: 2, availableReplicas: 2,
    conditions: [{type: Available, status: "True"}, {type: Progressing, status: "True", reason: NewReplicaSetAvailable}]}`,
			want: Verification{Done: true, Healthy: true, Message: "Deployment is available. Replicas: 2"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			live := object(t, cart+"  progressDeadlineSeconds: 600\nstatus: "+test.status)
			live.SetGeneration(2)
			if diff := cmp.Diff(test.want, scaleDeployment{}.Verify(live)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestHealth(t *testing.T) {
	tests := map[string]struct {
		object             string
		want               shared.HealthStatus
		desired, available *int32
	}{
		"nothing": {want: shared.HealthNotFound},
		"a Deployment whose rollout is under way": {
			object: cart + "status: {observedGeneration: 0, replicas: 2, updatedReplicas: 2, availableReplicas: 1}",
			want:   shared.HealthInProgress, desired: new(int32(2)), available: new(int32(1)),
		},
		"a Deployment that gave up": {
			object: cart + `status: {replicas: 2, conditions: [{type: Progressing, status: "False", reason: ProgressDeadlineExceeded}]}`,
			want:   shared.HealthFailed, desired: new(int32(2)), available: new(int32(0)),
		},
		"a DaemonSet": {
			object: "{apiVersion: apps/v1, kind: DaemonSet, metadata: {name: d, generation: 1}, status: {observedGeneration: 1, desiredNumberScheduled: 3, currentNumberScheduled: 3, updatedNumberScheduled: 3, numberAvailable: 3, numberReady: 3}}",
			want:   shared.HealthCurrent, desired: new(int32(3)), available: new(int32(3)),
		},
		"a Node that is ready": {
			object: `{apiVersion: v1, kind: Node, metadata: {name: n}, status: {conditions: [{type: Ready, status: "True"}]}}`, want: shared.HealthCurrent,
		},
		"a Node that is not ready": {
			object: `{apiVersion: v1, kind: Node, metadata: {name: n}, status: {conditions: [{type: Ready, status: "False", message: "PLEG is not healthy"}]}}`,
			want:   shared.HealthInProgress,
		},
		"a Node of which nothing was heard": {
			object: `{apiVersion: v1, kind: Node, metadata: {name: n}, status: {conditions: [{type: Ready, status: Unknown, message: "Kubelet stopped posting node status."}]}}`,
			want:   shared.HealthInProgress,
		},
		"a kind that reports nothing": {object: "{apiVersion: example.com/v1, kind: Thing, metadata: {name: t}}", want: shared.HealthUnknown},
		"something that goes": {
			object: `{apiVersion: example.com/v1, kind: Thing, metadata: {name: t, deletionTimestamp: "2026-11-01T00:00:00Z"}}`, want: shared.HealthTerminating,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			health := Health(nil)
			if test.object != "" {
				health = Health(object(t, test.object))
			}
			if health.Status != test.want || health.Message == "" {
				t.Errorf("want %s, got %+v", test.want, health)
			}
			if diff := cmp.Diff([]*int32{test.desired, test.available}, []*int32{health.DesiredReplicas, health.AvailableReplicas}); diff != "" {
				t.Errorf("replicas (-want +got):\n%s", diff)
			}
		})
	}
}

func TestEvent(t *testing.T) {
	execution := &kubernetesexecutionv1.KubernetesExecution{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "w-s0-a1", UID: "u-1"},
		Spec:       kubernetesexecutionv1.KubernetesExecutionSpec{WorkflowExecutionRef: shared.ObjectReference{Name: "w", UID: "w-1"}},
		Status:     kubernetesexecutionv1.KubernetesExecutionStatus{StartedAt: new(metav1.Now())},
	}
	for severity, want := range map[shared.Severity]string{
		shared.SeverityCritical: corev1.EventTypeWarning, shared.SeverityWarning: corev1.EventTypeWarning, shared.SeverityInfo: corev1.EventTypeNormal,
	} {
		action := &shared.Action{Type: shared.ActionNotifyOnly, NotifyOnly: &shared.NotifyOnly{Message: strings.Repeat("ü", 1024), Severity: severity}}
		event := notifyOnly{}.Event(action, execution)
		if event.Type != want || event.Name != "kubernaut-notification-u-1" || event.Namespace != "shop" || event.Regarding.Name != "w" ||
			len(event.Note) > 1024 || event.Reason != ReasonNotification || event.EventTime.IsZero() {
			t.Errorf("%s: %+v", severity, event)
		}
	}
}

func TestNodesAreLockedTogether(t *testing.T) {
	for _, parameters := range []*shared.Action{cordon(), uncordon()} {
		action, _ := Get(parameters.Type)
		if diff := cmp.Diff([]string{ScopeNodes}, action.Scopes(parameters)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", action.Type(), diff)
		}
	}
}

func TestVerifyOfNodes(t *testing.T) {
	closed := strings.Replace(node, "spec: {", "spec: {unschedulable: true, ", 1)
	tests := map[string]struct {
		action Action
		live   string
		want   Verification
	}{
		"cordoned":       {action: cordonNode{}, live: closed, want: Verification{Done: true, Healthy: true, Message: "Resource is Ready"}},
		"cordoned twice": {action: cordonNode{}, live: node, want: Verification{Message: "spec.unschedulable is not as it was written: someone else changed it"}},
		"uncordoned":     {action: uncordonNode{}, live: node, want: Verification{Done: true, Healthy: true, Message: "Resource is Ready"}},
		"not uncordoned": {action: uncordonNode{}, live: closed, want: Verification{Message: "spec.unschedulable is not as it was written: someone else changed it"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, test.action.Verify(object(t, test.live))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestVerifyOfAPod(t *testing.T) {
	if (restartPod{}).Verify(object(t, cartPod)).Done || !(restartPod{}).Verify(nil).Done {
		t.Error("a restart is done when the pod is gone, and not before")
	}
}

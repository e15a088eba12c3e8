package workflowexecution

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"kubernaut.io/kubernaut/api/shared"
)

func TestSnapshotShowsTheTargetWithoutWhatMayBeSecret(t *testing.T) {
	c := watching(t)
	object := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apps/v1", "kind": "Deployment", "status": map[string]any{"replicas": int64(1)},
		"spec": map[string]any{"replicas": int64(2), "template": map[string]any{"spec": map[string]any{"containers": []any{
			map[string]any{"name": "app", "image": "a:1", "env": []any{map[string]any{"name": "PASSWORD", "value": "hush"}}}, "none",
		}}}},
	}}
	object.SetAnnotations(map[string]string{"token": "hush"})
	c.s.targets = []targetState{{health: shared.Health{Status: shared.HealthFailed, Message: "broken"}, object: object, generation: 5}}
	c.now = c.now.Add(defaultMonitoring)
	snapshot := c.decide().ExecutionSnapshot
	text := string(snapshot.ResourceSnapshot.Raw)
	for _, want := range []string{`"replicas":2`, `"app":"a:1"`, `"status":`} {
		if !strings.Contains(text, want) {
			t.Errorf("the snapshot lacks %s: %s", want, text)
		}
	}
	if strings.Contains(text, "hush") || !strings.Contains(string(snapshot.ClusterState.Raw), "broken") {
		t.Errorf("the snapshot is %s, %s", text, snapshot.ClusterState.Raw)
	}
}

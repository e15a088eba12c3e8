package policy

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kubernaut.io/kubernaut/cmd/kubernaut/terminal"
)

// The policies that were adapted from public libraries: their sources, and the SafetyPolicies that are rendered from them.
const (
	samples       = "../../../config/samples/policies"
	samplesSource = samples + "/rego"
)

func TestSamplePoliciesAreInOrder(t *testing.T) {
	kubernaut(t, "check", "--format", samplesSource).want(t, terminal.ExitOK, "5 policies: ok")
	kubernaut(t, "test", samplesSource, "--fail-closed", "--min-coverage", "100").want(t, terminal.ExitOK, "coverage 100.0 %")
}

// TestSamplePoliciesAreRendered renders them as admission would take them: render refuses what admission would refuse.
func TestSamplePoliciesAreRendered(t *testing.T) {
	out := t.TempDir()
	kubernaut(t, "render", samplesSource, "--out-dir", out).want(t, terminal.ExitOK)
	manifests, err := filepath.Glob(filepath.Join(samples, "*.yaml"))
	if err != nil || len(manifests) != 5 {
		t.Fatalf("%v, %v", manifests, err)
	}
	for _, file := range manifests {
		stored, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		rendered, err := os.ReadFile(filepath.Join(out, filepath.Base(file)))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(rendered), string(stored)); diff != "" {
			t.Errorf("%s; kubernaut policy render %s --out-dir %s writes it anew (-rendered +stored):\n%s", file, "config/samples/policies/rego", "config/samples/policies", diff)
		}
	}
}

const samplesWorkflow = `apiVersion: workflowexecution.kubernaut.io/v1
kind: WorkflowExecution
metadata: {name: w, namespace: shop}
spec:
  workflowDefinition:
    name: w
    steps:
    - {name: image, action: {type: update-image, updateImage: {namespace: shop, name: cart, container: app, image: "evil.example.net/cart:latest"}}}
    - {name: scale, action: {type: scale-deployment, scaleDeployment: {namespace: shop, name: cart, replicas: 60}}}
    - {name: memory, action: {type: increase-resources, increaseResources: {namespace: shop, name: cart, container: app, memoryLimit: 8Gi}}}
    - {name: tell, action: {type: notify-only, notifyOnly: {message: x}}}
`

// TestSamplePoliciesDecide has them judge a workflow, whatever enforcement they come with.
func TestSamplePoliciesDecide(t *testing.T) {
	source, err := filepath.Abs(samplesSource)
	if err != nil {
		t.Fatal(err)
	}
	inFolder(t, map[string]string{
		"workflow.yaml": samplesWorkflow,
		"facts.yaml":    "target: {object: {metadata: {labels: {app: cart}}, spec: {template: {spec: {containers: [{name: app, image: \"cart:1\", resources: {limits: {cpu: \"1\"}}}]}}}}}\n",
	})
	args := []string{"eval", "-f", "workflow.yaml", "--facts", "facts.yaml", "--policies", source, "--baseline=false"}
	kubernaut(t, append(args, "--enforce")...).want(t, terminal.ExitOK,
		"image: update-image of Deployment shop/cart: Deny", "Deny allowed_repos/repository", "Deny disallowed_tags/tag", "RequireApproval required_labels/label",
		"scale: scale-deployment of Deployment shop/cart: Deny", "Deny replica_limits/replicas",
		"memory: increase-resources of Deployment shop/cart: Deny", "Deny container_limits/memory",
		"tell: notify-only: Allow")
	kubernaut(t, args...).want(t, terminal.ExitOK, "recorded only: Deny allowed_repos/repository", "scale: scale-deployment of Deployment shop/cart: Allow")
}

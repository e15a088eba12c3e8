package policy

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/cmd/kubernaut/terminal"
	"kubernaut.io/kubernaut/policies/gate"
)

const (
	workflowManifest = `# What comes before it is left out.
kind: Namespace
---
apiVersion: workflowexecution.kubernaut.io/v1
kind: WorkflowExecution
metadata:
  name: cart-up
  namespace: shop
spec:
  workflowDefinition:
    name: scale-up
    steps:
    - name: scale
      action:
        type: scale-deployment
        scaleDeployment: {namespace: shop, name: cart, replicas: 7}
    - name: image
      dependsOn: [scale]
      action:
        type: update-image
        updateImage: {namespace: shop, name: cart, container: app, image: "shop/cart:2"}
    - name: tell
      dependsOn: [image]
      critical: false
      action:
        type: notify-only
        notifyOnly: {message: done}
`
	factsFile = `target:
  object:
    spec: {replicas: 2}
  gitops: {managed: false}
  hpa: {present: false}
  pdbs: []
namespace:
  labels: {kubernaut.io/environment: production}
cluster:
  activeWorkflows: {}
  executions: {target: [], namespace: []}
impact: {podsAffected: 0}
steps:
  image:
    target:
      object: {spec: {template: {spec: {containers: [{name: app, image: "shop/cart:1"}]}}}}
`
)

func readTestWorkflow(t *testing.T, text string) (*workflowexecutionv1.WorkflowExecution, error) {
	t.Helper()
	return readWorkflow(strings.NewReader(text), "-")
}

func TestAWorkflowIsCompletedAsTheAPIDoes(t *testing.T) {
	workflow, err := readTestWorkflow(t, workflowManifest)
	if err != nil {
		t.Fatal(err)
	}
	steps := workflow.Spec.WorkflowDefinition.Steps
	if !*steps[0].Critical || *steps[2].Critical || steps[0].Rollback != shared.RollbackCaptured || steps[0].Timeout.Minutes() != 5 {
		t.Errorf("got %+v", steps)
	}
	if steps[1].Action.UpdateImage.Kind != shared.WorkloadDeployment || steps[2].Action.NotifyOnly.Severity != shared.SeverityWarning {
		t.Errorf("got %+v", steps)
	}
	if workflow.Spec.Mode != shared.ModeRemediate || *workflow.Spec.ExecutionStrategy.MaxParallelSteps != 5 {
		t.Errorf("got %+v", workflow.Spec)
	}
}

func TestWorkflowsThatTheAPIRefuses(t *testing.T) {
	replaced := func(old, replacement string) string { return strings.Replace(workflowManifest, old, replacement, 1) }
	for sentence, test := range map[string]struct{ text, want string }{
		"a field that is not":        {replaced("replicas: 7", "replica: 7"), "replica"},
		"parameters of another type": {replaced("type: notify-only", "type: scale-deployment"), "steps[2].action.scaleDeployment"},
		"an unknown action":          {replaced("type: notify-only", "type: notify"), "notify"},
		"a circle":                   {replaced("- name: scale\n", "- name: scale\n      dependsOn: [tell]\n"), "wait for each other"},
		"no workflow":                {"kind: Pod\n", "0 workflows"},
		"another version":            {replaced("kubernaut.io/v1", "kubernaut.io/v2"), "apiVersion"},
		"no steps":                   {replaced("steps:", "stepz:"), "stepz"},
		"no YAML":                    {"kind: [", "yaml"},
	} {
		if _, err := readTestWorkflow(t, test.text); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got error %v, want %q in it", sentence, err, test.want)
		}
	}
}

func TestEval(t *testing.T) {
	inFolder(t, map[string]string{
		"workflow.yaml":            workflowManifest,
		"facts.yaml":               factsFile,
		"typo.yaml":                "target: {objekt: {}}\n",
		"wrong-step.yaml":          "steps: {none: {}}\n",
		"mine/night.rego":          strings.ReplaceAll(nightPolicy, `"night"`, `"shop"`),
		"audit/night.rego":         "# METADATA\n# custom:\n#   enforcement: Audit\n" + strings.ReplaceAll(nightPolicy, `"night"`, `"shop"`),
		"broken/broken.rego":       "package kubernaut.safety.broken\n\ndeny contains \"x\" if input.taregt == 1\n",
		"elsewhere/elsewhere.rego": "# METADATA\n# custom:\n#   match: {actions: [notify-only]}\npackage kubernaut.safety.elsewhere\n\nhold contains \"x\" if true\n",
		"approval/people.rego":     "package kubernaut.safety.people\n\nrequire_approval contains {\"msg\": \"ask\", \"approvers\": 2} if true\n",
	})
	got := kubernaut(t, "eval", "-f", "workflow.yaml", "--facts", "facts.yaml", "--step", "scale")
	want := `scale: scale-deployment of Deployment shop/cart: Deny
  Deny replica_bounds/too_many_replicas: 7 replicas is too large a step from 2
    baseline/safety/replica_bounds.rego:27
    data.kubernaut.parameters.replica_bounds.alwaysReachable = 3
    data.kubernaut.parameters.replica_bounds.maxFactor = 3
    input.step.action.scaleDeployment.replicas = 7
    input.step.action.type = "scale-deployment"
    input.target.object.spec.replicas = 2
  unknown: cluster.nodes, impact.changes, impact.podsAffectedPercent, namespace.annotations, plan.digest, requester, rollback, target.drift, target.owners
`
	if diff := cmp.Diff(want, got.out); diff != "" || got.code != terminal.ExitOK {
		t.Errorf("exit code %d, (-want +got):\n%s", got.code, diff)
	}

	all := []string{"eval", "-f", "workflow.yaml", "--facts", "facts.yaml"}
	with := func(more ...string) []string { return append(append([]string{}, all...), more...) }
	kubernaut(t, with()...).want(t, terminal.ExitOK, "image: update-image of Deployment shop/cart: Allow", "tell: notify-only: Allow")
	kubernaut(t, with("--fail-on", "Hold")...).want(t, terminal.ExitFindings, "scale Deny")
	kubernaut(t, with("--step", "tell", "--fail-on", "RequireApproval")...).want(t, terminal.ExitOK)
	kubernaut(t, with("--policies", "mine", "--baseline=false", "--step", "image")...).want(t, terminal.ExitOK,
		"image: update-image of Deployment shop/cart: Deny", "mine/night.rego:3", `input.target.namespace = "shop"`)
	kubernaut(t, with("--policies", "audit", "--step", "image")...).want(t, terminal.ExitOK, ": Allow", "recorded only: Deny night/shop")
	kubernaut(t, with("--policies", "audit", "--step", "image", "--enforce")...).want(t, terminal.ExitOK, ": Deny", "Deny night/shop")
	kubernaut(t, with("--policies", "approval", "--step", "image")...).want(t, terminal.ExitOK, ": RequireApproval", "RequireApproval (2 people)")
	kubernaut(t, with("--policies", "mine", "--step", "tell", "--explain")...).want(t, terminal.ExitOK,
		"Deny night/shop", "input.target.namespace = null")
	kubernaut(t, with("--step", "tell", "--explain")...).want(t, terminal.ExitOK,
		"registries deny did not fire", "registries.rego:16: not is_permitted", "is_permitted holds", `input.step.action.type = "notify-only"`)
	kubernaut(t, with("--policies", "elsewhere", "--step", "image", "--explain")...).want(t, terminal.ExitOK, ": Allow", "would fire, but the policy is not asked")
	kubernaut(t, with("--policies", "elsewhere", "--step", "tell", "--explain")...).want(t, terminal.ExitOK, ": Hold")
	kubernaut(t, with("--stage", "rollback")...).want(t, terminal.ExitOK, "recorded only: Deny replica_bounds")

	kubernaut(t, with("--policies", "broken")...).want(t, terminal.ExitUsage, "input.taregt")
	kubernaut(t, with("--baseline=false")...).want(t, terminal.ExitUsage, "--policies")
	kubernaut(t, with("--step", "none")...).want(t, terminal.ExitUsage, "scale, image, tell")
	kubernaut(t, with("--stage", "later")...).want(t, terminal.ExitUsage, "--stage")
	kubernaut(t, with("--time", "noon")...).want(t, terminal.ExitUsage, "--time")
	kubernaut(t, with("--fail-on", "Allow")...).want(t, terminal.ExitUsage, "--fail-on")
	kubernaut(t, with("extra")...).want(t, terminal.ExitUsage)
	kubernaut(t, "eval").want(t, terminal.ExitUsage, "-f")
	kubernaut(t, "eval", "-f", "none.yaml").want(t, terminal.ExitUsage, "none.yaml")
	kubernaut(t, "eval", "-f", "workflow.yaml", "--facts", "typo.yaml").want(t, terminal.ExitUsage, "objekt", "kubernaut policy input")
	kubernaut(t, "eval", "-f", "workflow.yaml", "--facts", "wrong-step.yaml").want(t, terminal.ExitUsage, "steps.none")

	var report evalReport
	if err := json.Unmarshal([]byte(kubernaut(t, with("-o", "json")...).out), &report); err != nil {
		t.Fatal(err)
	}
	if len(report.Steps) != 3 || report.Steps[0].Verdict != shared.VerdictDeny || report.Steps[0].Rules[0].Row != 27 {
		t.Errorf("got %+v", report)
	}
}

func TestInput(t *testing.T) {
	inFolder(t, map[string]string{"workflow.yaml": workflowManifest, "facts.yaml": factsFile})
	kubernaut(t, "input", "-f", "workflow.yaml").want(t, terminal.ExitUsage, "--step")
	got := kubernaut(t, "input", "-f", "workflow.yaml", "--facts", "facts.yaml", "--step", "scale", "--time", "2026-03-01T12:00:00.000000001Z", "--stage", "step")
	got.want(t, terminal.ExitOK)
	var input gate.Input
	if err := json.Unmarshal([]byte(got.out), &input); err != nil {
		t.Fatal(err)
	}
	if input.TimeNS != 1772366400000000001 || input.Stage != gate.StageStep || *input.Step.Attempt != 1 {
		t.Errorf("got time %d, stage %s, attempt %v", input.TimeNS, input.Stage, input.Step.Attempt)
	}
	if *input.Namespace.Name != "shop" || *input.Target.Kind != "Deployment" || *input.Workflow.Strategy != "Sequential" || len(input.Plan.Batches) != 3 {
		t.Errorf("got %+v", input)
	}
	// What was printed can be handed in as facts again.
	inFolder(t, map[string]string{"workflow.yaml": workflowManifest, "facts.yaml": got.out})
	again := kubernaut(t, "input", "-f", "workflow.yaml", "--facts", "facts.yaml", "--step", "scale", "--stage", "step")
	if diff := cmp.Diff(got.out, again.out); diff != "" {
		t.Error(diff)
	}
}

func TestDataOfASecretIsNoFact(t *testing.T) {
	inFolder(t, map[string]string{
		"workflow.yaml": workflowManifest,
		"facts.yaml":    "target: {object: {apiVersion: v1, kind: Secret, metadata: {managedFields: []}, data: {key: c2VjcmV0}}}\n",
	})
	got := kubernaut(t, "input", "-f", "workflow.yaml", "--facts", "facts.yaml", "--step", "scale")
	got.want(t, terminal.ExitOK, `"kind": "Secret"`)
	if strings.Contains(got.out, "c2VjcmV0") || strings.Contains(got.out, "managedFields") {
		t.Error("the data of a Secret was printed")
	}
}

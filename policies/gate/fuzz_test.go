package gate

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utiljson "k8s.io/apimachinery/pkg/util/json"

	"kubernaut.io/kubernaut/api/shared"
)

// inputSeed is a complete document of a step that the baseline allows.
func inputSeed(tb testing.TB) []byte {
	tb.Helper()
	input := NewInput(StagePlan, time.Unix(1_700_000_000, 0))
	input.Step = Step{Name: "a", Critical: new(true), DependsOn: []string{}, Reversibility: new("Yes"), Action: shared.Action{
		Type: shared.ActionScaleDeployment, ScaleDeployment: &shared.ScaleDeployment{Namespace: "shop", Name: "cart", Replicas: new(int32(3))},
	}}
	input.Target = Target{APIVersion: new("apps/v1"), Kind: new("Deployment"), Namespace: new("shop"), Name: new("cart"), Object: map[string]any{
		"apiVersion": "apps/v1", "kind": "Deployment", "metadata": map[string]any{"name": "cart", "uid": "1"}, "spec": map[string]any{"replicas": int64(2)},
	}, GitOps: GitOps{Managed: new(false)}}
	input.Namespace = Namespace{Name: new("shop"), Labels: map[string]string{}, Annotations: map[string]string{}}
	text, err := json.Marshal(input)
	if err != nil {
		tb.Fatal(err)
	}
	return text
}

// FuzzInput judges any document: there is always a verdict, and never leave to change what is protected, whatever else it says.
func FuzzInput(f *testing.F) {
	whole := string(inputSeed(f))
	for _, seed := range []string{
		whole, `{}`, `{"stage":"plan"}`, strings.Replace(whole, `"stage":"plan"`, `"stage":"rollback"`, 1), strings.Replace(whole, `"stage":"plan"`, `"stage":"never"`, 1),
		strings.ReplaceAll(whole, "shop", "kube-system"), strings.Replace(whole, `"replicas":3`, `"replicas":1000`, 1), strings.Replace(whole, `"replicas":2`, `"replicas":"2"`, 1),
		strings.Replace(whole, `"managed":false`, `"managed":null`, 1), strings.Replace(whole, `"reversibility":"Yes"`, `"reversibility":"No"`, 1),
	} {
		f.Add([]byte(seed))
	}
	judge, err := New(Options{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var input Input
		if err := utiljson.Unmarshal(raw, &input); err != nil {
			return
		}
		decision := judge.Preview(t.Context(), &input)
		if decision.Verdict == "" || decision.ID == "" {
			t.Fatalf("no verdict: %+v", decision)
		}
		if decision.Verdict != shared.VerdictAllow {
			return
		}
		if sentence := mustNotPass(&input); sentence != "" {
			t.Fatalf("allowed, although %s: %s", sentence, raw)
		}
	})
}

// mustNotPass is what the baseline says, a second time and in other words.
func mustNotPass(input *Input) string {
	scale := input.Step.Action.ScaleDeployment
	switch {
	case input.APIVersion != InputVersion:
		return "the document is of another version"
	case input.Stage != StagePlan && input.Stage != StageStep && input.Stage != StageRollback:
		return "there is no such stage"
	case input.Stage == StageRollback:
		return ""
	case input.Step.Reversibility == nil || *input.Step.Reversibility == "No":
		return "the step cannot be undone"
	case input.Step.Action.Type != shared.ActionScaleDeployment:
		return ""
	case scale == nil || scale.Replicas == nil:
		return "the number of replicas is not known"
	case *scale.Replicas > 3 && input.Target.Object == nil:
		return "the present number of replicas is not known"
	case input.Target.Namespace == nil:
		return "the namespace is not known"
	case *input.Target.Namespace == "kube-system":
		return "the namespace is protected"
	case input.Target.GitOps.Managed == nil || *input.Target.GitOps.Managed:
		return "a GitOps tool may manage the target"
	default:
		return ""
	}
}

// FuzzPolicy compiles any module as admission does: it ends, and what reaches out of the sandbox is refused.
func FuzzPolicy(f *testing.F) {
	for _, seed := range []string{
		"", "package kubernaut.safety.p", "package kubernaut.safety.p\n\ndeny contains \"x\" if input.step.name == \"a\"",
		"package kubernaut.safety.p\n\ndeny contains \"x\" if http.send({\"url\": \"x\"})", "package kubernaut.safety.p\n\ndeny contains opa.runtime().env",
		"package kubernaut.safety.p\n\nhold contains {\"msg\": \"x\", \"code\": 7} if true", "package kubernaut.safety.q\n\ndeny contains \"x\"",
		"package kubernaut.safety.p\n\nimport data.kubernaut.lib\n\ndeny contains \"x\" if not lib.nope", "package kubernaut.safety.p\n\ndeny contains \"x\" if rego.parse_module(\"a\", \"b\")",
	} {
		f.Add(seed)
	}
	judge, err := New(Options{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, source string) {
		review, err := judge.Review(t.Context(), PolicyObject{Name: "p", Rego: source})
		if err != nil {
			t.Fatal(err)
		}
		if len(review.Problems) > 0 {
			return
		}
		// Comments and texts may say anything: only code without either is looked at.
		if strings.ContainsAny(source, "#\"`") {
			return
		}
		for _, call := range []string{"http.send(", "opa.runtime(", "net.lookup_ip_addr(", "rego.parse_module(", "time.now_ns(", "rand.intn(", "uuid.rfc4122("} {
			if strings.Contains(source, call) {
				t.Fatalf("%s is allowed: %q", call, source)
			}
		}
	})
}

// FuzzSanitizeObject takes any object for a target: no data of a Secret is left in what policies see, and the object stays as it was.
func FuzzSanitizeObject(f *testing.F) {
	for _, seed := range []string{
		`{"kind":"Secret","apiVersion":"v1","data":{"a":"c2VjcmV0"},"stringData":{"b":"x"},"metadata":{"annotations":{"kubectl.kubernetes.io/last-applied-configuration":"{\"data\":{}}"}}}`,
		`{"kind":"ConfigMap","apiVersion":"v1","data":{"a":"b"}}`, `{}`, `{"kind":"Secret","data":7}`, `{"kind":"Secret","apiVersion":"v1","metadata":7}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var content map[string]any
		if err := utiljson.Unmarshal(raw, &content); err != nil || content == nil {
			return
		}
		before, err := json.Marshal(content)
		if err != nil {
			return
		}
		sanitized := SanitizeObject(&unstructured.Unstructured{Object: content})
		if after, err := json.Marshal(content); err != nil || string(after) != string(before) {
			t.Fatalf("the object was changed: %s", after)
		}
		metadata, _ := sanitized["metadata"].(map[string]any)
		if _, has := metadata["managedFields"]; has {
			t.Fatalf("managedFields are shown: %v", metadata)
		}
		if content["kind"] != "Secret" || content["apiVersion"] != "v1" {
			return
		}
		annotations, _ := metadata["annotations"].(map[string]any)
		for field, in := range map[string]map[string]any{"data": sanitized, "stringData": sanitized, lastApplied: annotations} {
			if value, has := in[field]; has {
				t.Fatalf("%s of a Secret is shown: %v", field, value)
			}
		}
	})
}

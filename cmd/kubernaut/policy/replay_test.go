package policy

import (
	"compress/gzip"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kubernaut.io/kubernaut/cmd/kubernaut/terminal"
	"kubernaut.io/kubernaut/policies/gate"
)

// recorded is a line of a decision log: the verdict on the test workflow's first step in another namespace.
func recorded(t *testing.T, id, verdict, namespace string) string {
	t.Helper()
	var input gate.Input
	workflow := strings.ReplaceAll(workflowManifest, "namespace: shop", "namespace: "+namespace)
	inFolder(t, map[string]string{"workflow.yaml": workflow, "facts.yaml": factsFile})
	got := kubernaut(t, "input", "-f", "workflow.yaml", "--facts", "facts.yaml", "--step", "image")
	if err := json.Unmarshal([]byte(got.out), &input); err != nil {
		t.Fatal(err)
	}
	line := map[string]any{"id": id, "time": input.Time, "stage": "plan", "verdict": verdict, "input": input}
	if verdict != "Allow" {
		line["rules"] = []any{map[string]any{"policy": "night", "effect": verdict, "code": "old", "message": "it was so"}}
	}
	text, err := json.Marshal(line)
	if err != nil {
		t.Fatal(err)
	}
	return string(text) + "\n"
}

func TestReplay(t *testing.T) {
	log := recorded(t, "1", "Allow", "shop") + recorded(t, "2", "Allow", "night") + recorded(t, "3", "Deny", "shop")
	inFolder(t, map[string]string{
		"log.jsonl":       log,
		"bad.jsonl":       log + "{}\n",
		"none.jsonl":      "{}\n",
		"broken.gz":       "no archive",
		"mine/night.rego": nightPolicy,
	})
	args := []string{"replay", "--decisions", "log.jsonl", "--policies", "mine", "--baseline=false"}
	with := func(more ...string) []string { return append(append([]string{}, args...), more...) }
	got := kubernaut(t, args...)
	want := `Deny → Allow  1×  night/old: it was so
  3
Allow → Deny  1×  night/night: nothing is changed at night
  2
3 decisions judged again, 1 with the same verdict
`
	if diff := cmp.Diff(want, got.out); diff != "" || got.code != terminal.ExitFindings {
		t.Errorf("exit code %d, (-want +got):\n%s", got.code, diff)
	}
	kubernaut(t, with("--expect", "night/old")...).want(t, terminal.ExitOK, "Deny → Allow (expected)")
	kubernaut(t, with("--expect", "other")...).want(t, terminal.ExitFindings, "1 verdict became milder")
	kubernaut(t, with("-o", "json", "--expect", "night")...).want(t, terminal.ExitOK, `"decisions": 3`, `"looser": true`)
	kubernaut(t, with("--expect", "night", "--decisions", "bad.jsonl")...).want(t, terminal.ExitFindings, "line 4: it has no input", "1 line could not be judged")
	kubernaut(t, with("--expect", "night", "--decisions", "bad.jsonl", "--skip-invalid")...).want(t, terminal.ExitOK)
	kubernaut(t, with("--decisions", "none.jsonl")...).want(t, terminal.ExitUsage, "--decision-log-inputs")
	kubernaut(t, with("--decisions", "broken.gz")...).want(t, terminal.ExitUsage, "broken.gz")
	kubernaut(t, with("--decisions", "missing")...).want(t, terminal.ExitUsage, "missing")
	kubernaut(t, "replay", "--policies", "mine").want(t, terminal.ExitUsage, "--decisions")

	file, err := os.Create("log.jsonl.gz")
	if err != nil {
		t.Fatal(err)
	}
	packed := gzip.NewWriter(file)
	if _, err := packed.Write([]byte(log)); err != nil {
		t.Fatal(err)
	}
	if err := packed.Close(); err != nil {
		t.Fatal(err)
	}
	kubernaut(t, with("--decisions", "log.jsonl.gz", "--expect", "night")...).want(t, terminal.ExitOK, "3 decisions judged again")
}

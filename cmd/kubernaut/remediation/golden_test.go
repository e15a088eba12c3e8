package remediation

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	eventsv1 "k8s.io/api/events/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	aianalysisv1 "kubernaut.io/kubernaut/api/aianalysis/v1"
	kubernetesexecutionv1 "kubernaut.io/kubernaut/api/kubernetesexecution/v1"
	remediationv1 "kubernaut.io/kubernaut/api/remediation/v1"
	remediationprocessingv1 "kubernaut.io/kubernaut/api/remediationprocessing/v1"
	safetyv1alpha1 "kubernaut.io/kubernaut/api/safety/v1alpha1"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/policies/gate"
)

var update = flag.Bool("update", false, "write the golden files anew")

// The families in testdata are what kubernaut tree -o yaml and kubectl get events printed on the local cluster:
// stuck was repaired, scale was rolled back, hopeless was escalated after a recovery, to-zero was denied, frozen is held by a policy.

// recorded reads a family of testdata.
func recorded(t *testing.T, name string) *family {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var list struct{ Items []json.RawMessage }
	if err := yaml.Unmarshal(text, &list); err != nil {
		t.Fatal(err)
	}
	var f family
	for _, item := range list.Items {
		var kind struct{ Kind string }
		if err := json.Unmarshal(item, &kind); err != nil {
			t.Fatal(err)
		}
		switch kind.Kind {
		case "RemediationRequest":
			f.request = decoded[remediationv1.RemediationRequest](t, item)
		case "RemediationProcessing":
			f.processings = append(f.processings, *decoded[remediationprocessingv1.RemediationProcessing](t, item))
		case "AIAnalysis":
			f.analyses = append(f.analyses, *decoded[aianalysisv1.AIAnalysis](t, item))
		case "WorkflowExecution":
			f.workflows = append(f.workflows, *decoded[workflowexecutionv1.WorkflowExecution](t, item))
		case "KubernetesExecution":
			f.executions = append(f.executions, *decoded[kubernetesexecutionv1.KubernetesExecution](t, item))
		case "ApprovalRequest":
			f.approvals = append(f.approvals, *decoded[safetyv1alpha1.ApprovalRequest](t, item))
		case "Event":
			f.events = append(f.events, *decoded[eventsv1.Event](t, item))
		default:
			t.Fatalf("%s: what is a %s?", name, kind.Kind)
		}
	}
	return &f
}

func decoded[T any](t *testing.T, text []byte) *T {
	t.Helper()
	object := new(T)
	if err := json.Unmarshal(text, object); err != nil {
		t.Fatal(err)
	}
	return object
}

func families() []string { return []string{"stuck", "scale", "hopeless", "to-zero", "frozen"} }

// later is a while after everything that was recorded.
func later(t *testing.T) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, "2026-11-28T00:30:00Z")
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// golden compares lines with a file of testdata.
func golden(t *testing.T, file string, lines []string) {
	t.Helper()
	got := strings.Join(lines, "\n") + "\n"
	path := filepath.Join("testdata", file)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s; go test -update writes it anew (-want +got):\n%s", path, diff)
	}
}

func TestTree(t *testing.T) {
	for _, name := range families() {
		t.Run(name, func(t *testing.T) {
			top := treeOf(recorded(t, name), false, later(t))
			golden(t, name+".tree", top.lines(false))
			wide := treeOf(recorded(t, name), true, later(t))
			golden(t, name+".wide", wide.lines(false))
		})
	}
}

func TestTreeIsTheSameInColours(t *testing.T) {
	top := treeOf(recorded(t, "scale"), false, later(t))
	plain, coloured := strings.Join(top.lines(false), "\n"), strings.Join(top.lines(true), "\n")
	if !strings.Contains(coloured, "\x1b[31mRolledBack\x1b[0m") {
		t.Error("what went wrong is not red")
	}
	for _, code := range []string{"\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[32m", "\x1b[33m"} {
		coloured = strings.ReplaceAll(coloured, code, "")
	}
	if diff := cmp.Diff(plain, coloured); diff != "" {
		t.Errorf("(-plain +coloured):\n%s", diff)
	}
}

func TestStory(t *testing.T) {
	for _, name := range families() {
		t.Run(name, func(t *testing.T) {
			on := page{zone: time.UTC}
			golden(t, name+".story", on.lines(storyOf(recorded(t, name), nil)))
		})
	}
}

func TestStoryIsInOrderAndToldOnce(t *testing.T) {
	for _, name := range families() {
		entries := storyOf(recorded(t, name), nil)
		told := map[string]bool{}
		if fresh := news(entries, told); len(fresh) != len(entries) {
			t.Errorf("%s: %d of %d entries have the key of another one", name, len(entries)-len(fresh), len(entries))
		}
		if again := news(storyOf(recorded(t, name), nil), told); len(again) != 0 {
			t.Errorf("%s: told again: %v", name, again)
		}
		for i := 1; i < len(entries); i++ {
			if entries[i].Time.Truncate(time.Second).Before(entries[i-1].Time.Truncate(time.Second)) {
				t.Errorf("%s: %q comes after %q", name, entries[i].Text, entries[i-1].Text)
			}
		}
	}
}

func TestStoryOfWhatIsStillGoingOnGrows(t *testing.T) {
	whole := recorded(t, "scale")
	begun := recorded(t, "scale")
	begun.workflows[0].Status.Phase = workflowexecutionv1.PhaseExecuting
	begun.workflows[0].Status.CompletionTime, begun.workflows[0].Status.RollbackStartTime, begun.workflows[0].Status.MonitoringStartTime = nil, nil, nil
	begun.executions = begun.executions[:1]
	told := map[string]bool{}
	first := news(storyOf(begun, nil), told)
	second := news(storyOf(whole, nil), told)
	if len(first) == 0 || len(second) == 0 || len(first)+len(second) != len(storyOf(whole, nil)) {
		t.Errorf("%d entries, then %d, of %d", len(first), len(second), len(storyOf(whole, nil)))
	}
	for _, e := range second {
		if strings.Contains(e.Text, "safety gate says") {
			t.Errorf("told twice: %s", e.Text)
		}
	}
}

func TestTables(t *testing.T) {
	var objects []client.Object
	for _, name := range families() {
		f := recorded(t, name)
		if f.request != nil {
			objects = append(objects, f.request)
		}
		for i := range f.workflows {
			objects = append(objects, &f.workflows[i])
		}
	}
	for file, test := range map[string]struct{ namespaces, wide bool }{"rows.table": {}, "rows-wide.table": {namespaces: true, wide: true}} {
		var out bytes.Buffer
		tableOf(rowsOf(objects), test.namespaces, test.wide, later(t)).Write(&out, false)
		golden(t, file, strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n"))
	}
}

// decision is a line of a decision log.
const decision = `{"id":"01a2-1","verdict":"Hold","rules":[],"stage":"step","time":"2026-11-28T00:14:44Z","durationNanoseconds":9,"results":[` +
	`{"policy":"freeze","effect":"Hold","code":"incident","message":"INC-4711"}],"recorded":[{"policy":"trial","effect":"Deny","code":"x","message":"not yet"}],` +
	`"workflow":"scale","namespace":"shop","stepIndex":0,"step":"basket","action":"scale-deployment"}`

func TestDecisionLog(t *testing.T) {
	file := filepath.Join(t.TempDir(), "decisions.jsonl")
	other := strings.ReplaceAll(decision, `"workflow":"scale"`, `"workflow":"other"`)
	before := strings.ReplaceAll(decision, "T00:14:44Z", "T00:10:00Z")
	elsewhere := strings.ReplaceAll(decision, `"namespace":"shop"`, `"namespace":"bank"`)
	text := "{\"level\":\"info\",\"msg\":\"a line of the manager\"}\nnot JSON\n" + strings.Join([]string{decision, other, before, elsewhere}, "\n") + "\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	decisions, err := readDecisions(nil, file, "shop")
	if err != nil {
		t.Fatal(err)
	}
	told := decidedEntries(storyOf(recorded(t, "scale"), decisions))
	want := []string{"gate (step) on step basket: Hold; decision 01a2-1", "Hold by freeze/incident: INC-4711", "recorded only: Deny by trial/x: not yet"}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	fromInput, err := readDecisions(strings.NewReader(decision), "-", "shop")
	if err != nil || len(fromInput) != 1 {
		t.Errorf("from standard input: %d decisions, %v", len(fromInput), err)
	}
	for name, in := range map[string]string{"nothing": "", "another file": "a: b\n"} {
		if _, err := readDecisions(strings.NewReader(in), "-", "shop"); err == nil || !strings.Contains(err.Error(), "kubernaut manager --decision-log") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := readDecisions(nil, "missing.jsonl", "shop"); err == nil || !strings.Contains(err.Error(), "missing.jsonl") {
		t.Error(err)
	}
}

func decidedEntries(entries []entry) []string {
	var texts []string
	for _, e := range entries {
		if strings.HasPrefix(e.Text, "gate (") {
			texts = append(append(texts, e.Text), e.Detail...)
		}
	}
	return texts
}

// TestDecisionIDLeadsToTheLog follows an id that a status shows to the line of the log.
func TestDecisionIDLeadsToTheLog(t *testing.T) {
	f := recorded(t, "scale")
	id := f.executions[0].Status.Decision.ID
	record := gate.Record{Workflow: "scale", Namespace: "shop", Step: "basket"}
	record.ID, record.Verdict, record.Stage, record.Time = id, "Allow", gate.StageStep, f.executions[0].CreationTimestamp.Time
	wide := treeOf(f, true, later(t))
	if shown := strings.Join(wide.lines(false), "\n"); !strings.Contains(shown, "decision "+id) {
		t.Errorf("the tree does not show %s", id)
	}
	if told := decidedEntries(storyOf(f, []gate.Record{record})); len(told) != 1 || !strings.HasSuffix(told[0], id) {
		t.Errorf("the story says %v", told)
	}
}

func TestPictureFitsTheScreen(t *testing.T) {
	got := picture([]string{"one", "a line that is too long", "three", "four"}, 10, 3)
	if diff := cmp.Diff([]string{"one", "a line th…", "… 2 more …"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := picture([]string{"one", "two"}, 10, 2); len(got) != 2 {
		t.Errorf("what fits is cut: %v", got)
	}
}

package authoring

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"kubernaut.io/kubernaut/api/shared"
	"kubernaut.io/kubernaut/policies/gate"
)

// decisionLog is a log of steps that scale a Deployment in a namespace, as a gate has judged them.
func decisionLog(t testing.TB, by *gate.Gate, namespaces ...string) string {
	t.Helper()
	var log bytes.Buffer
	for i, namespace := range namespaces {
		input := gate.NewInput(gate.StagePlan, time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
		input.Step = gate.Step{Name: "scale", Action: shared.Action{
			Type: shared.ActionScaleDeployment, ScaleDeployment: &shared.ScaleDeployment{Namespace: namespace, Name: "cart", Replicas: new(int32(4))},
		}}
		input.Target = gate.Target{Namespace: &namespace, Name: new("cart"), Object: map[string]any{"spec": map[string]any{"replicas": 2}}}
		decision := by.Evaluate(t.Context(), input)
		decision.ID = fmt.Sprintf("decision-%d", i)
		text, err := json.Marshal(gate.Record{Decision: decision, Workflow: "cart-up", Input: input})
		if err != nil {
			t.Fatal(err)
		}
		log.Write(append(text, '\n'))
	}
	return log.String()
}

func quietSet(t testing.TB, namespaces ...string) *Set {
	t.Helper()
	names, err := json.Marshal(namespaces)
	if err != nil {
		t.Fatal(err)
	}
	set, err := Load(Folders{Dirs: []string{writeFolder(t, map[string]string{
		"quiet.rego": quietPolicy,
		"data.yaml":  "kubernaut: {parameters: {quiet: {namespaces: " + string(names) + "}}}\n",
	})}})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func gateOf(t testing.TB, set *Set) *gate.Gate {
	t.Helper()
	compiled, err := set.Gate(gate.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return compiled
}

func replay(t *testing.T, set *Set, log string, options ReplayOptions) *ReplayReport {
	t.Helper()
	report, err := set.Replay(t.Context(), strings.NewReader(log), options)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func TestReplay(t *testing.T) {
	log := decisionLog(t, gateOf(t, quietSet(t, "night")), "night", "day", "night", "shop", "day")
	if got := replay(t, quietSet(t, "night"), log, ReplayOptions{}); got.Same != 5 || len(got.Flips) != 0 || got.Unexpected() != 0 {
		t.Errorf("the same policies: got %+v", got)
	}
	report := replay(t, quietSet(t, "day"), log, ReplayOptions{})
	want := []Flip{
		{From: "Deny", To: "Allow", Rule: "quiet/quiet", Message: "nothing is changed here", Looser: true, Count: 2, IDs: []string{"decision-0", "decision-2"}},
		{From: "Allow", To: "Deny", Rule: "quiet/quiet", Message: "nothing is changed here", Count: 2, IDs: []string{"decision-1", "decision-4"}},
	}
	if diff := cmp.Diff(want, report.Flips, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if report.Decisions != 5 || report.Same != 1 || report.Unexpected() != 2 || report.PolicySetRevision == "" {
		t.Errorf("got %+v", report)
	}
	for _, expected := range []string{"quiet", "quiet/quiet"} {
		if got := replay(t, quietSet(t, "day"), log, ReplayOptions{Expected: []string{expected}}); got.Unexpected() != 0 || !got.Flips[0].Expected {
			t.Errorf("%s was expected: got %+v", expected, got.Flips)
		}
	}
	if got := replay(t, quietSet(t, "day"), log, ReplayOptions{Expected: []string{"other", "quiet/other"}}); got.Unexpected() != 2 {
		t.Errorf("something else was expected: got %+v", got.Flips)
	}
}

func TestAnAuditedPolicyIsReplayedAsIfEnforced(t *testing.T) {
	none := loadFolder(t, map[string]string{"stop.rego": "package kubernaut.safety.stop\n\nwarn contains \"x\" if false\n"})
	log := decisionLog(t, gateOf(t, none), "shop")
	audited := "# METADATA\n# custom:\n#   enforcement: Audit\npackage kubernaut.safety.new\n\ndeny contains \"x\" if true\n"
	dir := writeFolder(t, map[string]string{"new.rego": audited})
	for enforce, want := range map[bool]int{false: 0, true: 1} {
		set, err := Load(Folders{Dirs: []string{dir}, Enforce: enforce})
		if err != nil {
			t.Fatal(err)
		}
		if got := replay(t, set, log, ReplayOptions{}); len(got.Flips) != want {
			t.Errorf("enforce %v: got %+v", enforce, got.Flips)
		}
	}
	flow := strings.Replace(audited, "custom:\n#   enforcement: Audit", "custom: {enforcement: Audit}", 1)
	if _, err := Load(Folders{Dirs: []string{writeFolder(t, map[string]string{"new.rego": flow})}, Enforce: true}); err == nil {
		t.Error("an enforcement that cannot be replaced must be an error")
	}
}

func TestLinesThatCannotBeReplayed(t *testing.T) {
	good := decisionLog(t, gateOf(t, quietSet(t, "night")), "day")
	log := strings.Join([]string{
		"", "no JSON", `{"verdict": "Allow"}`, `{"verdict": "Allow", "input": null}`, `{"verdict": "Maybe", "input": {}}`,
		`{"verdict": "Allow", "input": {"taregt": {}}}`, good,
	}, "\n")
	report := replay(t, quietSet(t, "night"), log, ReplayOptions{})
	var got []string
	for _, line := range report.InvalidLines {
		reason, _, _ := strings.Cut(line.Reason, ":")
		got = append(got, fmt.Sprintf("%d %s", line.Line, reason))
	}
	want := []string{"2 it is no decision", "3 it has no input", "4 it has no input", `5 its verdict is "Maybe"`, "6 its input is not of this version"}
	if diff := cmp.Diff(want, got); diff != "" || report.Invalid != 5 || report.Decisions != 1 {
		t.Errorf("%d invalid of %d, (-want +got):\n%s", report.Invalid, report.Decisions, diff)
	}
	if _, err := quietSet(t, "night").Replay(t.Context(), iotest.ErrReader(errors.New("torn")), ReplayOptions{}); err == nil {
		t.Error("a log that cannot be read must be an error")
	}
}

// repeated is a log of many decisions.
func repeated(log string, times int) io.Reader {
	return strings.NewReader(strings.Repeat(log, times))
}

func TestManyDecisionsInParallel(t *testing.T) {
	set, err := Load(Folders{Dirs: []string{writeFolder(t, map[string]string{"quiet.rego": quietPolicy, "data.yaml": quietParameters})}, Baseline: true})
	if err != nil {
		t.Fatal(err)
	}
	log := decisionLog(t, gateOf(t, set), "night", "day", "shop", "cart", "kube-system")
	most := 0
	report, err := set.Replay(t.Context(), repeated(log, 200), ReplayOptions{Progress: func(done int) { most = max(most, done) }})
	if err != nil {
		t.Fatal(err)
	}
	if report.Decisions != 1000 || report.Same != 1000 || most != 1000 {
		t.Errorf("%d decisions, %d the same, progress up to %d", report.Decisions, report.Same, most)
	}
}

func BenchmarkReplay(b *testing.B) {
	set, err := Load(Folders{BaselineOwn: true})
	if err != nil {
		b.Fatal(err)
	}
	log := decisionLog(b, gateOf(b, set), "night", "day", "shop", "cart", "kube-system")
	const decisions = 10000
	for b.Loop() {
		if _, err := set.Replay(b.Context(), repeated(log, decisions/5), ReplayOptions{}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Seconds())/float64(b.N), "s/10000-decisions")
}

package gate

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/natefinch/lumberjack.v2"

	"kubernaut.io/kubernaut/api/shared"
)

func logged(t *testing.T, options LogOptions) (*Gate, func() []Record) {
	t.Helper()
	options.File = filepath.Join(t.TempDir(), "decisions.jsonl")
	log, err := OpenDecisionLog(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	gate, err := New(Options{Log: log})
	if err != nil {
		t.Fatal(err)
	}
	return gate, func() (records []Record) {
		file, err := os.Open(options.File)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		for lines := bufio.NewScanner(file); lines.Scan(); {
			var record Record
			if err := json.Unmarshal(lines.Bytes(), &record); err != nil {
				t.Fatal(err)
			}
			records = append(records, record)
		}
		return records
	}
}

func TestEveryDecisionIsALine(t *testing.T) {
	gate, records := logged(t, LogOptions{})
	decisions := []Decision{
		gate.Evaluate(t.Context(), scaleInput()), gate.Evaluate(t.Context(), scaleInput(replicas(0))), gate.Evaluate(t.Context(), nil),
	}
	got := records()
	if len(got) != len(decisions) {
		t.Fatalf("%d lines for %d decisions", len(got), len(decisions))
	}
	for i, record := range got {
		if record.ID != decisions[i].ID || record.Verdict != decisions[i].Verdict || record.Input != nil || record.Duration == 0 {
			t.Errorf("got %+v, want %+v", record, decisions[i])
		}
		if diff := cmp.Diff(decisions[i].Rules, record.Rules); diff != "" {
			t.Error(diff)
		}
	}
	want := shared.Target{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "shop", Name: "cart"}
	first := got[0]
	if first.Target != want || first.Workflow != "cart-workflow" || first.Namespace != "shop" || first.Step != "scale" ||
		first.Action != shared.ActionScaleDeployment || first.Requester != "prometheus" || first.PolicySetRevision != gate.Revision() {
		t.Errorf("got %+v", first)
	}
}

func TestALoggedInputDecidesAgain(t *testing.T) {
	gate, records := logged(t, LogOptions{Inputs: true})
	want := gate.Evaluate(t.Context(), scaleInput(replicas(0)))
	record := records()[0]
	got := gate.Evaluate(t.Context(), record.Input)
	if got.Verdict != want.Verdict || got.InputDigest != want.InputDigest || !cmp.Equal(got.Rules, want.Rules) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestValuesOfSecretsAreNotLogged(t *testing.T) {
	gate, records := logged(t, LogOptions{Inputs: true})
	in := scaleInput(func(in *Input) {
		in.Target.Kind = new("Secret")
		in.Impact.Changes = []Change{{Path: "/data/key", Before: "hush-a", After: "hush-b"}}
		in.Rollback.Restores = []RestoredField{{Path: "/data/key", Value: "hush-c"}}
	})
	gate.Evaluate(t.Context(), in)
	text, err := json.Marshal(records())
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), "hush") || !strings.Contains(string(text), "/data/key") {
		t.Errorf("got %s", text)
	}
	if in.Impact.Changes[0].Before != "hush-a" || in.Rollback.Restores[0].Value != "hush-c" {
		t.Error("the input itself was changed")
	}
}

func TestTheLogRotates(t *testing.T) {
	gate, _ := logged(t, LogOptions{Inputs: true, Megabytes: 1, Backups: 2})
	in := scaleInput(func(in *Input) { in.Workflow.Annotations = map[string]string{"a": strings.Repeat("x", 300_000)} })
	for range 20 {
		gate.Evaluate(t.Context(), in)
	}
	log, isFile := gate.log.out.(*lumberjack.Logger)
	if !isFile {
		t.Fatal("no rotating file")
	}
	files, err := filepath.Glob(filepath.Join(filepath.Dir(log.Filename), "*"))
	if err != nil || len(files) < 2 {
		t.Errorf("got %v, %v", files, err)
	}
}

func TestNoDecisionIsLostWhenTheLogRotates(t *testing.T) {
	gate, _ := logged(t, LogOptions{Inputs: true, Megabytes: 1, Backups: 20})
	in := scaleInput(func(in *Input) { in.Workflow.Annotations = map[string]string{"a": strings.Repeat("x", 300_000)} })
	made := map[string]bool{}
	for range 20 {
		made[gate.Evaluate(t.Context(), in).ID] = true
	}
	log, isFile := gate.log.out.(*lumberjack.Logger)
	if !isFile {
		t.Fatal("no rotating file")
	}
	files, err := filepath.Glob(filepath.Join(filepath.Dir(log.Filename), "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			var record Record
			if err := json.Unmarshal([]byte(line), &record); err != nil {
				t.Fatalf("%s: a line is torn: %v", file, err)
			}
			delete(made, record.ID)
		}
	}
	if len(made) != 0 || len(files) < 3 {
		t.Errorf("%d of 20 decisions are in none of %d files", len(made), len(files))
	}
}

func TestALogThatCannotBeWritten(t *testing.T) {
	if _, err := OpenDecisionLog(LogOptions{File: filepath.Join(t.TempDir(), "no", "such", "folder")}); err == nil {
		t.Error("want an error")
	}
	var problems []error
	log := &DecisionLog{out: broken{}, onError: func(err error) { problems = append(problems, err) }}
	gate, err := New(Options{Log: log})
	if err != nil {
		t.Fatal(err)
	}
	if got := gate.Evaluate(t.Context(), scaleInput()); got.Verdict != shared.VerdictAllow || len(problems) != 1 {
		t.Errorf("the decision stands, and somebody is told: got %v, %v", got, problems)
	}
	log.inputs = true
	gate.Evaluate(t.Context(), scaleInput(func(in *Input) { in.Target.Object = map[string]any{"a": func() {}} }))
	if len(problems) != 2 {
		t.Errorf("got %v", problems)
	}
	out, err := OpenDecisionLog(LogOptions{Out: io.Discard})
	if err != nil || out.Close() != nil {
		t.Errorf("got %v", err)
	}
}

func TestLinesAreWholeWhenManyDecide(t *testing.T) {
	gate, records := logged(t, LogOptions{Inputs: true})
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 10 {
				gate.Evaluate(t.Context(), scaleInput())
			}
		})
	}
	group.Wait()
	if got := len(records()); got != 80 {
		t.Errorf("got %d lines", got)
	}
}

type broken struct{ io.Closer }

func (broken) Write([]byte) (int, error) { return 0, errors.New("the disk is full") }

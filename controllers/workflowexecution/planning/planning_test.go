package planning

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
)

func step(name string, dependsOn ...string) shared.Step {
	return shared.Step{Name: name, DependsOn: dependsOn}
}

func noTarget(int) string { return "" }

func TestNewGraph(t *testing.T) {
	for sentence, test := range map[string]struct {
		steps      []shared.Step
		targets    []string
		wantOrder  []int
		wantBefore [][]int
		wantCycle  []string
		wantErr    error
	}{
		"independent steps keep the order of the list": {
			steps: []shared.Step{step("a"), step("b"), step("c")}, wantOrder: []int{0, 1, 2}, wantBefore: [][]int{nil, nil, nil},
		},
		"dependencies come first, wherever they stand": {
			steps: []shared.Step{step("a", "c"), step("b"), step("c")}, wantOrder: []int{1, 2, 0}, wantBefore: [][]int{{2}, nil, nil},
		},
		"steps on one target follow the list": {
			steps: []shared.Step{step("a"), step("b"), step("c")}, targets: []string{"x", "y", "x"},
			wantOrder: []int{0, 1, 2}, wantBefore: [][]int{nil, nil, {0}},
		},
		"an order of dependsOn on one target stays, against the list": {
			steps: []shared.Step{step("a", "b"), step("b")}, targets: []string{"x", "x"}, wantOrder: []int{1, 0}, wantBefore: [][]int{{1}, nil},
		},
		"orders of two targets that contradict each other through dependsOn make no circle": {
			steps:   []shared.Step{step("i", "b"), step("j"), step("a", "j"), step("b")},
			targets: []string{"t", "t", "u", "u"},
			// i before j by the list; then a comes after j and so after i, which comes after b: b before a.
			wantOrder: []int{3, 0, 1, 2}, wantBefore: [][]int{{3}, {0}, {1}, nil},
		},
		"a circle is named": {
			steps: []shared.Step{step("a", "b"), step("b", "c"), step("c", "a"), step("d", "a")}, wantCycle: []string{"a", "b", "c", "a"},
		},
		"a step that waits for itself is a circle": {steps: []shared.Step{step("a", "a")}, wantCycle: []string{"a", "a"}},
		"an unknown name is an error":              {steps: []shared.Step{step("a", "z")}, wantErr: ErrUnknownStep},
		"a name that stands twice is an error":     {steps: []shared.Step{step("a"), step("a")}, wantErr: ErrDuplicateStep},
	} {
		t.Run(sentence, func(t *testing.T) {
			key := noTarget
			if test.targets != nil {
				key = func(i int) string { return test.targets[i] }
			}
			graph, err := NewGraph(test.steps, key)
			if cycle, ok := errors.AsType[*CycleError](err); ok || test.wantCycle != nil {
				if !ok || !slices.Equal(cycle.Steps, test.wantCycle) {
					t.Fatalf("got %v, want the circle %v", err, test.wantCycle)
				}
				return
			}
			if !errors.Is(err, test.wantErr) {
				t.Fatalf("got error %v, want %v", err, test.wantErr)
			}
			if err != nil {
				return
			}
			if diff := cmp.Diff(test.wantOrder, graph.Order()); diff != "" {
				t.Errorf("order (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.wantBefore, graph.dependencies); diff != "" {
				t.Errorf("dependencies (-want +got):\n%s", diff)
			}
		})
	}
}

// TestGraphProperties draws random graphs: edges lead only from later to earlier places of a random permutation, so they have
// no circle.
func TestGraphProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 30).Draw(t, "steps")
		place := rapid.Permutation(indicesUpTo(n)).Draw(t, "order")
		steps, targets := make([]shared.Step, n), make([]string, n)
		for i := range steps {
			steps[i].Name = name(i)
			targets[i] = rapid.SampledFrom([]string{"", "x", "y", "z"}).Draw(t, "target")
			for j := range steps {
				if place[j] < place[i] && rapid.IntRange(0, 5).Draw(t, "edge") == 0 {
					steps[i].DependsOn = append(steps[i].DependsOn, name(j))
				}
			}
		}
		graph, err := NewGraph(steps, func(i int) string { return targets[i] })
		if err != nil {
			t.Fatalf("a graph without a circle is refused: %v", err)
		}
		checkOrder(t, graph, n)
		checkBatches(t, graph, targets, rapid.IntRange(1, 20).Draw(t, "limit"))
	})
}

func checkOrder(t *rapid.T, graph *Graph, n int) {
	t.Helper()
	if sorted := slices.Sorted(slices.Values(graph.Order())); !slices.Equal(sorted, indicesUpTo(n)) {
		t.Fatalf("the order %v does not hold every step once", graph.Order())
	}
	for at, i := range graph.Order() {
		for _, dependency := range graph.Dependencies(i) {
			if slices.Index(graph.Order(), dependency) > at {
				t.Fatalf("step %d comes before %d, which it depends on", i, dependency)
			}
		}
	}
}

func checkBatches(t *rapid.T, graph *Graph, targets []string, limit int) {
	t.Helper()
	done := map[int]bool{}
	for number, batch := range graph.Batches(limit) {
		if len(batch) == 0 || len(batch) > limit {
			t.Fatalf("batch %d has %d steps, the limit is %d", number, len(batch), limit)
		}
		seen := map[string]bool{}
		for _, i := range batch {
			if targets[i] != "" && seen[targets[i]] {
				t.Fatalf("batch %d has two steps on target %s", number, targets[i])
			}
			seen[targets[i]] = true
			if !met(graph, done, i) {
				t.Fatalf("batch %d has step %d before what it depends on", number, i)
			}
		}
		for i := range targets {
			if len(batch) < limit && !done[i] && !slices.Contains(batch, i) && met(graph, done, i) {
				t.Fatalf("batch %d is not maximal: step %d could be in it", number, i)
			}
		}
		for _, i := range batch {
			done[i] = true
		}
	}
}

func met(graph *Graph, done map[int]bool, i int) bool {
	return !slices.ContainsFunc(graph.Dependencies(i), func(d int) bool { return !done[d] })
}

func indicesUpTo(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

func name(i int) string { return "s" + string(rune('a'+i/26)) + string(rune('a'+i%26)) }

func TestBackoff(t *testing.T) {
	for failed, want := range map[int32]time.Duration{
		0: 5 * time.Second, 1: 5 * time.Second, 2: 10 * time.Second, 3: 20 * time.Second, 4: 40 * time.Second, 5: 80 * time.Second,
		6: 2 * time.Minute, 60: 2 * time.Minute,
	} {
		if got := Backoff(failed); got != want {
			t.Errorf("after %d failures: got %s, want %s", failed, got, want)
		}
	}
}

func TestStepBudgetHoldsAttemptsAndBackoff(t *testing.T) {
	s := shared.Step{Timeout: &metav1.Duration{Duration: time.Minute}, MaxRetries: new(int32(2))}
	if got, want := StepBudget(&s), 3*time.Minute+5*time.Second+10*time.Second; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestBuild(t *testing.T) {
	steps := []shared.Step{step("a"), step("b"), step("c", "a", "b")}
	input := Input{
		Definition:      &shared.WorkflowDefinition{Name: "w", Steps: steps},
		Mode:            shared.ModeRemediate,
		TypicalDuration: func(i int) time.Duration { return time.Duration(i+1) * time.Second },
	}
	graph, err := NewGraph(steps, noTarget)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := Build(graph, input)
	if err != nil {
		t.Fatal(err)
	}
	want := &workflowexecutionv1.Plan{
		Strategy: workflowexecutionv1.StrategyMixed, Batches: []workflowexecutionv1.Batch{{0, 1}, {2}}, CriticalPath: []int32{1, 2},
		EstimatedDuration: &metav1.Duration{Duration: 5 * time.Second}, Digest: plan.Digest,
	}
	if diff := cmp.Diff(want, plan); diff != "" {
		t.Errorf("plan (-want +got):\n%s", diff)
	}
	for sentence, change := range map[string]func(*Input){
		"another mode":     func(in *Input) { in.Mode = shared.ModeDryRun },
		"another strategy": func(in *Input) { in.Strategy = &shared.ExecutionStrategy{DryRunFirst: new(false)} },
		"another UID":      func(in *Input) { in.Targets = []workflowexecutionv1.PlannedTarget{{UID: "u"}} },
		"another step time-out": func(in *Input) {
			in.Definition = in.Definition.DeepCopy()
			in.Definition.Steps[0].Timeout = &metav1.Duration{}
		},
	} {
		other := input
		change(&other)
		again, err := Build(graph, other)
		if err != nil {
			t.Fatal(err)
		}
		if again.Digest == plan.Digest {
			t.Errorf("%s leaves the digest as it was", sentence)
		}
	}
}

package planning

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
)

// drawGraph draws steps with any edges between them, so that there may be circles.
func drawGraph(t *rapid.T) []shared.Step {
	n := rapid.IntRange(1, 12).Draw(t, "steps")
	steps := make([]shared.Step, n)
	for i := range steps {
		steps[i].Name = name(i)
		for j := range steps {
			if rapid.IntRange(0, n).Draw(t, "edge") == 0 {
				steps[i].DependsOn = append(steps[i].DependsOn, name(j))
			}
		}
	}
	return steps
}

// TestCirclesAreNamed: whatever steps depend on, either they have an order, or the error names a circle that is there.
func TestCirclesAreNamed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		steps := drawGraph(t)
		dependsOn := func(a, b string) bool {
			i := slices.IndexFunc(steps, func(s shared.Step) bool { return s.Name == a })
			return i >= 0 && slices.Contains(steps[i].DependsOn, b)
		}
		_, err := NewGraph(steps, noTarget)
		cycle, is := errors.AsType[*CycleError](err)
		if circular := hasCircle(steps); circular != is || (err != nil) != circular {
			t.Fatalf("got %v; there is a circle: %t", err, circular)
		}
		if !is {
			return
		}
		path := cycle.Steps
		if len(path) < 2 || path[0] != path[len(path)-1] {
			t.Fatalf("%v does not come back to where it begins", path)
		}
		for i := range path[1:] {
			if !dependsOn(path[i], path[i+1]) {
				t.Fatalf("%v is no circle: %s does not depend on %s", path, path[i], path[i+1])
			}
		}
		if inner := slices.Compact(slices.Sorted(slices.Values(path[1:]))); len(inner) != len(path)-1 {
			t.Fatalf("%v names a step twice", path)
		}
	})
}

// hasCircle takes away, as long as it can, the steps that depend on none that is left.
func hasCircle(steps []shared.Step) bool {
	left := map[string][]string{}
	for _, step := range steps {
		left[step.Name] = step.DependsOn
	}
	for {
		before := len(left)
		for name, dependsOn := range left {
			if !slices.ContainsFunc(dependsOn, func(d string) bool { return left[d] != nil || hasKey(left, d) }) {
				delete(left, name)
			}
		}
		if len(left) == before {
			return before > 0
		}
	}
}

func hasKey(m map[string][]string, key string) bool {
	_, is := m[key]
	return is
}

// TestTheCriticalPathIsTheLongest: no other chain of dependencies takes longer, and its duration is the sum along it.
func TestTheCriticalPathIsTheLongest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 12).Draw(t, "steps")
		steps, durations := make([]shared.Step, n), make([]time.Duration, n)
		for i := range steps {
			steps[i].Name = name(i)
			durations[i] = time.Duration(rapid.IntRange(0, 9).Draw(t, "seconds")) * time.Second
			for j := range i {
				if rapid.IntRange(0, 3).Draw(t, "edge") == 0 {
					steps[i].DependsOn = append(steps[i].DependsOn, name(j))
				}
			}
		}
		graph, err := NewGraph(steps, noTarget)
		if err != nil {
			t.Fatal(err)
		}
		path, total := graph.CriticalPath(func(i int) time.Duration { return durations[i] })
		var sum time.Duration
		for at, i := range path {
			sum += durations[i]
			if at > 0 && !slices.Contains(graph.Dependencies(i), path[at-1]) {
				t.Fatalf("the path %v is no chain", path)
			}
		}
		longest := time.Duration(0)
		for i := range steps {
			longest = max(longest, longestTo(graph, durations, i))
		}
		if sum != total || total != longest {
			t.Fatalf("the path %v takes %s, said to be %s; the longest chain takes %s", path, sum, total, longest)
		}
	})
}

func longestTo(graph *Graph, durations []time.Duration, step int) time.Duration {
	var before time.Duration
	for _, dependency := range graph.Dependencies(step) {
		before = max(before, longestTo(graph, durations, dependency))
	}
	return before + durations[step]
}

// TestTheDigestIsThatOfThePlan: equal plans have equal digests, however the maps in them were filled; whatever else is planned
// has another.
func TestTheDigestIsThatOfThePlan(t *testing.T) {
	input := func(labels []string, change func(*Input)) Input {
		steps := []shared.Step{{Name: "a", Action: shared.Action{Type: shared.ActionNotifyOnly, NotifyOnly: &shared.NotifyOnly{Message: "hello"}}}, {Name: "b", DependsOn: []string{"a"}}}
		in := Input{
			Definition: &shared.WorkflowDefinition{Steps: steps}, Strategy: &shared.ExecutionStrategy{MaxParallelSteps: new(int32(2))}, Mode: shared.ModeRemediate,
			Targets: []workflowexecutionv1.PlannedTarget{{Target: shared.Target{Kind: "Deployment", Name: "x"}, UID: "uid-x"}},
		}
		for _, label := range labels {
			in.Targets = append(in.Targets, workflowexecutionv1.PlannedTarget{Target: shared.Target{Kind: "Deployment", Name: label}, UID: label})
		}
		if change != nil {
			change(&in)
		}
		return in
	}
	digestOf := func(in Input) string {
		digest, err := Digest(in)
		if err != nil {
			t.Fatal(err)
		}
		return digest
	}
	rapid.Check(t, func(t *rapid.T) {
		targets := rapid.SliceOfDistinct(rapid.StringMatching(`[a-z]{1,4}`), rapid.ID[string]).Draw(t, "targets")
		shuffled := rapid.Permutation(targets).Draw(t, "shuffled")
		if digestOf(input(targets, nil)) != digestOf(input(shuffled, nil)) {
			t.Fatal("the order in which targets are found is no part of the plan")
		}
		// Go gives the keys of a map in another order each time: that the text is the same is shown by asking often.
		parameters := map[string]int{}
		for i := range rapid.IntRange(0, 20).Draw(t, "parameters") {
			parameters[fmt.Sprint(i)] = i
		}
		if first := digestOf(input(targets, nil)); first != digestOf(input(targets, nil)) || len(first) != 64 {
			t.Fatalf("the digest %q is not always the same", first)
		}
	})
	seen := map[string]string{}
	for what, change := range map[string]func(*Input){
		"nothing":      nil,
		"a parameter":  func(in *Input) { in.Definition.Steps[0].Action.NotifyOnly.Message = "other" },
		"a dependency": func(in *Input) { in.Definition.Steps[1].DependsOn = nil },
		"the order":    func(in *Input) { slices.Reverse(in.Definition.Steps) },
		"a UID":        func(in *Input) { in.Targets[0].UID = "uid-y" },
		"a target":     func(in *Input) { in.Targets[0].Name = "y" },
		"the mode":     func(in *Input) { in.Mode = shared.ModeDryRun },
		"the strategy": func(in *Input) { in.Strategy.MaxParallelSteps = new(int32(3)) },
		"no strategy":  func(in *Input) { in.Strategy = nil },
		"what is undone": func(in *Input) {
			in.Undo = &workflowexecutionv1.Undo{Steps: []workflowexecutionv1.UndoStep{{RestoreFrom: "x"}}}
		},
		"one more step": func(in *Input) { in.Definition.Steps = append(in.Definition.Steps, shared.Step{Name: "c"}) },
		"a rollback":    func(in *Input) { in.Definition.Steps[0].Rollback = shared.RollbackNone },
	} {
		digest := digestOf(input(nil, change))
		if other, taken := seen[digest]; taken {
			t.Errorf("changing %s and changing %s give the same digest", what, other)
		}
		seen[digest] = what
	}
	// A generation is what moves while a workflow waits; it is judged again by itself.
	if digestOf(input(nil, nil)) != digestOf(input(nil, func(in *Input) { in.Targets[0].Generation = 9 })) {
		t.Error("the generation of a target is no part of the digest")
	}
}

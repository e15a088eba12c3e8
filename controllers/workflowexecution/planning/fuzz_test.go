package planning

import (
	"errors"
	"slices"
	"testing"

	"kubernaut.io/kubernaut/api/shared"
)

// FuzzNewGraph makes steps of any bytes: what is ordered respects every dependency, and a circle that is shown is one.
func FuzzNewGraph(f *testing.F) {
	f.Add([]byte{3, 0, 1, 1, 2, 2, 0}, []byte{0, 1, 0})
	f.Add([]byte{4, 0, 1, 2, 3}, []byte{1, 1, 1, 1})
	f.Add([]byte{}, []byte{})
	f.Fuzz(func(t *testing.T, edges, targets []byte) {
		const most = 12
		if len(edges) == 0 {
			return
		}
		steps := make([]shared.Step, int(edges[0])%most)
		for i := range steps {
			steps[i].Name = string(rune('a' + i))
		}
		for pair := range slices.Chunk(edges[1:], 2) {
			if len(pair) < 2 || len(steps) == 0 {
				break
			}
			// One more than there are steps, so that some name nobody.
			from, to := int(pair[0])%len(steps), int(pair[1])%(len(steps)+1)
			steps[from].DependsOn = append(steps[from].DependsOn, string(rune('a'+to)))
		}
		key := func(i int) string {
			if i >= len(targets) || targets[i] == 0 {
				return ""
			}
			return string(rune('A' + targets[i]%4))
		}
		graph, err := NewGraph(steps, key)
		if circle, is := errors.AsType[*CycleError](err); is {
			circleHolds(t, steps, circle)
			return
		}
		if err != nil {
			if !errors.Is(err, ErrUnknownStep) {
				t.Fatal(err)
			}
			return
		}
		orderHolds(t, steps, graph, key)
	})
}

func circleHolds(t *testing.T, steps []shared.Step, circle *CycleError) {
	t.Helper()
	if len(circle.Steps) < 2 || circle.Steps[0] != circle.Steps[len(circle.Steps)-1] {
		t.Fatalf("%v is no circle", circle.Steps)
	}
	for i := range len(circle.Steps) - 1 {
		own := slices.IndexFunc(steps, func(s shared.Step) bool { return s.Name == circle.Steps[i] })
		if !slices.Contains(steps[own].DependsOn, circle.Steps[i+1]) {
			t.Fatalf("%v: %s does not depend on %s", circle.Steps, circle.Steps[i], circle.Steps[i+1])
		}
	}
}

func orderHolds(t *testing.T, steps []shared.Step, graph *Graph, key func(int) string) {
	t.Helper()
	place := map[string]int{}
	for at, i := range graph.Order() {
		place[steps[i].Name] = at
	}
	if len(place) != len(steps) {
		t.Fatalf("%v is no order of %d steps", graph.Order(), len(steps))
	}
	for _, step := range steps {
		for _, before := range step.DependsOn {
			if place[before] >= place[step.Name] {
				t.Fatalf("%v: %s does not come after %s", graph.Order(), step.Name, before)
			}
		}
	}
	seen := 0
	for _, batch := range graph.Batches(3) {
		if len(batch) == 0 || len(batch) > 3 {
			t.Fatalf("a batch of %d", len(batch))
		}
		targets := map[string]bool{}
		for _, i := range batch {
			if target := key(i); target != "" && targets[target] {
				t.Fatalf("%v: two steps on %s at once", batch, target)
			} else {
				targets[target] = true
			}
			seen++
		}
	}
	if seen != len(steps) {
		t.Fatalf("the batches hold %d of %d steps", seen, len(steps))
	}
}

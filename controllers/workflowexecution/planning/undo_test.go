package planning

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"kubernaut.io/kubernaut/api/shared"
)

// TestBackwardsProperties: whatever is kept, everything that comes after a step, directly or by steps that are not kept, is undone
// before it.
func TestBackwardsProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 20).Draw(t, "steps")
		steps, kept := make([]shared.Step, n), make([]bool, n)
		for i := range steps {
			steps[i].Name = name(i)
			kept[i] = rapid.Bool().Draw(t, "kept")
			for j := range i {
				if rapid.IntRange(0, 4).Draw(t, "edge") == 0 {
					steps[i].DependsOn = append(steps[i].DependsOn, name(j))
				}
			}
		}
		graph, err := NewGraph(steps, noTarget)
		if err != nil {
			t.Fatal(err)
		}
		order, before := graph.Backwards(func(i int) bool { return kept[i] })
		place := map[int]int{}
		for at, i := range order {
			if !kept[i] {
				t.Fatalf("step %d is not kept", i)
			}
			place[i] = at
		}
		if len(place) != len(order) || len(place) != countTrue(kept) {
			t.Fatalf("the order %v does not hold every kept step once", order)
		}
		for i := range steps {
			for j := range steps {
				if kept[i] && kept[j] && reaches(graph, j, i) && (place[j] > place[i] || !waitsFor(before, i, j)) {
					t.Fatalf("step %d comes after %d and is not undone before it: order %v, before %v", j, i, order, before)
				}
			}
			for _, later := range before[i] {
				if !kept[later] || !reaches(graph, later, i) {
					t.Fatalf("step %d waits for %d, which does not come after it", i, later)
				}
			}
		}
	})
}

func countTrue(list []bool) int {
	n := 0
	for _, is := range list {
		if is {
			n++
		}
	}
	return n
}

// reaches says whether step from depends on step to, by any chain.
func reaches(graph *Graph, from, to int) bool {
	return slices.ContainsFunc(graph.Dependencies(from), func(d int) bool { return d == to || reaches(graph, d, to) })
}

// waitsFor says whether undoing step i waits for undoing step j, by any chain.
func waitsFor(before [][]int, i, j int) bool {
	return slices.ContainsFunc(before[i], func(k int) bool { return k == j || waitsFor(before, k, j) })
}

// Package planning orders the steps of a workflow: pure functions over a directed acyclic graph.
package planning

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"gonum.org/v1/gonum/graph"
	"gonum.org/v1/gonum/graph/simple"
	"gonum.org/v1/gonum/graph/topo"

	"kubernaut.io/kubernaut/api/shared"
)

// CycleError says that steps depend on each other in a circle.
type CycleError struct {
	// Steps are the names along the circle; the first stands again at the end.
	Steps []string
}

// Error shows the circle: a → b → a, each step depending on the next.
func (e *CycleError) Error() string {
	return "the steps depend on each other in a circle: " + strings.Join(e.Steps, " → ")
}

// ErrUnknownStep says that dependsOn names a step that the workflow does not have.
var ErrUnknownStep = errors.New("unknown step")

// ErrDuplicateStep says that two steps have the same name.
var ErrDuplicateStep = errors.New("duplicate step")

// Graph is the order of steps, by their 0-based index.
type Graph struct {
	dependencies [][]int
	order        []int
}

// NewGraph orders steps by dependsOn. Steps with the same target, as key gives it, never run at once: where dependsOn leaves
// their order open, that of the list decides. An empty key is no target. The error is a *CycleError, ErrUnknownStep or
// ErrDuplicateStep.
func NewGraph(steps []shared.Step, key func(step int) string) (*Graph, error) {
	dependencies, err := explicit(steps)
	if err != nil {
		return nil, err
	}
	order, err := sorted(steps, dependencies)
	if err != nil {
		return nil, err
	}
	if serialize(dependencies, order, key) {
		if order, err = sorted(steps, dependencies); err != nil {
			return nil, err
		}
	}
	return &Graph{dependencies: dependencies, order: order}, nil
}

func explicit(steps []shared.Step) ([][]int, error) {
	index := make(map[string]int, len(steps))
	for i, step := range steps {
		if _, taken := index[step.Name]; taken {
			return nil, fmt.Errorf("%w %q", ErrDuplicateStep, step.Name)
		}
		index[step.Name] = i
	}
	dependencies := make([][]int, len(steps))
	for i, step := range steps {
		for _, name := range step.DependsOn {
			dependency, known := index[name]
			if !known {
				return nil, fmt.Errorf("step %q depends on %w %q", step.Name, ErrUnknownStep, name)
			}
			if dependency == i {
				return nil, &CycleError{Steps: []string{name, name}}
			}
			if !slices.Contains(dependencies[i], dependency) {
				dependencies[i] = append(dependencies[i], dependency)
			}
		}
	}
	return dependencies, nil
}

// sorted is a topological order; among steps that could all be next, the list's order decides.
func sorted(steps []shared.Step, dependencies [][]int) ([]int, error) {
	directed := simple.NewDirectedGraph()
	for i := range dependencies {
		directed.AddNode(simple.Node(i))
	}
	for i, before := range dependencies {
		for _, dependency := range before {
			directed.SetEdge(simple.Edge{F: simple.Node(dependency), T: simple.Node(i)})
		}
	}
	nodes, err := topo.SortStabilized(directed, byID)
	if circles, unorderable := errors.AsType[topo.Unorderable](err); unorderable {
		return nil, &CycleError{Steps: circle(steps, dependencies, circles[0])}
	}
	if err != nil {
		return nil, fmt.Errorf("sorting the steps: %w", err)
	}
	order := make([]int, len(nodes))
	for i, node := range nodes {
		order[i] = int(node.ID())
	}
	return order, nil
}

func byID(nodes []graph.Node) {
	slices.SortFunc(nodes, func(a, b graph.Node) int { return int(a.ID() - b.ID()) })
}

// circle walks along dependencies inside a strongly connected component until it meets a step again.
func circle(steps []shared.Step, dependencies [][]int, component []graph.Node) []string {
	inside := make(map[int]bool, len(component))
	first := int(component[0].ID())
	for _, node := range component {
		inside[int(node.ID())] = true
		first = min(first, int(node.ID()))
	}
	var path []int
	for at := first; !slices.Contains(path, at); {
		path = append(path, at)
		next := slices.IndexFunc(dependencies[at], func(d int) bool { return inside[d] })
		at = dependencies[at][next]
		if start := slices.Index(path, at); start >= 0 {
			path = append(path[start:], at)
			break
		}
	}
	names := make([]string, len(path))
	for i, at := range path {
		names[i] = steps[at].Name
	}
	return names
}

// serialize adds a dependency between any two steps on one target that have none yet, and says whether it added any. It never
// makes a circle: where a step already comes after another by any chain of dependencies, that order stays.
func serialize(dependencies [][]int, order []int, key func(int) string) bool {
	before := make([]set, len(dependencies))
	for _, i := range order {
		for _, dependency := range dependencies[i] {
			before[i].add(dependency)
			before[i].union(before[dependency])
		}
	}
	added := false
	for i := range dependencies {
		for j := i + 1; j < len(dependencies); j++ {
			if key(i) == "" || key(i) != key(j) || before[i].has(j) || before[j].has(i) {
				continue
			}
			dependencies[j] = append(dependencies[j], i)
			added = true
			for k := range before {
				if k == j || before[k].has(j) {
					before[k].add(i)
					before[k].union(before[i])
				}
			}
		}
	}
	return added
}

// set holds the indices of steps, of which there are at most 100.
type set [2]uint64

func (s *set) add(i int)      { s[i/64] |= 1 << (i % 64) }
func (s *set) has(i int) bool { return s[i/64]&(1<<(i%64)) != 0 }
func (s *set) union(other set) {
	s[0] |= other[0]
	s[1] |= other[1]
}

// Order is a topological order of the steps.
func (g *Graph) Order() []int { return g.order }

// Dependencies are the steps that must be completed before a step: those of dependsOn and those before it on its target.
func (g *Graph) Dependencies(step int) []int { return g.dependencies[step] }

// Batches are the steps that may run at once, at most limit in each. A batch is maximal: no step of a later one could have
// been in it, unless it was full.
func (g *Graph) Batches(limit int) [][]int {
	var batches [][]int
	done := make([]bool, len(g.dependencies))
	for remaining := len(done); remaining > 0; {
		var batch []int
		for i := range done {
			ready := !done[i] && !slices.ContainsFunc(g.dependencies[i], func(d int) bool { return !done[d] })
			if ready && len(batch) < limit {
				batch = append(batch, i)
			}
		}
		for _, i := range batch {
			done[i] = true
		}
		batches = append(batches, batch)
		remaining -= len(batch)
	}
	return batches
}

// CriticalPath is the chain of steps with the longest sum of durations, and that sum.
func (g *Graph) CriticalPath(duration func(step int) time.Duration) ([]int, time.Duration) {
	total := make([]time.Duration, len(g.order))
	previous := make([]int, len(g.order))
	last := -1
	for _, i := range g.order {
		previous[i] = -1
		for _, dependency := range g.dependencies[i] {
			if previous[i] < 0 || total[dependency] > total[previous[i]] {
				previous[i] = dependency
			}
		}
		if previous[i] >= 0 {
			total[i] = total[previous[i]]
		}
		total[i] += duration(i)
		if last < 0 || total[i] > total[last] {
			last = i
		}
	}
	if last < 0 {
		return nil, 0
	}
	var path []int
	for i := last; i >= 0; i = previous[i] {
		path = append(path, i)
	}
	slices.Reverse(path)
	return path, total[last]
}

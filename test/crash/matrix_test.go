package crash

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
)

const (
	// variableSeed chooses the first seed. variableOnly chooses one trial by its name, or, ending in a slash, a whole matrix or scenario.
	variableSeed, variableOnly = "KUBERNAUT_CRASH_SEED", "KUBERNAUT_CRASH_ONLY"
	// mostShown is how many failures are shown in full.
	mostShown = 3
	// beyond is how many writes more than the run without trouble had are tried as crash points: their number varies a little.
	beyond = 3
)

// inFlight is how many runs are made at once: most of a run is waiting.
var inFlight = 16 * runtime.GOMAXPROCS(0)

// trial is one run of a matrix.
type trial struct {
	name string
	trouble
}

// tally is what was done, for the summary.
type tally struct {
	runs, crashes, late int
	faults              map[fault]int
	points              map[string]int
	took                time.Duration
}

var (
	tallies = map[string]*tally{}
	order   []string
)

// plain is the run of a scenario without trouble, made once.
var plain = map[string]result{}

// reference is the outcome that every run of a scenario must have. Two runs show that it is one.
func reference(ctx context.Context, s scenario) result {
	GinkgoHelper()
	if known, there := plain[s.name]; there {
		return known
	}
	first, err := s.run(ctx, trouble{})
	second, again := s.run(ctx, trouble{})
	if err = errors.Join(err, again); err == nil {
		err = s.meant(first.outcome, second.outcome)
	}
	if err != nil {
		Fail("runs without any trouble do not end as they are meant to: " + err.Error())
	}
	plain[s.name] = first
	return first
}

// meant says why two outcomes of runs without trouble are not what a scenario is meant to have.
func (s scenario) meant(first, second outcome) error {
	if different := differences(first, second); different != "" {
		return errors.New("they differ:\n" + different)
	}
	for name, parts := range s.shows {
		for _, part := range parts {
			if !strings.Contains(first[name], part) {
				return fmt.Errorf("%s does not have %q:\n%s", name, part, first[name])
			}
		}
	}
	return nil
}

// all makes every run of a matrix, many at once, and reports those that end otherwise than the one without trouble. The trials may
// depend on how many writes that one has.
func all(ctx context.Context, s scenario, kind string, of func(writes int) []trial) {
	GinkgoHelper()
	if only := os.Getenv(variableOnly); !strings.HasPrefix(only, s.name+"/"+kind+"/") && !strings.HasPrefix(s.name+"/"+kind+"/", only) {
		Skip(variableOnly + " chooses others")
	}
	want := reference(ctx, s)
	trials := of(len(want.writes))
	t := &tally{faults: map[fault]int{}, points: map[string]int{}}
	name := s.name + ": " + kind
	began := time.Now()
	var mutex sync.Mutex
	var failures, failed []string
	queue := make(chan trial)
	var workers sync.WaitGroup
	for range inFlight {
		workers.Go(func() {
			for next := range queue {
				res, err := s.run(ctx, next.trouble)
				var problem string
				if err != nil {
					problem = err.Error()
				} else {
					problem = differences(want.outcome, res.outcome)
				}
				mutex.Lock()
				t.add(next, res)
				if problem != "" {
					failed = append(failed, next.name)
					failures = append(failures, fmt.Sprintf("%s (again: %s=%q %s=%d make test-crash)\n%s", next.name, variableOnly, next.name, variableSeed, seed(), problem))
				}
				mutex.Unlock()
			}
		})
	}
	for _, next := range trials {
		next.name = s.name + "/" + kind + "/" + next.name
		if only := os.Getenv(variableOnly); only == "" || next.name == only || strings.HasSuffix(only, "/") && strings.HasPrefix(next.name, only) {
			queue <- next
		}
	}
	close(queue)
	workers.Wait()
	t.took = time.Since(began)
	tallies[name] = t
	order = append(order, name)
	if len(failures) > 0 {
		first := strings.Join(failures[:min(len(failures), mostShown)], "\n\n")
		Fail(fmt.Sprintf("%d of %d runs failed: %s; the first of them:\n%s", len(failures), t.runs, strings.Join(failed, ", "), first))
	}
}

func (t *tally) add(next trial, res result) {
	t.runs++
	for kind, n := range res.faults {
		t.faults[kind] += n
	}
	if next.crash == nil || !res.crashed {
		return
	}
	t.crashes++
	if len(res.writes) > 0 {
		t.points[res.writes[len(res.writes)-1]]++
	}
	if res.arrived != "" {
		t.late++
	}
}

func seed() uint64 {
	text := os.Getenv(variableSeed)
	if text == "" {
		return 1
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		panic(fmt.Sprintf("%s=%s is no number", variableSeed, text))
	}
	return n
}

// everyWrite crashes at each write of a run.
func everyWrite(when moment) func(int) []trial {
	return func(writes int) []trial {
		var trials []trial
		for k := 1; k <= writes+beyond; k++ {
			trials = append(trials, trial{name: strconv.Itoa(k), trouble: trouble{crash: &crashPoint{write: k, moment: when}}})
		}
		return trials
	}
}

// seeded makes trials by consecutive seeds.
func seeded(n int, of func(random *rand.Rand, writes int) trouble) func(int) []trial {
	return func(writes int) []trial {
		var trials []trial
		for i := range uint64(n) {
			s := seed() + i
			t := of(rand.New(rand.NewPCG(s, 1)), writes)
			t.seed = s
			trials = append(trials, trial{name: fmt.Sprintf("seed %d", s), trouble: t})
		}
		return trials
	}
}

func anyCrash(random *rand.Rand, writes int) *crashPoint {
	return &crashPoint{write: 1 + random.IntN(writes), moment: []moment{before, after, late}[random.IntN(3)]}
}

// clockSteps have the clock be fast or slow by another time after each write, and never by so much that a time limit passes by that:
// from the slowest to the fastest is less than half of what a workflow grants an execution beyond its limit.
func clockSteps(random *rand.Rand, writes int) []time.Duration {
	const most = 6 // seconds
	var steps []time.Duration
	var off time.Duration
	for range writes {
		next := time.Duration(random.IntN(2*most+1)-most) * time.Second
		steps = append(steps, next-off)
		off = next
	}
	return steps
}

// mostFaults is how many of a hundred requests fail at most: each has what it was for done again, and much of a workflow.
const mostFaults = 4

// Ginkgo runs them in the order of the lines. Requests that fail come first: what is tried again takes long in an API server that has
// had a thousand runs.
var _ = Describe("Every effect happens once, and a run ends as it does without trouble,", func() {
	for _, s := range []scenario{succeeding(), failing(), recovering(), approving(), cancelling(), undoing()} {
		Describe(s.name, func() {
			It("when requests fail, answers get lost, caches are stale, and the manager dies", func(ctx SpecContext) {
				all(ctx, s, "faults", seeded(s.seeds.faults, func(random *rand.Rand, writes int) trouble {
					return trouble{rate: 1 + random.IntN(mostFaults), lag: 20 * time.Millisecond, crash: anyCrash(random, writes)}
				}))
			})
			It("when two managers are active by mistake", func(ctx SpecContext) {
				all(ctx, s, "two managers", seeded(s.seeds.managers, func(random *rand.Rand, _ int) trouble {
					return trouble{managers: 2, rate: random.IntN(4), lag: time.Duration(random.IntN(30)) * time.Millisecond}
				}))
			})
			It("when the clock steps forwards and backwards", func(ctx SpecContext) {
				all(ctx, s, "clock", seeded(s.seeds.clock, func(random *rand.Rand, writes int) trouble {
					return trouble{steps: clockSteps(random, writes)}
				}))
			})
			for _, when := range []moment{before, after, late} {
				It(fmt.Sprintf("when the manager dies at any write: %s", when), func(ctx SpecContext) {
					all(ctx, s, string(when), everyWrite(when))
				})
			}
		})
	}
})

var _ = ReportAfterSuite("what was done", func(Report) {
	var total tally
	total.faults, total.points = map[fault]int{}, map[string]int{}
	fmt.Printf("\n%-32s %6s %8s %6s %8s %8s\n", "MATRIX", "RUNS", "CRASHES", "LATE", "FAULTS", "TIME")
	for _, name := range order {
		t := tallies[name]
		fmt.Printf("%-32s %6d %8d %6d %8d %7.0fs\n", name, t.runs, t.crashes, t.late, sum(t.faults), t.took.Seconds())
		total.runs, total.crashes, total.late, total.took = total.runs+t.runs, total.crashes+t.crashes, total.late+t.late, total.took+t.took
		merge(total.faults, t.faults)
		merge(total.points, t.points)
	}
	fmt.Printf("%-32s %6d %8d %6d %8d %7.0fs\n", "all, from seed "+strconv.FormatUint(seed(), 10), total.runs, total.crashes, total.late, sum(total.faults), total.took.Seconds())
	fmt.Printf("\n%s\n\n%s", list("CRASH POINTS", total.points), list("FAULTS", total.faults))
})

func sum[K comparable](counts map[K]int) int {
	n := 0
	for _, count := range counts {
		n += count
	}
	return n
}

func merge[K comparable](into, from map[K]int) {
	for key, n := range from {
		into[key] += n
	}
}

func list[K cmp.Ordered](title string, counts map[K]int) string {
	lines := []string{title}
	for _, key := range slices.Sorted(maps.Keys(counts)) {
		lines = append(lines, fmt.Sprintf("%6d  %v", counts[key], key))
	}
	return strings.Join(lines, "\n") + "\n"
}

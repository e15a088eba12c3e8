// Bench runs the benchmarks that have a bar, prints a table, writes .bench/results.json and fails when a bar is missed.
//
// A bar is a ratio of two things measured side by side in one run, so that it means the same on every machine.
package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"text/tabwriter"
)

// measure is one figure that a benchmark reports.
type measure struct {
	name      string
	benchmark string // as go test prints it, without the number of CPUs
	metric    string
	unit      string
	bar       bar // the zero value judges nothing: the figure is only reported
}

// bar is what a figure must not pass.
type bar struct {
	limit float64
	side  side
}

// side is on which side of the limit a figure must be.
type side string

const (
	below side = "≤"
	above side = "≥"
)

func atMost(limit float64) bar  { return bar{limit: limit, side: below} }
func atLeast(limit float64) bar { return bar{limit: limit, side: above} }

func (b bar) judges() bool { return b.side != "" }

func (b bar) met(value float64) bool {
	switch b.side {
	case below:
		return value <= b.limit
	case above:
		return value >= b.limit
	default:
		return true
	}
}

func (b bar) String() string { return fmt.Sprintf("%s %g", b.side, b.limit) }

// suite is the benchmarks of one package: they run in one process, one suite after the other.
type suite struct {
	pkg string
	// pattern selects the benchmarks, as -bench does.
	pattern string
	// benchtime is how long each runs, as -benchtime has it; empty is what the command was told.
	benchtime string
	measures  []measure
}

func suites() []suite {
	return []suite{gateSuite(), admissionSuite(), engineSuite()}
}

func gateSuite() suite {
	return suite{pkg: "./policies/gate", pattern: "^BenchmarkGate", measures: []measure{
		{"gate: verdict with 50 more policies, against a bare prepared query", "BenchmarkGateVerdict", "ratio", "×", atMost(1.6)},
		{"gate: 100 policies that do not match, against 1", "BenchmarkGateNotMatching/100", "ratio", "×", atMost(1.5)},
		{"gate: 1000 policies that do not match, against 1", "BenchmarkGateNotMatching/1000", "ratio", "×", atMost(1.5)},
	}}
}

// result is one line of the results; a value without a bar explains one that has.
type result struct {
	Name  string   `json:"name"`
	Value float64  `json:"value"`
	Unit  string   `json:"unit"`
	Bar   *float64 `json:"bar"`
	OK    bool     `json:"ok"`

	bar bar
}

//nolint:forbidigo // this is a command: it owns process and terminal
func main() {
	out := flag.String("out", filepath.Join(".bench", "results.json"), "file for the results")
	benchtime := flag.String("benchtime", "3s", "how long each benchmark runs")
	only := flag.String("only", "", "run only the suites whose package contains this")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *out, *benchtime, *only, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		stop()
		os.Exit(1) //nolint:gocritic // what was deferred is done
	}
}

func run(ctx context.Context, out, benchtime, only string, table, progress io.Writer) error {
	var results []result
	for _, s := range suites() {
		if !strings.Contains(s.pkg, only) {
			continue
		}
		figures, err := s.run(ctx, benchtime, progress)
		if err != nil {
			return err
		}
		judged, err := judge(s.measures, figures)
		if err != nil {
			return err
		}
		results = append(results, judged...)
	}
	if err := write(out, results); err != nil {
		return err
	}
	show(table, results)
	var missed error
	for _, result := range results {
		if !result.OK {
			missed = errors.Join(missed, fmt.Errorf("%s is %.2f %s, and must be %s", result.Name, result.Value, result.Unit, result.bar))
		}
	}
	return missed
}

// run runs the benchmarks of the suite.
func (s suite) run(ctx context.Context, benchtime string, progress io.Writer) (figures, error) {
	var text bytes.Buffer
	command := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", s.pattern, "-benchtime", cmp.Or(s.benchtime, benchtime), "-timeout", "1h", s.pkg)
	command.Stdout, command.Stderr = io.MultiWriter(&text, progress), progress
	if err := command.Run(); err != nil {
		return nil, fmt.Errorf("%s: %w", strings.Join(command.Args, " "), err)
	}
	all := figures{}
	all.read(text.String())
	return all, nil
}

// figures are the metrics of benchmarks, by benchmark and unit.
type figures map[string]map[string]float64

// read takes the lines of go test -bench: a name that ends in the number of CPUs, the number of runs, and pairs of value and unit.
func (f figures) read(text string) {
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) < 4 || !strings.HasPrefix(fields[0], "Benchmark") {
			continue
		}
		name := fields[0]
		if dash := strings.LastIndexByte(name, '-'); dash > 0 {
			name = name[:dash]
		}
		metrics := map[string]float64{}
		for i := 2; i+1 < len(fields); i += 2 {
			if value, err := strconv.ParseFloat(fields[i], 64); err == nil {
				metrics[fields[i+1]] = value
			}
		}
		f[name] = metrics
	}
}

// judge compares figures with bars. A figure that is missing is an error: what was not measured has not met its bar.
func judge(measures []measure, figures figures) ([]result, error) {
	var results []result
	var missing error
	for _, m := range measures {
		value, measured := figures[m.benchmark][m.metric]
		if !measured {
			missing = errors.Join(missing, fmt.Errorf("%s was not measured: %s has no %s", m.name, m.benchmark, m.metric))
			continue
		}
		one := result{Name: m.name, Value: value, Unit: m.unit, OK: m.bar.met(value), bar: m.bar}
		if m.bar.judges() {
			one.Bar = new(m.bar.limit)
		}
		results = append(results, one)
		for _, absolute := range []string{"measured-ns", "against-ns"} {
			if value, measured := figures[m.benchmark][absolute]; measured {
				results = append(results, result{Name: m.name + ", " + strings.TrimSuffix(absolute, "-ns"), Value: value / 1e6, Unit: "ms", OK: true})
			}
		}
	}
	return results, missing
}

func write(path string, results []result) error {
	text, err := json.MarshalIndent(results, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}

func show(out io.Writer, results []result) {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "MEASURE\tVALUE\tBAR\t")
	for _, result := range results {
		bar, verdict := "", ""
		if result.bar.judges() {
			bar, verdict = result.bar.String()+" "+result.Unit, "ok"
		}
		if !result.OK {
			verdict = "MISSED"
		}
		fmt.Fprintf(table, "%s\t%.3f %s\t%s\t%s\n", result.Name, result.Value, result.Unit, bar, verdict)
	}
	_ = table.Flush() // to a terminal
}

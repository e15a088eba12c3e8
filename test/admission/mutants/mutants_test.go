// Package mutants shows that every rule of admission is needed: each is taken out by itself, and a row of the tests must fail.
//
// The rules of the guard are taken out on a real API server by the tests in test/admission. Here are those that need none: what
// webhooks/rules decides and completes, what controllers/rights asks for, and every place where a handler refuses.
package mutants

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"kubernaut.io/kubernaut/test/cluster"
)

const (
	// variable says to a build with mutants which of them it is.
	variable = "KUBERNAUT_ADMISSION_MUTANT"
	// patience is how long the tests may take with one mutant; one that makes them hang is noticed too.
	patience = time.Minute
	// longest is how much of a rule is printed.
	longest = 96
)

// suites are the packages with rules, and the tests that have to notice that one is gone.
func suites() map[string][]string {
	return map[string][]string{
		"webhooks/rules":     {"webhooks/rules", "webhooks"},
		"webhooks":           {"webhooks"},
		"controllers/rights": {"controllers/rights", "webhooks"},
	}
}

func TestEveryRuleIsNeeded(t *testing.T) {
	root, err := cluster.Root()
	if err != nil {
		t.Fatal(err)
	}
	var points []point
	replaced, built := map[string]string{}, map[string]string{}
	directory := t.TempDir()
	write := func(name string, content []byte) string {
		path := filepath.Join(directory, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for pkg := range suites() {
		files, err := filepath.Glob(filepath.Join(root, pkg, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		name := ""
		for _, path := range slices.DeleteFunc(files, func(path string) bool { return strings.HasSuffix(path, "_test.go") }) {
			source, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			file, err := mutate(pkg, filepath.Base(path), source, len(points))
			if err != nil {
				t.Fatal(err)
			}
			name = file.name
			if len(file.points) > 0 {
				points = append(points, file.points...)
				replaced[path] = write(fmt.Sprintf("mutated-%d.go", len(replaced)), file.source)
			}
		}
		replaced[filepath.Join(root, pkg, "mutant_switch.go")] = write(fmt.Sprintf("switch-%s.go", name), []byte(switches(name)))
	}
	if len(points) < 100 {
		t.Fatalf("only %d rules were found: the packages have changed, and this test has to follow", len(points))
	}
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": replaced})
	if err != nil {
		t.Fatal(err)
	}
	overlayPath := write("overlay.json", overlay)
	for pkg := range suites() {
		built[pkg] = filepath.Join(directory, strings.ReplaceAll(pkg, "/", "-")+".test")
		build := exec.CommandContext(t.Context(), "go", "test", "-c", "-vet=off", "-overlay", overlayPath, "-o", built[pkg], "./"+pkg)
		build.Dir = root
		if output, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, output)
		}
		if row, output := run(t.Context(), built[pkg], filepath.Join(root, pkg), ""); row != "" {
			t.Fatalf("%s fails with every rule in place, at %s:\n%s", pkg, row, output)
		}
	}

	rows := make([]string, len(points))
	group, ctx := errgroup.WithContext(t.Context())
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i, p := range points {
		group.Go(func() error {
			for _, pkg := range suites()[p.pkg] {
				if row, _ := run(ctx, built[pkg], filepath.Join(root, pkg), strconv.Itoa(i+1)); row != "" {
					rows[i] = row
					break
				}
			}
			return ctx.Err()
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	var table strings.Builder
	for _, i := range order(points) {
		p := points[i]
		fmt.Fprintf(&table, "%-44s %-*s %s\n", p.at(), longest, p.text(), cmp.Or(rows[i], "NOTHING FAILS WITHOUT IT"))
		if rows[i] == "" {
			t.Errorf("nothing fails without %s: %s", p.at(), p.rule)
		}
	}
	fmt.Printf("\n%s%d rules; each has a row that fails without it, the first of which is named\n", table.String(), len(points))
}

func order(points []point) []int {
	indices := make([]int, len(points))
	for i := range indices {
		indices[i] = i
	}
	slices.SortFunc(indices, func(a, b int) int {
		return cmp.Or(cmp.Compare(points[a].pkg, points[b].pkg), cmp.Compare(points[a].file, points[b].file), cmp.Compare(points[a].line, points[b].line), cmp.Compare(a, b))
	})
	return indices
}

// failed is the first thing that a test binary says has failed; rows are indented below their test.
var failed = regexp.MustCompile(`(?m)^ *--- FAIL: (\S+)`)

// run runs a test binary as the mutant of that number, and gives the row that failed; empty if none did.
func run(parent context.Context, binary, directory, number string) (row, output string) {
	ctx, cancel := context.WithTimeout(parent, patience)
	defer cancel()
	command := exec.CommandContext(ctx, binary, "-test.failfast", "-test.short")
	command.Dir = directory
	command.Env = append(os.Environ(), variable+"="+number)
	text, err := command.CombinedOutput()
	if err == nil {
		return "", string(text)
	}
	row = "it does not end"
	if exit, is := errors.AsType[*exec.ExitError](err); is && exit.ExitCode() > 0 {
		row = "it does not run"
	}
	for _, found := range failed.FindAllStringSubmatch(string(text), -1) {
		if strings.HasPrefix(found[1], row) || strings.HasPrefix(row, "it does not") {
			row = found[1] // the row of a table says more than the table
		}
	}
	return row, string(text)
}

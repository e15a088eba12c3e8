package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"
)

const output = `goos: linux
BenchmarkGateVerdict-2             330   3652008 ns/op   683044 against-ns   1488836 measured-ns   2.180 ratio
BenchmarkGateNotMatching/100-2    1952    659148 ns/op   1.001 ratio
PASS
`

func TestBarsAreJudged(t *testing.T) {
	have := figures{}
	have.read(output)
	results, err := judge([]measure{
		{name: "slow", benchmark: "BenchmarkGateVerdict", metric: "ratio", unit: "×", bar: atMost(1.6)},
		{name: "quick", benchmark: "BenchmarkGateNotMatching/100", metric: "ratio", unit: "×", bar: atMost(1.5)},
	}, have)
	if err != nil {
		t.Fatal(err)
	}
	if len(results) != 4 || results[0].OK || results[0].Value != 2.18 || !results[3].OK || results[1].Unit != "ms" {
		t.Errorf("got %+v", results)
	}
	low, err := judge([]measure{{name: "low", benchmark: "BenchmarkGateVerdict", metric: "ratio", bar: atLeast(3)}}, have)
	if err != nil || low[0].OK {
		t.Errorf("2.18 is less than at least 3: got %+v, %v", low, err)
	}
	if _, err := judge([]measure{{name: "never", benchmark: "BenchmarkOther", metric: "ratio"}}, have); err == nil {
		t.Error("what was not measured must be an error")
	}
	var table bytes.Buffer
	show(&table, results)
	if !strings.Contains(table.String(), "MISSED") {
		t.Errorf("got %s", table.String())
	}
	if err := write(filepath.Join(t.TempDir(), "new", "results.json"), results); err != nil {
		t.Error(err)
	}
}

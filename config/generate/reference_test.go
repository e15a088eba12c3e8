package main

import (
	"bufio"
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Whatever records events stands on the page of events: its package, or the one that its reasons come from.
func TestEveryRecorderIsOnThePageOfEvents(t *testing.T) {
	known := map[string]bool{"webhooks": true} // the reasons are those of webhooks/statusguard
	for _, source := range eventSources() {
		known[source.pkg] = true
	}
	root := filepath.Join("..", "..")
	found := 0
	for _, top := range []string{"controllers", "webhooks", "policies", "cmd"} {
		err := filepath.WalkDir(filepath.Join(root, top), func(path string, entry os.DirEntry, err error) error {
			if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			source, err := os.ReadFile(path) //nolint:gosec // our own sources
			if err != nil {
				return err
			}
			if !bytes.Contains(source, []byte("ecorder.Eventf(")) {
				return nil
			}
			found++
			pkg, err := filepath.Rel(root, filepath.Dir(path))
			if !known[pkg] {
				t.Errorf("%s records events, and is not on docs/reference/events.md: add it to eventSources", path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if found == 0 {
		t.Fatal("nobody records events")
	}
}

func TestMetricsHaveARow(t *testing.T) {
	pages, err := referencePages(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	for lines := bufio.NewScanner(bytes.NewReader(pages["metrics.md"])); lines.Scan(); {
		line := lines.Text()
		if !strings.HasPrefix(line, "| `kubernaut_") {
			continue
		}
		rows++
		if cells := strings.Split(line, " | "); len(cells) != 4 || strings.TrimSpace(strings.TrimSuffix(cells[3], "|")) == "" || cells[1] == "metric" {
			t.Errorf("%q says too little", line)
		}
	}
	if rows < 10 {
		t.Errorf("only %d metrics", rows)
	}
}

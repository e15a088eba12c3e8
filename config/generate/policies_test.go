package main

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"sigs.k8s.io/yaml"

	"kubernaut.io/kubernaut/policies"
	"kubernaut.io/kubernaut/policies/gate"
)

func pages(t *testing.T) map[string][]byte {
	t.Helper()
	rendered, err := policyPages(policies.FS)
	if err != nil {
		t.Fatal(err)
	}
	return rendered
}

func TestThePagesAboutPoliciesAreUpToDate(t *testing.T) {
	folder := filepath.Join("..", "..", "docs", "policies")
	want := pages(t)
	for _, name := range slices.Sorted(maps.Keys(want)) {
		got, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			t.Errorf("%v; run make generate", err)
			continue
		}
		if !bytes.Equal(want[name], got) {
			t.Errorf("docs/policies/%s is not what the policies say; run make generate", name)
		}
	}
	have, err := filepath.Glob(filepath.Join(folder, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range have {
		if want[filepath.Base(path)] == nil {
			t.Errorf("%s is the page of no policy; run make generate", path)
		}
	}
}

// What a page tells people to apply has to be a SafetyPolicy, for a policy that there is, with parameters that it takes.
func TestTheExamplesOfThePagesAreValid(t *testing.T) {
	for name, page := range pages(t) {
		if name == "README.md" {
			continue
		}
		_, rest, found := strings.Cut(string(page), "```yaml\n")
		text, _, closed := strings.Cut(rest, "```\n")
		if !found || !closed {
			t.Errorf("%s has no example", name)
			continue
		}
		var example manifest
		if err := yaml.UnmarshalStrict([]byte(text), &example); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		baseline := example.Spec.Source.Baseline
		if baseline+".md" != name {
			t.Errorf("%s relaxes %s", name, baseline)
		}
		parameters := map[string]any{}
		if example.Spec.Parameters != nil {
			if err := json.Unmarshal(example.Spec.Parameters.Raw, &parameters); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, err := gate.New(gate.Options{Parameters: map[string]any{baseline: parameters}}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPagesOfPoliciesThatAreGoneAreRemoved(t *testing.T) {
	folder := t.TempDir()
	for _, name := range []string{"kept.md", "gone.md", "other.txt"} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte("old"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := writePages(folder, map[string][]byte{"kept.md": []byte("new")}); err != nil {
		t.Fatal(err)
	}
	have, err := filepath.Glob(filepath.Join(folder, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range have {
		have[i] = filepath.Base(have[i])
	}
	if !slices.Equal(have, []string{"kept.md", "other.txt"}) {
		t.Errorf("got %v", have)
	}
}

func TestAPolicyThatCannotBeReadHasNoPage(t *testing.T) {
	if _, err := policyPages(fstest.MapFS{"safety/p.rego": {Data: []byte("package p")}}); err == nil {
		t.Error("want an error")
	}
}

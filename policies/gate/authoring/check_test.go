package authoring

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kubernaut.io/kubernaut/policies/gate"
)

// writeFolder makes a folder of policies from file names and their content.
func writeFolder(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func loadFolder(t testing.TB, files map[string]string) *Set {
	t.Helper()
	set, err := Load(Folders{Dirs: []string{writeFolder(t, files)}})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func loadBaseline(t testing.TB) *Set {
	t.Helper()
	set, err := Load(Folders{BaselineOwn: true})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func check(t *testing.T, set *Set) []Problem {
	t.Helper()
	problems, err := set.Check(CheckOptions{Format: true})
	if err != nil {
		t.Fatal(err)
	}
	return problems
}

func TestTheBaselinePassesTheCheck(t *testing.T) {
	set := loadBaseline(t)
	for _, problem := range check(t, set) {
		t.Errorf("%s: %s", problem.Place(), problem.Message)
	}
	if len(set.Policies()) == 0 {
		t.Error("the baseline has no policies")
	}
}

func TestCompileProblemsHaveTheirPlace(t *testing.T) {
	for sentence, test := range map[string]struct {
		files     map[string]string
		wantFile  string
		wantPlace [2]int
		wantText  string
		wantCaret string
	}{
		"a typo in the path of a fact": {
			files:    map[string]string{"p.rego": "package kubernaut.safety.p\n\ndeny contains \"x\" if {\n\tinput.taregt.namespace == \"a\"\n}\n"},
			wantFile: "p.rego", wantPlace: [2]int{4, 2}, wantText: "input.taregt", wantCaret: "\t^",
		},
		"a function that the sandbox lacks": {
			files:    map[string]string{"p.rego": "package kubernaut.safety.p\n\ndeny contains \"x\" if http.send({}).status_code == 200\n"},
			wantFile: "p.rego", wantPlace: [2]int{3, 22}, wantText: "http.send", wantCaret: "                     ^",
		},
		"an unused variable": {
			files:    map[string]string{"sub/p.rego": "package kubernaut.safety.p\n\ndeny contains \"x\" if {\n\ta := 1\n}\n"},
			wantFile: "sub/p.rego", wantPlace: [2]int{4, 2}, wantText: "unused", wantCaret: "\t^",
		},
		"a package that is not that of the file": {
			files:    map[string]string{"p.rego": "package kubernaut.safety.q\n\ndeny contains \"x\"\n"},
			wantFile: "p.rego", wantPlace: [2]int{1, 1}, wantText: "kubernaut.safety.p", wantCaret: "^",
		},
		"a syntax error": {
			files:    map[string]string{"p.rego": "package kubernaut.safety.p\n\ndeny contains \"x\" if {\n"},
			wantFile: "p.rego", wantPlace: [2]int{4, 1}, wantText: "parse",
		},
		"a mistake in a test": {
			files: map[string]string{
				"p.rego":      "package kubernaut.safety.p\n\ndeny contains \"x\" if true\n",
				"p_test.rego": "package kubernaut.safety.p_test\n\nimport data.kubernaut.safety.p\n\ntest_it if nothing\n",
			},
			wantFile: "p_test.rego", wantPlace: [2]int{3, 1}, wantText: "unused", wantCaret: "^",
		},
		"a test in the package of the policy": {
			files: map[string]string{
				"p.rego":      "package kubernaut.safety.p\n\ndeny contains \"x\" if true\n",
				"p_test.rego": "package kubernaut.safety.p\n\ntest_it if true\n",
			},
			wantFile: "p_test.rego", wantPlace: [2]int{1, 1}, wantText: "p_test", wantCaret: "^",
		},
		"a parameter without a default": {
			files: map[string]string{
				"p.rego": "# METADATA\n# custom:\n#   parameters:\n#     most: How many.\npackage kubernaut.safety.p\n\ndeny contains \"x\" if true\n",
			},
			wantFile: "p.rego", wantPlace: [2]int{5, 1}, wantText: "most", wantCaret: "^",
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			problems := check(t, loadFolder(t, test.files))
			if len(problems) == 0 {
				t.Fatal("want a problem")
			}
			got := problems[0]
			if got.Kind != KindCompile || !strings.HasSuffix(got.File, test.wantFile) || !strings.Contains(got.Message, test.wantText) {
				t.Errorf("got %+v", got)
			}
			if place := [2]int{got.Row, got.Column}; place != test.wantPlace || got.Caret() != test.wantCaret {
				t.Errorf("got place %v and caret %q, want %v and %q", place, got.Caret(), test.wantPlace, test.wantCaret)
			}
		})
	}
}

func TestFoldersThatHoldNoPoliciesAreRefused(t *testing.T) {
	policy := "package kubernaut.safety.p\n\ndeny contains \"x\"\n"
	for sentence, test := range map[string]struct {
		files map[string]string
		dirs  []string
		want  string
	}{
		"an empty folder":           {files: map[string]string{"README.md": ""}, dirs: []string{"."}, want: "there is no policy"},
		"a folder that is not":      {files: map[string]string{"p.rego": policy}, dirs: []string{"missing"}, want: "missing"},
		"a file":                    {files: map[string]string{"p.rego": policy}, dirs: []string{"p.rego"}, want: "name the folder"},
		"two policies of one name":  {files: map[string]string{"a/p.rego": policy, "b/p.rego": policy}, dirs: []string{"."}, want: "both the policy p"},
		"the same in two folders":   {files: map[string]string{"a/p.rego": policy, "b/p.rego": policy}, dirs: []string{"a", "b"}, want: "both the policy p"},
		"parameters of another key": {files: map[string]string{"p.rego": policy, "data.yaml": "parameters: {}\n"}, dirs: []string{"."}, want: "kubernaut.parameters"},
	} {
		dir := writeFolder(t, test.files)
		var dirs []string
		for _, name := range test.dirs {
			dirs = append(dirs, filepath.Join(dir, name))
		}
		if _, err := Load(Folders{Dirs: dirs}); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got error %v, want %q in it", sentence, err, test.want)
		}
	}
}

func TestAFolderTakesThePlaceOfTheBaseline(t *testing.T) {
	dir := writeFolder(t, map[string]string{
		"registries.rego": "package kubernaut.safety.registries\n\ndeny contains \"mine\"\n",
		"own.rego":        "package kubernaut.classification\n\nenvironment := \"production\"\n\npriority := \"P0\"\n\nbusiness_unit := \"shop\"\n",
	})
	set, err := Load(Folders{Dirs: []string{dir}, Baseline: true})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"registries"}, set.Policies()); diff != "" {
		t.Error(diff)
	}
	if _, found := set.sources["safety/registries_test.rego"]; found {
		t.Error("the test of the policy that was replaced is still there")
	}
	if _, found := set.sources["classification/environment.rego"]; found {
		t.Error("the classification of the baseline is still there")
	}
	if _, found := set.sources["safety/replica_bounds.rego"]; !found {
		t.Error("the rest of the baseline is gone")
	}
}

func TestAFolderOfParametersChangesThoseOfTheBaseline(t *testing.T) {
	dir := writeFolder(t, map[string]string{"data.yaml": "kubernaut: {parameters: {replica_bounds: {maxFactor: 2}}}\n"})
	set, err := Load(Folders{Dirs: []string{dir}, Baseline: true})
	if err != nil {
		t.Fatal(err)
	}
	if got := set.parameters["replica_bounds"]; len(got) < 2 || got["maxFactor"] != 2.0 {
		t.Errorf("got %v", got)
	}
	if _, err := set.Gate(gate.Options{}); err != nil {
		t.Error(err)
	}
}

func TestRulesThatWouldNotFireInSilence(t *testing.T) {
	for sentence, test := range map[string]struct {
		body string
		want []string // row:column and the path
	}{
		"a fact read in deny": {
			body: "deny contains \"x\" if input.target.namespace == \"a\"",
			want: []string{"3:22 deny reads input.target.namespace"},
		},
		"a fact read in hold and in require_approval": {
			body: "hold contains \"x\" if input.target.kind == \"Node\"\n\nrequire_approval contains \"x\" if input.target.kind == \"Node\"",
			want: []string{"3:22 hold reads input.target.kind", "5:34 require_approval reads input.target.kind"},
		},
		"a warning may stay away": {body: "warn contains \"x\" if input.target.namespace == \"a\""},
		"a fact in the message": {
			body: "deny contains msg if {\n\tnot is_permitted\n\tmsg := sprintf(\"%v\", [input.target.namespace])\n}\n\nis_permitted if false",
			want: []string{"5:24 the result of deny reads input.target.namespace"},
		},
		"a fact in another field of the result": {
			body: "deny contains {\"msg\": \"x\", \"details\": {\"of\": input.target.name}} if not is_permitted\n\nis_permitted if false",
			want: []string{"3:46 the result of deny reads input.target.name"},
		},
		"a fact in a text that is not always defined": {
			body: "deny contains text if not is_permitted\n\ntext := sprintf(\"%v\", [input.target.name])\n\nis_permitted if false",
			want: []string{"5:24 deny needs text, which reads input.target.name"},
		},
		"a parameter": {
			body: "deny contains \"x\" if count(data.kubernaut.parameters.p.namespaces) > 0",
			want: []string{"3:28 deny reads data.kubernaut.parameters.p.namespaces"},
		},
		"a fact by another name": {
			body: "import input.target as it\n\ndeny contains \"x\" if it.namespace == \"a\"",
			want: []string{"5:22 deny reads input.target.namespace"},
		},
		"a helper that must hold": {
			body: "deny contains \"x\" if is_bad\n\nis_bad if input.target.namespace == \"a\"",
			want: []string{"5:11 deny needs is_bad, which reads input.target.namespace"},
		},
		"a helper with a default that must hold": {
			body: "deny contains \"x\" if is_bad\n\ndefault is_bad := false\n\nis_bad if input.target.namespace == \"a\"",
			want: []string{"7:11 deny needs is_bad, which reads input.target.namespace"},
		},
		"a set that must have an element": {
			body: "deny contains \"x\" if some _ in bad\n\nbad contains name if some name in input.requester.groups",
			want: []string{"5:35 deny needs bad, which reads input.requester.groups"},
		},
		"a loop over what may be missing": {
			body: "deny contains \"x\" if {\n\tsome pdb in input.target.pdbs\n\tpdb.name == \"a\"\n}",
			want: []string{"4:14 deny reads input.target.pdbs"},
		},
		"a fact inside the negation of what is permitted": {
			body: "deny contains \"x\" if not is_permitted\n\nis_permitted if not input.target.namespace in {\"a\"}",
			want: []string{"5:21 is_permitted reads input.target.namespace inside not"},
		},
		"a parameter inside the negation of what is permitted": {
			body: "deny contains \"x\" if not is_permitted\n\nis_permitted if {\n\tname := input.target.namespace\n\tnot name in data.kubernaut.parameters.p.namespaces\n}",
			want: []string{"7:14 is_permitted reads data.kubernaut.parameters.p.namespaces inside not"},
		},
		"a fact inside a comprehension": {
			body: "deny contains \"x\" if not is_permitted\n\nis_permitted if count({pdb | some pdb in input.target.pdbs}) == 0",
			want: []string{"5:42 is_permitted reads input.target.pdbs inside a comprehension"},
		},
		"a set that must be empty": {
			body: "deny contains \"x\" if not is_permitted\n\nis_permitted if count(bad) == 0\n\nbad contains pdb if some pdb in input.target.pdbs",
			want: []string{"7:33 the set bad reads input.target.pdbs"},
		},
		"a function that must hold": {
			body: "deny contains \"x\" if is_bad(1)\n\nis_bad(x) if input.impact.podsAffected > x",
			want: []string{"5:14 deny needs is_bad, which reads input.impact.podsAffected"},
		},
		"else of a helper": {
			body: "deny contains \"x\" if is_bad\n\nis_bad if false\n\nelse if input.target.namespace == \"a\"",
			want: []string{"7:1 deny needs is_bad, which reads input.target.namespace"},
		},

		"the pattern of the page": {
			body: "deny contains {\"msg\": msg} if {\n\tnot is_permitted\n\tmsg := sprintf(\"%v\", [object.get(input, [\"target\", \"namespace\"], \"?\")])\n}\n\n" +
				"is_permitted if {\n\tname := input.target.namespace\n\tprotected := data.kubernaut.parameters.p.namespaces\n\tnot name in protected\n}",
		},
		"what is in every input may be read": {
			body: "deny contains \"x\" if {\n\tinput.stage == \"step\"\n\tnot is_permitted\n}\n\nis_permitted if input.step.name == \"a\"",
		},
		"a text with a default": {
			body: "deny contains msg if {\n\tnot is_permitted\n\tmsg := sprintf(\"%v\", [text])\n}\n\nis_permitted if false\n\ndefault text := \"?\"\n\ntext := input.target.name",
		},
		"a fact below not in deny itself denies when it is missing": {
			body: "deny contains \"x\" if not input.target.namespace in {\"shop\"}",
		},
		"an argument of a helper below not": {
			body: "deny contains \"x\" if not is_permitted(input.target.namespace)\n\nis_permitted(name) if name == \"shop\"",
		},
		"a membership in a set that permits": {
			body: "deny contains \"x\" if not is_permitted\n\nis_permitted if {\n\tname := input.target.namespace\n\tname in permitted\n}\n\npermitted contains name if some name in data.kubernaut.parameters.p.namespaces",
		},
		"an emergency stop": {body: "hold contains \"stop\" if true"},
	} {
		t.Run(sentence, func(t *testing.T) {
			set := loadFolder(t, map[string]string{
				"p.rego":    "package kubernaut.safety.p\n\n" + test.body + "\n",
				"data.yaml": "kubernaut: {parameters: {p: {namespaces: [kube-system]}}}\n",
			})
			schema, err := readSchema()
			if err != nil {
				t.Fatal(err)
			}
			problems, err := lint(set.own()[0], schema)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, problem := range sorted(problems) {
				place := strings.TrimPrefix(problem.Place(), problem.File+":")
				sentence, _, _ := strings.Cut(problem.Message, ": ")
				got = append(got, place+" "+strings.TrimSuffix(sentence, ","))
				if problem.Hint == "" || problem.Kind != KindSilent || problem.Line == "" {
					t.Errorf("incomplete: %+v", problem)
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestAFileThatIsNotFormatted(t *testing.T) {
	set := loadFolder(t, map[string]string{"p.rego": "package kubernaut.safety.p\n\ndeny contains \"x\" if  true\n"})
	problems := check(t, set)
	if len(problems) != 1 || problems[0].Kind != KindFormat || problems[0].Row != 3 {
		t.Errorf("got %+v", problems)
	}
}

package authoring

import (
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func runTests(t *testing.T, set *Set, options TestOptions) *TestReport {
	t.Helper()
	report, err := set.Test(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func TestTheBaselinePassesItsTestsAndFailsClosed(t *testing.T) {
	report := runTests(t, loadBaseline(t), TestOptions{FailClosed: true})
	for _, test := range report.Tests {
		if test.Outcome != Passed {
			t.Errorf("%s:%d %s: %s", test.File, test.Row, test.Outcome, test.Message)
		}
	}
	if report.Coverage.Percent < 100 || len(report.Tests) == 0 {
		t.Errorf("%d tests cover %v", len(report.Tests), report.Coverage)
	}
	for _, opening := range report.FailClosed {
		t.Errorf("%+v", opening)
	}
}

const quietPolicy = `# METADATA
# custom:
#   parameters:
#     namespaces: Where nothing is changed.
package kubernaut.safety.quiet

deny contains {"code": "quiet", "msg": "nothing is changed here"} if not is_permitted

is_permitted if {
	namespace := input.target.namespace
	quiet := data.kubernaut.parameters.quiet.namespaces
	not namespace in quiet
}

is_permitted if input.step.action.type == "notify-only"
`

const quietParameters = "kubernaut: {parameters: {quiet: {namespaces: [night]}}}\n"

func TestAFailingTestSaysWhereAndWhy(t *testing.T) {
	set := loadFolder(t, map[string]string{
		"data.yaml":  quietParameters,
		"quiet.rego": quietPolicy,
		"quiet_test.rego": `package kubernaut.safety.quiet_test

import data.kubernaut.safety.quiet as policy

in_namespace(name) := {"target": {"namespace": name}, "step": {"action": {"type": "scale-deployment"}}}

test_night_is_quiet if {
	count(policy.deny) == 1 with input as in_namespace("night")
}

test_day_is_quiet if {
	wanted := 1
	count(policy.deny) == wanted with input as in_namespace("day")
}

todo_test_later if true
`,
	})
	report := runTests(t, set, TestOptions{})
	got := []int{report.Count(Passed), report.Count(Failed), report.Count(Errored), report.Count(Skipped)}
	if diff := cmp.Diff([]int{1, 1, 0, 1}, got); diff != "" {
		t.Error(diff)
	}
	failed := report.Tests[1]
	if len(failed.Why) != 1 || failed.Why[0].Row != 13 || !slices.Contains(failed.Why[0].Values, Fact{Path: "count(policy.deny)", Value: "0"}) {
		t.Fatalf("got %+v", failed)
	}
	deny := failed.Why[0].Because[0]
	if deny.Text != "deny does not hold" || deny.Row != 7 {
		t.Errorf("got %+v", deny)
	}
	permitted := deny.Because[0].Because[0]
	if permitted.Text != "is_permitted holds" || !slices.Contains(permitted.Facts, Fact{Path: "input.target.namespace", Value: `"day"`}) {
		t.Errorf("got %+v", permitted)
	}
	want := Coverage{Files: []FileCoverage{{File: set.sources["safety/quiet.rego"].Path, NotCovered: [][2]int{{15, 15}}}}}
	ignore := cmpopts.IgnoreFields(FileCoverage{}, "Percent")
	if diff := cmp.Diff(want.Files, report.Coverage.Files, ignore); diff != "" || report.Coverage.Percent > 90 {
		t.Errorf("%.1f %%, (-want +got):\n%s", report.Coverage.Percent, diff)
	}
}

func TestTestsThatCannotRunAreErrors(t *testing.T) {
	set := loadFolder(t, map[string]string{
		"p.rego":      "package kubernaut.safety.p\n\ndeny contains \"x\" if count(input.step.dependsOn) == 0\n",
		"p_test.rego": "package kubernaut.safety.p_test\n\nimport data.kubernaut.safety.p\n\ntest_it if count(p.deny) == 0 with input as {\"step\": {\"dependsOn\": 1}}\n",
	})
	if report := runTests(t, set, TestOptions{}); report.Count(Errored) != 1 {
		t.Errorf("got %+v", report.Tests)
	}
}

func TestTestsOfWhatDoesNotCompile(t *testing.T) {
	set := loadFolder(t, map[string]string{"p.rego": "package kubernaut.safety.p\n\ndeny contains \"x\" if input.taregt == 1\n"})
	_, err := set.Test(t.Context(), TestOptions{})
	if _, is := errors.AsType[*CheckError](err); !is {
		t.Errorf("got %v", err)
	}
}

func TestVerdictsThatTurnIntoAllow(t *testing.T) {
	for sentence, test := range map[string]struct {
		policy, test string
		want         []string // path and how
	}{
		"a fact read in deny": {
			policy: `deny contains "x" if input.target.namespace == "night"`,
			test:   `test_it if count(policy.deny) == 1 with input as {"target": {"namespace": "night", "name": "a"}}`,
			want:   []string{"input.target.namespace missing", "input.target.namespace null"},
		},
		"a fact of the live object, of which the innermost is named": {
			policy: `require_approval contains "x" if input.target.object.spec.replicas > 3`,
			test:   `test_it if count(policy.require_approval) == 1 with input as {"target": {"object": {"spec": {"replicas": 4}}}}`,
			want:   []string{"input.target.object.spec.replicas missing"},
		},
		"a parameter": {
			policy: `hold contains "x" if data.kubernaut.parameters.p.most > 3`,
			test:   `test_it if count(policy.hold) == 1 with input as {} with data.kubernaut.parameters.p.most as 4`,
			want:   []string{"data.kubernaut.parameters.p.most missing", "data.kubernaut.parameters.p.most null"},
		},
		"an element of a list": {
			policy: "deny contains \"x\" if {\n\tsome pdb in input.target.pdbs\n\tpdb.disruptionsAllowed == 0\n}",
			test:   `test_it if count(policy.deny) == 1 with input as {"target": {"pdbs": [{"name": "a", "disruptionsAllowed": 0}]}}`,
			want:   []string{"input.target.pdbs[0].disruptionsAllowed missing", "input.target.pdbs[0].disruptionsAllowed null"},
		},
		"what a test says is right": {
			policy: `deny contains "x" if input.target.namespace == "night"`,
			test: "# METADATA\n# custom:\n#   allows_without: [input.target.namespace]\n" +
				`test_it if count(policy.deny) == 1 with input as {"target": {"namespace": "night"}}`,
		},
		"a label that is not there is a fact": {
			policy: `deny contains "x" if input.namespace.labels.quiet == "true"`,
			test:   `test_it if count(policy.deny) == 1 with input as {"namespace": {"labels": {"quiet": "true"}}}`,
			want:   []string{"input.namespace.labels missing", "input.namespace.labels null"},
		},
		"what is in every input": {
			policy: `deny contains "x" if input.stage == "step"`,
			test:   `test_it if count(policy.deny) == 1 with input as {"stage": "step"}`,
		},
		"what is missing below not denies": {
			policy: `deny contains "x" if not input.target.name == "a"`,
			test:   `test_it if count(policy.deny) == 1 with input as {"target": {"name": "b"}}`,
		},
		"an input that a helper of the test hands in": {
			policy: `deny contains "x" if input.target.namespace == "night"`,
			test:   "denied if count(policy.deny) == 1\n\ntest_it if denied with input as {\"target\": {\"namespace\": \"night\"}}",
			want:   []string{"input.target.namespace missing", "input.target.namespace null"},
		},
		"a policy that no test tries": {
			policy: `deny contains "x" if input.target.namespace == "night"`,
			test:   `test_it if count(policy.deny) == 0 with input as {"target": {"namespace": "day"}}`,
			want:   []string{" "},
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			set := loadFolder(t, map[string]string{
				"p.rego":      "# METADATA\n# custom:\n#   parameters: {most: How many.}\npackage kubernaut.safety.p\n\n" + test.policy + "\n",
				"p_test.rego": "package kubernaut.safety.p_test\n\nimport data.kubernaut.safety.p as policy\n\n" + test.test + "\n",
				"data.yaml":   "kubernaut: {parameters: {p: {most: 1}}}\n",
			})
			report := runTests(t, set, TestOptions{FailClosed: true})
			if report.Count(Passed) != 1 {
				t.Fatalf("got %+v", report.Tests)
			}
			var got []string
			for _, opening := range report.FailClosed {
				got = append(got, opening.Path+" "+opening.Left)
				if opening.Path != "" && (opening.Rule == "" || opening.Row != 6 || opening.Test != "kubernaut.safety.p_test.test_it") {
					t.Errorf("got %+v", opening)
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

package gate

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestMain(m *testing.M) {
	MaybeChild()
	os.Exit(m.Run())
}

const limited = `deny contains "x" if {
	input.step.action.scaleDeployment.replicas > data.kubernaut.parameters.my_policy.limit
}

limit_of(x) := x * 2`

// tested is a policy with tests.
func tested(body string, change ...func(*PolicyObject)) PolicyObject {
	o := object("my-policy", limited, parameters(`{"limit": 3}`))
	o.Tests = "package kubernaut.safety.my_policy_test\n\nimport data.kubernaut.safety.my_policy\n\n" + body + "\n"
	for _, apply := range change {
		apply(&o)
	}
	return o
}

const (
	five = `with input as {"step": {"action": {"scaleDeployment": {"replicas": 5}}}}`
	two  = `with input as {"step": {"action": {"scaleDeployment": {"replicas": 2}}}}`
)

func TestTestsOfAPolicy(t *testing.T) {
	for sentence, test := range map[string]struct {
		object    PolicyObject
		wantTests []string
		want      []Problem // Message is contained
	}{
		"tests that pass": {
			object: tested("test_denies if count(my_policy.deny) == 1 " + five + "\n\ntest_allows if count(my_policy.deny) == 0 " + two +
				"\n\ntest_helper if my_policy.limit_of(2) == 4"),
			wantTests: []string{"test_denies", "test_allows", "test_helper"},
		},
		"no tests": {object: object("a", denies)},
		"a table": {
			object: tested(`test_table[name] if {
	some name, row in {"five": [5, 1], "two": [2, 0]}
	count(my_policy.deny) == row[1] with input as {"step": {"action": {"scaleDeployment": {"replicas": row[0]}}}}
}`),
			wantTests: []string{"test_table"},
		},
		"a table of cases": {
			object: tested(`test_table[name] := ok if {
	some name, row in {"five": [5, 1], "two": [2, 0]}
	denied := my_policy.deny with input as {"step": {"action": {"scaleDeployment": {"replicas": row[0]}}}}
	ok := count(denied) == row[1]
}`),
			wantTests: []string{"test_table"},
		},
		"an assertion in a rule that the test uses": {
			object:    tested("test_denies if denies " + five + "\n\ndenies if count(my_policy.deny) == 1"),
			wantTests: []string{"test_denies"},
		},
		"a test that fails": {
			object: tested("test_denies if {\n\tnothing := 0\n\tcount(my_policy.deny) == nothing " + five + "\n}"), wantTests: []string{"test_denies"},
			want: []Problem{{File: "my_policy_test.rego", Row: 7, Column: 2, Line: "count(my_policy.deny) == nothing " + five, Message: "test_denies failed"}},
		},
		"a test that asserts nothing": {
			object: tested("test_nothing if true\n\ntest_set if my_policy.deny " + five), wantTests: []string{"test_nothing", "test_set"},
			want: []Problem{
				{File: "my_policy_test.rego", Row: 5, Column: 1, Line: "test_nothing if true", Message: "test_nothing asserts nothing"},
				{File: "my_policy_test.rego", Row: 7, Column: 1, Line: "test_set if my_policy.deny " + five, Message: "test_set asserts nothing"},
			},
		},
		"a test with an error": {
			object: tested("test_error if 1 / my_policy.limit_of(0) == 4"), wantTests: []string{"test_error"},
			want: []Problem{{File: "my_policy_test.rego", Row: 5, Column: 1, Line: `test_error if 1 / my_policy.limit_of(0) == 4`, Message: "test_error: "}},
		},
		"no test among the tests": {
			object: tested("tst_denies if count(my_policy.deny) == 1"),
			want:   []Problem{{File: "my_policy_test.rego", Row: 1, Column: 1, Line: "package kubernaut.safety.my_policy_test", Message: "no rule whose name begins with test_"}},
		},
		"tests in a foreign package": {
			object: tested("", func(o *PolicyObject) { o.Tests = "package kubernaut.safety.my_policy\n\ndeny contains \"y\"\n" }),
			want:   []Problem{{File: "my_policy_test.rego", Row: 1, Column: 1, Line: "package kubernaut.safety.my_policy", Message: "must be kubernaut.safety.my_policy_test"}},
		},
		"tests with a syntax error": {
			object: tested("test_x if {"),
			want:   []Problem{{File: "my_policy_test.rego", Row: 6, Column: 1, Message: "rego_parse_error"}},
		},
		"tests that reach for the network": {
			object: tested("test_x if http.send({}) == my_policy.deny"),
			want:   []Problem{{File: "my_policy_test.rego", Row: 5, Column: 11, Line: "test_x if http.send({}) == my_policy.deny", Message: "undefined function http.send"}},
		},
		"a policy that does not compile": {
			object: object("a", `deny contains "x" if input.taregt`),
			want:   []Problem{{File: "a.rego", Row: 3, Column: 22, Line: `deny contains "x" if input.taregt`, Message: "undefined ref"}},
		},
		"a policy that cannot be": {
			object: override("a", "nothing"), want: []Problem{{File: "a.rego", Message: "there is no policy"}},
		},
		"a change of the baseline": {
			object: override("strict", "replica_bounds", parameters(`{"alwaysReachable": 9}`), func(o *PolicyObject) {
				o.Tests = "package kubernaut.safety.replica_bounds_test\n\n" +
					"test_nine if data.kubernaut.parameters.replica_bounds.alwaysReachable == 9\n\n" +
					"test_denies if count(data.kubernaut.safety.replica_bounds.deny) > 0 with input as {}\n"
			}),
			wantTests: []string{"test_nine", "test_denies"},
			want: []Problem{{
				File: "strict_test.rego", Row: 3, Column: 1, Message: "asserts nothing",
				Line: "test_nine if data.kubernaut.parameters.replica_bounds.alwaysReachable == 9",
			}},
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			gate := baseline(t)
			got, err := gate.Test(t.Context(), test.object)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.wantTests, got.Tests); diff != "" {
				t.Errorf("tests (-want +got):\n%s", diff)
			}
			if len(got.Problems) != len(test.want) {
				t.Fatalf("got %v, want %v", got.Problems, test.want)
			}
			for i, want := range test.want {
				have := got.Problems[i]
				if !strings.Contains(have.Message, want.Message) {
					t.Errorf("got %q, want it to contain %q", have.Message, want.Message)
				}
				have.Message, want.Message = "", ""
				if want.Line == "" {
					have.Line = ""
				}
				if diff := cmp.Diff(want, have); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			}
		})
	}
}

func TestTestsThatTakeTooMuchAreRefusedWithTheirPlace(t *testing.T) {
	const ones = "\n\nones := [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20]"
	fine := "test_fine if count(my_policy.deny) == 1 " + five + "\n\n"
	for sentence, test := range map[string]struct{ body, want string }{
		"tests that loop": {
			"test_loops if count([1 | some a in ones; some b in ones; some c in ones; some d in ones; some e in ones; some f in ones; some g in ones; " +
				"some h in ones; a + b + c + d + e + f + g + h < 0]) == count(my_policy.deny)" + ones,
			"test_loops took longer than all tests together may",
		},
		"tests that eat all memory": {
			"test_eats if count({x | some a in ones; some b in ones; some c in ones; some d in ones; some e in ones; some f in ones; " +
				"x := sprintf(\"%999999d%d%d%d%d%d%d\", [a, a, b, c, d, e, f])}) == count(my_policy.deny)" + ones,
			"test_eats ",
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			start := time.Now()
			got, err := baseline(t).Test(t.Context(), tested(fine+test.body))
			if err != nil {
				t.Fatal(err)
			}
			if took := time.Since(start); took > childTime+2*time.Second {
				t.Errorf("it took %v", took)
			}
			if len(got.Problems) != 1 || !strings.Contains(got.Problems[0].Message, test.want) {
				t.Fatalf("got %v", got)
			}
			if problem := got.Problems[0]; problem.File != "my_policy_test.rego" || problem.Row != 7 || problem.Column != 1 || problem.Line == "" {
				t.Errorf("got %+v", problem)
			}
			t.Log(got.Problems[0].Message, time.Since(start))
		})
	}
}

func TestAChildCannotBeHad(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	gate := baseline(t)
	if _, err := gate.Test(ctx, tested("")); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	for range maxChildren {
		gate.children <- struct{}{}
	}
	if _, err := gate.Test(ctx, tested("")); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	canBeChild.Store(false)
	defer canBeChild.Store(true)
	if _, err := gate.Test(t.Context(), tested("")); !errors.Is(err, ErrNoChild) {
		t.Errorf("got %v", err)
	}
}

// What a child does, in this process.
func TestServeTests(t *testing.T) {
	const library = `{"name": "l", "file": "lib/l.rego", "text": "package kubernaut.lib\n\na := 1\n"}`
	for sentence, test := range map[string]struct {
		job     string
		want    string
		wantErr bool
	}{
		"a policy that compiles": {
			job:  `{"library": [` + library + `], "object": {"name": "a", "rego": "package kubernaut.safety.a\n\ndeny contains data.kubernaut.lib.a\n"}}`,
			want: `{"begin":{"File":"a.rego","Row":0,"Column":0,"Line":"","Message":"compiling the policy"}}` + "\n" + `{"report":{}}` + "\n",
		},
		"no job":                             {job: "", wantErr: true},
		"a library that cannot be read":      {job: `{"library": [{"text": "package"}]}`, wantErr: true},
		"a baseline that cannot be read":     {job: `{"changed": {"text": "package"}}`, wantErr: true},
		"a baseline that cannot be compiled": {job: `{"changed": {"name": "a", "text": "package b"}}`, wantErr: true},
	} {
		var out bytes.Buffer
		err := serveTests(t.Context(), strings.NewReader(test.job), &out)
		if (err != nil) != test.wantErr {
			t.Errorf("%s: got %v", sentence, err)
		}
		if diff := cmp.Diff(test.want, out.String()); diff != "" {
			t.Errorf("%s: %s", sentence, diff)
		}
	}
}

// The same in this process, where coverage sees it.
func TestTestsInProcess(t *testing.T) {
	gate := baseline(t)
	var began []string
	run := &testRun{base: gate.compiledIn, object: tested(
		"test_denies if denies " + five + "\n\ndenies if count(my_policy.deny) == 1\n\ntest_fails if count(my_policy.deny) == 0 " + five +
			"\n\ntest_nothing if true\n\ntest_nothing if false\n\ntest_error if 1 / my_policy.limit_of(0) == 4\n\n" +
			"test_cases := {\"a\": count(my_policy.deny) == 2, \"b\": true}\n\ntest_undefined := 1 if count(my_policy.deny) == 3",
	), begin: func(part Problem) { began = append(began, part.Message) }}
	report := run.run(t.Context())
	if len(report.Problems) != 5 || len(report.Tests) != 6 || len(began) != 8 {
		t.Errorf("got %+v, began %v", report, began)
	}
	for sentence, object := range map[string]PolicyObject{
		"a policy that does not compile": object("a", "deny contains"),
		"large tests":                    tested(strings.Repeat("# comment\n", 30_000)),
		"tests that do not parse":        tested("test_x if {"),
		"tests that do not compile":      tested("test_x if http.send({})"),
		"a foreign package":              tested("", func(o *PolicyObject) { o.Tests = "package a\n" }),
		"no test":                        tested("a := 1"),
	} {
		run := &testRun{base: gate.compiledIn, object: object, begin: func(Problem) {}}
		if report := run.run(t.Context()); len(report.Problems) == 0 {
			t.Errorf("%s: no problem", sentence)
		}
	}
}

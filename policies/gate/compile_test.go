package gate

import (
	"errors"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

// folder is a folder of policies: file names and their content. A name without a slash is a policy of that name.
func folder(files map[string]string) fs.FS {
	result := fstest.MapFS{}
	for name, text := range files {
		if !strings.Contains(name, "/") && name != parametersFile {
			name = "safety/" + name + ".rego"
		}
		result[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return result
}

func policyText(name, body string) string {
	return "package kubernaut.safety." + name + "\n\n" + body + "\n"
}

func TestWhatDoesNotCompileIsRefusedWithItsPlace(t *testing.T) {
	for sentence, test := range map[string]struct {
		body        string
		text        string // instead of a body in the right package
		name        string // of the file; default p
		want        Problem
		wantMessage string // contained in the message
	}{
		"a typo in a path of an object": {
			body:        "deny contains \"x\" if {\n\tinput.taregt.namespace == \"a\"\n}",
			want:        Problem{Row: 4, Column: 2, Line: `input.taregt.namespace == "a"`},
			wantMessage: "input.taregt",
		},
		"a typo below a leaf that can be null": {
			body:        "deny contains \"x\" if {\n\tinput.target.pdbs[0].nmae == \"a\"\n}",
			want:        Problem{Row: 4, Column: 2, Line: `input.target.pdbs[0].nmae == "a"`},
			wantMessage: "nmae",
		},
		"a typo below free labels": {
			body:        "deny contains \"x\" if input.namespace.labels.team.name == \"a\"",
			want:        Problem{Row: 3, Column: 22, Line: `deny contains "x" if input.namespace.labels.team.name == "a"`},
			wantMessage: "input.namespace.labels.team.name",
		},
		"a name as the index of a list": {
			body:        "deny contains \"x\" if input.plan.batches.first == 1",
			want:        Problem{Row: 3, Column: 22, Line: `deny contains "x" if input.plan.batches.first == 1`},
			wantMessage: "input.plan.batches.first",
		},
		"a number as the name of a field": {
			body:        "deny contains \"x\" if input.step[1] == 1",
			want:        Problem{Row: 3, Column: 22, Line: `deny contains "x" if input.step[1] == 1`},
			wantMessage: "input.step[1]",
		},
		"a typo in the path of object.get": {
			body:        "deny contains \"x\" if object.get(input, [\"target\", \"namespac\"], \"\") == \"a\"",
			want:        Problem{Row: 3, Column: 22, Line: `deny contains "x" if object.get(input, ["target", "namespac"], "") == "a"`},
			wantMessage: "input.target.namespac",
		},
		"a typo in the key of object.get": {
			body:        "deny contains \"x\" if object.get(input.target, \"namespac\", \"\") == \"a\"",
			want:        Problem{Row: 3, Column: 22, Line: `deny contains "x" if object.get(input.target, "namespac", "") == "a"`},
			wantMessage: "input.target.namespac",
		},
		"a typo below a local variable": {
			body:        "deny contains \"x\" if {\n\ttarget := input.target\n\tpdb := target.pdbs[0]\n\tpdb.nmae == \"a\"\n}",
			want:        Problem{Row: 6, Column: 2, Line: `pdb.nmae == "a"`},
			wantMessage: "input.target.pdbs[0].nmae",
		},
		"a parameter that is not declared": {
			body:        "deny contains \"x\" if data.kubernaut.parameters.p.limit > 1",
			want:        Problem{Row: 3, Column: 22, Line: `deny contains "x" if data.kubernaut.parameters.p.limit > 1`},
			wantMessage: "data.kubernaut.parameters.p.limit",
		},
		"the parameters of another policy": {
			body:        "deny contains \"x\" if data.kubernaut.parameters.q.limit > 1",
			want:        Problem{Row: 3, Column: 22, Line: `deny contains "x" if data.kubernaut.parameters.q.limit > 1`},
			wantMessage: "data.kubernaut.parameters.q.limit",
		},
		"the parameters of all policies": {
			body:        "deny contains \"x\" if data.kubernaut.parameters == {}",
			want:        Problem{Row: 3, Column: 22, Line: `deny contains "x" if data.kubernaut.parameters == {}`},
			wantMessage: "of data it may read only data.kubernaut.parameters.p",
		},
		"parameters under a computed name": {
			body:        "deny contains \"x\" if data.kubernaut.parameters[input.step.name]",
			want:        Problem{Row: 3, Column: 22, Line: `deny contains "x" if data.kubernaut.parameters[input.step.name]`},
			wantMessage: "of data it may read only",
		},
		"the rules of another policy": {
			body:        "deny contains \"x\" if count(data.kubernaut.safety.q.deny) == 0",
			want:        Problem{Row: 3, Column: 28, Line: `deny contains "x" if count(data.kubernaut.safety.q.deny) == 0`},
			wantMessage: "data.kubernaut.safety.q.deny",
		},
		"a comparison with a value of another type": {
			body:        "deny contains \"x\" if input.stage == 1",
			want:        Problem{Row: 3, Column: 22, Line: `deny contains "x" if input.stage == 1`},
			wantMessage: "match error",
		},
		"http.send": {
			body:        "deny contains \"x\" if http.send({\"method\": \"get\", \"url\": \"http://a\"}).status_code == 1",
			want:        Problem{Row: 3, Column: 22, Line: `deny contains "x" if http.send({"method": "get", "url": "http://a"}).status_code == 1`},
			wantMessage: "undefined function http.send",
		},
		"opa.runtime": {
			body:        "deny contains \"x\" if opa.runtime().env.HOME",
			want:        Problem{Row: 3, Column: 22, Line: `deny contains "x" if opa.runtime().env.HOME`},
			wantMessage: "undefined function opa.runtime",
		},
		"time.now_ns": {
			body:        "deny contains \"x\" if time.now_ns() > 1",
			want:        Problem{Row: 3, Column: 22, Line: `deny contains "x" if time.now_ns() > 1`},
			wantMessage: "undefined function time.now_ns",
		},
		"numbers.range": {
			body:        "deny contains \"x\" if count(numbers.range(1, 10)) > 1",
			want:        Problem{Row: 3, Column: 28, Line: `deny contains "x" if count(numbers.range(1, 10)) > 1`},
			wantMessage: "undefined function numbers.range",
		},
		"recursion": {
			body:        "deny contains \"x\" if a\n\na if b\n\nb if a",
			want:        Problem{Row: 5, Column: 1, Line: "a if b"},
			wantMessage: "recursive",
		},
		"the syntax of Rego v0": {
			body:        "deny[msg] {\n\tmsg := \"x\"\n}",
			want:        Problem{Row: 3, Column: 1, Line: "deny[msg] {"},
			wantMessage: "rego_parse_error",
		},
		"an unused variable": {
			body:        "deny contains \"x\" if {\n\tunused := 1\n}",
			want:        Problem{Row: 4, Column: 2, Line: "unused := 1"},
			wantMessage: "unused",
		},
		"a foreign package": {
			text:        "package kubernaut.safety.other\n\ndeny contains \"x\"\n",
			want:        Problem{Row: 1, Column: 1, Line: "package kubernaut.safety.other"},
			wantMessage: "must be kubernaut.safety.p",
		},
		"no rule that decides": {
			body:        "allow := true",
			want:        Problem{Row: 1, Column: 1, Line: "package kubernaut.safety.p"},
			wantMessage: "at least one rule",
		},
		"a rule set that is a function": {
			body:        "deny(x) := x",
			want:        Problem{Row: 3, Column: 1, Line: "deny(x) := x"},
			wantMessage: "not a function",
		},
		"an unknown enforcement": {
			text:        "# METADATA\n# custom:\n#   enforcement: Enforced\npackage kubernaut.safety.p\n\ndeny contains \"x\"\n",
			want:        Problem{Row: 1, Column: 1, Line: "# METADATA"},
			wantMessage: `unknown enforcement "Enforced"`,
		},
		"an unknown stage": {
			text:        "# METADATA\n# custom:\n#   stages: [plan, apply]\npackage kubernaut.safety.p\n\ndeny contains \"x\"\n",
			want:        Problem{Row: 1, Column: 1, Line: "# METADATA"},
			wantMessage: `unknown stage "apply"`,
		},
		"no stage": {
			text:        "# METADATA\n# custom:\n#   stages: []\npackage kubernaut.safety.p\n\ndeny contains \"x\"\n",
			want:        Problem{Row: 1, Column: 1, Line: "# METADATA"},
			wantMessage: "no stage",
		},
		"an unknown field of METADATA": {
			text:        "# METADATA\n# custom:\n#   enforcment: Warn\npackage kubernaut.safety.p\n\ndeny contains \"x\"\n",
			want:        Problem{Row: 1, Column: 1, Line: "# METADATA"},
			wantMessage: "enforcment",
		},
		"a parameter without a default": {
			text:        "# METADATA\n# custom:\n#   parameters: {limit: the limit}\npackage kubernaut.safety.p\n\ndeny contains \"x\"\n",
			want:        Problem{Row: 4, Column: 1, Line: "package kubernaut.safety.p"},
			wantMessage: "limit",
		},
		"an empty file": {
			text: "\n", want: Problem{Row: 0}, wantMessage: "empty",
		},
		"a file name that is no policy name": {
			text: "package kubernaut.safety.p\n", name: "my-policy", want: Problem{}, wantMessage: "file name",
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			name := "p"
			if test.name != "" {
				name = test.name
			}
			text := test.text
			if text == "" {
				text = policyText(name, test.body)
			}
			_, err := New(Options{Policies: folder(map[string]string{name: text})})
			failure, ok := errors.AsType[*CompileError](err)
			if !ok {
				t.Fatalf("got %v, want a compile error", err)
			}
			got := failure.Problems[0]
			if !strings.Contains(got.Message, test.wantMessage) {
				t.Errorf("got %q, want it to contain %q", got.Message, test.wantMessage)
			}
			if got.Row > 0 && !strings.HasPrefix(got.String(), "safety/"+name+".rego:") {
				t.Errorf("no place in front of %q", got)
			}
			got.Message, got.File = "", ""
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s\n%v", diff, err)
			}
		})
	}
}

func TestTheErrorQuotesFileLineColumnAndLine(t *testing.T) {
	_, err := New(Options{Policies: folder(map[string]string{
		"p": policyText("p", "deny contains \"x\" if input.target.pdbs[0].nmae == \"a\""),
	})})
	want := "safety/p.rego:3:22: input.target.pdbs[0].nmae: there is no such thing\n" +
		"\tdeny contains \"x\" if input.target.pdbs[0].nmae == \"a\""
	failure, ok := errors.AsType[*CompileError](err)
	if !ok {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, failure.Error()); diff != "" {
		t.Error(diff)
	}
}

func TestAllProblemsAreListedInOrder(t *testing.T) {
	_, err := New(Options{Policies: folder(map[string]string{
		"b": policyText("c", "deny contains \"x\""), "a": policyText("c", "deny contains \"x\""),
	})})
	failure, ok := errors.AsType[*CompileError](err)
	if !ok || len(failure.Problems) != 2 || failure.Problems[0].File != "safety/a.rego" {
		t.Errorf("got %v", err)
	}
}

func TestWhatIsFineCompiles(t *testing.T) {
	for sentence, body := range map[string]string{
		"free JSON":               `deny contains "x" if input.target.object.spec.anything[0].at.all == 1`,
		"any label":               `deny contains "x" if input.namespace.labels["team"] == "a"`,
		"a computed name":         "deny contains \"x\" if {\n\tsome name, value in input.step\n\tinput.target[name] == value\n}",
		"null of a leaf":          `deny contains "x" if input.target.namespace == null`,
		"object.get of free JSON": `deny contains "x" if object.get(input.target.object, ["a", "b"], 1) == 1`,
		"a local of free JSON":    "deny contains \"x\" if {\n\tspec := input.target.object.spec\n\tspec.a.b == 1\n}",
		"object.get of a local":   "deny contains \"x\" if {\n\tobjects := {\"a\": 1}\n\tobject.get(objects, \"a\", 1) == 1\n}",
		"a default rule":          "default a := 1\n\ndeny contains \"x\" if a == 2",
		"its own parameters":      `deny contains "x" if data.kubernaut.parameters.p == {}`,
		"the import of Rego v1":   "import rego.v1\n\ndeny contains \"x\"",
	} {
		if _, err := New(Options{Policies: folder(map[string]string{"p": policyText("p", body)})}); err != nil {
			t.Errorf("%s: %v", sentence, err)
		}
	}
}

func TestParametersOfAFolder(t *testing.T) {
	const declared = "# METADATA\n# custom:\n#   parameters: {limit: the limit}\n"
	body := declared + policyText("p", `deny contains "x" if data.kubernaut.parameters.p.limit > 1`)
	for sentence, test := range map[string]struct {
		data    string
		wantErr bool
	}{
		"a default of the parameter": {data: "kubernaut: {parameters: {p: {limit: 3}}}"},
		"none":                       {data: "{}", wantErr: true},
		"one that is not declared":   {data: "kubernaut: {parameters: {p: {limit: 3, more: 4}}}", wantErr: true},
		"one of no policy":           {data: "kubernaut: {parameters: {p: {limit: 3}, q: {a: 1}}}", wantErr: true},
		"other data":                 {data: "kubernaut: {parameter: {}}", wantErr: true},
		"no YAML":                    {data: "{", wantErr: true},
	} {
		_, err := New(Options{Policies: folder(map[string]string{"p": body, parametersFile: test.data})})
		if (err != nil) != test.wantErr {
			t.Errorf("%s: got %v", sentence, err)
		}
	}
}

func TestAFolderThatCannotBeReadIsAnError(t *testing.T) {
	for name, files := range map[string]fs.FS{
		"the parameters": fstest.MapFS{parametersFile: {Mode: fs.ModeDir}},
		"a policy":       fstest.MapFS{"safety/p.rego": {Mode: fs.ModeDir}},
	} {
		if _, err := New(Options{Policies: files}); err == nil {
			t.Errorf("%s: want an error", name)
		}
	}
}

func TestRevisionFollowsSources(t *testing.T) {
	revision := func(files map[string]string) string {
		gate, err := New(Options{Policies: folder(files)})
		if err != nil {
			t.Fatal(err)
		}
		return gate.Revision()
	}
	one := revision(map[string]string{"a": policyText("a", `deny contains "x"`)})
	same := revision(map[string]string{"a": policyText("a", `deny contains "x"`), "a_test": "package a_test\n"})
	other := revision(map[string]string{"a": policyText("a", `deny contains "y"`)})
	two := revision(map[string]string{"a": policyText("a", `deny contains "x"`), "b": policyText("b", `deny contains "x"`)})
	if len(one) != 64 || one != same || one == other || one == two {
		t.Errorf("%s %s %s %s", one, same, other, two)
	}
}

func TestClassificationThatDoesNotCompileIsRefused(t *testing.T) {
	for sentence, text := range map[string]string{
		"a foreign package": "package kubernaut.other\n\na := 1\n",
		"a syntax error":    "package kubernaut.classification\n\na :=\n",
		"an unknown path":   "package kubernaut.classification\n\na := input.signal.name.first\n",
		"a type error":      "package kubernaut.classification\n\na := input.signl\n",
		"no environment":    "package kubernaut.classification\n\npriority := \"P1\"\n",
	} {
		if _, err := New(Options{Policies: folder(map[string]string{"classification/x.rego": text})}); err == nil {
			t.Errorf("%s: want an error", sentence)
		}
	}
}

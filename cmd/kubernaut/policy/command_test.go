package policy

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kubernaut.io/kubernaut/cmd/kubernaut/terminal"
)

// result is how one command ended.
type result struct {
	out  string
	code int
	err  error
}

// kubernaut runs kubernaut policy with arguments. Names of folders in the output are cut down to what stands below the folder.
func kubernaut(t testing.TB, args ...string) result {
	t.Helper()
	var out bytes.Buffer
	command := NewCommand()
	command.SilenceUsage, command.SilenceErrors = true, true
	command.SetOut(&out)
	command.SetErr(&out)
	command.SetArgs(args)
	err := command.ExecuteContext(t.Context())
	return result{out: out.String(), code: terminal.ExitCode(err), err: err}
}

func (r result) want(t *testing.T, code int, texts ...string) {
	t.Helper()
	if r.code != code {
		t.Errorf("exit code %d, want %d: %v", r.code, code, r.err)
	}
	all := r.out
	if r.err != nil {
		all += r.err.Error()
	}
	for _, text := range texts {
		if !strings.Contains(all, text) {
			t.Errorf("%q is not in:\n%s", text, all)
		}
	}
}

// inFolder makes a folder with files, and the working directory of the test.
func inFolder(t testing.TB, files map[string]string) {
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
	t.Chdir(dir)
}

const silentPolicy = `package kubernaut.safety.silent

deny contains "not here" if {
	input.target.namespace == "shop"
}
`

func TestCheck(t *testing.T) {
	inFolder(t, map[string]string{
		"silent/silent.rego": silentPolicy,
		"broken/broken.rego": "package kubernaut.safety.broken\n\ndeny contains \"x\" if input.taregt == 1\n",
		"good/good.rego":     "package kubernaut.safety.good\n\nhold contains \"stop\" if true\n",
	})
	kubernaut(t, "check", "--baseline").want(t, terminal.ExitOK, "ok")
	kubernaut(t, "check", "good").want(t, terminal.ExitOK, "1 policy: ok\n")
	kubernaut(t, "check", "broken").want(t, terminal.ExitUsage, "input.taregt", "do not compile")
	kubernaut(t, "check").want(t, terminal.ExitUsage, "--baseline")
	kubernaut(t, "check", "nowhere").want(t, terminal.ExitUsage, "nowhere")
	kubernaut(t, "check", "good", "-o", "yaml").want(t, terminal.ExitUsage, "--output")
	kubernaut(t, "check", "--frobnicate").want(t, terminal.ExitUsage, "frobnicate")

	got := kubernaut(t, "check", "silent")
	want := `silent/silent.rego:4:2: deny reads input.target.namespace: when it is missing, the rule is undefined and allows in silence
  	input.target.namespace == "shop"
  	^

    Write what is permitted as a rule of its own, and have deny fire when it does not hold:

    deny contains {"code": "…", "msg": "…"} if {
    	not is_permitted
    }

    is_permitted if {
    	namespace := input.target.namespace
    	… # what namespace must be
    }

`
	if diff := cmp.Diff(want, got.out); diff != "" || got.code != terminal.ExitFindings {
		t.Errorf("exit code %d, (-want +got):\n%s", got.code, diff)
	}
	kubernaut(t, "check", "silent", "-o", "json").want(t, terminal.ExitFindings, `"kind": "silent"`, `"row": 4`, `"rule": "deny"`)
	kubernaut(t, "check", "good", "-o", "json").want(t, terminal.ExitOK, `"problems": []`)
}

func TestExitCodeOfOthers(t *testing.T) {
	if terminal.ExitCode(nil) != terminal.ExitOK || terminal.ExitCode(errors.New("another command's")) != 1 {
		t.Error("an error without a code ends with 1, and none with 0")
	}
}

const (
	nightPolicy = `package kubernaut.safety.night

deny contains {"code": "night", "msg": "nothing is changed at night"} if not is_permitted

is_permitted if {
	namespace := input.target.namespace
	is_string(namespace)
	namespace != "night"
}
`
	nightTest = `package kubernaut.safety.night_test

import data.kubernaut.safety.night as policy

test_night if {
	count(policy.deny) == 1 with input as {"target": {"namespace": "night"}}
}

test_day if {
	count(policy.deny) == 0 with input as {"target": {"namespace": "day"}}
}
`
	failingTest = nightTest + `
test_wrong if {
	count(policy.deny) == 1 with input as {"target": {"namespace": "day"}}
}
`
)

func TestTest(t *testing.T) {
	inFolder(t, map[string]string{
		"good/night.rego":         nightPolicy,
		"good/night_test.rego":    nightTest,
		"bad/night.rego":          nightPolicy,
		"bad/night_test.rego":     failingTest,
		"untested/night.rego":     nightPolicy,
		"silent/silent.rego":      silentPolicy,
		"silent/silent_test.rego": "package kubernaut.safety.silent_test\n\nimport data.kubernaut.safety.silent\n\ntest_shop if count(silent.deny) == 1 with input as {\"target\": {\"namespace\": \"shop\"}}\n",
		"broken/broken.rego":      "package kubernaut.safety.broken\n\ndeny contains \"x\" if input.taregt == 1\n",
	})
	kubernaut(t, "test", "--baseline", "--min-coverage", "100").want(t, terminal.ExitOK, "coverage 100.0 %")
	kubernaut(t, "test", "good", "--fail-closed", "--min-coverage", "100").want(t, terminal.ExitOK, "2 tests passed; coverage 100.0 %\n")
	kubernaut(t, "test", "good", "-v").want(t, terminal.ExitOK, "pass test_day")
	kubernaut(t, "test", "untested").want(t, terminal.ExitFindings, "there are no tests", "line 3")
	kubernaut(t, "test", "untested", "--min-coverage", "50").want(t, terminal.ExitFindings, "the coverage is 0.0 %")
	kubernaut(t, "test", "broken").want(t, terminal.ExitUsage, "input.taregt")
	kubernaut(t, "test", "good", "--min-coverage", "101").want(t, terminal.ExitUsage, "--min-coverage")
	kubernaut(t, "test", "silent").want(t, terminal.ExitOK)
	kubernaut(t, "test", "silent", "--fail-closed").want(t, terminal.ExitFindings, "2 ways to allow",
		"silent/silent.rego:3: deny no longer fires, and it is allowed, when input.target.namespace is missing\n  in kubernaut.safety.silent_test.test_shop\n")

	got := kubernaut(t, "test", "bad")
	want := `bad/night_test.rego:13: FAIL test_wrong
  night_test.rego:14: count(policy.deny) == 1 with input as {"target": {"namespace": "day"}}
      policy.deny = set()
      count(policy.deny) = 0
    night.rego:3: deny does not hold
      night.rego:3: deny contains {"code": "night", "msg": "nothing is changed at night"} if not is_permitted
        night.rego:5: is_permitted holds
            input.target.namespace = "day"
2 tests passed, 1 failed; coverage 100.0 %
`
	if diff := cmp.Diff(want, got.out); diff != "" || got.code != terminal.ExitFindings {
		t.Errorf("exit code %d, (-want +got):\n%s", got.code, diff)
	}
	kubernaut(t, "test", "bad", "-o", "json").want(t, terminal.ExitFindings, `"outcome": "fail"`, `"percent": 100`)
	kubernaut(t, "test", "bad", "-o", "junit").want(t, terminal.ExitFindings,
		`<testsuite name="kubernaut.safety.night_test" tests="3" failures="1" errors="0" skipped="0">`, `<failure message="">`)
	kubernaut(t, "test", "silent", "--fail-closed", "-o", "junit").want(t, terminal.ExitFindings, `<testsuite name="fail-closed"`)
}

func TestRender(t *testing.T) {
	inFolder(t, map[string]string{
		"mine/night.rego": nightPolicy, "mine/night_test.rego": nightTest, "mine/stop.rego": "package kubernaut.safety.stop\n\nhold contains \"stop\"\n",
		"broken/broken.rego": "package kubernaut.safety.broken\n\ndeny contains \"x\" if input.taregt == 1\n",
	})
	kubernaut(t, "render", "mine").want(t, terminal.ExitOK, "name: night\n", "\n---\n", "name: stop\n", "  tests: |\n    package kubernaut.safety.night_test\n")
	kubernaut(t, "render", "mine", "--out-dir", "out", "--enforcement", "Audit").want(t, terminal.ExitOK)
	if text, err := os.ReadFile("out/night.yaml"); err != nil || !strings.Contains(string(text), "enforcement: Audit\n") {
		t.Errorf("%v:\n%s", err, text)
	}
	kubernaut(t, "render").want(t, terminal.ExitUsage, "name a folder")
	kubernaut(t, "render", "broken").want(t, terminal.ExitUsage, "input.taregt")
	kubernaut(t, "render", "mine", "--enforcement", "audit").want(t, terminal.ExitUsage, "--enforcement")
}

func TestDocs(t *testing.T) {
	inFolder(t, map[string]string{"mine/night.rego": nightPolicy, "broken/broken.rego": "package kubernaut.safety.broken\n\ndeny contains if\n"})
	kubernaut(t, "docs", "mine").want(t, terminal.ExitOK, "# night\n", "| deny | `night` | nothing is changed at night |")
	kubernaut(t, "docs", "mine", "--out-dir", "out").want(t, terminal.ExitOK)
	if text, err := os.ReadFile("out/README.md"); err != nil || !strings.Contains(string(text), "[night](night.md)") {
		t.Errorf("%v:\n%s", err, text)
	}
	kubernaut(t, "docs", "broken").want(t, terminal.ExitUsage, "broken.rego:3")
	kubernaut(t, "docs").want(t, terminal.ExitUsage, "--baseline")
}

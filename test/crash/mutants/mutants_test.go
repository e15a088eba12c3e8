// Package mutants shows that what makes effects happen exactly once is needed: each of its parts is taken out of the code in a build of
// its own, and the matrix of crashes must notice.
package mutants

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"kubernaut.io/kubernaut/test/cluster"
)

// variableRun has the mutants made: each is a build and a part of the matrix, minutes in all.
const variableRun = "KUBERNAUT_CRASH_MUTANTS"

// mutant is the code without one of its parts, and the part of the matrix that must notice.
type mutant struct {
	name string
	file string
	// from occurs once in the file, and becomes to.
	from, to string
	only     string
}

func mutants() []mutant {
	return []mutant{
		{
			name: "no write-ahead: the effect comes before its intent is recorded",
			file: "controllers/kubernetesexecution/reconciler.go",
			from: "	after.Status = next.Status\n",
			to: "	after.Status = next.Status\n" +
				"	if next.Then == thenApply && s.Execution.Status.Phase != after.Status.Phase {\n		s.Execution = after\n		return nil\n	}\n",
			only: "succeeded/after/",
		},
		{
			name: "no precondition: a write does not name the UID and the resourceVersion that were read",
			file: "controllers/kubernetesexecution/effects/patch.go",
			from: "		{Op: opReplace, Path: \"/metadata/uid\", Value: live.GetUID()},\n" +
				"		{Op: opReplace, Path: \"/metadata/resourceVersion\", Value: live.GetResourceVersion()},\n",
			to:   "",
			only: "rolled back/late/",
		},
		{
			name: "no marker: a write does not say whose it is",
			file: "controllers/kubernetesexecution/effects/patch.go",
			from: "	if execution != \"\" {\n",
			to:   "	if execution == \"never\" {\n",
			only: "succeeded/after/",
		},
		{
			name: "no adoption: a child that is there already is somebody else's",
			file: "controllers/machinery/child.go",
			from: "	if want, have := controllerUID(child), controllerUID(existing); want != have {\n",
			to:   "	if want, have := controllerUID(child), \"\"; string(want) != have {\n",
			only: "recovered/two managers/",
		},
	}
}

// failed tells how many runs of a matrix did not end as they must, or that not even those without trouble did.
var failed = regexp.MustCompile(`(\d+ of \d+ runs failed)|(runs without any trouble do not end as they are meant to)`)

func TestEveryPartIsNeeded(t *testing.T) {
	if os.Getenv(variableRun) == "" {
		t.Skip(variableRun + " is not set; run make test-crash-mutants")
	}
	root, err := cluster.Root()
	if err != nil {
		t.Fatal(err)
	}
	var table strings.Builder
	for _, m := range mutants() {
		t.Run(m.name, func(t *testing.T) {
			output := m.run(t, root)
			found := failed.FindString(output)
			if found == "" {
				t.Fatalf("the matrix %s does not notice:\n%s", m.only, tail(output))
			}
			fmt.Fprintf(&table, "%-90s %-26s %s\n", m.name, m.only, found)
		})
	}
	fmt.Printf("\n%s\n", table.String())
}

// run builds the tests with the mutant in place of the file, and runs them. They must fail.
func (m mutant) run(t *testing.T, root string) string {
	t.Helper()
	directory := t.TempDir()
	path := filepath.Join(root, m.file)
	source, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(source, []byte(m.from)); n != 1 {
		t.Fatalf("%s has the part %d times, want once: it has changed, and the mutant has to follow", m.file, n)
	}
	changed := filepath.Join(directory, "mutant.go")
	if err := os.WriteFile(changed, bytes.Replace(source, []byte(m.from), []byte(m.to), 1), 0o600); err != nil { //nolint:gosec // a folder of the test's own
		t.Fatal(err)
	}
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {path: changed}})
	if err != nil {
		t.Fatal(err)
	}
	overlayFile, binary := filepath.Join(directory, "overlay.json"), filepath.Join(directory, "crash.test")
	if err := os.WriteFile(overlayFile, overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	build := exec.CommandContext(t.Context(), "go", "test", "-c", "-overlay", overlayFile, "-o", binary, "./test/crash")
	build.Dir = root
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	run := exec.CommandContext(t.Context(), binary, "-test.v", "--ginkgo.no-color")
	run.Dir = filepath.Join(root, "test", "crash")
	run.Env = append(os.Environ(), "KUBERNAUT_CRASH_ONLY="+m.only)
	output, err := run.CombinedOutput()
	if err == nil {
		t.Fatalf("the matrix %s does not notice:\n%s", m.only, tail(string(output)))
	}
	return string(output)
}

func tail(text string) string {
	const most = 4000
	return text[max(0, len(text)-most):]
}

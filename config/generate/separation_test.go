package main

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kubernaut.io/kubernaut/controllers/identity"
	"kubernaut.io/kubernaut/webhooks/statusguard"
)

// A workflow never starts a recovery and never touches its request: its controller has neither the right nor the means.
func TestAWorkflowCannotTouchItsRequest(t *testing.T) {
	for _, rule := range readGrants(t)[identity.WorkflowExecution] {
		for _, resource := range rule.Resources {
			if base, _, _ := strings.Cut(resource, "/"); base == "remediationrequests" {
				t.Errorf("%s may %v %s", identity.WorkflowExecution, rule.Verbs, resource)
			}
		}
	}
	out, err := command(t, "list", "-deps", "./controllers/workflowexecution")
	if err != nil {
		t.Fatal(err)
	}
	imported := strings.Fields(out)
	if !slices.Contains(imported, "kubernaut.io/kubernaut/api/workflowexecution/v1") {
		t.Fatalf("these are not its imports: %v", imported)
	}
	for _, pkg := range imported {
		for _, foreign := range []string{"kubernaut.io/kubernaut/api/remediation/", "kubernaut.io/kubernaut/controllers/remediationrequest"} {
			if strings.HasPrefix(pkg+"/", foreign) {
				t.Errorf("controllers/workflowexecution imports %s, if only through another package", pkg)
			}
		}
	}
}

func command(t *testing.T, arguments ...string) (string, error) {
	t.Helper()
	c := exec.CommandContext(t.Context(), "go", arguments...)
	c.Dir = filepath.Join("..", "..")
	out, err := c.Output()
	return string(out), err
}

// Only its own controller, and nobody else of ours, may write the status of a kind by RBAC: the guard is the second line, not the first.
func TestStatusesAreWrittenByTheirControllersOnly(t *testing.T) {
	for account, rules := range readGrants(t) {
		for _, rule := range rules {
			for _, resource := range rule.Resources {
				kind, sub, _ := strings.Cut(resource, "/")
				if sub != "status" || len(rule.APIGroups) != 1 || !strings.HasSuffix(rule.APIGroups[0], ".kubernaut.io") {
					continue
				}
				if writer := writerOf(rule.APIGroups[0], kind); account != writer {
					t.Errorf("%s may %v %s, whose writer is %s", account, rule.Verbs, resource, writer)
				}
			}
		}
	}
}

func writerOf(group, resource string) string {
	for _, row := range statusguard.Rows() {
		if row.Group == group && row.Resource == resource {
			return row.Writer
		}
	}
	return "nobody"
}

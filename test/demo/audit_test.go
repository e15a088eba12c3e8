package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

const (
	rollbackAccount = "system:serviceaccount:kubernaut-system:action-rollback-deployment"
	requestAccount  = "system:serviceaccount:kubernaut-system:remediationrequest-controller"
)

func auditLine(user, verb, uri, ref string, code int) string {
	return fmt.Sprintf(`{"stage":"ResponseComplete","requestURI":%q,"verb":%q,"user":{"username":%q},"objectRef":%s,"responseStatus":{"code":%d}}`+"\n",
		uri, verb, user, ref, code)
}

const (
	cartRef      = `{"resource":"deployments","namespace":"shop","name":"cart","apiGroup":"apps"}`
	catalogRef   = `{"resource":"deployments","namespace":"shop","name":"catalog","apiGroup":"apps"}`
	statusRef    = `{"resource":"remediationrequests","namespace":"shop","name":"r","apiGroup":"remediation.kubernaut.io","subresource":"status"}`
	childRef     = `{"resource":"workflowexecutions","namespace":"shop","name":"r-workflow","apiGroup":"workflowexecution.kubernaut.io"}`
	elsewhereRef = `{"resource":"remediationrequests","namespace":"other","name":"r","apiGroup":"remediation.kubernaut.io"}`
)

var shopCart = concern{namespace: "shop", deployment: cart}

func auditLog() string {
	return auditLine(requestAccount, "update", "/r/status", statusRef, 200) +
		auditLine(requestAccount, "update", "/r/status", statusRef, 409) +
		auditLine(requestAccount, "update", "/r/status", statusRef, 200) +
		auditLine(requestAccount, "create", "/w", childRef, 201) +
		auditLine(rollbackAccount, "patch", "/cart?dryRun=All&fieldManager=x", cartRef, 200) +
		auditLine(rollbackAccount, "patch", "/cart", cartRef, 200) +
		auditLine(rollbackAccount, "get", "/cart", cartRef, 200) +
		auditLine("kubernetes-admin", "patch", "/catalog", catalogRef, 200) +
		auditLine("kubernetes-admin", "create", "/r", elsewhereRef, 201) +
		`{"stage":"ResponseComplete","verb":"create","user":{"username":"x"}}` + "\n" +
		`{"stage":"ResponseComp`
}

func TestReadAudit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	earlier := auditLine("earlier", "patch", "/cart", cartRef, 200)
	if err := os.WriteFile(path, []byte(earlier+auditLog()), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := readAudit(path, int64(len(earlier)), shopCart)
	if err != nil {
		t.Fatal(err)
	}
	update := write{User: requestAccount, Verb: "update", Resource: "remediationrequests", Subresource: "status", Object: "r"}
	refused := update
	refused.Code = 409
	dry := write{User: rollbackAccount, Verb: "patch", Resource: "deployments", Object: "cart", DryRun: true}
	wet := dry
	wet.DryRun = false
	want := []write{update, refused, update, {User: requestAccount, Verb: "create", Resource: "workflowexecutions", Object: "r-workflow"}, dry, wet}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if _, err := readAudit(path, 1<<40, shopCart); err == nil {
		t.Error("want an error for a log that is shorter than before")
	}
	if _, err := readAudit(path+".no", 0, shopCart); err == nil {
		t.Error("want an error for a log that is not there")
	}
	if _, err := parseAudit(strings.NewReader("not json\n"), shopCart); err == nil {
		t.Error("want an error for what is not an audit log")
	}
}

func TestWhoDidWhat(t *testing.T) {
	writes, err := parseAudit(strings.NewReader(auditLog()), shopCart)
	if err != nil {
		t.Fatal(err)
	}
	got := whoDidWhat(append(writes, write{
		User: requestAccount, Verb: "create", Resource: "remediationprocessings", Subresource: "status", Object: strings.Repeat("long-", 12),
	}), "r")
	want := []string{
		"     identity                       did     what                          object",
		"  2× remediationrequest-controller  update  remediationrequests/status    r",
		"  1× remediationrequest-controller  update  remediationrequests/status    r                      409",
		"  1× remediationrequest-controller  create  workflowexecutions            …-workflow",
		"  1× action-rollback-deployment     dry run deployments                   cart",
		"  1× action-rollback-deployment     patch   deployments                   cart",
		"  1× remediationrequest-controller  create  remediationprocessings/status …-long-long-long-long-",
		"  A number at the end is the code of a refusal: nothing was written (409: someone else was faster).",
	}
	for i := range got {
		if width := utf8.RuneCountInString(got[i]); width > pageWidth {
			t.Errorf("line of %d columns: %s", width, got[i])
		}
		got[i] = strings.TrimRight(got[i], " ")
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestShortUser(t *testing.T) {
	for user, want := range map[string]string{
		rollbackAccount: "action-rollback-deployment",
		"system:serviceaccount:kube-system:deployment-controller": "deployment-controller",
		"system:serviceaccount:shop:alert-receiver":               "shop:alert-receiver",
		"kubernetes-admin": "kubernetes-admin",
	} {
		if got := shortUser(user); got != want {
			t.Errorf("shortUser(%q) = %q, want %q", user, got, want)
		}
	}
}

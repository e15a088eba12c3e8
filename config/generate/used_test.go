package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/sets"

	"kubernaut.io/kubernaut/controllers/facts"
	"kubernaut.io/kubernaut/controllers/identity"
	"kubernaut.io/kubernaut/webhooks/statusguard"
)

// kindOf is the Go type by which code that works with a resource knows it.
func kindOf(resource string) string {
	resource, _, _ = strings.Cut(resource, "/")
	return map[string]string{
		"aianalyses": "AIAnalysis", "approvalrequests": "ApprovalRequest", "certificates": "Certificates", "clusterissuers": "ClusterIssuers",
		"configmaps": "ConfigMap", "controllerrevisions": "ControllerRevision", "cronjobs": "CronJob", "daemonsets": "DaemonSet", "deployments": "Deployment",
		"endpointslices": "EndpointSlice", "events": "Eventf", "horizontalpodautoscalers": "HorizontalPodAutoscaler", "issuers": "Issuers", "jobs": "Job",
		"kubernetesexecutions": "KubernetesExecution", "leases": "Lease", "limitranges": "LimitRange", "mutatingwebhookconfigurations": "MutatingWebhookConfiguration",
		"namespaces": "Namespace", "networkpolicies": "NetworkPolicy", "nodes": "Node", "persistentvolumeclaims": "PersistentVolumeClaim",
		"persistentvolumes": "PersistentVolume", "playbooks": "Playbook", "poddisruptionbudgets": "PodDisruptionBudget", "pods": "Pod", "podtemplates": "PodTemplate",
		"remediationprocessings": "RemediationProcessing", "remediationrequests": "RemediationRequest", "replicasets": "ReplicaSet",
		"resourcequotas": "ResourceQuota", "safetypolicies": "SafetyPolicy", "secrets": "Secret", "serviceaccounts": "ServiceAccounts", "services": "Service",
		"statefulsets": "StatefulSet", "subjectaccessreviews": "SubjectAccessReview", "tokenreviews": "WithAuthenticationAndAuthorization",
		"validatingwebhookconfigurations": "ValidatingWebhookConfiguration", "workflowexecutions": "WorkflowExecution",
	}[resource]
}

// identifiers are what the code of a package of ours, and of all of ours that it imports, names: types, functions, strings.
func identifiers(t *testing.T, pkg string) sets.Set[string] {
	t.Helper()
	command := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{if .Module}}{{if .Module.Main}}{{$d := .Dir}}{{range .GoFiles}}{{$d}}/{{.}}\n{{end}}{{end}}{{end}}", pkg)
	command.Dir = filepath.Join("..", "..")
	out, err := command.Output()
	if err != nil {
		t.Fatal(err)
	}
	names := sets.New[string]()
	for path := range strings.FieldsSeq(string(out)) {
		// The types themselves say nothing about who uses them.
		if strings.Contains(path, "/api/") {
			continue
		}
		source, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, source, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(node ast.Node) bool {
			switch node := node.(type) {
			case *ast.SelectorExpr:
				names.Insert(node.Sel.Name)
			case *ast.BasicLit:
				names.Insert(strings.Trim(node.Value, "\"`"))
			}
			return true
		})
	}
	if len(names) == 0 {
		t.Fatalf("no code in %s", pkg)
	}
	return names
}

// What an account may do with a resource is of use only if its code names the resource's type. Actions are left out: their roles are
// generated from what each declares. So is what the manager reads for the caches of others, which is checked against them.
func TestNothingIsGrantedThatCodeDoesNotName(t *testing.T) {
	cached := sets.New[string]()
	for _, row := range statusguard.Rows() {
		cached.Insert(row.Group + "/" + row.Resource)
	}
	for _, need := range facts.Reads() {
		for _, resource := range need.Resources {
			cached.Insert(need.APIGroups[0] + "/" + resource)
		}
	}
	for account, rules := range readGrants(t) {
		if slices.Contains(actionAccounts(), account) {
			continue
		}
		pkg, isController := strings.CutSuffix(account, "-controller")
		pkg = "./controllers/" + pkg
		if !isController {
			pkg = "./cmd/kubernaut"
		}
		names := identifiers(t, pkg)
		for _, rule := range rules {
			for _, group := range rule.APIGroups {
				for _, resource := range rule.Resources {
					if account == identity.Manager && cached.Has(group+"/"+resource) && sets.New(rule.Verbs...).Equal(sets.New(read()...)) {
						continue
					}
					kind := kindOf(resource)
					if kind == "" {
						t.Errorf("%s may %v %s of %q: say in this test which type that is", account, rule.Verbs, resource, group)
						continue
					}
					used := slices.ContainsFunc([]string{kind, kind + "s", kind + "List", resource}, names.Has)
					if kind == "Lease" {
						used = used || names.Has("LeaderElectionID")
					}
					if !used {
						t.Errorf("%s may %v %s of %q, which %s does not name", account, rule.Verbs, resource, group, pkg)
					}
				}
			}
		}
	}
}

package workflowexecution

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
)

// A workflow that fails says so, and no more: whether another attempt is made is the orchestrator's business. These tests hold that
// there is no path from here to a RemediationRequest, or to what the orchestrator makes: neither a right nor code.

const module = "kubernaut.io/kubernaut/"

func TestNoCodeReachesARequest(t *testing.T) {
	t.Parallel()
	command := exec.CommandContext(t.Context(), "go", "list", "-deps", "./...")
	var problems bytes.Buffer
	command.Stderr = &problems
	out, err := command.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, &problems)
	}
	packages := strings.Fields(string(out))
	if !slices.Contains(packages, module+"controllers/workflowexecution") {
		t.Fatalf("the list does not hold this package: %d packages", len(packages))
	}
	for _, path := range packages {
		for _, foreign := range []string{"api/remediation", "api/aianalysis", "controllers/remediation", "controllers/aianalysis", "controllers/notification"} {
			if strings.HasPrefix(path, module+foreign) {
				t.Errorf("%s is within reach of workflows", path)
			}
		}
	}
}

func TestNoRightReachesARequest(t *testing.T) {
	t.Parallel()
	const account = "workflowexecution-controller"
	folder := filepath.Join("..", "..", "config", "rbac")
	roles := map[string][]rbacv1.PolicyRule{}
	var bound []string
	files, err := filepath.Glob(filepath.Join(folder, "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		decoder := utilyaml.NewYAMLOrJSONDecoder(bytes.NewReader(data), len(data)+1)
		for {
			// A binding has no rules and a role no subjects: one type reads both.
			var object struct {
				Kind     string
				Metadata struct{ Name string }
				Rules    []rbacv1.PolicyRule
				Subjects []rbacv1.Subject
				RoleRef  rbacv1.RoleRef
			}
			err := decoder.Decode(&object)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			roles[object.Kind+"/"+object.Metadata.Name] = append(roles[object.Kind+"/"+object.Metadata.Name], object.Rules...)
			if slices.ContainsFunc(object.Subjects, func(s rbacv1.Subject) bool { return s.Name == account }) {
				bound = append(bound, object.RoleRef.Kind+"/"+object.RoleRef.Name)
			}
		}
	}
	if len(bound) == 0 {
		t.Fatal("no role is bound to the account")
	}
	for _, role := range bound {
		if len(roles[role]) == 0 {
			t.Errorf("%s has no rules", role)
		}
		for _, rule := range roles[role] {
			for _, group := range rule.APIGroups {
				if group == rbacv1.APIGroupAll || strings.HasPrefix(group, "remediation") || strings.HasPrefix(group, "aianalysis") {
					t.Errorf("%s has rights in group %q: %v", role, group, rule)
				}
			}
			for _, resource := range rule.Resources {
				if resource == rbacv1.ResourceAll {
					t.Errorf("%s has rights on every resource: %v", role, rule)
				}
			}
			for _, verb := range []string{"impersonate", "escalate", "bind", rbacv1.VerbAll} {
				if slices.Contains(rule.Verbs, verb) {
					t.Errorf("%s can give itself more: %v", role, rule)
				}
			}
		}
	}
}

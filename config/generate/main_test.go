package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/sets"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"

	"kubernaut.io/kubernaut/controllers/facts"
	"kubernaut.io/kubernaut/controllers/identity"
)

// grants are the rules that an account holds through the bindings of config/rbac.
type grants map[string][]rbacv1.PolicyRule

func readGrants(t *testing.T) grants {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", "rbac", "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	files = slices.DeleteFunc(files, func(path string) bool { return filepath.Base(path) == "people.yaml" }) // of no account
	files = append(files, filepath.Join("..", "certmanager", "rbac.yaml"))
	type key struct{ kind, namespace, name string }
	rules := map[key][]rbacv1.PolicyRule{}
	var bindings []*unstructured.Unstructured
	accounts := sets.New[string]()
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for decoder := utilyaml.NewYAMLOrJSONDecoder(bytes.NewReader(data), len(data)+1); ; {
			object := &unstructured.Unstructured{}
			if err := decoder.Decode(&object.Object); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			switch object.GetKind() {
			case "Role", "ClusterRole":
				var role rbacv1.ClusterRole
				if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &role); err != nil {
					t.Fatalf("%s: %v", file, err)
				}
				rules[key{object.GetKind(), object.GetNamespace(), object.GetName()}] = role.Rules
			case "RoleBinding", "ClusterRoleBinding":
				bindings = append(bindings, object)
			case "ServiceAccount":
				accounts.Insert(object.GetName())
			}
		}
	}
	have := grants{}
	bound := sets.New[key]()
	for _, object := range bindings {
		var binding rbacv1.RoleBinding
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &binding); err != nil {
			t.Fatal(err)
		}
		role := key{binding.RoleRef.Kind, binding.Namespace, binding.RoleRef.Name}
		if _, exists := rules[role]; !exists {
			t.Errorf("%s %s binds a role that does not exist", object.GetKind(), binding.Name)
		}
		bound.Insert(role)
		for _, subject := range binding.Subjects {
			if subject.Kind != rbacv1.ServiceAccountKind || !accounts.Has(subject.Name) || subject.Namespace != namespace {
				t.Errorf("%s %s binds to %v, which is no account of ours", object.GetKind(), binding.Name, subject)
			}
			have[subject.Name] = append(have[subject.Name], rules[role]...)
		}
	}
	for role := range rules {
		if !bound.Has(role) {
			t.Errorf("nobody has %v: run make generate", role)
		}
	}
	return have
}

func TestNoRoleHasAWildcard(t *testing.T) {
	for account, rules := range readGrants(t) {
		for _, rule := range rules {
			if slices.ContainsFunc(slices.Concat(rule.APIGroups, rule.Resources, rule.Verbs, rule.NonResourceURLs), func(s string) bool { return strings.Contains(s, "*") }) {
				t.Errorf("%s has a wildcard: %v", account, rule)
			}
		}
	}
}

func TestTokensAreObtainedByNameOnly(t *testing.T) {
	want := map[string][]string{identity.Manager: identity.Controllers(), identity.KubernetesExecution: actionAccounts()}
	have := map[string][]string{}
	for account, rules := range readGrants(t) {
		for _, rule := range rules {
			if slices.Contains(rule.Resources, "serviceaccounts/token") {
				if len(rule.ResourceNames) == 0 {
					t.Errorf("%s may obtain the token of any account", account)
				}
				have[account] = append(have[account], rule.ResourceNames...)
			}
			if slices.Contains(rule.Verbs, "impersonate") || slices.Contains(rule.Verbs, "escalate") || slices.Contains(rule.Verbs, "bind") {
				t.Errorf("%s could become somebody else: %v", account, rule)
			}
		}
	}
	for account, names := range have {
		if !sets.New(names...).Equal(sets.New(want[account]...)) {
			t.Errorf("%s may obtain the tokens of %v, want %v", account, names, want[account])
		}
	}
	for account := range want {
		if _, is := have[account]; !is {
			t.Errorf("%s may obtain no tokens", account)
		}
	}
}

func TestOnlyActionsWriteWorkloads(t *testing.T) {
	infrastructure := sets.New("", "events.k8s.io", "admissionregistration.k8s.io", "authentication.k8s.io", "authorization.k8s.io", "coordination.k8s.io")
	readOnly := sets.New("get", "list", "watch")
	for account, rules := range readGrants(t) {
		if slices.Contains(actionAccounts(), account) {
			continue
		}
		for _, rule := range rules {
			writes := slices.ContainsFunc(rule.Verbs, func(verb string) bool { return !readOnly.Has(verb) })
			for _, group := range rule.APIGroups {
				if writes && !infrastructure.Has(group) && !strings.HasSuffix(group, ".kubernaut.io") {
					t.Errorf("%s writes %v of %q with %v", account, rule.Resources, group, rule.Verbs)
				}
			}
			if writes && slices.Contains(rule.APIGroups, "") && slices.ContainsFunc(rule.Resources, func(r string) bool { return r == "pods" || r == "nodes" || r == "namespaces" || r == "configmaps" }) {
				t.Errorf("%s writes %v with %v", account, rule.Resources, rule.Verbs)
			}
		}
	}
}

// What facts are read from is read by the manager's cache: its role must hold that, and no role may hold the data of Secrets for it.
func TestTheManagerMayReadWhatFactsNeed(t *testing.T) {
	rules := readGrants(t)[identity.Manager]
	for _, need := range facts.Reads() {
		for _, resource := range need.Resources {
			if resource == "secrets" {
				t.Error("a fact is read from Secrets")
			}
			if !slices.ContainsFunc(rules, func(rule rbacv1.PolicyRule) bool {
				return slices.Contains(rule.APIGroups, need.APIGroups[0]) && slices.Contains(rule.Resources, resource) &&
					len(rule.ResourceNames) == 0 && sets.New(rule.Verbs...).Equal(sets.New(need.Verbs...))
			}) {
				t.Errorf("%s may not %v %s of %q", identity.Manager, need.Verbs, resource, need.APIGroups[0])
			}
		}
	}
}

// Generate writes the manifests that derive from Go: run it as `go run ./config/generate` in the root of the checkout, after
// controller-gen has written the roles. What it writes depends on nothing but the checkout.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"kubernaut.io/kubernaut/controllers/identity"
	"kubernaut.io/kubernaut/policies"
	"kubernaut.io/kubernaut/policies/gate"
	"kubernaut.io/kubernaut/webhooks"
	"kubernaut.io/kubernaut/webhooks/statusguard"
)

const (
	header    = "# Written by `make generate` from Go code: change it there. See config/README.md.\n"
	namespace = identity.DefaultNamespace
)

func main() {
	if err := generate("."); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err) //nolint:forbidigo // the main of a tool
		os.Exit(1)                                //nolint:forbidigo // the main of a tool
	}
}

func generate(root string) error {
	if _, err := os.Stat(filepath.Join(root, "go.mod")); err != nil {
		return fmt.Errorf("run this in the root of the checkout: %w", err)
	}
	mutating, validating := webhooks.Configurations(namespace)
	files := map[string][]any{
		"config/webhook/manifests.yaml":      {mutating, validating},
		"config/rbac/kubernaut-manager.yaml": managerRoles(),
		"config/rbac/action-accounts.yaml":   actionRoles(),
		"config/rbac/people.yaml":            peopleRoles(),
		"config/certmanager/rbac.yaml":       certManagerRoles(),
	}
	for _, policy := range statusguard.New(namespace).Policies() {
		file := strings.TrimPrefix(policy.Name, "kubernaut-") + ".yaml"
		files["config/admissionpolicy/"+file] = []any{policy, statusguard.Binding(policy.Name)}
	}
	for _, path := range slices.Sorted(maps.Keys(files)) {
		if err := writeManifests(filepath.Join(root, path), files[path]); err != nil {
			return err
		}
	}
	if err := writeAccounts(filepath.Join(root, "config", "rbac")); err != nil {
		return err
	}
	if err := writeSchemas(filepath.Join(root, "policies", "schemas")); err != nil {
		return err
	}
	pages, err := policyPages(policies.FS)
	if err != nil {
		return err
	}
	if err := writePages(filepath.Join(root, "docs", "policies"), pages); err != nil {
		return err
	}
	if err := writeKinds(root); err != nil {
		return err
	}
	reference, err := referencePages(root)
	if err != nil {
		return err
	}
	return writePages(filepath.Join(root, "docs", "reference"), reference)
}

// writeAccounts writes the ServiceAccounts, binds to each the roles in the file of its name, and lists all files for kustomize.
func writeAccounts(folder string) error {
	var objects []any
	for _, account := range accounts() {
		objects = append(objects, serviceAccount(account))
	}
	for _, account := range accounts() {
		roles, err := rolesIn(filepath.Join(folder, account+".yaml"))
		if err != nil {
			return err
		}
		for _, role := range roles {
			objects = append(objects, binding(role, account))
		}
	}
	for _, account := range actionAccounts() {
		objects = append(objects, binding(role{name: account}, account))
	}
	if err := writeManifests(filepath.Join(folder, "accounts.yaml"), objects); err != nil {
		return err
	}
	files, err := filepath.Glob(filepath.Join(folder, "*.yaml"))
	if err != nil {
		return err
	}
	var names []string
	for _, file := range files {
		if name := filepath.Base(file); name != "kustomization.yaml" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return writeManifests(filepath.Join(folder, "kustomization.yaml"), []any{&map[string]any{
		"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "resources": names,
	}})
}

// role is a Role, or, without a namespace, a ClusterRole.
type role struct{ namespace, name string }

// rolesIn reads what controller-gen wrote for an account. An account whose controller does not exist yet has no file.
func rolesIn(path string) ([]role, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var roles []role
	for decoder := utilyaml.NewYAMLOrJSONDecoder(bytes.NewReader(data), len(data)+1); ; {
		var object rbacv1.Role
		err := decoder.Decode(&object)
		if errors.Is(err, io.EOF) {
			return roles, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if object.Name != "" {
			roles = append(roles, role{namespace: object.Namespace, name: object.Name})
		}
	}
}

func writeSchemas(folder string) error {
	schemas, err := gate.Schemas()
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(schemas)) {
		if err := write(filepath.Join(folder, name), schemas[name]); err != nil {
			return err
		}
	}
	return nil
}

// writeManifests writes the objects as the API would take them: without the empty status and times that Go types add.
func writeManifests(path string, objects []any) error {
	var text bytes.Buffer
	text.WriteString(header)
	for _, object := range objects {
		content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		delete(content, "status")
		if metadata, is := content["metadata"].(map[string]any); is {
			delete(metadata, "creationTimestamp")
		}
		data, err := yaml.Marshal(content)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		text.WriteString("---\n")
		text.Write(data)
	}
	return write(path, text.Bytes())
}

func write(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return err
	}
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, data) {
		return nil
	}
	return os.WriteFile(path, data, 0o644) //nolint:gosec // manifests are for everyone to read
}

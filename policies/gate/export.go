package gate

import (
	"github.com/open-policy-agent/opa/v1/ast"
)

// Capabilities are what a policy and its tests can do: those of OPA less what the sandbox refuses. Each call gives a copy.
func Capabilities() *ast.Capabilities {
	return capabilities()
}

// PolicyNameOf is the name of the policy that a package belongs to, and whether it is that of a safety policy at all.
func PolicyNameOf(module *ast.Module) (name string, is bool) {
	path := module.Package.Path
	parent := ast.MustParseRef("data." + safetyPackage)
	if len(path) != len(parent)+1 || !path.HasPrefix(parent) {
		return "", false
	}
	text, is := path[len(parent)].Value.(ast.String)
	return string(text), is
}

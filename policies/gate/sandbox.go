package gate

import (
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// refusedBuiltins are the built-in functions that no policy may use, besides all that OPA itself marks as non-deterministic: they
// reach outside the input document, or make a value of a size that one number decides.
func refusedBuiltins() []string {
	return []string{
		"http.send", "opa.runtime", "time.now_ns", "trace", "rego.parse_module", "uuid.rfc4122",
		"numbers.range", "numbers.range_step", "bits.lsh",
	}
}

// refusedFamilies are the prefixes of built-in functions that no policy may use.
func refusedFamilies() []string {
	return []string{"net.", "rand."}
}

// capabilities are what a policy can do: OPA's own less what is refused, and no schema from the network.
func capabilities() *ast.Capabilities {
	all := ast.CapabilitiesForThisVersion()
	all.AllowNet = []string{}
	all.Builtins = slices.DeleteFunc(all.Builtins, isRefused)
	return all
}

func isRefused(builtin *ast.Builtin) bool {
	if builtin.IsNondeterministic() || slices.Contains(refusedBuiltins(), builtin.Name) {
		return true
	}
	return slices.ContainsFunc(refusedFamilies(), func(prefix string) bool {
		return strings.HasPrefix(builtin.Name, prefix)
	})
}

// Package policies is the baseline library of the safety gate, compiled into the binary.
package policies

import "embed"

// FS holds the policies with their tests, the classification and the default parameters. The package gate is its reader.
//
//go:embed data.yaml safety/*.rego classification/*.rego
var FS embed.FS

// Package crd holds the CustomResourceDefinitions, for what has to know the API without a cluster.
package crd

import "embed"

// FS holds bases/<group>_<plural>.yaml, as controller-gen writes them.
//
//go:embed bases/*.yaml
var FS embed.FS

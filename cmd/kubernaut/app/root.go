// Package app assembles the commands of the kubernaut binary; tests start the same manager through it.
package app

import (
	"runtime/debug"

	"github.com/spf13/cobra"

	"kubernaut.io/kubernaut/cmd/kubernaut/approvals"
	"kubernaut.io/kubernaut/cmd/kubernaut/certs"
	"kubernaut.io/kubernaut/cmd/kubernaut/policy"
	"kubernaut.io/kubernaut/cmd/kubernaut/remediation"
	"kubernaut.io/kubernaut/cmd/kubernaut/terminal"
)

// NewCommand is the kubernaut command with everything below it.
func NewCommand() *cobra.Command {
	root := terminal.Group(&cobra.Command{
		Use:           "kubernaut",
		Short:         "Repair workloads on Kubernetes, safely",
		Long:          "Kubernaut repairs workloads on Kubernetes: every change passes admission webhooks and an OPA safety gate,\nhappens exactly once, and is explained afterwards.",
		SilenceUsage:  true,
		SilenceErrors: false,
		Version:       version(),
	})
	root.SetFlagErrorFunc(terminal.FlagError)
	root.AddCommand(newManagerCommand(), certs.NewCommand(), policy.NewCommand())
	root.AddCommand(remediation.NewCommands()...)
	root.AddCommand(approvals.NewCommands()...)
	return root
}

// version is the version of the module as the Go tool recorded it; a build from a checkout has none but its revision.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" {
			return info.Main.Version + " " + setting.Value
		}
	}
	return info.Main.Version
}

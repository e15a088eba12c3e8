// Kubernaut repairs workloads on Kubernetes: every change passes admission and a safety gate, and happens exactly once.
package main

import (
	"os"

	ctrl "sigs.k8s.io/controller-runtime"

	"kubernaut.io/kubernaut/cmd/kubernaut/app"
	"kubernaut.io/kubernaut/cmd/kubernaut/terminal"
	"kubernaut.io/kubernaut/policies/gate"
)

func main() {
	gate.MaybeChild()
	if err := app.CommandFor(os.Args).ExecuteContext(ctrl.SetupSignalHandler()); err != nil {
		os.Exit(terminal.ExitCode(err))
	}
}

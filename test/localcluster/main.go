// Command localcluster builds Kubernetes from its Go modules and runs it, with simulated nodes, as processes on loopback.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"kubernaut.io/kubernaut/test/localcluster/internal/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	code := cli.Main(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

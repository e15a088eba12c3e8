// Package cli is the command line of localcluster.
package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
)

const usage = `localcluster runs Kubernetes as processes on loopback, with simulated nodes.

  build  [--bin DIR] [--source DIR] [COMPONENT…]      build the components into the cache and link them
  up     [--dir DIR] [--bin DIR] [--nodes N]          start what does not run yet, wait until it is usable
  down   [--dir DIR]                                  end everything that up and start started, discard its data
  start  [--dir DIR] --name NAME [--env K=V]… -- CMD  run CMD as a daemon of the cluster
  stop   [--dir DIR] --name NAME                      end one such daemon
  token  [--dir DIR] --namespace N --service-account S [--duration D] --out FILE.kubeconfig
                                                      write a kubeconfig with a token of that ServiceAccount
  run    [--dir DIR] [--bin DIR] [--nodes N] -- CMD   up, CMD in the foreground, down (without --dir: a temporary one)
`

type command func(ctx context.Context, args []string, out io.Writer) error

func commands() map[string]command {
	return map[string]command{
		"build": build, "up": up, "down": down, "start": start, "stop": stop, "token": token, "run": run,
	}
}

// exitError ends the launcher with the code of the command that it ran.
type exitError int

func (e exitError) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

const (
	codeFailed      = 1
	codeUsage       = 2
	codeInterrupted = 130
)

var errUsage = errors.New("wrong use")

// Main runs the command line and returns the exit code.
func Main(ctx context.Context, args []string, out, errs io.Writer) int {
	if len(args) == 0 {
		fmt.Fprint(errs, usage)
		return codeUsage
	}
	run, ok := commands()[args[0]]
	if !ok {
		fmt.Fprint(errs, usage)
		return codeUsage
	}
	return code(ctx, run(ctx, args[1:], out), errs)
}

func code(ctx context.Context, err error, errs io.Writer) int {
	var exit exitError
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return 0
	case errors.As(err, &exit):
		return int(exit)
	case errors.Is(err, errUsage):
		fmt.Fprintf(errs, "localcluster: %v\n%s", err, usage)
		return codeUsage
	}
	fmt.Fprintf(errs, "localcluster: %v\n", err)
	if ctx.Err() != nil {
		return codeInterrupted
	}
	return codeFailed
}

package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"kubernaut.io/kubernaut/test/localcluster/internal/cluster"
	"kubernaut.io/kubernaut/test/localcluster/internal/process"
)

const defaultDir = ".cluster"

func up(ctx context.Context, args []string, out io.Writer) error {
	f := newFlags("up", out).withDir(defaultDir).withBin().withSize()
	if err := f.parse(args, false); err != nil {
		return err
	}
	d, err := cluster.Open(f.dir)
	if err != nil {
		return err
	}
	return d.Up(ctx, f.upOptions(out))
}

func down(ctx context.Context, args []string, out io.Writer) error {
	f := newFlags("down", out).withDir(defaultDir)
	if err := f.parse(args, false); err != nil {
		return err
	}
	d, err := cluster.Open(f.dir)
	if err != nil {
		return err
	}
	return d.Down(ctx, out)
}

func start(ctx context.Context, args []string, out io.Writer) error {
	f := newFlags("start", out).withDir(defaultDir)
	name := f.String("name", "", "name of the daemon, its log and its pid file")
	var env variables
	f.Var(&env, "env", "NAME=VALUE to add to the daemon's environment; may be repeated")
	if err := f.parse(args, true); err != nil {
		return err
	}
	if f.NArg() == 0 {
		return fmt.Errorf("%w: no command after --", errUsage)
	}
	d, err := cluster.Open(f.dir)
	if err != nil {
		return err
	}
	spec, err := daemon(*name, f.Args(), env)
	if err != nil {
		return err
	}
	return d.Start(ctx, spec, out)
}

func daemon(name string, args, env []string) (process.Spec, error) {
	binary, err := exec.LookPath(args[0])
	if err != nil {
		return process.Spec{}, err
	}
	if binary, err = filepath.Abs(binary); err != nil {
		return process.Spec{}, err
	}
	dir, err := os.Getwd()
	if err != nil {
		return process.Spec{}, err
	}
	return process.Spec{Name: name, Args: append([]string{binary}, args[1:]...), Env: env, Dir: dir}, nil
}

func stop(ctx context.Context, args []string, out io.Writer) error {
	f := newFlags("stop", out).withDir(defaultDir)
	name := f.String("name", "", "name of the daemon")
	if err := f.parse(args, false); err != nil {
		return err
	}
	d, err := cluster.Open(f.dir)
	if err != nil {
		return err
	}
	return d.Stop(ctx, *name, out)
}

func token(ctx context.Context, args []string, out io.Writer) error {
	f := newFlags("token", out).withDir(defaultDir)
	var o cluster.TokenOptions
	f.StringVar(&o.Namespace, "namespace", "", "namespace of the ServiceAccount")
	f.StringVar(&o.ServiceAccount, "service-account", "", "name of the ServiceAccount")
	f.DurationVar(&o.Duration, "duration", 24*time.Hour, "how long the token is valid")
	f.StringVar(&o.Out, "out", "", "kubeconfig to write; the token is put beside it")
	if err := f.parse(args, false); err != nil {
		return err
	}
	if err := required(map[string]string{"namespace": o.Namespace, "service-account": o.ServiceAccount, "out": o.Out}); err != nil {
		return err
	}
	d, err := cluster.Open(f.dir)
	if err != nil {
		return err
	}
	return d.Token(ctx, o)
}

package cli

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"time"

	"kubernaut.io/kubernaut/test/localcluster/internal/cluster"
)

const usableWithin = 60 * time.Second

// flags has the options that several commands share.
type flags struct {
	*flag.FlagSet
	dir   string
	bin   string
	nodes int
	limit time.Duration
}

func newFlags(name string, out io.Writer) *flags {
	f := &flags{FlagSet: flag.NewFlagSet(name, flag.ContinueOnError)}
	f.SetOutput(out)
	return f
}

func (f *flags) withDir(value string) *flags {
	f.StringVar(&f.dir, "dir", value, "the cluster's directory")
	return f
}

func (f *flags) withBin() *flags {
	f.StringVar(&f.bin, "bin", "bin", "folder of the components' binaries")
	return f
}

func (f *flags) withSize() *flags {
	f.IntVar(&f.nodes, "nodes", 10, "number of simulated nodes")
	f.DurationVar(&f.limit, "timeout", usableWithin, "time until the cluster must be usable")
	return f
}

// parse accepts arguments that are no options only where the command wants some.
func (f *flags) parse(args []string, positional bool) error {
	if err := f.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return err
		}
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	if !positional && f.NArg() > 0 {
		return fmt.Errorf("%w: unexpected %q", errUsage, f.Arg(0))
	}
	return nil
}

func (f *flags) upOptions(out io.Writer) cluster.UpOptions {
	return cluster.UpOptions{Bin: f.bin, Nodes: f.nodes, Limit: f.limit, Out: out}
}

// variables collects repeated K=V options.
type variables []string

func (v *variables) String() string { return strings.Join(*v, " ") }

func (v *variables) Set(value string) error {
	if name, _, ok := strings.Cut(value, "="); !ok || name == "" {
		return fmt.Errorf("want NAME=VALUE, have %q", value)
	}
	*v = append(*v, value)
	return nil
}

func required(options map[string]string) error {
	for name, value := range options {
		if value == "" {
			return fmt.Errorf("%w: --%s is missing", errUsage, name)
		}
	}
	return nil
}

package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"kubernaut.io/kubernaut/test/localcluster/internal/binaries"
)

func build(ctx context.Context, args []string, out io.Writer) error {
	f := newFlags("build", out).withBin()
	source := f.String("source", "", "the launcher's folder with the modules kubernetes and kwok (default: found upwards)")
	if err := f.parse(args, true); err != nil {
		return err
	}
	if *source == "" {
		var err error
		if *source, err = findSource(); err != nil {
			return err
		}
	}
	return binaries.Build(ctx, binaries.Options{Source: *source, Bin: f.bin, Names: f.Args(), Out: out})
}

// findSource looks upwards from the working directory, then from the launcher's own binary.
func findSource() (string, error) {
	starts := []func() (string, error){os.Getwd, executableDir}
	for _, start := range starts {
		dir, err := start()
		if err != nil {
			return "", err
		}
		if source, ok := upwards(dir); ok {
			return source, nil
		}
	}
	return "", errors.New("no folder test/localcluster found upwards of here; give --source")
}

func executableDir() (string, error) {
	path, err := os.Executable()
	if err != nil {
		return "", err
	}
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return "", fmt.Errorf("own binary: %w", err)
	}
	return filepath.Dir(path), nil
}

func upwards(dir string) (string, bool) {
	for {
		for _, candidate := range []string{dir, filepath.Join(dir, "test", "localcluster")} {
			if isSource(candidate) {
				return candidate, true
			}
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", false
		}
		dir = parent
	}
}

func isSource(dir string) bool {
	for _, module := range []string{"kubernetes", "kwok"} {
		if _, err := os.Stat(filepath.Join(dir, module, "go.sum")); err != nil {
			return false
		}
	}
	return true
}

package binaries

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// recipe is part of every cache key; raise it when the way of building changes but no go.mod does.
const recipe = "1"

// CacheDir is where built components are kept.
func CacheDir() (string, error) {
	root := os.Getenv("XDG_CACHE_HOME")
	if !filepath.IsAbs(root) {
		var err error
		if root, err = os.UserCacheDir(); err != nil {
			return "", err
		}
	}
	return filepath.Join(root, "kubernaut"), nil
}

// target is one component with what its go.mod says.
type target struct {
	Component
	module  string
	version string
	key     string
}

func newTarget(c Component, source string) (target, error) {
	module := filepath.Join(source, c.Folder)
	goMod, err := os.ReadFile(filepath.Join(module, "go.mod"))
	if err != nil {
		return target{}, err
	}
	goSum, err := os.ReadFile(filepath.Join(module, "go.sum"))
	if err != nil {
		return target{}, err
	}
	version, err := requiredVersion(goMod, c.Release)
	if err != nil {
		return target{}, fmt.Errorf("%s: %w", module, err)
	}
	sources, err := c.sources(module)
	if err != nil {
		return target{}, err
	}
	return target{c, module, version, cacheKey(c.Name, version, goMod, goSum, sources...)}, nil
}

// sources are the files of a component whose main is ours.
func (c Component) sources(module string) ([][]byte, error) {
	if c.Package != "." {
		return nil, nil
	}
	paths, err := filepath.Glob(filepath.Join(module, "*.go"))
	if err != nil {
		return nil, err
	}
	var all [][]byte
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		all = append(all, data)
	}
	return all, nil
}

func cacheKey(name, version string, goMod, goSum []byte, sources ...[]byte) string {
	hash := sha256.New()
	parts := append([][]byte{goMod, goSum, []byte(runtime.GOOS + "/" + runtime.GOARCH), []byte(recipe)}, sources...)
	for _, part := range parts {
		fmt.Fprintf(hash, "%d\n", len(part))
		hash.Write(part)
	}
	return fmt.Sprintf("%s-%s-%x", name, version, hash.Sum(nil)[:6])
}

func (t target) binary(cache string) string { return filepath.Join(cache, t.key, t.Name) }

func (t target) cached(cache string) bool {
	info, err := os.Stat(t.binary(cache))
	return err == nil && info.Mode().IsRegular()
}

// link points dir/<name> at the cached binary. A file of that name that is not a link is somebody's own: it stays.
func (t target) link(cache, dir string) error {
	want, path := t.binary(cache), filepath.Join(dir, t.Name)
	info, err := os.Lstat(path)
	switch {
	case err == nil && info.Mode()&fs.ModeSymlink == 0:
		return fmt.Errorf("%s is not a link to a cached build; remove it first", path)
	case err == nil:
		if have, err := os.Readlink(path); err == nil && have == want {
			return nil
		}
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	temporary := fmt.Sprintf("%s.%d", filepath.Join(dir, "."+t.Name), os.Getpid())
	if err := os.Symlink(want, temporary); err != nil {
		return err
	}
	return os.Rename(temporary, path)
}

const unfinished = ".unfinished-"

// dropUnfinished removes what interrupted builds left. Its caller holds the build lock, so none of them still runs.
func dropUnfinished(cache string) error {
	entries, err := os.ReadDir(cache)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), unfinished) {
			if err := os.RemoveAll(filepath.Join(cache, entry.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

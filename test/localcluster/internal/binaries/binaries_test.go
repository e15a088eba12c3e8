package binaries

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestCacheKeyChangesWithWhatDecidesTheBinary(t *testing.T) {
	base := cacheKey("etcd", "v1.0.0", []byte("mod"), []byte("sum"))
	if again := cacheKey("etcd", "v1.0.0", []byte("mod"), []byte("sum")); again != base {
		t.Errorf("not stable: %s, %s", base, again)
	}
	for what, key := range map[string]string{
		"name":                     cacheKey("kwok", "v1.0.0", []byte("mod"), []byte("sum")),
		"version":                  cacheKey("etcd", "v1.0.1", []byte("mod"), []byte("sum")),
		"go.mod":                   cacheKey("etcd", "v1.0.0", []byte("mod2"), []byte("sum")),
		"go.sum":                   cacheKey("etcd", "v1.0.0", []byte("mod"), []byte("sum2")),
		"a source of our own":      cacheKey("etcd", "v1.0.0", []byte("mod"), []byte("sum"), []byte("main")),
		"border of go.mod, go.sum": cacheKey("etcd", "v1.0.0", []byte("mods"), []byte("um")),
	} {
		if key == base {
			t.Errorf("%s does not change the key", what)
		}
	}
}

func TestRequiredVersion(t *testing.T) {
	goMod := []byte("module m\n\ntool k8s.io/kubernetes\n\nrequire (\n\tk8s.io/kubernetes v1.2.3 // indirect\n)\n\nrequire x.io/y v0.1.0\n" +
		"replace k8s.io/api => k8s.io/api v0.9.9\n")
	for module, want := range map[string]string{"k8s.io/kubernetes": "v1.2.3", "x.io/y": "v0.1.0"} {
		if have, err := requiredVersion(goMod, module); err != nil || have != want {
			t.Errorf("%s: %q, %v", module, have, err)
		}
	}
	if have, err := requiredVersion(goMod, "k8s.io/api"); err == nil {
		t.Errorf("a replacement is no requirement, have %q", have)
	}
}

func TestKubernetesVersionIsStamped(t *testing.T) {
	flags := Components()[2].ldflags("v1.37.2")
	for _, want := range []string{"component-base/version.gitVersion=v1.37.2", "client-go/pkg/version.gitMinor=37", "-s -w"} {
		if !strings.Contains(flags, want) {
			t.Errorf("no %s in %s", want, flags)
		}
	}
}

func TestEveryComponentHasAPinnedModule(t *testing.T) {
	for _, c := range Components() {
		if _, err := newTarget(c, filepath.Join("..", "..")); err != nil {
			t.Error(err)
		}
	}
}

func TestSelect(t *testing.T) {
	some, err := Select([]string{"kwok", "etcd"})
	if err != nil || len(some) != 2 || some[0].Name != "etcd" {
		t.Errorf("have %v, %v", some, err)
	}
	needed, err := Select(nil)
	if err != nil || len(needed) != len(Components())-1 {
		t.Errorf("cert-manager is built on demand only; have %v, %v", needed, err)
	}
	if named, err := Select([]string{"cert-manager"}); err != nil || len(named) != 1 {
		t.Errorf("have %v, %v", named, err)
	}
	if _, err := Select([]string{"kubelet"}); err == nil {
		t.Error("an unknown component was accepted")
	}
}

func TestCacheDirFollowsXDG(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", "/somewhere")
	if dir, err := CacheDir(); err != nil || dir != "/somewhere/kubernaut" {
		t.Errorf("%s, %v", dir, err)
	}
}

// tiny is a component that builds in an instant.
func tiny(t *testing.T, program string) target {
	t.Helper()
	module := t.TempDir()
	for name, content := range map[string]string{"go.mod": "module tiny\n\ngo 1.26\n", "main.go": program} {
		if err := os.WriteFile(filepath.Join(module, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c := Component{Name: "tiny", Package: ".", stamps: noStamps}
	return target{c, module, "v0.0.1", "tiny-v0.0.1-key"}
}

func TestProvideBuildsOnceAndLinks(t *testing.T) {
	cache, bin := t.TempDir(), t.TempDir()
	leftover := filepath.Join(cache, unfinished+"1")
	if err := os.Mkdir(leftover, 0o700); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	o := Options{Bin: bin, Out: &out}
	tiny := tiny(t, "package main\n\nfunc main() {}\n")
	for range 2 {
		if err := o.provide(t.Context(), tiny, cache); err != nil {
			t.Fatal(err)
		}
	}
	if n := strings.Count(out.String(), "done in"); n != 1 {
		t.Errorf("built %d times:\n%s", n, out.String())
	}
	if link, err := os.Readlink(filepath.Join(bin, "tiny")); err != nil || link != tiny.binary(cache) {
		t.Errorf("link to %q, %v", link, err)
	}
	if _, err := os.Stat(leftover); err == nil {
		t.Error("the interrupted build's folder is still there")
	}
}

func TestFailedBuildShowsTheCompilersWordsAndLeavesNothing(t *testing.T) {
	cache := t.TempDir()
	tiny := tiny(t, "package main\n\nfunc main() { nonsense() }\n")
	err := Options{Bin: t.TempDir(), Out: &bytes.Buffer{}}.provide(t.Context(), tiny, cache)
	if err == nil || !strings.Contains(err.Error(), "nonsense") {
		t.Errorf("error %v", err)
	}
	if tiny.cached(cache) {
		t.Error("a failed build is cached")
	}
	if left, _ := filepath.Glob(filepath.Join(cache, unfinished+"*")); len(left) > 0 {
		t.Errorf("left %v", left)
	}
}

func TestInterruptedBuildEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	begun := time.Now()
	tiny := tiny(t, "package main\n\nfunc main() {}\n")
	if err := (Options{Bin: t.TempDir(), Out: &bytes.Buffer{}}).provide(ctx, tiny, t.TempDir()); err == nil {
		t.Error("no error")
	}
	if took := time.Since(begun); took > grace {
		t.Errorf("took %s", took)
	}
}

func TestLinkSparesAFileThatIsNoLink(t *testing.T) {
	bin := t.TempDir()
	own := filepath.Join(bin, "tiny")
	if err := os.WriteFile(own, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := (target{Component: Component{Name: "tiny"}}).link(t.TempDir(), bin); err == nil {
		t.Error("no error")
	}
	if data, _ := os.ReadFile(own); string(data) != "mine" {
		t.Error("the file was replaced")
	}
}

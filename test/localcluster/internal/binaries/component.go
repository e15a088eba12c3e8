// Package binaries builds the cluster's components from their Go modules into a cache that all checkouts share.
package binaries

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Component is one binary.
type Component struct {
	Name string
	// Folder holds the go.mod that pins it, below the launcher's own folder.
	Folder  string
	Package string
	// Release is the module whose version is the component's.
	Release string
	stamps  func(version string) []string
	// onDemand is built only when it is named.
	onDemand bool
}

// Components lists all, in the order in which they are wanted first: the first three are enough for an API server.
func Components() []Component {
	const kubernetes = "k8s.io/kubernetes"
	kube := func(name string) Component {
		return Component{Name: name, Folder: "kubernetes", Package: kubernetes + "/cmd/" + name, Release: kubernetes, stamps: kubernetesStamps}
	}
	const etcd = "go.etcd.io/etcd/server/v3"
	return []Component{
		{Name: "etcd", Folder: "kubernetes", Package: etcd, Release: etcd, stamps: noStamps},
		kube("kubectl"),
		kube("kube-apiserver"),
		kube("kube-controller-manager"),
		kube("kube-scheduler"),
		{Name: "kwok", Folder: "kwok", Package: "sigs.k8s.io/kwok/cmd/kwok", Release: "sigs.k8s.io/kwok", stamps: kwokStamps},
		{Name: "cert-manager", Folder: "certmanager", Package: ".", Release: "github.com/cert-manager/cert-manager", stamps: certManagerStamps, onDemand: true},
	}
}

// Select returns the named components, or, when no name is given, all that a cluster needs.
func Select(names []string) ([]Component, error) {
	all := Components()
	if len(names) == 0 {
		return slices.DeleteFunc(all, func(c Component) bool { return c.onDemand }), nil
	}
	var known []string
	for _, c := range all {
		known = append(known, c.Name)
	}
	for _, name := range names {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("no component %q (there are %s)", name, strings.Join(known, ", "))
		}
	}
	return slices.DeleteFunc(all, func(c Component) bool { return !slices.Contains(names, c.Name) }), nil
}

// ldflags drop what only a debugger needs, and name the version: unstamped binaries call themselves v0.0.0-master.
func (c Component) ldflags(version string) string {
	flags := []string{"-s", "-w"}
	for _, stamp := range c.stamps(version) {
		flags = append(flags, "-X", stamp)
	}
	return strings.Join(flags, " ")
}

func noStamps(string) []string { return nil }

func kwokStamps(version string) []string {
	return []string{"sigs.k8s.io/kwok/pkg/consts.Version=" + strings.TrimPrefix(version, "v")}
}

func certManagerStamps(version string) []string {
	return []string{"github.com/cert-manager/cert-manager/pkg/util.AppVersion=" + version}
}

func kubernetesStamps(version string) []string {
	parts := strings.Split(strings.TrimPrefix(version, "v"), ".")
	for len(parts) < 2 {
		parts = append(parts, "")
	}
	var stamps []string
	for _, pkg := range []string{"k8s.io/component-base/version", "k8s.io/client-go/pkg/version"} {
		stamps = append(stamps,
			pkg+".gitVersion="+version, pkg+".gitMajor="+parts[0], pkg+".gitMinor="+parts[1],
			pkg+".gitTreeState=clean", pkg+".gitCommit=")
	}
	return stamps
}

// requiredVersion finds the version that a go.mod requires of a module.
func requiredVersion(goMod []byte, module string) (string, error) {
	line := regexp.MustCompile(`(?m)^\s*(?:require\s+)?` + regexp.QuoteMeta(module) + `\s+(v\S+)`)
	match := line.FindSubmatch(goMod)
	if match == nil {
		return "", fmt.Errorf("go.mod does not require %s", module)
	}
	return string(match[1]), nil
}

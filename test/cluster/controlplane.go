// Package cluster gives tests an API server, and puts Kubernaut's manifests into any cluster.
package cluster

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

const (
	controlPlaneStart = time.Minute
	controlPlaneStop  = 20 * time.Second
)

// ControlPlane is an API server with its etcd, empty but for what Kubernetes itself makes.
type ControlPlane struct {
	// Config is the configuration of a member of system:masters, authenticated by a client certificate.
	Config *rest.Config
	// Environment adds users and holds the kubeconfig.
	Environment *envtest.Environment
}

// StartControlPlane starts an API server with RBAC and the ServiceAccount admission plugin, as a real cluster has them. The
// binaries are those of KUBEBUILDER_ASSETS, or, without it, of bin in the root of the checkout. The caller stops it.
func StartControlPlane() (*ControlPlane, error) {
	assets, err := assetsDirectory()
	if err != nil {
		return nil, err
	}
	environment := &envtest.Environment{
		BinaryAssetsDirectory:    assets,
		ControlPlaneStartTimeout: controlPlaneStart,
		ControlPlaneStopTimeout:  controlPlaneStop,
	}
	arguments := environment.ControlPlane.GetAPIServer().Configure()
	arguments.Disable("disable-admission-plugins")
	config, err := environment.Start()
	if err != nil {
		return nil, fmt.Errorf("start etcd and kube-apiserver from %s: %w", assets, errors.Join(err, environment.Stop()))
	}
	// Tests talk to a server of their own: client-side rate limits would only make them slow.
	config.QPS = -1
	return &ControlPlane{Config: config, Environment: environment}, nil
}

// Stop ends the processes and removes their data.
func (c *ControlPlane) Stop() error { return c.Environment.Stop() }

// Root is the root of the checkout that this package was compiled from.
func Root() (string, error) {
	_, file, _, ok := runtime.Caller(0)
	if !ok {
		return "", errors.New("the binary does not say where its sources are")
	}
	root := filepath.Dir(filepath.Dir(filepath.Dir(file)))
	if _, err := os.Stat(filepath.Join(root, "go.mod")); err != nil {
		return "", fmt.Errorf("find the checkout (was it built with -trimpath, or moved?): %w", err)
	}
	return root, nil
}

func assetsDirectory() (string, error) {
	if assets := os.Getenv("KUBEBUILDER_ASSETS"); assets != "" {
		return assets, nil
	}
	root, err := Root()
	if err != nil {
		return "", err
	}
	assets := filepath.Join(root, "bin")
	if _, err := os.Stat(filepath.Join(assets, "kube-apiserver")); err != nil {
		return "", fmt.Errorf("there is no kube-apiserver in %s: run `make binaries`, or set KUBEBUILDER_ASSETS: %w", assets, err)
	}
	return assets, nil
}

// Package install applies what an administrator would, to a real API server, and runs the manager on it with each origin of its
// certificate.
package install

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"kubernaut.io/kubernaut/cmd/kubernaut/app"
	"kubernaut.io/kubernaut/controllers/identity"
	"kubernaut.io/kubernaut/test/cluster"
)

const (
	operatorNamespace = identity.DefaultNamespace

	readyTimeout = 30 * time.Second
	stopTimeout  = 20 * time.Second
	pollInterval = 50 * time.Millisecond
)

var root string

func TestInstall(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "Installation")
}

var _ = BeforeSuite(func() {
	ctrl.SetLogger(GinkgoLogr)
	var err error
	root, err = cluster.Root()
	Expect(err).NotTo(HaveOccurred())
})

// startCluster is an API server of its own for a container of specs.
func startCluster() *cluster.ControlPlane {
	GinkgoHelper()
	plane, err := cluster.StartControlPlane()
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(plane.Stop)
	return plane
}

func assets() string {
	if folder := os.Getenv("KUBEBUILDER_ASSETS"); folder != "" {
		return folder
	}
	return filepath.Join(root, "bin")
}

// rendered is a file with what kubectl apply -k would apply.
func rendered(ctx context.Context, folder string) string {
	GinkgoHelper()
	command := exec.CommandContext(ctx, filepath.Join(assets(), "kubectl"), "kustomize", filepath.Join(root, folder))
	var problems bytes.Buffer
	command.Stderr = &problems
	out, err := command.Output()
	Expect(err).NotTo(HaveOccurred(), problems.String())
	file := filepath.Join(GinkgoT().TempDir(), "manifests.yaml")
	Expect(os.WriteFile(file, out, 0o600)).To(Succeed())
	return file
}

func objectsIn(file string) []*unstructured.Unstructured {
	GinkgoHelper()
	data, err := os.ReadFile(file)
	Expect(err).NotTo(HaveOccurred())
	var objects []*unstructured.Unstructured
	for decoder := utilyaml.NewYAMLOrJSONDecoder(bytes.NewReader(data), len(data)+1); ; {
		object := &unstructured.Unstructured{}
		err := decoder.Decode(&object.Object)
		if errors.Is(err, io.EOF) {
			return objects
		}
		Expect(err).NotTo(HaveOccurred())
		objects = append(objects, object)
	}
}

// installCertManagerKinds makes the API server serve cert-manager's kinds; nobody acts on them.
func installCertManagerKinds(ctx context.Context, config *rest.Config) {
	GinkgoHelper()
	command := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/cert-manager/cert-manager")
	command.Dir = root
	module, err := command.Output()
	Expect(err).NotTo(HaveOccurred())
	Expect(cluster.ApplyFolder(ctx, config, filepath.Join(strings.TrimSpace(string(module)), "deploy", "crds"))).To(Succeed())
}

func clientOf(config *rest.Config) client.Client {
	GinkgoHelper()
	scheme, err := app.Scheme()
	Expect(err).NotTo(HaveOccurred())
	config = rest.CopyConfig(config)
	config.QPS = -1
	c, err := client.New(config, client.Options{Scheme: scheme})
	Expect(err).NotTo(HaveOccurred())
	return c
}

func freePort() int {
	GinkgoHelper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	Expect(err).NotTo(HaveOccurred())
	defer func() { Expect(listener.Close()).To(Succeed()) }()
	_, port, err := net.SplitHostPort(listener.Addr().String())
	Expect(err).NotTo(HaveOccurred())
	number, err := strconv.Atoi(port)
	Expect(err).NotTo(HaveOccurred())
	return number
}

func webhookURL(port int) string { return fmt.Sprintf("https://localhost:%d", port) }

// Package api checks that an API server enforces what the CRDs say, with nothing else installed: no webhook, no policy.
package api

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"kubernaut.io/kubernaut/test/cluster"
)

// maxCRDBytes is how large a CRD may be, so that it fits into a request however it is applied.
const maxCRDBytes = 900 << 10

var (
	api  client.Client
	root string
)

func TestAPI(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "API")
}

var _ = BeforeSuite(func(ctx SpecContext) {
	ctrl.SetLogger(GinkgoLogr)
	var err error
	root, err = cluster.Root()
	Expect(err).NotTo(HaveOccurred())
	plane, err := cluster.StartControlPlane()
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(plane.Stop)
	// Returns when all kinds are established, which they are not when a schema is not structural or a rule costs too much.
	Expect(cluster.ApplyFolder(ctx, plane.Config, filepath.Join(root, "config", "crd"))).To(Succeed())
	api, err = client.New(plane.Config, client.Options{})
	Expect(err).NotTo(HaveOccurred())
})

var _ = Describe("The CRDs", func() {
	It("are eight, none larger than 900 KiB", func() {
		files, err := filepath.Glob(filepath.Join(root, "config", "crd", "bases", "*.yaml"))
		Expect(err).NotTo(HaveOccurred())
		Expect(files).To(HaveLen(8))
		for _, file := range files {
			text, err := os.ReadFile(file)
			Expect(err).NotTo(HaveOccurred())
			data, err := yaml.YAMLToJSON(text)
			Expect(err).NotTo(HaveOccurred())
			Expect(len(data)).To(BeNumerically("<", maxCRDBytes), file)
		}
	})
})

// object is the object that a manifest describes, in the default namespace under a generated name.
func object(manifest string) *unstructured.Unstructured {
	GinkgoHelper()
	o := &unstructured.Unstructured{}
	Expect(yaml.UnmarshalStrict([]byte(manifest), &o.Object)).To(Succeed())
	o.SetNamespace("default")
	o.SetGenerateName("test-")
	return o
}

// set changes the member at a path such as spec.steps.0.name; a nil value removes it.
func set(o *unstructured.Unstructured, path string, value any) {
	GinkgoHelper()
	if text, is := value.(string); is && strings.HasPrefix(text, "yaml:") {
		var parsed any
		Expect(yaml.Unmarshal([]byte(strings.TrimPrefix(text, "yaml:")), &parsed)).To(Succeed())
		value = parsed
	}
	parts := strings.Split(path, ".")
	var at any = o.Object
	for _, part := range parts[:len(parts)-1] {
		at = member(at, part)
	}
	parent, is := at.(map[string]any)
	Expect(is).To(BeTrue(), "the parent of %s is a map", path)
	last := parts[len(parts)-1]
	if value == nil {
		delete(parent, last)
		return
	}
	parent[last] = value
}

func member(at any, part string) any {
	GinkgoHelper()
	switch at := at.(type) {
	case map[string]any:
		if at[part] == nil {
			at[part] = map[string]any{}
		}
		return at[part]
	case []any:
		var index int
		_, err := fmt.Sscanf(part, "%d", &index)
		Expect(err).NotTo(HaveOccurred())
		return at[index]
	default:
		Fail(fmt.Sprintf("there is nothing at %s", part))
		return nil
	}
}

// get is the value at such a path.
func get(o *unstructured.Unstructured, path string) any {
	GinkgoHelper()
	var at any = o.Object
	for part := range strings.SplitSeq(path, ".") {
		at = member(at, part)
	}
	return at
}

// expectInvalid says that the API server refuses with an error at the field, whose message has the words.
func expectInvalid(err error, fieldPath, words string) {
	GinkgoHelper()
	Expect(apierrors.IsInvalid(err)).To(BeTrue(), "the answer is Invalid: %v", err)
	status, is := err.(apierrors.APIStatus)
	Expect(is).To(BeTrue())
	var have []string
	for _, cause := range status.Status().Details.Causes {
		if cause.Field == fieldPath && strings.Contains(cause.Message, words) {
			return
		}
		have = append(have, cause.Field+": "+cause.Message)
	}
	Fail(fmt.Sprintf("no error at %s with the words %q, but:\n%s", fieldPath, words, strings.Join(have, "\n")))
}

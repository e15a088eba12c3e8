// Package docs applies the examples of the pages about the kinds, as a dry run, to an API server with everything installed.
package docs

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"kubernaut.io/kubernaut/policies/gate"
	"kubernaut.io/kubernaut/test/cluster"
)

func TestMain(m *testing.M) {
	gate.MaybeChild() // the tests of a SafetyPolicy run in a process of their own
	os.Exit(m.Run())
}

func TestDocs(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "The pages about the kinds")
}

var server *cluster.InProcess

var _ = BeforeSuite(func(ctx SpecContext) {
	var err error
	server, err = cluster.StartInProcess(ctx)
	DeferCleanup(func() error {
		if server == nil {
			return nil
		}
		return server.Stop()
	})
	Expect(err).NotTo(HaveOccurred())
	Expect(server.Admin.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop"}})).To(Succeed())
})

// example is a block of YAML on a page.
type example struct {
	where  string
	object *unstructured.Unstructured
}

// people are the kinds that people make; the others only our controllers make.
func people() []string {
	return []string{"RemediationRequest", "WorkflowExecution", "SafetyPolicy", "Playbook"}
}

// examples are all those of docs/kinds: they are known before the specs run.
func examples() []example {
	root, err := cluster.Root()
	if err != nil {
		panic(err)
	}
	pages, err := filepath.Glob(filepath.Join(root, "docs", "kinds", "*.md"))
	if err != nil {
		panic(err)
	}
	var found []example
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			panic(err)
		}
		for i, block := range strings.Split(string(text), "```yaml\n")[1:] {
			manifest, _, _ := strings.Cut(block, "```\n")
			e := example{where: fmt.Sprintf("example %d of %s", i+1, filepath.Base(page)), object: &unstructured.Unstructured{}}
			if err := yaml.Unmarshal([]byte(manifest), &e.object.Object); err != nil {
				panic(fmt.Errorf("%s: %w", e.where, err))
			}
			found = append(found, e)
		}
	}
	return found
}

func dryRun(ctx context.Context, object *unstructured.Unstructured) error {
	return server.Admin.Create(ctx, object.DeepCopy(), client.DryRunAll, client.FieldValidation(metav1.FieldValidationStrict))
}

var _ = Describe("The example", func() {
	var kinds []string
	for _, e := range examples() {
		kinds = append(kinds, e.object.GetKind())
		if slices.Contains(people(), e.object.GetKind()) {
			It("is admitted: "+e.where, func(ctx SpecContext) {
				Expect(dryRun(ctx, e.object)).To(Succeed())
			})
			continue
		}
		// The schema is checked before the policies of admission: what only they refuse is valid.
		It("is valid, and only a controller may make it: "+e.where, func(ctx SpecContext) {
			err := dryRun(ctx, e.object)
			Expect(err).To(MatchError(ContainSubstring("ValidatingAdmissionPolicy")))
			wrong := e.object.DeepCopy()
			Expect(unstructured.SetNestedField(wrong.Object, "x", "spec", "nonsense")).To(Succeed())
			Expect(apierrors.IsBadRequest(dryRun(ctx, wrong))).To(BeTrue())
			Expect(unstructured.SetNestedField(wrong.Object, nil, "spec")).To(Succeed())
			Expect(dryRun(ctx, wrong)).To(MatchError(ContainSubstring("spec")))
		})
	}

	It("is there for every kind", func() {
		Expect(kinds).To(ContainElements(append(people(), "RemediationProcessing", "AIAnalysis", "KubernetesExecution", "ApprovalRequest")))
	})
})

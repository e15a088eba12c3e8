package docs

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"kubernaut.io/kubernaut/test/cluster"
)

// runMark stands before a block of the administrator's guide that is run here.
const runMark = "<!-- run -->\n```sh\n"

func guide() string {
	root, err := cluster.Root()
	if err != nil {
		panic(err)
	}
	text, err := os.ReadFile(filepath.Join(root, "docs", "admin.md"))
	if err != nil {
		panic(err)
	}
	return string(text)
}

// kubectlOnPath is the environment of a shell in which kubectl talks to the API server of the suite.
func kubectlOnPath() []string {
	GinkgoHelper()
	kubeconfig := filepath.Join(GinkgoT().TempDir(), "kubeconfig")
	Expect(os.WriteFile(kubeconfig, server.Environment.KubeConfig, 0o600)).To(Succeed())
	assets := os.Getenv("KUBEBUILDER_ASSETS")
	if assets == "" {
		root, err := cluster.Root()
		Expect(err).NotTo(HaveOccurred())
		assets = filepath.Join(root, "bin")
	}
	return append(os.Environ(), "KUBECONFIG="+kubeconfig, "PATH="+assets+string(os.PathListSeparator)+os.Getenv("PATH"))
}

var _ = Describe("The administrator's guide", func() {
	blocks := strings.Split(guide(), runMark)[1:] //nolint:ginkgolinter // the specs are made from them
	for i, block := range blocks {
		commands, _, _ := strings.Cut(block, "```\n")
		It("works as it says: block "+strconv.Itoa(i+1), func(ctx SpecContext) {
			command := exec.CommandContext(ctx, "bash", "-euxo", "pipefail", "-c", commands)
			command.Env = kubectlOnPath()
			out, err := command.CombinedOutput()
			Expect(err).NotTo(HaveOccurred(), string(out))
		})
	}

	It("has blocks to run", func() { Expect(len(blocks)).To(BeNumerically(">=", 4)) })

	It("shows manifests that are admitted", func(ctx SpecContext) {
		manifests := strings.Split(guide(), "```yaml\n")[1:]
		Expect(manifests).NotTo(BeEmpty())
		for _, manifest := range manifests {
			manifest, _, _ = strings.Cut(manifest, "```\n")
			object := &unstructured.Unstructured{}
			Expect(yaml.Unmarshal([]byte(manifest), &object.Object)).To(Succeed())
			Expect(dryRun(ctx, object)).To(Succeed(), client.ObjectKeyFromObject(object).String())
		}
	})
})

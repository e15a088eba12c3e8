package workflow

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/test/builders"
)

// The promises of the API.
const (
	maxSteps       = 100
	maxSpecBytes   = 128 << 10
	maxObjectBytes = 256 << 10
	manyTimeout    = 4 * time.Minute
	longestName    = 63
	longestDepl    = 200
	parallelAtMost = 20
	changedTargets = 30
	longestMessage = 1024
)

// stored is how large an object is as the API server stores it: its JSON.
func stored(workflow *workflowexecutionv1.WorkflowExecution) int {
	GinkgoHelper()
	text, err := json.Marshal(workflow)
	Expect(err).NotTo(HaveOccurred())
	return len(text)
}

func padded(prefix string, length int) string {
	return prefix + strings.Repeat("x", length-len(prefix))
}

var _ = Describe("The largest workflow", func() {
	// A spec near its bound: 100 steps with the longest names, Deployments with long names, messages, and dependencies.
	largest := func(ctx SpecContext, ns string) builders.WorkflowBuilder {
		var steps []shared.Step
		for i := range maxSteps {
			name := padded(fmt.Sprintf("s%02d-", i), longestName)
			step := builders.Notify(name, strings.Repeat("m", longestMessage))
			if i < changedTargets {
				deployment := padded(fmt.Sprintf("d%02d-", i), longestDepl)
				b := builders.Deployment(ns, deployment, goodImage)
				b.Spec.Selector.MatchLabels["app"], b.Spec.Template.Labels["app"] = "x", "x"
				b.Labels["app"] = "x"
				Expect(admin.Create(ctx, b.Deployment)).To(Succeed())
				step = builders.Scale(name, ns, deployment, 2)
			}
			if i > 0 {
				step = step.After(steps[i/2].Name)
			}
			steps = append(steps, step.Step)
		}
		b := builders.Workflow(ns, "largest", steps...)
		b.Spec.ExecutionStrategy = &shared.ExecutionStrategy{MaxParallelSteps: new(int32(parallelAtMost))}
		b.Annotations = map[string]string{"note": "the largest"}
		return b
	}

	It("is accepted, runs to its end, and stays below 256 KiB", func(ctx SpecContext) {
		ns := namespace(ctx, nil)
		b := largest(ctx, ns)
		spec, err := json.Marshal(b.Spec)
		Expect(err).NotTo(HaveOccurred())
		Expect(len(spec)).To(And(BeNumerically(">", maxSpecBytes*2/3), BeNumerically("<=", maxSpecBytes)))
		workflow := start(ctx, b)
		Eventually(func(g Gomega) {
			g.Expect(admin.Get(ctx, client.ObjectKeyFromObject(workflow), workflow)).To(Succeed())
			g.Expect(workflow.Status.Phase.Terminal()).To(BeTrue(), "%s: %d steps are completed", workflow.Status.Phase, workflow.Status.CompletedSteps)
		}).WithTimeout(manyTimeout).WithPolling(10 * poll).Should(Succeed())
		Expect(workflow.Status.Outcome).To(Equal(workflowexecutionv1.OutcomeSuccess), workflow.Status.FailureReason)
		Expect(workflow.Status.CompletedSteps).To(Equal(int32(maxSteps)))
		AddReportEntry("size", fmt.Sprintf("spec %d KiB, object %d KiB", len(spec)>>10, stored(workflow)>>10))
		Expect(stored(workflow)).To(BeNumerically("<", maxObjectBytes))
		Expect(seen.mostRunning(workflow)).To(BeNumerically("<=", parallelAtMost))
	}, SpecTimeout(manyTimeout+time.Minute))

	It("is refused with one step more, or one byte too many", func(ctx SpecContext) {
		ns := namespace(ctx, nil)
		many := make([]shared.Step, maxSteps+1)
		for i := range many {
			many[i] = builders.Notify(fmt.Sprint("s", i), "hello").Step
		}
		Expect(admin.Create(ctx, builders.Workflow(ns, "many", many...).WorkflowExecution)).To(MatchError(ContainSubstring("spec.workflowDefinition.steps: Too many")))
		for i := range many {
			many[i] = builders.Notify(padded(fmt.Sprintf("s%02d-", i%maxSteps), longestName), strings.Repeat("m", 1024)).Step
		}
		Expect(admin.Create(ctx, builders.Workflow(ns, "long", many[:maxSteps]...).WorkflowExecution)).To(Succeed())
		for i := range many {
			many[i] = builders.Notify(padded(fmt.Sprintf("s%02d-", i%maxSteps), longestName), strings.Repeat("é", 1024)).Step
		}
		Expect(admin.Create(ctx, builders.Workflow(ns, "longer", many[:maxSteps]...).WorkflowExecution)).To(MatchError(ContainSubstring("a spec is at most 131072 bytes")))
	})
})

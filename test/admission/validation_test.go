package admission

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	catalogv1alpha1 "kubernaut.io/kubernaut/api/catalog/v1alpha1"
	remediationv1 "kubernaut.io/kubernaut/api/remediation/v1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/test/cluster"
	"kubernaut.io/kubernaut/webhooks"
)

// causes are the paths of all errors in an answer.
func causes(err error) []string {
	GinkgoHelper()
	Expect(apierrors.IsInvalid(err)).To(BeTrue(), "the answer is Invalid: %v", err)
	status, is := err.(apierrors.APIStatus)
	Expect(is).To(BeTrue())
	var paths []string
	for _, cause := range status.Status().Details.Causes {
		paths = append(paths, cause.Field)
	}
	return paths
}

var _ = Describe("Validation", func() {
	It("says all that is wrong with a WorkflowExecution in one answer", func(ctx SpecContext) {
		before := deniedTotal("workflowexecutions")
		err := alice.Create(ctx, workflow("wrong-", nil,
			step("a", "nobody"),
			step("b"),
			shared.Step{Name: "image", Action: shared.Action{Type: shared.ActionUpdateImage, UpdateImage: &shared.UpdateImage{Namespace: "Shop", Name: "cart", Container: "app", Image: "a b"}}},
		))
		Expect(causes(err)).To(ConsistOf(
			"spec.workflowDefinition.steps[0].dependsOn[0]",
			"spec.workflowDefinition.steps[2].action.updateImage.namespace",
			"spec.workflowDefinition.steps[2].action.updateImage.image",
		))
		Expect(deniedTotal("workflowexecutions")).To(BeNumerically(">", before))
	})

	It("shows a circle", func(ctx SpecContext) {
		err := alice.Create(ctx, workflow("circle-", nil, step("a", "b"), step("b", "c"), step("c", "a")))
		Expect(err).To(MatchError(ContainSubstring("a → b → c → a")))
	})

	It("refuses time-outs that do not fit", func(ctx SpecContext) {
		err := alice.Create(ctx, workflow("short-", func(w *workflowexecutionv1.WorkflowExecution) {
			w.Spec.Timeouts = &workflowexecutionv1.WorkflowTimeouts{Workflow: &metav1.Duration{Duration: 1e9}}
		}, step("a")))
		Expect(causes(err)).To(ConsistOf("spec.timeouts.workflow"))
		err = alice.Create(ctx, request("short-", func(r *remediationv1.RemediationRequest) {
			r.Spec.Timeouts = &remediationv1.RemediationTimeouts{Overall: &metav1.Duration{Duration: 1e9}}
		}))
		Expect(causes(err)).To(ConsistOf("spec.timeouts.overall"))
	})

	It("says all that is wrong with a RemediationRequest in one answer", func(ctx SpecContext) {
		err := alice.Create(ctx, request("wrong-", func(r *remediationv1.RemediationRequest) {
			r.Spec.Target = shared.Target{APIVersion: "a/b/c", Kind: "deployment", Namespace: "Shop", Name: "a/b"}
			r.Spec.SignalContext.Labels = map[string]shared.LabelText{"pod": "a\nb"}
		}))
		Expect(causes(err)).To(ConsistOf("spec.target.apiVersion", "spec.target.kind", "spec.target.namespace", "spec.target.name",
			"spec.signalContext.labels[pod]"))
	})

	It("lets a workflow be suspended and cancelled", func(ctx SpecContext) {
		w := workflow("later-", nil, step("a"))
		Expect(alice.Create(ctx, w)).To(Succeed())
		w.Spec.Suspend, w.Spec.Cancel = new(true), workflowexecutionv1.CancelAbort
		Expect(alice.Update(ctx, w)).To(Succeed())
	})

	It("lets a request be cancelled", func(ctx SpecContext) {
		r := request("later-", nil)
		Expect(alice.Create(ctx, r)).To(Succeed())
		r.Spec.Cancel = new(true)
		Expect(alice.Update(ctx, r)).To(Succeed())
	})

	It("says all that is wrong with a Playbook in one answer, also when it is changed", func(ctx SpecContext) {
		good := func() *catalogv1alpha1.Playbook {
			return &catalogv1alpha1.Playbook{ObjectMeta: metav1.ObjectMeta{GenerateName: "good-"}, Spec: catalogv1alpha1.PlaybookSpec{
				ConfidencePercent: new(int32(50)), RootCause: "x", Workflow: catalogv1alpha1.PlaybookWorkflow{Name: "scale", Steps: []catalogv1alpha1.PlaybookStep{{
					Name: "a", Type: shared.ActionScaleDeployment, Parameters: map[string]catalogv1alpha1.ParameterText{"namespace": "shop", "name": "cart", "replicas": "2"},
				}}},
			}}
		}
		spoil := func(p *catalogv1alpha1.Playbook) *catalogv1alpha1.Playbook {
			p.Spec.Match.Expression, p.Spec.RootCause = "target.kind", "${{ target.colour }}"
			p.Spec.Workflow.Steps[0].Parameters["replicas"] = "many"
			return p
		}
		wrong := []string{"spec.match.expression", "spec.rootCause", "spec.workflow.steps[0].parameters[replicas]"}
		Expect(causes(alice.Create(ctx, spoil(good())))).To(ConsistOf(wrong))
		stored := good()
		Expect(alice.Create(ctx, stored)).To(Succeed())
		Expect(causes(alice.Update(ctx, spoil(stored)))).To(ConsistOf(wrong))
	})

	It("accepts the samples", func(ctx SpecContext) {
		Expect(cluster.ApplyFolder(ctx, adminConfig, root+"/config/samples")).To(Succeed())
	})
})

// deniedTotal is how many refusals the metric counts for a resource, whatever the reason.
func deniedTotal(resource string) (total float64) {
	GinkgoHelper()
	registry := prometheus.NewRegistry()
	registry.MustRegister(webhooks.Collectors()...)
	families, err := registry.Gather()
	Expect(err).NotTo(HaveOccurred())
	for _, family := range families {
		if family.GetName() != "kubernaut_admission_denied_total" {
			continue
		}
		for _, metric := range family.GetMetric() {
			if hasLabel(metric, "resource", resource) {
				total += metric.GetCounter().GetValue()
			}
		}
	}
	return total
}

func hasLabel(metric *dto.Metric, name, value string) bool {
	for _, label := range metric.GetLabel() {
		if label.GetName() == name && label.GetValue() == value {
			return true
		}
	}
	return false
}

// warnings collects the warnings that the API server sends.
type warnings struct{ texts []string }

func (w *warnings) HandleWarningHeader(_ int, _, text string) { w.texts = append(w.texts, text) }

func (w *warnings) listen(config *rest.Config) *rest.Config {
	listening := rest.CopyConfig(config)
	listening.WarningHandler = w
	return listening
}

// webhooksGone calls f while nobody answers at the address of the webhooks.
func webhooksGone(ctx context.Context, f func()) {
	GinkgoHelper()
	Expect(cluster.Install(ctx, adminConfig, cluster.Options{Root: root, WebhookURL: "https://localhost:1"})).To(Succeed())
	defer webhooksBack(ctx)
	Eventually(func() error { return alice.Create(ctx, request("gone-", nil), client.DryRunAll) }).
		WithTimeout(readyTimeout).WithPolling(pollInterval).Should(MatchError(ContainSubstring("failed calling webhook")))
	f()
}

// webhooksBack applies the manifests again and waits until the webhooks are called and trusted.
func webhooksBack(ctx context.Context) {
	GinkgoHelper()
	install(ctx)
	Eventually(func() error { return certificate.Checker()(nil) }).WithTimeout(readyTimeout).WithPolling(pollInterval).Should(Succeed())
	Eventually(func(g Gomega) {
		probe := request("back-", nil)
		g.Expect(alice.Create(ctx, probe, client.DryRunAll)).To(Succeed())
		g.Expect(probe.Spec.RequestedBy.Username).To(Equal("alice"))
	}).WithTimeout(readyTimeout).WithPolling(pollInterval).Should(Succeed())
}

// deleteWebhooks deletes both configurations and waits until the API server no longer calls them.
func deleteWebhooks(ctx context.Context) {
	GinkgoHelper()
	for _, object := range []client.Object{&admissionregistrationv1.MutatingWebhookConfiguration{}, &admissionregistrationv1.ValidatingWebhookConfiguration{}} {
		object.SetName(webhooks.ConfigurationName)
		Expect(admin.Delete(ctx, object)).To(Succeed())
	}
	Eventually(func() error {
		return alice.Create(ctx, request("deleted-", func(r *remediationv1.RemediationRequest) { r.Spec.RequestedBy = somebody }), client.DryRunAll)
	}).WithTimeout(readyTimeout).WithPolling(pollInterval).Should(MatchError(ContainSubstring("spec.requestedBy must be who sends the request")))
	Expect(certificate.Checker()(nil)).To(MatchError(ContainSubstring("does not exist")))
}

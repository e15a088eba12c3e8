package admission

import (
	"context"
	"fmt"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	gomegatypes "github.com/onsi/gomega/types"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"kubernaut.io/kubernaut/controllers/identity"
	"kubernaut.io/kubernaut/test/cluster"
	"kubernaut.io/kubernaut/webhooks"
	"kubernaut.io/kubernaut/webhooks/statusguard"
)

const fromPolicy = "ValidatingAdmissionPolicy"

// deletePolicies deletes the policies of the guard, and waits until the API server no longer asks them.
func deletePolicies(ctx context.Context, w *world) {
	GinkgoHelper()
	for _, policy := range statusguard.New(operatorNamespace).Policies() {
		Expect(admin.Delete(ctx, statusguard.Binding(policy.Name))).To(Succeed())
		Expect(admin.Delete(ctx, policy)).To(Succeed())
	}
	awaitPolicies(ctx, w, Not(ContainSubstring(fromPolicy)))
}

// everythingBack applies the manifests again, and waits until both guards answer.
func everythingBack(ctx context.Context, w *world) {
	GinkgoHelper()
	webhooksBack(ctx)
	awaitPolicies(ctx, w, ContainSubstring(fromPolicy))
}

// awaitPolicies asks for one thing that each policy refuses that a request reaches with all webhooks in place.
func awaitPolicies(ctx context.Context, w *world, answer gomegatypes.GomegaMatcher) {
	GinkgoHelper()
	dry := *w
	dry.dryRun = true
	claim := fmt.Sprintf(`{"metadata":{"ownerReferences":[{"apiVersion":"remediation.kubernaut.io/v1","kind":"RemediationRequest","name":"x","uid":%q}]}}`, reference.UID)
	annotation := `{"metadata":{"annotations":{"kubernaut.io/requested-by":"x"}}}`
	Eventually(func(g Gomega) {
		for _, err := range []error{
			dry.patch(ctx, everyRight, "Playbook", types.MergePatchType, `{"status":{"observedGeneration":1}}`, "status"),
			dry.create(ctx, everyRight, child(w, everyRight, "AIAnalysis")),
			dry.patch(ctx, everyRight, "WorkflowExecution", types.MergePatchType, claim),
			dry.patch(ctx, everyRight, "WorkflowExecution", types.MergePatchType, annotation),
			dry.decide(ctx, everyRight, voidRequest, "add", "/-", says()),
		} {
			g.Expect(fmt.Sprint(err)).To(answer)
		}
	}).WithContext(ctx).WithTimeout(readyTimeout).WithPolling(pollInterval).Should(Succeed())
}

var _ = Describe("The attack table", Ordered, func() {
	var (
		w     *world
		table *results
	)
	BeforeAll(func(ctx SpecContext) {
		w = newWorld(ctx)
		table = &results{rows: attacks(w), answers: map[setup]map[int]string{}}
		Expect(len(table.rows)).To(BeNumerically(">=", 120))
	})
	AfterAll(func() { table.publish() })

	try := func(ctx context.Context, in setup) {
		GinkgoHelper()
		if failures := table.run(ctx, w, in); len(failures) > 0 {
			Fail(fmt.Sprintf("%d rows do not hold with %s:\n%s", len(failures), in, strings.Join(failures, "\n")))
		}
	}
	// broken tells of the first row that breaks a rule and has another answer than it must have; empty if all have.
	broken := func(ctx context.Context, rule string, in setup) string {
		dry := *w
		dry.dryRun = true
		for _, row := range table.rows {
			want, holds := row.wanted(in)
			if !holds || row.rule != rule {
				continue
			}
			if problem := judge(want, row.do(ctx, &dry)); problem != "" {
				return fmt.Sprintf("%s, by %s (%s): %s", row.name, row.by, row.request, problem)
			}
		}
		return ""
	}

	It("holds with both guards", func(ctx SpecContext) { try(ctx, bothGuards) })

	Context("without the webhook configurations", Ordered, func() {
		BeforeAll(func(ctx SpecContext) { deleteWebhooks(ctx) })
		AfterAll(func(ctx SpecContext) { everythingBack(ctx, w) })

		It("holds with the policies alone", func(ctx SpecContext) { try(ctx, onlyPolicy) })

		It("needs every rule of every policy", func(ctx SpecContext) {
			for _, rule := range statusguard.New(operatorNamespace).Rules {
				if rule.Policy == "" {
					continue
				}
				Expect(broken(ctx, rule.Name, onlyPolicy)).To(BeEmpty(), rule.Name)
				policy := &admissionregistrationv1.ValidatingAdmissionPolicy{ObjectMeta: metav1.ObjectMeta{Name: rule.Policy}}
				Expect(admin.Get(ctx, client.ObjectKeyFromObject(policy), policy)).To(Succeed())
				whole := slices.Clone(policy.Spec.Validations)
				policy.Spec.Validations = slices.DeleteFunc(policy.Spec.Validations, func(v admissionregistrationv1.Validation) bool { return v.Expression == rule.Expression })
				Expect(policy.Spec.Validations).To(HaveLen(len(whole) - 1))
				Expect(admin.Update(ctx, policy)).To(Succeed())
				Eventually(broken).WithContext(ctx).WithArguments(rule.Name, onlyPolicy).WithTimeout(readyTimeout).WithPolling(pollInterval).
					ShouldNot(BeEmpty(), "no row fails without rule "+rule.Name)
				policy.Spec.Validations = whole
				Expect(admin.Update(ctx, policy)).To(Succeed())
			}
			for _, rule := range statusguard.New(operatorNamespace).Rules {
				Eventually(broken).WithContext(ctx).WithArguments(rule.Name, onlyPolicy).WithTimeout(readyTimeout).WithPolling(pollInterval).Should(BeEmpty(), rule.Name)
			}
		})
	})

	Context("with the webhook of the guard alone", Ordered, func() {
		var between *front
		const alone = "guard-alone"
		BeforeAll(func(ctx SpecContext) {
			deleteWebhooks(ctx)
			deletePolicies(ctx, w)
			between = newFront()
			Expect(admin.Create(ctx, guardAlone(ctx, alone, between.url))).To(Succeed())
			awaitWebhook(ctx, w)
		})
		AfterAll(func(ctx SpecContext) {
			Expect(admin.Delete(ctx, &admissionregistrationv1.ValidatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: alone}})).To(Succeed())
			everythingBack(ctx, w)
		})

		It("needs every rule of the webhook", func(ctx SpecContext) {
			serve := func(guard *statusguard.Guard) {
				between.answer(&admission.Webhook{Handler: webhooks.NewGuard(guard, admin, admin, &events.FakeRecorder{})})
			}
			whole := statusguard.New(operatorNamespace)
			for _, rule := range whole.Rules {
				// Without the mutating webhook the answers are those of the policies, but for what only the webhook sees.
				in := onlyPolicy
				if rule.Policy == "" {
					in = onlyWebhook
				}
				serve(whole)
				Expect(broken(ctx, rule.Name, in)).To(BeEmpty(), rule.Name)
				lacking := statusguard.New(operatorNamespace)
				lacking.Rules = slices.DeleteFunc(lacking.Rules, func(r statusguard.Rule) bool { return r.Name == rule.Name })
				serve(lacking)
				Expect(broken(ctx, rule.Name, in)).NotTo(BeEmpty(), "no row fails without rule "+rule.Name)
			}
			serve(whole)
		})

		It("says no, and lets the writer write, when it has no answer", func(ctx SpecContext) {
			var failures []string
			rows, undo := outages(between)
			defer undo()
			for _, row := range rows {
				answer := ok
				if problem := judge(row.want, row.do(ctx, w)); problem != "" {
					answer = "FAILS"
					failures = append(failures, fmt.Sprintf("%s, by %s (%s): want %q, but %s", row.name, row.by, row.request, row.want, problem))
				}
				table.add(row, onlyWebhook, answer)
			}
			Expect(failures).To(BeEmpty(), strings.Join(failures, "\n"))
		})

		It("is asked again after a restart in mid-flight", func(ctx SpecContext) {
			reached := make(chan struct{}, 1)
			between.answerFunc(between.hang(reached))
			refused := make(chan error, 1)
			go func() {
				defer GinkgoRecover()
				refused <- w.create(ctx, everyRight, child(w, everyRight, "AIAnalysis"))
			}()
			Eventually(reached).WithTimeout(readyTimeout).Should(Receive())
			between.stop()
			var err error
			Eventually(refused).WithTimeout(readyTimeout).Should(Receive(&err))
			Expect(err).To(MatchError(ContainSubstring("failed calling webhook")))
			between.start()
			between.answer(&admission.Webhook{Handler: webhooks.NewGuard(statusguard.New(operatorNamespace), admin, admin, &events.FakeRecorder{})})
			Eventually(func() error { return w.create(ctx, everyRight, child(w, everyRight, "AIAnalysis")) }).
				WithTimeout(readyTimeout).WithPolling(pollInterval).Should(MatchError(ContainSubstring("are created only by")))
			dry := *w
			dry.dryRun = true
			Expect(dry.create(ctx, identity.RemediationRequest, child(w, identity.RemediationRequest, "AIAnalysis"))).To(Succeed())
		})
	})

	Context("without the policies", Ordered, func() {
		BeforeAll(func(ctx SpecContext) { deletePolicies(ctx, w) })
		AfterAll(func(ctx SpecContext) { everythingBack(ctx, w) })

		It("holds with the webhooks alone, which count and tell", func(ctx SpecContext) {
			before := deniedTotal("playbooks")
			try(ctx, onlyWebhook)
			Expect(deniedTotal("playbooks")).To(BeNumerically(">", before))
			Eventually(func(g Gomega) {
				var list eventsv1.EventList
				g.Expect(admin.List(ctx, &list, client.InNamespace(workNamespace))).To(Succeed())
				g.Expect(list.Items).To(ContainElement(SatisfyAll(
					HaveField("Reason", statusguard.ReasonStatusWriter), HaveField("Regarding.Name", fixture), HaveField("Regarding.Kind", "RemediationRequest"),
					HaveField("Note", ContainSubstring("remediationrequests/status is written only by")), HaveField("ReportingController", "kubernaut-admission"),
				)))
			}).WithTimeout(readyTimeout).WithPolling(pollInterval).Should(Succeed())
		})
	})

	It("needs every webhook", func(ctx SpecContext) {
		between := newFront()
		between.forward("")
		Expect(cluster.Install(ctx, adminConfig, cluster.Options{Root: root, WebhookURL: between.url})).To(Succeed())
		defer everythingBack(ctx, w)
		Eventually(between.called).WithTimeout(readyTimeout).WithPolling(pollInterval).WithArguments(func() {
			_ = alice.Create(ctx, request("front-", nil), client.DryRunAll)
		}).Should(BeTrue())
		for rule, path := range map[string]string{
			"stamp-remediationrequest":    "/mutate-remediation-kubernaut-io-v1-remediationrequest",
			"stamp-workflowexecution":     "/mutate-workflowexecution-kubernaut-io-v1-workflowexecution",
			"validate-remediationrequest": "/validate-remediation-kubernaut-io-v1-remediationrequest",
			"validate-workflowexecution":  "/validate-workflowexecution-kubernaut-io-v1-workflowexecution",
			"validate-playbook":           "/validate-catalog-kubernaut-io-v1alpha1-playbook",
			"stamp-approvalrequest":       "/mutate-safety-kubernaut-io-v1alpha1-approvalrequest",
			"validate-approvalrequest":    "/validate-safety-kubernaut-io-v1alpha1-approvalrequest",
			"validate-safetypolicy":       "/validate-safety-kubernaut-io-v1alpha1-safetypolicy",
		} {
			between.forward("")
			Expect(broken(ctx, rule, bothGuards)).To(BeEmpty(), rule)
			between.forward(path)
			Expect(broken(ctx, rule, bothGuards)).NotTo(BeEmpty(), "no row fails without "+path)
		}
	})
})

// guardAlone is a configuration with the webhooks of the guard and no other, by URL, that waits a second for an answer.
func guardAlone(ctx SpecContext, name, at string) *admissionregistrationv1.ValidatingWebhookConfiguration {
	GinkgoHelper()
	ca := certificateSecret(ctx).Data["ca.crt"]
	_, configuration := webhooks.Configurations(operatorNamespace)
	configuration.Name = name
	configuration.Webhooks = slices.DeleteFunc(configuration.Webhooks, func(hook admissionregistrationv1.ValidatingWebhook) bool {
		return !strings.HasPrefix(hook.Name, "guard-status.")
	})
	for i := range configuration.Webhooks {
		hook := &configuration.Webhooks[i]
		hook.ClientConfig = admissionregistrationv1.WebhookClientConfig{URL: new(at + *hook.ClientConfig.Service.Path), CABundle: ca}
		hook.TimeoutSeconds = new(int32(1))
	}
	return configuration
}

func awaitWebhook(ctx context.Context, w *world) {
	GinkgoHelper()
	Eventually(func() error {
		return w.patch(ctx, everyRight, "Playbook", types.MergePatchType, `{"status":{"observedGeneration":1}}`, "status")
	}).WithTimeout(readyTimeout).WithPolling(pollInterval).Should(MatchError(ContainSubstring("webhook")))
}

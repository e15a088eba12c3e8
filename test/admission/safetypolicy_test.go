package admission

import (
	"context"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"

	safetyv1alpha1 "kubernaut.io/kubernaut/api/safety/v1alpha1"
	"kubernaut.io/kubernaut/api/shared"
	"kubernaut.io/kubernaut/controllers/identity"
	"kubernaut.io/kubernaut/controllers/safetypolicy"
	"kubernaut.io/kubernaut/policies/gate"
)

// loadTimeout is within which a policy that was stored must decide.
const loadTimeout = time.Second

// gates are those of the managers in this process, the last one last.
var gates []*gate.Gate

// setupPolicies loads policies into the gate of a manager, which is no leader, and has the first manager report on them.
func setupPolicies(mgr ctrl.Manager, safety *gate.Gate) {
	GinkgoHelper()
	Expect(safety.Ready()).To(BeFalse())
	Expect(mgr.Add(&safetypolicy.Loader{Cache: mgr.GetCache(), Gate: safety})).To(Succeed())
	gates = append(gates, safety)
	DeferCleanup(func() { gates = slices.DeleteFunc(gates, func(g *gate.Gate) bool { return g == safety }) })
	if len(gates) > 1 {
		return
	}
	issuer, err := identity.NewIssuer(mgr.GetConfig(), operatorNamespace)
	Expect(err).NotTo(HaveOccurred())
	clients, err := issuer.Clients(identity.SafetyPolicy, mgr.GetScheme(), mgr.GetRESTMapper(), mgr.GetCache())
	Expect(err).NotTo(HaveOccurred())
	reconciler := &safetypolicy.Reconciler{Clients: clients, Gate: safety, Recorder: mgr.GetEventRecorder(identity.SafetyPolicy), Clock: clock.RealClock{}}
	Expect(reconciler.SetupWithManager(mgr, controller.Options{})).To(Succeed())
}

func policyOf(name, body, tests string) *safetyv1alpha1.SafetyPolicy {
	policy := &safetyv1alpha1.SafetyPolicy{ObjectMeta: metav1.ObjectMeta{Name: name}}
	packageName := "package kubernaut.safety." + strings.ReplaceAll(name, "-", "_")
	policy.Spec.Source.Rego = packageName + "\n\n" + body + "\n"
	if tests != "" {
		policy.Spec.Tests = packageName + "_test\n\nimport " + strings.ReplaceAll(packageName, "package ", "data.") + " as policy\n\n" + tests + "\n"
	}
	return policy
}

// firing is what a policy says about a step of which nothing is known.
func firing(safety *gate.Gate, policy string) func() []string {
	return func() (messages []string) {
		for _, result := range safety.Evaluate(context.Background(), gate.NewInput(gate.StageStep, time.Now())).Results {
			if result.Policy == policy {
				messages = append(messages, string(result.Effect)+" "+result.Code+" "+result.Message)
			}
		}
		return messages
	}
}

func condition(ctx context.Context, name, conditionType string) func(Gomega) metav1.Condition {
	return func(g Gomega) metav1.Condition {
		var policy safetyv1alpha1.SafetyPolicy
		g.Expect(admin.Get(ctx, client.ObjectKey{Name: name}, &policy)).To(Succeed())
		found := meta.FindStatusCondition(policy.Status.Conditions, conditionType)
		g.Expect(found).NotTo(BeNil())
		g.Expect(found.ObservedGeneration).To(Equal(policy.Generation))
		return *found
	}
}

var _ = Describe("SafetyPolicy", func() {
	It("says what is wrong with the source, with its place", func(ctx SpecContext) {
		for sentence, row := range map[string]struct {
			policy      *safetyv1alpha1.SafetyPolicy
			path, wants string
		}{
			"a typo": {
				policyOf("p", `deny contains "x" if input.taregt.name == "a"`, ""), "spec.source.rego",
				"p.rego:3:22: rego_type_error: undefined ref: input.taregt.name",
			},
			"the offending line": {policyOf("p", `deny contains "x" if input.taregt.name == "a"`, ""), "spec.source.rego", `deny contains "x" if input.taregt.name == "a"`},
			"the network": {
				policyOf("p", `deny contains "x" if http.send({"method": "get", "url": "http://a"}).status_code == 1`, ""), "spec.source.rego",
				"undefined function http.send",
			},
			"the environment": {policyOf("p", `deny contains "x" if opa.runtime().env.HOME`, ""), "spec.source.rego", "undefined function opa.runtime"},
			"an unused name":  {policyOf("p", "deny contains \"x\" if {\n\tunused := 1\n}", ""), "spec.source.rego", "p.rego:4:2: "},
			"a foreign package": {
				func() *safetyv1alpha1.SafetyPolicy {
					p := policyOf("q", `deny contains "x"`, "")
					p.Name = "p"
					return p
				}(), "spec.source.rego", "must be kubernaut.safety.p, not kubernaut.safety.q",
			},
			"a failing test": {
				policyOf("p", `deny contains "x"`, "test_fails if count(policy.deny) == 0"), "spec.tests", "p_test.rego:5:",
			},
			"a test that asserts nothing": {policyOf("p", `deny contains "x"`, "test_nothing if policy.deny"), "spec.tests", "asserts nothing"},
			"a test that loops": {
				policyOf("p", `deny contains "x"`, "test_loops if count([1 | some a in ones; some b in ones; some c in ones; some d in ones; some e in ones; "+
					"some f in ones; some g in ones; some h in ones; a + b + c + d + e + f + g + h < 0]) == count(policy.deny)\n\n"+
					"ones := [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20]"),
				"spec.tests", "test_loops took longer",
			},
			"an unknown policy of the baseline": {safetyPolicy("p"), "spec.source.baseline", "there is no policy \"x\" in the baseline"},
			"a parameter of another type": {
				func() *safetyv1alpha1.SafetyPolicy {
					p := safetyPolicy("p")
					p.Spec.Source.Baseline = "replica_bounds"
					p.Spec.Parameters = &apiextensionsv1.JSON{Raw: []byte(`{"maxFactor": "3"}`)}
					return p
				}(), "spec.parameters", "maxFactor must be of the type of its default",
			},
		} {
			err := alice.Create(ctx, row.policy)
			Expect(apierrors.IsInvalid(err)).To(BeTrue(), "%s: %v", sentence, err)
			Expect(causes(err)).To(ContainElement(row.path), sentence)
			Expect(err.Error()).To(ContainSubstring(row.wants), sentence)
		}
	})

	It("decides in every replica within a second, and is gone as soon", func(ctx SpecContext) {
		handler := &warnings{}
		config := handler.listen(aliceConfig)
		c := clientOf(config)
		startManager(freePort())
		Expect(gates).To(HaveLen(2))
		for _, safety := range gates {
			Eventually(safety.Ready).WithTimeout(readyTimeout).WithPolling(pollInterval).Should(BeTrue())
		}
		safety := gates[0]
		// The fixture was stored before there was admission, and changes a policy that does not exist.
		Expect(firing(safety, fixture)()).To(ConsistOf(HavePrefix("Deny policy_error the policy cannot be used")))

		changed := safety.Changed()
		stop := policyOf("emergency-stop", `hold contains "all repairs are stopped" if true`, "")
		stop.Spec.Enforcement = safetyv1alpha1.EnforcementEnforce
		Expect(c.Create(ctx, stop)).To(Succeed())
		Expect(handler.texts).To(ContainElement(ContainSubstring("spec.tests: without tests")))
		Eventually(changed).WithTimeout(loadTimeout).Should(BeClosed())
		for _, safety := range gates {
			Eventually(firing(safety, "emergency_stop")).WithTimeout(loadTimeout).WithPolling(pollInterval).Should(ConsistOf("Hold  all repairs are stopped"))
		}
		Eventually(condition(ctx, stop.Name, shared.ConditionReady)).WithTimeout(readyTimeout).Should(HaveField("Status", metav1.ConditionTrue))
		Expect(condition(ctx, stop.Name, safetyv1alpha1.ConditionActive)(Default).Message).To(ContainSubstring(safety.Revision()))
		Expect(condition(ctx, stop.Name, safetyv1alpha1.ConditionTestsPassed)(Default).Reason).To(Equal(safetypolicy.ReasonNoTests))

		By("changing parameters only")
		Expect(alice.Get(ctx, client.ObjectKeyFromObject(stop), stop)).To(Succeed())
		stop.Spec.Parameters = &apiextensionsv1.JSON{Raw: []byte(`"none"`)}
		Expect(causes(alice.Update(ctx, stop))).To(ContainElement("spec.parameters"))

		By("deleting it")
		changed = safety.Changed()
		Expect(alice.Delete(ctx, stop)).To(Succeed())
		Eventually(changed).WithTimeout(loadTimeout).Should(BeClosed())
		Expect(firing(safety, "emergency_stop")()).To(BeEmpty())
	})

	It("takes tests that pass, and a change of the baseline", func(ctx SpecContext) {
		tested := policyOf("tested", `deny contains "x" if input.step.name == "a"`, `test_denies if count(policy.deny) == 1 with input as {"step": {"name": "a"}}`)
		Expect(alice.Create(ctx, tested)).To(Succeed())
		DeferCleanup(func(ctx SpecContext) { Expect(admin.Delete(ctx, tested)).To(Succeed()) })
		Eventually(condition(ctx, tested.Name, safetyv1alpha1.ConditionTestsPassed)).WithTimeout(readyTimeout).Should(HaveField("Status", metav1.ConditionTrue))

		change := safetyPolicy("bounds")
		change.Spec.Source.Baseline = "replica_bounds"
		change.Spec.Parameters = &apiextensionsv1.JSON{Raw: []byte(`{"maxFactor": 4}`)}
		Expect(alice.Create(ctx, change)).To(Succeed())
		DeferCleanup(func(ctx SpecContext) { Expect(admin.Delete(ctx, change)).To(Succeed()) })
		Eventually(condition(ctx, change.Name, shared.ConditionReady)).WithTimeout(readyTimeout).Should(HaveField("Status", metav1.ConditionTrue))
		second := safetyPolicy("more-bounds")
		second.Spec.Source.Baseline = "replica_bounds"
		Expect(alice.Create(ctx, second)).To(MatchError(ContainSubstring("the object bounds changes replica_bounds already")))
	})
})

package statusguard

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/sets"

	aianalysisv1 "kubernaut.io/kubernaut/api/aianalysis/v1"
	catalogv1alpha1 "kubernaut.io/kubernaut/api/catalog/v1alpha1"
	kubernetesexecutionv1 "kubernaut.io/kubernaut/api/kubernetesexecution/v1"
	remediationv1 "kubernaut.io/kubernaut/api/remediation/v1"
	remediationprocessingv1 "kubernaut.io/kubernaut/api/remediationprocessing/v1"
	safetyv1alpha1 "kubernaut.io/kubernaut/api/safety/v1alpha1"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/controllers/identity"
)

func TestEveryKindHasARow(t *testing.T) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		remediationv1.AddToScheme, remediationprocessingv1.AddToScheme, aianalysisv1.AddToScheme, workflowexecutionv1.AddToScheme,
		kubernetesexecutionv1.AddToScheme, safetyv1alpha1.AddToScheme, catalogv1alpha1.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	rows := sets.New[schema.GroupVersionKind]()
	for _, row := range Rows() {
		rows.Insert(schema.GroupVersionKind{Group: row.Group, Version: row.Version, Kind: row.Kind})
		if !strings.HasSuffix(row.Closing, ".") || row.Writer == "" || row.Resource == "" {
			t.Errorf("the row of %s is incomplete: %+v", row.Kind, row)
		}
	}
	kinds := sets.New[schema.GroupVersionKind]()
	for kind := range scheme.AllKnownTypes() {
		_, listed := scheme.AllKnownTypes()[kind.GroupVersion().WithKind(kind.Kind+"List")]
		if listed && strings.HasSuffix(kind.Group, ".kubernaut.io") {
			kinds.Insert(kind)
		}
	}
	if len(kinds) != 8 {
		t.Errorf("the API has %d kinds, want 8: %v", len(kinds), kinds.UnsortedList())
	}
	if !rows.Equal(kinds) {
		t.Errorf("kinds without a row: %v; rows without a kind: %v", kinds.Difference(rows).UnsortedList(), rows.Difference(kinds).UnsortedList())
	}
}

func TestWritersAreControllers(t *testing.T) {
	controllers := sets.New(identity.Controllers()...)
	for _, row := range Rows() {
		if !controllers.Has(row.Writer) {
			t.Errorf("%s is written by %s, which is no controller", row.Kind, row.Writer)
		}
	}
}

func TestPoliciesHaveNoExemption(t *testing.T) {
	for _, policy := range New(identity.DefaultNamespace).Policies() {
		if len(policy.Spec.MatchConditions) > 0 {
			t.Errorf("%s: a match condition exempts somebody", policy.Name)
		}
		if rules := policy.Spec.MatchConstraints.ExcludeResourceRules; len(rules) > 0 {
			t.Errorf("%s: resources are excluded: %v", policy.Name, rules)
		}
		if policy.Spec.ParamKind != nil {
			t.Errorf("%s needs a parameter object that could be missing", policy.Name)
		}
		if len(policy.Spec.Validations) == 0 {
			t.Errorf("%s checks nothing", policy.Name)
		}
	}
}

func TestEveryRuleIsComplete(t *testing.T) {
	names := sets.New[string]()
	for _, policy := range New(identity.DefaultNamespace).Policies() {
		names.Insert(policy.Name)
	}
	rules := sets.New[string]()
	for _, rule := range New(identity.DefaultNamespace).Rules {
		if rules.Has(rule.Name) {
			t.Errorf("two rules are named %s", rule.Name)
		}
		rules.Insert(rule.Name)
		live := rule.Policy == ""
		if rule.holds == nil || len(rule.says) == 0 || rule.Reason == "" || live != (rule.Expression == "") || (!live && !names.Has(rule.Policy)) {
			t.Errorf("rule %s is incomplete", rule.Name)
		}
	}
}

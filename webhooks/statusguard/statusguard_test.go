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

func TestPolicyHasNoExemption(t *testing.T) {
	policy := Policy("kubernaut-system")
	if len(policy.Spec.MatchConditions) > 0 {
		t.Error("a match condition exempts somebody")
	}
	if rules := policy.Spec.MatchConstraints.ExcludeResourceRules; len(rules) > 0 {
		t.Errorf("resources are excluded: %v", rules)
	}
	if policy.Spec.ParamKind != nil {
		t.Error("the policy needs a parameter object that could be missing")
	}
}

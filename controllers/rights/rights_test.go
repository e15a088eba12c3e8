package rights

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"kubernaut.io/kubernaut/api/shared"
)

// authorizer lets someone do what it lists, and remembers what it was asked.
type authorizer struct {
	mu    sync.Mutex
	may   []string
	asked []string
}

func (a *authorizer) client() client.Client {
	return fake.NewClientBuilder().WithScheme(clientgoscheme.Scheme).WithInterceptorFuncs(interceptor.Funcs{
		Create: func(_ context.Context, _ client.WithWatch, object client.Object, _ ...client.CreateOption) error {
			review, is := object.(*authorizationv1.SubjectAccessReview)
			if !is {
				return nil
			}
			of := review.Spec.ResourceAttributes
			all := Permission{Verb: of.Verb, Group: of.Group, Resource: of.Resource, Namespace: of.Namespace}
			one := all
			one.Name = of.Name
			a.mu.Lock()
			defer a.mu.Unlock()
			a.asked = append(a.asked, one.String())
			review.Status.Allowed = slices.Contains(a.may, one.String()) || slices.Contains(a.may, all.String())
			return nil
		},
	}).Build()
}

func TestReviewAsksAboutAllBeforeEach(t *testing.T) {
	need := func(step int, name string) Need {
		return Need{
			Permission: Permission{Verb: "patch", Group: "apps", Resource: "deployments", Namespace: "shop", Name: name},
			Path:       field.NewPath("spec", "steps").Index(step), Step: step,
		}
	}
	const all = "patch deployments.apps in namespace shop"
	one := func(name string) string { return "patch deployments.apps " + name + " in namespace shop" }
	tests := map[string]struct {
		needs                []Need
		may                  []string
		wantAsked, wantLacks []string
	}{
		"one object": {needs: []Need{need(0, "a")}, wantAsked: []string{one("a")}, wantLacks: []string{one("a")}},
		"the same twice is one": {
			needs: []Need{need(0, "a"), need(1, "a")}, may: []string{one("a")}, wantAsked: []string{one("a")},
		},
		"who may change all is asked once": {
			needs: []Need{need(0, "a"), need(1, "b"), need(2, "c")}, may: []string{all}, wantAsked: []string{all},
		},
		"who may not is asked about each": {
			needs: []Need{need(0, "a"), need(1, "b"), need(2, "c")}, may: []string{one("b")},
			wantAsked: []string{all, one("a"), one("b"), one("c")}, wantLacks: []string{one("a"), one("c")},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			a := &authorizer{may: test.may}
			denials, err := Review(t.Context(), a.client(), shared.Requester{Username: "alice"}, test.needs)
			if err != nil {
				t.Fatal(err)
			}
			var lacks []string
			for _, denial := range denials {
				lacks = append(lacks, denial.Permission.String())
			}
			slices.Sort(a.asked)
			slices.Sort(test.wantAsked)
			if diff := cmp.Diff(test.wantAsked, a.asked); diff != "" {
				t.Errorf("asked (-want +have)\n%s", diff)
			}
			if diff := cmp.Diff(test.wantLacks, lacks); diff != "" {
				t.Errorf("lacks (-want +have)\n%s", diff)
			}
		})
	}
}

// asked are the needs, one a line: the field, and the permission.
func asked(needs []Need) []string {
	lines := make([]string, len(needs))
	for i, need := range needs {
		lines[i] = need.Path.String() + ": " + need.String()
		if want := "steps[" + strconv.Itoa(need.Step) + "]"; !strings.Contains(lines[i], want) {
			lines[i] += ", of another step"
		}
	}
	slices.Sort(lines)
	return lines
}

func TestWhatAWorkflowNeeds(t *testing.T) {
	scale := func(name string) shared.Action {
		return shared.Action{Type: shared.ActionScaleDeployment, ScaleDeployment: &shared.ScaleDeployment{Namespace: "bank", Name: name, Replicas: new(int32(1))}}
	}
	definition := &shared.WorkflowDefinition{Steps: []shared.Step{
		{Name: "a", Action: scale("cart")},
		{Name: "b", Action: shared.Action{Type: shared.ActionRollbackDeployment, RollbackDeployment: &shared.RollbackDeployment{Namespace: "bank", Name: "cart"}}, RollbackAction: new(scale("till"))},
		{Name: "c", Action: shared.Action{Type: shared.ActionCordonNode, CordonNode: &shared.CordonNode{Name: "worker"}}},
		{Name: "d", Action: shared.Action{Type: shared.ActionNotifyOnly, NotifyOnly: &shared.NotifyOnly{Message: "done"}}},
		{Name: "e", Action: shared.Action{Type: "unheard-of"}},
	}}
	mapper := meta.NewDefaultRESTMapper(nil)
	mapper.Add(appsv1.SchemeGroupVersion.WithKind("Deployment"), meta.RESTScopeNamespace)
	mapper.Add(corev1.SchemeGroupVersion.WithKind("Node"), meta.RESTScopeRoot)
	path := field.NewPath("spec")

	steps, err := Steps("shop", mapper, definition, path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{
		"spec.steps[0].action: get deployments.apps cart in namespace bank",
		"spec.steps[0].action: patch deployments.apps cart in namespace bank",
		"spec.steps[1].action: get deployments.apps cart in namespace bank",
		"spec.steps[1].action: patch deployments.apps cart in namespace bank",
		"spec.steps[1].rollbackAction: get deployments.apps till in namespace bank",
		"spec.steps[1].rollbackAction: patch deployments.apps till in namespace bank",
		"spec.steps[2].action: get nodes worker",
		"spec.steps[2].action: patch nodes worker",
		"spec.steps[3].action: create events.events.k8s.io in namespace shop",
	}, asked(steps)); diff != "" {
		t.Errorf("a person (-want +have)\n%s", diff)
	}
	served, err := RemediateSteps(mapper, definition, path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{
		"spec.steps[0].action: remediate deployments.apps cart in namespace bank",
		"spec.steps[1].action: remediate deployments.apps cart in namespace bank",
		"spec.steps[1].rollbackAction: remediate deployments.apps till in namespace bank",
		"spec.steps[2].action: remediate nodes worker",
	}, asked(served)); diff != "" {
		t.Errorf("who filed a request (-want +have)\n%s", diff)
	}
	accounts, err := Accounts("shop", mapper, definition, path)
	if err != nil {
		t.Fatal(err)
	}
	have := map[shared.ActionType][]string{}
	for action, needs := range accounts {
		have[action] = asked(needs)
	}
	if diff := cmp.Diff(map[shared.ActionType][]string{
		shared.ActionScaleDeployment: {
			"spec.steps[0].action: get deployments.apps cart in namespace bank",
			"spec.steps[0].action: patch deployments.apps cart in namespace bank",
			"spec.steps[1].rollbackAction: get deployments.apps till in namespace bank",
			"spec.steps[1].rollbackAction: patch deployments.apps till in namespace bank",
		},
		shared.ActionRollbackDeployment: {
			"spec.steps[1].action: get deployments.apps cart in namespace bank",
			"spec.steps[1].action: list replicasets.apps in namespace bank",
			"spec.steps[1].action: patch deployments.apps cart in namespace bank",
		},
		shared.ActionCordonNode: {"spec.steps[2].action: get nodes worker", "spec.steps[2].action: patch nodes worker"},
		shared.ActionNotifyOnly: {"spec.steps[3].action: create events.events.k8s.io in namespace shop"},
	}, have); diff != "" {
		t.Errorf("the accounts of the actions (-want +have)\n%s", diff)
	}
}

// A kind that the mapper does not know is asked about by its usual name; a mapper that gives no answer is no yes.
func TestKindsThatTheMapperDoesNotKnow(t *testing.T) {
	target := &shared.Target{APIVersion: "example.com/v1", Kind: "Policy", Namespace: "shop", Name: "p"}
	need, err := Remediate(meta.NewDefaultRESTMapper(nil), target, nil)
	if err != nil || need.String() != "remediate policies.example.com p in namespace shop" {
		t.Errorf("have %v, %v", need.Permission, err)
	}
	if _, err := Remediate(silentMapper{}, target, nil); err == nil {
		t.Error("a mapper without an answer was taken for one that does not know the kind")
	}
}

type silentMapper struct{ meta.RESTMapper }

func (silentMapper) RESTMapping(schema.GroupKind, ...string) (*meta.RESTMapping, error) {
	return nil, errors.New("no answer")
}

// Every group and every extra field of who asks is what the authorizer decides by.
func TestReviewSaysWhoAsks(t *testing.T) {
	var have authorizationv1.SubjectAccessReviewSpec
	c := fake.NewClientBuilder().WithScheme(clientgoscheme.Scheme).WithInterceptorFuncs(interceptor.Funcs{
		Create: func(_ context.Context, _ client.WithWatch, object client.Object, _ ...client.CreateOption) error {
			if review, is := object.(*authorizationv1.SubjectAccessReview); is {
				have = review.Spec
			}
			return nil
		},
	}).Build()
	who := shared.Requester{Username: "alice", UID: "1", Groups: []string{"on-call"}, Extra: map[string]shared.ExtraValue{"scopes": {"a", "b"}}}
	if _, err := Review(t.Context(), c, who, []Need{{Path: field.NewPath("spec"), Permission: Permission{Verb: "get", Resource: "pods", Namespace: "shop"}}}); err != nil {
		t.Fatal(err)
	}
	have.ResourceAttributes = nil
	want := authorizationv1.SubjectAccessReviewSpec{
		User: "alice", UID: "1", Groups: []string{"on-call"}, Extra: map[string]authorizationv1.ExtraValue{"scopes": {"a", "b"}},
	}
	if diff := cmp.Diff(want, have); diff != "" {
		t.Errorf("(-want +have)\n%s", diff)
	}
}

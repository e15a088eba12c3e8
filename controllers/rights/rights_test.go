package rights

import (
	"context"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	authorizationv1 "k8s.io/api/authorization/v1"
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

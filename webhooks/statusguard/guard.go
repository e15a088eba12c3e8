package statusguard

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	utiljson "k8s.io/apimachinery/pkg/util/json"

	"kubernaut.io/kubernaut/api/shared"
	"kubernaut.io/kubernaut/controllers/identity"
)

// ErrNotGuarded says that a request is none that the guard was made for: what it does not know, it does not let pass.
var ErrNotGuarded = errors.New("the guard was asked about a request that it does not know; apply config/webhook of this version")

// Guard decides as the policies do, and reads the owner as they cannot.
type Guard struct {
	// Rules are checked in this order.
	Rules []Rule

	namespace string
	// What every request is held against, made once.
	rows     []Row
	policies []guardPolicy
	groups   []string
}

// New is the guard for an operator in namespace.
func New(namespace string) *Guard {
	return &Guard{Rules: ruleList(namespace), namespace: namespace, rows: Rows(), policies: policies(), groups: groups()}
}

// Refusal is why a request is refused.
type Refusal struct {
	Rule    string
	Reason  string
	Message string
}

// LiveOwner is an owner as it is.
type LiveOwner struct {
	UID types.UID
	// RequestedBy is who asked for it.
	RequestedBy shared.Requester
}

// Lookup reads an owner; nil says that there is none of that name.
type Lookup func(ctx context.Context, kind Owner, name types.NamespacedName) (*LiveOwner, error)

// Decide is nil for a request that may pass. An error says that there is no answer, which is no.
func (g *Guard) Decide(ctx context.Context, request *admissionv1.AdmissionRequest, lookup Lookup) (*Refusal, error) {
	f, err := g.gather(request)
	if err != nil {
		return nil, err
	}
	if refusal := g.check(f, func(r *Rule) bool { return r.Policy != "" && slices.Contains(f.policies, r.Policy) }); refusal != nil {
		return refusal, nil
	}
	named := f.named()
	if !f.creates() || named == nil {
		return nil, nil
	}
	f.owner, err = lookup(ctx, *f.row.Owner, types.NamespacedName{Namespace: request.Namespace, Name: named.Name})
	if err != nil {
		return nil, fmt.Errorf("read %s %s, which is to own the object: %w", f.row.Owner.Kind, named.Name, err)
	}
	return g.check(f, func(r *Rule) bool { return r.Policy == "" }), nil
}

func (g *Guard) check(f *facts, applies func(*Rule) bool) *Refusal {
	for i := range g.Rules {
		rule := &g.Rules[i]
		if applies(rule) && !rule.holds(f) {
			return &Refusal{Rule: rule.Name, Reason: rule.Reason, Message: rule.says.text(f)}
		}
	}
	return nil
}

// facts are what the rules read.
type facts struct {
	request     *admissionv1.AdmissionRequest
	namespace   string
	row         Row
	object, old document
	owner       *LiveOwner
	// policies are the names of those that match the request.
	policies []string
	// groups are those of our kinds.
	groups []string
}

// document is what the guard reads of an object of any kind.
type document struct {
	Metadata struct {
		Annotations     map[string]string       `json:"annotations"`
		OwnerReferences []metav1.OwnerReference `json:"ownerReferences"`
	} `json:"metadata"`
	Spec struct {
		RequestedBy           *shared.Requester       `json:"requestedBy"`
		RemediationRequestRef *shared.ObjectReference `json:"remediationRequestRef"`
		WorkflowExecutionRef  *shared.ObjectReference `json:"workflowExecutionRef"`
		Decisions             []any                   `json:"decisions"`
	} `json:"spec"`
	Status struct {
		Phase string `json:"phase"`
	} `json:"status"`
}

func (g *Guard) gather(request *admissionv1.AdmissionRequest) (*facts, error) {
	i := slices.IndexFunc(g.rows, func(r Row) bool {
		return r.Group == request.Resource.Group && r.Resource == request.Resource.Resource
	})
	if i < 0 {
		return nil, ErrNotGuarded
	}
	f := &facts{request: request, namespace: g.namespace, row: g.rows[i], groups: g.groups}
	for i := range g.policies {
		if g.policies[i].checks(f) {
			f.policies = append(f.policies, g.policies[i].name)
		}
	}
	if len(f.policies) == 0 {
		return nil, ErrNotGuarded
	}
	if f.writesStatus() {
		return f, nil
	}
	// The API server's own decoder: it tells Spec from spec.
	if err := utiljson.Unmarshal(request.Object.Raw, &f.object); err != nil {
		return nil, fmt.Errorf("read the object: %w", err)
	}
	if f.creates() {
		if f.row.Owner != nil && !f.row.Owner.Optional && f.named() == nil {
			return nil, fmt.Errorf("read the object: its spec names no %s", f.row.Owner.Kind)
		}
		return f, nil
	}
	if err := utiljson.Unmarshal(request.OldObject.Raw, &f.old); err != nil {
		return nil, fmt.Errorf("read the object as it is stored: %w", err)
	}
	return f, nil
}

func (f *facts) username(account string) string { return identity.Username(f.namespace, account) }
func (f *facts) creates() bool                  { return f.request.Operation == admissionv1.Create }

func (f *facts) writesStatus() bool {
	return f.request.Operation == admissionv1.Update && f.request.SubResource == "status"
}

// impersonated says that the request was not authenticated by a token that the API server issued for a ServiceAccount. What
// impersonates has no credential, unless it forges one; a certificate for the name of an account has another one.
func (f *facts) impersonated() bool {
	return !slices.ContainsFunc(f.request.UserInfo.Extra[credentialID], func(id string) bool { return strings.HasPrefix(id, tokenCredential) })
}

func (f *facts) user() shared.Requester {
	user := f.request.UserInfo
	requester := shared.Requester{Username: user.Username, UID: user.UID, Groups: user.Groups, Extra: make(map[string]shared.ExtraValue, len(user.Extra))}
	for key, values := range user.Extra {
		requester.Extra[key] = shared.ExtraValue(values)
	}
	return requester
}

// serves says that the object is a workflow for a RemediationRequest.
func (f *facts) serves() bool { return f.row.mayServe() && f.object.Spec.RemediationRequestRef != nil }

// decides says that the request adds to the decisions of people.
func (f *facts) decides() bool { return !f.creates() && f.added() != nil }

// added is the first decision beyond those that there were; nil if there is none.
func (f *facts) added() any {
	if had := len(f.old.Spec.Decisions); len(f.object.Spec.Decisions) > had {
		return f.object.Spec.Decisions[had]
	}
	return nil
}

func (f *facts) addsOneDecision() bool {
	want := f.old.Spec.Decisions
	if added := f.added(); added != nil {
		want = append(slices.Clone(want), added)
	}
	return slices.EqualFunc(f.object.Spec.Decisions, want, reflect.DeepEqual)
}

// decidedBy is who made a decision, as it says; empty if it does not.
func (*facts) decidedBy(decision any) string {
	fields, is := decision.(map[string]any)
	if !is {
		return ""
	}
	by, is := fields["by"].(string)
	if !is {
		return ""
	}
	return by
}

// isRequester says that the caller is who asked for what is to be decided.
func (f *facts) isRequester() bool {
	requester, user := f.object.Spec.RequestedBy, f.request.UserInfo
	return requester == nil || requester.Username == user.Username || requester.UID != "" && requester.UID == user.UID
}

// named is the owner that the spec names.
func (f *facts) named() *shared.ObjectReference {
	switch {
	case f.row.Owner == nil:
		return nil
	case f.row.Owner.Kind == ownedByWorkflow().Kind:
		return f.object.Spec.WorkflowExecutionRef
	default:
		return f.object.Spec.RemediationRequestRef
	}
}

func (f *facts) ownedAsNamed() bool {
	references, named := f.object.Metadata.OwnerReferences, f.named()
	if len(references) != 1 {
		return false
	}
	r := references[0]
	return groupOf(r) == f.row.Owner.Group && r.Kind == f.row.Owner.Kind && r.Controller != nil && *r.Controller && r.Name == named.Name && r.UID == named.UID
}

// claimed are the owner references to kinds of ours.
func (f *facts) claimed() []metav1.OwnerReference {
	return slices.DeleteFunc(slices.Clone(f.object.Metadata.OwnerReferences), func(r metav1.OwnerReference) bool {
		return !slices.Contains(f.groups, groupOf(r))
	})
}

func (f *facts) claimsNothingNew() bool {
	return !slices.ContainsFunc(f.claimed(), func(r metav1.OwnerReference) bool {
		return !slices.ContainsFunc(f.old.Metadata.OwnerReferences, func(o metav1.OwnerReference) bool {
			return o.UID == r.UID && o.Name == r.Name && o.Kind == r.Kind && o.APIVersion == r.APIVersion && sameController(o, r)
		})
	})
}

func sameController(a, b metav1.OwnerReference) bool {
	if a.Controller == nil || b.Controller == nil {
		return a.Controller == b.Controller
	}
	return *a.Controller == *b.Controller
}

func groupOf(reference metav1.OwnerReference) string {
	group, _, _ := strings.Cut(reference.APIVersion, "/")
	return group
}

// groups are those of the table.
func groups() []string {
	var groups []string
	for _, row := range Rows() {
		if !slices.Contains(groups, row.Group) {
			groups = append(groups, row.Group)
		}
	}
	return groups
}

package statusguard

import (
	"slices"
	"strings"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"kubernaut.io/kubernaut/controllers/identity"
)

// Names of the policies, each with a binding of the same name.
const (
	PolicyName          = "kubernaut-status-guard"
	CreationPolicyName  = "kubernaut-creation-guard"
	RequesterPolicyName = "kubernaut-requester-guard"
	OwnerPolicyName     = "kubernaut-owner-guard"
	ApprovalPolicyName  = "kubernaut-approval-guard"
)

const (
	// credentialID is what the API server puts into the user's extra fields for a real token or certificate, and not for a
	// request that impersonates.
	credentialID = "authentication.kubernetes.io/credential-id"
	// tokenCredential begins the credential of a token that the API server issued; that of a certificate begins otherwise.
	tokenCredential = "JTI="
)

// guardPolicy is one of the policies that are made from the table.
type guardPolicy struct {
	name       string
	operations []admissionregistrationv1.OperationType
	// status says that the policy is about the status alone, and otherwise about all but the status.
	status bool
	// covers says which rows the policy is about.
	covers func(Row) bool
	// columns are what the rules read of a row.
	columns func(namespace string, row Row) []string
	// variables are what else they read.
	variables []admissionregistrationv1.Variable
}

func policies() []guardPolicy {
	created := []admissionregistrationv1.OperationType{admissionregistrationv1.Create}
	stored := []admissionregistrationv1.OperationType{admissionregistrationv1.Create, admissionregistrationv1.Update}
	return []guardPolicy{
		{
			name: PolicyName, operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Update}, status: true,
			covers: func(Row) bool { return true },
			columns: func(namespace string, row Row) []string {
				return []string{"writer", identity.Username(namespace, row.Writer), "closing", row.Closing}
			},
			variables: []admissionregistrationv1.Variable{impersonated()},
		},
		{
			name: CreationPolicyName, operations: created,
			covers: func(row Row) bool { return row.Creator != "" },
			columns: func(namespace string, row Row) []string {
				return []string{"creator", identity.Username(namespace, row.Creator), "instead", row.Instead}
			},
			variables: []admissionregistrationv1.Variable{impersonated()},
		},
		{
			name: RequesterPolicyName, operations: stored,
			covers: func(row Row) bool { return row.Requested },
			variables: []admissionregistrationv1.Variable{
				{Name: "by", Expression: "object.spec.requestedBy"},
				{Name: "serves", Expression: serving()},
				impersonated(),
			},
		},
		{
			name: OwnerPolicyName, operations: stored,
			covers: func(row Row) bool { return row.Requested || row.Owner != nil },
			columns: func(_ string, row Row) []string {
				if row.Owner == nil {
					return []string{"group", "", "kind", ""}
				}
				return []string{"group", row.Owner.Group, "kind", row.Owner.Kind}
			},
			variables: ownerVariables(),
		},
		{
			name: ApprovalPolicyName, operations: stored,
			covers:    func(row Row) bool { return row.Decided },
			variables: decisionVariables(),
		},
	}
}

func decisionVariables() []admissionregistrationv1.Variable {
	return []admissionregistrationv1.Variable{
		{Name: "decisions", Expression: "has(object.spec.decisions) ? object.spec.decisions : []"},
		{Name: "before", Expression: "request.operation == 'UPDATE' && has(oldObject.spec.decisions) ? oldObject.spec.decisions : []"},
		{Name: "added", Expression: "size(variables.decisions) > size(variables.before) ? [variables.decisions[size(variables.before)]] : []"},
		{Name: "requester", Expression: "object.spec.requestedBy"},
	}
}

// serving says in CEL that the object is one that may serve a RemediationRequest, and does: a field of that name on another kind says nothing.
func serving() string {
	var resources []string
	for _, row := range Rows() {
		if row.mayServe() {
			resources = append(resources, literal(row.Resource))
		}
	}
	return "request.resource.resource in [" + strings.Join(resources, ", ") + "] && has(object.spec.remediationRequestRef)"
}

// mayServe says that objects of the kind name who asked for them, and may have been made for a RemediationRequest.
func (row Row) mayServe() bool { return row.Requested && row.Owner != nil }

func ownerVariables() []admissionregistrationv1.Variable {
	references := func(object string) string {
		return "has(" + object + ".metadata.ownerReferences) ? " + object + ".metadata.ownerReferences : []"
	}
	ours := make([]string, 0, len(Rows()))
	for _, group := range groups() {
		ours = append(ours, literal(group))
	}
	return []admissionregistrationv1.Variable{
		{Name: "references", Expression: references("object")},
		{Name: "before", Expression: references("oldObject")},
		{Name: "claimed", Expression: "variables.references.filter(r, r.apiVersion.split('/')[0] in [" + strings.Join(ours, ", ") + "])"},
		{Name: "named", Expression: "has(object.spec.remediationRequestRef) ? [object.spec.remediationRequestRef] : " +
			"has(object.spec.workflowExecutionRef) ? [object.spec.workflowExecutionRef] : []"},
	}
}

// impersonated is true for what no token of a ServiceAccount authenticated.
func impersonated() admissionregistrationv1.Variable {
	return admissionregistrationv1.Variable{Name: "impersonated", Expression: "!" + ownToken()}
}

func ownToken() string {
	return "(has(request.userInfo.extra) && " + literal(credentialID) + " in request.userInfo.extra && " +
		"request.userInfo.extra[" + literal(credentialID) + "].exists(id, id.startsWith(" + literal(tokenCredential) + ")))"
}

// StatusWrite says in CEL that a request is for the status; the subresource of other requests is absent.
const StatusWrite = "has(request.subResource) && request.subResource == 'status'"

// Writes says in CEL that a request is a status write of the account that may, with its own token: what the webhook need not see.
func (row Row) Writes(namespace string) string {
	return StatusWrite + " && request.userInfo.username == " + literal(identity.Username(namespace, row.Writer)) + " && " + ownToken()
}

// Claims says in CEL that a request other than a status write claims an owner, a requester or a decision that the object did not
// have before.
func Claims() string {
	return "request.operation == 'CREATE' || !(" + sameAnnotation() + ") || object.?spec.?decisions != oldObject.?spec.?decisions || object.metadata.?ownerReferences.orValue([]).exists(r, " +
		"!oldObject.metadata.?ownerReferences.orValue([]).exists(o, " + sameReference + "))"
}

// Guarded are the rules by which a webhook for the row is asked what the policies are asked.
func (row Row) Guarded() []admissionregistrationv1.RuleWithOperations {
	var rules []admissionregistrationv1.RuleWithOperations
	for _, p := range policies() {
		if !p.covers(row) {
			continue
		}
		resource := p.resource(row)
		i := slices.IndexFunc(rules, func(r admissionregistrationv1.RuleWithOperations) bool { return r.Resources[0] == resource })
		if i < 0 {
			i = len(rules)
			rules = append(rules, admissionregistrationv1.RuleWithOperations{Rule: admissionregistrationv1.Rule{
				APIGroups: []string{row.Group}, APIVersions: []string{"*"}, Resources: []string{resource}, Scope: new(admissionregistrationv1.AllScopes),
			}})
		}
		for _, operation := range p.operations {
			if !slices.Contains(rules[i].Operations, operation) {
				rules[i].Operations = append(rules[i].Operations, operation)
			}
		}
	}
	return rules
}

// checks says whether the policy matches a request.
func (p guardPolicy) checks(f *facts) bool {
	subresource := ""
	if p.status {
		subresource = "status"
	}
	return p.covers(f.row) && f.request.SubResource == subresource &&
		slices.Contains(p.operations, admissionregistrationv1.OperationType(f.request.Operation))
}

func (p guardPolicy) resource(row Row) string {
	if p.status {
		return row.Resource + "/status"
	}
	return row.Resource
}

// Policies are the guard as the API server's own policies, for an operator in namespace. The identities are literals: there is no
// parameter object that could be missing. Nobody is exempt, the members of system:masters included.
func (g *Guard) Policies() []*admissionregistrationv1.ValidatingAdmissionPolicy {
	list := policies()
	made := make([]*admissionregistrationv1.ValidatingAdmissionPolicy, len(list))
	for i, p := range list {
		made[i] = g.policy(p)
	}
	return made
}

func (g *Guard) policy(p guardPolicy) *admissionregistrationv1.ValidatingAdmissionPolicy {
	rule := admissionregistrationv1.RuleWithOperations{Operations: p.operations}
	rule.APIVersions = []string{"*"}
	var guards []string
	for _, row := range Rows() {
		if !p.covers(row) {
			continue
		}
		if !slices.Contains(rule.APIGroups, row.Group) {
			rule.APIGroups = append(rule.APIGroups, row.Group)
		}
		rule.Resources = append(rule.Resources, p.resource(row))
		if p.columns == nil {
			continue
		}
		var columns []string
		for pair := range slices.Chunk(p.columns(g.namespace, row), 2) {
			columns = append(columns, literal(pair[0])+": "+literal(pair[1]))
		}
		guards = append(guards, "  "+literal(row.Group+"/"+row.Resource)+": {"+strings.Join(columns, ", ")+"}")
	}
	var spec admissionregistrationv1.ValidatingAdmissionPolicySpec
	if len(guards) > 0 {
		spec.Variables = []admissionregistrationv1.Variable{
			{Name: "guards", Expression: "{\n" + strings.Join(guards, ",\n") + "\n}"},
			{Name: "guard", Expression: "variables.guards[request.resource.group + '/' + request.resource.resource]"},
		}
	}
	spec.Variables = append(spec.Variables, p.variables...)
	for _, r := range g.Rules {
		if r.Policy == p.name {
			spec.Validations = append(spec.Validations, admissionregistrationv1.Validation{
				Expression: r.Expression, MessageExpression: r.says.cel(), Reason: new(metav1.StatusReasonForbidden),
			})
		}
	}
	return policy(p.name, rule, spec)
}

// Binding makes a policy deny, everywhere.
func Binding(policyName string) *admissionregistrationv1.ValidatingAdmissionPolicyBinding {
	return &admissionregistrationv1.ValidatingAdmissionPolicyBinding{
		TypeMeta:   metav1.TypeMeta{APIVersion: admissionregistrationv1.SchemeGroupVersion.String(), Kind: "ValidatingAdmissionPolicyBinding"},
		ObjectMeta: metav1.ObjectMeta{Name: policyName},
		Spec: admissionregistrationv1.ValidatingAdmissionPolicyBindingSpec{
			PolicyName:        policyName,
			ValidationActions: []admissionregistrationv1.ValidationAction{admissionregistrationv1.Deny},
		},
	}
}

// policy adds what all policies have: they match equivalent requests too, and what they cannot evaluate they refuse.
func policy(name string, rule admissionregistrationv1.RuleWithOperations, spec admissionregistrationv1.ValidatingAdmissionPolicySpec) *admissionregistrationv1.ValidatingAdmissionPolicy {
	rule.Scope = new(admissionregistrationv1.AllScopes)
	spec.FailurePolicy = new(admissionregistrationv1.Fail)
	spec.MatchConstraints = &admissionregistrationv1.MatchResources{
		MatchPolicy:       new(admissionregistrationv1.Equivalent),
		NamespaceSelector: &metav1.LabelSelector{},
		ObjectSelector:    &metav1.LabelSelector{},
		ResourceRules:     []admissionregistrationv1.NamedRuleWithOperations{{RuleWithOperations: rule}},
	}
	return &admissionregistrationv1.ValidatingAdmissionPolicy{
		TypeMeta:   metav1.TypeMeta{APIVersion: admissionregistrationv1.SchemeGroupVersion.String(), Kind: "ValidatingAdmissionPolicy"},
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       spec,
	}
}

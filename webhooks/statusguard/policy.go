package statusguard

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	remediationv1 "kubernaut.io/kubernaut/api/remediation/v1"
	safetyv1alpha1 "kubernaut.io/kubernaut/api/safety/v1alpha1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/controllers/identity"
)

// Names of the policies, each with a binding of the same name.
const (
	PolicyName            = "kubernaut-status-guard"
	CreationPolicyName    = "kubernaut-creation-guard"
	RequesterPolicyName   = "kubernaut-requester-guard"
	UnavailablePolicyName = "kubernaut-unavailable-kinds"
)

// credentialID is what the API server puts into the user's extra fields for a real token or certificate, and not for a
// request that impersonates.
const credentialID = "authentication.kubernetes.io/credential-id"

// Policy is the status guard for an operator in namespace. The identities are literals: there is no parameter object that
// could be missing. Nobody is exempt, the members of system:masters included.
func Policy(namespace string) *admissionregistrationv1.ValidatingAdmissionPolicy {
	rows := Rows()
	groups := make([]string, 0, len(rows))
	subresources := make([]string, 0, len(rows))
	guards := make([]string, 0, len(rows))
	for _, row := range rows {
		if !slices.Contains(groups, row.Group) {
			groups = append(groups, row.Group)
		}
		subresources = append(subresources, row.Resource+"/status")
		guards = append(guards, fmt.Sprintf("  %s: {%s: %s, %s: %s}", literal(row.Group+"/"+row.Resource),
			literal("writer"), literal(identity.Username(namespace, row.Writer)), literal("closing"), literal(row.Closing)))
	}
	return policy(PolicyName, admissionregistrationv1.RuleWithOperations{
		Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Update},
		Rule:       admissionregistrationv1.Rule{APIGroups: groups, APIVersions: []string{"*"}, Resources: subresources},
	}, admissionregistrationv1.ValidatingAdmissionPolicySpec{
		Variables: []admissionregistrationv1.Variable{
			{Name: "guards", Expression: "{\n" + strings.Join(guards, ",\n") + "\n}"},
			{Name: "guard", Expression: "variables.guards[request.resource.group + '/' + request.resource.resource]"},
			impersonated(),
		},
		Validations: []admissionregistrationv1.Validation{
			{
				Expression: "request.userInfo.username == variables.guard.writer",
				MessageExpression: "request.resource.resource + '/status is written only by ' + variables.guard.writer" +
					" + '; you are ' + request.userInfo.username + '. ' + variables.guard.closing",
				Reason: new(metav1.StatusReasonForbidden),
			},
			{
				Expression: "request.userInfo.username != variables.guard.writer || !variables.impersonated",
				MessageExpression: "'impersonated requests may not write ' + request.resource.resource + '/status, not even as ' + variables.guard.writer" +
					" + '; only its own token may. Look in RBAC for who holds the verb impersonate.'",
				Reason: new(metav1.StatusReasonForbidden),
			},
		},
	})
}

func impersonated() admissionregistrationv1.Variable {
	return admissionregistrationv1.Variable{
		Name: "impersonated", Expression: "!(has(request.userInfo.extra) && " + literal(credentialID) + " in request.userInfo.extra)",
	}
}

// CreationPolicy lets only its creator make an object of a kind that has one in the table.
func CreationPolicy(namespace string) *admissionregistrationv1.ValidatingAdmissionPolicy {
	var groups, resources, guards []string
	for _, row := range Rows() {
		if row.Creator == "" {
			continue
		}
		groups = append(groups, row.Group)
		resources = append(resources, row.Resource)
		guards = append(guards, fmt.Sprintf("  %s: {%s: %s, %s: %s}", literal(row.Group+"/"+row.Resource),
			literal("creator"), literal(identity.Username(namespace, row.Creator)), literal("instead"), literal(row.Instead)))
	}
	return policy(CreationPolicyName, admissionregistrationv1.RuleWithOperations{
		Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create},
		Rule:       admissionregistrationv1.Rule{APIGroups: groups, APIVersions: []string{"*"}, Resources: resources},
	}, admissionregistrationv1.ValidatingAdmissionPolicySpec{
		Variables: []admissionregistrationv1.Variable{
			{Name: "guards", Expression: "{\n" + strings.Join(guards, ",\n") + "\n}"},
			{Name: "guard", Expression: "variables.guards[request.resource.group + '/' + request.resource.resource]"},
			impersonated(),
		},
		Validations: []admissionregistrationv1.Validation{
			{
				Expression: "request.userInfo.username == variables.guard.creator",
				MessageExpression: "request.resource.resource + ' are created only by ' + variables.guard.creator" +
					" + '; you are ' + request.userInfo.username + '. ' + variables.guard.instead",
				Reason: new(metav1.StatusReasonForbidden),
			},
			{
				Expression: "!variables.impersonated",
				MessageExpression: "'impersonated requests may not create ' + request.resource.resource + ', not even as ' + variables.guard.creator" +
					" + '; only its own token may. Look in RBAC for who holds the verb impersonate.'",
				Reason: new(metav1.StatusReasonForbidden),
			},
		},
	})
}

// RequesterPolicy holds what the webhooks stamp, also when their configurations were deleted: who asks is who the API server
// authenticated, and only the orchestrator creates a workflow that serves a request, for which it names the request's requester.
func RequesterPolicy(namespace string) *admissionregistrationv1.ValidatingAdmissionPolicy {
	orchestrator := literal(identity.Username(namespace, identity.RemediationRequest))
	same := func(field, empty string) string {
		return fmt.Sprintf("(has(variables.by.%[1]s) ? variables.by.%[1]s : %[2]s) == (has(request.userInfo.%[1]s) ? request.userInfo.%[1]s : %[2]s)", field, empty)
	}
	annotation := literal(shared.AnnotationRequestedBy)
	return policy(RequesterPolicyName, admissionregistrationv1.RuleWithOperations{
		Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create},
		Rule: admissionregistrationv1.Rule{
			APIGroups:   []string{remediationv1.GroupVersion.Group, workflowexecutionv1.GroupVersion.Group},
			APIVersions: []string{"*"}, Resources: []string{"remediationrequests", "workflowexecutions"},
		},
	}, admissionregistrationv1.ValidatingAdmissionPolicySpec{
		Variables: []admissionregistrationv1.Variable{
			{Name: "by", Expression: "object.spec.requestedBy"},
			{Name: "serves", Expression: "request.resource.resource == 'workflowexecutions' && has(object.spec.remediationRequestRef)"},
			impersonated(),
		},
		Validations: []admissionregistrationv1.Validation{
			{
				Expression: "!variables.serves || request.userInfo.username == " + orchestrator,
				MessageExpression: "'only ' + " + orchestrator + " + ' creates a workflow that serves a RemediationRequest; you are ' + request.userInfo.username" +
					" + '. To start one by hand, leave spec.remediationRequestRef out.'",
				Reason: new(metav1.StatusReasonForbidden),
			},
			{
				Expression: "!variables.serves || !variables.impersonated",
				MessageExpression: "'impersonated requests may not create a workflow that serves a RemediationRequest, not even as ' + " + orchestrator +
					" + '; only its own token may. Look in RBAC for who holds the verb impersonate.'",
				Reason: new(metav1.StatusReasonForbidden),
			},
			{
				Expression: "variables.serves || (" + strings.Join([]string{
					"variables.by.username == request.userInfo.username", same("uid", "''"), same("groups", "[]"), same("extra", "{}"),
				}, " && ") + ")",
				MessageExpression: "'spec.requestedBy must be who sends the request, ' + request.userInfo.username + ': leave it out, admission fills it in'",
				Reason:            new(metav1.StatusReasonForbidden),
			},
			{
				Expression:        "has(object.metadata.annotations) && " + annotation + " in object.metadata.annotations && object.metadata.annotations[" + annotation + "] == request.userInfo.username",
				MessageExpression: "'the annotation ' + " + annotation + " + ' must be who sends the request, ' + request.userInfo.username + ': leave it out, admission fills it in'",
				Reason:            new(metav1.StatusReasonForbidden),
			},
		},
	})
}

// UnavailablePolicy refuses new objects of the kinds that no controller of this version looks at, so that nobody relies on
// them. The change that brings a kind deletes its row.
func UnavailablePolicy() *admissionregistrationv1.ValidatingAdmissionPolicy {
	rows := []struct{ resource, message string }{
		{"approvalrequests", "ApprovalRequest objects are not evaluated yet by this version; no workflow waits for one"},
	}
	resources := make([]string, 0, len(rows))
	messages := make([]string, 0, len(rows))
	for _, row := range rows {
		resources = append(resources, row.resource)
		messages = append(messages, "  "+literal(row.resource)+": "+literal(row.message))
	}
	return policy(UnavailablePolicyName, admissionregistrationv1.RuleWithOperations{
		Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create},
		Rule: admissionregistrationv1.Rule{
			APIGroups: []string{safetyv1alpha1.GroupVersion.Group}, APIVersions: []string{"*"}, Resources: resources,
		},
	}, admissionregistrationv1.ValidatingAdmissionPolicySpec{
		Variables: []admissionregistrationv1.Variable{{Name: "messages", Expression: "{\n" + strings.Join(messages, ",\n") + "\n}"}},
		Validations: []admissionregistrationv1.Validation{{
			Expression:        "false",
			MessageExpression: "variables.messages[request.resource.resource]",
			Reason:            new(metav1.StatusReasonForbidden),
		}},
	})
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

// policy adds what both policies have: they match equivalent requests too, and what they cannot evaluate they refuse.
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

// literal is a CEL string.
func literal(text string) string { return strconv.Quote(text) }

package statusguard

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	safetyv1alpha1 "kubernaut.io/kubernaut/api/safety/v1alpha1"
	"kubernaut.io/kubernaut/api/shared"
	"kubernaut.io/kubernaut/controllers/identity"
)

// Reasons of refusals, as the metric has them.
const (
	ReasonStatusWriter    = "StatusWriter"
	ReasonCreator         = "Creator"
	ReasonImpersonated    = "Impersonated"
	ReasonRequesterForged = "RequesterForged"
	ReasonOwner           = "Owner"
	// ReasonDecisionForged is about a list of decisions that is not the old one and one in the caller's own name.
	ReasonDecisionForged = "DecisionForged"
	// ReasonDecisionRefused is about who may not decide, or not any more.
	ReasonDecisionRefused = "DecisionRefused"
)

// Rule is one thing that the guard checks.
type Rule struct {
	// Name identifies the rule.
	Name string
	// Policy is the name of the policy that checks it too; empty for what only the webhook can check, because it reads the owner.
	Policy string
	// Reason classifies the refusal.
	Reason string
	// Expression says in CEL what must hold.
	Expression string

	// holds says the same in Go.
	holds func(*facts) bool
	// says is the refusal, for both.
	says sentence
}

// sentence is a text with values that the request gives, which can be written as CEL and spoken.
type sentence []part

type part struct {
	cel  string
	text func(*facts) string
}

func (s sentence) cel() string {
	parts := make([]string, len(s))
	for i, p := range s {
		parts[i] = p.cel
	}
	return strings.Join(parts, " + ")
}

func (s sentence) text(f *facts) string {
	var text strings.Builder
	for _, p := range s {
		text.WriteString(p.text(f))
	}
	return text.String()
}

// literal is a CEL string.
func literal(text string) string { return strconv.Quote(text) }

func words(text string) part {
	return part{cel: literal(text), text: func(*facts) string { return text }}
}

func theResource() part {
	return part{cel: "request.resource.resource", text: func(f *facts) string { return f.request.Resource.Resource }}
}

func theUser() part {
	return part{cel: "request.userInfo.username", text: func(f *facts) string { return f.request.UserInfo.Username }}
}

func theWriter() part {
	return part{cel: "variables.guard.writer", text: func(f *facts) string { return f.username(f.row.Writer) }}
}

func theClosing() part {
	return part{cel: "variables.guard.closing", text: func(f *facts) string { return f.row.Closing }}
}

func theCreator() part {
	return part{cel: "variables.guard.creator", text: func(f *facts) string { return f.username(f.row.Creator) }}
}

func theInstead() part {
	return part{cel: "variables.guard.instead", text: func(f *facts) string { return f.row.Instead }}
}

func theOwnerKind() part {
	return part{cel: "variables.guard.kind", text: func(f *facts) string { return f.row.Owner.Kind }}
}

const onlyItself = "; only its own token may. Look in RBAC for who holds the verb impersonate or approves certificates."

// ruleList is all that the guard checks, in the order in which it answers.
func ruleList(namespace string) []Rule {
	return slices.Concat(statusRules(), creationRules(), requesterRules(namespace), ownerRules(), decisionRules(), liveRules())
}

func statusRules() []Rule {
	writes := func(f *facts) bool { return f.request.UserInfo.Username == f.username(f.row.Writer) }
	return []Rule{
		{
			Name: "status-writer", Policy: PolicyName, Reason: ReasonStatusWriter,
			Expression: "request.userInfo.username == variables.guard.writer",
			holds:      writes,
			says:       sentence{theResource(), words("/status is written only by "), theWriter(), words("; you are "), theUser(), words(". "), theClosing()},
		},
		{
			Name: "status-own-token", Policy: PolicyName, Reason: ReasonImpersonated,
			Expression: "request.userInfo.username != variables.guard.writer || !variables.impersonated",
			holds:      func(f *facts) bool { return !writes(f) || !f.impersonated() },
			says: sentence{
				words("impersonated requests may not write "), theResource(), words("/status, not even as "), theWriter(), words(onlyItself),
			},
		},
	}
}

func creationRules() []Rule {
	return []Rule{
		{
			Name: "creator", Policy: CreationPolicyName, Reason: ReasonCreator,
			Expression: "request.userInfo.username == variables.guard.creator",
			holds:      func(f *facts) bool { return f.request.UserInfo.Username == f.username(f.row.Creator) },
			says:       sentence{theResource(), words(" are created only by "), theCreator(), words("; you are "), theUser(), words(". "), theInstead()},
		},
		{
			Name: "creator-own-token", Policy: CreationPolicyName, Reason: ReasonImpersonated,
			Expression: "!variables.impersonated",
			holds:      func(f *facts) bool { return !f.impersonated() },
			says:       sentence{words("impersonated requests may not create "), theResource(), words(", not even as "), theCreator(), words(onlyItself)},
		},
	}
}

func requesterRules(namespace string) []Rule {
	username := identity.Username(namespace, identity.RemediationRequest)
	orchestrator, annotation := words(username), literal(shared.AnnotationRequestedBy)
	same := func(field, empty string) string {
		return fmt.Sprintf("(has(variables.by.%[1]s) ? variables.by.%[1]s : %[2]s) == (has(request.userInfo.%[1]s) ? request.userInfo.%[1]s : %[2]s)", field, empty)
	}
	return []Rule{
		{
			Name: "serves-creator", Policy: RequesterPolicyName, Reason: ReasonCreator,
			Expression: "request.operation != 'CREATE' || !variables.serves || request.userInfo.username == " + orchestrator.cel,
			holds:      func(f *facts) bool { return !f.creates() || !f.serves() || f.request.UserInfo.Username == username },
			says: sentence{
				words("only "), orchestrator, words(" creates a workflow that serves a RemediationRequest; you are "), theUser(),
				words(". To start one by hand, leave spec.remediationRequestRef out."),
			},
		},
		{
			Name: "serves-own-token", Policy: RequesterPolicyName, Reason: ReasonImpersonated,
			Expression: "request.operation != 'CREATE' || !variables.serves || !variables.impersonated",
			holds:      func(f *facts) bool { return !f.creates() || !f.serves() || !f.impersonated() },
			says:       sentence{words("impersonated requests may not create a workflow that serves a RemediationRequest, not even as "), orchestrator, words(onlyItself)},
		},
		{
			Name: "requested-by", Policy: RequesterPolicyName, Reason: ReasonRequesterForged,
			Expression: "request.operation != 'CREATE' || variables.serves || (" + strings.Join([]string{
				"variables.by.username == request.userInfo.username", same("uid", "''"), same("groups", "[]"), same("extra", "{}"),
			}, " && ") + ")",
			holds: func(f *facts) bool {
				return !f.creates() || f.serves() || sameRequester(f.object.Spec.RequestedBy, f.user())
			},
			says: sentence{words("spec.requestedBy must be who sends the request, "), theUser(), words(": leave it out, admission fills it in")},
		},
		{
			Name: "requested-by-annotation", Policy: RequesterPolicyName, Reason: ReasonRequesterForged,
			Expression: "request.operation != 'CREATE' || object.metadata.?annotations[?" + annotation + "].orValue('') == request.userInfo.username",
			holds: func(f *facts) bool {
				return !f.creates() || f.object.Metadata.Annotations[shared.AnnotationRequestedBy] == f.request.UserInfo.Username
			},
			says: sentence{
				words("the annotation " + shared.AnnotationRequestedBy + " must be who sends the request, "), theUser(),
				words(": leave it out, admission fills it in"),
			},
		},
		{
			Name: "annotation-kept", Policy: RequesterPolicyName, Reason: ReasonRequesterForged,
			Expression: "request.operation != 'UPDATE' || " + sameAnnotation(),
			holds: func(f *facts) bool {
				is, has := f.object.Metadata.Annotations[shared.AnnotationRequestedBy]
				was, had := f.old.Metadata.Annotations[shared.AnnotationRequestedBy]
				return f.creates() || (is == was && has == had)
			},
			says: sentence{words("the annotation " + shared.AnnotationRequestedBy + " was written when the object was created, and nobody changes it")},
		},
	}
}

// sameAnnotation says in CEL that an update leaves who asked as it was.
func sameAnnotation() string {
	path := ".metadata.?annotations[?" + literal(shared.AnnotationRequestedBy) + "]"
	return "object" + path + " == oldObject" + path
}

// sameReference says in CEL that two owner references claim the same.
const sameReference = "o.uid == r.uid && o.name == r.name && o.kind == r.kind && o.apiVersion == r.apiVersion && o.?controller == r.?controller"

func ownerRules() []Rule {
	return []Rule{
		{
			Name: "owner-named", Policy: OwnerPolicyName, Reason: ReasonOwner,
			Expression: "request.operation != 'CREATE' || size(variables.named) == 0 || (size(variables.references) == 1 && variables.references.all(r, " +
				"r.apiVersion.split('/')[0] == variables.guard.group && r.kind == variables.guard.kind && r.?controller.orValue(false) && " +
				"r.name == variables.named[0].name && r.uid == variables.named[0].uid))",
			holds: func(f *facts) bool { return !f.creates() || f.named() == nil || f.ownedAsNamed() },
			says: sentence{
				theResource(), words(" are owned by the "), theOwnerKind(),
				words(" that their spec names, and by nothing else: give it as the controller, with the name and the UID of the spec"),
			},
		},
		{
			Name: "owner-unclaimed", Policy: OwnerPolicyName, Reason: ReasonOwner,
			Expression: "request.operation != 'CREATE' || size(variables.named) > 0 || size(variables.claimed) == 0",
			holds:      func(f *facts) bool { return !f.creates() || f.named() != nil || len(f.claimed()) == 0 },
			says:       sentence{words("nothing of Kubernaut owns "), theResource(), words(" whose spec names no owner: leave the owner reference out")},
		},
		{
			Name: "owner-kept", Policy: OwnerPolicyName, Reason: ReasonOwner,
			Expression: "request.operation != 'UPDATE' || variables.claimed.all(r, variables.before.exists(o, " + sameReference + "))",
			holds:      func(f *facts) bool { return f.creates() || f.claimsNothingNew() },
			says: sentence{
				words("owner references to objects of Kubernaut are set when an object is created; nobody adds or changes them on "), theResource(),
			},
		},
	}
}

func decisionRules() []Rule {
	phase := part{cel: "oldObject.?status.?phase.orValue('')", text: func(f *facts) string { return f.old.Status.Phase }}
	requester := part{cel: "variables.requester.username", text: func(f *facts) string {
		if f.object.Spec.RequestedBy == nil {
			return "nobody knows who" // the schema requires a name
		}
		return f.object.Spec.RequestedBy.Username
	}}
	return []Rule{
		{
			Name: "decisions-absent", Policy: ApprovalPolicyName, Reason: ReasonDecisionForged,
			Expression: "request.operation != 'CREATE' || size(variables.decisions) == 0",
			holds:      func(f *facts) bool { return !f.creates() || len(f.object.Spec.Decisions) == 0 },
			says:       sentence{words("an ApprovalRequest is created without decisions: people add them one by one")},
		},
		{
			Name: "decisions-kept", Policy: ApprovalPolicyName, Reason: ReasonDecisionForged,
			Expression: "request.operation != 'UPDATE' || variables.decisions == variables.before + variables.added",
			holds:      func(f *facts) bool { return f.creates() || f.addsOneDecision() },
			says: sentence{
				words("spec.decisions only grows, by one decision at its end: nobody changes, removes or reorders what others decided"),
			},
		},
		{
			Name: "decision-own", Policy: ApprovalPolicyName, Reason: ReasonDecisionForged,
			Expression: "request.operation != 'UPDATE' || variables.added.all(d, d.?by.orValue('') == request.userInfo.username)",
			holds:      func(f *facts) bool { return !f.decides() || f.decidedBy(f.added()) == f.request.UserInfo.Username },
			says: sentence{
				words("everybody decides in their own name, and you are "), theUser(), words(": leave by and at of the decision out, admission fills them in"),
			},
		},
		{
			Name: "decision-of-another", Policy: ApprovalPolicyName, Reason: ReasonDecisionRefused,
			Expression: "request.operation != 'UPDATE' || size(variables.added) == 0 || (request.userInfo.username != variables.requester.username && " +
				"(!has(variables.requester.uid) || !has(request.userInfo.uid) || variables.requester.uid == '' || variables.requester.uid != request.userInfo.uid))",
			holds: func(f *facts) bool { return !f.decides() || !f.isRequester() },
			says: sentence{
				requester, words(" asked for what this request is about, and somebody else decides; to end it, set spec.cancel of the workflow"),
			},
		},
		{
			Name: "decision-once", Policy: ApprovalPolicyName, Reason: ReasonDecisionRefused,
			Expression: "request.operation != 'UPDATE' || size(variables.added) == 0 || !variables.before.exists(d, d.?by.orValue('') == request.userInfo.username)",
			holds: func(f *facts) bool {
				return !f.decides() || !slices.ContainsFunc(f.old.Spec.Decisions, func(d any) bool { return f.decidedBy(d) == f.request.UserInfo.Username })
			},
			says: sentence{theUser(), words(" has decided already: one person decides once, and for good")},
		},
		{
			Name: "decision-in-time", Policy: ApprovalPolicyName, Reason: ReasonDecisionRefused,
			Expression: "request.operation != 'UPDATE' || size(variables.added) == 0 || oldObject.?status.?phase.orValue('pending') == 'pending'",
			holds: func(f *facts) bool {
				return !f.decides() || f.old.Status.Phase == "" || f.old.Status.Phase == string(safetyv1alpha1.PhasePending)
			},
			says: sentence{words("this request is "), phase, words(" and takes no decisions any more: kubernaut approvals shows what waits now")},
		},
	}
}

// liveRules are what only the webhook can check: it reads the owner.
func liveRules() []Rule {
	owner := part{text: func(f *facts) string {
		return fmt.Sprintf("%s %q with UID %q", f.row.Owner.Kind, f.named().Name, f.named().UID)
	}}
	return []Rule{
		{
			Name: "owner-exists", Reason: ReasonOwner,
			holds: func(f *facts) bool { return f.owner != nil && f.owner.UID == f.named().UID },
			says:  sentence{words("the "), owner, words(", which is to own it, does not exist in its namespace: create the owner first")},
		},
		{
			Name: "owner-requester", Reason: ReasonRequesterForged,
			holds: func(f *facts) bool {
				return f.owner == nil || !f.serves() || sameRequester(f.object.Spec.RequestedBy, f.owner.RequestedBy)
			},
			says: sentence{words("spec.requestedBy of a workflow that serves a request is who made that request, as the "), owner, words(" has it")},
		},
	}
}

func sameRequester(have *shared.Requester, want shared.Requester) bool {
	return have != nil && have.Username == want.Username && have.UID == want.UID && slices.Equal(have.Groups, want.Groups) &&
		maps.EqualFunc(have.Extra, want.Extra, slices.Equal)
}

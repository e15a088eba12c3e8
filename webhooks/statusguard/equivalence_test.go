package statusguard

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/ext"
	admissionv1 "k8s.io/api/admission/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	apitypes "k8s.io/apimachinery/pkg/types"

	"kubernaut.io/kubernaut/api/shared"
	"kubernaut.io/kubernaut/controllers/identity"
)

// evaluated is a policy as the API server has it: its expressions compiled, its variables read when they are needed.
type evaluated struct {
	policy      *admissionregistrationv1.ValidatingAdmissionPolicy
	variables   map[string]cel.Program
	validations []cel.Program
	messages    []cel.Program
}

func evaluate(t *testing.T, policy *admissionregistrationv1.ValidatingAdmissionPolicy) *evaluated {
	t.Helper()
	env, err := cel.NewEnv(cel.OptionalTypes(), ext.Strings(), cel.HomogeneousAggregateLiterals(), cel.EagerlyValidateDeclarations(true),
		cel.Variable("request", cel.DynType), cel.Variable("object", cel.DynType), cel.Variable("oldObject", cel.DynType),
		cel.Variable("variables", cel.MapType(cel.StringType, cel.DynType)))
	if err != nil {
		t.Fatal(err)
	}
	compile := func(text string) cel.Program {
		ast, issues := env.Compile(text)
		if issues.Err() != nil {
			t.Fatalf("%s: %s: %v", policy.Name, text, issues.Err())
		}
		program, err := env.Program(ast)
		if err != nil {
			t.Fatal(err)
		}
		return program
	}
	e := &evaluated{policy: policy, variables: map[string]cel.Program{}}
	for _, variable := range policy.Spec.Variables {
		e.variables[variable.Name] = compile(variable.Expression)
	}
	for _, validation := range policy.Spec.Validations {
		e.validations = append(e.validations, compile(validation.Expression))
		e.messages = append(e.messages, compile(validation.MessageExpression))
	}
	return e
}

// matches says whether the API server would ask the policy.
func (e *evaluated) matches(request *admissionv1.AdmissionRequest) bool {
	rule := e.policy.Spec.MatchConstraints.ResourceRules[0]
	resource := request.Resource.Resource
	if request.SubResource != "" {
		resource += "/" + request.SubResource
	}
	for _, operation := range rule.Operations {
		for _, group := range rule.APIGroups {
			for _, covered := range rule.Resources {
				if string(operation) == string(request.Operation) && group == request.Resource.Group && covered == resource {
					return true
				}
			}
		}
	}
	return false
}

// refusal is what the policy says first, or nothing.
func (e *evaluated) refusal(t *testing.T, request *admissionv1.AdmissionRequest) string {
	t.Helper()
	input := map[string]any{"request": asMap(t, request), "object": nil, "oldObject": nil}
	for name, raw := range map[string][]byte{"object": request.Object.Raw, "oldObject": request.OldObject.Raw} {
		if len(raw) > 0 {
			value := map[string]any{}
			if err := json.Unmarshal(raw, &value); err != nil {
				t.Fatal(err)
			}
			input[name] = value
		}
	}
	known := map[string]any{}
	input["variables"] = known
	for _, variable := range e.policy.Spec.Variables {
		value, _, err := e.variables[variable.Name].Eval(input)
		if err == nil { // one that is not needed may have no value
			known[variable.Name] = value
		}
	}
	for i, validation := range e.validations {
		value, _, err := validation.Eval(input)
		if err != nil {
			t.Fatalf("%s: %v", e.policy.Spec.Validations[i].Expression, err)
		}
		if value == types.True {
			continue
		}
		message, _, err := e.messages[i].Eval(input)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(message.Value())
	}
	return ""
}

func asMap(t *testing.T, value any) map[string]any {
	t.Helper()
	data, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	result := map[string]any{}
	if err := json.Unmarshal(data, &result); err != nil {
		t.Fatal(err)
	}
	return result
}

// users are everyone who comes to mind, by what is special about them.
func users() map[string]authenticationv1.UserInfo {
	token := map[string]authenticationv1.ExtraValue{credentialID: {"JTI=5d1b"}}
	all := map[string]authenticationv1.UserInfo{
		"an anonymous caller":    {Username: "system:anonymous", Groups: []string{"system:unauthenticated"}},
		"a member of masters":    {Username: "admin", Groups: []string{"system:masters"}, Extra: map[string]authenticationv1.ExtraValue{credentialID: {"X509SHA256=00"}}},
		"a person":               {Username: "alice", UID: "1", Groups: []string{"on-call"}, Extra: map[string]authenticationv1.ExtraValue{credentialID: {"X509SHA256=01"}, "scopes": {"a", "b"}}},
		"a person with a token":  {Username: "alice", UID: "1", Groups: []string{"on-call"}, Extra: token},
		"a name with quotes":     {Username: `al"i'ce\`, Extra: token},
		"an account elsewhere":   {Username: identity.Username("elsewhere", identity.RemediationRequest), Extra: token},
		"a name that looks like": {Username: strings.Replace(identity.Username("ns", identity.RemediationRequest), "e", "\u0435", 1), Extra: token},
		"a longer name":          {Username: identity.Username("ns", identity.RemediationRequest) + "s", Extra: token},
	}
	for _, account := range append(identity.Controllers(), identity.Manager) {
		user := authenticationv1.UserInfo{Username: identity.Username("ns", account), UID: "u-" + account, Groups: []string{"system:serviceaccounts", "system:serviceaccounts:ns"}}
		for how, extra := range map[string]map[string]authenticationv1.ExtraValue{
			"with its token":       token,
			"impersonated":         nil,
			"with other extra":     {"scopes": {"a"}},
			"with a certificate":   {credentialID: {"X509SHA256=02"}},
			"with no credential":   {credentialID: {}},
			"with two credentials": {credentialID: {"X509SHA256=02", "JTI=03"}},
		} {
			user.Extra = extra
			all[account+" "+how] = user
		}
	}
	return all
}

// bodies are objects that differ in what the guard reads.
func bodies(user authenticationv1.UserInfo) map[string]document {
	asked := (&facts{request: &admissionv1.AdmissionRequest{UserInfo: user}}).user()
	ref := shared.ObjectReference{Name: "owner", UID: "uid"}
	reference := func(change func(*metav1.OwnerReference)) []metav1.OwnerReference {
		r := metav1.OwnerReference{APIVersion: "remediation.kubernaut.io/v1", Kind: "RemediationRequest", Name: ref.Name, UID: ref.UID, Controller: new(true)}
		if change != nil {
			change(&r)
		}
		return []metav1.OwnerReference{r}
	}
	byWorkflow := func(r *metav1.OwnerReference) {
		r.APIVersion, r.Kind = "workflowexecution.kubernaut.io/v1", "WorkflowExecution"
	}
	owners := map[string][]metav1.OwnerReference{
		"no owner":              nil,
		"the request":           reference(nil),
		"the workflow":          reference(byWorkflow),
		"another UID":           reference(func(r *metav1.OwnerReference) { r.UID = "other" }),
		"another name":          reference(func(r *metav1.OwnerReference) { r.Name = "other" }),
		"another kind":          reference(func(r *metav1.OwnerReference) { r.Kind = "AIAnalysis" }),
		"a group that looks so": reference(func(r *metav1.OwnerReference) { r.APIVersion = "remediation.kubernaut.io.example.com/v1" }),
		"another version":       reference(func(r *metav1.OwnerReference) { r.APIVersion = "remediation.kubernaut.io/v2" }),
		"not the controller":    reference(func(r *metav1.OwnerReference) { r.Controller = nil }),
		"no longer controller":  reference(func(r *metav1.OwnerReference) { r.Controller = new(false) }),
		"one of others":         reference(func(r *metav1.OwnerReference) { r.APIVersion, r.Kind = "apps/v1", "Deployment" }),
		"of the core":           reference(func(r *metav1.OwnerReference) { r.APIVersion, r.Kind = "v1", "ConfigMap" }),
		"two owners":            append(reference(nil), reference(func(r *metav1.OwnerReference) { r.APIVersion, r.Kind, r.Controller = "v1", "ConfigMap", nil })...),
		"the same twice":        append(reference(nil), reference(nil)...),
	}
	all := map[string]document{}
	for owner, references := range owners {
		for claim, change := range map[string]func(*document){
			"honest":             func(*document) {},
			"other name":         func(d *document) { d.Spec.RequestedBy.Username = "bob" },
			"other UID":          func(d *document) { d.Spec.RequestedBy.UID = "u" },
			"no groups":          func(d *document) { d.Spec.RequestedBy.Groups = nil },
			"more groups":        func(d *document) { d.Spec.RequestedBy.Groups = append(d.Spec.RequestedBy.Groups, "system:masters") },
			"more extra":         func(d *document) { d.Spec.RequestedBy.Extra["x"] = shared.ExtraValue{"y"} },
			"no extra":           func(d *document) { d.Spec.RequestedBy.Extra = nil },
			"no annotation":      func(d *document) { d.Metadata.Annotations = nil },
			"other annotation":   func(d *document) { d.Metadata.Annotations[shared.AnnotationRequestedBy] = "bob" },
			"serves a request":   func(d *document) { d.Spec.RemediationRequestRef = &ref },
			"serves, other name": func(d *document) { d.Spec.RemediationRequestRef, d.Spec.RequestedBy.Username = &ref, "bob" },
			"part of a workflow": func(d *document) { d.Spec.WorkflowExecutionRef = &ref },
		} {
			var d document
			d.Metadata.OwnerReferences = references
			d.Metadata.Annotations = map[string]string{shared.AnnotationRequestedBy: user.Username, "note": "x"}
			d.Spec.RequestedBy = asked.DeepCopy()
			if d.Spec.RequestedBy.Extra == nil {
				d.Spec.RequestedBy.Extra = map[string]shared.ExtraValue{}
			}
			change(&d)
			all[owner+", "+claim] = d
		}
	}
	return all
}

// written is a document as a client writes it: what is empty is absent.
func written(t *testing.T, d document) []byte {
	t.Helper()
	content := asMap(t, d)
	for _, part := range []string{"metadata", "spec"} {
		fields, is := content[part].(map[string]any)
		if !is {
			t.Fatalf("%s is %T", part, content[part])
		}
		maps.DeleteFunc(fields, func(_ string, value any) bool { return value == nil })
	}
	if d.Status.Phase == "" {
		delete(content, "status")
	}
	data, err := json.Marshal(content)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// The policies and the webhook are made from one list of rules, but each rule says it twice: in CEL and in Go. Both must give the
// same answer, in the same words, to whatever is asked by whomever.
func TestPoliciesAndWebhookAgree(t *testing.T) {
	guard := New("ns")
	var evaluators []*evaluated
	for _, policy := range guard.Policies() {
		evaluators = append(evaluators, evaluate(t, policy))
	}
	// The others are asked about honest objects only: how a body is read does not depend on them.
	thorough := []string{"a person", "a person with a token", identity.RemediationRequest + " with its token", identity.RemediationRequest + " impersonated", identity.WorkflowExecution + " with its token"}
	asked, refused := 0, map[string]int{}
	agree := func(sentence string, request *admissionv1.AdmissionRequest) {
		want := ""
		for _, policy := range evaluators {
			if policy.matches(request) && want == "" {
				want = policy.refusal(t, request)
			}
		}
		existing := func(context.Context, Owner, apitypes.NamespacedName) (*LiveOwner, error) {
			return &LiveOwner{UID: "uid", RequestedBy: *requestedBy(t, request)}, nil
		}
		have := ""
		refusal, err := guard.Decide(t.Context(), request, existing)
		if err != nil {
			t.Fatalf("%s: %v", sentence, err)
		}
		if refusal != nil {
			have = refusal.Message
			refused[refusal.Rule]++
		}
		asked++
		if have != want {
			t.Errorf("%s:\nthe policy says  %q\nthe webhook says %q", sentence, want, have)
		}
	}
	for _, row := range Rows() {
		resource := metav1.GroupVersionResource{Group: row.Group, Version: row.Version, Resource: row.Resource}
		for who, user := range users() {
			request := &admissionv1.AdmissionRequest{Resource: resource, UserInfo: user, Namespace: "shop", Name: "x"}
			request.Operation, request.SubResource = admissionv1.Update, "status"
			request.Object.Raw, request.OldObject.Raw = []byte(`{"metadata":{},"spec":{}}`), []byte(`{"metadata":{},"spec":{}}`)
			agree(fmt.Sprintf("%s/status by %s", row.Resource, who), request)
			if row.Creator == "" && !row.Requested {
				continue
			}
			for what, body := range bodies(user) {
				switch { // a kind has the field of its own owner
				case row.Owner == nil:
					body.Spec.RemediationRequestRef, body.Spec.WorkflowExecutionRef = nil, nil
				case row.Owner.Kind == "RemediationRequest":
					body.Spec.WorkflowExecutionRef = nil
				default:
					body.Spec.RemediationRequestRef = nil
				}
				if row.Owner != nil && !row.Owner.Optional && body.Spec.RemediationRequestRef == nil && body.Spec.WorkflowExecutionRef == nil {
					continue // the schema requires it
				}
				if !slices.Contains(thorough, who) && !strings.HasSuffix(what, "honest") {
					continue
				}
				created := *request
				created.Operation, created.SubResource = admissionv1.Create, ""
				created.Object.Raw, created.OldObject.Raw = written(t, body), nil
				agree(fmt.Sprintf("%s created by %s, %s", row.Resource, who, what), &created)
			}
		}
		if row.Creator == "" && !row.Requested {
			continue
		}
		user := users()["a person"]
		for was, old := range bodies(user) {
			for is, body := range bodies(user) {
				if !strings.HasSuffix(was, "honest") || (!strings.HasSuffix(is, "honest") && !strings.HasSuffix(is, "annotation")) {
					continue
				}
				agree(fmt.Sprintf("%s changed from %s to %s", row.Resource, was, is), &admissionv1.AdmissionRequest{
					Resource: resource, UserInfo: user, Operation: admissionv1.Update,
					Object: runtime.RawExtension{Raw: written(t, body)}, OldObject: runtime.RawExtension{Raw: written(t, old)},
				})
			}
		}
	}
	for _, who := range []string{"a person", "a person with a token", "a member of masters", identity.WorkflowExecution + " with its token"} {
		user := users()[who]
		for was, before := range decisionLists(user.Username) {
			for is, after := range decisionLists(user.Username) {
				for _, phase := range []string{"", "pending", "approved", "rejected", "expired", "void"} {
					for by, requester := range map[string]shared.Requester{
						"another":              {Username: "bob", UID: "2"},
						"another, without UID": {Username: "bob"},
						"the same name":        {Username: user.Username},
						"the same UID":         {Username: "bob", UID: user.UID},
					} {
						old, body := approval(before, phase, requester), approval(after, phase, requester)
						agree(fmt.Sprintf("decisions of a request of %s, %q, changed by %s from %s to %s", by, phase, who, was, is), &admissionv1.AdmissionRequest{
							Resource: metav1.GroupVersionResource{Group: "safety.kubernaut.io", Version: "v1alpha1", Resource: "approvalrequests"},
							UserInfo: user, Operation: admissionv1.Update, Object: runtime.RawExtension{Raw: written(t, body)}, OldObject: runtime.RawExtension{Raw: written(t, old)},
						})
					}
				}
			}
		}
		created := approval(decisionLists(user.Username)["one of ours"], "", shared.Requester{Username: "bob"})
		agree("a request created with a decision by "+who, &admissionv1.AdmissionRequest{
			Resource: metav1.GroupVersionResource{Group: "safety.kubernaut.io", Version: "v1alpha1", Resource: "approvalrequests"},
			UserInfo: user, Operation: admissionv1.Create, Object: runtime.RawExtension{Raw: written(t, created)},
		})
	}
	for _, rule := range guard.Rules {
		if rule.Policy != "" && refused[rule.Name] == 0 {
			t.Errorf("no request is refused by rule %s", rule.Name)
		}
	}
	t.Logf("%d requests, refusals by rule: %v", asked, refused)
}

// decisionLists are lists of decisions that differ in what the guard reads.
func decisionLists(username string) map[string][]any {
	decision := func(by, reason string) map[string]any {
		d := map[string]any{"decision": "Approved", "reason": reason, "at": "2026-01-02T03:04:05Z"}
		if by != "" {
			d["by"] = by
		}
		return d
	}
	mine, theirs := decision(username, "fine"), decision("carol", "fine")
	return map[string][]any{
		"none":                 nil,
		"one of ours":          {mine},
		"one of another":       {theirs},
		"one of nobody":        {decision("", "fine")},
		"another's, then ours": {theirs, mine},
		"ours, then another's": {mine, theirs},
		"another's, changed":   {decision("carol", "not fine")},
		"ours twice":           {mine, mine},
		"three":                {theirs, decision("dave", "ok"), mine},
	}
}

// approval is an ApprovalRequest as its workflow makes it.
func approval(decisions []any, phase string, requester shared.Requester) document {
	var d document
	ref := shared.ObjectReference{Name: "owner", UID: "uid"}
	d.Metadata.OwnerReferences = []metav1.OwnerReference{{
		APIVersion: "workflowexecution.kubernaut.io/v1", Kind: "WorkflowExecution", Name: ref.Name, UID: ref.UID, Controller: new(true),
	}}
	d.Spec.RequestedBy, d.Spec.WorkflowExecutionRef, d.Spec.Decisions, d.Status.Phase = &requester, &ref, decisions, phase
	return d
}

func requestedBy(t *testing.T, request *admissionv1.AdmissionRequest) *shared.Requester {
	t.Helper()
	var d document
	if err := json.Unmarshal(request.Object.Raw, &d); err != nil {
		t.Fatal(err)
	}
	if d.Spec.RequestedBy == nil {
		return &shared.Requester{}
	}
	return d.Spec.RequestedBy
}

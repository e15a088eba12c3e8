package webhooks

import (
	"encoding/json"
	"reflect"
	"strings"
	"time"

	remediationv1 "kubernaut.io/kubernaut/api/remediation/v1"
	safetyv1alpha1 "kubernaut.io/kubernaut/api/safety/v1alpha1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
)

// The oracle of the fuzzers: what admission must never let pass, written down a second time and without the code that decides. It
// looks at JSON values, knows names by heart, and says nothing of what may pass.

func account(name string) string { return "system:serviceaccount:kubernaut-system:" + name }

func fixtureRequester() shared.Requester {
	return shared.Requester{Username: "alice", Groups: []string{"on-call"}}
}

func statusWriter(kind string) string {
	return account(map[string]string{
		"RemediationRequest": "remediationrequest-controller", "RemediationProcessing": "remediationprocessing-controller",
		"AIAnalysis": "aianalysis-controller", "WorkflowExecution": "workflowexecution-controller",
		"KubernetesExecution": "kubernetesexecution-controller", "SafetyPolicy": "safetypolicy-controller",
		"ApprovalRequest": "workflowexecution-controller", "Playbook": "playbook-controller",
	}[kind])
}

// at walks down a JSON value.
func valueAt(value any, path ...string) any {
	for _, name := range path {
		object, is := value.(map[string]any)
		if !is {
			return nil
		}
		value = object[name]
	}
	return value
}

func textAt(value any, path ...string) string {
	text, _ := valueAt(value, path...).(string)
	return text
}

func listAt(value any, path ...string) []any {
	list, _ := valueAt(value, path...).([]any)
	return list
}

const requestedByAnnotation = "kubernaut.io/requested-by"

func byToken(q question) bool {
	for _, id := range q.UserInfo.Extra["authentication.kubernetes.io/credential-id"] {
		if strings.HasPrefix(id, "JTI=") {
			return true
		}
	}
	return false
}

// forbidden says why a review must not be allowed; empty where the oracle has no opinion.
func forbidden(e endpoint, q question) string {
	if e.verb == "guard-status" {
		return forbiddenByGuard(e, q)
	}
	switch q.Operation {
	case "CREATE":
		return forbiddenToCreate(e, q)
	case "UPDATE":
		if e.kind == "ApprovalRequest" {
			return forbiddenDecisionNow(q)
		}
		return forbiddenToChange(e, q)
	default:
		return ""
	}
}

func forbiddenByGuard(e endpoint, q question) string {
	user := q.UserInfo.Username
	if q.SubResource == "status" {
		switch {
		case q.Operation != "UPDATE":
			return ""
		case user != statusWriter(e.kind):
			return "only " + statusWriter(e.kind) + " writes this status, not " + user
		case !byToken(q):
			return "the writer of this status is impersonated"
		}
		return ""
	}
	if q.Operation == "UPDATE" {
		if e.kind == "ApprovalRequest" {
			if sentence := forbiddenDecision(q); sentence != "" {
				return sentence
			}
		}
		return forbiddenToChange(e, q)
	}
	if q.Operation != "CREATE" {
		return ""
	}
	orchestrator, workflows := account("remediationrequest-controller"), account("workflowexecution-controller")
	creator := map[string]string{
		"RemediationProcessing": orchestrator, "AIAnalysis": orchestrator, "KubernetesExecution": workflows, "ApprovalRequest": workflows,
	}[e.kind]
	serves := e.kind == "WorkflowExecution" && valueAt(q.Object, "spec", "remediationRequestRef") != nil
	if serves {
		creator = orchestrator
	}
	switch {
	case creator != "" && user != creator:
		return "only " + creator + " creates this, not " + user
	case creator != "" && !byToken(q):
		return "the creator is impersonated"
	case e.kind == "ApprovalRequest" && len(listAt(q.Object, "spec", "decisions")) > 0:
		return "it is created with decisions in it"
	case creator != "":
		return forbiddenOwner(e, q)
	case e.kind == "RemediationRequest" || e.kind == "WorkflowExecution":
		return forgedRequester(q)
	default:
		return ""
	}
}

func forgedRequester(q question) string {
	switch {
	case textAt(q.Object, "spec", "requestedBy", "username") != q.UserInfo.Username:
		return "it is asked for in another name than " + q.UserInfo.Username
	case textAt(q.Object, "metadata", "annotations", requestedByAnnotation) != q.UserInfo.Username:
		return "its annotation has another name than " + q.UserInfo.Username
	case len(listAt(q.Object, "spec", "requestedBy", "groups")) != len(q.UserInfo.Groups):
		return "it is asked for with other groups"
	default:
		return ""
	}
}

// forbiddenOwner: only one owner, the fixture, whom the spec names too.
func forbiddenOwner(e endpoint, q question) string {
	owner, ref := "RemediationRequest", "remediationRequestRef"
	if e.kind == "KubernetesExecution" || e.kind == "ApprovalRequest" {
		owner, ref = "WorkflowExecution", "workflowExecutionRef"
	}
	references := listAt(q.Object, "metadata", "ownerReferences")
	if len(references) != 1 || textAt(references[0], "kind") != owner || textAt(references[0], "uid") != "fixture-uid" || textAt(references[0], "name") != "fixture" {
		return "it is not owned by the only " + owner + " that there is"
	}
	if textAt(q.Object, "spec", ref, "uid") != "fixture-uid" || textAt(q.Object, "spec", ref, "name") != "fixture" {
		return "its spec names another " + owner
	}
	if e.kind == "WorkflowExecution" && textAt(q.Object, "spec", "requestedBy", "username") != "alice" {
		return "it serves a request of alice in another name"
	}
	return ""
}

func forbiddenToChange(e endpoint, q question) string {
	if e.kind != "RemediationRequest" && e.kind != "WorkflowExecution" && e.verb != "guard-status" {
		return ""
	}
	stamped := e.kind == "RemediationRequest" || e.kind == "WorkflowExecution"
	if stamped && textAt(q.Object, "metadata", "annotations", requestedByAnnotation) != textAt(q.OldObject, "metadata", "annotations", requestedByAnnotation) {
		return "the annotation that says who asked is changed"
	}
	if e.verb != "guard-status" || e.kind == "Playbook" || e.kind == "SafetyPolicy" {
		return ""
	}
	old := map[string]bool{}
	for _, reference := range listAt(q.OldObject, "metadata", "ownerReferences") {
		old[textAt(reference, "uid")] = true
	}
	for _, reference := range listAt(q.Object, "metadata", "ownerReferences") {
		group, _, _ := strings.Cut(textAt(reference, "apiVersion"), "/")
		if strings.HasSuffix(group, "ation.kubernaut.io") && isOurs(group) && !old[textAt(reference, "uid")] {
			return "it is adopted by an object of Kubernaut after it was created"
		}
	}
	return ""
}

func isOurs(group string) bool {
	return group == "remediation.kubernaut.io" || group == "workflowexecution.kubernaut.io" || group == "kubernetesexecution.kubernaut.io"
}

func forbiddenToCreate(e endpoint, q question) string {
	user := q.UserInfo.Username
	switch e.kind {
	case "RemediationRequest":
		switch {
		case textAt(q.Object, "spec", "requestedBy", "username") != user:
			return "it is asked for in another name than " + user
		case user != "alice":
			return user + " may have nothing repaired"
		case textAt(q.Object, "spec", "target", "namespace") != "shop":
			return "its target is outside of the namespace in which alice has rights"
		}
	case "WorkflowExecution":
		return forbiddenWorkflow(q)
	}
	return ""
}

func forbiddenWorkflow(q question) string {
	user := q.UserInfo.Username
	serves := valueAt(q.Object, "spec", "remediationRequestRef") != nil
	requester := textAt(q.Object, "spec", "requestedBy", "username")
	if requester != user && (!serves || user != account("remediationrequest-controller")) {
		return "it is asked for in another name than " + user
	}
	names := map[string]bool{}
	for _, step := range listAt(q.Object, "spec", "workflowDefinition", "steps") {
		name := textAt(step, "name")
		if names[name] {
			return "two steps have the name " + name
		}
		names[name] = true
		for _, before := range listAt(step, "dependsOn") {
			if before == name {
				return "a step waits for itself"
			}
		}
		for _, action := range []string{"action", "rollbackAction"} {
			kind := textAt(step, action, "type")
			target := valueAt(step, action, memberOf(kind))
			switch kind {
			case "scale-deployment", "rollback-deployment", "update-image":
			default:
				continue
			}
			if target == nil {
				continue
			}
			if requester != "alice" || textAt(target, "namespace") != "shop" {
				return "it changes what " + requester + " may not change"
			}
		}
	}
	return ""
}

// memberOf is the camelCase of a kebab-case name.
func memberOf(kind string) string {
	words := strings.Split(kind, "-")
	for i := 1; i < len(words); i++ {
		if words[i] != "" {
			words[i] = strings.ToUpper(words[i][:1]) + words[i][1:]
		}
	}
	return strings.Join(words, "")
}

// fuzzNow is the time at which the handlers are asked.
const fuzzNow = "2030-01-01T00:00:00Z"

// addedDecision is the one decision that an update adds at the end of the list.
func addedDecision(q question) (decision any, is bool) {
	before, after := listAt(q.OldObject, "spec", "decisions"), listAt(q.Object, "spec", "decisions")
	if len(after) != len(before)+1 {
		return nil, false
	}
	return after[len(before)], true
}

// forbiddenDecision is what the guard must refuse, whenever it is asked: any change of the list but one decision more, in the caller's
// own name, by somebody who has not decided and did not ask, while the request waits.
func forbiddenDecision(q question) string {
	user := q.UserInfo.Username
	before, after := listAt(q.OldObject, "spec", "decisions"), listAt(q.Object, "spec", "decisions")
	if len(after) < len(before) || len(after) > len(before)+1 || !reflect.DeepEqual(append([]any{}, before...), append([]any{}, after[:len(before)]...)) {
		return "decisions of others are changed, or several are made at once"
	}
	decision, is := addedDecision(q)
	if !is {
		return ""
	}
	if textAt(decision, "by") != user {
		return "the decision is in another name than " + user
	}
	requester := textAt(q.Object, "spec", "requestedBy", "uid")
	if textAt(q.Object, "spec", "requestedBy", "username") == user || requester != "" && requester == q.UserInfo.UID {
		return user + " decides about what they asked for"
	}
	for _, other := range before {
		if textAt(other, "by") == user {
			return user + " decides twice"
		}
	}
	if phase := textAt(q.OldObject, "status", "phase"); phase != "" && phase != "pending" {
		return "the request is " + phase
	}
	return ""
}

// forbiddenDecisionNow is what takes a clock or the authorizer: alice may approve in the namespace shop, and nobody anything else.
func forbiddenDecisionNow(q question) string {
	decision, is := addedDecision(q)
	if !is {
		return ""
	}
	now, err := time.Parse(time.RFC3339, fuzzNow)
	if err != nil {
		return err.Error()
	}
	if expiry, err := time.Parse(time.RFC3339, textAt(q.Object, "spec", "expiresAt")); err != nil || !now.Before(expiry) {
		return "the request expired"
	}
	if at, err := time.Parse(time.RFC3339, textAt(decision, "at")); err != nil || at.Before(now.Add(-time.Minute)) || at.After(now.Add(time.Minute)) {
		return "the decision is not of now"
	}
	if q.UserInfo.Username != "alice" {
		return q.UserInfo.Username + " may approve nothing"
	}
	var targets []any
	for _, entry := range listAt(q.Object, "spec", "summary") {
		if target := valueAt(entry, "target"); target != nil {
			targets = append(targets, target)
		}
	}
	for _, target := range targets {
		if textAt(target, "namespace") != "shop" {
			return "alice may not approve what changes outside of shop"
		}
	}
	if len(targets) == 0 && textAt(q.Object, "metadata", "namespace") != "shop" {
		return "alice may not approve requests outside of shop"
	}
	return ""
}

// misstamped says why an update must not leave the mutating webhook of decisions as it is: what it adds is in the caller's name and of
// now, and the client said neither.
func misstamped(q question, completed map[string]any) string {
	given, is := addedDecision(q)
	if !is {
		return ""
	}
	text, err := json.Marshal(completed)
	if err != nil {
		return err.Error()
	}
	if err := json.Unmarshal(text, &safetyv1alpha1.ApprovalRequest{}); err != nil {
		return "" // left to the schema
	}
	q.Object = completed
	stamped, is := addedDecision(q)
	switch {
	case !is:
		return "the list of decisions has another length"
	case textAt(given, "by") != "" || valueAt(given, "at") != nil:
		return "the client said by whom or when"
	case textAt(stamped, "by") != q.UserInfo.Username || textAt(stamped, "at") != fuzzNow:
		return "the decision is not stamped"
	default:
		return ""
	}
}

// unstamped says why a new object must not leave the mutating webhook as it is. What our types cannot hold is left to the schema.
func unstamped(e endpoint, q question, completed map[string]any) string {
	if q.Operation == "UPDATE" && e.kind == "ApprovalRequest" {
		return misstamped(q, completed)
	}
	if q.Operation != "CREATE" {
		return ""
	}
	text, err := json.Marshal(completed)
	if err != nil {
		return err.Error()
	}
	var object any
	switch e.kind {
	case "RemediationRequest":
		object = &remediationv1.RemediationRequest{}
	case "WorkflowExecution":
		object = &workflowexecutionv1.WorkflowExecution{}
	default:
		return ""
	}
	if err := json.Unmarshal(text, object); err != nil {
		return ""
	}
	user := q.UserInfo.Username
	delegated := user == account("remediationrequest-controller") && valueAt(completed, "spec", "remediationRequestRef") != nil
	switch {
	case textAt(completed, "metadata", "annotations", requestedByAnnotation) != user:
		return "the annotation does not say " + user
	case !delegated && textAt(completed, "spec", "requestedBy", "username") != user:
		return "requestedBy does not say " + user
	default:
		return ""
	}
}

package webhooks

import (
	"encoding/json"
	"strings"

	remediationv1 "kubernaut.io/kubernaut/api/remediation/v1"
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

// unstamped says why a new object must not leave the mutating webhook as it is. What our types cannot hold is left to the schema.
func unstamped(e endpoint, q question, completed map[string]any) string {
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

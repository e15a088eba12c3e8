package remediation

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	remediationv1 "kubernaut.io/kubernaut/api/remediation/v1"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/cmd/kubernaut/terminal"
)

// kind is a kind that a command works on, by the short name that kubectl knows too; either stands for both.
type kind string

const (
	either   kind = ""
	request  kind = "rr"
	workflow kind = "wfe"
)

// reference is what a person typed: a name, with or without its kind.
type reference struct {
	kind kind
	name string
}

func (r reference) String() string {
	if r.kind == either {
		return r.name
	}
	return string(r.kind) + "/" + r.name
}

// kindNames are all names of a kind that kubectl takes.
func kindNames() map[string]kind {
	names := map[string]kind{}
	for kind, forms := range map[kind][]string{
		request:  {"rr", "remediationrequest", "remediationrequests", "remediationrequest." + remediationv1.GroupVersion.Group, "remediationrequests." + remediationv1.GroupVersion.Group},
		workflow: {"wfe", "workflowexecution", "workflowexecutions", "workflowexecution." + workflowexecutionv1.GroupVersion.Group, "workflowexecutions." + workflowexecutionv1.GroupVersion.Group},
	} {
		for _, form := range forms {
			names[form] = kind
		}
	}
	return names
}

// parseReference reads NAME or KIND/NAME.
func parseReference(text string) (reference, error) {
	before, name, slash := strings.Cut(text, "/")
	if !slash {
		before, name = "", text
	}
	found, known := kindNames()[strings.ToLower(before)]
	switch {
	case slash && !known:
		return reference{}, terminal.Usagef("%q: the kind %q is not one that is repaired or run: use rr/NAME for a RemediationRequest, wfe/NAME for a WorkflowExecution", text, before)
	case name == "" || strings.ContainsAny(name, "/ "):
		return reference{}, terminal.Usagef("%q is no name: use NAME, rr/NAME or wfe/NAME", text)
	default:
		return reference{kind: found, name: name}, nil
	}
}

// resolve finds the request or workflow that is meant.
func resolve(ctx context.Context, reader client.Reader, namespace, text string) (client.Object, error) {
	wanted, err := parseReference(text)
	if err != nil {
		return nil, err
	}
	var found []client.Object
	for _, object := range candidates(wanted.kind) {
		err := reader.Get(ctx, client.ObjectKey{Namespace: namespace, Name: wanted.name}, object)
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		found = append(found, object)
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return nil, notFound(ctx, reader, namespace, wanted)
	default:
		return nil, terminal.Usagef("there is a RemediationRequest %s and a WorkflowExecution %s in namespace %s: say rr/%s or wfe/%s",
			wanted.name, wanted.name, namespace, wanted.name, wanted.name)
	}
}

func candidates(kind kind) []client.Object {
	switch kind {
	case request:
		return []client.Object{&remediationv1.RemediationRequest{}}
	case workflow:
		return []client.Object{&workflowexecutionv1.WorkflowExecution{}}
	default:
		return []client.Object{&remediationv1.RemediationRequest{}, &workflowexecutionv1.WorkflowExecution{}}
	}
}

// notFound says what is near, and in which other namespace there is one of that name, as far as the caller may look.
func notFound(ctx context.Context, reader client.Reader, namespace string, wanted reference) error {
	what := "neither a RemediationRequest nor a WorkflowExecution"
	switch wanted.kind {
	case request:
		what = "no RemediationRequest"
	case workflow:
		what = "no WorkflowExecution"
	case either:
	}
	text := fmt.Sprintf("there is %s %s in namespace %s", what, wanted.name, namespace)
	if here, err := list(ctx, reader, namespace); err == nil {
		var names []string
		for _, object := range here {
			if wanted.kind == either || wanted.kind == kindOf(object) {
				names = append(names, object.GetName())
			}
		}
		text += terminal.DidYouMean(wanted.name, names)
	}
	if elsewhere, err := list(ctx, reader, ""); err == nil {
		for _, object := range elsewhere {
			if object.GetName() == wanted.name && (wanted.kind == either || wanted.kind == kindOf(object)) {
				return terminal.Usagef("%s; there is %s in namespace %s: add -n %s", text, short(object), object.GetNamespace(), object.GetNamespace())
			}
		}
	}
	return terminal.Usage(errors.New(text))
}

// list lists requests, and workflows, in a namespace or in all of them.
func list(ctx context.Context, reader client.Reader, namespace string) ([]client.Object, error) {
	var requests remediationv1.RemediationRequestList
	if err := reader.List(ctx, &requests, client.InNamespace(namespace)); err != nil {
		return nil, err
	}
	var workflows workflowexecutionv1.WorkflowExecutionList
	if err := reader.List(ctx, &workflows, client.InNamespace(namespace)); err != nil {
		return nil, err
	}
	objects := slices.Grow([]client.Object(nil), len(requests.Items)+len(workflows.Items))
	for i := range requests.Items {
		objects = append(objects, &requests.Items[i])
	}
	for i := range workflows.Items {
		objects = append(objects, &workflows.Items[i])
	}
	return objects, nil
}

func kindOf(object client.Object) kind {
	switch object.(type) {
	case *remediationv1.RemediationRequest:
		return request
	case *workflowexecutionv1.WorkflowExecution:
		return workflow
	default:
		return either
	}
}

// short is an object by the name that a person can type again.
func short(object client.Object) string {
	return reference{kind: kindOf(object), name: object.GetName()}.String()
}

// Package rights says what having a repair done needs, and asks the API server's own authorizer whether someone has it: what you
// may not do yourself, you may not have done for you. Admission asks when a workflow is created, the workflow's controller again
// before anything runs.
package rights

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"
	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/client"

	safetyv1alpha1 "kubernaut.io/kubernaut/api/safety/v1alpha1"
	"kubernaut.io/kubernaut/api/shared"
	"kubernaut.io/kubernaut/controllers/kubernetesexecution/actions"
)

// VerbRemediate is the virtual verb by which an admin lets someone have an object repaired without letting them change it.
const VerbRemediate = "remediate"

// VerbApprove is the virtual verb, on approvalrequests, by which an admin lets someone approve what changes in a namespace.
const VerbApprove = "approve"

// parallel is how many reviews are under way at once.
const parallel = 8

// Permission is one right on one object; without a name on all of the resource, without a namespace cluster-wide.
type Permission struct {
	Verb, Group, Resource, Subresource, Namespace, Name string
}

// String is the permission in words: patch deployments.apps cart in namespace shop.
func (p Permission) String() string {
	resource := p.Resource
	if p.Group != "" {
		resource += "." + p.Group
	}
	if p.Subresource != "" {
		resource += "/" + p.Subresource
	}
	text := p.Verb + " " + resource
	if p.Name != "" {
		text += " " + p.Name
	}
	if p.Namespace != "" {
		text += " in namespace " + p.Namespace
	}
	return text
}

// Need is a permission and what it is needed for.
type Need struct {
	Permission
	// Path is the field that asks for it.
	Path *field.Path
	// Step is the 0-based index of the step that the field is part of.
	Step int
}

// Denial is a need that somebody lacks.
type Denial struct {
	Need
	// Who is their user name.
	Who string
	// Evaluation is what the authorizer could not evaluate; empty if nothing.
	Evaluation string
}

// String says who may not do what.
func (d Denial) String() string {
	text := d.Who + " may not " + d.Permission.String()
	if d.Evaluation != "" {
		text += " (the authorizer says: " + d.Evaluation + ")"
	}
	return text
}

// Compare orders denials: by step, then by who, then by what.
func Compare(a, b Denial) int {
	return cmp.Or(cmp.Compare(a.Step, b.Step), cmp.Compare(a.Who, b.Who), cmp.Compare(a.Permission.String(), b.Permission.String()))
}

// Remediate is what having a target repaired needs. A kind that the API server does not know is asked about by its usual
// resource name: whoever may do everything may have it repaired.
func Remediate(mapper meta.RESTMapper, target *shared.Target, path *field.Path) (Need, error) {
	resource, err := resourceOf(mapper, target)
	return Need{Path: path, Permission: Permission{
		Verb: VerbRemediate, Group: resource.Group, Resource: resource.Resource, Namespace: target.Namespace, Name: target.Name,
	}}, err
}

func resourceOf(mapper meta.RESTMapper, target *shared.Target) (schema.GroupVersionResource, error) {
	kind := target.GroupVersionKind()
	resource, _ := meta.UnsafeGuessKindToResource(kind)
	mapping, err := mapper.RESTMapping(kind.GroupKind(), kind.Version)
	switch {
	case err == nil:
		resource = mapping.Resource
	case !meta.IsNoMatchError(err):
		return resource, fmt.Errorf("ask the API server for the resource of %s; try again: %w", kind.Kind, err)
	}
	return resource, nil
}

// Approve is what deciding about changes of the targets needs: the verb approve in the namespace of each, cluster-wide for one
// without; and, where nothing has a target, in the namespace of the request.
func Approve(namespace string, targets []*shared.Target, path *field.Path) []Need {
	var namespaces []string
	for _, target := range targets {
		if target != nil {
			namespaces = append(namespaces, target.Namespace)
		}
	}
	if len(namespaces) == 0 {
		namespaces = []string{namespace}
	}
	slices.Sort(namespaces)
	namespaces = slices.Compact(namespaces)
	needs := make([]Need, len(namespaces))
	for i, at := range namespaces {
		needs[i] = Need{Path: path, Permission: Permission{
			Verb: VerbApprove, Group: safetyv1alpha1.GroupVersion.Group, Resource: "approvalrequests", Namespace: at,
		}}
	}
	return needs
}

// RemediateSteps is what a workflow that is made for a request needs: the verb remediate on the target of every step and of every
// rollback action.
func RemediateSteps(mapper meta.RESTMapper, definition *shared.WorkflowDefinition, path *field.Path) ([]Need, error) {
	var needs []Need
	err := eachAction(definition, path, func(step int, action *shared.Action, known actions.Action, at *field.Path) error {
		target := known.Target(action)
		if target == nil {
			return nil
		}
		need, err := Remediate(mapper, target, at)
		need.Step = step
		needs = append(needs, need)
		return err
	})
	return needs, err
}

// Steps is what a workflow that a person starts needs: all that its steps and rollback actions write with, and get on their
// targets. An action without a target writes in the workflow's own namespace.
func Steps(namespace string, mapper meta.RESTMapper, definition *shared.WorkflowDefinition, path *field.Path) ([]Need, error) {
	var needs []Need
	err := eachAction(definition, path, func(step int, action *shared.Action, known actions.Action, at *field.Path) error {
		target := known.Target(action)
		for _, permission := range known.WritesFor(action) {
			for _, verb := range permission.Verbs {
				needs = append(needs, Need{Path: at, Step: step, Permission: written(verb, permission, target, namespace)})
			}
		}
		if target == nil {
			return nil
		}
		get, err := Remediate(mapper, target, at)
		get.Verb, get.Step = "get", step
		needs = append(needs, get)
		return err
	})
	return needs, err
}

func written(verb string, permission actions.Permission, target *shared.Target, namespace string) Permission {
	p := Permission{Verb: verb, Group: permission.Group, Resource: permission.Resource, Subresource: permission.Subresource, Namespace: namespace}
	if target != nil {
		p.Namespace = target.Namespace
		if verb != "create" { // the authorizer is not told the name of what does not exist yet
			p.Name = target.Name
		}
	}
	return p
}

// Accounts is what the accounts of a workflow's actions need: all that each action writes with and reads with. Only what is asked
// of the target itself is asked by its name.
func Accounts(namespace string, mapper meta.RESTMapper, definition *shared.WorkflowDefinition, path *field.Path) (map[shared.ActionType][]Need, error) {
	needs := map[shared.ActionType][]Need{}
	err := eachAction(definition, path, func(step int, action *shared.Action, known actions.Action, at *field.Path) error {
		target, resource := known.Target(action), schema.GroupVersionResource{}
		if target != nil {
			var err error
			if resource, err = resourceOf(mapper, target); err != nil {
				return err
			}
		}
		for _, permission := range slices.Concat(known.WritesFor(action), known.Reads()) {
			ofTarget := target != nil && permission.Group == resource.Group && permission.Resource == resource.Resource
			for _, verb := range permission.Verbs {
				p := written(verb, permission, target, namespace)
				if !ofTarget || verb == "list" || verb == "watch" {
					p.Name = ""
				}
				needs[action.Type] = append(needs[action.Type], Need{Path: at, Step: step, Permission: p})
			}
		}
		return nil
	})
	return needs, err
}

func eachAction(definition *shared.WorkflowDefinition, path *field.Path, visit func(int, *shared.Action, actions.Action, *field.Path) error) error {
	for i := range definition.Steps {
		step, at := &definition.Steps[i], path.Child("steps").Index(i)
		for name, action := range map[string]*shared.Action{"action": &step.Action, "rollbackAction": step.RollbackAction} {
			if action == nil {
				continue
			}
			known, ok := actions.Get(action.Type)
			if !ok {
				continue // the schema refuses it
			}
			if err := visit(i, action, known, at.Child(name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// Review asks for each distinct permission once, several at a time, whether who has it, and returns those that they lack, in the
// order of the needs. Where several objects are asked about, it asks about all of their resource first: who may change them all is
// not asked about each. Its error says that the API server gave no answer.
func Review(ctx context.Context, c client.Writer, who shared.Requester, needs []Need) ([]Denial, error) {
	slices.SortStableFunc(needs, func(a, b Need) int {
		return cmp.Or(cmp.Compare(a.Step, b.Step), cmp.Compare(a.Path.String(), b.Path.String()))
	})
	asked := distinct(needs)
	wide := summaries(asked)
	lacking, err := lacks(ctx, c, who, wide)
	if err != nil {
		return nil, err
	}
	granted := map[Permission]bool{}
	for _, all := range wide {
		granted[all.Permission] = true
	}
	for _, denial := range lacking {
		granted[denial.Permission] = false
	}
	asked = slices.DeleteFunc(asked, func(need Need) bool { return granted[need.ofAll()] })
	return lacks(ctx, c, who, asked)
}

// distinct keeps the first need of each permission.
func distinct(needs []Need) []Need {
	seen := map[Permission]bool{}
	var first []Need
	for _, need := range needs {
		if !seen[need.Permission] {
			seen[need.Permission] = true
			first = append(first, need)
		}
	}
	return first
}

// summaries are the permissions on all of a resource that stand for several on objects of it.
func summaries(needs []Need) []Need {
	count := map[Permission]int{}
	var wide []Need
	for _, need := range needs {
		all := need.ofAll()
		if count[all]++; count[all] == 2 && need.Name != "" {
			need.Permission = all
			wide = append(wide, need)
		}
	}
	return wide
}

// ofAll is the permission on all objects of the resource.
func (p Permission) ofAll() Permission {
	p.Name = ""
	return p
}

// lacks asks about each need, and returns those that who lacks, in their order.
func lacks(ctx context.Context, c client.Writer, who shared.Requester, needs []Need) ([]Denial, error) {
	denied := make([]*Denial, len(needs))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for i, need := range needs {
		group.Go(func() error {
			status, err := review(ctx, c, who, need.Permission)
			if err == nil && !status.Allowed {
				denied[i] = &Denial{Need: need, Who: who.Username, Evaluation: status.EvaluationError}
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, fmt.Errorf("ask the API server what %s may do: %w", who.Username, err)
	}
	var denials []Denial
	for _, denial := range denied {
		if denial != nil {
			denials = append(denials, *denial)
		}
	}
	return denials, nil
}

func review(ctx context.Context, c client.Writer, who shared.Requester, p Permission) (*authorizationv1.SubjectAccessReviewStatus, error) {
	question := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User: who.Username, UID: who.UID, Groups: who.Groups,
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Verb: p.Verb, Group: p.Group, Resource: p.Resource, Subresource: p.Subresource, Namespace: p.Namespace, Name: p.Name,
		},
	}}
	if len(who.Extra) > 0 {
		question.Spec.Extra = make(map[string]authorizationv1.ExtraValue, len(who.Extra))
		for key, values := range who.Extra {
			question.Spec.Extra[key] = authorizationv1.ExtraValue(values)
		}
	}
	if err := c.Create(ctx, question); err != nil {
		return nil, err
	}
	return &question.Status, nil
}

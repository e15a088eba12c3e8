package actions

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"kubernaut.io/kubernaut/api/shared"
	"kubernaut.io/kubernaut/controllers/kubernetesexecution/fields"
	"kubernaut.io/kubernaut/controllers/machinery"
)

// annotationRevision is the number that the Deployment controller gives a ReplicaSet, and again each time that its template
// becomes the current one.
const annotationRevision = "deployment.kubernetes.io/revision"

// annotationChangeCause is what kubectl rollout history shows for a revision. The Deployment controller copies it from the
// Deployment to the ReplicaSet of its template, so it has to go back with the template.
const annotationChangeCause = "kubernetes.io/change-cause"

// rollbackDeployment returns the pod template of a Deployment to that of an earlier revision, as kubectl rollout undo does.
type rollbackDeployment struct{ workload }

func (rollbackDeployment) Type() shared.ActionType { return shared.ActionRollbackDeployment }

func (rollbackDeployment) Target(action *shared.Action) *shared.Target {
	if action.RollbackDeployment == nil {
		return nil
	}
	return workloadTarget(shared.WorkloadDeployment, action.RollbackDeployment.Namespace, action.RollbackDeployment.Name)
}

func (rollbackDeployment) Writes() []Permission {
	return []Permission{patches(shared.WorkloadDeployment)}
}

func (r rollbackDeployment) WritesFor(*shared.Action) []Permission { return r.Writes() }

func (rollbackDeployment) Reads() []Permission {
	return []Permission{
		gets(shared.WorkloadDeployment),
		{Group: appsv1.GroupName, Resource: "replicasets", Verbs: []string{"list"}},
	}
}

// Repeatable is false for the previous revision: once it is done, the previous one is the one that was left.
func (rollbackDeployment) Repeatable(action *shared.Action) bool {
	return wantedRevision(action) > 0
}

func wantedRevision(action *shared.Action) int64 {
	if action.RollbackDeployment == nil || action.RollbackDeployment.Revision == nil {
		return 0
	}
	return *action.RollbackDeployment.Revision
}

func (rollbackDeployment) TypicalDuration() time.Duration { return 10 * time.Second }

func (r rollbackDeployment) Plan(ctx context.Context, subject Subject) (Plan, error) {
	live, action := subject.Live, subject.Action
	if action.RollbackDeployment == nil {
		return Plan{}, missingParameters(r.Type(), "rollbackDeployment")
	}
	target := r.Target(action)
	if err := notPaused(live, target); err != nil {
		return Plan{}, err
	}
	replicaSets, err := replicaSetsOf(ctx, subject.Reader, live)
	if err != nil {
		return Plan{}, fmt.Errorf("revisions of %s: %w", target, err)
	}
	current, err := templateOf(live)
	if err != nil {
		return Plan{}, fmt.Errorf("template of %s: %w", target, err)
	}
	wanted, err := chooseRevision(replicaSets, current, wantedRevision(action), target)
	if err != nil {
		return Plan{}, err
	}
	if equality.Semantic.DeepEqual(wanted.typed, current.typed) {
		return Plan{}, nil
	}
	changes, err := fields.Diff("/spec/template", current.content, wanted.content)
	if err != nil {
		return Plan{}, err
	}
	cause, err := changeCause(live, wanted.replicaSet)
	return Plan{Changes: append(changes, cause...)}, err
}

// template is a pod template without the label that tells the ReplicaSets of a Deployment apart: no Deployment has it.
type template struct {
	typed   corev1.PodTemplateSpec
	content map[string]any
	// replicaSet is the ReplicaSet that it belongs to, and revision its revision; nil and 0 for that of the Deployment itself.
	replicaSet *unstructured.Unstructured
	revision   int64
}

func templateOf(object *unstructured.Unstructured) (template, error) {
	content, found, err := unstructured.NestedMap(object.Object, "spec", "template")
	if err != nil {
		return template{}, err
	}
	if !found {
		return template{}, fmt.Errorf("%s %s has no spec.template", object.GetKind(), object.GetName())
	}
	unstructured.RemoveNestedField(content, "metadata", "labels", appsv1.DefaultDeploymentUniqueLabelKey)
	t := template{content: content}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(content, &t.typed); err != nil {
		return template{}, fmt.Errorf("%s %s: %w", object.GetKind(), object.GetName(), err)
	}
	return t, nil
}

// replicaSetsOf lists the ReplicaSets that the Deployment controls, as kubectl's GetAllReplicaSets does. That one wants another
// kind of client, takes no context, and brings kustomize along.
func replicaSetsOf(ctx context.Context, reader client.Reader, deployment *unstructured.Unstructured) ([]unstructured.Unstructured, error) {
	content, _, err := unstructured.NestedMap(deployment.Object, "spec", "selector")
	if err != nil {
		return nil, err
	}
	var labelSelector metav1.LabelSelector
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(content, &labelSelector); err != nil {
		return nil, err
	}
	selector, err := metav1.LabelSelectorAsSelector(&labelSelector)
	if err != nil {
		return nil, err
	}
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(appsv1.SchemeGroupVersion.WithKind("ReplicaSetList"))
	if err := reader.List(ctx, list, client.InNamespace(deployment.GetNamespace()), client.MatchingLabelsSelector{Selector: selector}); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(list.Items, func(replicaSet unstructured.Unstructured) bool {
		return !metav1.IsControlledBy(&replicaSet, deployment)
	}), nil
}

// chooseRevision finds the template of the wanted revision. 0 is the previous one: the newest that does not have the current
// template. kubectl takes the second newest, which is the same as soon as the Deployment controller has made a ReplicaSet of
// the current template, and is one too far back before that.
func chooseRevision(replicaSets []unstructured.Unstructured, current template, wanted int64, target *shared.Target) (template, error) {
	var previous template
	var revisions []int64
	for i := range replicaSets {
		revision, err := strconv.ParseInt(replicaSets[i].GetAnnotations()[annotationRevision], 10, 64)
		if err != nil || revision <= 0 {
			continue // not numbered yet
		}
		revisions = append(revisions, revision)
		if wanted > 0 && wanted != revision {
			continue
		}
		candidate, err := templateOf(&replicaSets[i])
		if err != nil {
			return template{}, err
		}
		candidate.replicaSet, candidate.revision = &replicaSets[i], revision
		if wanted > 0 {
			return candidate, nil
		}
		if revision > previous.revision && !equality.Semantic.DeepEqual(candidate.typed, current.typed) {
			previous = candidate
		}
	}
	switch {
	case previous.replicaSet != nil:
		return previous, nil
	case wanted > 0:
		return template{}, machinery.Typed(shared.ErrorResourceNotFound, fmt.Errorf("%s has no revision %d; %s", target, wanted, known(revisions)))
	default:
		return template{}, machinery.Typed(shared.ErrorValidation, fmt.Errorf("%s has no previous revision to return to; %s", target, known(revisions)))
	}
}

// known names revisions for people.
func known(revisions []int64) string {
	if len(revisions) == 0 {
		return "it keeps no revisions (see spec.revisionHistoryLimit)"
	}
	slices.Sort(revisions)
	names := make([]string, len(revisions))
	for i, revision := range revisions {
		names[i] = strconv.FormatInt(revision, 10)
	}
	return "it has " + strings.Join(names, ", ")
}

// changeCause returns the annotation of that name to what it was for the revision.
func changeCause(deployment, replicaSet *unstructured.Unstructured) ([]shared.FieldChange, error) {
	value := func(object *unstructured.Unstructured) any {
		if cause, ok := object.GetAnnotations()[annotationChangeCause]; ok {
			return cause
		}
		return nil
	}
	before, after := value(deployment), value(replicaSet)
	if after != nil && len(deployment.GetAnnotations()) == 0 {
		return fields.Diff("/metadata/annotations", nil, map[string]any{annotationChangeCause: after})
	}
	return fields.Diff(fields.Pointer("metadata", "annotations", annotationChangeCause), before, after)
}

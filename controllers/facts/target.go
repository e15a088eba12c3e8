package facts

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/controllers/kubernetesexecution"
	"kubernaut.io/kubernaut/policies/gate"
)

// maxOwners bounds an owner chain: owner references can form a circle.
const maxOwners = 10

func (b builder) target(ctx context.Context, cache client.Reader, workflow *workflowexecutionv1.WorkflowExecution, question kubernetesexecution.JudgeRequest) {
	target := question.Preparation.Target
	if target == nil {
		return
	}
	b.input.Target = gate.Target{APIVersion: new(target.APIVersion), Kind: new(target.Kind), Name: new(target.Name)}
	if target.Namespace != "" {
		b.input.Target.Namespace = new(target.Namespace)
	}
	b.expected(workflow, question)
	live := question.Preparation.Live
	if live == nil {
		for _, path := range []string{"object", "drift.found", "owners", "gitops", "hpa", "pdbs"} {
			b.missing("target."+path, "the target was not read")
		}
		return
	}
	b.input.Target.Object = gate.SanitizeObject(live)
	b.input.Target.Drift.Found = identityOf(string(live.GetUID()), live.GetGeneration())
	b.input.Target.GitOps = gitOps(live)
	b.owners(ctx, cache, live)
	b.hpa(ctx, cache, live)
	b.pdbs(ctx, cache, live)
}

// expected is the state of the target that the workflow rests on.
func (b builder) expected(workflow *workflowexecutionv1.WorkflowExecution, question kubernetesexecution.JudgeRequest) {
	if expected := question.Expected; expected != nil {
		b.input.Target.Drift.Expected = identityOf(string(expected.UID), expected.Generation)
		return
	}
	if plan := workflow.Status.Plan; plan != nil {
		for _, planned := range plan.Targets {
			if planned.Key() == question.Preparation.Target.Key() && planned.UID != "" {
				b.input.Target.Drift.Expected = identityOf(planned.UID, planned.Generation)
				return
			}
		}
	}
	b.missing("target.drift.expected", "the workflow has not been validated yet")
}

func identityOf(uid string, generation int64) gate.Identity {
	identity := gate.Identity{UID: &uid}
	if generation > 0 {
		identity.Generation = &generation
	}
	return identity
}

// Marks that GitOps tools leave on the objects they manage.
const (
	argoCDTracking = "argocd.argoproj.io/tracking-id"
	argoCDInstance = "argocd.argoproj.io/instance"
	// commonInstance is Argo CD's label for tracking unless an admin chose another one. Others set it too, Helm for one, so it
	// counts only on an object that Argo CD has written.
	commonInstance = "app.kubernetes.io/instance"
	fluxKustomize  = "kustomize.toolkit.fluxcd.io/name"
	fluxHelm       = "helm.toolkit.fluxcd.io/name"
)

// argoCDWriters are the field managers of Argo CD's writes, by version.
func argoCDWriters() []string { return []string{"argocd-controller", "argocd-application-controller"} }

func gitOps(object *unstructured.Unstructured) gate.GitOps {
	found := func(tool shared.GitOpsTool, application string) gate.GitOps {
		return gate.GitOps{Managed: new(true), Tool: new(string(tool)), Application: known(application)}
	}
	marks, annotations := object.GetLabels(), object.GetAnnotations()
	if id := annotations[argoCDTracking]; id != "" {
		application, _, _ := strings.Cut(id, ":")
		return found(shared.GitOpsArgoCD, application)
	}
	if name := marks[argoCDInstance]; name != "" {
		return found(shared.GitOpsArgoCD, name)
	}
	for _, label := range []string{fluxKustomize, fluxHelm} {
		if name := marks[label]; name != "" {
			return found(shared.GitOpsFlux, name)
		}
	}
	writtenByArgoCD := func() bool { // which is asked last, because the whole history has to be read for it
		return slices.ContainsFunc(object.GetManagedFields(), func(entry metav1.ManagedFieldsEntry) bool {
			return slices.Contains(argoCDWriters(), entry.Manager)
		})
	}
	if name := marks[commonInstance]; name != "" && writtenByArgoCD() {
		return found(shared.GitOpsArgoCD, name)
	}
	return gate.GitOps{Managed: new(false)}
}

// owners are the controllers above the target.
func (b builder) owners(ctx context.Context, cache client.Reader, live *unstructured.Unstructured) {
	chain, err := ownersOf(ctx, cache, live)
	b.input.Target.Owners = chain
	if err != nil {
		b.missing("target.owners", err.Error())
	}
}

// Owners are the controllers above an object, the nearest first, as far as they can be followed. Its error says that the cache
// could not be read.
func (f *Facts) Owners(ctx context.Context, live *unstructured.Unstructured) ([]shared.OwnedObject, error) {
	chain, err := ownersOf(ctx, f.Cache, live)
	if errors.Is(err, errNotFollowed) {
		err = nil
	}
	return chain, err
}

// errNotFollowed says that an owner is known by its name only: it is gone, or of a kind that is not read.
var errNotFollowed = errors.New("it is not followed further")

// ownersOf follows the chain of controllers. Who the first one is stands on the target; the others are read from the cache. With an
// error comes the chain as far as it is known.
func ownersOf(ctx context.Context, cache client.Reader, live *unstructured.Unstructured) ([]shared.OwnedObject, error) {
	chain := []shared.OwnedObject{}
	var object metav1.Object = live
	for len(chain) < maxOwners {
		owner := metav1.GetControllerOf(object)
		if owner == nil {
			return chain, nil
		}
		chain = append(chain, shared.OwnedObject{APIVersion: owner.APIVersion, Kind: owner.Kind, Name: owner.Name, UID: owner.UID})
		next, err := ownerOf(ctx, cache, live.GetNamespace(), owner)
		if err != nil {
			return chain, fmt.Errorf("the owner of %s %s: %w", owner.Kind, owner.Name, err)
		}
		object = next
	}
	return chain, fmt.Errorf("the chain has more than %d links: %w", maxOwners, errNotFollowed)
}

// ownerOf reads an owner of a kind that facts are read from. ReplicaSets are held without their spec, of which there are many
// copies, and only once a target is owned by one.
func ownerOf(ctx context.Context, cache client.Reader, namespace string, owner *metav1.OwnerReference) (metav1.Object, error) {
	var object client.Object
	kind := schema.FromAPIVersionAndKind(owner.APIVersion, owner.Kind)
	switch kind.GroupKind() {
	case schema.GroupKind{Group: appsv1.GroupName, Kind: "Deployment"}:
		object = &appsv1.Deployment{}
	case schema.GroupKind{Group: appsv1.GroupName, Kind: "StatefulSet"}:
		object = &appsv1.StatefulSet{}
	case schema.GroupKind{Group: appsv1.GroupName, Kind: "DaemonSet"}:
		object = &appsv1.DaemonSet{}
	case schema.GroupKind{Group: appsv1.GroupName, Kind: "ReplicaSet"}:
		partial := &metav1.PartialObjectMetadata{}
		partial.SetGroupVersionKind(appsv1.SchemeGroupVersion.WithKind("ReplicaSet"))
		object = partial
	default:
		return nil, fmt.Errorf("objects of %s are not read: %w", kind.GroupKind(), errNotFollowed)
	}
	err := cache.Get(ctx, client.ObjectKey{Namespace: namespace, Name: owner.Name}, object)
	if apierrors.IsNotFound(err) || err == nil && object.GetUID() != owner.UID {
		return nil, fmt.Errorf("it is gone: %w", errNotFollowed)
	}
	if err != nil {
		return nil, err
	}
	return object, nil
}

// hpa finds what scales the target, or one of its owners, which then scales the target.
func (b builder) hpa(ctx context.Context, cache client.Reader, live *unstructured.Unstructured) {
	keys := []string{scaledKey(live.GroupVersionKind().GroupKind(), live.GetName())}
	for _, owner := range b.input.Target.Owners {
		keys = append(keys, scaledKey(schema.FromAPIVersionAndKind(owner.APIVersion, owner.Kind).GroupKind(), owner.Name))
	}
	for _, key := range keys {
		var list autoscalingv2.HorizontalPodAutoscalerList
		err := cache.List(ctx, &list, client.InNamespace(live.GetNamespace()), client.MatchingFields{indexScaled: key}, client.UnsafeDisableDeepCopy)
		if err != nil {
			b.missing("target.hpa", err.Error())
			return
		}
		if len(list.Items) == 0 {
			continue
		}
		// More than one is a mistake of which the first by name is as good a witness as any.
		first := &list.Items[0]
		for i := range list.Items {
			if list.Items[i].Name < first.Name {
				first = &list.Items[i]
			}
		}
		minimum := int32(1)
		if first.Spec.MinReplicas != nil {
			minimum = *first.Spec.MinReplicas
		}
		b.input.Target.HPA = gate.HPA{
			Present: new(true), Name: new(first.Name), MinReplicas: &minimum, MaxReplicas: new(first.Spec.MaxReplicas),
		}
		return
	}
	b.input.Target.HPA.Present = new(false)
}

// pdbs finds the budgets that select the pods of the target, by the labels of its template: that is what its next pods have.
func (b builder) pdbs(ctx context.Context, cache client.Reader, live *unstructured.Unstructured) {
	pods, known := podLabels(live)
	if !known {
		b.missing("target.pdbs", "which pods belong to a "+live.GetKind()+" is not known")
		return
	}
	var list policyv1.PodDisruptionBudgetList
	if err := cache.List(ctx, &list, client.InNamespace(live.GetNamespace()), client.UnsafeDisableDeepCopy); err != nil {
		b.missing("target.pdbs", err.Error())
		return
	}
	found := []gate.PDB{}
	for i := range list.Items {
		budget := &list.Items[i]
		selector, err := metav1.LabelSelectorAsSelector(budget.Spec.Selector)
		if err != nil {
			b.missing("target.pdbs", fmt.Sprintf("the selector of PodDisruptionBudget %s: %v", budget.Name, err))
			return
		}
		if selector.Matches(pods) {
			found = append(found, b.pdb(budget))
		}
	}
	slices.SortFunc(found, func(x, y gate.PDB) int { return strings.Compare(x.Name, y.Name) })
	b.input.Target.PDBs = found
}

func (b builder) pdb(budget *policyv1.PodDisruptionBudget) gate.PDB {
	status := &budget.Status
	if status.ObservedGeneration < budget.Generation {
		b.missing("target.pdbs", fmt.Sprintf("the status of PodDisruptionBudget %s is not up to date", budget.Name))
		return gate.PDB{Name: budget.Name}
	}
	return gate.PDB{
		Name: budget.Name, DisruptionsAllowed: new(status.DisruptionsAllowed), CurrentHealthy: new(status.CurrentHealthy),
		DesiredHealthy: new(status.DesiredHealthy), ExpectedPods: new(status.ExpectedPods),
	}
}

// podLabels are the labels of the pods of a workload, or those of a pod.
func podLabels(live *unstructured.Unstructured) (labels.Set, bool) {
	if isPod(live) {
		return live.GetLabels(), true
	}
	if live.GroupVersionKind().Group != appsv1.GroupName {
		return nil, false
	}
	set, _, err := unstructured.NestedStringMap(live.Object, "spec", "template", "metadata", "labels")
	return set, err == nil
}

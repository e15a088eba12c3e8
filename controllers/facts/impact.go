package facts

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"kubernaut.io/kubernaut/api/shared"
	"kubernaut.io/kubernaut/controllers/kubernetesexecution/effects"
	"kubernaut.io/kubernaut/policies/gate"
)

func (b builder) impact(ctx context.Context, cache client.Reader, preparation *effects.Preparation) {
	if reason := untried(preparation); reason != "" {
		b.missing("impact.changes", reason)
	} else {
		b.input.Impact.Changes = []gate.Change{}
		for _, change := range preparation.DryRun {
			b.input.Impact.Changes = append(b.input.Impact.Changes, gate.Change{
				Path: change.Path, Before: value(change.Before), After: value(change.After),
			})
		}
	}
	if preparation.Target == nil {
		b.input.Impact.PodsAffected, b.input.Impact.PodsAffectedPercent = new(int32(0)), new(int32(0))
		return
	}
	if live := preparation.Live; live != nil && isPod(live) {
		b.pod(ctx, cache, preparation)
		return
	}
	b.pods(preparation)
}

// pod says whether a pod ends, and what part that is of the workload that it belongs to.
func (b builder) pod(ctx context.Context, cache client.Reader, preparation *effects.Preparation) {
	affected := int64(0)
	if preparation.Deletes {
		affected = 1
	}
	b.input.Impact.PodsAffected = new(int32(affected))
	all, err := siblings(ctx, cache, preparation.Live, b.input.Target.Owners)
	if err != nil {
		b.missing("impact.podsAffectedPercent", err.Error())
		return
	}
	b.input.Impact.PodsAffectedPercent = new(percentage(affected, all))
}

// siblings counts the pods of the workload at the end of a pod's chain of owners. A pod without any is all there is.
func siblings(ctx context.Context, cache client.Reader, live *unstructured.Unstructured, owners []shared.OwnedObject) (int64, error) {
	if len(owners) == 0 {
		return 1, nil
	}
	root := owners[len(owners)-1]
	key := client.ObjectKey{Namespace: live.GetNamespace(), Name: root.Name}
	var object client.Object
	var count func() int32
	switch (shared.Target{APIVersion: root.APIVersion, Kind: root.Kind}).GroupVersionKind().GroupKind() {
	case schema.GroupKind{Group: appsv1.GroupName, Kind: "Deployment"}:
		deployment := &appsv1.Deployment{}
		object, count = deployment, func() int32 { return deployment.Status.Replicas }
	case schema.GroupKind{Group: appsv1.GroupName, Kind: "StatefulSet"}:
		set := &appsv1.StatefulSet{}
		object, count = set, func() int32 { return set.Status.Replicas }
	case schema.GroupKind{Group: appsv1.GroupName, Kind: "DaemonSet"}:
		set := &appsv1.DaemonSet{}
		object, count = set, func() int32 { return set.Status.CurrentNumberScheduled }
	default:
		return 0, fmt.Errorf("how many pods %s %s has is not read", root.Kind, root.Name)
	}
	if err := cache.Get(ctx, key, object); err != nil {
		return 0, fmt.Errorf("how many pods %s %s has: %w", root.Kind, root.Name, err)
	}
	return int64(count()), nil
}

func isPod(live *unstructured.Unstructured) bool {
	return live.GroupVersionKind() == corev1.SchemeGroupVersion.WithKind("Pod")
}

// percentage rounds up: a part is never nothing.
func percentage(affected, all int64) int32 {
	if affected == 0 {
		return 0
	}
	return int32(min(100, (100*affected+all-1)/max(all, 1))) //nolint:gosec // at most 100
}

// pods counts the pods that end.
func (b builder) pods(preparation *effects.Preparation) {
	affected, all, reason := podsAffected(preparation)
	if reason != "" {
		b.missing("impact.podsAffected", reason)
		b.missing("impact.podsAffectedPercent", reason)
		return
	}
	b.input.Impact.PodsAffected = new(int32(affected)) //nolint:gosec // the API's own fields are 32 bits wide
	b.input.Impact.PodsAffectedPercent = new(percentage(affected, all))
}

// Paths of the fields whose change ends pods.
const (
	pathReplicas = "/spec/replicas"
	pathTemplate = "/spec/template"
)

const pathUnschedulable = "/spec/unschedulable"

// podsAffected counts the pods of a workload that end by the changes, and all that it has; or it gives the reason why that is
// not known. What the dry run says includes what admission adds.
func podsAffected(preparation *effects.Preparation) (affected, all int64, reason string) {
	live := preparation.Live
	if live == nil {
		return 0, 0, "the target was not read"
	}
	if live.GroupVersionKind() == corev1.SchemeGroupVersion.WithKind("Node") && onlyScheduling(preparation) {
		return 0, 0, "" // it concerns new pods; those that run there stay
	}
	if live.GroupVersionKind().Group != appsv1.GroupName {
		return 0, 0, "which pods a change of a " + live.GetKind() + " ends is not known"
	}
	for _, change := range slices.Concat(preparation.Changes, preparation.DryRun) {
		ends, of, known := endsPods(live, change)
		if !known {
			return 0, 0, "how many pods it has is not known"
		}
		if ends > affected {
			affected, all = ends, of
		}
	}
	return affected, all, ""
}

// onlyScheduling says that nothing of a node changes but whether it takes new pods.
func onlyScheduling(preparation *effects.Preparation) bool {
	return !slices.ContainsFunc(slices.Concat(preparation.Changes, preparation.DryRun), func(change shared.FieldChange) bool {
		return change.Path != pathUnschedulable
	})
}

// endsPods counts the pods that one change ends, and all that there are.
func endsPods(workload *unstructured.Unstructured, change shared.FieldChange) (ends, of int64, known bool) {
	switch {
	case change.Path == pathReplicas:
		from, known := replicas(value(change.Before), 1)
		to, alsoKnown := replicas(value(change.After), 1)
		return max(0, from-to), from, known && alsoKnown
	case change.Path == pathTemplate, strings.HasPrefix(change.Path, pathTemplate+"/"):
		pods, known := podsOf(workload)
		return pods, pods, known
	case change.Path == "/spec":
		return 0, 0, false
	default:
		return 0, 0, true
	}
}

// replicas reads a number of replicas; absent is what the API server fills in.
func replicas(value any, absent int64) (int64, bool) {
	switch value := value.(type) {
	case nil:
		return absent, true
	case float64:
		return int64(value), true
	default:
		return 0, false
	}
}

// podsOf counts the pods that a workload has now.
func podsOf(workload *unstructured.Unstructured) (int64, bool) {
	field := "replicas"
	if workload.GetKind() == string(shared.WorkloadDaemonSet) {
		field = "currentNumberScheduled"
	}
	pods, found, err := unstructured.NestedInt64(workload.Object, "status", field)
	if err != nil {
		return 0, false
	}
	if found {
		return pods, true
	}
	// The API leaves out a zero; without any status the controller has not looked at the workload yet.
	_, observed, err := unstructured.NestedInt64(workload.Object, "status", "observedGeneration")
	return 0, err == nil && observed
}

func (b builder) rollback(preparation *effects.Preparation) {
	inverse := preparation.Inverse
	b.input.Rollback = gate.Rollback{Available: new(inverse != nil && inverse.AbsentReason == ""), Proven: preparation.RollbackProven}
	b.input.Rollback.Restores = []gate.RestoredField{}
	if inverse.Restores() {
		for _, field := range inverse.Fields {
			b.input.Rollback.Restores = append(b.input.Rollback.Restores, gate.RestoredField{Path: field.Path, Value: value(field.Before)})
		}
	}
	if reason := untried(preparation); reason != "" {
		b.missing("rollback.proven", reason)
	}
}

// untried says why nothing is known from a dry run; empty when it is, or when the action has no target.
func untried(preparation *effects.Preparation) string {
	switch {
	case preparation.Target == nil, preparation.RollbackProven != nil:
		return ""
	case preparation.DryRunUnsupported != "":
		return "the API server could not try the change: " + preparation.DryRunUnsupported
	default:
		return "no dry run was made"
	}
}

func value(raw *apiextensionsv1.JSON) any {
	if raw == nil {
		return nil
	}
	var out any
	if err := json.Unmarshal(raw.Raw, &out); err != nil {
		return string(raw.Raw)
	}
	return out
}

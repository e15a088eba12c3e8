package remediationprocessing

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"kubernaut.io/kubernaut/api/shared"
)

// mostRevisions is the bound of the API.
const mostRevisions = 16

const (
	// annotationRevision is where the Deployment controller writes the number of a revision.
	annotationRevision = "deployment.kubernetes.io/revision"
	// annotationRestarted is what kubectl rollout restart writes into a pod template.
	annotationRestarted = "kubectl.kubernetes.io/restartedAt"
)

// history is what a Deployment runs and has run.
type history struct {
	// revisions are those that it keeps, the newest first. One that has no number yet is left out, and one that an earlier workflow
	// of the request rolled out and that was left again: it is no state to return to.
	revisions []shared.Revision
	// numbers are the revisions by the UIDs of their ReplicaSets.
	numbers map[types.UID]int64
	// changedAt is the time before which it did not run what it runs now; nil when no revision is kept that runs anything else.
	changedAt *metav1.Time
}

// historyOf is the history of a Deployment; begun is since when earlier workflows of the request have had effects, nil when none had.
func historyOf(deployment metav1.Object, replicaSets []appsv1.ReplicaSet, begun *metav1.Time) history {
	h := history{numbers: map[types.UID]int64{}}
	var current *appsv1.ReplicaSet
	for i := range replicaSets {
		if number := revisionNumber(&replicaSets[i]); number > 0 {
			h.numbers[replicaSets[i].UID] = number
			if replicaSets[i].Annotations[annotationRevision] == deployment.GetAnnotations()[annotationRevision] {
				current = &replicaSets[i]
			}
		}
	}
	var same, different []time.Time
	for i := range replicaSets {
		replicaSet := &replicaSets[i]
		number := h.numbers[replicaSet.UID]
		if number == 0 {
			continue
		}
		revision := shared.Revision{
			Number: number, Current: replicaSet == current, AvailableReplicas: replicaSet.Status.AvailableReplicas,
			CreatedAt:     new(replicaSet.CreationTimestamp),
			SameAsCurrent: current != nil && runsTheSame(&replicaSet.Spec.Template, &current.Spec.Template),
		}
		if !revision.SameAsCurrent && begun != nil && !replicaSet.CreationTimestamp.Before(begun) {
			continue
		}
		if revision.SameAsCurrent {
			same = append(same, replicaSet.CreationTimestamp.Time)
		} else {
			different = append(different, replicaSet.CreationTimestamp.Time)
		}
		h.revisions = append(h.revisions, revision)
	}
	slices.SortFunc(h.revisions, func(a, b shared.Revision) int { return cmp.Compare(b.Number, a.Number) })
	h.revisions = h.revisions[:min(len(h.revisions), mostRevisions)]
	if len(same) > 0 && len(different) > 0 {
		// A revision that was returned to is older than what it replaced, and has run again only since then.
		changed := slices.MinFunc(same, time.Time.Compare)
		if latest := slices.MaxFunc(different, time.Time.Compare); latest.After(changed) {
			changed = latest
		}
		h.changedAt = new(metav1.NewTime(changed))
	}
	return h
}

// revisionNumber is 0 for what has no number yet.
func revisionNumber(replicaSet *appsv1.ReplicaSet) int64 {
	number, err := strconv.ParseInt(replicaSet.Annotations[annotationRevision], 10, 64)
	if err != nil {
		return 0
	}
	return max(number, 0)
}

// runsTheSame compares pod templates, apart from what tells ReplicaSets apart and from when they were restarted.
func runsTheSame(a, b *corev1.PodTemplateSpec) bool {
	without := func(all map[string]string, key string) map[string]string {
		rest := maps.Clone(all)
		delete(rest, key)
		return rest
	}
	return equality.Semantic.DeepEqual(a.Spec, b.Spec) &&
		equality.Semantic.DeepEqual(without(a.Annotations, annotationRestarted), without(b.Annotations, annotationRestarted)) &&
		equality.Semantic.DeepEqual(without(a.Labels, appsv1.DefaultDeploymentUniqueLabelKey), without(b.Labels, appsv1.DefaultDeploymentUniqueLabelKey))
}

package remediationprocessing

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"kubernaut.io/kubernaut/api/shared"
)

// replicaSetOf is a ReplicaSet that was made some minutes after the Deployment.
func replicaSetOf(number string, minutes int, image, restarted string) appsv1.ReplicaSet {
	annotations := map[string]string{"team": "shop"}
	if restarted != "" {
		annotations[annotationRestarted] = restarted
	}
	return appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{
			UID: types.UID("rs-" + number), Annotations: map[string]string{annotationRevision: number},
			CreationTimestamp: metav1.NewTime(began.Add(time.Duration(minutes) * time.Minute)),
		},
		Spec: appsv1.ReplicaSetSpec{Template: corev1.PodTemplateSpec{
			ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "cart", appsv1.DefaultDeploymentUniqueLabelKey: "h" + number}, Annotations: annotations},
			Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: image}}},
		}},
	}
}

func TestHistory(t *testing.T) {
	t.Parallel()
	at := func(minutes int) *metav1.Time {
		return new(metav1.NewTime(began.Add(time.Duration(minutes) * time.Minute)))
	}
	serving := func(replicaSet appsv1.ReplicaSet, available int32) appsv1.ReplicaSet {
		replicaSet.Status.AvailableReplicas = available
		return replicaSet
	}
	tests := map[string]struct {
		current     string
		begun       *metav1.Time
		replicaSets []appsv1.ReplicaSet
		want        []shared.Revision
		wantChanged *metav1.Time
	}{
		"a first release is no change": {
			current: "1", replicaSets: []appsv1.ReplicaSet{replicaSetOf("1", 0, "cart:1", "")},
			want: []shared.Revision{{Number: 1, Current: true, SameAsCurrent: true, CreatedAt: at(0)}},
		},
		"a release is a change; earlier revisions go on serving": {
			current: "10", replicaSets: []appsv1.ReplicaSet{replicaSetOf("9", 5, "cart:2", ""), serving(replicaSetOf("8", 0, "cart:1", ""), 2), replicaSetOf("10", 9, "cart:3", "")},
			want: []shared.Revision{
				{Number: 10, Current: true, SameAsCurrent: true, CreatedAt: at(9)}, {Number: 9, CreatedAt: at(5)}, {Number: 8, AvailableReplicas: 2, CreatedAt: at(0)},
			},
			wantChanged: at(9),
		},
		"a restart is none": {
			current: "3", replicaSets: []appsv1.ReplicaSet{replicaSetOf("1", 0, "cart:1", ""), replicaSetOf("2", 5, "cart:2", ""), replicaSetOf("3", 9, "cart:2", "now")},
			want: []shared.Revision{
				{Number: 3, Current: true, SameAsCurrent: true, CreatedAt: at(9)}, {Number: 2, SameAsCurrent: true, CreatedAt: at(5)}, {Number: 1, CreatedAt: at(0)},
			},
			wantChanged: at(5),
		},
		"a revision that was returned to has run again since what it replaced": {
			current: "3", replicaSets: []appsv1.ReplicaSet{replicaSetOf("3", 0, "cart:1", ""), replicaSetOf("2", 5, "cart:2", "")},
			want:        []shared.Revision{{Number: 3, Current: true, SameAsCurrent: true, CreatedAt: at(0)}, {Number: 2, CreatedAt: at(5)}},
			wantChanged: at(5),
		},
		"what an earlier workflow tried and left again is no change, and nothing to return to": {
			current: "5", begun: at(9), replicaSets: []appsv1.ReplicaSet{replicaSetOf("3", 0, "cart:1", ""), replicaSetOf("5", 5, "cart:2", ""), replicaSetOf("4", 9, "cart:3", "")},
			want:        []shared.Revision{{Number: 5, Current: true, SameAsCurrent: true, CreatedAt: at(5)}, {Number: 3, CreatedAt: at(0)}},
			wantChanged: at(5),
		},
		"what an earlier workflow left behind is a change": {
			current: "2", begun: at(9), replicaSets: []appsv1.ReplicaSet{replicaSetOf("1", 0, "cart:1", ""), replicaSetOf("2", 9, "cart:2", "")},
			want:        []shared.Revision{{Number: 2, Current: true, SameAsCurrent: true, CreatedAt: at(9)}, {Number: 1, CreatedAt: at(0)}},
			wantChanged: at(9),
		},
		"what has no number is left out": {
			current: "1", replicaSets: []appsv1.ReplicaSet{replicaSetOf("1", 0, "cart:1", ""), replicaSetOf("", 1, "cart:2", ""), replicaSetOf("x", 1, "cart:2", ""), replicaSetOf("-1", 1, "cart:2", "")},
			want: []shared.Revision{{Number: 1, Current: true, SameAsCurrent: true, CreatedAt: at(0)}},
		},
		"without a current revision none is the same as it": {
			current: "2", replicaSets: []appsv1.ReplicaSet{replicaSetOf("1", 0, "cart:1", "")},
			want: []shared.Revision{{Number: 1, CreatedAt: at(0)}},
		},
	}
	for sentence, test := range tests {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			deployment := &metav1.ObjectMeta{Annotations: map[string]string{annotationRevision: test.current}}
			got := historyOf(deployment, test.replicaSets, test.begun)
			if diff := cmp.Diff(test.want, got.revisions); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.wantChanged, got.changedAt); diff != "" {
				t.Errorf("changed (-want +got):\n%s", diff)
			}
			for _, revision := range got.revisions {
				if uid := types.UID(fmt.Sprint("rs-", revision.Number)); got.numbers[uid] != revision.Number {
					t.Errorf("%s has number %d", uid, got.numbers[uid])
				}
			}
		})
	}
}

func TestHistoryIsBounded(t *testing.T) {
	t.Parallel()
	var many []appsv1.ReplicaSet
	for i := range 30 {
		many = append(many, replicaSetOf(fmt.Sprint(i+1), i, fmt.Sprint("cart:", i), ""))
	}
	deployment := &metav1.ObjectMeta{Annotations: map[string]string{annotationRevision: "30"}}
	if got := historyOf(deployment, many, nil); len(got.revisions) != mostRevisions || got.revisions[0].Number != 30 {
		t.Errorf("got %+v", got.revisions)
	}
}

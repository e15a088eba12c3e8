package cluster

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// MissingImageSuffix is how the tag of an image ends that no node can pull, as on the local cluster.
const MissingImageSuffix = "-missing"

// unwatchedPause is how long the watch waits until it begins again when it broke off.
const unwatchedPause = 100 * time.Millisecond

// Workloads writes the status of Deployments as the Deployment controller would: all replicas available at once, or, when an image
// cannot be pulled, none of the new ones and the progress deadline exceeded. A Deployment that is held back keeps the status that
// it has.
type Workloads struct {
	client client.WithWatch
	cancel context.CancelFunc
	ended  chan struct{}

	mutex sync.Mutex
	held  map[client.ObjectKey]bool
}

func startWorkloads(c client.WithWatch) (*Workloads, error) {
	ctx, cancel := context.WithCancel(context.Background())
	w := &Workloads{client: c, cancel: cancel, ended: make(chan struct{}), held: map[client.ObjectKey]bool{}}
	watcher, err := w.watch(ctx)
	if err != nil {
		cancel()
		return nil, err
	}
	go w.run(ctx, watcher)
	return w, nil
}

func (w *Workloads) stop() error {
	w.cancel()
	<-w.ended
	return nil
}

// Hold keeps the status of a Deployment as it is, made already or not, until Release.
func (w *Workloads) Hold(deployment client.ObjectKey) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.held[deployment] = true
}

// Release reports on a Deployment again, and on what happened to it since Hold.
func (w *Workloads) Release(ctx context.Context, deployment client.ObjectKey) error {
	w.mutex.Lock()
	delete(w.held, deployment)
	w.mutex.Unlock()
	var live appsv1.Deployment
	if err := w.client.Get(ctx, deployment, &live); err != nil {
		return err
	}
	return w.report(ctx, &live)
}

func (w *Workloads) isHeld(deployment client.ObjectKey) bool {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	return w.held[deployment]
}

func (w *Workloads) watch(ctx context.Context) (watch.Interface, error) {
	watcher, err := w.client.Watch(ctx, &appsv1.DeploymentList{})
	if err != nil {
		return nil, fmt.Errorf("watching Deployments: %w", err)
	}
	return watcher, nil
}

// run reports until the context ends. A watch that begins again tells of every Deployment that there is.
func (w *Workloads) run(ctx context.Context, watcher watch.Interface) {
	defer close(w.ended)
	for ctx.Err() == nil {
		if watcher != nil {
			w.follow(ctx, watcher)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(unwatchedPause):
		}
		watcher, _ = w.watch(ctx) // tried again if it fails
	}
}

func (w *Workloads) follow(ctx context.Context, watcher watch.Interface) {
	defer watcher.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case event, open := <-watcher.ResultChan():
			if !open {
				return
			}
			deployment, is := event.Object.(*appsv1.Deployment)
			if is && event.Type != watch.Deleted && !w.isHeld(client.ObjectKeyFromObject(deployment)) {
				_ = w.report(ctx, deployment) // what failed for good shows as a rollout that does not end
			}
		}
	}
}

// report writes the status unless it says so already. Somebody who wrote the Deployment meanwhile does not keep it from that.
func (w *Workloads) report(ctx context.Context, deployment *appsv1.Deployment) error {
	for {
		status := statusFor(deployment)
		if equality.Semantic.DeepEqual(status, deployment.Status) {
			return nil
		}
		deployment.Status = status
		err := w.client.Status().Update(ctx, deployment)
		if !apierrors.IsConflict(err) {
			return client.IgnoreNotFound(err)
		}
		if err := w.client.Get(ctx, client.ObjectKeyFromObject(deployment), deployment); err != nil {
			return errors.Join(client.IgnoreNotFound(err), ctx.Err())
		}
	}
}

func statusFor(deployment *appsv1.Deployment) appsv1.DeploymentStatus {
	replicas := int32(1)
	if deployment.Spec.Replicas != nil {
		replicas = *deployment.Spec.Replicas
	}
	status := appsv1.DeploymentStatus{ObservedGeneration: deployment.Generation, Replicas: replicas, UpdatedReplicas: replicas}
	if missesImage(deployment) {
		status.UnavailableReplicas = replicas
		status.Conditions = []appsv1.DeploymentCondition{
			{Type: appsv1.DeploymentAvailable, Status: corev1.ConditionFalse, Reason: "MinimumReplicasUnavailable", Message: "Deployment does not have minimum availability."},
			{Type: appsv1.DeploymentProgressing, Status: corev1.ConditionFalse, Reason: "ProgressDeadlineExceeded", Message: "ReplicaSet has timed out progressing."},
		}
		return status
	}
	status.AvailableReplicas, status.ReadyReplicas = replicas, replicas
	status.Conditions = []appsv1.DeploymentCondition{
		{Type: appsv1.DeploymentAvailable, Status: corev1.ConditionTrue, Reason: "MinimumReplicasAvailable", Message: "Deployment has minimum availability."},
		{Type: appsv1.DeploymentProgressing, Status: corev1.ConditionTrue, Reason: "NewReplicaSetAvailable", Message: "ReplicaSet has successfully progressed."},
	}
	return status
}

func missesImage(deployment *appsv1.Deployment) bool {
	for _, container := range deployment.Spec.Template.Spec.Containers {
		if strings.HasSuffix(container.Image, MissingImageSuffix) {
			return true
		}
	}
	return false
}

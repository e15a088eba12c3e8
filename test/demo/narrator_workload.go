package main

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

// reasonDeadlineExceeded is the reason of the condition Progressing when a rollout sticks.
const reasonDeadlineExceeded = "ProgressDeadlineExceeded"

func (t *telling) deployment(d *appsv1.Deployment) {
	switch {
	case rolledOut(d):
		t.once(fmt.Sprint("rolled out ", d.Generation), note{
			actor: actorDeployment, tone: good,
			text: fmt.Sprintf("%s is rolled out: %d pods run %s", d.Name, d.Status.AvailableReplicas, imageOf(d)),
		})
	case stuck(d):
		t.once(fmt.Sprint("stuck ", d.Generation), note{
			actor: actorDeployment, tone: bad, text: fmt.Sprintf("%s is stuck: %s", d.Name, replicasText(d)), detail: []string{"Progressing: " + progressingText(d)},
		})
	case d.Generation > 1:
		t.once(fmt.Sprint("rolling ", d.Generation), note{
			actor: actorDeployment, text: fmt.Sprintf("%s rolls out %s (generation %d)", d.Name, imageOf(d), d.Generation),
		})
	}
}

func (t *telling) pod(p *corev1.Pod) {
	for _, c := range p.Status.ContainerStatuses {
		if w := c.State.Waiting; w != nil && imageTrouble(w.Reason) {
			t.once(w.Reason, note{actor: actorPod, tone: bad, text: fmt.Sprintf("%s: %s", p.Name, w.Reason)})
		}
	}
}

func imageTrouble(reason string) bool {
	return reason == "ErrImagePull" || reason == "ImagePullBackOff"
}

// cannotPull says whether the pod waits for an image that cannot be pulled.
func cannotPull(p *corev1.Pod) bool {
	for _, c := range p.Status.ContainerStatuses {
		if c.State.Waiting != nil && imageTrouble(c.State.Waiting.Reason) {
			return true
		}
	}
	return false
}

// rolledOut is what kubectl rollout status waits for.
func rolledOut(d *appsv1.Deployment) bool {
	wanted := wantedReplicas(d)
	s := d.Status
	return s.ObservedGeneration >= d.Generation && s.UpdatedReplicas == wanted && s.Replicas == wanted && s.AvailableReplicas == wanted
}

// stuck says whether the Deployment controller has given up on the rollout.
func stuck(d *appsv1.Deployment) bool {
	c := progressing(d)
	return d.Status.ObservedGeneration >= d.Generation && c != nil && c.Status == corev1.ConditionFalse && c.Reason == reasonDeadlineExceeded
}

func progressing(d *appsv1.Deployment) *appsv1.DeploymentCondition {
	for i := range d.Status.Conditions {
		if d.Status.Conditions[i].Type == appsv1.DeploymentProgressing {
			return &d.Status.Conditions[i]
		}
	}
	return nil
}

func progressingText(d *appsv1.Deployment) string {
	c := progressing(d)
	if c == nil {
		return "not known yet"
	}
	return fmt.Sprintf("%s, %s: %s", c.Status, c.Reason, c.Message)
}

func replicasText(d *appsv1.Deployment) string {
	wanted := wantedReplicas(d)
	return fmt.Sprintf("%d of %d pods updated, %d available", d.Status.UpdatedReplicas, wanted, d.Status.AvailableReplicas)
}

func wantedReplicas(d *appsv1.Deployment) int32 {
	if d.Spec.Replicas == nil {
		return 1
	}
	return *d.Spec.Replicas
}

func imageOf(d *appsv1.Deployment) string {
	if containers := d.Spec.Template.Spec.Containers; len(containers) > 0 {
		return containers[0].Image
	}
	return "no image"
}

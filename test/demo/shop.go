package main

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	remediationv1 "kubernaut.io/kubernaut/api/remediation/v1"
	"kubernaut.io/kubernaut/api/shared"
)

const (
	labelManagedBy = "app.kubernetes.io/managed-by"
	labelName      = "app.kubernetes.io/name"
	managedBy      = "kubernaut-demo"

	environment  = "production"
	businessUnit = "storefront"

	// progressDeadline is how long a rollout may stand still before the Deployment controller calls it stuck.
	progressDeadline = 5

	// The accounts of the shop, with what each may do and nothing else.
	releasePipeline = "release-pipeline"
	alertReceiver   = "alert-receiver"
)

// newNamespace deletes what an earlier demo left, and makes the namespace anew.
func (s *stage) newNamespace(ctx context.Context) error {
	if err := s.removeNamespace(ctx); err != nil {
		return err
	}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name: s.namespace,
		Labels: map[string]string{
			labelManagedBy: managedBy, shared.LabelEnvironment: environment, shared.LabelBusinessUnit: businessUnit,
		},
	}}
	return s.create(ctx, s.admin, namespace)
}

func (s *stage) removeNamespace(ctx context.Context) error {
	namespace := &corev1.Namespace{}
	err := s.admin.Get(ctx, client.ObjectKey{Name: s.namespace}, namespace)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("namespace %s: %w", s.namespace, err)
	}
	if namespace.Labels[labelManagedBy] != managedBy {
		return fmt.Errorf("namespace %s exists and is not the demo's: choose another with --namespace", s.namespace)
	}
	s.say(note{actor: actorDemo, tone: faint, text: fmt.Sprintf("deletes namespace %s of an earlier demo", s.namespace)})
	if err := client.IgnoreNotFound(s.admin.Delete(ctx, namespace, client.Preconditions{UID: &namespace.UID})); err != nil {
		return fmt.Errorf("delete namespace %s: %w", s.namespace, err)
	}
	return s.persist(ctx, "wait for the end of namespace "+s.namespace, func(ctx context.Context) error {
		return s.untilGone(ctx, namespace)
	})
}

// untilGone waits for the end of a namespace; a watch that breaks off is begun again.
func (s *stage) untilGone(ctx context.Context, namespace *corev1.Namespace) error {
	for {
		events, err := s.admin.Watch(ctx, &corev1.NamespaceList{}, client.MatchingFields{metav1.ObjectNameField: namespace.Name})
		if err != nil {
			return fmt.Errorf("watch namespace %s: %w", namespace.Name, err)
		}
		// The watch begins before this look, so the end cannot fall between the two.
		if err := s.admin.Get(ctx, client.ObjectKeyFromObject(namespace), namespace); err != nil {
			events.Stop()
			return client.IgnoreNotFound(err)
		}
		gone, err := deleted(ctx, events)
		events.Stop()
		if err != nil {
			return fmt.Errorf("namespace %s is still being deleted; does a finalizer wait for the manager? %w", namespace.Name, err)
		}
		if gone {
			return nil
		}
	}
}

func deleted(ctx context.Context, events watch.Interface) (bool, error) {
	for {
		select {
		case event, ok := <-events.ResultChan():
			if !ok || event.Type == watch.Deleted {
				return ok, nil
			}
		case <-ctx.Done():
			return false, context.Cause(ctx)
		}
	}
}

// create makes an object, whatever becomes of the answer to an earlier attempt.
func (s *stage) create(ctx context.Context, as client.Client, object client.Object) error {
	return s.persist(ctx, fmt.Sprintf("create %s %s", reflect.TypeOf(object).Elem().Name(), object.GetName()), func(ctx context.Context) error {
		return client.IgnoreAlreadyExists(as.Create(ctx, object))
	})
}

// openShop makes the accounts of the shop and its Deployments.
func (s *stage) openShop(ctx context.Context, deployments ...*appsv1.Deployment) error {
	deploys := []rbacv1.PolicyRule{{APIGroups: []string{appsv1.GroupName}, Resources: []string{"deployments"}, Verbs: []string{"get", "patch"}}}
	// Who asks for a repair needs the right to have the target remediated, and none to change it.
	asks := []rbacv1.PolicyRule{
		{APIGroups: []string{remediationv1.GroupVersion.Group}, Resources: []string{"remediationrequests"}, Verbs: []string{"create"}},
		{APIGroups: []string{appsv1.GroupName}, Resources: []string{"deployments"}, Verbs: []string{"remediate"}},
	}
	err := errors.Join(s.createAccount(ctx, releasePipeline, deploys), s.createAccount(ctx, alertReceiver, asks))
	for _, deployment := range deployments {
		err = errors.Join(err, s.create(ctx, s.admin, deployment))
	}
	return err
}

func (s *stage) createAccount(ctx context.Context, name string, rules []rbacv1.PolicyRule) error {
	m := metav1.ObjectMeta{Namespace: s.namespace, Name: name}
	for _, object := range []client.Object{
		&corev1.ServiceAccount{ObjectMeta: m},
		&rbacv1.Role{ObjectMeta: m, Rules: rules},
		&rbacv1.RoleBinding{
			ObjectMeta: m, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: name},
			Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: s.namespace, Name: name}},
		},
	} {
		if err := s.create(ctx, s.admin, object); err != nil {
			return err
		}
	}
	return nil
}

func shopDeployment(namespace, name, image string, replicas int32) *appsv1.Deployment {
	labels := map[string]string{labelName: name}
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: labels},
		Spec: appsv1.DeploymentSpec{
			Replicas:                &replicas,
			ProgressDeadlineSeconds: new(int32(progressDeadline)),
			Selector:                &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec: corev1.PodSpec{
					// Nothing has to end gracefully here, and the namespace of an earlier demo is gone the sooner.
					TerminationGracePeriodSeconds: new(int64(0)),
					Containers: []corev1.Container{{
						Name: name, Image: image,
						Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{
							corev1.ResourceCPU: resource.MustParse("50m"), corev1.ResourceMemory: resource.MustParse("32Mi"),
						}},
					}},
				},
			},
		},
	}
}

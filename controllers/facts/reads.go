package facts

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	aianalysisv1 "kubernaut.io/kubernaut/api/aianalysis/v1"
	kubernetesexecutionv1 "kubernaut.io/kubernaut/api/kubernetesexecution/v1"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/policies/gate"
)

// Reads is everything that facts are read from, and with which verbs, as the account of the manager: its cache reads it, and nodes
// are read live for a step that locks them. The target alone is read as the account of the action. What is not listed here is read by nobody for a fact.
func Reads() []rbacv1.PolicyRule {
	rule := func(group string, resources ...string) rbacv1.PolicyRule {
		return rbacv1.PolicyRule{APIGroups: []string{group}, Resources: resources, Verbs: []string{"get", "list", "watch"}}
	}
	return []rbacv1.PolicyRule{
		rule(corev1.GroupName, "namespaces", "nodes"),
		// The owners of a target.
		rule(appsv1.GroupName, "daemonsets", "deployments", "replicasets", "statefulsets"),
		rule(autoscalingv2.GroupName, "horizontalpodautoscalers"),
		rule(policyv1.GroupName, "poddisruptionbudgets"),
		rule(aianalysisv1.GroupVersion.Group, "aianalyses"),
		rule(workflowexecutionv1.GroupVersion.Group, "workflowexecutions"),
		rule(kubernetesexecutionv1.GroupVersion.Group, "kubernetesexecutions"),
	}
}

// indexScaled finds the HorizontalPodAutoscaler of a workload by the workload's group, kind and name.
const indexScaled = "spec.scaleTargetRef"

// SetupIndexes has a cache that has not started hold what facts are read from, indexed by what it is looked up by.
func SetupIndexes(ctx context.Context, indexed cache.Cache) error {
	if err := indexed.IndexField(ctx, &autoscalingv2.HorizontalPodAutoscaler{}, indexScaled, scaledBy); err != nil {
		return fmt.Errorf("index of HorizontalPodAutoscalers by their target: %w", err)
	}
	// A cache begins to hold a kind when it is first asked for; a judgement must not wait for that.
	for _, object := range []client.Object{&corev1.Namespace{}, &corev1.Node{}, &policyv1.PodDisruptionBudget{}, &aianalysisv1.AIAnalysis{}} {
		if _, err := indexed.GetInformer(ctx, object); err != nil {
			return fmt.Errorf("holding %T: %w", object, err)
		}
	}
	return nil
}

func scaledBy(object client.Object) []string {
	hpa, ok := object.(*autoscalingv2.HorizontalPodAutoscaler)
	if !ok {
		return nil
	}
	ref := hpa.Spec.ScaleTargetRef
	return []string{scaledKey(schema.FromAPIVersionAndKind(ref.APIVersion, ref.Kind).GroupKind(), ref.Name)}
}

func scaledKey(kind schema.GroupKind, name string) string {
	return kind.Group + "/" + kind.Kind + "/" + name
}

// Watch has the Activity told what a cache that has not started will see.
func (a *Activity) Watch(ctx context.Context, informers cache.Informers) error {
	for _, object := range []client.Object{&workflowexecutionv1.WorkflowExecution{}, &kubernetesexecutionv1.KubernetesExecution{}} {
		informer, err := informers.GetInformer(ctx, object)
		if err != nil {
			return fmt.Errorf("watching %T: %w", object, err)
		}
		registration, err := informer.AddEventHandler(a.handler())
		if err != nil {
			return fmt.Errorf("watching %T: %w", object, err)
		}
		a.synced = append(a.synced, registration.HasSynced)
	}
	return nil
}

// New makes Facts that rest on a cache that has not started, and on live for what it must not be late for.
func New(ctx context.Context, indexed cache.Cache, live client.Reader, judge *gate.Gate, now clock.PassiveClock) (*Facts, error) {
	if err := SetupIndexes(ctx, indexed); err != nil {
		return nil, err
	}
	activity := NewActivity(now)
	if err := activity.Watch(ctx, indexed); err != nil {
		return nil, err
	}
	return &Facts{Cache: indexed, Live: live, Activity: activity, Gate: judge, Clock: now}, nil
}

package remediationprocessing

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"kubernaut.io/kubernaut/api/shared"
	"kubernaut.io/kubernaut/controllers/machinery"
)

// The kinds whose facts are read, and those that own them.
const (
	kindDeployment  = "Deployment"
	kindStatefulSet = "StatefulSet"
	kindDaemonSet   = "DaemonSet"
	kindReplicaSet  = "ReplicaSet"
	kindPod         = "Pod"
	kindNode        = "Node"
	kindJob         = "Job"
	kindCronJob     = "CronJob"
)

// The bounds of the API.
const (
	mostLabels     = 64
	mostConditions = 32
	mostContainers = 32
	mostEvents     = 16
	mostNodes      = 16
	mostBudgets    = 8

	longestMessage       = 1024
	longestShortMessage  = 512
	longestConditionType = 316
	longestState         = 16
	longestImage         = 1024
	longestReason        = 253
	longestEventReason   = 128
	longestObject        = 320
	longestApplication   = 253
	longestQuantity      = 16
)

// eventAge is how old a warning may be.
const eventAge = time.Hour

// When a container that runs for the moment counts as one in a crash loop. A kubelet waits five minutes at most between two starts.
const (
	manyRestarts = 3
	crashAge     = 10 * time.Minute

	reasonCrashLoop = "CrashLoopBackOff"
)

// What Argo CD and Flux write on the objects that they manage.
const (
	argoInstanceLabel      = "argocd.argoproj.io/instance"
	argoTrackingAnnotation = "argocd.argoproj.io/tracking-id"
	fluxKustomizeLabel     = "kustomize.toolkit.fluxcd.io/name"
	fluxHelmLabel          = "helm.toolkit.fluxcd.io/name"
)

// newTarget is an empty object of the target's type; nil for a kind whose facts are not read.
func newTarget(gvk schema.GroupVersionKind) client.Object {
	switch gvk {
	case appsv1.SchemeGroupVersion.WithKind(kindDeployment):
		return &appsv1.Deployment{}
	case appsv1.SchemeGroupVersion.WithKind(kindStatefulSet):
		return &appsv1.StatefulSet{}
	case appsv1.SchemeGroupVersion.WithKind(kindDaemonSet):
		return &appsv1.DaemonSet{}
	case appsv1.SchemeGroupVersion.WithKind(kindReplicaSet):
		return &appsv1.ReplicaSet{}
	case corev1.SchemeGroupVersion.WithKind(kindPod):
		return &corev1.Pod{}
	case corev1.SchemeGroupVersion.WithKind(kindNode):
		return &corev1.Node{}
	default:
		return nil
	}
}

// readsOwner says whether the owner chain goes on above an object of this kind.
func readsOwner(gvk schema.GroupVersionKind) bool {
	return newTarget(gvk) != nil || gvk == batchv1.SchemeGroupVersion.WithKind(kindJob) || gvk == batchv1.SchemeGroupVersion.WithKind(kindCronJob)
}

// describe fills in health, replicas and conditions.
func describe(object client.Object, gvk schema.GroupVersionKind, facts *shared.Enrichment) error {
	facts.Health = shared.Health{Status: shared.HealthUnknown}
	facts.Health.DesiredReplicas, facts.Health.AvailableReplicas = replicasOf(object)
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
	if err != nil {
		return fmt.Errorf("converting the target: %w", err)
	}
	converted := &unstructured.Unstructured{Object: content}
	converted.SetGroupVersionKind(gvk)
	facts.Conditions = conditionsOf(converted)
	result, err := status.Compute(converted)
	if err != nil {
		return fmt.Errorf("kstatus: %w", err)
	}
	facts.Health.Status = healthStatus(result.Status)
	facts.Health.Message = machinery.Cut(result.Message, longestMessage)
	return nil
}

func healthStatus(s status.Status) shared.HealthStatus {
	switch s {
	case status.CurrentStatus:
		return shared.HealthCurrent
	case status.InProgressStatus:
		return shared.HealthInProgress
	case status.FailedStatus:
		return shared.HealthFailed
	case status.TerminatingStatus:
		return shared.HealthTerminating
	case status.NotFoundStatus:
		return shared.HealthNotFound
	default:
		return shared.HealthUnknown
	}
}

// replicasOf are the pods that a workload wants and has available.
func replicasOf(object client.Object) (desired, available *int32) {
	one := int32(1)
	switch o := object.(type) {
	case *appsv1.Deployment:
		return new(*cmp.Or(o.Spec.Replicas, &one)), &o.Status.AvailableReplicas
	case *appsv1.StatefulSet:
		return new(*cmp.Or(o.Spec.Replicas, &one)), &o.Status.AvailableReplicas
	case *appsv1.ReplicaSet:
		return new(*cmp.Or(o.Spec.Replicas, &one)), &o.Status.AvailableReplicas
	case *appsv1.DaemonSet:
		return &o.Status.DesiredNumberScheduled, &o.Status.NumberAvailable
	default:
		return nil, nil
	}
}

// conditionsOf are the conditions of any object that has them in the usual form.
func conditionsOf(object *unstructured.Unstructured) []shared.ObservedCondition {
	list, _, err := unstructured.NestedSlice(object.Object, "status", "conditions")
	if err != nil {
		return nil
	}
	var result []shared.ObservedCondition
	seen := map[string]bool{}
	for _, item := range list {
		fields, ok := item.(map[string]any)
		if !ok || len(result) == mostConditions {
			continue
		}
		text := func(name string, limit int) string {
			value, ok := fields[name].(string)
			if !ok {
				return ""
			}
			return machinery.Cut(value, limit)
		}
		condition := shared.ObservedCondition{
			Type: text("type", longestConditionType), Status: text("status", longestState),
			Reason: text("reason", longestMessage), Message: text("message", longestMessage),
		}
		if condition.Type != "" && !seen[condition.Type] {
			seen[condition.Type] = true
			result = append(result, condition)
		}
	}
	return result
}

// boundedLabels keeps all labels, or the first by name when there are too many; ours come before all others.
func boundedLabels(all map[string]string) map[string]shared.LabelText {
	keys := slices.SortedFunc(maps.Keys(all), func(a, b string) int {
		return cmp.Or(cmp.Compare(foreignLabel(a), foreignLabel(b)), cmp.Compare(a, b))
	})
	result := make(map[string]shared.LabelText, min(len(keys), mostLabels))
	for _, key := range keys[:min(len(keys), mostLabels)] {
		result[key] = shared.LabelText(all[key])
	}
	return result
}

func foreignLabel(key string) int {
	if strings.HasPrefix(key, "kubernaut.io/") {
		return 0
	}
	return 1
}

// gitOpsOf says who manages the object from a repository.
func gitOpsOf(object metav1.Object) *shared.GitOpsFacts {
	facts := func(tool shared.GitOpsTool, application string) *shared.GitOpsFacts {
		return &shared.GitOpsFacts{Tool: tool, Application: machinery.Cut(application, longestApplication)}
	}
	if tracking := object.GetAnnotations()[argoTrackingAnnotation]; tracking != "" {
		// The form is application:group/kind:namespace/name.
		application, _, _ := strings.Cut(tracking, ":")
		return facts(shared.GitOpsArgoCD, application)
	}
	objectLabels := object.GetLabels()
	switch {
	case objectLabels[argoInstanceLabel] != "":
		return facts(shared.GitOpsArgoCD, objectLabels[argoInstanceLabel])
	case objectLabels[fluxKustomizeLabel] != "":
		return facts(shared.GitOpsFlux, objectLabels[fluxKustomizeLabel])
	case objectLabels[fluxHelmLabel] != "":
		return facts(shared.GitOpsFlux, objectLabels[fluxHelmLabel])
	default:
		return nil
	}
}

// selectorOf is the selector of a workload; the second result is false for what has none.
func selectorOf(object client.Object) (labels.Selector, bool, error) {
	var selector *metav1.LabelSelector
	switch o := object.(type) {
	case *appsv1.Deployment:
		selector = o.Spec.Selector
	case *appsv1.StatefulSet:
		selector = o.Spec.Selector
	case *appsv1.DaemonSet:
		selector = o.Spec.Selector
	case *appsv1.ReplicaSet:
		selector = o.Spec.Selector
	default:
		return nil, false, nil
	}
	parsed, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil {
		return nil, false, fmt.Errorf("selector: %w", err)
	}
	return parsed, true, nil
}

// podLabelsOf are the labels of the target's pods; nil for what has none.
func podLabelsOf(object client.Object) labels.Set {
	switch o := object.(type) {
	case *appsv1.Deployment:
		return o.Spec.Template.Labels
	case *appsv1.StatefulSet:
		return o.Spec.Template.Labels
	case *appsv1.DaemonSet:
		return o.Spec.Template.Labels
	case *appsv1.ReplicaSet:
		return o.Spec.Template.Labels
	case *corev1.Pod:
		return o.Labels
	default:
		return nil
	}
}

// containerProblems are the containers that wait, and the last ends of those that ended badly, the waiting ones first. The numbers
// of a Deployment's revisions are those of the ReplicaSets that own the pods.
func containerProblems(pods []corev1.Pod, revisions map[types.UID]int64, now time.Time) []shared.ContainerProblem {
	var problems []shared.ContainerProblem
	for i := range pods {
		pod := &pods[i]
		base := shared.ContainerProblem{Pod: pod.Name, Node: pod.Spec.NodeName}
		if owner := metav1.GetControllerOf(pod); owner != nil {
			base.Revision = revisions[owner.UID]
		}
		for j := range pod.Status.InitContainerStatuses {
			problems = append(problems, problemsOf(base, pod.Spec.InitContainers, &pod.Status.InitContainerStatuses[j], true, now)...)
		}
		for j := range pod.Status.ContainerStatuses {
			problems = append(problems, problemsOf(base, pod.Spec.Containers, &pod.Status.ContainerStatuses[j], false, now)...)
		}
	}
	slices.SortStableFunc(problems, func(a, b shared.ContainerProblem) int {
		return cmp.Or(cmp.Compare(stateOrder(a), stateOrder(b)), cmp.Compare(a.Pod, b.Pod), cmp.Compare(a.Container, b.Container))
	})
	return problems[:min(len(problems), mostContainers)]
}

func stateOrder(problem shared.ContainerProblem) int {
	if problem.State == shared.ContainerWaiting {
		return 0
	}
	return 1
}

func problemsOf(base shared.ContainerProblem, specs []corev1.Container, container *corev1.ContainerStatus, initial bool, now time.Time) []shared.ContainerProblem {
	base.Container, base.Image, base.RestartCount = container.Name, machinery.Cut(container.Image, longestImage), container.RestartCount
	base.MemoryLimitBytes, base.CrashLooping = memoryLimit(specs, container.Name), crashLooping(container, now)
	var problems []shared.ContainerProblem
	if waiting := container.State.Waiting; waiting != nil {
		problem := base
		problem.State = shared.ContainerWaiting
		problem.Reason, problem.Message = machinery.Cut(waiting.Reason, longestReason), machinery.Cut(waiting.Message, longestShortMessage)
		problems = append(problems, problem)
	}
	// An init container is meant to end well; another end well is worth knowing only while nothing else runs in its place.
	if ended := container.State.Terminated; ended != nil && (!initial || ended.ExitCode != 0) {
		problems = append(problems, terminated(base, ended))
	}
	if last := container.LastTerminationState.Terminated; last != nil && last.ExitCode != 0 {
		problems = append(problems, terminated(base, last))
	}
	return problems
}

// terminated leaves the message out: the container wrote it, or it is the end of its log, and both may hold secrets.
func terminated(base shared.ContainerProblem, end *corev1.ContainerStateTerminated) shared.ContainerProblem {
	base.State, base.ExitCode = shared.ContainerTerminated, new(end.ExitCode)
	base.Reason = machinery.Cut(end.Reason, longestReason)
	return base
}

func crashLooping(container *corev1.ContainerStatus, now time.Time) bool {
	if waiting := container.State.Waiting; waiting != nil && waiting.Reason == reasonCrashLoop {
		return true
	}
	last := container.LastTerminationState.Terminated
	return last != nil && last.ExitCode != 0 && container.RestartCount >= manyRestarts && now.Sub(last.FinishedAt.Time) <= crashAge
}

func memoryLimit(containers []corev1.Container, name string) *int64 {
	for i := range containers {
		if limit, limited := containers[i].Resources.Limits[corev1.ResourceMemory]; limited && containers[i].Name == name {
			return new(limit.Value())
		}
	}
	return nil
}

// nodeNames are the nodes that the pods run on, by name.
func nodeNames(pods []corev1.Pod) []string {
	var names []string
	for i := range pods {
		if name := pods[i].Spec.NodeName; name != "" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	return names[:min(len(names), mostNodes)]
}

func nodeFacts(node *corev1.Node) shared.NodeFacts {
	facts := shared.NodeFacts{Name: node.Name, Unschedulable: new(node.Spec.Unschedulable)}
	for _, condition := range node.Status.Conditions {
		if condition.Type == corev1.NodeReady {
			facts.Ready = new(condition.Status == corev1.ConditionTrue)
		}
	}
	return facts
}

// autoscalerOf is the autoscaler of the target or of one of its owners, the first by name.
func autoscalerOf(autoscalers []autoscalingv2.HorizontalPodAutoscaler, scaled []shared.OwnedObject) *shared.HPAFacts {
	slices.SortFunc(autoscalers, func(a, b autoscalingv2.HorizontalPodAutoscaler) int { return cmp.Compare(a.Name, b.Name) })
	for i := range autoscalers {
		hpa, ref := &autoscalers[i], autoscalers[i].Spec.ScaleTargetRef
		if !slices.ContainsFunc(scaled, func(object shared.OwnedObject) bool {
			return object.Kind == ref.Kind && object.Name == ref.Name && groupOf(object.APIVersion) == groupOf(ref.APIVersion)
		}) {
			continue
		}
		return &shared.HPAFacts{
			Name: hpa.Name, MinReplicas: new(*cmp.Or(hpa.Spec.MinReplicas, new(int32(1)))),
			MaxReplicas: new(hpa.Spec.MaxReplicas), DesiredReplicas: new(hpa.Status.DesiredReplicas),
		}
	}
	return nil
}

func groupOf(apiVersion string) string {
	return schema.FromAPIVersionAndKind(apiVersion, "").Group
}

// budgetsOf are the budgets that select the pods, by name. A selector that does not parse selects nothing, as in the API.
func budgetsOf(budgets []policyv1.PodDisruptionBudget, podLabels labels.Set) []shared.PDBFacts {
	var result []shared.PDBFacts
	for i := range budgets {
		budget := &budgets[i]
		selector, err := metav1.LabelSelectorAsSelector(budget.Spec.Selector)
		if err != nil || !selector.Matches(podLabels) {
			continue
		}
		facts := shared.PDBFacts{Name: budget.Name, DisruptionsAllowed: new(budget.Status.DisruptionsAllowed)}
		if budget.Spec.MinAvailable != nil {
			facts.MinAvailable = machinery.Cut(budget.Spec.MinAvailable.String(), longestQuantity)
		}
		if budget.Spec.MaxUnavailable != nil {
			facts.MaxUnavailable = machinery.Cut(budget.Spec.MaxUnavailable.String(), longestQuantity)
		}
		result = append(result, facts)
	}
	slices.SortFunc(result, func(a, b shared.PDBFacts) int { return cmp.Compare(a.Name, b.Name) })
	return result[:min(len(result), mostBudgets)]
}

// warningEvents are the recent ones, the newest first.
func warningEvents(all []corev1.Event, now time.Time) []shared.WarningEvent {
	var result []shared.WarningEvent
	for i := range all {
		event := &all[i]
		seen, count := lastSeen(event)
		if event.Type != corev1.EventTypeWarning || event.InvolvedObject.Name == "" || now.Sub(seen) > eventAge {
			continue
		}
		result = append(result, shared.WarningEvent{
			Object: machinery.Cut(event.InvolvedObject.Kind+" "+event.InvolvedObject.Name, longestObject),
			Reason: machinery.Cut(event.Reason, longestEventReason), Message: machinery.Cut(event.Message, longestShortMessage),
			Count: count, LastSeen: new(metav1.NewTime(seen.Truncate(time.Second))),
		})
	}
	slices.SortStableFunc(result, func(a, b shared.WarningEvent) int {
		return cmp.Or(b.LastSeen.Compare(a.LastSeen.Time), cmp.Compare(a.Object, b.Object), cmp.Compare(a.Reason, b.Reason), cmp.Compare(a.Message, b.Message))
	})
	return result[:min(len(result), mostEvents)]
}

// lastSeen reads both forms of an event: the one of core, with a count, and the one of events.k8s.io, with a series.
func lastSeen(event *corev1.Event) (time.Time, int32) {
	switch {
	case event.Series != nil:
		return event.Series.LastObservedTime.Time, event.Series.Count
	case !event.LastTimestamp.IsZero():
		return event.LastTimestamp.Time, max(event.Count, 1)
	case !event.EventTime.IsZero():
		return event.EventTime.Time, max(event.Count, 1)
	default:
		return event.CreationTimestamp.Time, max(event.Count, 1)
	}
}

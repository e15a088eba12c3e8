package remediationprocessing

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	testclock "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	aianalysisv1 "kubernaut.io/kubernaut/api/aianalysis/v1"
	remediationprocessingv1 "kubernaut.io/kubernaut/api/remediationprocessing/v1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/controllers/machinery"
	"kubernaut.io/kubernaut/policies/gate"
)

func ownedBy(kind, name string, uid types.UID) []metav1.OwnerReference {
	return []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: kind, Name: name, UID: uid, Controller: new(true)}}
}

// stuck is a Deployment whose new pod cannot pull its image, and what is around it.
func stuck() []client.Object {
	labels := map[string]string{"app": "cart"}
	deployment := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "cart", UID: "d", Generation: 2, Labels: map[string]string{argoInstanceLabel: "shop-app"}},
		Spec: appsv1.DeploymentSpec{
			Replicas: new(int32(2)), Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}},
		},
		Status: appsv1.DeploymentStatus{
			ObservedGeneration: 2, Replicas: 3, UpdatedReplicas: 1, ReadyReplicas: 2, AvailableReplicas: 2,
			Conditions: []appsv1.DeploymentCondition{{Type: "Progressing", Status: "False", Reason: "ProgressDeadlineExceeded", Message: "too long"}},
		},
	}
	pod := func(name string, uid types.UID, owner types.UID, status corev1.ContainerStatus) *corev1.Pod {
		return &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, UID: uid, Labels: labels, OwnerReferences: ownedBy("ReplicaSet", "cart-1", owner)},
			Spec:       corev1.PodSpec{NodeName: "worker-1"},
			Status:     corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{status}},
		}
	}
	return []client.Object{
		deployment,
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop", Labels: map[string]string{"kubernaut.io/environment": "production"}}},
		&corev1.Node{
			ObjectMeta: metav1.ObjectMeta{Name: "worker-1"}, Spec: corev1.NodeSpec{Unschedulable: true},
			Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}},
		},
		&appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "cart-1", UID: "r", Labels: labels, OwnerReferences: ownedBy("Deployment", "cart", "d")}},
		&appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "alien", UID: "alien-r", Labels: labels}},
		pod("cart-1-a", "p", "r", corev1.ContainerStatus{
			Name: "app", Image: "registry/cart:typo",
			State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff", Message: strings.Repeat("x", 600)}},
		}),
		pod("alien-a", "alien-p", "alien-r", corev1.ContainerStatus{
			Name: "app", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}},
		}),
		&autoscalingv2.HorizontalPodAutoscaler{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "cart"},
			Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
				ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: "cart"}, MaxReplicas: 5,
			},
			Status: autoscalingv2.HorizontalPodAutoscalerStatus{DesiredReplicas: 2},
		},
		&policyv1.PodDisruptionBudget{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "cart"},
			Spec:       policyv1.PodDisruptionBudgetSpec{Selector: &metav1.LabelSelector{MatchLabels: labels}, MinAvailable: new(intstr.FromString("50%"))},
			Status:     policyv1.PodDisruptionBudgetStatus{DisruptionsAllowed: 1},
		},
		eventOf("e1", "Pod", "cart-1-a", "p", "Failed", began.Add(-time.Minute)),
		eventOf("e2", "ReplicaSet", "cart-1", "r", "FailedCreate", began.Add(-2*time.Minute)),
		eventOf("e3", "Pod", "alien-a", "alien-p", "BackOff", began),
		eventOf("e4", "Deployment", "cart", "d", "Old", began.Add(-2*time.Hour)),
	}
}

func eventOf(name, kind, object string, uid types.UID, reason string, seen time.Time) *corev1.Event {
	return &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Namespace: "shop", Name: name},
		InvolvedObject: corev1.ObjectReference{Kind: kind, Name: object, UID: uid, Namespace: "shop"},
		Type:           corev1.EventTypeWarning, Reason: reason, Message: "m", Count: 3, LastTimestamp: metav1.NewTime(seen),
	}
}

// classifierFunc is a Classifier.
type classifierFunc func(*gate.ClassificationInput) (shared.Classification, error)

func (f classifierFunc) Classify(_ context.Context, in *gate.ClassificationInput) (shared.Classification, error) {
	return f(in)
}

func byLabel(in *gate.ClassificationInput) (shared.Classification, error) {
	return shared.Classification{Environment: in.Namespace.Labels["kubernaut.io/environment"], Priority: "P0", BusinessUnit: "unknown"}, nil
}

func schemeOf(t *testing.T) *runtime.Scheme {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, aianalysisv1.AddToScheme, workflowexecutionv1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	return scheme
}

func gatherOf(t *testing.T, target shared.Target, classify classifierFunc, funcs interceptor.Funcs, objects ...client.Object) Snapshot {
	t.Helper()
	processing := &remediationprocessingv1.RemediationProcessing{}
	processing.Spec.Target = target
	processing.Spec.SignalContext = shared.SignalContext{Name: "Stuck", Severity: shared.SeverityCritical}
	return gatherFor(t, processing, classify, funcs, objects...)
}

func gatherFor(t *testing.T, processing *remediationprocessingv1.RemediationProcessing, classify classifierFunc, funcs interceptor.Funcs, objects ...client.Object) Snapshot {
	t.Helper()
	live := fake.NewClientBuilder().WithScheme(schemeOf(t)).WithObjects(objects...).
		WithIndex(&corev1.Event{}, "type", func(object client.Object) []string {
			if event, ok := object.(*corev1.Event); ok {
				return []string{event.Type}
			}
			return nil
		}).WithInterceptorFuncs(funcs).Build()
	r := &Reconciler{Clients: machinery.Clients{Live: live}, Clock: testclock.NewFakePassiveClock(began), Classifier: classify}
	return r.gather(t.Context(), processing)
}

func targetOf(apiVersion, kind, namespace, name string) shared.Target {
	return shared.Target{APIVersion: apiVersion, Kind: kind, Namespace: namespace, Name: name}
}

func TestGatherDeployment(t *testing.T) {
	t.Parallel()
	got := gatherOf(t, targetOf("apps/v1", "Deployment", "shop", "cart"), byLabel, interceptor.Funcs{}, stuck()...)
	want := shared.Enrichment{
		ObservedAt:      new(metav1.NewTime(began.Truncate(time.Second))),
		TargetUID:       "d",
		NamespaceLabels: map[string]shared.LabelText{"kubernaut.io/environment": "production"},
		Health: shared.Health{
			Status: shared.HealthFailed, Message: "Progress deadline exceeded", DesiredReplicas: new(int32(2)), AvailableReplicas: new(int32(2)),
		},
		Conditions: []shared.ObservedCondition{{Type: "Progressing", Status: "False", Reason: "ProgressDeadlineExceeded", Message: "too long"}},
		Containers: []shared.ContainerProblem{{
			Pod: "cart-1-a", Node: "worker-1", Container: "app", Image: "registry/cart:typo", State: shared.ContainerWaiting, Reason: "ImagePullBackOff",
			Message: machinery.Cut(strings.Repeat("x", 600), longestShortMessage),
		}},
		Events: []shared.WarningEvent{
			{Object: "Pod cart-1-a", Reason: "Failed", Message: "m", Count: 3, LastSeen: new(metav1.NewTime(began.Add(-time.Minute)))},
			{Object: "ReplicaSet cart-1", Reason: "FailedCreate", Message: "m", Count: 3, LastSeen: new(metav1.NewTime(began.Add(-2 * time.Minute)))},
		},
		Nodes:  []shared.NodeFacts{{Name: "worker-1", Ready: new(true), Unschedulable: new(true)}},
		HPA:    &shared.HPAFacts{Name: "cart", MinReplicas: new(int32(1)), MaxReplicas: new(int32(5)), DesiredReplicas: new(int32(2))},
		PDBs:   []shared.PDBFacts{{Name: "cart", MinAvailable: "50%", DisruptionsAllowed: new(int32(1))}},
		GitOps: &shared.GitOpsFacts{Tool: shared.GitOpsArgoCD, Application: "shop-app"},
	}
	if diff := cmp.Diff(want, got.enrichment); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if len(got.degraded) > 0 || got.unread != nil || got.classification.Environment != "production" {
		t.Errorf("got %+v", got)
	}
}

func TestGatherPodFindsItsRoot(t *testing.T) {
	t.Parallel()
	got := gatherOf(t, targetOf("v1", "Pod", "shop", "cart-1-a"), byLabel, interceptor.Funcs{}, stuck()...)
	want := []shared.OwnedObject{
		{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "cart-1", UID: "r"}, {APIVersion: "apps/v1", Kind: "Deployment", Name: "cart", UID: "d"},
	}
	if diff := cmp.Diff(want, got.enrichment.Owners); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	facts := got.enrichment
	if facts.HPA == nil || len(facts.PDBs) != 1 || facts.GitOps == nil || len(facts.Nodes) != 1 || len(facts.Containers) != 1 || len(facts.Events) != 1 {
		t.Errorf("got %+v", facts)
	}
}

func TestGatherWhatIsMissing(t *testing.T) {
	t.Parallel()
	away := func(kind string, err error) interceptor.Funcs {
		return interceptor.Funcs{
			Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
				if fmt.Sprintf("%T", object) == kind {
					return err
				}
				return c.Get(ctx, key, object, options...)
			},
			List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, options ...client.ListOption) error {
				if fmt.Sprintf("%T", list) == kind {
					return err
				}
				return c.List(ctx, list, options...)
			},
		}
	}
	forbidden := apierrors.NewForbidden(schema.GroupResource{Resource: "things"}, "x", errors.New("no right"))
	internal := apierrors.NewInternalError(errors.New("etcd is away"))
	cart := targetOf("apps/v1", "Deployment", "shop", "cart")
	tests := map[string]struct {
		target     shared.Target
		funcs      interceptor.Funcs
		classify   classifierFunc
		wantHealth shared.HealthStatus
		want       string
		wantUnread bool
	}{
		"a target that does not exist is NotFound": {target: targetOf("apps/v1", "Deployment", "shop", "other"), wantHealth: shared.HealthNotFound, want: "target: Deployment shop/other does not exist"},
		"a kind that is not read is Unknown":       {target: targetOf("example.com/v1", "Rollout", "shop", "cart"), wantHealth: shared.HealthUnknown, want: "is not a kind whose facts are read"},
		"a target that may not be read is Unknown": {target: cart, funcs: away("*v1.Deployment", forbidden), wantHealth: shared.HealthUnknown, want: "target: "},
		"a target that cannot be read now":         {target: cart, funcs: away("*v1.Deployment", internal), wantHealth: shared.HealthUnknown, want: "target: ", wantUnread: true},
		"pods":                                     {target: cart, funcs: away("*v1.PodList", forbidden), wantHealth: shared.HealthFailed, want: "pods: "},
		"replica sets":                             {target: cart, funcs: away("*v1.ReplicaSetList", forbidden), wantHealth: shared.HealthFailed, want: "pods: "},
		"a node":                                   {target: cart, funcs: away("*v1.Node", forbidden), wantHealth: shared.HealthFailed, want: "node worker-1: "},
		"the namespace":                            {target: cart, funcs: away("*v1.Namespace", forbidden), wantHealth: shared.HealthFailed, want: "namespace: "},
		"events":                                   {target: cart, funcs: away("*v1.EventList", forbidden), wantHealth: shared.HealthFailed, want: "events: "},
		"autoscalers":                              {target: cart, funcs: away("*v2.HorizontalPodAutoscalerList", forbidden), wantHealth: shared.HealthFailed, want: "horizontal pod autoscalers: "},
		"budgets":                                  {target: cart, funcs: away("*v1.PodDisruptionBudgetList", forbidden), wantHealth: shared.HealthFailed, want: "pod disruption budgets: "},
		"the classification": {
			target: cart, wantHealth: shared.HealthFailed, want: "classification: conflict",
			classify: func(*gate.ClassificationInput) (shared.Classification, error) {
				return shared.Classification{}, errors.New("conflict")
			},
		},
	}
	for sentence, test := range tests {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			classify := test.classify
			if classify == nil {
				classify = byLabel
			}
			got := gatherOf(t, test.target, classify, test.funcs, stuck()...)
			if got.enrichment.Health.Status != test.wantHealth || len(got.degraded) != 1 || !strings.Contains(got.degraded[0], test.want) {
				t.Errorf("health %s, degraded %q", got.enrichment.Health.Status, got.degraded)
			}
			if (got.unread != nil) != test.wantUnread {
				t.Errorf("unread is %v", got.unread)
			}
			if test.classify != nil && (got.classification != unclassified() || got.notLoaded != nil) {
				t.Errorf("classification is %+v", got.classification)
			}
		})
	}
}

func TestPoliciesThatAreNotLoaded(t *testing.T) {
	t.Parallel()
	got := gatherOf(t, targetOf("apps/v1", "Deployment", "shop", "cart"), func(*gate.ClassificationInput) (shared.Classification, error) {
		return shared.Classification{}, gate.ErrNoClassification
	}, interceptor.Funcs{}, stuck()...)
	if got.notLoaded == nil {
		t.Error("it is not told from a classification that failed")
	}
}

func TestContainerProblems(t *testing.T) {
	t.Parallel()
	ended := func(code int32, reason string) *corev1.ContainerStateTerminated {
		return &corev1.ContainerStateTerminated{ExitCode: code, Reason: reason}
	}
	tests := map[string]struct {
		init, main []corev1.ContainerStatus
		want       []string
	}{
		"a container that runs is none":               {main: []corev1.ContainerStatus{{Name: "a", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}}},
		"an init container that did its work is none": {init: []corev1.ContainerStatus{{Name: "a", State: corev1.ContainerState{Terminated: ended(0, "Completed")}}}},
		"an init container that failed is one": {
			init: []corev1.ContainerStatus{{Name: "a", State: corev1.ContainerState{Terminated: ended(1, "Error")}}}, want: []string{"a Terminated Error"},
		},
		"a crash loop is what it waits for and how it ended": {
			main: []corev1.ContainerStatus{{
				Name: "a", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}},
				LastTerminationState: corev1.ContainerState{Terminated: ended(137, "OOMKilled")},
			}},
			want: []string{"a Waiting CrashLoopBackOff", "a Terminated OOMKilled"},
		},
		"a container that runs again keeps its last bad end": {
			main: []corev1.ContainerStatus{{Name: "a", LastTerminationState: corev1.ContainerState{Terminated: ended(137, "OOMKilled")}}},
			want: []string{"a Terminated OOMKilled"},
		},
		"those that wait come first": {
			main: []corev1.ContainerStatus{
				{Name: "a", State: corev1.ContainerState{Terminated: ended(1, "Error")}},
				{Name: "b", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ErrImagePull"}}},
			},
			want: []string{"b Waiting ErrImagePull", "a Terminated Error"},
		},
	}
	for sentence, test := range tests {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			pod := corev1.Pod{Status: corev1.PodStatus{InitContainerStatuses: test.init, ContainerStatuses: test.main}}
			var got []string
			for _, problem := range containerProblems([]corev1.Pod{pod}, nil, began) {
				got = append(got, fmt.Sprintf("%s %s %s", problem.Container, problem.State, problem.Reason))
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestWhatIsKnownOfAProblem(t *testing.T) {
	t.Parallel()
	pod := corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "cart-1-a", OwnerReferences: ownedBy("ReplicaSet", "cart-1", "r")},
		Spec: corev1.PodSpec{NodeName: "worker-1", Containers: []corev1.Container{{Name: "side"}, {
			Name: "app", Resources: corev1.ResourceRequirements{Limits: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("128Mi")}},
		}}},
		Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{
			{Name: "side", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ErrImagePull"}}},
			{
				Name: "app", Image: "cart:1", RestartCount: 3,
				LastTerminationState: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
					ExitCode: 137, Reason: "OOMKilled", Message: "connecting with password hunter2",
				}},
			},
		}},
	}
	want := []shared.ContainerProblem{
		{Pod: "cart-1-a", Node: "worker-1", Container: "side", State: shared.ContainerWaiting, Reason: "ErrImagePull", Revision: 7},
		{
			Pod: "cart-1-a", Node: "worker-1", Container: "app", Image: "cart:1", State: shared.ContainerTerminated, Reason: "OOMKilled", ExitCode: new(int32(137)),
			RestartCount: 3, Revision: 7, MemoryLimitBytes: new(int64(128 << 20)),
		},
	}
	if diff := cmp.Diff(want, containerProblems([]corev1.Pod{pod}, map[types.UID]int64{"r": 7}, began)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestCrashLooping(t *testing.T) {
	t.Parallel()
	status := func(restarts, code int32, ago time.Duration) corev1.ContainerStatus {
		return corev1.ContainerStatus{RestartCount: restarts, LastTerminationState: corev1.ContainerState{
			Terminated: &corev1.ContainerStateTerminated{ExitCode: code, FinishedAt: metav1.NewTime(began.Add(-ago))},
		}}
	}
	waiting := status(1, 1, 0)
	waiting.State.Waiting = &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}
	pulling := status(1, 1, 0)
	pulling.State.Waiting = &corev1.ContainerStateWaiting{Reason: "ErrImagePull"}
	tests := map[string]struct {
		status corev1.ContainerStatus
		want   bool
	}{
		"one that waits for its next start is":       {status: waiting, want: true},
		"one that waits for something else is not":   {status: pulling},
		"one that runs for the moment is":            {status: status(3, 1, 10*time.Minute), want: true},
		"one that was restarted now and then is not": {status: status(3, 1, 10*time.Minute+time.Second)},
		"one that was restarted twice is not":        {status: status(2, 1, 0)},
		"one that ends well is not":                  {status: status(3, 0, 0)},
		"one that never ended is not":                {},
	}
	for sentence, test := range tests {
		if got := crashLooping(&test.status, began); got != test.want {
			t.Errorf("%s: got %t", sentence, got)
		}
	}
}

func TestGitOps(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		labels, annotations map[string]string
		want                *shared.GitOpsFacts
	}{
		"nothing says so":         {},
		"Argo CD by label":        {labels: map[string]string{argoInstanceLabel: "app"}, want: &shared.GitOpsFacts{Tool: shared.GitOpsArgoCD, Application: "app"}},
		"Argo CD by annotation":   {annotations: map[string]string{argoTrackingAnnotation: "app:apps/Deployment:shop/cart"}, want: &shared.GitOpsFacts{Tool: shared.GitOpsArgoCD, Application: "app"}},
		"Flux by a Kustomization": {labels: map[string]string{fluxKustomizeLabel: "apps"}, want: &shared.GitOpsFacts{Tool: shared.GitOpsFlux, Application: "apps"}},
		"Flux by a HelmRelease":   {labels: map[string]string{fluxHelmLabel: "cart"}, want: &shared.GitOpsFacts{Tool: shared.GitOpsFlux, Application: "cart"}},
	}
	for sentence, test := range tests {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			got := gitOpsOf(&metav1.ObjectMeta{Labels: test.labels, Annotations: test.annotations})
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestBounds(t *testing.T) {
	t.Parallel()
	all := map[string]string{"kubernaut.io/environment": "production"}
	for i := range 100 {
		all[fmt.Sprintf("a-%03d", i)] = "x"
	}
	if got := boundedLabels(all); len(got) != mostLabels || got["kubernaut.io/environment"] != "production" || got["a-000"] != "x" {
		t.Errorf("got %d labels", len(got))
	}
	var events []corev1.Event
	for i := range 30 {
		events = append(events, *eventOf("e", "Pod", "p", "p", fmt.Sprint(i), began.Add(-time.Duration(i)*time.Minute)))
	}
	if got := warningEvents(events, began); len(got) != mostEvents || got[0].Reason != "0" || got[mostEvents-1].Reason != "15" {
		t.Errorf("got %+v", got)
	}
	var pods []corev1.Pod
	for i := range 40 {
		pods = append(pods, corev1.Pod{Spec: corev1.PodSpec{NodeName: fmt.Sprintf("n-%02d", i/2)}})
	}
	if got := nodeNames(pods); len(got) != mostNodes || got[0] != "n-00" {
		t.Errorf("got %q", got)
	}
}

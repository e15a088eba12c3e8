package remediationprocessing

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	remediationprocessingv1 "kubernaut.io/kubernaut/api/remediationprocessing/v1"
	"kubernaut.io/kubernaut/api/shared"
	"kubernaut.io/kubernaut/controllers/machinery"
	"kubernaut.io/kubernaut/policies/gate"
)

const (
	// gatherLimit bounds the reading and classifying of one target.
	gatherLimit = 30 * time.Second
	// pageLimit is how many objects of a kind are looked at; more are named as a fact that could not be read in full.
	pageLimit = 500
	// mostOwners is the longest owner chain.
	mostOwners = 8
)

// Snapshot is all that a decision rests on.
type Snapshot struct {
	processing *remediationprocessingv1.RemediationProcessing
	enrichment shared.Enrichment
	// degraded are the facts that could not be read, and why.
	degraded []string
	// unread says why the target itself could not be read, and busy why another fact could not, where trying again may help.
	unread, busy error
	// classification is what policies say; notLoaded says that no policies are loaded yet.
	classification shared.Classification
	notLoaded      error
}

// survey is one reading of a target's surroundings.
type survey struct {
	live    client.Reader
	now     time.Time
	subject shared.Target
	// object is the target; nil when it cannot be read.
	object client.Object
	pods   []corev1.Pod
	// revisions are the numbers of a Deployment's revisions by the UIDs of their ReplicaSets.
	revisions map[types.UID]int64
	// begun is since when earlier workflows of the request have had effects; nil when none had any.
	begun *metav1.Time
	// relatives are the UIDs of the target, of what stands between it and its pods, and of these.
	relatives map[types.UID]bool
	facts     shared.Enrichment
	degraded  []string
	busy      error
}

// gather reads everything. A fact that cannot be read is named, and the others are read all the same.
func (r *Reconciler) gather(ctx context.Context, processing *remediationprocessingv1.RemediationProcessing) Snapshot {
	ctx, cancel := context.WithTimeout(ctx, gatherLimit)
	defer cancel()
	s := &survey{live: r.Clients.Live, now: r.Clock.Now(), subject: processing.Spec.Target, relatives: map[types.UID]bool{}}
	s.facts.ObservedAt = new(metav1.NewTime(s.now.Truncate(time.Second)))
	snapshot := Snapshot{processing: processing}
	s.readNamespace(ctx)
	snapshot.unread = s.readTarget(ctx)
	s.readBegun(ctx, processing)
	if s.object != nil {
		s.readOwners(ctx)
		s.readPods(ctx)
		s.readNodes(ctx)
		s.readAutoscaler(ctx)
		s.readBudgets(ctx)
	}
	s.readEvents(ctx)
	s.readFailedWorkflow(ctx, processing)
	classification, err := r.Classifier.Classify(ctx, classificationInput(&processing.Spec, &s.facts))
	switch {
	case errors.Is(err, gate.ErrNoClassification):
		snapshot.notLoaded = err
		s.missing("classification", err)
		classification = unclassified()
	case err != nil:
		s.missing("classification", err)
		classification = unclassified()
	}
	snapshot.enrichment, snapshot.degraded, snapshot.busy, snapshot.classification = s.facts, s.degraded, s.busy, classification
	return snapshot
}

// unreadable names a fact that could not be read, and remembers whether another try may cure that.
func (s *survey) unreadable(fact string, err error) {
	s.missing(fact, err)
	if s.busy == nil && machinery.IsTransient(err) {
		s.busy = fmt.Errorf("%s: %w", fact, err)
	}
}

// missing names a fact that is not known.
func (s *survey) missing(fact string, err error) {
	s.degraded = append(s.degraded, fact+": "+err.Error())
}

func (s *survey) truncated(fact string) {
	s.degraded = append(s.degraded, fmt.Sprintf("%s: only the first %d were looked at", fact, pageLimit))
}

func (s *survey) readNamespace(ctx context.Context) {
	if s.subject.Namespace == "" {
		return
	}
	var namespace corev1.Namespace
	if err := s.live.Get(ctx, client.ObjectKey{Name: s.subject.Namespace}, &namespace); err != nil {
		s.unreadable("namespace", err)
		return
	}
	s.facts.NamespaceLabels = boundedLabels(namespace.Labels)
}

// readTarget reads the target; the error is one that another try may cure.
func (s *survey) readTarget(ctx context.Context) error {
	object := newTarget(s.subject.GroupVersionKind())
	if object == nil {
		s.facts.Health = shared.Health{Status: shared.HealthUnknown}
		s.degraded = append(s.degraded, fmt.Sprintf("target: a %s of %s is not a kind whose facts are read", s.subject.Kind, s.subject.APIVersion))
		return nil
	}
	err := s.live.Get(ctx, client.ObjectKey{Namespace: s.subject.Namespace, Name: s.subject.Name}, object)
	switch {
	case apierrors.IsNotFound(err):
		s.facts.Health = shared.Health{Status: shared.HealthNotFound, Message: s.subject.String() + " does not exist"}
		s.degraded = append(s.degraded, "target: "+s.subject.String()+" does not exist")
		return nil
	case err != nil:
		s.facts.Health = shared.Health{Status: shared.HealthUnknown}
		s.missing("target", err)
		if machinery.IsTransient(err) {
			return err
		}
		return nil
	}
	s.object = object
	s.relatives[object.GetUID()] = true
	s.facts.TargetUID = object.GetUID()
	s.facts.GitOps = gitOpsOf(object)
	if err := describe(object, s.subject.GroupVersionKind(), &s.facts); err != nil {
		s.missing("health", err)
	}
	return nil
}

// readOwners follows the controllers up to the root; one of a kind that is not read ends the chain.
func (s *survey) readOwners(ctx context.Context) {
	var current metav1.Object = s.object
	for len(s.facts.Owners) < mostOwners {
		ref := metav1.GetControllerOf(current)
		if ref == nil {
			return
		}
		s.facts.Owners = append(s.facts.Owners, shared.OwnedObject{APIVersion: ref.APIVersion, Kind: ref.Kind, Name: ref.Name, UID: ref.UID})
		gvk := schema.FromAPIVersionAndKind(ref.APIVersion, ref.Kind)
		if !readsOwner(gvk) {
			return
		}
		owner := &metav1.PartialObjectMetadata{}
		owner.SetGroupVersionKind(gvk)
		key := client.ObjectKey{Namespace: s.subject.Namespace, Name: ref.Name}
		if gvk.Kind == kindNode {
			key.Namespace = ""
		}
		if err := s.live.Get(ctx, key, owner); err != nil {
			s.unreadable("owner "+ref.Kind+" "+ref.Name, err)
			return
		}
		if owner.UID != ref.UID {
			s.degraded = append(s.degraded, fmt.Sprintf("owner %s %s: it was replaced by another of the same name", ref.Kind, ref.Name))
			return
		}
		if s.facts.GitOps == nil {
			s.facts.GitOps = gitOpsOf(owner)
		}
		current = owner
	}
}

// readPods finds the pods that belong to the target, not merely those that its selector matches.
func (s *survey) readPods(ctx context.Context) {
	if pod, ok := s.object.(*corev1.Pod); ok {
		s.pods = []corev1.Pod{*pod}
		s.facts.Containers = containerProblems(s.pods, s.revisions, s.now)
		return
	}
	selector, selects, err := selectorOf(s.object)
	if err != nil {
		s.unreadable("pods", err)
		return
	}
	if !selects {
		return
	}
	controllers := map[types.UID]bool{s.object.GetUID(): true}
	if _, ok := s.object.(*appsv1.Deployment); ok {
		if controllers, err = s.replicaSets(ctx, selector); err != nil {
			s.unreadable("pods", err)
			return
		}
	}
	var list corev1.PodList
	if err := s.list(ctx, &list, client.MatchingLabelsSelector{Selector: selector}); err != nil {
		s.unreadable("pods", err)
		return
	}
	if list.Continue != "" {
		s.truncated("pods")
	}
	for i := range list.Items {
		if owner := metav1.GetControllerOf(&list.Items[i]); owner != nil && controllers[owner.UID] {
			s.pods = append(s.pods, list.Items[i])
			s.relatives[list.Items[i].UID] = true
		}
	}
	s.facts.Containers = containerProblems(s.pods, s.revisions, s.now)
}

func (s *survey) replicaSets(ctx context.Context, selector labels.Selector) (map[types.UID]bool, error) {
	var list appsv1.ReplicaSetList
	if err := s.list(ctx, &list, client.MatchingLabelsSelector{Selector: selector}); err != nil {
		return nil, err
	}
	if list.Continue != "" {
		s.truncated("replica sets")
	}
	owned := map[types.UID]bool{}
	for i := range list.Items {
		if machinery.OwnedBy(&list.Items[i], s.object) {
			owned[list.Items[i].UID] = true
			s.relatives[list.Items[i].UID] = true
		}
	}
	list.Items = slices.DeleteFunc(list.Items, func(replicaSet appsv1.ReplicaSet) bool { return !owned[replicaSet.UID] })
	h := historyOf(s.object, list.Items, s.begun)
	s.facts.Revisions, s.facts.ChangedAt, s.revisions = h.revisions, h.changedAt, h.numbers
	return owned, nil
}

// list reads a page of objects in the target's namespace.
func (s *survey) list(ctx context.Context, list client.ObjectList, options ...client.ListOption) error {
	return s.live.List(ctx, list, append(options, client.InNamespace(s.subject.Namespace), client.Limit(pageLimit))...)
}

func (s *survey) readNodes(ctx context.Context) {
	if node, ok := s.object.(*corev1.Node); ok {
		s.facts.Nodes = []shared.NodeFacts{nodeFacts(node)}
		return
	}
	for _, name := range nodeNames(s.pods) {
		var node corev1.Node
		if err := s.live.Get(ctx, client.ObjectKey{Name: name}, &node); err != nil {
			s.unreadable("node "+name, err)
			s.facts.Nodes = append(s.facts.Nodes, shared.NodeFacts{Name: name})
			continue
		}
		s.facts.Nodes = append(s.facts.Nodes, nodeFacts(&node))
	}
}

func (s *survey) readAutoscaler(ctx context.Context) {
	if s.subject.Namespace == "" {
		return
	}
	var list autoscalingv2.HorizontalPodAutoscalerList
	if err := s.list(ctx, &list); err != nil {
		s.unreadable("horizontal pod autoscalers", err)
		return
	}
	if list.Continue != "" {
		s.truncated("horizontal pod autoscalers")
	}
	s.facts.HPA = autoscalerOf(list.Items, append([]shared.OwnedObject{
		{APIVersion: s.subject.APIVersion, Kind: s.subject.Kind, Name: s.subject.Name},
	}, s.facts.Owners...))
}

func (s *survey) readBudgets(ctx context.Context) {
	podLabels := podLabelsOf(s.object)
	if s.subject.Namespace == "" || podLabels == nil {
		return
	}
	var list policyv1.PodDisruptionBudgetList
	if err := s.list(ctx, &list); err != nil {
		s.unreadable("pod disruption budgets", err)
		return
	}
	if list.Continue != "" {
		s.truncated("pod disruption budgets")
	}
	s.facts.PDBs = budgetsOf(list.Items, podLabels)
}

// readEvents reads the warnings of the namespace in one request and keeps those about the target and its pods. Those about a
// node are in the default namespace.
func (s *survey) readEvents(ctx context.Context) {
	options := []client.ListOption{client.InNamespace(s.subject.Namespace), client.Limit(pageLimit), client.MatchingFields{"type": corev1.EventTypeWarning}}
	if s.subject.Namespace == "" {
		options[0] = client.InNamespace(metav1.NamespaceDefault)
	}
	var list corev1.EventList
	if err := s.live.List(ctx, &list, options...); err != nil {
		s.unreadable("events", err)
		return
	}
	if list.Continue != "" {
		s.truncated("events")
	}
	related := slices.DeleteFunc(list.Items, func(event corev1.Event) bool {
		return !s.relatives[event.InvolvedObject.UID] && !s.namesSubject(event.InvolvedObject)
	})
	s.facts.Events = warningEvents(related, s.now)
}

// namesSubject tells events by name where the UID cannot: of a target that is gone, and of a node, whose kubelet gives its name as
// the UID.
func (s *survey) namesSubject(object corev1.ObjectReference) bool {
	return (s.object == nil || s.subject.Kind == kindNode) && object.Kind == s.subject.Kind && object.Name == s.subject.Name
}

// classificationInput is what classification policies see.
func classificationInput(spec *remediationprocessingv1.RemediationProcessingSpec, facts *shared.Enrichment) *gate.ClassificationInput {
	in := gate.NewClassificationInput()
	optional := func(text string) *string {
		if text == "" {
			return nil
		}
		return &text
	}
	plain := func(from map[string]shared.LabelText) map[string]string {
		to := make(map[string]string, len(from))
		for key, value := range from {
			to[key] = string(value)
		}
		return to
	}
	in.Namespace.Name, in.Namespace.Labels = optional(spec.Target.Namespace), plain(facts.NamespaceLabels)
	in.Signal.Name, in.Signal.Severity = optional(spec.SignalContext.Name), optional(string(spec.SignalContext.Severity))
	in.Signal.Labels = plain(spec.SignalContext.Labels)
	in.Target = gate.ClassifiedTarget{
		APIVersion: spec.Target.APIVersion, Kind: spec.Target.Kind, Namespace: optional(spec.Target.Namespace), Name: spec.Target.Name,
	}
	in.Health.Status, in.Health.Message = optional(string(facts.Health.Status)), optional(facts.Health.Message)
	return in
}

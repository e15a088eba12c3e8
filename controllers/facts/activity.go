package facts

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"

	kubernetesexecutionv1 "kubernaut.io/kubernaut/api/kubernetesexecution/v1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/controllers/kubernetesexecution/actions"
	"kubernaut.io/kubernaut/policies/gate"
)

const (
	// memory is how far back executions are facts.
	memory = time.Hour
	// maxListed bounds how many executions on one target, and in one namespace, an input document lists: ten thousand workflows at
	// once must not make it grow.
	maxListed = 100
	// sweepInterval is how often what is too old is forgotten.
	sweepInterval = 5 * time.Minute
)

// Activity is what workflows do now and did in the last hour. It is told of every change and keeps what it was told in the order
// in which it is asked for, so that an answer costs the same with one workflow and with ten thousand. An execution that was
// deleted stays until its hour is over: deleting the record does not undo what was done. Its methods can be called concurrently.
type Activity struct {
	clock clock.PassiveClock
	// synced say, for each kind that is watched, whether all that was there at the start has been told.
	synced []func() bool

	mutex       sync.RWMutex
	workflows   map[types.UID]*knownWorkflow
	active      map[string]int
	executions  map[types.UID]*execution
	names       map[types.NamespacedName]*execution
	byTarget    map[types.UID][]*execution // the oldest first
	byNamespace map[string][]*execution    // the oldest first
	swept       time.Time
}

// knownWorkflow is what is remembered of a workflow.
type knownWorkflow struct {
	request *shared.ObjectReference
	// namespaces are those of its targets while it is active.
	namespaces []string
	// gone is when it was deleted.
	gone time.Time
}

// execution is what is remembered of an execution that has started.
type execution struct {
	uid       types.UID
	name      types.NamespacedName
	workflow  types.UID
	namespace string // of its target
	started   time.Time
	fact      gate.PastExecution // without the request, which is that of the workflow
}

// NewActivity makes an Activity that was told nothing yet.
func NewActivity(now clock.PassiveClock) *Activity {
	return &Activity{
		clock:       now,
		workflows:   map[types.UID]*knownWorkflow{},
		active:      map[string]int{},
		executions:  map[types.UID]*execution{},
		names:       map[types.NamespacedName]*execution{},
		byTarget:    map[types.UID][]*execution{},
		byNamespace: map[string][]*execution{},
		swept:       now.Now(),
	}
}

// Synced says whether everything that was there when watching began has been told.
func (a *Activity) Synced() bool {
	return !slices.ContainsFunc(a.synced, func(synced func() bool) bool { return !synced() })
}

// Observe tells of a WorkflowExecution or KubernetesExecution as it is now; of anything else it takes no note.
func (a *Activity) Observe(object any) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	switch object := object.(type) {
	case *workflowexecutionv1.WorkflowExecution:
		a.workflow(object.UID, &knownWorkflow{request: object.Spec.RemediationRequestRef, namespaces: activeNamespaces(object)})
	case *kubernetesexecutionv1.KubernetesExecution:
		a.execution(object)
	}
	a.sweep()
}

// Forget tells that an object was deleted; object is how it was last seen.
func (a *Activity) Forget(object any) {
	if tombstone, missed := object.(toolscache.DeletedFinalStateUnknown); missed {
		object = tombstone.Obj
	}
	workflow, is := object.(*workflowexecutionv1.WorkflowExecution)
	if !is {
		a.Observe(object)
		return
	}
	a.mutex.Lock()
	defer a.mutex.Unlock()
	a.workflow(workflow.UID, &knownWorkflow{request: workflow.Spec.RemediationRequestRef, gone: a.clock.Now()})
	a.sweep()
}

// handler tells the Activity what an informer sees.
func (a *Activity) handler() toolscache.ResourceEventHandler {
	return toolscache.ResourceEventHandlerFuncs{
		AddFunc: a.Observe, UpdateFunc: func(_, now any) { a.Observe(now) }, DeleteFunc: a.Forget,
	}
}

func (a *Activity) workflow(uid types.UID, known *knownWorkflow) {
	if before := a.workflows[uid]; before != nil {
		for _, namespace := range before.namespaces {
			a.active[namespace]--
			if a.active[namespace] <= 0 {
				delete(a.active, namespace)
			}
		}
	}
	a.workflows[uid] = known
	for _, namespace := range known.namespaces {
		a.active[namespace]++
	}
}

// activeNamespaces are the namespaces of the targets of a workflow that was let through and has not ended. One that still waits to
// be let through is not counted: else a thousand that wait would keep each other from starting.
func activeNamespaces(workflow *workflowexecutionv1.WorkflowExecution) []string {
	switch workflow.Status.Phase {
	case workflowexecutionv1.PhaseExecuting, workflowexecutionv1.PhaseMonitoring, workflowexecutionv1.PhaseRollingBack:
	default:
		return nil
	}
	if workflow.Status.Plan == nil {
		return nil
	}
	var namespaces []string
	for _, target := range workflow.Status.Plan.Targets {
		if target.Namespace != "" {
			namespaces = append(namespaces, target.Namespace)
		}
	}
	slices.Sort(namespaces)
	return slices.Compact(namespaces)
}

// execution takes note of an execution that has started. One that has not, has touched nothing.
func (a *Activity) execution(object *kubernetesexecutionv1.KubernetesExecution) {
	if object.Status.StartedAt == nil || a.tooOld(object.Status.StartedAt.Time) {
		return
	}
	if known := a.executions[object.UID]; known != nil {
		known.fact.Outcome = outcome(object)
		return
	}
	noted := a.note(object)
	if noted == nil {
		return
	}
	a.executions[noted.uid] = noted
	a.names[noted.name] = noted
	if uid := noted.fact.TargetUID; uid != nil {
		a.byTarget[types.UID(*uid)] = inOrder(a.byTarget[types.UID(*uid)], noted)
	}
	if noted.namespace != "" {
		a.byNamespace[noted.namespace] = inOrder(a.byNamespace[noted.namespace], noted)
	}
}

// note is what an execution did, and to what; nil when it had no target.
func (a *Activity) note(object *kubernetesexecutionv1.KubernetesExecution) *execution {
	started := object.Status.StartedAt.Time
	noted := &execution{
		uid: object.UID, name: types.NamespacedName{Namespace: object.Namespace, Name: object.Name},
		workflow: object.Spec.WorkflowExecutionRef.UID, started: started,
		fact: gate.PastExecution{
			Workflow: object.Spec.WorkflowExecutionRef.Name, Purpose: string(object.Spec.Purpose), Mutating: true,
			TargetUID: targetUID(object), Outcome: outcome(object),
			Time: started.UTC().Format(time.RFC3339), TimeNS: started.UnixNano(),
		},
	}
	if spec := object.Spec.Action; spec != nil {
		noted.fact.Action = spec.Type
		action, known := actions.Get(spec.Type)
		if !known {
			return noted
		}
		target := action.Target(spec)
		if target == nil {
			return nil
		}
		noted.fact.Mutating, noted.namespace = action.Mutates(), target.Namespace
		return noted
	}
	restored := a.names[types.NamespacedName{Namespace: object.Namespace, Name: object.Spec.RestoreFrom}]
	if restored == nil {
		noted.namespace = object.Namespace
		return noted
	}
	noted.fact.Action, noted.namespace = restored.fact.Action, restored.namespace
	noted.fact.TargetUID = cmp.Or(noted.fact.TargetUID, restored.fact.TargetUID)
	return noted
}

func targetUID(object *kubernetesexecutionv1.KubernetesExecution) *string {
	switch {
	case object.Spec.ExpectedTarget != nil:
		return new(string(object.Spec.ExpectedTarget.UID))
	case object.Status.Inverse != nil && object.Status.Inverse.UID != "":
		return new(string(object.Status.Inverse.UID))
	default:
		return nil
	}
}

func outcome(object *kubernetesexecutionv1.KubernetesExecution) *string {
	if !object.Status.Phase.Terminal() {
		return nil
	}
	return new(string(object.Status.Phase))
}

// inOrder puts an execution where its start belongs, which is nearly always the end.
func inOrder(timeline []*execution, noted *execution) []*execution {
	place, _ := slices.BinarySearchFunc(timeline, noted.started, func(other *execution, started time.Time) int {
		if other.started.After(started) {
			return 1
		}
		return -1
	})
	return slices.Insert(timeline, place, noted)
}

func (a *Activity) tooOld(started time.Time) bool { return !started.After(a.clock.Now().Add(-memory)) }

// sweep forgets what is too old.
func (a *Activity) sweep() {
	if a.clock.Since(a.swept) < sweepInterval {
		return
	}
	a.swept = a.clock.Now()
	old := func(e *execution) bool { return a.tooOld(e.started) }
	maps.DeleteFunc(a.executions, func(_ types.UID, e *execution) bool { return old(e) })
	maps.DeleteFunc(a.names, func(_ types.NamespacedName, e *execution) bool { return old(e) })
	prune(a.byTarget, old)
	prune(a.byNamespace, old)
	maps.DeleteFunc(a.workflows, func(_ types.UID, w *knownWorkflow) bool { return !w.gone.IsZero() && a.tooOld(w.gone) })
}

func prune[K comparable](timelines map[K][]*execution, old func(*execution) bool) {
	for key, timeline := range timelines {
		if timeline = slices.DeleteFunc(timeline, old); len(timeline) == 0 {
			delete(timelines, key)
		} else {
			timelines[key] = timeline
		}
	}
}

// activeWorkflows counts the active workflows by the namespace of their targets.
func (a *Activity) activeWorkflows() map[string]int {
	a.mutex.RLock()
	defer a.mutex.RUnlock()
	return maps.Clone(a.active)
}

// onTarget are the executions of other workflows on a target in the last hour, the newest first, and whether these are all.
func (a *Activity) onTarget(target, except types.UID) (list []gate.PastExecution, all bool) {
	a.mutex.RLock()
	defer a.mutex.RUnlock()
	return a.newest(a.byTarget[target], except)
}

// inNamespace are those on targets in a namespace.
func (a *Activity) inNamespace(namespace string, except types.UID) (list []gate.PastExecution, all bool) {
	a.mutex.RLock()
	defer a.mutex.RUnlock()
	return a.newest(a.byNamespace[namespace], except)
}

func (a *Activity) newest(timeline []*execution, except types.UID) ([]gate.PastExecution, bool) {
	list := []gate.PastExecution{}
	for _, past := range slices.Backward(timeline) {
		switch {
		case a.tooOld(past.started):
			return list, true
		case past.workflow == except:
			continue
		case len(list) == maxListed:
			return list, false
		}
		fact := past.fact
		if workflow := a.workflows[past.workflow]; workflow != nil && workflow.request != nil {
			fact.RemediationRequest, fact.RemediationRequestUID = new(workflow.request.Name), new(string(workflow.request.UID))
		}
		list = append(list, fact)
	}
	return list, true
}

package crash

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	apirequest "k8s.io/apiserver/pkg/endpoints/request"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubernetesexecutionv1 "kubernaut.io/kubernaut/api/kubernetesexecution/v1"
	safetyv1alpha1 "kubernaut.io/kubernaut/api/safety/v1alpha1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/controllers/kubernetesexecution"
	"kubernaut.io/kubernaut/controllers/workflowexecution"
	"kubernaut.io/kubernaut/test/builders"
	"kubernaut.io/kubernaut/test/cluster"
)

const (
	// runTimeout is how long a run may take on a machine that does many at once.
	runTimeout = 90 * time.Second
	// look is how often a run is looked at when nothing is seen to happen.
	look = 500 * time.Millisecond
	// maxBackoff is how long a manager waits at most after an error: so many requests fail that it would do little else.
	maxBackoff = 200 * time.Millisecond
	// unrecorded is longer than an effect stays unrecorded that the cluster does not take up.
	unrecorded = 3 * time.Second
	// annotationPoke wakes who watches an object, when the clock was moved for it.
	annotationPoke = "test.kubernaut.io/poke"
)

// trouble is what happens to the managers of a run.
type trouble struct {
	// crash is where the first manager dies; nil is nowhere. The one after it lives.
	crash *crashPoint
	// seed and rate have requests fail; a rate of 0 fails none.
	seed uint64
	rate int
	lag  time.Duration
	// managers is how many run at once; 0 is one.
	managers int
	// steps move the clock of the controllers, one after each of the first writes.
	steps []time.Duration
}

// run is one run of a scenario, in a namespace of its own.
type run struct {
	scenario
	trouble

	namespace string
	place     *place
	clock     *cluster.Clock
	root      client.Object
	alive     map[*wire]*cluster.Manager
	ended     chan error
	stopping  int
	poked     map[string]time.Time
	approved  map[string]bool
	asked     bool // for the end of the workflow
	log       memory

	mutex sync.Mutex
	wires []*wire
	// arrived is how a late write was answered; lost says that it could not be sent.
	arrived string
	lost    error
	// unlocked are the effects that happened while the workflow did not hold the locks of its targets.
	unlocked []string
}

// result is what came of a run.
type result struct {
	outcome outcome
	// writes are those of the first manager.
	writes []string
	// crashed says whether the crash point was reached.
	crashed bool
	faults  map[fault]int
	arrived string
	took    time.Duration
}

// run runs a scenario through a trouble. Its error says what must not be, and all that a person needs to find out why.
func (s scenario) run(ctx context.Context, t trouble) (result, error) {
	ctx, cancel := context.WithTimeout(ctx, runTimeout)
	defer cancel()
	began := time.Now()
	r := &run{
		scenario: s, trouble: t, clock: &cluster.Clock{}, alive: map[*wire]*cluster.Manager{}, ended: make(chan error, 64), poked: map[string]time.Time{},
		approved: map[string]bool{},
	}
	err := r.play(ctx)
	err = errors.Join(err, r.stopManagers())
	if err != nil {
		return result{}, fmt.Errorf("%w\n%s", err, r.describe(context.WithoutCancel(ctx)))
	}
	out, err := r.judge(ctx)
	if err != nil {
		return result{}, fmt.Errorf("%w\n%s", err, r.describe(context.WithoutCancel(ctx)))
	}
	observed.leave(r.namespace)
	res := result{outcome: out, writes: r.wires[0].log(), crashed: r.wires[0].crashed, arrived: r.arrived, faults: map[fault]int{}, took: time.Since(began)}
	for _, w := range r.wires {
		if w.faults != nil {
			for kind, n := range w.faults.counts {
				res.faults[kind] += n
			}
		}
	}
	return res, nil
}

// play sets the scene, starts the managers, and does what people and the world do until all is over.
func (r *run) play(ctx context.Context) error {
	if err := r.set(ctx); err != nil {
		return err
	}
	for range max(r.managers, 1) {
		if err := r.startManager(newWire(r.crash, r.newFaults())); err != nil {
			return err
		}
		r.crash = nil
	}
	if err := process.Admin.Create(ctx, r.root); err != nil {
		return err
	}
	for {
		if err := r.revive(); err != nil {
			return err
		}
		done, err := r.step(ctx)
		if err != nil || done {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("it did not end within %s", runTimeout)
		case <-r.place.signal:
		case <-time.After(look):
		}
	}
}

func (r *run) newFaults() *faults {
	if r.rate == 0 && r.lag == 0 {
		return nil
	}
	return newFaults(r.seed+uint64(len(r.wires)), r.rate, r.lag)
}

// set makes the namespace with its Deployments, all taken up.
func (r *run) set(ctx context.Context) (err error) {
	if r.namespace, err = process.NewNamespace(ctx, "crash-", nil); err != nil {
		return err
	}
	r.place = observed.at(r.namespace)
	deployments := r.deployments(r.namespace)
	for _, deployment := range deployments {
		if err := process.Admin.Create(ctx, deployment); err != nil {
			return err
		}
	}
	for !r.takenUp(ctx, deployments) {
		select {
		case <-ctx.Done():
			return errors.New("the Deployments were not taken up")
		case <-r.place.signal:
		}
	}
	for name := range r.held {
		process.Workloads.Hold(client.ObjectKey{Namespace: r.namespace, Name: name})
	}
	r.root = r.start(r.namespace)
	return nil
}

func (*run) takenUp(ctx context.Context, deployments []*appsv1.Deployment) bool {
	for _, deployment := range deployments {
		seen := &appsv1.Deployment{}
		if err := observed.Get(ctx, client.ObjectKeyFromObject(deployment), seen); err != nil || seen.Status.ObservedGeneration != seen.Generation {
			return false
		}
	}
	return true
}

// startManager starts one on a wire. With faults it may take more than one try, as a process that is started again.
func (r *run) startManager(w *wire) error {
	const tries = 50
	w.onWrite = func(n int) { r.afterWrite(w, n) }
	w.onDeath, w.onEffect, w.alone = r.place.wake, r.needsLocks, r.aloneWithItsLocks
	var manager *cluster.Manager
	var err error
	for range tries {
		manager, err = process.StartManager(cluster.ManagerOptions{
			Namespaces: []string{r.namespace}, Clock: r.clock, Wrap: w.wrap, Gate: safety, Log: r.log.logger(), MaxBackoff: maxBackoff,
		})
		if err == nil {
			r.mutex.Lock()
			r.wires = append(r.wires, w)
			r.mutex.Unlock()
			r.alive[w] = manager
			return nil
		}
		if w.faults == nil {
			break
		}
	}
	return fmt.Errorf("a manager does not start: %w", err)
}

// afterWrite does what is to happen after the n-th write of a manager: the next step of the clock, and the arrival of a lock that
// another manager tried to take. Anything else that is late arrives when all is over; a lock would then be nobody's.
func (r *run) afterWrite(w *wire, n int) {
	if n > 0 && n <= len(r.steps) {
		r.clock.Step(r.steps[n-1])
	}
	first := r.first()
	if w == first || !first.lateIs(takesLock) || !w.wrote(takesLock, recordsWorkflow) {
		return
	}
	r.arrive(first)
}

// aloneWithItsLocks has a manager that starts find the locks of its own run only: it would give back what another run has left, and
// nobody would see that it was.
func (r *run) aloneWithItsLocks(request *http.Request, info *apirequest.RequestInfo) *http.Request {
	query := request.URL.Query()
	if info.Resource != "leases" || info.Verb != "list" || query.Get("labelSelector") != shared.LabelLockHolder {
		return request
	}
	query.Set("labelSelector", fmt.Sprintf("%s in (%s)", shared.LabelLockHolder, strings.Join(r.place.workflowUIDs(), ",")))
	request = request.Clone(request.Context())
	request.URL.RawQuery = query.Encode()
	return request
}

// needsLocks finds effects without locks: every Deployment of a scenario is a target of its one workflow at a time.
func (r *run) needsLocks(ctx context.Context, what string) func() {
	held, err := r.locks(ctx)
	if want := len(r.deployments(r.namespace)); err != nil || len(held) == want {
		return func() {}
	}
	return func() {
		r.mutex.Lock()
		defer r.mutex.Unlock()
		r.unlocked = append(r.unlocked, fmt.Sprintf("%s, with %d locks: %v", what, len(held), held))
	}
}

const takesLock, recordsWorkflow = "create leases", "update workflowexecutions/status"

func (r *run) first() *wire {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	return r.wires[0]
}

func (r *run) arrive(w *wire) {
	answer, err := w.arrive()
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.lost = errors.Join(r.lost, err)
	if answer != "" {
		r.arrived = answer
	}
}

// revive starts a manager for each that died.
func (r *run) revive() error {
	for w, manager := range r.alive {
		if !w.isDead() {
			continue
		}
		delete(r.alive, w)
		r.stopping++
		go func() { r.ended <- manager.Stop() }()
		if err := r.startManager(newWire(nil, r.newFaults())); err != nil {
			return err
		}
	}
	return nil
}

// stopManagers ends them all. What a dead manager says does not count.
func (r *run) stopManagers() error {
	var problems []error
	for w, manager := range r.alive {
		problems = append(problems, manager.Stop())
		w.kill()
	}
	clear(r.alive)
	for ; r.stopping > 0; r.stopping-- {
		<-r.ended //nolint:errcheck // who was killed ends with an error
	}
	return errors.Join(problems...)
}

// step does what people and the world do at this moment, and says whether the run is over.
func (r *run) step(ctx context.Context) (bool, error) {
	workflows := &workflowexecutionv1.WorkflowExecutionList{}
	executions := &kubernetesexecutionv1.KubernetesExecutionList{}
	in := []client.ListOption{client.InNamespace(r.namespace), client.UnsafeDisableDeepCopy}
	approvals := &safetyv1alpha1.ApprovalRequestList{}
	if err := errors.Join(observed.List(ctx, workflows, in...), observed.List(ctx, executions, in...), observed.List(ctx, approvals, in...)); err != nil {
		return false, err
	}
	for i := range approvals.Items {
		if err := r.approve(ctx, &approvals.Items[i]); err != nil {
			return false, err
		}
	}
	ended := true
	for i := range executions.Items {
		execution := &executions.Items[i]
		ended = ended && execution.Status.Phase.Terminal()
		if err := r.takeUp(ctx, execution); err != nil {
			return false, err
		}
	}
	for i := range workflows.Items {
		ended = ended && over(&workflows.Items[i])
		if err := r.waitFor(ctx, &workflows.Items[i]); err != nil {
			return false, err
		}
	}
	if !ended {
		return false, nil
	}
	root, ok := r.root.DeepCopyObject().(client.Object)
	if !ok {
		return false, fmt.Errorf("%T is no object", r.root)
	}
	if err := observed.Get(ctx, client.ObjectKeyFromObject(r.root), root); client.IgnoreNotFound(err) != nil || !over(root) {
		return false, client.IgnoreNotFound(err)
	}
	settled, err := r.settled(ctx)
	if w, is := root.(*workflowexecutionv1.WorkflowExecution); is && settled && r.undone {
		r.undone = false
		r.root = brief(builders.Undo("undo", w))
		return false, process.Admin.Create(ctx, r.root)
	}
	return settled, err
}

// takeUp has a Deployment taken up when it is time, or moves the clock to the end of an execution whose Deployment never is.
func (r *run) takeUp(ctx context.Context, execution *kubernetesexecutionv1.KubernetesExecution) error {
	for name, by := range r.held {
		if by == execution.Name {
			if err := process.Workloads.Release(ctx, client.ObjectKey{Namespace: r.namespace, Name: name}); err != nil {
				return err
			}
		}
	}
	if execution.Spec.Action == nil || execution.Spec.Action.ScaleDeployment == nil || !runs(execution) {
		return nil
	}
	if execution.Name == r.cancelled && execution.Status.Changed != nil && execution.Spec.Cancel == nil {
		return r.cancel(ctx) // it goes on waiting for what was written before
	}
	if by, held := r.held[execution.Spec.Action.ScaleDeployment.Name]; !held || by == execution.Name {
		return nil
	}
	if execution.Status.Changed == nil {
		return r.moveTo(ctx, execution.Status.StartedAt.Add(unrecorded), execution)
	}
	return r.moveTo(ctx, kubernetesexecution.Deadline(execution).Add(time.Second), execution)
}

// cancel ends the workflow, once, and has what was done undone.
func (r *run) cancel(ctx context.Context) error {
	if r.asked {
		return nil
	}
	r.asked = true
	w := &workflowexecutionv1.WorkflowExecution{ObjectMeta: metav1.ObjectMeta{Namespace: r.namespace, Name: r.root.GetName()}}
	patch := fmt.Sprintf(`{"spec":{"cancel":%q}}`, workflowexecutionv1.CancelAbortAndRollBack)
	if err := process.Admin.Patch(ctx, w, client.RawPatch(types.MergePatchType, []byte(patch))); err != nil {
		return fmt.Errorf("cancelling %s: %w", w.Name, err)
	}
	return nil
}

// approve says yes, once, to what is asked.
func (r *run) approve(ctx context.Context, asked *safetyv1alpha1.ApprovalRequest) error {
	if asked.Status.Phase != safetyv1alpha1.PhasePending || len(asked.Spec.Decisions) > 0 || r.approved[asked.Name] {
		return nil
	}
	patch := fmt.Sprintf(`[{"op":"add","path":"/spec/decisions","value":[{"decision":%q,"reason":"I looked at it"}]}]`, safetyv1alpha1.DecisionApproved)
	if err := approves.Patch(ctx, asked.DeepCopy(), client.RawPatch(types.JSONPatchType, []byte(patch))); err != nil {
		return fmt.Errorf("approving %s: %w", asked.Name, err)
	}
	r.approved[asked.Name] = true
	return nil
}

// waitFor moves the clock to what a workflow waits for.
func (r *run) waitFor(ctx context.Context, w *workflowexecutionv1.WorkflowExecution) error {
	for _, step := range w.Status.Steps {
		if step.Phase == workflowexecutionv1.StepPending && step.RetryAt != nil {
			return r.moveTo(ctx, step.RetryAt.Add(time.Second), w)
		}
	}
	if w.Status.Phase != workflowexecutionv1.PhaseMonitoring {
		return nil
	}
	window := w.Spec.StabilizationWindow.Duration + time.Second
	switch verified := meta.FindStatusCondition(w.Status.Conditions, workflowexecutionv1.ConditionVerified); {
	case verified == nil:
		return nil
	case verified.Reason == workflowexecution.ReasonStabilizing && w.Status.HealthySince != nil:
		return r.moveTo(ctx, w.Status.HealthySince.Add(window), w)
	case verified.Reason == workflowexecution.ReasonNotHealthy:
		return r.moveTo(ctx, w.Status.MonitoringStartTime.Add(window), w) // when a target that is given up is believed to be
	}
	return nil
}

// moveTo moves the clock, and wakes who waits for that time.
func (r *run) moveTo(ctx context.Context, t time.Time, object client.Object) error {
	r.clock.Reach(t)
	key := fmt.Sprintf("%T %s", object, object.GetName())
	if time.Since(r.poked[key]) < look {
		return nil
	}
	r.poked[key] = time.Now()
	patch := fmt.Sprintf(`{"metadata":{"annotations":{%q:%q}}}`, annotationPoke, t.Format(time.RFC3339Nano))
	target, ok := object.DeepCopyObject().(client.Object)
	if !ok {
		return fmt.Errorf("%T is no object", object)
	}
	if err := process.Admin.Patch(ctx, target, client.RawPatch(types.MergePatchType, []byte(patch))); err != nil {
		return fmt.Errorf("waking %s: %w", key, err)
	}
	return nil
}

// settled says whether nothing is left to do: no lock is held.
func (r *run) settled(ctx context.Context) (bool, error) {
	held, err := r.locks(ctx)
	return err == nil && len(held) == 0, err
}

// judge says what the run left, or what must not be.
func (r *run) judge(ctx context.Context) (outcome, error) {
	for _, w := range r.wires {
		r.arrive(w)
	}
	if r.lost != nil {
		return nil, r.lost
	}
	if err := r.catchUp(ctx); err != nil {
		return nil, err
	}
	out, err := r.result(ctx)
	if err != nil {
		return nil, err
	}
	held, err := r.locks(ctx)
	if err != nil {
		return nil, err
	}
	problems := append(r.place.problems(), repeated(r.place.history())...)
	for _, lock := range held {
		problems = append(problems, "a lock was left: "+lock)
	}
	for _, effect := range r.unlocked {
		problems = append(problems, "an effect happened without the locks of its workflow: "+effect)
	}
	if panicked := r.log.panicked(); panicked != "" {
		problems = append(problems, "a reconciler panicked: "+panicked)
	}
	if len(problems) > 0 {
		return nil, errors.New(strings.Join(problems, "\n"))
	}
	return out, nil
}

// describe tells all that a person needs to find out what went wrong.
func (r *run) describe(ctx context.Context) string {
	var b strings.Builder
	fmt.Fprintf(&b, "namespace %s\n", r.namespace)
	for i, w := range r.wires {
		fmt.Fprintf(&b, "manager %d wrote:\n", i+1)
		for n, write := range w.log() {
			fmt.Fprintf(&b, "  %d %s\n", n+1, write)
		}
	}
	if out, err := r.result(ctx); err == nil {
		for key, text := range out {
			if !strings.Contains(key, "KubernetesExecution") || !strings.Contains(text, "phase: completed") {
				fmt.Fprintf(&b, "--- %s\n%s\n", key, text)
			}
		}
	}
	held, _ := r.locks(ctx)
	fmt.Fprintf(&b, "locks: %v\nlog:\n%s\n", held, r.log.text())
	return b.String()
}

package workflow

import (
	"context"
	"errors"
	"fmt"
	"sync"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubernetesexecutionv1 "kubernaut.io/kubernaut/api/kubernetesexecution/v1"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/test/invariants"
)

// journal sees every version of every workflow and execution that was ever stored, and checks it.
type journal struct {
	mutex     sync.Mutex
	workflows map[types.UID][]workflowexecutionv1.WorkflowExecutionStatus
	problems  []error
	watching  sync.WaitGroup
}

func startJournal() *journal {
	GinkgoHelper()
	j := &journal{workflows: map[types.UID][]workflowexecutionv1.WorkflowExecutionStatus{}}
	ctx, cancel := context.WithCancel(context.Background())
	for _, list := range []client.ObjectList{&workflowexecutionv1.WorkflowExecutionList{}, &kubernetesexecutionv1.KubernetesExecutionList{}} {
		watcher, err := plane.Admin.Watch(ctx, list)
		Expect(err).NotTo(HaveOccurred())
		j.watching.Go(func() {
			for event := range watcher.ResultChan() {
				j.note(event)
			}
			if ctx.Err() == nil {
				j.add(fmt.Errorf("the watch of %T broke off: what was written since is not checked", list))
			}
		})
	}
	DeferCleanup(func() { cancel(); j.watching.Wait() })
	return j
}

func (j *journal) note(event watch.Event) {
	object, is := event.Object.(client.Object)
	if !is {
		j.add(fmt.Errorf("watch: %v", event.Object))
		return
	}
	if err := invariants.Check(object); err != nil {
		j.add(err)
	}
	workflow, is := object.(*workflowexecutionv1.WorkflowExecution)
	if !is || event.Type == watch.Deleted {
		return
	}
	j.mutex.Lock()
	defer j.mutex.Unlock()
	history := j.workflows[workflow.UID]
	if len(history) > 0 {
		if err := follows(&history[len(history)-1], &workflow.Status); err != nil {
			j.problems = append(j.problems, fmt.Errorf("workflow %s: %w", client.ObjectKeyFromObject(workflow), err))
		}
	}
	j.workflows[workflow.UID] = append(history, workflow.Status)
}

// follows checks what must be true of a status and the one before.
func follows(before, after *workflowexecutionv1.WorkflowExecutionStatus) error {
	var problems []error
	if before.Phase.Terminal() && before.Phase != after.Phase {
		problems = append(problems, fmt.Errorf("the terminal phase %s became %s", before.Phase, after.Phase))
	}
	if after.ObservedGeneration < before.ObservedGeneration {
		problems = append(problems, fmt.Errorf("observedGeneration fell from %d to %d", before.ObservedGeneration, after.ObservedGeneration))
	}
	if after.WaitedSeconds < before.WaitedSeconds {
		problems = append(problems, fmt.Errorf("waitedSeconds fell from %d to %d", before.WaitedSeconds, after.WaitedSeconds))
	}
	if before.ErrorType != "" && (after.ErrorType != before.ErrorType || after.FailureReason != before.FailureReason) {
		problems = append(problems, fmt.Errorf("the failure %s became %s: %s", before.ErrorType, after.ErrorType, after.FailureReason))
	}
	for i := range before.Steps {
		if i < len(after.Steps) && after.Steps[i].Attempts < before.Steps[i].Attempts {
			problems = append(problems, fmt.Errorf("the attempts of step %d fell", i))
		}
	}
	return errors.Join(problems...)
}

func (j *journal) add(problem error) {
	j.mutex.Lock()
	defer j.mutex.Unlock()
	j.problems = append(j.problems, problem)
}

// broken is every invariant that was ever broken.
func (j *journal) broken() error {
	j.mutex.Lock()
	defer j.mutex.Unlock()
	return errors.Join(j.problems...)
}

// phases are the phases that a workflow went through, each once.
func (j *journal) phases(workflow *workflowexecutionv1.WorkflowExecution) []workflowexecutionv1.WorkflowPhase {
	j.mutex.Lock()
	defer j.mutex.Unlock()
	var phases []workflowexecutionv1.WorkflowPhase
	for _, status := range j.workflows[workflow.UID] {
		if status.Phase != "" && (len(phases) == 0 || phases[len(phases)-1] != status.Phase) {
			phases = append(phases, status.Phase)
		}
	}
	return phases
}

// mostRunning is the largest number of steps that ever ran at once.
func (j *journal) mostRunning(workflow *workflowexecutionv1.WorkflowExecution) int {
	j.mutex.Lock()
	defer j.mutex.Unlock()
	most := 0
	for _, status := range j.workflows[workflow.UID] {
		running := 0
		for _, step := range status.Steps {
			if step.Phase == workflowexecutionv1.StepRunning {
				running++
			}
		}
		most = max(most, running)
	}
	return most
}

// expectPath waits until the journal has seen a workflow go through exactly these phases.
func expectPath(workflow *workflowexecutionv1.WorkflowExecution, phases ...workflowexecutionv1.WorkflowPhase) {
	GinkgoHelper()
	Eventually(func() []workflowexecutionv1.WorkflowPhase { return seen.phases(workflow) }).WithTimeout(soon).WithPolling(poll).Should(Equal(phases))
}

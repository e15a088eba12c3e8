package crash

import (
	"time"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	catalogv1alpha1 "kubernaut.io/kubernaut/api/catalog/v1alpha1"
	kubernetesexecutionv1 "kubernaut.io/kubernaut/api/kubernetesexecution/v1"
	remediationv1 "kubernaut.io/kubernaut/api/remediation/v1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/test/builders"
	"kubernaut.io/kubernaut/test/cluster"
)

// scenario is what is run, and what people and the world around do meanwhile. Nobody waits for time to pass: whoever would have to
// moves the clock.
type scenario struct {
	name string
	// deployments are there before.
	deployments func(namespace string) []*appsv1.Deployment
	// held are Deployments that nobody takes up, and the execution that has each taken up when it is made; empty is never.
	held map[string]string
	// start is what a person creates.
	start func(namespace string) client.Object
	// cancelled is the execution whose effect has a person cancel the workflow, and undone says that another workflow is made when it
	// is over, which undoes it.
	cancelled string
	undone    bool
	// seeds are how many its matrices have.
	seeds seeds
	// shows are parts of the outcome, by name, that the run without trouble must have: it is what it is meant to be.
	shows map[string][]string
}

// seeds are how many runs a scenario has whose trouble is picked by a seed: more of one that is over soon.
type seeds struct{ faults, managers, clock int }

const (
	goodImage = "registry.example.com/shop/app:1"
	newImage  = "registry.example.com/shop/app:2"
	badImage  = "registry.example.com/shop/app:3" + cluster.MissingImageSuffix
	// long is a time limit that nothing reaches, and short one that is reached when the clock is moved for it.
	long, short = time.Hour, time.Minute
)

func deploymentsOf(replicas map[string]int32) func(string) []*appsv1.Deployment {
	return func(namespace string) []*appsv1.Deployment {
		var out []*appsv1.Deployment
		for name, n := range replicas {
			out = append(out, builders.Deployment(namespace, name, goodImage).Replicas(n).Deployment)
		}
		return out
	}
}

func within(limit time.Duration, b builders.StepBuilder) shared.Step {
	b.Timeout = &metav1.Duration{Duration: limit}
	return b.Step
}

func retried(times int32, b builders.StepBuilder) builders.StepBuilder {
	b.MaxRetries = &times
	return b
}

// workflow is a workflow that ends as soon as its targets are healthy.
func workflow(namespace string, steps ...shared.Step) *workflowexecutionv1.WorkflowExecution {
	return brief(builders.Workflow(namespace, "flow", steps...))
}

// brief has a workflow end as soon as its targets are healthy.
func brief(w builders.WorkflowBuilder) *workflowexecutionv1.WorkflowExecution {
	w.Spec.StabilizationWindow = &metav1.Duration{}
	w.Spec.Timeouts = &workflowexecutionv1.WorkflowTimeouts{Rollback: &metav1.Duration{Duration: 2 * long}}
	return w.WorkflowExecution
}

// repairs are two steps that run side by side; one is undone by what was captured, one by an action of its own.
func repairs(namespace string) []shared.Step {
	return []shared.Step{
		within(long, builders.Scale("up", namespace, "cart", 2)),
		within(long, builders.UpdateImage("image", namespace, "web", newImage).UndoneBy(builders.UpdateImage("", namespace, "web", goodImage))),
	}
}

// failing is a workflow of parallel steps, two on one target, one that is tried again after its effect, one that is not critical and
// fails with an effect, one that is skipped; it fails in the end, and everything is undone.
func failing() scenario {
	return scenario{
		name:        "rolled back",
		seeds:       seeds{faults: 20, managers: 30, clock: 20},
		deployments: deploymentsOf(map[string]int32{"cart": 1, "web": 1, "slow": 1, "frozen": 1}),
		held:        map[string]string{"slow": "flow-s1-a2", "frozen": ""},
		shows: map[string][]string{
			"WorkflowExecution flow": {"outcome: RolledBack", "errorType: ineffective", "phase: skipped", "phase: rolled_back", "attempts: 2"},
			"Deployment cart":        {"flow-s0-a1", "flow-s5-a1", "flow-s5-r1", "flow-s0-r1"},
			"Deployment web":         {"flow-s2-a1", "flow-s2-r1"},
			"Deployment slow":        {"flow-s1-a1", "flow-s1-r1"},
			"Deployment frozen":      {"flow-s3-a1", "flow-s3-r1"},
		},
		start: func(ns string) client.Object {
			return workflow(ns,
				within(long, builders.Scale("up", ns, "cart", 2)),
				within(short, retried(1, builders.Scale("again", ns, "slow", 2))),
				within(long, builders.UpdateImage("break", ns, "web", badImage)),
				within(short, builders.Scale("optional", ns, "frozen", 2).After("again").NotCritical()),
				within(long, builders.Scale("skipped", ns, "frozen", 3).After("optional")),
				within(long, builders.Scale("more", ns, "cart", 3).After("again")),
			)
		},
	}
}

// succeeding is a workflow that ends well.
func succeeding() scenario {
	return scenario{
		name:        "succeeded",
		seeds:       seeds{faults: 25, managers: 30, clock: 40},
		deployments: deploymentsOf(map[string]int32{"cart": 1, "web": 1}),
		shows: map[string][]string{
			"WorkflowExecution flow": {"outcome: Success"},
			"Deployment cart":        {"flow-s0-a1"},
			"Deployment web":         {"flow-s1-a1"},
		},
		start: func(ns string) client.Object {
			return workflow(ns,
				within(long, builders.Scale("up", ns, "cart", 2)),
				within(long, builders.UpdateImage("image", ns, "web", newImage)),
				within(long, builders.Notify("tell", "the shop is repaired").After("up", "image")),
			)
		},
	}
}

// approving is a workflow that waits until somebody else approves it.
func approving() scenario {
	return scenario{
		name:        "approved",
		seeds:       seeds{faults: 10, managers: 15, clock: 10},
		deployments: deploymentsOf(map[string]int32{"cart": 1}),
		shows: map[string][]string{
			"WorkflowExecution flow":          {"outcome: Success", "approvalRequests: 1"},
			"ApprovalRequest flow-approval-1": {"phase: approved", "by: " + approver},
			"Deployment cart":                 {"flow-s0-a1"},
		},
		start: func(ns string) client.Object {
			w := workflow(ns, within(long, builders.Scale("up", ns, "cart", 2)))
			w.Spec.ExecutionStrategy = &shared.ExecutionStrategy{ApprovalRequired: new(true)}
			return w
		},
	}
}

// cancelling is a workflow that somebody cancels when its last step has had its effect: what was done is undone.
func cancelling() scenario {
	return scenario{
		name:        "cancelled",
		seeds:       seeds{faults: 12, managers: 20, clock: 10},
		deployments: deploymentsOf(map[string]int32{"cart": 1, "web": 1, "frozen": 1}),
		held:        map[string]string{"frozen": ""},
		cancelled:   "flow-s2-a1",
		shows: map[string][]string{
			"WorkflowExecution flow": {"outcome: RolledBack", "errorType: cancelled", "phase: rolled_back"},
			"Deployment cart":        {"flow-s0-a1", "flow-s0-r1"},
			"Deployment web":         {"flow-s1-a1", "flow-s1-r1"},
			"Deployment frozen":      {"flow-s2-a1", "flow-s2-r1"},
		},
		start: func(ns string) client.Object {
			return workflow(ns, append(repairs(ns), within(long, builders.Scale("stuck", ns, "frozen", 2).After("up", "image")))...)
		},
	}
}

// undoing is a workflow that ends well, and is undone by another one afterwards.
func undoing() scenario {
	return scenario{
		name:        "undone",
		seeds:       seeds{faults: 12, managers: 20, clock: 10},
		deployments: deploymentsOf(map[string]int32{"cart": 1, "web": 1}),
		undone:      true,
		shows: map[string][]string{
			"WorkflowExecution flow": {"outcome: Success"},
			"WorkflowExecution undo": {"outcome: Success", "restoreFrom: flow-s0-a1"},
			"Deployment cart":        {"flow-s0-a1", "undo-s"},
			"Deployment web":         {"flow-s1-a1", "undo-s"},
		},
		start: func(ns string) client.Object { return workflow(ns, repairs(ns)...) },
	}
}

// recovering is a remediation: the first workflow does not help and is rolled back, the second does.
func recovering() scenario {
	return scenario{
		name:  "recovered",
		seeds: seeds{faults: 20, managers: 30, clock: 10},
		shows: map[string][]string{
			"RemediationRequest fix":           {"outcome: Remediated", "recoveryAttempts: 1", "name: fix-workflow", "name: fix-recovery-1"},
			"WorkflowExecution fix-workflow":   {"outcome: RolledBack"},
			"WorkflowExecution fix-recovery-1": {"outcome: Success"},
			"Deployment cart":                  {"fix-workflow-s0-a1", "fix-workflow-s0-r1", "fix-recovery-1-s0-a1"},
		},
		deployments: func(namespace string) []*appsv1.Deployment {
			return []*appsv1.Deployment{builders.Deployment(namespace, "cart", badImage).Deployment}
		},
		start: func(ns string) client.Object {
			return builders.Request(ns, "fix", signal, builders.Deployment(ns, "cart", badImage).Target()).RemediationRequest
		},
	}
}

// signal is that of the playbooks of this suite.
const signal = "CrashImagePullFailure"

// playbooks are what the recovering remediation chooses from.
func playbooks() []*catalogv1alpha1.Playbook {
	const first = 900
	return []*catalogv1alpha1.Playbook{
		builders.Playbook("crash-more-of-it", signal, first+1).
			Step("more", shared.ActionScaleDeployment, map[string]string{"replicas": "2"}).Playbook,
		builders.Playbook("crash-other-image", signal, first).
			Step("image", shared.ActionUpdateImage, map[string]string{"container": "app", "image": newImage}).Playbook,
	}
}

// runs says whether an execution has its effect, or waits for the cluster to take it up.
func runs(execution *kubernetesexecutionv1.KubernetesExecution) bool {
	return execution.Status.Phase == kubernetesexecutionv1.PhaseExecuting && execution.Status.StartedAt != nil
}

// over says whether what a person created has ended.
func over(object client.Object) bool {
	switch o := object.(type) {
	case *workflowexecutionv1.WorkflowExecution:
		return o.Status.Phase.Terminal()
	case *remediationv1.RemediationRequest:
		return o.Status.OverallPhase.Terminal()
	default:
		return false
	}
}

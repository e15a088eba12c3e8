package shared

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Enrichment is what was read about a target; the content of Secrets is never part of it.
type Enrichment struct {
	// observedAt is when the target was read; ages are counted from it.
	// +optional
	ObservedAt *metav1.Time `json:"observedAt,omitempty"`
	// targetUID is the UID of the target that was read; empty when it could not be.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=64
	TargetUID types.UID `json:"targetUID,omitempty"`
	// namespaceLabels are the labels of the target's namespace.
	// +optional
	// +kubebuilder:validation:MaxProperties=64
	NamespaceLabels map[string]LabelText `json:"namespaceLabels,omitempty"`
	// owners are the controllers above the target, the nearest first, up to the root workload.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=8
	Owners []OwnedObject `json:"owners,omitempty"`
	// health is the state of the target as kstatus sees it.
	// +optional
	Health Health `json:"health,omitzero"`
	// conditions are the conditions of the target.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=32
	Conditions []ObservedCondition `json:"conditions,omitempty"`
	// containers are the containers of the target's pods that wait or have ended, and why.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	Containers []ContainerProblem `json:"containers,omitempty"`
	// events are the recent warning events about the target and its pods, the newest first.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	Events []WarningEvent `json:"events,omitempty"`
	// nodes are the nodes that the target's pods run on.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	Nodes []NodeFacts `json:"nodes,omitempty"`
	// hpa is the HorizontalPodAutoscaler that scales the target.
	// +optional
	HPA *HPAFacts `json:"hpa,omitempty"`
	// pdbs are the PodDisruptionBudgets that select the target's pods.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=8
	PDBs []PDBFacts `json:"pdbs,omitempty"`
	// revisions are the revisions that a Deployment keeps, the newest first. Those that an earlier workflow of the same request
	// rolled out, and that were left again, are not among them.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	Revisions []Revision `json:"revisions,omitempty"`
	// changedAt is the time before which the Deployment did not yet run what it runs now. A restart changes nothing by this
	// measure. Absent when no revision is kept that runs anything else.
	// +optional
	ChangedAt *metav1.Time `json:"changedAt,omitempty"`
	// gitOps says who manages the target from a repository.
	// +optional
	GitOps *GitOpsFacts `json:"gitOps,omitempty"`
	// failedWorkflow is what the workflow did whose failure this attempt recovers from.
	// +optional
	FailedWorkflow *FailedWorkflow `json:"failedWorkflow,omitempty"`
}

// HealthStatus is the state of an object, as kstatus defines it.
// +kubebuilder:validation:Enum=Current;InProgress;Failed;Terminating;NotFound;Unknown
type HealthStatus string

// The states of an object.
const (
	HealthCurrent     HealthStatus = "Current"
	HealthInProgress  HealthStatus = "InProgress"
	HealthFailed      HealthStatus = "Failed"
	HealthTerminating HealthStatus = "Terminating"
	HealthNotFound    HealthStatus = "NotFound"
	HealthUnknown     HealthStatus = "Unknown"
)

// Health is the state of one object and why.
type Health struct {
	// status is the state: Current, InProgress, Failed, Terminating, NotFound or Unknown.
	// +optional
	Status HealthStatus `json:"status,omitempty"`
	// message says why.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"`
	// desiredReplicas is how many pods the target wants, for a workload.
	// +optional
	DesiredReplicas *int32 `json:"desiredReplicas,omitempty"`
	// availableReplicas is how many pods are available, for a workload.
	// +optional
	AvailableReplicas *int32 `json:"availableReplicas,omitempty"`
}

// ObservedCondition is a condition of the target as it was read.
type ObservedCondition struct {
	// type is the type of the condition.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=316
	Type string `json:"type,omitempty"`
	// status is True, False or Unknown.
	// +optional
	// +kubebuilder:validation:MaxLength=16
	Status string `json:"status,omitempty"`
	// reason is the reason of the condition.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Reason string `json:"reason,omitempty"`
	// message is the message of the condition, cut to its bound.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"`
}

// ContainerState says whether a container waits or has ended.
// +kubebuilder:validation:Enum=Waiting;Terminated
type ContainerState string

// The states of a container that does not run.
const (
	ContainerWaiting    ContainerState = "Waiting"
	ContainerTerminated ContainerState = "Terminated"
)

// ContainerProblem is a container that waits or has ended.
type ContainerProblem struct {
	// pod is the name of the pod.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Pod string `json:"pod,omitempty"`
	// container is the name of the container.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Container string `json:"container,omitempty"`
	// image is the image of the container.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Image string `json:"image,omitempty"`
	// state is Waiting, or Terminated for the last end of a container.
	// +optional
	State ContainerState `json:"state,omitempty"`
	// reason is the kubelet's reason, such as ImagePullBackOff or OOMKilled.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Reason string `json:"reason,omitempty"`
	// message is the kubelet's message on why the container waits, cut to its bound. What a container wrote itself before it
	// ended is left out, since it may hold secrets.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Message string `json:"message,omitempty"`
	// exitCode is the exit code of a container that has ended.
	// +optional
	ExitCode *int32 `json:"exitCode,omitempty"`
	// restartCount is how often the container was restarted.
	// +optional
	RestartCount int32 `json:"restartCount,omitempty"`
	// crashLooping says whether the container ends badly again and again: it waits in CrashLoopBackOff, or it was restarted three times
	// or more and its last bad end is at most ten minutes ago, so that it runs for the moment.
	// +optional
	CrashLooping bool `json:"crashLooping,omitempty"`
	// memoryLimitBytes is the most memory that the container may use, in bytes; absent when it has no limit.
	// +optional
	// +kubebuilder:validation:Minimum=0
	MemoryLimitBytes *int64 `json:"memoryLimitBytes,omitempty"`
	// node is the name of the node that the pod runs on; empty when it runs on none.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Node string `json:"node,omitempty"`
	// revision is the number of the Deployment's revision that the pod belongs to; 0 when it belongs to none.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Revision int64 `json:"revision,omitempty"`
}

// WarningEvent is a recent event of type Warning.
type WarningEvent struct {
	// object is the kind and name of the object that the event is about.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=320
	Object string `json:"object,omitempty"`
	// reason is the reason of the event.
	// +optional
	// +kubebuilder:validation:MaxLength=128
	Reason string `json:"reason,omitempty"`
	// message is the message of the event, cut to its bound.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Message string `json:"message,omitempty"`
	// count is how often it was seen.
	// +optional
	Count int32 `json:"count,omitempty"`
	// lastSeen is when it was last seen.
	// +optional
	LastSeen *metav1.Time `json:"lastSeen,omitempty"`
}

// NodeFacts is a node that pods of the target run on.
type NodeFacts struct {
	// name is the name of the node.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`
	// ready says whether the node's Ready condition is True.
	// +optional
	Ready *bool `json:"ready,omitempty"`
	// unschedulable says whether the node is cordoned.
	// +optional
	Unschedulable *bool `json:"unschedulable,omitempty"`
}

// HPAFacts is the HorizontalPodAutoscaler that scales a target.
type HPAFacts struct {
	// name is the name of the autoscaler.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`
	// minReplicas is its lower limit.
	// +optional
	MinReplicas *int32 `json:"minReplicas,omitempty"`
	// maxReplicas is its upper limit.
	// +optional
	MaxReplicas *int32 `json:"maxReplicas,omitempty"`
	// desiredReplicas is what it asks for now.
	// +optional
	DesiredReplicas *int32 `json:"desiredReplicas,omitempty"`
}

// PDBFacts is a PodDisruptionBudget that selects pods of a target.
type PDBFacts struct {
	// name is the name of the budget.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`
	// minAvailable is its lower limit, a number or a percentage.
	// +optional
	// +kubebuilder:validation:MaxLength=16
	MinAvailable string `json:"minAvailable,omitempty"`
	// maxUnavailable is its upper limit, a number or a percentage.
	// +optional
	// +kubebuilder:validation:MaxLength=16
	MaxUnavailable string `json:"maxUnavailable,omitempty"`
	// disruptionsAllowed is how many pods may be disrupted now.
	// +optional
	DisruptionsAllowed *int32 `json:"disruptionsAllowed,omitempty"`
}

// Revision is a revision that a Deployment keeps: an earlier one can be returned to.
type Revision struct {
	// number is the number of the revision, as kubectl rollout history lists it.
	// +required
	// +kubebuilder:validation:Minimum=1
	Number int64 `json:"number,omitempty"`
	// current says whether it is the revision that the Deployment rolls out.
	// +optional
	Current bool `json:"current,omitempty"`
	// availableReplicas is how many pods of the revision are available.
	// +optional
	// +kubebuilder:validation:Minimum=0
	AvailableReplicas int32 `json:"availableReplicas,omitempty"`
	// createdAt is when the revision was first rolled out.
	// +optional
	CreatedAt *metav1.Time `json:"createdAt,omitempty"`
	// sameAsCurrent says whether the revision runs the same as the current one: they differ by a restart at most. To return to
	// such a revision changes nothing.
	// +optional
	SameAsCurrent bool `json:"sameAsCurrent,omitempty"`
}

// GitOpsTool is a tool that manages objects from a repository.
// +kubebuilder:validation:Enum=ArgoCD;Flux
type GitOpsTool string

// The tools that are recognised.
const (
	GitOpsArgoCD GitOpsTool = "ArgoCD"
	GitOpsFlux   GitOpsTool = "Flux"
)

// GitOpsFacts says who manages a target from a repository.
type GitOpsFacts struct {
	// tool is ArgoCD or Flux.
	// +required
	Tool GitOpsTool `json:"tool,omitempty"`
	// application is the name of the application or kustomization.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Application string `json:"application,omitempty"`
}

// FailedWorkflow is the history of a workflow that failed, for the analysis of a recovery.
type FailedWorkflow struct {
	// name is the name of the WorkflowExecution.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`
	// failedStep is the 0-based index of the step that failed; absent when no step is to blame.
	// +optional
	FailedStep *int32 `json:"failedStep,omitempty"`
	// failedAction is the type of the action that failed.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	FailedAction string `json:"failedAction,omitempty"`
	// errorType is the class of the failure.
	// +optional
	ErrorType ErrorType `json:"errorType,omitempty"`
	// failureReason says what happened.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	FailureReason string `json:"failureReason,omitempty"`
	// outcome is how the workflow ended.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	Outcome string `json:"outcome,omitempty"`
	// playbook is the name of the playbook that the workflow came from.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Playbook string `json:"playbook,omitempty"`
	// steps is what became of the first steps of the workflow, in its order.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	Steps []PastStep `json:"steps,omitempty"`
}

// PastStep is what became of a step of a workflow that failed.
type PastStep struct {
	// name is the name of the step.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name,omitempty"`
	// action is the type of its action.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	Action string `json:"action,omitempty"`
	// phase is the phase that the step ended in, such as completed, failed or rolled_back.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	Phase string `json:"phase,omitempty"`
	// message says what happened, cut to its bound.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Message string `json:"message,omitempty"`
}

// Classification is what policies say about a target.
type Classification struct {
	// environment is where the target runs, such as production; unknown when nothing says so.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	Environment string `json:"environment,omitempty"`
	// priority is P0, the most urgent, to P3.
	// +optional
	// +kubebuilder:validation:Enum=P0;P1;P2;P3
	Priority string `json:"priority,omitempty"`
	// businessUnit is who the target belongs to; unknown when nothing says so.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	BusinessUnit string `json:"businessUnit,omitempty"`
}

// ErrorType is the class of a failure; it comes from the types of errors, never from their text.
// +kubebuilder:validation:Enum=timeout;permission_denied;resource_not_found;resource_conflict;resource_quota_exceeded;validation_error;policy_denied;approval_rejected;approval_expired;ineffective;cancelled;unknown_error
type ErrorType string

// The classes of failure.
const (
	ErrorTimeout               ErrorType = "timeout"
	ErrorPermissionDenied      ErrorType = "permission_denied"
	ErrorResourceNotFound      ErrorType = "resource_not_found"
	ErrorResourceConflict      ErrorType = "resource_conflict"
	ErrorResourceQuotaExceeded ErrorType = "resource_quota_exceeded"
	ErrorValidation            ErrorType = "validation_error"
	ErrorPolicyDenied          ErrorType = "policy_denied"
	ErrorApprovalRejected      ErrorType = "approval_rejected"
	ErrorApprovalExpired       ErrorType = "approval_expired"
	ErrorIneffective           ErrorType = "ineffective"
	ErrorCancelled             ErrorType = "cancelled"
	ErrorUnknown               ErrorType = "unknown_error"
)

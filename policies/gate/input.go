package gate

import (
	"maps"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"kubernaut.io/kubernaut/api/shared"
)

// InputVersion is the version of the input document that this gate evaluates.
const InputVersion = "safety.kubernaut.io/v1"

// Stage says when a step is judged.
type Stage string

// The stages of a step.
const (
	// StagePlan judges all steps of a workflow before anything ran.
	StagePlan Stage = "plan"
	// StageStep judges one step just before it runs.
	StageStep Stage = "step"
	// StageRollback judges the restoration of captured state.
	StageRollback Stage = "rollback"
)

// Stages lists the stages in the order in which a workflow passes them.
func Stages() []Stage {
	return []Stage{StagePlan, StageStep, StageRollback}
}

// Input is everything that a policy can know about one step. The objects of this document are always there. A pointer, list or
// map that is nil is null in the document: the fact is unknown, or there is no such thing, and Missing says which and why. A list or map
// that was read and holds nothing must therefore be empty, not nil.
type Input struct {
	// The version of this document, safety.kubernaut.io/v1.
	APIVersion string `json:"apiVersion"`
	// When the step is judged: plan (all steps, before anything ran), step (just before this one) or rollback.
	Stage Stage `json:"stage"`
	// The time of the evaluation in RFC 3339, UTC; the only clock that a policy sees.
	Time string `json:"time"`
	// The time of the evaluation in nanoseconds since 1970, for the time functions of Rego.
	TimeNS int64 `json:"time_ns"`
	// The facts that could not be read.
	Missing []MissingFact `json:"missing"`
	// The workflow that the step belongs to.
	Workflow Workflow `json:"workflow"`
	// How the workflow is to be run.
	Plan Plan `json:"plan"`
	// The step that is judged.
	Step Step `json:"step"`
	// What the step changes.
	Target Target `json:"target"`
	// The namespace of the target.
	Namespace Namespace `json:"namespace"`
	// Why the workflow runs; all but present is null for a workflow that was started by hand.
	Remediation Remediation `json:"remediation"`
	// The person or signal source that asked for the workflow.
	Requester Requester `json:"requester"`
	// The state of the cluster around the target.
	Cluster Cluster `json:"cluster"`
	// What the step would change.
	Impact Impact `json:"impact"`
	// How the step can be undone.
	Rollback Rollback `json:"rollback"`
}

// MissingFact is one fact that could not be read.
type MissingFact struct {
	// The path of the fact in this document, such as target.object.
	Path string `json:"path"`
	// Why it could not be read.
	Reason string `json:"reason"`
}

// Workflow is the workflow that a step belongs to.
type Workflow struct {
	// The name of the workflow.
	Name string `json:"name"`
	// The namespace of the workflow, which need not be that of the target.
	Namespace string `json:"namespace"`
	// The labels of the workflow.
	Labels map[string]string `json:"labels"`
	// The annotations of the workflow.
	Annotations map[string]string `json:"annotations"`
	// The definition that the workflow runs.
	Definition Definition `json:"definition"`
	// How the steps are ordered: Sequential, Parallel or Mixed; null before the plan is made.
	Strategy *string `json:"strategy"`
	// Remediate, or DryRun when nothing will be changed.
	Mode shared.Mode `json:"mode"`
	// The number of steps of the workflow.
	TotalSteps int `json:"totalSteps"`
}

// Definition names a workflow definition.
type Definition struct {
	// The name of the definition.
	Name string `json:"name"`
	// The version of the definition.
	Version string `json:"version"`
}

// Plan is how a workflow is to be run.
type Plan struct {
	// The batches, in order, each a list of the indices of the steps that run at the same time.
	Batches [][]int `json:"batches"`
	// How long the workflow will typically take, such as 5m30s; time.parse_duration_ns reads it.
	EstimatedDuration *string `json:"estimatedDuration"`
	// The digest of the plan.
	Digest *string `json:"digest"`
}

// Step is the step that is judged.
type Step struct {
	// The 0-based index of the step in its workflow.
	Index int `json:"index"`
	// The name of the step.
	Name string `json:"name"`
	// The action: its type, and the parameters in the member of that name; a member of another type is absent.
	Action shared.Action `json:"action"`
	// The names of the steps that must be completed before this one.
	DependsOn []string `json:"dependsOn"`
	// Whether the workflow fails when this step does.
	Critical *bool `json:"critical"`
	// The 1-based number of the attempt; null at stage plan.
	Attempt *int32 `json:"attempt"`
	// Whether the step can be undone: Yes, No, or Harmless when there is nothing to undo.
	Reversibility *string `json:"reversibility"`
}

// Target is what a step changes. All of it is null for an action that changes nothing.
type Target struct {
	// The group and version of the target, such as apps/v1.
	APIVersion *string `json:"apiVersion"`
	// The kind of the target.
	Kind *string `json:"kind"`
	// The namespace of the target; null for a cluster-scoped one.
	Namespace *string `json:"namespace"`
	// The name of the target.
	Name *string `json:"name"`
	// The live object without managedFields, of a Secret without its data; null when it is gone or could not be read.
	Object map[string]any `json:"object"`
	// What the workflow expected to find, and what is there.
	Drift Drift `json:"drift"`
	// The owners of the target, its controller first and the root workload last. When the owner of the last one could not be read,
	// Missing names target.owners.
	Owners []shared.OwnedObject `json:"owners"`
	// The GitOps tool that manages the target.
	GitOps GitOps `json:"gitops"`
	// The HorizontalPodAutoscaler that scales the target or one of its owners.
	HPA HPA `json:"hpa"`
	// The PodDisruptionBudgets that select pods of the target.
	PDBs []PDB `json:"pdbs"`
}

// Drift compares the target with what the workflow expected.
type Drift struct {
	// The target as it was when the workflow was validated, or as the workflow's last step left it.
	Expected Identity `json:"expected"`
	// The target as it is.
	Found Identity `json:"found"`
}

// Identity tells one state of one object from all others.
type Identity struct {
	// The UID of the object.
	UID *string `json:"uid"`
	// The generation of the object; null for a kind that has none.
	Generation *int64 `json:"generation"`
}

// GitOps says which GitOps tool manages the target.
type GitOps struct {
	// Whether a GitOps tool manages the target.
	Managed *bool `json:"managed"`
	// The tool: ArgoCD or Flux; null when none manages the target.
	Tool *string `json:"tool"`
	// The application or kustomization of the tool; null when none manages the target.
	Application *string `json:"application"`
}

// HPA is the HorizontalPodAutoscaler that scales the target.
type HPA struct {
	// Whether there is one.
	Present *bool `json:"present"`
	// Its name.
	Name *string `json:"name"`
	// The fewest replicas that it sets.
	MinReplicas *int32 `json:"minReplicas"`
	// The most replicas that it sets.
	MaxReplicas *int32 `json:"maxReplicas"`
}

// PDB is a PodDisruptionBudget.
type PDB struct {
	// The name of the budget.
	Name string `json:"name"`
	// How many pods may be disrupted now.
	DisruptionsAllowed *int32 `json:"disruptionsAllowed"`
	// How many pods are healthy now.
	CurrentHealthy *int32 `json:"currentHealthy"`
	// How many pods must be healthy.
	DesiredHealthy *int32 `json:"desiredHealthy"`
	// How many pods the budget counts.
	ExpectedPods *int32 `json:"expectedPods"`
}

// Namespace is the namespace of the target. All of it is null for a target that has none.
type Namespace struct {
	// The name of the namespace.
	Name *string `json:"name"`
	// The labels of the namespace.
	Labels map[string]string `json:"labels"`
	// The annotations of the namespace.
	Annotations map[string]string `json:"annotations"`
}

// Remediation is why the workflow runs.
type Remediation struct {
	// Whether the workflow serves a RemediationRequest; false when it was started by hand.
	Present *bool `json:"present"`
	// The RemediationRequest that the workflow serves.
	Request Request `json:"request"`
	// The name of the signal, such as KubeDeploymentRolloutStuck.
	Signal *string `json:"signal"`
	// The severity of the signal: critical, warning or info.
	Severity *string `json:"severity"`
	// How the target and the signal were classified.
	Classification RemediationClassification `json:"classification"`
	// The number of the recovery; 0 for the first workflow.
	RecoveryAttempt *int32 `json:"recoveryAttempt"`
	// How certain the analysis is of the cause, from 0 to 100.
	ConfidencePercent *int32 `json:"confidencePercent"`
	// What analysed the cause, such as playbook.
	Provider *string `json:"provider"`
}

// Request names the RemediationRequest that a workflow serves. All of it is null for a workflow that was started by hand.
type Request struct {
	// The name of the request, which is in the namespace of the workflow.
	Name *string `json:"name"`
	// The UID of the request: one of the same name that was created later is another one.
	UID *string `json:"uid"`
}

// RemediationClassification is how the target and the signal of a remediation were classified.
type RemediationClassification struct {
	// Where the target runs, such as production; unknown when nothing says so.
	Environment *string `json:"environment"`
	// P0, the most urgent, to P3.
	Priority *string `json:"priority"`
	// Who the target belongs to; unknown when nothing says so.
	BusinessUnit *string `json:"businessUnit"`
}

// Requester is the person or signal source that asked for the workflow.
type Requester struct {
	// The authenticated user name.
	Username *string `json:"username"`
	// The groups of the user.
	Groups []string `json:"groups"`
}

// Cluster is the state of the cluster around the target.
type Cluster struct {
	// The nodes of the cluster.
	Nodes Nodes `json:"nodes"`
	// The number of active workflows by the namespace of their targets: those that were let through and have not ended. A namespace
	// without any is not listed.
	ActiveWorkflows map[string]int `json:"activeWorkflows"`
	// What other workflows did in the last hour.
	Executions Executions `json:"executions"`
}

// Nodes counts the nodes of the cluster.
type Nodes struct {
	// All nodes.
	Total *int `json:"total"`
	// The nodes that are ready.
	Ready *int `json:"ready"`
	// The nodes that take no new pods.
	Unschedulable *int `json:"unschedulable"`
	// The nodes that are ready and take new pods.
	Schedulable *int `json:"schedulable"`
}

// Executions is what other workflows did in the last hour.
type Executions struct {
	// The executions on this target, the newest first. When there are more than are listed, Missing names cluster.executions.target.
	Target []PastExecution `json:"target"`
	// The executions on targets in the namespace of this target, the newest first. When there are more than are listed, Missing names
	// cluster.executions.namespace.
	Namespace []PastExecution `json:"namespace"`
}

// PastExecution is one step that another workflow ran.
type PastExecution struct {
	// The workflow that ran the step.
	Workflow string `json:"workflow"`
	// The RemediationRequest of that workflow; null when it was started by hand, or is not known any more.
	RemediationRequest *string `json:"remediationRequest"`
	// The UID of that RemediationRequest; null when the workflow was started by hand, or is not known any more.
	RemediationRequestUID *string `json:"remediationRequestUID"`
	// The type of the action; empty when something was undone and what it was is not known any more.
	Action shared.ActionType `json:"action"`
	// Execute, or RollBack when the action was undone.
	Purpose string `json:"purpose"`
	// Whether the action changes the cluster.
	Mutating bool `json:"mutating"`
	// The UID of what the step changed.
	TargetUID *string `json:"targetUID"`
	// How the step ended, completed or failed; null while it runs.
	Outcome *string `json:"outcome"`
	// When the step started, in RFC 3339.
	Time string `json:"time"`
	// When the step started, in nanoseconds since 1970.
	TimeNS int64 `json:"time_ns"`
}

// Impact is what the step would change.
type Impact struct {
	// The fields that the dry run said would change; null when there was no dry run.
	Changes []Change `json:"changes"`
	// How many of the workload's pods end: those that scaling takes away, all of them when the template changes, one when a pod is
	// deleted, none otherwise.
	PodsAffected *int32 `json:"podsAffected"`
	// How many of the workload's pods these are, in percent.
	PodsAffectedPercent *int32 `json:"podsAffectedPercent"`
}

// Change is one field that the step would change.
type Change struct {
	// The path of the field.
	Path string `json:"path"`
	// The value now; null when the field is not there.
	Before any `json:"before"`
	// The value afterwards; null when the field is removed.
	After any `json:"after"`
}

// Rollback is how the step can be undone.
type Rollback struct {
	// Whether what the step changes has been captured.
	Available *bool `json:"available"`
	// Whether a dry run has shown that the captured state can be restored.
	Proven *bool `json:"proven"`
	// The fields that would be restored.
	Restores []RestoredField `json:"restores"`
}

// RestoredField is one field that a rollback would restore.
type RestoredField struct {
	// The path of the field.
	Path string `json:"path"`
	// The value that it would have again; null when the field would be removed.
	Value any `json:"value"`
}

// ClassificationInput is what a classification policy can know. Its rules are those of Input.
type ClassificationInput struct {
	// The version of this document, safety.kubernaut.io/v1.
	APIVersion string `json:"apiVersion"`
	// The namespace of the target.
	Namespace ClassifiedNamespace `json:"namespace"`
	// The signal that asks for a remediation.
	Signal ClassifiedSignal `json:"signal"`
	// What the signal is about.
	Target ClassifiedTarget `json:"target"`
	// The health of the target.
	Health ClassifiedHealth `json:"health"`
}

// ClassifiedNamespace is the namespace of a target that is classified.
type ClassifiedNamespace struct {
	// The name of the namespace; null for a cluster-scoped target.
	Name *string `json:"name"`
	// The labels of the namespace.
	Labels map[string]string `json:"labels"`
}

// ClassifiedSignal is the signal of a target that is classified.
type ClassifiedSignal struct {
	// The name of the signal.
	Name *string `json:"name"`
	// The severity of the signal: critical, warning or info.
	Severity *string `json:"severity"`
	// The labels of the signal.
	Labels map[string]string `json:"labels"`
}

// ClassifiedTarget names the target that is classified.
type ClassifiedTarget struct {
	// The group and version of the target, such as apps/v1.
	APIVersion string `json:"apiVersion"`
	// The kind of the target.
	Kind string `json:"kind"`
	// The namespace of the target; null for a cluster-scoped one.
	Namespace *string `json:"namespace"`
	// The name of the target.
	Name string `json:"name"`
}

// ClassifiedHealth is the health of a target that is classified.
type ClassifiedHealth struct {
	// The state of the target as kstatus names it, such as InProgress.
	Status *string `json:"status"`
	// Why the target is in that state.
	Message *string `json:"message"`
}

// NewInput starts an input document: its version, its stage and its time are set and no fact is missing yet.
func NewInput(stage Stage, now time.Time) *Input {
	return &Input{
		APIVersion: InputVersion,
		Stage:      stage,
		Time:       now.UTC().Format(time.RFC3339Nano),
		TimeNS:     now.UnixNano(),
		Missing:    []MissingFact{},
	}
}

// NewClassificationInput starts an input document for a classification.
func NewClassificationInput() *ClassificationInput {
	return &ClassificationInput{APIVersion: InputVersion}
}

// lastApplied repeats a whole object, and so the data of a Secret, in an annotation.
const lastApplied = "kubectl.kubernetes.io/last-applied-configuration"

// SanitizeObject is the object as a policy may see it: without managedFields, and of a Secret without its data. It shares what
// it keeps with the object, which it does not change; nil stays nil.
func SanitizeObject(object *unstructured.Unstructured) map[string]any {
	if object == nil || object.Object == nil {
		return nil
	}
	clean := maps.Clone(object.Object)
	metadata := withoutKeys(clean, "metadata", "managedFields")
	if object.GetAPIVersion() != "v1" || object.GetKind() != "Secret" {
		return clean
	}
	delete(clean, "data")
	delete(clean, "stringData")
	withoutKeys(metadata, "annotations", lastApplied)
	return clean
}

// withoutKeys replaces the object in a field by a copy that lacks some keys, and returns the copy.
func withoutKeys(parent map[string]any, field string, keys ...string) map[string]any {
	object, ok := parent[field].(map[string]any)
	if !ok {
		return nil
	}
	object = maps.Clone(object)
	for _, key := range keys {
		delete(object, key)
	}
	parent[field] = object
	return object
}

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"kubernaut.io/kubernaut/api/shared"
)

// ApprovalRequest asks people to approve exactly one plan with exactly the changes that it shows.
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=approvalrequests,shortName=apr,categories=kubernaut,scope=Namespaced
// +kubebuilder:printcolumn:name="Workflow",type=string,JSONPath=`.spec.workflowExecutionRef.name`
// +kubebuilder:printcolumn:name="Phase",type=string,JSONPath=`.status.phase`
// +kubebuilder:printcolumn:name="Approvals",type=integer,JSONPath=`.status.approvals`
// +kubebuilder:printcolumn:name="Required",type=integer,JSONPath=`.spec.requiredApprovals`
// +kubebuilder:printcolumn:name="Requested By",type=string,JSONPath=`.spec.requestedBy.username`
// +kubebuilder:printcolumn:name="Expires",type=string,JSONPath=`.spec.expiresAt`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=='Ready')].reason`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.conditions[?(@.type=='Ready')].message`,priority=1
// +kubebuilder:validation:XValidation:rule="!has(oldSelf.status) || !has(oldSelf.status.phase) || oldSelf.status.phase == 'pending' || oldSelf.status.phase == 'approved' || (has(self.status) && has(self.status.phase) && self.status.phase == oldSelf.status.phase)",message="status.phase is terminal: rejected, expired and void never change"
type ApprovalRequest struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard metadata of an object.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty,omitzero"`
	// spec is what is to be approved, and the decisions; immutable but for decisions, which only grow.
	// +required
	Spec ApprovalRequestSpec `json:"spec,omitzero"`
	// status is what follows from the decisions.
	// +optional
	// +structType=atomic
	Status ApprovalRequestStatus `json:"status,omitzero"`
}

// ApprovalRequestList is a list of ApprovalRequest.
// +kubebuilder:object:root=true
type ApprovalRequestList struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard metadata of a list.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty"`
	// items are the objects.
	Items []ApprovalRequest `json:"items"`
}

// ApprovalRequestSpec is what is to be approved, and the decisions.
// +kubebuilder:validation:XValidation:rule="self.workflowExecutionRef == oldSelf.workflowExecutionRef",fieldPath=".workflowExecutionRef",message="is immutable after creation"
// +kubebuilder:validation:XValidation:rule="self.planDigest == oldSelf.planDigest",fieldPath=".planDigest",message="is immutable after creation"
// +kubebuilder:validation:XValidation:rule="self.summaryDigest == oldSelf.summaryDigest",fieldPath=".summaryDigest",message="is immutable after creation"
// +kubebuilder:validation:XValidation:rule="self.requestedBy == oldSelf.requestedBy",fieldPath=".requestedBy",message="is immutable after creation"
// +kubebuilder:validation:XValidation:rule="self.requiredApprovals == oldSelf.requiredApprovals",fieldPath=".requiredApprovals",message="is immutable after creation"
// +kubebuilder:validation:XValidation:rule="self.expiresAt == oldSelf.expiresAt",fieldPath=".expiresAt",message="is immutable after creation"
// +kubebuilder:validation:XValidation:rule="has(self.reasons) == has(oldSelf.reasons) && (!has(self.reasons) || self.reasons == oldSelf.reasons)",fieldPath=".reasons",message="is immutable after creation"
// +kubebuilder:validation:XValidation:rule="has(self.summary) == has(oldSelf.summary) && (!has(self.summary) || self.summary == oldSelf.summary)",fieldPath=".summary",message="is immutable after creation"
// +kubebuilder:validation:XValidation:rule="!has(oldSelf.decisions) || (has(self.decisions) && size(self.decisions) >= size(oldSelf.decisions))",fieldPath=".decisions",message="only grows: add one decision at the end"
type ApprovalRequestSpec struct {
	// workflowExecutionRef is the workflow that waits.
	// +required
	// +structType=atomic
	WorkflowExecutionRef shared.ObjectReference `json:"workflowExecutionRef,omitzero"`
	// planDigest is the digest of the plan that is approved.
	// +required
	// +kubebuilder:validation:MinLength=64
	// +kubebuilder:validation:MaxLength=64
	PlanDigest string `json:"planDigest,omitempty"`
	// summaryDigest is the SHA-256 over all that the steps would change, values uncut: that of status.validation of the workflow.
	// +required
	// +kubebuilder:validation:MinLength=64
	// +kubebuilder:validation:MaxLength=64
	SummaryDigest string `json:"summaryDigest,omitempty"`
	// summary is what would change: each field of each step, a step that changes no field by its name and target alone, and a
	// rollbackAction, which has no field either, by what after says of it.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=200
	Summary []SummaryEntry `json:"summary,omitempty"`
	// reasons are why approval is asked for.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	Reasons []ApprovalReason `json:"reasons,omitempty"`
	// requestedBy is who asked for the workflow; they cannot approve it.
	// +required
	// +structType=atomic
	RequestedBy shared.Requester `json:"requestedBy,omitzero"`
	// requiredApprovals is how many people must approve, 1 to 5.
	// +required
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=5
	RequiredApprovals int32 `json:"requiredApprovals,omitempty"`
	// expiresAt is until when a decision counts.
	// +required
	ExpiresAt metav1.Time `json:"expiresAt,omitzero"`
	// decisions are what people decided. A person adds one entry of decision and reason; admission stamps by and at.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:default={}
	Decisions []ApprovalDecision `json:"decisions,omitempty"`
}

// SummaryEntry is one field that a step of the plan would change; its values are the JSON text, cut to their bound.
type SummaryEntry struct {
	// step is the name of the step.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Step string `json:"step,omitempty"`
	// target is what the step changes.
	// +optional
	Target *shared.Target `json:"target,omitempty"`
	// field is the path of the field as a JSON pointer.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Field string `json:"field,omitempty"`
	// before is the value before the change.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Before string `json:"before,omitempty"`
	// after is the value after the change.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	After string `json:"after,omitempty"`
}

// ApprovalReason is one policy's reason for asking.
type ApprovalReason struct {
	// policy is the name of the policy.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Policy string `json:"policy,omitempty"`
	// code is its machine-readable reason.
	// +optional
	// +kubebuilder:validation:MaxLength=128
	Code string `json:"code,omitempty"`
	// message is its sentence for people.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Message string `json:"message,omitempty"`
}

// DecisionKind is what a person decided.
// +kubebuilder:validation:Enum=Approved;Rejected
type DecisionKind string

// The decisions; a single Rejected rejects.
const (
	DecisionApproved DecisionKind = "Approved"
	DecisionRejected DecisionKind = "Rejected"
)

// ApprovalDecision is one person's decision.
type ApprovalDecision struct {
	// decision is Approved or Rejected.
	// +required
	Decision DecisionKind `json:"decision,omitempty"`
	// reason says why.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	Reason string `json:"reason,omitempty"`
	// by is the user name of who decided; admission stamps it.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	By string `json:"by,omitempty"`
	// at is when; admission stamps it.
	// +optional
	At *metav1.Time `json:"at,omitempty"`
}

// ApprovalPhase is where an approval stands.
// +kubebuilder:validation:Enum=pending;approved;rejected;expired;void
type ApprovalPhase string

// The phases of an approval.
const (
	PhasePending  ApprovalPhase = "pending"
	PhaseApproved ApprovalPhase = "approved"
	PhaseRejected ApprovalPhase = "rejected"
	PhaseExpired  ApprovalPhase = "expired"
	PhaseVoid     ApprovalPhase = "void"
)

// Decided says whether the phase takes no decision any more. An approved request may still become void.
func (p ApprovalPhase) Decided() bool { return p != "" && p != PhasePending }

// Terminal says whether nothing follows the phase.
func (p ApprovalPhase) Terminal() bool { return p.Decided() && p != PhaseApproved }

// ApprovalRequestStatus is what follows from the decisions.
type ApprovalRequestStatus struct {
	// conditions say where the object stands: Ready and Stalled in summary.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// observedGeneration is the generation of the spec that this status speaks of.
	// +optional
	// +kubebuilder:validation:Minimum=0
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// phase is pending, approved, rejected, expired or void.
	// +optional
	Phase ApprovalPhase `json:"phase,omitempty"`
	// approvals is how many people have approved.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=16
	Approvals int32 `json:"approvals,omitempty"`
}

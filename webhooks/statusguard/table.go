// Package statusguard says, in one table, who writes the status of which kind, who creates it and what owns it. From the table and
// one list of rules it makes the guard twice: as ValidatingAdmissionPolicies, CEL in the API server, which hold while the manager
// is gone and when its webhooks were deleted; and as the decision of a webhook, which holds when the policies were deleted and
// reads what CEL cannot.
package statusguard

import (
	aianalysisv1 "kubernaut.io/kubernaut/api/aianalysis/v1"
	catalogv1alpha1 "kubernaut.io/kubernaut/api/catalog/v1alpha1"
	kubernetesexecutionv1 "kubernaut.io/kubernaut/api/kubernetesexecution/v1"
	remediationv1 "kubernaut.io/kubernaut/api/remediation/v1"
	remediationprocessingv1 "kubernaut.io/kubernaut/api/remediationprocessing/v1"
	safetyv1alpha1 "kubernaut.io/kubernaut/api/safety/v1alpha1"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/controllers/identity"
)

// Row says who writes the status of one kind.
type Row struct {
	Group    string
	Version  string
	Kind     string
	Resource string
	// Writer is the ServiceAccount, in the operator's namespace, that alone writes the status.
	Writer string
	// Closing is the sentence that ends a refusal: what to do instead.
	Closing string
	// Creator is the ServiceAccount, in the operator's namespace, that alone creates objects of the kind; empty where RBAC decides.
	Creator string
	// Instead is the sentence that ends the refusal of another creator.
	Instead string
	// Requested says that the spec names who asked for the object.
	Requested bool
	// Owner is the kind that owns objects of this one, as their spec names it; nil for a kind that Kubernaut owns no object of.
	Owner *Owner
	// Decided says that people decide through the list spec.decisions.
	Decided bool
}

// Owner is the kind that owns another.
type Owner struct {
	Group   string
	Version string
	Kind    string
	// Optional says that the spec need not name one: a person starts the object by hand.
	Optional bool
}

func ownedByRequest() *Owner {
	return &Owner{Group: remediationv1.GroupVersion.Group, Version: remediationv1.GroupVersion.Version, Kind: "RemediationRequest"}
}

func ownedByWorkflow() *Owner {
	return &Owner{Group: workflowexecutionv1.GroupVersion.Group, Version: workflowexecutionv1.GroupVersion.Version, Kind: "WorkflowExecution"}
}

// Rows is the table, in the order of the flow.
func Rows() []Row {
	return []Row{
		{
			Group: remediationv1.GroupVersion.Group, Version: remediationv1.GroupVersion.Version,
			Kind: "RemediationRequest", Resource: "remediationrequests", Writer: identity.RemediationRequest,
			Closing:   "WorkflowExecution reports through its own status; the orchestrator aggregates it.",
			Requested: true,
		},
		{
			Group: remediationprocessingv1.GroupVersion.Group, Version: remediationprocessingv1.GroupVersion.Version,
			Kind: "RemediationProcessing", Resource: "remediationprocessings", Writer: identity.RemediationProcessing,
			Closing: "The facts of an examination come from its own controller; the orchestrator reads them.",
			Creator: identity.RemediationRequest,
			Instead: "Create a RemediationRequest: the orchestrator has its target examined.",
			Owner:   ownedByRequest(),
		},
		{
			Group: aianalysisv1.GroupVersion.Group, Version: aianalysisv1.GroupVersion.Version,
			Kind: "AIAnalysis", Resource: "aianalyses", Writer: identity.AIAnalysis,
			Closing: "A recommendation comes from the analysis alone; the orchestrator reads it.",
			Creator: identity.RemediationRequest,
			Instead: "Create a RemediationRequest: the orchestrator has its target analysed.",
			Owner:   ownedByRequest(),
		},
		{
			Group: workflowexecutionv1.GroupVersion.Group, Version: workflowexecutionv1.GroupVersion.Version,
			Kind: "WorkflowExecution", Resource: "workflowexecutions", Writer: identity.WorkflowExecution,
			Closing:   "KubernetesExecution reports through its own status; the workflow aggregates it.",
			Requested: true,
			Owner: &Owner{
				Group: remediationv1.GroupVersion.Group, Version: remediationv1.GroupVersion.Version, Kind: "RemediationRequest", Optional: true,
			},
		},
		{
			Group: kubernetesexecutionv1.GroupVersion.Group, Version: kubernetesexecutionv1.GroupVersion.Version,
			Kind: "KubernetesExecution", Resource: "kubernetesexecutions", Writer: identity.KubernetesExecution,
			Closing: "What was done to a target is recorded by who did it; the workflow reads it.",
			Creator: identity.WorkflowExecution,
			Instead: "Create a WorkflowExecution: its steps pass the safety gate and are carried out by executions.",
			Owner:   ownedByWorkflow(),
		},
		{
			Group: safetyv1alpha1.GroupVersion.Group, Version: safetyv1alpha1.GroupVersion.Version,
			Kind: "SafetyPolicy", Resource: "safetypolicies", Writer: identity.SafetyPolicy,
			Closing: "A policy is changed through its spec; its controller reports whether it is active.",
		},
		{
			Group: safetyv1alpha1.GroupVersion.Group, Version: safetyv1alpha1.GroupVersion.Version,
			Kind: "ApprovalRequest", Resource: "approvalrequests", Writer: identity.WorkflowExecution,
			Closing: "People decide through spec.decisions; the phase follows from them.",
			Creator: identity.WorkflowExecution,
			Instead: "Create a WorkflowExecution: it asks for the approval that its policies and its executionStrategy want.",
			Owner:   ownedByWorkflow(),
			Decided: true,
		},
		{
			Group: catalogv1alpha1.GroupVersion.Group, Version: catalogv1alpha1.GroupVersion.Version,
			Kind: "Playbook", Resource: "playbooks", Writer: identity.Playbook,
			Closing: "A playbook is changed through its spec; its controller reports whether it can be used.",
		},
	}
}

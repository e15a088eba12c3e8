package identity

import (
	"fmt"

	"kubernaut.io/kubernaut/api/shared"
)

// DefaultNamespace is the namespace of the operator and of all its ServiceAccounts.
const DefaultNamespace = "kubernaut-system"

// The ServiceAccounts of the operator.
const (
	// Manager hosts the controllers and the webhooks: it fills the caches, obtains the tokens of the controllers, and serves.
	Manager = "kubernaut-manager"

	RemediationRequest    = "remediationrequest-controller"
	RemediationProcessing = "remediationprocessing-controller"
	AIAnalysis            = "aianalysis-controller"
	WorkflowExecution     = "workflowexecution-controller"
	KubernetesExecution   = "kubernetesexecution-controller"
	SafetyPolicy          = "safetypolicy-controller"
	Playbook              = "playbook-controller"
)

// Controllers lists the accounts whose tokens the manager obtains.
func Controllers() []string {
	return []string{
		RemediationRequest, RemediationProcessing, AIAnalysis, WorkflowExecution, KubernetesExecution, SafetyPolicy, Playbook,
	}
}

// Action is the account that carries out one type of action; only the KubernetesExecution controller obtains its tokens.
func Action(action shared.ActionType) string {
	return "action-" + string(action)
}

// Username is the user name by which the API server knows an account.
func Username(namespace, account string) string {
	return fmt.Sprintf("system:serviceaccount:%s:%s", namespace, account)
}

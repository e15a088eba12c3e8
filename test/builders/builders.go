// Package builders makes objects for tests: one fluent builder for each kind, so that a test states only what matters to it.
package builders

import (
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	catalogv1alpha1 "kubernaut.io/kubernaut/api/catalog/v1alpha1"
	remediationv1 "kubernaut.io/kubernaut/api/remediation/v1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
)

// DeploymentBuilder makes a Deployment of one container named app.
type DeploymentBuilder struct{ *appsv1.Deployment }

// Deployment starts a Deployment of one replica whose rollout counts as stuck after five seconds.
func Deployment(namespace, name, image string) DeploymentBuilder {
	labels := map[string]string{"app": name}
	return DeploymentBuilder{&appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: labels},
		Spec: appsv1.DeploymentSpec{
			Replicas:                new(int32(1)),
			ProgressDeadlineSeconds: new(int32(2)),
			Selector:                &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: image}}},
			},
		},
	}}
}

// Replicas sets the number of pods.
func (b DeploymentBuilder) Replicas(n int32) DeploymentBuilder {
	b.Spec.Replicas = &n
	return b
}

// MemoryLimit sets the memory limit of the container.
func (b DeploymentBuilder) MemoryLimit(limit string) DeploymentBuilder {
	b.Spec.Template.Spec.Containers[0].Resources.Limits = corev1.ResourceList{corev1.ResourceMemory: resource.MustParse(limit)}
	return b
}

// Target is the Deployment as the target of a remediation.
func (b DeploymentBuilder) Target() shared.Target {
	return shared.Target{APIVersion: "apps/v1", Kind: "Deployment", Namespace: b.Namespace, Name: b.Name}
}

// RequestBuilder makes a RemediationRequest.
type RequestBuilder struct {
	*remediationv1.RemediationRequest
}

// Request starts a request for the repair of a target.
func Request(namespace, name, signal string, target shared.Target) RequestBuilder {
	return RequestBuilder{&remediationv1.RemediationRequest{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: remediationv1.RemediationRequestSpec{
			SignalContext: shared.SignalContext{Name: signal, Severity: shared.SeverityCritical, Source: "test"},
			Target:        target,
		},
	}}
}

// DryRun makes the request one that changes nothing.
func (b RequestBuilder) DryRun() RequestBuilder {
	b.Spec.Mode = shared.ModeDryRun
	return b
}

// Recoveries sets how many further workflows may be tried.
func (b RequestBuilder) Recoveries(most int32) RequestBuilder {
	b.Spec.MaxRecoveryAttempts = &most
	return b
}

// PlaybookBuilder makes a Playbook.
type PlaybookBuilder struct{ *catalogv1alpha1.Playbook }

// Playbook starts a playbook for one signal.
func Playbook(name, signal string, priority int32) PlaybookBuilder {
	return PlaybookBuilder{&catalogv1alpha1.Playbook{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: catalogv1alpha1.PlaybookSpec{
			Match: catalogv1alpha1.PlaybookMatch{Signals: []string{signal}}, Priority: &priority,
			ConfidencePercent: new(int32(50)), RootCause: "the cause that " + name + " is made for",
			Workflow: catalogv1alpha1.PlaybookWorkflow{Name: name},
		},
	}}
}

// Step adds a step on the target of the request; parameters may name another.
func (b PlaybookBuilder) Step(name string, action shared.ActionType, parameters map[string]string) PlaybookBuilder {
	values := map[string]catalogv1alpha1.ParameterText{}
	if action != shared.ActionNotifyOnly {
		values["namespace"], values["name"] = "${{ target.namespace }}", "${{ target.name }}"
	}
	for key, value := range parameters {
		values[key] = catalogv1alpha1.ParameterText(value)
	}
	b.Spec.Workflow.Steps = append(b.Spec.Workflow.Steps, catalogv1alpha1.PlaybookStep{Name: name, Type: action, Parameters: values})
	return b
}

// WorkflowBuilder makes a WorkflowExecution that a person starts by hand.
type WorkflowBuilder struct {
	*workflowexecutionv1.WorkflowExecution
}

// Workflow starts a workflow of the given steps that watches its targets for a second.
func Workflow(namespace, name string, steps ...shared.Step) WorkflowBuilder {
	return WorkflowBuilder{&workflowexecutionv1.WorkflowExecution{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: workflowexecutionv1.WorkflowExecutionSpec{
			WorkflowDefinition:  &shared.WorkflowDefinition{Name: name, Steps: steps},
			StabilizationWindow: &metav1.Duration{Duration: time.Second},
		},
	}}
}

// Undo starts a workflow that undoes a finished one in its namespace.
func Undo(name string, of *workflowexecutionv1.WorkflowExecution) WorkflowBuilder {
	b := Workflow(of.Namespace, name)
	b.Spec.WorkflowDefinition = nil
	b.Spec.RollbackOf = &shared.ObjectReference{Name: of.Name, UID: of.UID}
	return b
}

// DryRun makes the workflow one that changes nothing.
func (b WorkflowBuilder) DryRun() WorkflowBuilder {
	b.Spec.Mode = shared.ModeDryRun
	return b
}

// MonitoringTimeout sets how long the targets have to become healthy.
func (b WorkflowBuilder) MonitoringTimeout(limit time.Duration) WorkflowBuilder {
	b.Spec.Timeouts = &workflowexecutionv1.WorkflowTimeouts{Monitoring: &metav1.Duration{Duration: limit}}
	return b
}

// RollbackStrategy sets what happens to the effects when the workflow fails.
func (b WorkflowBuilder) RollbackStrategy(strategy shared.RollbackStrategy) WorkflowBuilder {
	b.Spec.ExecutionStrategy = &shared.ExecutionStrategy{RollbackStrategy: strategy}
	return b
}

// Parallel sets how many steps may run at once.
func (b WorkflowBuilder) Parallel(most int32) WorkflowBuilder {
	b.Spec.ExecutionStrategy = &shared.ExecutionStrategy{MaxParallelSteps: &most}
	return b
}

// Suspended keeps the workflow from starting any step.
func (b WorkflowBuilder) Suspended() WorkflowBuilder {
	b.Spec.Suspend = new(true)
	return b
}

// StepBuilder makes a step.
type StepBuilder struct{ shared.Step }

// Scale is a step that scales a Deployment.
func Scale(name, namespace, deployment string, replicas int32) StepBuilder {
	return StepBuilder{shared.Step{Name: name, Action: shared.Action{
		Type:            shared.ActionScaleDeployment,
		ScaleDeployment: &shared.ScaleDeployment{Namespace: namespace, Name: deployment, Replicas: &replicas},
	}}}
}

// UpdateImage is a step that sets the image of a Deployment's container app.
func UpdateImage(name, namespace, deployment, image string) StepBuilder {
	return StepBuilder{shared.Step{Name: name, Action: shared.Action{
		Type:        shared.ActionUpdateImage,
		UpdateImage: &shared.UpdateImage{Namespace: namespace, Name: deployment, Container: "app", Image: image},
	}}}
}

// Restart is a step that replaces all pods of a Deployment.
func Restart(name, namespace, deployment string) StepBuilder {
	return StepBuilder{shared.Step{Name: name, Action: shared.Action{
		Type: shared.ActionRestartDeployment, RestartDeployment: &shared.RestartDeployment{Namespace: namespace, Name: deployment},
	}}}
}

// RestartPod is a step that deletes a pod, so that its controller makes another.
func RestartPod(name, namespace, pod string) StepBuilder {
	return StepBuilder{shared.Step{Name: name, Action: shared.Action{
		Type: shared.ActionRestartPod, RestartPod: &shared.RestartPod{Namespace: namespace, Name: pod},
	}}}
}

// IncreaseMemory is a step that raises the memory, request and limit, of a Deployment's container app.
func IncreaseMemory(name, namespace, deployment, request, limit string) StepBuilder {
	return StepBuilder{shared.Step{Name: name, Action: shared.Action{
		Type: shared.ActionIncreaseResources,
		IncreaseResources: &shared.IncreaseResources{
			Namespace: namespace, Name: deployment, Container: "app", MemoryRequest: request, MemoryLimit: limit,
		},
	}}}
}

// Cordon is a step that keeps new pods from a node.
func Cordon(name, node string) StepBuilder {
	return StepBuilder{shared.Step{Name: name, Action: shared.Action{
		Type: shared.ActionCordonNode, CordonNode: &shared.CordonNode{Name: node},
	}}}
}

// Uncordon is a step that lets new pods onto a node again.
func Uncordon(name, node string) StepBuilder {
	return StepBuilder{shared.Step{Name: name, Action: shared.Action{
		Type: shared.ActionUncordonNode, UncordonNode: &shared.UncordonNode{Name: node},
	}}}
}

// RollBack is a step that returns a Deployment to its previous revision.
func RollBack(name, namespace, deployment string) StepBuilder {
	return StepBuilder{shared.Step{Name: name, Action: shared.Action{
		Type:               shared.ActionRollbackDeployment,
		RollbackDeployment: &shared.RollbackDeployment{Namespace: namespace, Name: deployment},
	}}}
}

// Notify is a step that tells people something.
func Notify(name, message string) StepBuilder {
	return StepBuilder{shared.Step{Name: name, Action: shared.Action{
		Type: shared.ActionNotifyOnly, NotifyOnly: &shared.NotifyOnly{Message: message},
	}}}
}

// After makes the step wait for others.
func (b StepBuilder) After(names ...string) StepBuilder {
	b.DependsOn = names
	return b
}

// NotUndone leaves what the step changed as it is when the workflow rolls back.
func (b StepBuilder) NotUndone() StepBuilder {
	b.Rollback = shared.RollbackNone
	return b
}

// UndoneBy undoes the step by the action of another, not by restoring what it captured.
func (b StepBuilder) UndoneBy(other StepBuilder) StepBuilder {
	b.Rollback, b.RollbackAction = shared.RollbackAction, &other.Action
	return b
}

// NotCritical lets the workflow go on when the step fails.
func (b StepBuilder) NotCritical() StepBuilder {
	b.Critical = new(false)
	return b
}

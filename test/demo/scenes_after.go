package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	catalogv1alpha1 "kubernaut.io/kubernaut/api/catalog/v1alpha1"
	kubernetesexecutionv1 "kubernaut.io/kubernaut/api/kubernetesexecution/v1"
	remediationv1 "kubernaut.io/kubernaut/api/remediation/v1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
)

// The scenes after the first are played in the shop that it left behind.

const (
	onCall          = "on-call"
	rogueController = "rogue-controller"
	nightWorkflow   = "close-for-the-night"
	slowRequest     = "cart-slow"
	slowSignal      = "CartIsSlow"
	largerImage     = "registry.example.com/shop/catalog:2.2.0"
	frozen          = "kubernaut-demo-frozen"

	// look is how often it is asked whether what was installed is in force, and soon how long that may take.
	look = 50 * time.Millisecond
	soon = 20 * time.Second
)

// inForce waits until what was installed is in force, which the API server's own caches take a moment for.
func inForce(ctx context.Context, what string, is func(context.Context) (bool, error)) error {
	if err := wait.PollUntilContextTimeout(ctx, look, soon, true, is); err != nil {
		return fmt.Errorf("wait until %s is in force: %w", what, err)
	}
	return nil
}

// player is a client of an account that was made with the given rights, once they are in force.
func (s *stage) player(ctx context.Context, account string, rules []rbacv1.PolicyRule) (client.Client, error) {
	if err := s.createAccount(ctx, account, rules); err != nil {
		return nil, err
	}
	as, err := s.as(ctx, s.namespace, account)
	if err != nil {
		return nil, err
	}
	rule := rules[0]
	resource, subresource, _ := strings.Cut(rule.Resources[0], "/")
	return as, inForce(ctx, "the role of "+account, func(ctx context.Context) (bool, error) {
		review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &authorizationv1.ResourceAttributes{
			Namespace: s.namespace, Group: rule.APIGroups[0], Resource: resource, Subresource: subresource, Verb: rule.Verbs[0],
		}}}
		return as.Create(ctx, review) == nil && review.Status.Allowed, nil
	})
}

// aPolicyDenies has a person start a workflow that no policy allows.
func aPolicyDenies(ctx context.Context, s *stage) []claim {
	s.heading("Someone on call closes the shop for the night")
	var before, after appsv1.Deployment
	if err := s.admin.Get(ctx, client.ObjectKey{Namespace: s.namespace, Name: cart}, &before); err != nil {
		return []claim{failed(err)}
	}
	person, err := s.player(ctx, onCall, []rbacv1.PolicyRule{
		{APIGroups: []string{workflowexecutionv1.GroupVersion.Group}, Resources: []string{"workflowexecutions"}, Verbs: []string{"create"}},
		{APIGroups: []string{appsv1.GroupName}, Resources: []string{"deployments"}, Verbs: []string{"get", "patch"}},
	})
	if err != nil {
		return []claim{failed(err)}
	}
	watcher, err := s.watch(ctx, s.namespace, s.observe, kinds()...)
	if err != nil {
		return []claim{failed(err)}
	}
	s.say(note{actor: actorDemo, text: fmt.Sprintf("%s, who may change Deployments, starts a workflow that scales %s to zero in %s", onCall, cart, environment)})
	workflow := &workflowexecutionv1.WorkflowExecution{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: nightWorkflow},
		Spec: workflowexecutionv1.WorkflowExecutionSpec{WorkflowDefinition: &shared.WorkflowDefinition{
			Name: nightWorkflow, Steps: []shared.Step{{Name: "zero", Action: shared.Action{
				Type: shared.ActionScaleDeployment, ScaleDeployment: &shared.ScaleDeployment{Namespace: s.namespace, Name: cart, Replicas: new(int32(0))},
			}}},
		}},
	}
	if err := s.create(ctx, person, workflow); err != nil {
		return []claim{failed(err)}
	}
	err = watcher.until(ctx, "the workflow to end", func() bool {
		have, ok := latest[*workflowexecutionv1.WorkflowExecution](watcher, nightWorkflow)
		return ok && have.Status.Phase.Terminal()
	})
	if err != nil {
		return []claim{failed(err, standing(watcher)...)}
	}
	var executions kubernetesexecutionv1.KubernetesExecutionList
	err = errors.Join(s.admin.Get(ctx, client.ObjectKeyFromObject(workflow), workflow), s.admin.Get(ctx, client.ObjectKeyFromObject(&before), &after),
		s.admin.List(ctx, &executions, client.InNamespace(s.namespace)))
	if err != nil {
		return []claim{failed(err)}
	}
	return judgeDenial(workflow, &before, &after, executions.Items)
}

func judgeDenial(workflow *workflowexecutionv1.WorkflowExecution, before, after *appsv1.Deployment, executions []kubernetesexecutionv1.KubernetesExecution) []claim {
	denied := claim{
		holds: workflow.Status.Phase == workflowexecutionv1.PhaseFailed && workflow.Status.ErrorType == shared.ErrorPolicyDenied,
		text:  fmt.Sprintf("%s ended %s: %s", workflow.Name, workflow.Status.Phase, workflow.Status.ErrorType), hints: []string{workflow.Status.FailureReason},
	}
	untouched := claim{
		holds: before.UID == after.UID && before.Generation == after.Generation,
		text:  fmt.Sprintf("Deployment %s was not touched: generation %d, as before", after.Name, after.Generation),
	}
	if !untouched.holds {
		untouched.text = fmt.Sprintf("Deployment %s has generation %d, and had %d", after.Name, after.Generation, before.Generation)
	}
	none := claim{holds: true, text: "no step was started"}
	for i := range executions {
		if executions[i].Spec.WorkflowExecutionRef.UID == workflow.UID {
			none = claim{text: "a step was started: " + executions[i].Name}
		}
	}
	return []claim{denied, untouched, none}
}

// aStatusIsGuarded has another controller write the status of the first scene's request.
func aStatusIsGuarded(ctx context.Context, s *stage) []claim {
	s.heading("Another controller says that the repair never happened")
	group := []string{remediationv1.GroupVersion.Group}
	rogue, err := s.player(ctx, rogueController, []rbacv1.PolicyRule{
		{APIGroups: group, Resources: []string{"remediationrequests/status"}, Verbs: []string{"update"}},
		{APIGroups: group, Resources: []string{"remediationrequests"}, Verbs: []string{"get"}},
	})
	if err != nil {
		return []claim{failed(err)}
	}
	var before, after remediationv1.RemediationRequest
	key := client.ObjectKey{Namespace: s.namespace, Name: requestName}
	if err := s.admin.Get(ctx, key, &before); err != nil {
		return []claim{failed(err)}
	}
	s.say(note{actor: actorDemo, text: fmt.Sprintf("%s, whose role allows it to write the status, sets the outcome of %s to %s",
		rogueController, requestName, remediationv1.OutcomeManualReviewRequired)})
	forged := before.DeepCopy()
	forged.Status.Outcome = remediationv1.OutcomeManualReviewRequired
	refusal := rogue.Status().Update(ctx, forged)
	if refusal != nil {
		s.say(note{actor: actorAPIServer, tone: good, text: "refused", detail: []string{refusal.Error()}})
	}
	if err := s.admin.Get(ctx, key, &after); err != nil {
		return []claim{failed(err)}
	}
	return judgeGuard(refusal, &before, &after)
}

func judgeGuard(refusal error, before, after *remediationv1.RemediationRequest) []claim {
	guarded := claim{holds: apierrors.IsForbidden(refusal), text: "the write was refused"}
	if !guarded.holds {
		guarded.text = fmt.Sprintf("the write was not refused as forbidden: %v", refusal)
	}
	same := claim{holds: before.ResourceVersion == after.ResourceVersion, text: fmt.Sprintf("%s still says %s", after.Name, after.Status.Outcome)}
	if !same.holds {
		same.text = fmt.Sprintf("%s was written: it says %s, and said %s", after.Name, after.Status.Outcome, before.Status.Outcome)
	}
	return []claim{guarded, same}
}

// aRecovery has a workflow fail at its second step: the first is undone, and another playbook is tried.
func aRecovery(ctx context.Context, s *stage) []claim {
	s.heading("Another team freezes the catalog, in a way that no dry run shows")
	playbooks := slowPlaybooks()
	defer s.removeAll(context.WithoutCancel(ctx), playbooks...)
	if err := s.freeze(ctx); err != nil {
		return []claim{failed(err)}
	}
	defer s.removeAll(context.WithoutCancel(ctx), freezing(s.namespace)...)
	s.say(note{actor: actorDemo, text: "an admission policy refuses every change of " + catalog + ", dry runs excepted"})
	for _, playbook := range playbooks {
		if err := s.create(ctx, s.admin, playbook); err != nil {
			return []claim{failed(err)}
		}
	}
	s.heading("An alert: the cart is slow. Two playbooks know it")
	watcher, err := s.watch(ctx, s.namespace, s.observe, kinds()...)
	if err != nil {
		return []claim{failed(err)}
	}
	receiver, err := s.as(ctx, s.namespace, alertReceiver)
	if err != nil {
		return []claim{failed(err)}
	}
	asked := request(s.namespace)
	asked.Name, asked.Spec.SignalContext.Name = slowRequest, slowSignal
	if err := s.create(ctx, receiver, asked); err != nil {
		return []claim{failed(err)}
	}
	err = watcher.until(ctx, "the request to be finished", func() bool {
		have, ok := latest[*remediationv1.RemediationRequest](watcher, slowRequest)
		return ok && have.Status.OverallPhase.Terminal()
	})
	if err != nil {
		return []claim{failed(err, standing(watcher)...)}
	}
	var first workflowexecutionv1.WorkflowExecution
	var done remediationv1.RemediationRequest
	var deployment appsv1.Deployment
	err = errors.Join(s.admin.Get(ctx, client.ObjectKey{Namespace: s.namespace, Name: shared.WorkflowName(slowRequest, 0)}, &first),
		s.admin.Get(ctx, client.ObjectKey{Namespace: s.namespace, Name: slowRequest}, &done),
		s.admin.Get(ctx, client.ObjectKey{Namespace: s.namespace, Name: cart}, &deployment))
	if err != nil {
		return []claim{failed(err, standing(watcher)...)}
	}
	s.observe(&done)
	return judgeRecovery(&first, &done, &deployment)
}

func judgeRecovery(first *workflowexecutionv1.WorkflowExecution, done *remediationv1.RemediationRequest, deployment *appsv1.Deployment) []claim {
	undone := claim{
		holds: first.Status.Outcome == workflowexecutionv1.OutcomeRolledBack && len(first.Status.Steps) == 2 &&
			first.Status.Steps[0].Phase == workflowexecutionv1.StepRolledBack && first.Status.FailedStep != nil && *first.Status.FailedStep == 1,
		text: fmt.Sprintf("%s failed at step %s, and the step before was undone: %s", first.Name, first.Status.FailedStepName, first.Status.Outcome),
	}
	recovered := judgeRequest(done)
	recovered.holds = recovered.holds && done.Status.RecoveryAttempts == 1
	recovered.text += fmt.Sprintf(", in recovery %d: %s", done.Status.RecoveryAttempts, done.Status.RecoveryReason)
	scaled := claim{
		holds: deployment.Spec.Replicas != nil && *deployment.Spec.Replicas == 5 && rolledOut(deployment),
		text:  fmt.Sprintf("Deployment %s: %s", deployment.Name, replicasText(deployment)),
	}
	return []claim{undone, recovered, scaled}
}

// slowPlaybooks are two ways to help a slow cart. The first one is preferred, and cannot work while the catalog is frozen.
func slowPlaybooks() []client.Object {
	of := func(name string, priority int32, steps ...catalogv1alpha1.PlaybookStep) client.Object {
		return &catalogv1alpha1.Playbook{
			ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{labelManagedBy: managedBy}},
			Spec: catalogv1alpha1.PlaybookSpec{
				Match: catalogv1alpha1.PlaybookMatch{Signals: []string{slowSignal}, Kinds: []string{"Deployment"}}, Priority: &priority,
				ConfidencePercent: new(int32(80)), RootCause: "${{ target.name }} has too few pods for the load",
				Workflow: catalogv1alpha1.PlaybookWorkflow{Name: name, Version: "1", Steps: steps},
			},
		}
	}
	scale := func(replicas string) catalogv1alpha1.PlaybookStep {
		return catalogv1alpha1.PlaybookStep{Name: "scale", Type: shared.ActionScaleDeployment, Parameters: map[string]catalogv1alpha1.ParameterText{
			"namespace": "${{ target.namespace }}", "name": "${{ target.name }}", "replicas": catalogv1alpha1.ParameterText(replicas),
		}}
	}
	image := catalogv1alpha1.PlaybookStep{
		Name: "larger-catalog", Type: shared.ActionUpdateImage, DependsOn: []string{"scale"},
		Parameters: map[string]catalogv1alpha1.ParameterText{
			"namespace": "${{ target.namespace }}", "name": catalog, "container": catalog, "image": largerImage,
		},
	}
	return []client.Object{of("demo-more-pods-and-a-larger-catalog", 900, scale("4"), image), of("demo-more-pods", 800, scale("5"))}
}

// freezing is an admission policy that refuses to change the catalog, and says so only when it is meant.
func freezing(namespace string) []client.Object {
	m := metav1.ObjectMeta{Name: frozen, Labels: map[string]string{labelManagedBy: managedBy}}
	return []client.Object{
		&admissionregistrationv1.ValidatingAdmissionPolicy{
			ObjectMeta: m,
			Spec: admissionregistrationv1.ValidatingAdmissionPolicySpec{
				MatchConstraints: &admissionregistrationv1.MatchResources{
					NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"kubernetes.io/metadata.name": namespace}},
					ResourceRules: []admissionregistrationv1.NamedRuleWithOperations{{
						ResourceNames: []string{catalog},
						RuleWithOperations: admissionregistrationv1.RuleWithOperations{
							Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Update},
							Rule: admissionregistrationv1.Rule{
								APIGroups: []string{appsv1.GroupName}, APIVersions: []string{"v1"}, Resources: []string{deployments},
							},
						},
					}},
				},
				Validations: []admissionregistrationv1.Validation{{
					Expression: "has(request.dryRun) && request.dryRun", Message: catalog + " is frozen until the stocktaking is over",
					Reason: new(metav1.StatusReasonInvalid),
				}},
			},
		},
		&admissionregistrationv1.ValidatingAdmissionPolicyBinding{
			ObjectMeta: m,
			Spec: admissionregistrationv1.ValidatingAdmissionPolicyBindingSpec{
				PolicyName: frozen, ValidationActions: []admissionregistrationv1.ValidationAction{admissionregistrationv1.Deny},
			},
		},
	}
}

// freeze installs the policy and waits until a change that changes nothing is refused.
func (s *stage) freeze(ctx context.Context) error {
	for _, object := range freezing(s.namespace) {
		if err := s.create(ctx, s.admin, object); err != nil {
			return err
		}
	}
	return inForce(ctx, "the freeze", func(ctx context.Context) (bool, error) {
		var deployment appsv1.Deployment
		if err := s.admin.Get(ctx, client.ObjectKey{Namespace: s.namespace, Name: catalog}, &deployment); err != nil {
			return false, err
		}
		return apierrors.IsInvalid(s.admin.Update(ctx, &deployment)), nil
	})
}

// removeAll takes away what a scene installed for the whole cluster.
func (s *stage) removeAll(ctx context.Context, objects ...client.Object) {
	ctx, cancel := context.WithTimeout(ctx, soon)
	defer cancel()
	for _, object := range objects {
		if err := s.admin.Delete(ctx, object); err != nil && !apierrors.IsNotFound(err) && !meta.IsNoMatchError(err) {
			s.say(note{actor: actorDemo, tone: bad, text: fmt.Sprintf("%s could not be removed: %v", object.GetName(), err)})
		}
	}
}

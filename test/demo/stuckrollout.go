package main

import (
	"cmp"
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	aianalysisv1 "kubernaut.io/kubernaut/api/aianalysis/v1"
	kubernetesexecutionv1 "kubernaut.io/kubernaut/api/kubernetesexecution/v1"
	remediationv1 "kubernaut.io/kubernaut/api/remediation/v1"
	remediationprocessingv1 "kubernaut.io/kubernaut/api/remediationprocessing/v1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/controllers/identity"
)

const (
	cart        = "cart"
	catalog     = "catalog"
	requestName = "cart-rollout-stuck"
	signalName  = "KubeDeploymentRolloutStuck"

	goodImage    = "registry.example.com/shop/cart:1.4.2"
	missingImage = "registry.example.com/shop/cart:1.5.0-missing"
	catalogImage = "registry.example.com/shop/catalog:2.1.0"
)

// rollout is the scene of a rollout that sticks.
type rollout struct {
	*stage
	watcher *watcher
	// asked is where the audit log ended when the repair was asked for, opened where it ended when the shop was opened.
	opened, asked int64
}

func stuckRollout(ctx context.Context, s *stage) []claim {
	r := &rollout{stage: s}
	for _, act := range []func(context.Context) error{r.openShop, r.breakIt, r.askForRepair} {
		if err := act(ctx); err != nil {
			return r.giveUp(err)
		}
	}
	found, err := r.lookAgain(ctx)
	if err != nil {
		return r.giveUp(err)
	}
	r.tellWho()
	claims := judge(found)
	if !allTrue(claims) {
		claims = append(claims, claim{text: "where to look", hints: r.whereToLook()})
	}
	return claims
}

func (r *rollout) openShop(ctx context.Context) error {
	r.heading("The shop is open")
	if err := r.newNamespace(ctx); err != nil {
		return err
	}
	var err error
	if r.opened, err = auditSize(r.auditLog); err != nil {
		return fmt.Errorf("audit log: %w", err)
	}
	r.say(note{actor: actorDemo, text: fmt.Sprintf("namespace %s: environment %s, business unit %s", r.namespace, environment, businessUnit)})
	if err := r.stage.openShop(ctx, shopDeployment(r.namespace, cart, goodImage, 3), shopDeployment(r.namespace, catalog, catalogImage, 2)); err != nil {
		return err
	}
	if r.watcher, err = r.watch(ctx, r.namespace, r.observe, append(kinds(), &appsv1.Deployment{}, &corev1.Pod{})...); err != nil {
		return err
	}
	return r.watcher.until(ctx, "the Deployments to be rolled out", func() bool {
		return r.deploymentIs(cart, rolledOut) && r.deploymentIs(catalog, rolledOut)
	})
}

// breakIt rolls out what cannot be pulled, and waits until the Deployment controller has given up.
func (r *rollout) breakIt(ctx context.Context) error {
	r.heading("Someone rolls out a version that was never pushed")
	pipeline, err := r.as(ctx, r.namespace, releasePipeline)
	if err != nil {
		return err
	}
	deployment, _ := latest[*appsv1.Deployment](r.watcher, cart)
	changed := deployment.DeepCopy()
	changed.Spec.Template.Spec.Containers[0].Image = missingImage
	r.say(note{actor: actorDemo, text: fmt.Sprintf("%s sets the image of %s to %s", releasePipeline, cart, missingImage)})
	err = r.persist(ctx, "patch Deployment "+cart, func(ctx context.Context) error {
		return pipeline.Patch(ctx, changed.DeepCopy(), client.StrategicMergeFrom(deployment))
	})
	if err != nil {
		return err
	}
	return r.watcher.until(ctx, "the rollout to stick", func() bool {
		return r.deploymentIs(cart, stuck) && anyOf(r.watcher, cannotPull)
	})
}

// askForRepair does what an alert does, and waits until the request is finished.
func (r *rollout) askForRepair(ctx context.Context) error {
	r.heading("An alert asks Kubernaut to repair it")
	var err error
	if r.asked, err = auditSize(r.auditLog); err != nil {
		return fmt.Errorf("audit log: %w", err)
	}
	receiver, err := r.as(ctx, r.namespace, alertReceiver)
	if err != nil {
		return err
	}
	if err := r.create(ctx, receiver, request(r.namespace)); err != nil {
		return err
	}
	return r.watcher.until(ctx, "the request to be finished", func() bool {
		have, ok := latest[*remediationv1.RemediationRequest](r.watcher, requestName)
		return ok && have.Status.OverallPhase.Terminal()
	})
}

func request(namespace string) *remediationv1.RemediationRequest {
	now := metav1.Now()
	return &remediationv1.RemediationRequest{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: requestName},
		Spec: remediationv1.RemediationRequestSpec{
			SignalContext: shared.SignalContext{
				Name: signalName, Severity: shared.SeverityCritical, Source: "demo", FiringTime: &now, ReceivedTime: &now,
				Labels: map[string]shared.LabelText{"namespace": shared.LabelText(namespace), "deployment": cart},
			},
			Target: shared.Target{APIVersion: appsv1.SchemeGroupVersion.String(), Kind: "Deployment", Namespace: namespace, Name: cart},
		},
	}
}

// kinds are Kubernaut's, in the order in which they come into being.
func kinds() []client.Object {
	return []client.Object{
		&remediationv1.RemediationRequest{}, &remediationprocessingv1.RemediationProcessing{}, &aianalysisv1.AIAnalysis{},
		&workflowexecutionv1.WorkflowExecution{}, &kubernetesexecutionv1.KubernetesExecution{},
	}
}

func (r *rollout) deploymentIs(name string, so func(*appsv1.Deployment) bool) bool {
	deployment, ok := latest[*appsv1.Deployment](r.watcher, name)
	return ok && so(deployment)
}

// lookAgain asks the API server itself, and tells what the watches had not brought yet.
func (r *rollout) lookAgain(ctx context.Context) (evidence, error) {
	found := evidence{
		request: &remediationv1.RemediationRequest{}, deployment: &appsv1.Deployment{}, image: goodImage,
		account:  identity.Username(identity.DefaultNamespace, identity.Action(shared.ActionRollbackDeployment)),
		operator: identity.Username(identity.DefaultNamespace, ""),
	}
	var workflows workflowexecutionv1.WorkflowExecutionList
	var executions kubernetesexecutionv1.KubernetesExecutionList
	err := r.persist(ctx, "read the result", func(ctx context.Context) error {
		for name, object := range map[string]client.Object{requestName: found.request, cart: found.deployment} {
			if err := r.admin.Get(ctx, client.ObjectKey{Namespace: r.namespace, Name: name}, object); err != nil {
				return err
			}
		}
		for _, list := range []client.ObjectList{&workflows, &executions} {
			if err := r.admin.List(ctx, list, client.InNamespace(r.namespace)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return evidence{}, err
	}
	for i := range executions.Items {
		r.observe(&executions.Items[i])
	}
	for i := range workflows.Items {
		r.observe(&workflows.Items[i])
	}
	r.observe(found.request)
	found.executions = executions.Items
	found.writes, found.auditError = readAudit(r.auditLog, r.asked, concern{namespace: r.namespace, deployment: cart})
	return found, nil
}

// tellWho shows the writes of the whole scene.
func (r *rollout) tellWho() {
	r.heading(fmt.Sprintf("Who did what to Kubernaut's objects and to %s, from the API server's audit log", cart))
	writes, err := readAudit(r.auditLog, r.opened, concern{namespace: r.namespace, deployment: cart})
	if err != nil {
		r.table([]string{"  " + err.Error()})
		return
	}
	r.table(whoDidWhat(writes, requestName))
}

// giveUp says why the story did not end, and where everybody stands.
func (r *rollout) giveUp(err error) []claim {
	hints := []string{}
	if r.watcher != nil {
		hints = standing(r.watcher)
	}
	return []claim{failed(err, append(hints, r.whereToLook()...)...)}
}

func (r *rollout) whereToLook() []string {
	return []string{
		r.kubectl("get kubernaut"),
		r.kubectl("describe kubernaut"),
		r.kubectl("describe deployment " + cart),
		"is everything installed and running? make up; the manager's log is " + r.managerLog(),
	}
}

// standing is what Kubernaut's objects say about themselves.
func standing(w *watcher) []string {
	var lines []string
	add := func(name, phase string, conditions []metav1.Condition) {
		line := name + ": " + cmp.Or(phase, "its controller has not taken it up")
		if ready := conditionText(conditions, shared.ConditionReady); ready != "" {
			line += "; " + ready
		}
		lines = append(lines, line)
	}
	for _, k := range w.order {
		switch o := w.latest[k].(type) {
		case *remediationv1.RemediationRequest:
			add("RemediationRequest "+o.Name, string(o.Status.OverallPhase), o.Status.Conditions)
		case *remediationprocessingv1.RemediationProcessing:
			add("RemediationProcessing "+o.Name, string(o.Status.Phase), o.Status.Conditions)
		case *aianalysisv1.AIAnalysis:
			add("AIAnalysis "+o.Name, string(o.Status.Phase), o.Status.Conditions)
		case *workflowexecutionv1.WorkflowExecution:
			add("WorkflowExecution "+o.Name, string(o.Status.Phase), o.Status.Conditions)
		case *kubernetesexecutionv1.KubernetesExecution:
			add("KubernetesExecution "+o.Name, string(o.Status.Phase), o.Status.Conditions)
		}
	}
	return lines
}

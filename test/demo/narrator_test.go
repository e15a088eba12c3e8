package main

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	aianalysisv1 "kubernaut.io/kubernaut/api/aianalysis/v1"
	kubernetesexecutionv1 "kubernaut.io/kubernaut/api/kubernetesexecution/v1"
	remediationv1 "kubernaut.io/kubernaut/api/remediation/v1"
	remediationprocessingv1 "kubernaut.io/kubernaut/api/remediationprocessing/v1"
	safetyv1alpha1 "kubernaut.io/kubernaut/api/safety/v1alpha1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
)

const revision = "91ab23cd00ff11ee"

func TestNarrator(t *testing.T) {
	tests := map[string]struct {
		objects []client.Object
		want    string
	}{
		"a request is introduced once, and each phase once": {
			objects: []client.Object{
				aRequest(""), aRequest(remediationv1.PhasePending), aRequest(remediationv1.PhasePending), aRequest(remediationv1.PhaseExecuting),
			},
			want: `
request: cart-rollout-stuck: repair Deployment shop/cart
  signal KubeDeploymentRolloutStuck, critical, from demo
  asked for by shop:alert-receiver, stamped by admission
request: pending: is anyone already repairing it?
request: executing: have the workflow carried out`,
		},
		"a request that ends badly says why": {
			objects: []client.Object{func() client.Object {
				r := aRequest(remediationv1.PhaseFailed)
				r.Status.Outcome, r.Status.EscalationReason = remediationv1.OutcomeManualReviewRequired, "no playbook matches"
				return r
			}()},
			want: `
request: cart-rollout-stuck: repair Deployment shop/cart
  signal KubeDeploymentRolloutStuck, critical, from demo
  asked for by shop:alert-receiver, stamped by admission
request: failed: ManualReviewRequired
  no playbook matches`,
		},
		"an approval is asked for, given and final": {
			objects: []client.Object{anApproval(safetyv1alpha1.PhasePending), anApproval(safetyv1alpha1.PhasePending, "shop-lead"), anApproval(safetyv1alpha1.PhaseApproved, "shop-lead")},
			want: `
approval: end-hung-pod-approval-1: 1 approval wanted
  irreversible/irreversible: it cannot be undone
  asked for by shop:support
approval: Approved by shop:shop-lead: seen, fine
approval: approved: the workflow may go on`,
		},
		"facts come when they are complete": {
			objects: []client.Object{&remediationprocessingv1.RemediationProcessing{}, theFacts()},
			want: `
processing: Deployment shop/cart is Failed: deadline exceeded
  pods: 3 wanted, 2 available
  condition: Progressing=False, ProgressDeadlineExceeded
  pod cart-1, container cart: ImagePullBackOff (cart:1.5.0-missing)
  pod cart-1, container cart: ImagePullBackOff (cart:1.5.0-missing)
  pod cart-1, container cart: ImagePullBackOff (cart:1.5.0-missing)
  and 1 container more
  owner: none, it is the root workload
  classified: environment production, priority P0, business unit unknown
  could not be read: events: forbidden`,
		},
		"the cause, what was chosen and what was not": {
			objects: []client.Object{theCause()},
			want: `
analysis: cause: the image cannot be pulled
  confidence 90 %, says the provider "playbook"
analysis: chosen: workflow undo of 1 step, from playbook image-pull-failure
  why: the best of two
  not chosen: notify-on-unknown (10 %): lower priority`,
		},
		"a workflow from plan to end, its phases skipped by a watch that broke off": {
			objects: []client.Object{
				aWorkflow(workflowexecutionv1.PhasePlanning), planned(aWorkflow(workflowexecutionv1.PhaseValidating)),
				decided(planned(aWorkflow(workflowexecutionv1.PhaseCompleted)), shared.VerdictAllow),
				decided(planned(aWorkflow(workflowexecutionv1.PhaseCompleted)), shared.VerdictAllow),
			},
			want: `
workflow: plan: 1 step, sequential, about 10s
  1. roll-back: rollback-deployment shop/cart to the previous revision
gate: step roll-back: Allow; no rule objected (policy set 91ab23cd)
  the server's dry run says it changes:
    /spec/replicas: 3 → 5
    /spec/template/spec/containers/0/image
      - registry.example.com/shop/cart:1.5.0-missing
      + registry.example.com/shop/cart:1.4.2
    /metadata/labels/x: (not set) → {"a":1}
workflow: step roll-back (1 of 1), attempt 1: w-s0-a1
workflow: completed: Success`,
		},
		"a denied step names the rule that decided": {
			objects: []client.Object{decided(aWorkflow(workflowexecutionv1.PhaseFailed), shared.VerdictDeny, shared.FiredRule{
				Policy: "replica_bounds", Effect: shared.EffectDeny, Code: "to_zero", Message: "never to zero in production",
			})},
			want: `
gate: step roll-back: Deny (policy set 91ab23cd)
  Deny by replica_bounds/to_zero: never to zero in production
  the server's dry run says it changes:
    /spec/replicas: 3 → 5
    /spec/template/spec/containers/0/image
      - registry.example.com/shop/cart:1.5.0-missing
      + registry.example.com/shop/cart:1.4.2
    /metadata/labels/x: (not set) → {"a":1}
workflow: step roll-back (1 of 1), attempt 1: w-s0-a1
workflow: failed: Success, policy_denied
  at step roll-back (rollback-deployment)
  the gate said no`,
		},
		"monitoring tells since when it is healthy, and again when that began anew": {
			objects: []client.Object{healthySince(time.Time{}), healthySince(time.Unix(1, 0)), healthySince(time.Unix(1, 0)), healthySince(time.Unix(9, 0))},
			want: `
workflow: all steps done; watches until what was changed is healthy
workflow: healthy; it counts when it stays so for 15s
workflow: healthy; it counts when it stays so for 15s`,
		},
		"a workflow that waits says for what": {
			objects: []client.Object{func() client.Object {
				w := aWorkflow(workflowexecutionv1.PhaseValidating)
				w.Status.Steps = nil
				w.Status.Conditions = []metav1.Condition{{
					Type: workflowexecutionv1.ConditionSuspended, Status: metav1.ConditionTrue, Reason: "PolicyHold", Message: "freeze until Monday",
				}}
				return w
			}()},
			want: `
workflow: Suspended (PolicyHold): freeze until Monday`,
		},
		"an execution is judged again, acts under its own account and says what it changed": {
			objects: []client.Object{anExecution(new(true)), anExecution(new(true))},
			want: `
gate: asked again just before: step roll-back: Allow; no rule objected (policy set 91ab23cd)
execution: w-s0-a1 acts as action-rollback-deployment
execution: w-s0-a1 completed; changed: yes, the target has generation 3 now
  kept for undoing it: 1 field as before`,
		},
		"an execution that found its work done": {
			objects: []client.Object{anExecution(new(false))},
			want: `
gate: asked again just before: step roll-back: Allow; no rule objected (policy set 91ab23cd)
execution: w-s0-a1 acts as action-rollback-deployment
execution: w-s0-a1 completed; changed: no
  kept for undoing it: 1 field as before`,
		},
		"a Deployment sticks and is rolled out again": {
			objects: []client.Object{
				aDeployment(1, 3, 3, ""), aDeployment(2, 0, 3, ""), aDeployment(2, 1, 3, reasonDeadlineExceeded),
				aDeployment(2, 1, 3, reasonDeadlineExceeded), aDeployment(3, 3, 3, ""),
			},
			want: `
deployment: cart is rolled out: 3 pods run cart:1
deployment: cart rolls out cart:2 (generation 2)
deployment: cart is stuck: 1 of 3 pods updated, 3 available
  Progressing: False, ProgressDeadlineExceeded: timed out
deployment: cart is rolled out: 3 pods run cart:3`,
		},
		"a pod that cannot pull its image": {
			objects: []client.Object{aPod("ContainerCreating"), aPod("ErrImagePull"), aPod("ImagePullBackOff"), aPod("ImagePullBackOff")},
			want: `
pod: cart-1: ErrImagePull
pod: cart-1: ImagePullBackOff`,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			n := narrator{told: map[string]bool{}}
			var got []string
			for _, object := range test.objects {
				for _, told := range n.observe(object) {
					got = append(got, told.actor+": "+told.text)
					for _, detail := range told.detail {
						got = append(got, "  "+detail)
					}
				}
			}
			if diff := cmp.Diff(strings.Split(test.want, "\n")[1:], got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func aRequest(phase remediationv1.RemediationPhase) *remediationv1.RemediationRequest {
	r := request("shop")
	r.Spec.RequestedBy.Username = "system:serviceaccount:shop:alert-receiver"
	r.Status.OverallPhase = phase
	return r
}

func theFacts() *remediationprocessingv1.RemediationProcessing {
	p := &remediationprocessingv1.RemediationProcessing{}
	p.Spec.Target = request("shop").Spec.Target
	problem := shared.ContainerProblem{Pod: "cart-1", Container: "cart", Image: "cart:1.5.0-missing", Reason: "ImagePullBackOff"}
	p.Status = remediationprocessingv1.RemediationProcessingStatus{
		Phase: remediationprocessingv1.PhaseCompleted,
		Enrichment: shared.Enrichment{
			Health: shared.Health{
				Status: shared.HealthFailed, Message: "deadline exceeded", DesiredReplicas: new(int32(3)), AvailableReplicas: new(int32(2)),
			},
			Conditions: []shared.ObservedCondition{
				{Type: "Available", Status: "True"}, {Type: "Progressing", Status: "False", Reason: reasonDeadlineExceeded},
			},
			Containers: []shared.ContainerProblem{problem, problem, problem, problem},
		},
		Classification:  shared.Classification{Environment: "production", Priority: "P0"},
		DegradedReasons: []string{"events: forbidden"},
	}
	return p
}

func definition() shared.WorkflowDefinition {
	action := shared.Action{Type: shared.ActionRollbackDeployment, RollbackDeployment: &shared.RollbackDeployment{Namespace: "shop", Name: "cart"}}
	return shared.WorkflowDefinition{Name: "undo", Steps: []shared.Step{{Name: "roll-back", Action: action}}}
}

func theCause() *aianalysisv1.AIAnalysis {
	a := &aianalysisv1.AIAnalysis{}
	a.Status = aianalysisv1.AIAnalysisStatus{
		Phase: aianalysisv1.PhaseCompleted, Provider: "playbook", RootCause: "the image cannot be pulled", ConfidencePercent: new(int32(90)),
		Recommendation: &aianalysisv1.Recommendation{WorkflowDefinition: definition(), PlaybookRef: "image-pull-failure", Rationale: "the best of two"},
		Alternatives:   []aianalysisv1.Alternative{{Name: "notify-on-unknown", ConfidencePercent: new(int32(10)), WhyNot: "lower priority"}},
	}
	return a
}

// aWorkflow is one with the step's attempt made unless it is still being planned or checked, and with what it ended with.
func aWorkflow(phase workflowexecutionv1.WorkflowPhase) *workflowexecutionv1.WorkflowExecution {
	w := &workflowexecutionv1.WorkflowExecution{ObjectMeta: metav1.ObjectMeta{Name: "w"}}
	w.Spec.WorkflowDefinition = new(definition())
	w.Status.Phase = phase
	w.Status.Steps = []workflowexecutionv1.StepStatus{{Name: "roll-back", Phase: workflowexecutionv1.StepPending}}
	if phase.Terminal() {
		w.Status.Steps[0].Attempts, w.Status.Steps[0].ExecutionRef = 1, "w-s0-a1"
		w.Status.Outcome, w.Status.ErrorType = workflowexecutionv1.OutcomeSuccess, shared.ErrorPolicyDenied
		w.Status.FailedStepName, w.Status.FailedAction, w.Status.FailureReason = "roll-back", "rollback-deployment", "the gate said no"
	}
	return w
}

func planned(w *workflowexecutionv1.WorkflowExecution) *workflowexecutionv1.WorkflowExecution {
	w.Status.Plan = &workflowexecutionv1.Plan{
		Strategy: workflowexecutionv1.StrategySequential, EstimatedDuration: &metav1.Duration{Duration: 10 * time.Second}, Digest: "d",
	}
	return w
}

func decided(w *workflowexecutionv1.WorkflowExecution, verdict shared.Verdict, rules ...shared.FiredRule) *workflowexecutionv1.WorkflowExecution {
	change := func(path, before, after string) workflowexecutionv1.StepChange {
		c := shared.FieldChange{Path: path, After: &apiextensionsv1.JSON{Raw: []byte(after)}}
		if before != "" {
			c.Before = &apiextensionsv1.JSON{Raw: []byte(before)}
		}
		return workflowexecutionv1.StepChange{FieldChange: c}
	}
	w.Status.Validation = &workflowexecutionv1.Validation{
		PolicySetRevision: revision, Verdict: verdict,
		Decisions: []workflowexecutionv1.StepDecision{{Verdict: verdict, Rules: rules}},
		DryRun: []workflowexecutionv1.StepChange{
			change("/spec/replicas", "3", "5"),
			change("/spec/template/spec/containers/0/image", `"`+missingImage+`"`, `"`+goodImage+`"`),
			change("/metadata/labels/x", "", `{ "a": 1 }`),
		},
	}
	return w
}

func healthySince(since time.Time) *workflowexecutionv1.WorkflowExecution {
	w := aWorkflow(workflowexecutionv1.PhaseMonitoring)
	w.Spec.StabilizationWindow = &metav1.Duration{Duration: 15 * time.Second}
	if !since.IsZero() {
		w.Status.HealthySince = &metav1.Time{Time: since}
	}
	return w
}

func anExecution(changed *bool) *kubernetesexecutionv1.KubernetesExecution {
	e := &kubernetesexecutionv1.KubernetesExecution{ObjectMeta: metav1.ObjectMeta{Name: "w-s0-a1", UID: "u"}}
	e.Spec.StepName, e.Spec.Purpose = "roll-back", kubernetesexecutionv1.PurposeExecute
	e.Spec.Action = &definition().Steps[0].Action
	e.Status = kubernetesexecutionv1.KubernetesExecutionStatus{
		Phase: kubernetesexecutionv1.PhaseCompleted, StartedAt: &metav1.Time{Time: time.Unix(1, 0)}, Changed: changed, ResultingGeneration: 3,
		Decision: &shared.Decision{Verdict: shared.VerdictAllow, PolicySetRevision: revision},
		Inverse:  &kubernetesexecutionv1.Inverse{Fields: []shared.FieldChange{{Path: "/spec/replicas"}}},
	}
	return e
}

func anApproval(phase safetyv1alpha1.ApprovalPhase, by ...string) *safetyv1alpha1.ApprovalRequest {
	a := &safetyv1alpha1.ApprovalRequest{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "end-hung-pod-approval-1"}}
	a.Spec.RequestedBy.Username, a.Spec.RequiredApprovals = "system:serviceaccount:shop:support", 1
	a.Spec.Reasons = []safetyv1alpha1.ApprovalReason{{Policy: "irreversible", Code: "irreversible", Message: "it cannot be undone"}}
	for _, account := range by {
		a.Spec.Decisions = append(a.Spec.Decisions, safetyv1alpha1.ApprovalDecision{
			Decision: safetyv1alpha1.DecisionApproved, Reason: "seen, fine", By: "system:serviceaccount:shop:" + account,
		})
	}
	a.Status.Phase = phase
	return a
}

func aDeployment(generation int64, updated, available int32, reason string) *appsv1.Deployment {
	d := shopDeployment("shop", cart, "cart:"+string(rune('0'+generation)), 3)
	d.Generation = generation
	d.Status = appsv1.DeploymentStatus{ObservedGeneration: generation, Replicas: 3, UpdatedReplicas: updated, AvailableReplicas: available}
	if reason != "" {
		d.Status.Conditions = []appsv1.DeploymentCondition{{
			Type: appsv1.DeploymentProgressing, Status: corev1.ConditionFalse, Reason: reason, Message: "timed out",
		}}
	}
	return d
}

func aPod(reason string) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "cart-1"}}
	p.Status.ContainerStatuses = []corev1.ContainerStatus{{
		State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason}},
	}}
	return p
}

package admission

import (
	"context"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	aianalysisv1 "kubernaut.io/kubernaut/api/aianalysis/v1"
	catalogv1alpha1 "kubernaut.io/kubernaut/api/catalog/v1alpha1"
	kubernetesexecutionv1 "kubernaut.io/kubernaut/api/kubernetesexecution/v1"
	remediationv1 "kubernaut.io/kubernaut/api/remediation/v1"
	remediationprocessingv1 "kubernaut.io/kubernaut/api/remediationprocessing/v1"
	safetyv1alpha1 "kubernaut.io/kubernaut/api/safety/v1alpha1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
)

// fixture is the name of one object of every kind, made before there was any admission.
const fixture = "fixture"

var (
	signal = shared.SignalContext{Name: "KubeDeploymentRolloutStuck"}
	target = shared.Target{APIVersion: "apps/v1", Kind: "Deployment", Namespace: workNamespace, Name: "cart"}
	// reference and workflowReference are the fixtures that own the others.
	reference         shared.ObjectReference
	workflowReference shared.ObjectReference
	somebody          = shared.Requester{Username: "somebody", Groups: []string{"on-call"}}
	hash              = strings.Repeat("0", 64)
)

func scale(name string) shared.Action {
	return shared.Action{Type: shared.ActionScaleDeployment, ScaleDeployment: &shared.ScaleDeployment{Namespace: workNamespace, Name: name, Replicas: new(int32(2))}}
}

func step(name string, dependsOn ...string) shared.Step {
	return shared.Step{Name: name, Action: scale(name), DependsOn: dependsOn}
}

// request is a RemediationRequest whose name is generated from prefix.
func request(prefix string, change func(*remediationv1.RemediationRequest)) *remediationv1.RemediationRequest {
	r := &remediationv1.RemediationRequest{
		ObjectMeta: metav1.ObjectMeta{GenerateName: prefix, Namespace: workNamespace},
		Spec:       remediationv1.RemediationRequestSpec{SignalContext: signal, Target: target},
	}
	if change != nil {
		change(r)
	}
	return r
}

// workflow is a WorkflowExecution whose name is generated from prefix.
func workflow(prefix string, change func(*workflowexecutionv1.WorkflowExecution), steps ...shared.Step) *workflowexecutionv1.WorkflowExecution {
	w := &workflowexecutionv1.WorkflowExecution{
		ObjectMeta: metav1.ObjectMeta{GenerateName: prefix, Namespace: workNamespace},
		Spec:       workflowexecutionv1.WorkflowExecutionSpec{WorkflowDefinition: &shared.WorkflowDefinition{Name: "repair", Steps: steps}},
	}
	if change != nil {
		change(w)
	}
	return w
}

func safetyPolicy(name string) *safetyv1alpha1.SafetyPolicy {
	return &safetyv1alpha1.SafetyPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       safetyv1alpha1.SafetyPolicySpec{Source: safetyv1alpha1.PolicySource{Baseline: "x"}},
	}
}

func approvalRequest(name string) *safetyv1alpha1.ApprovalRequest {
	return &safetyv1alpha1.ApprovalRequest{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: workNamespace},
		Spec: safetyv1alpha1.ApprovalRequestSpec{
			WorkflowExecutionRef: workflowReference, PlanDigest: hash, SummaryDigest: hash, RequestedBy: somebody, RequiredApprovals: 1,
			ExpiresAt: metav1.NewTime(time.Now().Add(time.Hour)), Decisions: []safetyv1alpha1.ApprovalDecision{},
		},
	}
}

// controlledBy is the owner reference of a child to a RemediationRequest or a WorkflowExecution of the name and UID.
func controlledBy(kind string, of shared.ObjectReference) metav1.OwnerReference {
	group := remediationv1.GroupVersion
	if kind == "WorkflowExecution" {
		group = workflowexecutionv1.GroupVersion
	}
	return metav1.OwnerReference{APIVersion: group.String(), Kind: kind, Name: of.Name, UID: of.UID, Controller: new(true), BlockOwnerDeletion: new(true)}
}

// serving is a workflow for the request of, asked for by its requester.
func serving(of *remediationv1.RemediationRequest, steps ...shared.Step) *workflowexecutionv1.WorkflowExecution {
	return workflow("child-", func(w *workflowexecutionv1.WorkflowExecution) {
		w.Namespace = of.Namespace
		w.Spec.RemediationRequestRef = &shared.ObjectReference{Name: of.Name, UID: of.UID}
		w.Spec.RequestedBy = of.Spec.RequestedBy
		w.OwnerReferences = []metav1.OwnerReference{controlledBy("RemediationRequest", *w.Spec.RemediationRequestRef)}
	}, steps...)
}

func createFixtures(ctx context.Context) {
	GinkgoHelper()
	meta := metav1.ObjectMeta{Name: fixture, Namespace: workNamespace}
	asked := request("", func(r *remediationv1.RemediationRequest) { r.Name, r.Spec.RequestedBy = fixture, somebody })
	runs := workflow("", func(w *workflowexecutionv1.WorkflowExecution) { w.Name, w.Spec.RequestedBy = fixture, somebody }, step("a"))
	Expect(admin.Create(ctx, asked)).To(Succeed())
	Expect(admin.Create(ctx, runs)).To(Succeed())
	reference = shared.ObjectReference{Name: fixture, UID: asked.UID}
	workflowReference = shared.ObjectReference{Name: fixture, UID: runs.UID}
	objects := []client.Object{
		&remediationprocessingv1.RemediationProcessing{ObjectMeta: meta, Spec: remediationprocessingv1.RemediationProcessingSpec{
			RemediationRequestRef: reference, SignalContext: signal, Target: target,
		}},
		&aianalysisv1.AIAnalysis{ObjectMeta: meta, Spec: aianalysisv1.AIAnalysisSpec{
			RemediationRequestRef: reference, RemediationProcessingRef: reference, SignalContext: signal, Target: target,
		}},
		&kubernetesexecutionv1.KubernetesExecution{ObjectMeta: meta, Spec: kubernetesexecutionv1.KubernetesExecutionSpec{
			WorkflowExecutionRef: workflowReference, StepName: "a", Attempt: 1, Purpose: kubernetesexecutionv1.PurposeExecute, PlanDigest: hash, Action: new(scale("cart")),
			ExpectedTarget: &kubernetesexecutionv1.ExpectedTarget{UID: "1"},
		}},
		safetyPolicy(fixture),
		approvalRequest(fixture),
		&catalogv1alpha1.Playbook{ObjectMeta: metav1.ObjectMeta{Name: fixture}, Spec: catalogv1alpha1.PlaybookSpec{
			ConfidencePercent: new(int32(50)), RootCause: "x", Workflow: catalogv1alpha1.PlaybookWorkflow{Name: "nothing"},
		}},
	}
	for _, object := range objects {
		Expect(admin.Create(ctx, object)).To(Succeed())
	}
	createApprovals(ctx)
}

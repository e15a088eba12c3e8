package rules

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	aianalysisv1 "kubernaut.io/kubernaut/api/aianalysis/v1"
	kubernetesexecutionv1 "kubernaut.io/kubernaut/api/kubernetesexecution/v1"
	remediationprocessingv1 "kubernaut.io/kubernaut/api/remediationprocessing/v1"
	"kubernaut.io/kubernaut/api/shared"
)

var (
	childSignal = shared.SignalContext{Name: "Stuck"}
	childTarget = shared.Target{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "shop", Name: "cart"}
	childOwner  = shared.ObjectReference{Name: "r", UID: "1"}
)

func TestValidateRemediationProcessing(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*remediationprocessingv1.RemediationProcessing)
		want   []string
	}{
		"the first attempt": {},
		"a recovery": {change: func(p *remediationprocessingv1.RemediationProcessing) {
			p.Name, p.Spec.IsRecoveryAttempt, p.Spec.RecoveryAttemptNumber, p.Spec.FailedWorkflowRef = "r-recovery-2", true, 2, &shared.ObjectReference{Name: "w", UID: "2"}
		}},
		"a cluster-scoped target": {change: func(p *remediationprocessingv1.RemediationProcessing) {
			p.Spec.Target = shared.Target{APIVersion: "v1", Kind: "Node", Name: "worker"}
		}},
		"another name": {change: func(p *remediationprocessingv1.RemediationProcessing) { p.Name = "r-processing2" }, want: []string{"metadata.name"}},
		"a number without a recovery": {
			change: func(p *remediationprocessingv1.RemediationProcessing) {
				p.Name, p.Spec.RecoveryAttemptNumber = "r-recovery-1", 1
			},
			want: []string{"spec.recoveryAttemptNumber"},
		},
		"a recovery of nothing": {
			change: func(p *remediationprocessingv1.RemediationProcessing) { p.Spec.IsRecoveryAttempt = true },
			want:   []string{"spec.recoveryAttemptNumber", "spec.failedWorkflowRef"},
		},
		"a target and a signal that forge": {
			change: func(p *remediationprocessingv1.RemediationProcessing) {
				p.Spec.Target.Name, p.Spec.SignalContext.Name = "../nodes", "a\nb"
			},
			want: []string{"spec.target.name", "spec.signalContext.name"},
		},
		"more than a spec may hold": {
			change: func(p *remediationprocessingv1.RemediationProcessing) {
				p.Spec.SignalContext.Annotations = map[string]shared.AnnotationText{"runbook": shared.AnnotationText(strings.Repeat("x", maxSpecBytes))}
			},
			want: []string{"spec"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			object := &remediationprocessingv1.RemediationProcessing{ObjectMeta: metav1.ObjectMeta{Name: "r-processing"}, Spec: remediationprocessingv1.RemediationProcessingSpec{
				RemediationRequestRef: childOwner, SignalContext: childSignal, Target: childTarget,
			}}
			if test.change != nil {
				test.change(object)
			}
			diffPaths(t, test.want, ValidateRemediationProcessing(object))
		})
	}
}

func TestValidateAIAnalysis(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*aianalysisv1.AIAnalysis)
		want   []string
	}{
		"the first attempt": {},
		"a recovery": {change: func(a *aianalysisv1.AIAnalysis) {
			a.Name, a.Spec.IsRecoveryAttempt, a.Spec.RecoveryAttemptNumber, a.Spec.FailedWorkflowRef = "r-recovery-1", true, 1, &shared.ObjectReference{Name: "w", UID: "2"}
			a.Spec.FailedStep = new(int32(0))
		}},
		"another name":                {change: func(a *aianalysisv1.AIAnalysis) { a.Name = "r-processing" }, want: []string{"metadata.name"}},
		"a failure before the first":  {change: func(a *aianalysisv1.AIAnalysis) { a.Spec.FailedStep = new(int32(1)) }, want: []string{"spec.failedStep"}},
		"a target that forges":        {change: func(a *aianalysisv1.AIAnalysis) { a.Spec.Target.Kind = "D\u0435ployment" }, want: []string{"spec.target.kind"}},
		"more than a spec may hold":   {change: func(a *aianalysisv1.AIAnalysis) { a.Spec.FailureReason = strings.Repeat("x", maxSpecBytes) }, want: []string{"spec"}},
		"a failed workflow and first": {change: func(a *aianalysisv1.AIAnalysis) { a.Spec.FailedWorkflowRef = &childOwner }, want: []string{"spec.failedWorkflowRef"}},
	} {
		t.Run(name, func(t *testing.T) {
			object := &aianalysisv1.AIAnalysis{ObjectMeta: metav1.ObjectMeta{Name: "r-analysis"}, Spec: aianalysisv1.AIAnalysisSpec{
				RemediationRequestRef: childOwner, SignalContext: childSignal, Target: childTarget,
			}}
			if test.change != nil {
				test.change(object)
			}
			diffPaths(t, test.want, ValidateAIAnalysis(object))
		})
	}
}

func TestValidateKubernetesExecution(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*kubernetesexecutionv1.KubernetesExecution)
		want   []string
	}{
		"a step": {},
		"its undoing": {change: func(e *kubernetesexecutionv1.KubernetesExecution) {
			e.Name, e.Spec.Purpose, e.Spec.Action, e.Spec.RestoreFrom = "r-s1-r1", kubernetesexecutionv1.PurposeRollBack, nil, "r-s1-a1"
		}},
		"what changes nothing needs no target": {change: func(e *kubernetesexecutionv1.KubernetesExecution) {
			e.Spec.ExpectedTarget = nil
			e.Spec.Action = &shared.Action{Type: shared.ActionNotifyOnly, NotifyOnly: &shared.NotifyOnly{Message: "x"}}
		}},
		"a second name for one attempt": {change: func(e *kubernetesexecutionv1.KubernetesExecution) { e.Name = "r-s1-a1-again" }, want: []string{"metadata.name"}},
		"the name of a rollback":        {change: func(e *kubernetesexecutionv1.KubernetesExecution) { e.Name = "r-s1-r1" }, want: []string{"metadata.name"}},
		"any target will do":            {change: func(e *kubernetesexecutionv1.KubernetesExecution) { e.Spec.ExpectedTarget = nil }, want: []string{"spec.expectedTarget"}},
		"parameters that forge":         {change: func(e *kubernetesexecutionv1.KubernetesExecution) { e.Spec.Action.ScaleDeployment.Name = "a/b" }, want: []string{"spec.action.scaleDeployment.name"}},
		"a name to restore from that forges": {
			change: func(e *kubernetesexecutionv1.KubernetesExecution) {
				e.Name, e.Spec.Purpose, e.Spec.Action, e.Spec.RestoreFrom = "r-s1-r1", kubernetesexecutionv1.PurposeRollBack, nil, "../x"
			},
			want: []string{"spec.restoreFrom"},
		},
		"more than a spec may hold": {
			change: func(e *kubernetesexecutionv1.KubernetesExecution) {
				e.Spec.StepName = strings.Repeat("x", maxSpecBytes)
			},
			want: []string{"spec"},
		},
		"more than a spec may hold, and no action": {
			change: func(e *kubernetesexecutionv1.KubernetesExecution) {
				e.Name, e.Spec.Purpose, e.Spec.Action, e.Spec.RestoreFrom = "r-s1-r1", kubernetesexecutionv1.PurposeRollBack, nil, "r-s1-a1"
				e.Spec.StepName = strings.Repeat("x", maxSpecBytes)
			},
			want: []string{"spec"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			object := &kubernetesexecutionv1.KubernetesExecution{ObjectMeta: metav1.ObjectMeta{Name: "r-s1-a1"}, Spec: kubernetesexecutionv1.KubernetesExecutionSpec{
				WorkflowExecutionRef: childOwner, StepIndex: 1, StepName: "a", Attempt: 1, Purpose: kubernetesexecutionv1.PurposeExecute,
				Action:         &shared.Action{Type: shared.ActionScaleDeployment, ScaleDeployment: &shared.ScaleDeployment{Namespace: "shop", Name: "cart", Replicas: new(int32(1))}},
				ExpectedTarget: &kubernetesexecutionv1.ExpectedTarget{UID: "2"},
			}}
			if test.change != nil {
				test.change(object)
			}
			diffPaths(t, test.want, ValidateKubernetesExecution(object))
		})
	}
}

// diffPaths compares the fields that are refused; each refusal has a sentence.
func diffPaths(t *testing.T, want []string, errs field.ErrorList) {
	t.Helper()
	var have []string
	for _, err := range errs {
		have = append(have, err.Field)
		if err.Detail == "" {
			t.Errorf("%s is refused without a reason", err.Field)
		}
	}
	if diff := cmp.Diff(want, have); diff != "" {
		t.Errorf("(-want +have)\n%s\n%v", diff, errs)
	}
}

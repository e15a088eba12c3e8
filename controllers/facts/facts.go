// Package facts reads what the safety gate judges a step by, and has the gate judge it.
package facts

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	aianalysisv1 "kubernaut.io/kubernaut/api/aianalysis/v1"
	safetyv1alpha1 "kubernaut.io/kubernaut/api/safety/v1alpha1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/controllers/kubernetesexecution"
	"kubernaut.io/kubernaut/controllers/kubernetesexecution/actions"
	"kubernaut.io/kubernaut/controllers/kubernetesexecution/effects"
	"kubernaut.io/kubernaut/policies/gate"
)

// Facts builds the input of the gate. The target comes with the preparation, which read it live as the account of the action;
// everything else comes from the manager's cache.
type Facts struct {
	// Cache reads what the manager watches.
	Cache client.Reader
	// Gate judges.
	Gate *gate.Gate
	// Clock is the time that policies see.
	Clock clock.PassiveClock
}

// Judge has the gate judge one step. Its error is transient: the facts of the workflow could not be read, or there is no policy
// set yet. A fact about the surroundings that cannot be read is null and named in input.missing; the policies decide.
func (f *Facts) Judge(ctx context.Context, question kubernetesexecution.JudgeRequest) (shared.Decision, error) {
	if !f.Gate.Ready() {
		return shared.Decision{}, fmt.Errorf("the safety gate has no policy set yet")
	}
	input, err := f.Input(ctx, question)
	if err != nil {
		return shared.Decision{}, err
	}
	decision := f.Gate.Evaluate(ctx, input)
	if ctx.Err() != nil {
		return shared.Decision{}, fmt.Errorf("judging a step: %w", ctx.Err())
	}
	return decision.Decision, nil
}

// ForcesDryRun says whether a namespace allows dry runs only. A namespace that does not exist forces nothing.
func (f *Facts) ForcesDryRun(ctx context.Context, namespace string) (bool, error) {
	var object corev1.Namespace
	if err := f.Cache.Get(ctx, client.ObjectKey{Name: namespace}, &object); err != nil {
		return false, client.IgnoreNotFound(err)
	}
	return object.Labels[shared.LabelNamespaceMode] == shared.NamespaceModeDryRun, nil
}

// Input is the document that the gate evaluates.
func (f *Facts) Input(ctx context.Context, question kubernetesexecution.JudgeRequest) (*gate.Input, error) {
	workflow := question.Workflow
	definition := workflow.Spec.WorkflowDefinition
	if definition == nil || int(question.StepIndex) >= len(definition.Steps) {
		return nil, fmt.Errorf("workflow %s/%s has no step %d", workflow.Namespace, workflow.Name, question.StepIndex)
	}
	step := &definition.Steps[question.StepIndex]
	input := gate.NewInput(gate.Stage(question.Stage), f.Clock.Now())
	b := builder{input: input}
	b.workflow(workflow)
	b.step(step, question)
	b.target(workflow, question)
	b.namespace(ctx, f.Cache, question.Preparation.Target)
	b.remediation(ctx, f.Cache, workflow)
	b.impact(question.Preparation)
	b.rollback(question.Preparation)
	b.notRead()
	return input, nil
}

// builder fills in one input document.
type builder struct{ input *gate.Input }

func (b builder) missing(path, reason string) {
	b.input.Missing = append(b.input.Missing, gate.MissingFact{Path: path, Reason: reason})
}

func (b builder) workflow(workflow *workflowexecutionv1.WorkflowExecution) {
	definition := workflow.Spec.WorkflowDefinition
	b.input.Workflow = gate.Workflow{
		Name: workflow.Name, Namespace: workflow.Namespace,
		Labels: orEmpty(workflow.Labels), Annotations: orEmpty(workflow.Annotations),
		Definition: gate.Definition{Name: definition.Name, Version: definition.Version},
		Mode:       workflow.Spec.Mode, TotalSteps: len(definition.Steps),
	}
	b.input.Requester = gate.Requester{Username: new(workflow.Spec.RequestedBy.Username), Groups: workflow.Spec.RequestedBy.Groups}
	if b.input.Requester.Groups == nil {
		b.input.Requester.Groups = []string{}
	}
	plan := workflow.Status.Plan
	if plan == nil {
		b.missing("plan", "the workflow is not planned yet")
		return
	}
	b.input.Workflow.Strategy = new(string(plan.Strategy))
	b.input.Plan = gate.Plan{Batches: [][]int{}, Digest: new(plan.Digest)}
	if plan.EstimatedDuration != nil {
		b.input.Plan.EstimatedDuration = new(plan.EstimatedDuration.Duration.String())
	}
	for _, batch := range plan.Batches {
		steps := make([]int, len(batch))
		for i, step := range batch {
			steps[i] = int(step)
		}
		b.input.Plan.Batches = append(b.input.Plan.Batches, steps)
	}
}

func (b builder) step(step *shared.Step, question kubernetesexecution.JudgeRequest) {
	b.input.Step = gate.Step{
		Index: int(question.StepIndex), Name: step.Name, Action: step.Action,
		DependsOn: step.DependsOn, Critical: step.Critical,
	}
	if b.input.Step.DependsOn == nil {
		b.input.Step.DependsOn = []string{}
	}
	if b.input.Step.Critical == nil {
		b.input.Step.Critical = new(true)
	}
	if question.Stage != safetyv1alpha1.StagePlan {
		b.input.Step.Attempt = new(question.Attempt)
	}
	if action, known := actions.Get(step.Action.Type); known {
		b.input.Step.Reversibility = new(string(action.Reversibility()))
	} else {
		b.missing("step.reversibility", "the action is not in the catalogue")
	}
}

func (b builder) target(workflow *workflowexecutionv1.WorkflowExecution, question kubernetesexecution.JudgeRequest) {
	target := question.Preparation.Target
	if target == nil {
		return
	}
	b.input.Target = gate.Target{APIVersion: new(target.APIVersion), Kind: new(target.Kind), Name: new(target.Name)}
	if target.Namespace != "" {
		b.input.Target.Namespace = new(target.Namespace)
	}
	b.expected(workflow, question)
	live := question.Preparation.Live
	if live == nil {
		b.missing("target.object", "the target was not read")
		return
	}
	b.input.Target.Object = gate.SanitizeObject(live)
	b.input.Target.Drift.Found = identityOf(string(live.GetUID()), live.GetGeneration())
	b.input.Target.GitOps = gitOps(live)
	b.input.Target.Owners = []shared.OwnedObject{}
	for _, owner := range live.GetOwnerReferences() {
		if owner.Controller != nil && *owner.Controller {
			b.input.Target.Owners = append(b.input.Target.Owners, shared.OwnedObject{
				APIVersion: owner.APIVersion, Kind: owner.Kind, Name: owner.Name, UID: owner.UID,
			})
		}
	}
}

// expected is the state of the target that the workflow rests on.
func (b builder) expected(workflow *workflowexecutionv1.WorkflowExecution, question kubernetesexecution.JudgeRequest) {
	if expected := question.Expected; expected != nil {
		b.input.Target.Drift.Expected = identityOf(string(expected.UID), expected.Generation)
		return
	}
	if workflow.Status.Plan == nil {
		return
	}
	for _, planned := range workflow.Status.Plan.Targets {
		if planned.Key() == question.Preparation.Target.Key() && planned.UID != "" {
			b.input.Target.Drift.Expected = identityOf(planned.UID, planned.Generation)
		}
	}
}

func identityOf(uid string, generation int64) gate.Identity {
	identity := gate.Identity{UID: &uid}
	if generation > 0 {
		identity.Generation = &generation
	}
	return identity
}

// Marks that GitOps tools leave on the objects they manage.
const (
	argoCDTracking = "argocd.argoproj.io/tracking-id"
	argoCDInstance = "argocd.argoproj.io/instance"
	fluxKustomize  = "kustomize.toolkit.fluxcd.io/name"
	fluxHelm       = "helm.toolkit.fluxcd.io/name"
)

func gitOps(object *unstructured.Unstructured) gate.GitOps {
	found := func(tool shared.GitOpsTool, application string) gate.GitOps {
		return gate.GitOps{Managed: new(true), Tool: new(string(tool)), Application: &application}
	}
	labels, annotations := object.GetLabels(), object.GetAnnotations()
	if id := annotations[argoCDTracking]; id != "" {
		application, _, _ := strings.Cut(id, ":")
		return found(shared.GitOpsArgoCD, application)
	}
	if name := labels[argoCDInstance]; name != "" {
		return found(shared.GitOpsArgoCD, name)
	}
	for _, label := range []string{fluxKustomize, fluxHelm} {
		if name := labels[label]; name != "" {
			return found(shared.GitOpsFlux, name)
		}
	}
	return gate.GitOps{Managed: new(false)}
}

func (b builder) namespace(ctx context.Context, cache client.Reader, target *shared.Target) {
	if target == nil || target.Namespace == "" {
		return
	}
	var namespace corev1.Namespace
	if err := cache.Get(ctx, client.ObjectKey{Name: target.Namespace}, &namespace); err != nil {
		b.missing("namespace", err.Error())
		return
	}
	b.input.Namespace = gate.Namespace{
		Name: &namespace.Name, Labels: orEmpty(namespace.Labels), Annotations: orEmpty(namespace.Annotations),
	}
}

// remediation reads why the workflow runs from the analysis that recommended it: its spec is a complete snapshot.
func (b builder) remediation(ctx context.Context, cache client.Reader, workflow *workflowexecutionv1.WorkflowExecution) {
	ref := workflow.Spec.RemediationRequestRef
	if ref == nil {
		return
	}
	analysis, err := analysisOf(ctx, cache, workflow, ref)
	if err != nil {
		b.missing("remediation", err.Error())
		return
	}
	classification := analysis.Spec.Classification
	b.input.Remediation = gate.Remediation{
		Signal:   new(analysis.Spec.SignalContext.Name),
		Severity: new(string(analysis.Spec.SignalContext.Severity)),
		Classification: gate.RemediationClassification{
			Environment: known(classification.Environment), Priority: known(classification.Priority), BusinessUnit: known(classification.BusinessUnit),
		},
		RecoveryAttempt:   new(analysis.Spec.RecoveryAttemptNumber),
		ConfidencePercent: analysis.Status.ConfidencePercent,
		Provider:          known(analysis.Status.Provider),
	}
}

// analysisOf finds the analysis of the same attempt: the names of both derive from the request's.
func analysisOf(ctx context.Context, cache client.Reader, workflow *workflowexecutionv1.WorkflowExecution, ref *shared.ObjectReference) (*aianalysisv1.AIAnalysis, error) {
	name := workflow.Name
	if name == shared.WorkflowName(ref.Name, 0) {
		name = shared.AnalysisName(ref.Name, 0)
	}
	var analysis aianalysisv1.AIAnalysis
	err := cache.Get(ctx, client.ObjectKey{Namespace: workflow.Namespace, Name: name}, &analysis)
	if apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("AIAnalysis %s is gone", name)
	}
	if err != nil {
		return nil, fmt.Errorf("reading AIAnalysis %s: %w", name, err)
	}
	if analysis.Spec.RemediationRequestRef.UID != ref.UID {
		return nil, fmt.Errorf("AIAnalysis %s belongs to another request", name)
	}
	return &analysis, nil
}

func (b builder) impact(preparation *effects.Preparation) {
	if preparation.DryRun == nil && preparation.Result == nil && preparation.Target != nil {
		b.missing("impact.changes", "no dry run was made, or its result could not be shown")
	} else {
		b.input.Impact.Changes = []gate.Change{}
		for _, change := range preparation.DryRun {
			b.input.Impact.Changes = append(b.input.Impact.Changes, gate.Change{
				Path: change.Path, Before: value(change.Before), After: value(change.After),
			})
		}
	}
	if preparation.Live == nil {
		return
	}
	b.input.Impact.PodsAffected = podsOf(preparation.Live)
	if b.input.Impact.PodsAffected != nil {
		b.input.Impact.PodsAffectedPercent = new(int32(100))
	}
}

// podsOf counts the pods that a workload has now: a change of its template or its scale concerns them all.
func podsOf(workload *unstructured.Unstructured) *int32 {
	for _, field := range []string{"replicas", "currentNumberScheduled"} {
		if pods, found, err := unstructured.NestedInt64(workload.Object, "status", field); err == nil && found {
			return new(int32(pods)) //nolint:gosec // the API's own field is 32 bits wide
		}
	}
	return nil
}

func (b builder) rollback(preparation *effects.Preparation) {
	inverse := preparation.Inverse
	b.input.Rollback = gate.Rollback{Available: new(inverse != nil && inverse.AbsentReason == ""), Proven: preparation.RollbackProven}
	b.input.Rollback.Restores = []gate.RestoredField{}
	if inverse == nil {
		return
	}
	for _, field := range inverse.Fields {
		b.input.Rollback.Restores = append(b.input.Rollback.Restores, gate.RestoredField{Path: field.Path, Value: value(field.Before)})
	}
}

// notRead names the facts that this version does not read: a policy that needs one of them denies.
func (b builder) notRead() {
	const reason = "this version does not read it"
	for _, path := range []string{"cluster.nodes", "cluster.activeWorkflows", "cluster.executions"} {
		b.missing(path, reason)
	}
	if b.input.Target.Kind != nil {
		b.missing("target.hpa", reason)
		b.missing("target.pdbs", reason)
	}
}

func value(raw *apiextensionsv1.JSON) any {
	if raw == nil {
		return nil
	}
	var out any
	if err := json.Unmarshal(raw.Raw, &out); err != nil {
		return string(raw.Raw)
	}
	return out
}

func known(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

func orEmpty(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}

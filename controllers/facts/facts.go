// Package facts reads what the safety gate judges a step by, and has the gate judge it.
package facts

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	aianalysisv1 "kubernaut.io/kubernaut/api/aianalysis/v1"
	safetyv1alpha1 "kubernaut.io/kubernaut/api/safety/v1alpha1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/controllers/kubernetesexecution"
	"kubernaut.io/kubernaut/controllers/kubernetesexecution/actions"
	"kubernaut.io/kubernaut/policies/gate"
)

// Facts builds the input of the gate. The target comes with the preparation, which read it live as the account of the action, and
// what a step locks beside it is read live too; everything else comes from the manager's cache. Reads lists what that is.
type Facts struct {
	// Cache reads what the manager watches; SetupIndexes has it hold what is asked for here.
	Cache client.Reader
	// Live reads what a lock scope protects, past the cache: while a step that holds it is judged, nothing of ours changes it, and
	// what a cache has not seen yet must not count.
	Live client.Reader
	// Activity is what other workflows do and did; nil when nobody watches them.
	Activity *Activity
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
	if f.Activity != nil && !f.Activity.Synced() {
		return shared.Decision{}, fmt.Errorf("what other workflows did has not been read yet")
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
	definition := workflow.Definition()
	if definition == nil || int(question.StepIndex) >= len(definition.Steps) {
		return nil, fmt.Errorf("workflow %s/%s has no step %d", workflow.Namespace, workflow.Name, question.StepIndex)
	}
	step := &definition.Steps[question.StepIndex]
	input := gate.NewInput(gate.Stage(question.Stage), f.Clock.Now())
	b := builder{input: input}
	b.workflow(workflow, definition)
	b.step(step, question)
	b.target(ctx, f.Cache, workflow, question)
	b.namespace(ctx, f.Cache, question.Preparation.Target)
	b.remediation(ctx, f.Cache, workflow)
	b.impact(ctx, f.Cache, question.Preparation)
	b.rollback(question.Preparation)
	b.nodes(ctx, f.nodesReader(&input.Step.Action))
	b.activity(f.Activity, workflow)
	return input, nil
}

// builder fills in one input document.
type builder struct{ input *gate.Input }

func (b builder) missing(path, reason string) {
	b.input.Missing = append(b.input.Missing, gate.MissingFact{Path: path, Reason: reason})
}

func (b builder) workflow(workflow *workflowexecutionv1.WorkflowExecution, definition *shared.WorkflowDefinition) {
	b.input.Workflow = gate.Workflow{
		Name: workflow.Name, Namespace: workflow.Namespace,
		Labels: orEmpty(workflow.Labels), Annotations: orEmpty(workflow.Annotations),
		Definition: gate.Definition{Name: definition.Name, Version: definition.Version},
		Mode:       workflow.Spec.Mode, TotalSteps: len(definition.Steps),
	}
	b.requester(workflow.Spec.RequestedBy)
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

// requester is who admission says it is; without a name nobody was authenticated, so nothing is known of the groups either.
func (b builder) requester(requester shared.Requester) {
	if requester.Username == "" {
		b.missing("requester", "the workflow does not say who asked for it")
		return
	}
	b.input.Requester = gate.Requester{Username: new(requester.Username), Groups: requester.Groups}
	if requester.Groups == nil {
		b.input.Requester.Groups = []string{}
	}
}

func (b builder) step(step *shared.Step, question kubernetesexecution.JudgeRequest) {
	judged := step.Action
	if question.RollbackAction && step.RollbackAction != nil {
		judged = *step.RollbackAction
	}
	b.input.Step = gate.Step{
		Index: int(question.StepIndex), Name: step.Name, Action: judged,
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
	if action, known := actions.Get(judged.Type); known {
		b.input.Step.Reversibility = new(string(action.Reversibility()))
	} else {
		b.missing("step.reversibility", "the action is not in the catalogue")
	}
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
	b.input.Remediation.Present = new(ref != nil)
	if ref == nil {
		return
	}
	request := gate.Request{Name: new(ref.Name), UID: new(string(ref.UID))}
	b.input.Remediation.Request = request
	analysis, err := analysisOf(ctx, cache, workflow, ref)
	if err != nil {
		b.missing("remediation", err.Error())
		return
	}
	classification := analysis.Spec.Classification
	b.input.Remediation = gate.Remediation{
		Present:  new(true),
		Request:  request,
		Signal:   new(analysis.Spec.SignalContext.Name),
		Severity: new(string(analysis.Spec.SignalContext.Severity)),
		Classification: gate.RemediationClassification{
			Environment: known(classification.Environment), Priority: known(classification.Priority), BusinessUnit: known(classification.BusinessUnit),
		},
		RecoveryAttempt:   new(analysis.Spec.RecoveryAttemptNumber),
		ConfidencePercent: analysis.Status.ConfidencePercent,
		Provider:          known(analysis.Status.Provider),
	}
	silent := func(path string, unknown bool) {
		if unknown {
			b.missing("remediation."+path, "AIAnalysis "+analysis.Name+" does not say")
		}
	}
	silent("classification", classification == shared.Classification{})
	silent("confidencePercent", analysis.Status.ConfidencePercent == nil)
	silent("provider", analysis.Status.Provider == "")
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

// nodesReader reads nodes for a judgement: live when the step locks the nodes.
func (f *Facts) nodesReader(action *shared.Action) client.Reader {
	if known, is := actions.Get(action.Type); is && slices.Contains(known.Scopes(action), actions.ScopeNodes) {
		return f.Live
	}
	return f.Cache
}

// nodes counts them. Those of the cache are not copied: of a node only three fields are looked at.
func (b builder) nodes(ctx context.Context, reader client.Reader) {
	if reader == nil {
		b.missing("cluster.nodes", "nobody reads the nodes live here")
		return
	}
	var list corev1.NodeList
	if err := reader.List(ctx, &list, client.UnsafeDisableDeepCopy); err != nil {
		b.missing("cluster.nodes", err.Error())
		return
	}
	ready, unschedulable, schedulable := 0, 0, 0
	for i := range list.Items {
		node := &list.Items[i]
		if isReady(node) {
			ready++
		}
		if node.Spec.Unschedulable {
			unschedulable++
		} else if isReady(node) {
			schedulable++
		}
	}
	b.input.Cluster.Nodes = gate.Nodes{Total: new(len(list.Items)), Ready: &ready, Unschedulable: &unschedulable, Schedulable: &schedulable}
}

func isReady(node *corev1.Node) bool {
	return slices.ContainsFunc(node.Status.Conditions, func(condition corev1.NodeCondition) bool {
		return condition.Type == corev1.NodeReady && condition.Status == corev1.ConditionTrue
	})
}

// activity is what the other workflows do, and did to this target and around it.
func (b builder) activity(activity *Activity, workflow *workflowexecutionv1.WorkflowExecution) {
	if activity == nil {
		b.missing("cluster.activeWorkflows", "nobody watches workflows here")
		b.missing("cluster.executions", "nobody watches workflows here")
		return
	}
	b.input.Cluster.ActiveWorkflows = activity.activeWorkflows()
	cut := fmt.Sprintf("there are more than the %d newest", maxListed)
	if uid := b.input.Target.Drift.Found.UID; uid != nil {
		list, all := activity.onTarget(types.UID(*uid), workflow.UID)
		b.input.Cluster.Executions.Target = list
		if !all {
			b.missing("cluster.executions.target", cut)
		}
	} else if b.input.Target.Kind != nil {
		b.missing("cluster.executions.target", "the target was not read")
	}
	if namespace := b.input.Target.Namespace; namespace != nil {
		list, all := activity.inNamespace(*namespace, workflow.UID)
		b.input.Cluster.Executions.Namespace = list
		if !all {
			b.missing("cluster.executions.namespace", cut)
		}
	}
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

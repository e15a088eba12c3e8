package webhooks

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/controllers/facts"
	"kubernaut.io/kubernaut/controllers/machinery"
)

const (
	// previewLimit is how long a create waits for its preview.
	previewLimit = 2 * time.Second
	// previewsAtOnce is how many previews are made at a time: the decisions that count share the gate with them.
	previewsAtOnce = 4
	// maxWarnings and longestWarning keep the answer below the 4096 characters from which on the API server cuts every warning.
	maxWarnings    = 14
	longestWarning = 256
)

// Previewer says what the safety gate would say about each step of a workflow that is about to be created. It may read what the
// author of the workflow may read, and writes nothing.
type Previewer interface {
	Steps(ctx context.Context, workflow *workflowexecutionv1.WorkflowExecution) ([]facts.StepPreview, error)
}

// preview tells the author of a workflow what the gate would say. It never refuses: the verdict is that of the validating phase.
type preview struct {
	of    Previewer
	limit time.Duration
	turns chan struct{}
}

func newPreview(of Previewer) *preview {
	return &preview{of: of, limit: previewLimit, turns: make(chan struct{}, previewsAtOnce)}
}

var (
	errPreviewTime = errors.New("it would have taken too long")
	errPreviewTurn = errors.New("too many workflows are previewed at once")
)

// begin previews a workflow while its author's rights are reviewed; what it returns waits for the warnings.
func (p *preview) begin(ctx context.Context, workflow *workflowexecutionv1.WorkflowExecution) func() admission.Warnings {
	ready := make(chan admission.Warnings, 1)
	go func() { ready <- p.warnings(ctx, workflow) }()
	return func() admission.Warnings { return <-ready }
}

// warnings are what to tell the author. They come within the limit, whatever the previewer does.
func (p *preview) warnings(ctx context.Context, workflow *workflowexecutionv1.WorkflowExecution) admission.Warnings {
	if p == nil {
		return nil
	}
	steps, err := p.steps(ctx, workflow)
	if err != nil {
		log.FromContext(ctx).V(1).Info("a workflow could not be previewed", "reason", err.Error())
		return admission.Warnings{oneLine(fmt.Sprintf("what the safety gate would say could not be previewed: %v; see .status.validation once the workflow is validated", err))}
	}
	return previewWarnings(steps)
}

func (p *preview) steps(ctx context.Context, workflow *workflowexecutionv1.WorkflowExecution) ([]facts.StepPreview, error) {
	ctx, cancel := context.WithTimeout(ctx, p.limit)
	defer cancel()
	select {
	case p.turns <- struct{}{}:
	case <-ctx.Done():
		return nil, errPreviewTurn
	}
	type answer struct {
		steps []facts.StepPreview
		err   error
	}
	answers := make(chan answer, 1)
	own := workflow.DeepCopy() // a preview that takes too long may outlive the request
	go func() {
		defer func() { <-p.turns }()
		defer func() {
			if problem := recover(); problem != nil {
				answers <- answer{err: machinery.Panicked(ctx, "the preview", problem)}
			}
		}()
		steps, err := p.of.Steps(ctx, own)
		answers <- answer{steps, err}
	}()
	select {
	case ended := <-answers:
		if ctx.Err() != nil && ended.err != nil {
			return nil, errPreviewTime
		}
		return ended.steps, ended.err
	case <-ctx.Done():
		return nil, errPreviewTime
	}
}

// previewWarnings are one line for each rule that would not let a step run as it is, the steps in the order of the workflow.
func previewWarnings(steps []facts.StepPreview) admission.Warnings {
	var lines admission.Warnings
	stopped := false
	for _, step := range steps {
		name := fmt.Sprintf("step %q: ", step.Step)
		if step.Problem != "" {
			lines = append(lines, name+step.Problem)
			continue
		}
		stopped = stopped || step.Decision.Verdict != shared.VerdictAllow
		for _, rule := range step.Decision.Rules {
			lines = append(lines, name+ruleText(rule))
		}
	}
	for i := range lines {
		lines[i] = oneLine(lines[i])
	}
	if len(lines) > maxWarnings {
		more := len(lines) - maxWarnings
		lines = append(lines[:maxWarnings:maxWarnings], fmt.Sprintf("and %d more of this kind; see .status.validation once the workflow is validated", more))
	}
	if stopped {
		lines = append(lines, "this is a preview without the server's dry run: the workflow is judged when it is validated, and again before each step")
	}
	return lines
}

func ruleText(rule shared.FiredRule) string {
	by := rule.Policy
	if rule.Code != "" {
		by += "/" + rule.Code
	}
	return map[shared.RuleEffect]string{
		shared.EffectDeny:            "the safety gate would deny it",
		shared.EffectHold:            "the safety gate would hold it until its policies change",
		shared.EffectRequireApproval: "it would need approval by " + people(rule.Approvers),
		shared.EffectWarn:            "the safety gate would warn",
	}[rule.Effect] + ": " + by + ": " + rule.Message
}

func people(approvers int32) string {
	if approvers <= 1 {
		return "one person"
	}
	return fmt.Sprintf("%d people", approvers)
}

// oneLine is a text as a warning can carry it: the API server leaves out one with a control character, and shortens long ones.
func oneLine(text string) string {
	text = strings.ToValidUTF8(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, text), "\uFFFD")
	if runes := []rune(text); len(runes) > longestWarning {
		return string(runes[:longestWarning-1]) + "…"
	}
	return text
}

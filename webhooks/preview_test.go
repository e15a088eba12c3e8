package webhooks

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/controllers/facts"
)

func decided(verdict shared.Verdict, rules ...shared.FiredRule) facts.StepPreview {
	return facts.StepPreview{Step: "a", Decision: shared.Decision{Verdict: verdict, Rules: rules}}
}

func TestPreviewWarnings(t *testing.T) {
	const last = "this is a preview without the server's dry run: the workflow is judged when it is validated, and again before each step"
	for name, test := range map[string]struct {
		steps []facts.StepPreview
		want  []string
	}{
		"nothing to say": {steps: []facts.StepPreview{decided(shared.VerdictAllow), decided(shared.VerdictAllow)}},
		"a rule that warns stops nothing": {
			steps: []facts.StepPreview{decided(shared.VerdictAllow, shared.FiredRule{Policy: "p", Effect: shared.EffectWarn, Message: "m"})},
			want:  []string{`step "a": the safety gate would warn: p: m`},
		},
		"each rule is a line, with policy, code and message": {
			steps: []facts.StepPreview{decided(shared.VerdictDeny,
				shared.FiredRule{Policy: "p", Effect: shared.EffectDeny, Code: "c", Message: "m"},
				shared.FiredRule{Policy: "q", Effect: shared.EffectHold, Message: "n"},
				shared.FiredRule{Policy: "r", Effect: shared.EffectRequireApproval, Message: "o", Approvers: 2},
			)},
			want: []string{
				`step "a": the safety gate would deny it: p/c: m`,
				`step "a": the safety gate would hold it until its policies change: q: n`,
				`step "a": it would need approval by 2 people: r: o`,
				last,
			},
		},
		"a step that could not be judged": {
			steps: []facts.StepPreview{{Step: "a", Problem: "it would fail: gone"}},
			want:  []string{`step "a": it would fail: gone`},
		},
		"what a header cannot carry": {
			steps: []facts.StepPreview{decided(shared.VerdictDeny, shared.FiredRule{Policy: "p", Effect: shared.EffectDeny, Message: "one\ntwo\x00\xff" + strings.Repeat("x", 300)})},
			want:  []string{`step "a": the safety gate would deny it: p: one two ` + "\uFFFD" + strings.Repeat("x", 200), last},
		},
	} {
		t.Run(name, func(t *testing.T) {
			have := previewWarnings(test.steps)
			if strings.HasPrefix(name, "what a header") {
				if !strings.HasSuffix(have[0], "…") || len([]rune(have[0])) != longestWarning || !strings.HasPrefix(have[0], test.want[0][:60]) {
					t.Errorf("have %q", have[0])
				}
				return
			}
			if diff := cmp.Diff(test.want, []string(have)); diff != "" {
				t.Errorf("(-want +have)\n%s", diff)
			}
		})
	}
}

// The API server cuts every warning to 256 characters when all together have more than 4096.
func TestPreviewWarningsAreFew(t *testing.T) {
	var steps []facts.StepPreview
	for range 100 {
		steps = append(steps, decided(shared.VerdictDeny, shared.FiredRule{Policy: "p", Effect: shared.EffectDeny, Message: strings.Repeat("x", 500)}))
	}
	have := previewWarnings(steps)
	total := 0
	for _, line := range have {
		total += len([]rune(line))
	}
	if total > 4096 || !strings.Contains(have[len(have)-2], "and 86 more") {
		t.Errorf("%d characters, %q", total, have[len(have)-2:])
	}
}

type previewFunc func(context.Context) ([]facts.StepPreview, error)

func (f previewFunc) Steps(ctx context.Context, _ *workflowexecutionv1.WorkflowExecution) ([]facts.StepPreview, error) {
	return f(ctx)
}

func TestPreviewNeverKeepsAnybodyWaiting(t *testing.T) {
	for name, test := range map[string]struct {
		preview previewFunc
		want    string
		after   time.Duration
	}{
		"one that does not end": {
			func(context.Context) ([]facts.StepPreview, error) { <-time.After(time.Hour); return nil, nil }, "too long", previewLimit,
		},
		"one that ends when it is told to": {
			func(ctx context.Context) ([]facts.StepPreview, error) { <-ctx.Done(); return nil, ctx.Err() }, "too long", previewLimit,
		},
		"one that fails":  {func(context.Context) ([]facts.StepPreview, error) { return nil, errors.New("no policies") }, "no policies", 0},
		"one that panics": {func(context.Context) ([]facts.StepPreview, error) { panic("out of range") }, "panicked: out of range", 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPreview(test.preview)
				began := time.Now()
				warned := p.warnings(t.Context(), &workflowexecutionv1.WorkflowExecution{})
				if len(warned) != 1 || !strings.Contains(warned[0], "could not be previewed") || !strings.Contains(warned[0], test.want) {
					t.Errorf("warnings: %q", warned)
				}
				if took := time.Since(began); took != test.after {
					t.Errorf("it took %v, want %v", took, test.after)
				}
				if test.after == 0 {
					return
				}
				<-time.After(2 * time.Hour) // of the bubble's clock
				synctest.Wait()
				if len(p.turns) != 0 {
					t.Errorf("%d turns were not given back", len(p.turns))
				}
			})
		})
	}
}

// However many workflows are created at once, few are previewed at a time, and none waits longer than the limit.
func TestPreviewsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPreview(previewFunc(func(context.Context) ([]facts.StepPreview, error) { <-time.After(time.Minute); return nil, nil }))
		answers := make(chan []string)
		const many = 3 * previewsAtOnce
		began := time.Now()
		for range many {
			go func() { answers <- p.warnings(t.Context(), &workflowexecutionv1.WorkflowExecution{}) }()
		}
		turned := 0
		for range many {
			if strings.Contains((<-answers)[0], errPreviewTurn.Error()) {
				turned++
			}
		}
		if turned != many-previewsAtOnce || time.Since(began) != previewLimit {
			t.Errorf("%d of %d had no turn, after %v", turned, many, time.Since(began))
		}
		<-time.After(2 * time.Minute)
		synctest.Wait()
	})
}

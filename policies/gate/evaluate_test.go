package gate

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"kubernaut.io/kubernaut/api/shared"
)

// gateOf is a gate over policies by name; a text that does not begin with METADATA or a package is the body of a policy.
func gateOf(t testing.TB, bodies map[string]string, change ...func(*Options)) *Gate {
	t.Helper()
	files := map[string]string{}
	for name, body := range bodies {
		if !strings.HasPrefix(body, "#") && !strings.HasPrefix(body, "package") {
			body = policyText(name, body)
		}
		files[name] = body
	}
	options := Options{Policies: folder(files)}
	for _, apply := range change {
		apply(&options)
	}
	gate, err := New(options)
	if err != nil {
		t.Fatal(err)
	}
	return gate
}

// with puts METADATA in front of the body of a policy.
func with(metadata, name, body string) string {
	return "# METADATA\n# custom:\n#   " + metadata + "\n" + policyText(name, body)
}

// endless is a rule that is decided in 20^9 steps.
const endless = `deny contains "x" if count([1 |
	some a in ones
	some b in ones
	some c in ones
	some d in ones
	some e in ones
	some f in ones
	some g in ones
	some h in ones
	a + b + c + d + e + f + g + h < 0
]) > 0

ones := [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20]`

func wantPolicyError(t *testing.T, got Decision, policy string) {
	t.Helper()
	if got.Verdict != shared.VerdictDeny || len(got.Rules) == 0 {
		t.Fatalf("got %s with %v, want Deny", got.Verdict, got.Rules)
	}
	if got.Rules[0].Policy != policy || got.Rules[0].Code != shared.CodePolicyError || got.Rules[0].Message == "" {
		t.Errorf("got %+v, want a policy_error of %s", got.Rules[0], policy)
	}
}

func TestTheHardestEffectDecides(t *testing.T) {
	const (
		denies  = `deny contains {"msg": "no", "code": "c"}`
		holds   = `hold contains "wait" if true`
		asks    = `require_approval contains "ask"`
		asksTwo = `require_approval contains {"msg": "ask two", "approvers": 2, "details": {"why": [1]}}`
		warns   = `warn contains "careful"`
		silent  = `deny contains "x" if input.step.name == "other"`
	)
	rule := func(policy string, effect shared.RuleEffect, message string, approvers int32) shared.FiredRule {
		return shared.FiredRule{Policy: policy, Effect: effect, Message: message, Approvers: approvers}
	}
	for sentence, test := range map[string]struct {
		policies      map[string]string
		stage         Stage
		want          shared.Verdict
		wantRules     []shared.FiredRule
		wantRecorded  int
		wantApprovers int32
	}{
		"a set in which nothing fires allows": {
			policies: map[string]string{"a": silent}, want: shared.VerdictAllow,
		},
		"deny is harder than all others": {
			policies: map[string]string{"a": warns, "b": asks, "c": holds, "d": denies}, want: shared.VerdictDeny,
			wantRules: []shared.FiredRule{
				{Policy: "d", Effect: shared.EffectDeny, Message: "no", Code: "c"},
				rule("c", shared.EffectHold, "wait", 0), rule("b", shared.EffectRequireApproval, "ask", 1),
				rule("a", shared.EffectWarn, "careful", 0),
			},
		},
		"hold is harder than an approval": {
			policies: map[string]string{"b": asks, "c": holds}, want: shared.VerdictHold,
			wantRules: []shared.FiredRule{
				rule("c", shared.EffectHold, "wait", 0), rule("b", shared.EffectRequireApproval, "ask", 1),
			},
		},
		"the largest number of approvers decides": {
			policies: map[string]string{"a": asks, "b": asksTwo}, want: shared.VerdictRequireApproval, wantApprovers: 2,
			wantRules: []shared.FiredRule{
				rule("b", shared.EffectRequireApproval, "ask two", 2), rule("a", shared.EffectRequireApproval, "ask", 1),
			},
		},
		"a warning allows": {
			policies: map[string]string{"a": warns}, want: shared.VerdictAllow,
			wantRules: []shared.FiredRule{rule("a", shared.EffectWarn, "careful", 0)},
		},
		"a policy under Warn only warns": {
			policies: map[string]string{"a": with("enforcement: Warn", "a", denies+"\n"+asks)}, want: shared.VerdictAllow,
			wantRules: []shared.FiredRule{
				rule("a", shared.EffectWarn, "ask", 0),
				{Policy: "a", Effect: shared.EffectWarn, Message: "no", Code: "c"},
			},
		},
		"a policy under Audit is only recorded": {
			policies: map[string]string{"a": with("enforcement: Audit", "a", denies)}, want: shared.VerdictAllow, wantRecorded: 1,
		},
		"a policy without the stage is only recorded": {
			policies: map[string]string{"a": denies, "b": with("stages: [rollback]", "b", denies)},
			stage:    StageRollback, want: shared.VerdictDeny, wantRecorded: 1,
			wantRules: []shared.FiredRule{{Policy: "b", Effect: shared.EffectDeny, Message: "no", Code: "c"}},
		},
		"a policy for a rollback is not asked before": {
			policies: map[string]string{"b": with("stages: [rollback]", "b", denies)}, want: shared.VerdictAllow,
		},
		"a policy for the plan is not asked before the step": {
			policies: map[string]string{"b": with("stages: [plan]", "b", denies)}, stage: StageStep, want: shared.VerdictAllow,
		},
		"a policy for another action is not asked": {
			policies: map[string]string{"b": with("match: {actions: [update-image]}", "b", denies)}, want: shared.VerdictAllow,
		},
		"a hold does not stop a rollback": {
			policies: map[string]string{"b": with("stages: [rollback]", "b", holds)},
			stage:    StageRollback, want: shared.VerdictAllow, wantRecorded: 1,
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			in := scaleInput()
			if test.stage != "" {
				in.Stage = test.stage
			}
			got := gateOf(t, test.policies).Evaluate(t.Context(), in)
			if got.Verdict != test.want || got.Approvers() != test.wantApprovers || len(got.Recorded) != test.wantRecorded {
				t.Errorf("got %s, %d approvers, recorded %v", got.Verdict, got.Approvers(), got.Recorded)
			}
			if diff := cmp.Diff(test.wantRules, got.Rules); diff != "" {
				t.Errorf("rules (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDetailsAreKept(t *testing.T) {
	got := gateOf(t, map[string]string{
		"a": `deny contains {"msg": "x", "details": {"why": [1, "b"]}}`,
	}).Evaluate(t.Context(), scaleInput())
	if text := fmt.Sprint(got.Results[0].Details); text != "map[why:[1 b]]" {
		t.Errorf("got %s", text)
	}
}

func TestWhatFailsIsAPolicyErrorOfThatPolicy(t *testing.T) {
	for sentence, body := range map[string]string{
		"an error of a function":         `deny contains "x" if to_number(input.step.name) == 1`,
		"a conflict":                     "deny contains sprintf(\"%v\", [a])\n\na := 1 if input.step.critical\n\na := 2 if input.stage",
		"an undefined rule set":          `deny := {"x"} if input.step.name == "other"`,
		"a list":                         `deny := ["x"]`,
		"a boolean":                      `deny if true`,
		"a number as a result":           `deny contains 1`,
		"a result without a message":     `deny contains {"code": "x"}`,
		"a message that is a number":     `deny contains {"msg": 1}`,
		"a code that is a number":        `deny contains {"msg": "x", "code": 1}`,
		"an endless code":                `deny contains {"msg": "x", "code": "` + strings.Repeat("c", 129) + `"}`,
		"a member that nobody knows":     `deny contains {"msg": "x", "approver": 2}`,
		"no approver":                    `require_approval contains {"msg": "x", "approvers": 0}`,
		"six approvers":                  `require_approval contains {"msg": "x", "approvers": 6}`,
		"half an approver":               `require_approval contains {"msg": "x", "approvers": 1.5}`,
		"approvers as a text":            `require_approval contains {"msg": "x", "approvers": "2"}`,
		"approvers of a deny":            `deny contains {"msg": "x", "approvers": 2}`,
		"an object instead of a set":     `deny["x"] := 1`,
		"a set of results of a sub-rule": `deny.sub contains "x"`,
	} {
		t.Run(sentence, func(t *testing.T) {
			others := map[string]string{"a": `warn contains "fine"`, "m": body, "z": `warn contains "fine"`}
			got := gateOf(t, others).Evaluate(t.Context(), scaleInput())
			wantPolicyError(t, got, "m")
			if len(got.Rules) != 3 || got.Rules[1].Policy != "a" || got.Rules[2].Policy != "z" {
				t.Errorf("the other policies: %v", got.Rules[1:])
			}
		})
	}
}

func TestAnErrorUnderWarnWarns(t *testing.T) {
	body := `deny contains "x" if to_number(input.step.name) == 1`
	got := gateOf(t, map[string]string{"a": with("enforcement: Warn", "a", body)}).Evaluate(t.Context(), scaleInput())
	if got.Verdict != shared.VerdictAllow || got.Rules[0].Code != shared.CodePolicyError {
		t.Errorf("got %s with %v", got.Verdict, got.Rules)
	}
}

func TestAnErrorUnderAuditIsRecorded(t *testing.T) {
	body := `deny contains "x" if to_number(input.step.name) == 1`
	got := gateOf(t, map[string]string{"a": with("enforcement: Audit", "a", body)}).Evaluate(t.Context(), scaleInput())
	if got.Verdict != shared.VerdictAllow || len(got.Rules) != 0 || got.Recorded[0].Code != shared.CodePolicyError {
		t.Errorf("got %s with %v, recorded %v", got.Verdict, got.Rules, got.Recorded)
	}
}

const shortLimit = 300 * time.Millisecond

func short(options *Options) { options.TimeLimit = shortLimit }

func TestAnEndlessPolicyIsDeniedInTime(t *testing.T) {
	gate := gateOf(t, map[string]string{
		"a": `warn contains "fine"`, "m": endless, "z": `deny contains "also"`, "w": with("enforcement: Warn", "w", `warn contains "x"`),
	}, short)
	start := time.Now()
	got := gate.Evaluate(t.Context(), scaleInput())
	if took := time.Since(start); took > shortLimit+margin {
		t.Errorf("it took %v", took)
	}
	wantPolicyError(t, got, "m")
	if diff := cmp.Diff([]string{"m/policy_error", "a/"}, codes(got.Rules)); diff != "" {
		t.Errorf("only the endless policy is at fault: %s", diff)
	}
	var recorded []string
	for _, result := range got.Recorded {
		recorded = append(recorded, result.Policy)
	}
	if diff := cmp.Diff([]string{"w", "z"}, recorded); diff != "" {
		t.Errorf("the policies that had no chance: %s", diff)
	}
}

func TestAnEndlessPolicyThatOnlyAuditsChangesNothing(t *testing.T) {
	gate := gateOf(t, map[string]string{"a": `warn contains "fine"`, "m": with("enforcement: Audit", "m", endless)}, short)
	got := gate.Evaluate(t.Context(), scaleInput())
	if got.Verdict != shared.VerdictAllow || len(got.Rules) != 1 || got.Recorded[0].Policy != "m" {
		t.Errorf("got %s with %v, recorded %v", got.Verdict, got.Rules, got.Recorded)
	}
}

func TestNoPoliciesDeny(t *testing.T) {
	gate := gateOf(t, nil)
	if !gate.Ready() {
		t.Error("an empty set is a set")
	}
	wantPolicyError(t, gate.Evaluate(t.Context(), scaleInput()), PolicyNone)
}

func TestAGateWithoutASetDenies(t *testing.T) {
	gate := &Gate{now: time.Now}
	if gate.Ready() || gate.Revision() != "" {
		t.Error("it is ready")
	}
	wantPolicyError(t, gate.Evaluate(t.Context(), scaleInput()), PolicyNone)
	if _, err := gate.Classify(t.Context(), NewClassificationInput()); err == nil {
		t.Error("it classifies")
	}
}

func TestAnInputThatCannotBeJudgedIsDenied(t *testing.T) {
	for sentence, in := range map[string]*Input{
		"none":             nil,
		"an empty one":     {},
		"another version":  scaleInput(func(in *Input) { in.APIVersion = "safety.kubernaut.io/v2" }),
		"an unknown stage": scaleInput(func(in *Input) { in.Stage = "apply" }),
	} {
		t.Run(sentence, func(t *testing.T) {
			wantPolicyError(t, baseline(t).Evaluate(t.Context(), in), PolicyNone)
		})
	}
}

func TestACancelledContextDenies(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	wantPolicyError(t, baseline(t).Evaluate(ctx, scaleInput()), PolicyNone)
	if _, err := baseline(t).Classify(ctx, NewClassificationInput()); err == nil {
		t.Error("it classifies")
	}
}

func TestAContextThatEndsMeanwhileDenies(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	got := gateOf(t, map[string]string{"m": endless}).Evaluate(ctx, scaleInput())
	wantPolicyError(t, got, PolicyNone)
	if len(got.Rules) != 1 {
		t.Errorf("no policy is at fault: %v", got.Rules)
	}
}

func TestWaitingForATurnIsBounded(t *testing.T) {
	gate := gateOf(t, map[string]string{"a": `warn contains "fine"`}, func(options *Options) {
		options.TimeLimit, options.MaxConcurrent = 20*time.Millisecond, 1
	})
	gate.turns <- struct{}{}
	wantPolicyError(t, gate.Evaluate(t.Context(), scaleInput()), PolicyNone)
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	wantPolicyError(t, gate.Evaluate(ctx, scaleInput()), PolicyNone)
	<-gate.turns
	if got := gate.Evaluate(t.Context(), scaleInput()); got.Verdict != shared.VerdictAllow {
		t.Errorf("got %v", got.Rules)
	}
}

func TestTheShortFormIsBounded(t *testing.T) {
	body := `deny contains msg if {
	some i in [10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29]
	msg := sprintf("%d ` + strings.Repeat("é", 600) + `", [i])
}`
	got := gateOf(t, map[string]string{"a": body}).Evaluate(t.Context(), scaleInput())
	if len(got.Rules) != 16 || len(got.Results) != 20 {
		t.Errorf("got %d rules and %d results", len(got.Rules), len(got.Results))
	}
	if message := []rune(got.Rules[0].Message); len(message) != 512 || message[511] != '…' {
		t.Errorf("got %d runes", len(message))
	}
	if !strings.HasPrefix(got.Rules[15].Message, "25 ") {
		t.Errorf("not in order: %s", got.Rules[15].Message)
	}
}

func TestWhatADecisionSaysAboutItself(t *testing.T) {
	times := []time.Time{evaluationTime, evaluationTime.Add(time.Millisecond)}
	gate := gateOf(t, map[string]string{"a": `warn contains "fine"`}, func(options *Options) {
		options.Now = func() time.Time {
			now := times[0]
			times = append(times[1:], now.Add(time.Second))
			return now
		}
	})
	first, second := gate.Evaluate(t.Context(), scaleInput()), gate.Evaluate(t.Context(), scaleInput(later))
	if !first.Time.Equal(evaluationTime) || first.Duration != time.Millisecond || first.Stage != StagePlan {
		t.Errorf("got %v, %v, %s", first.Time, first.Duration, first.Stage)
	}
	if first.PolicySetRevision != gate.Revision() || len(first.InputDigest) != 64 {
		t.Errorf("got %q, %q", first.PolicySetRevision, first.InputDigest)
	}
	if first.InputDigest != second.InputDigest || first.ID == second.ID {
		t.Error("the digest must not depend on the time, and every evaluation has its own ID")
	}
	if other := gate.Evaluate(t.Context(), scaleInput(replicas(5))); other.InputDigest == first.InputDigest {
		t.Error("other facts have another digest")
	}
}

func later(in *Input) {
	moved := NewInput(StagePlan, evaluationTime.Add(time.Hour))
	in.Time, in.TimeNS = moved.Time, moved.TimeNS
}

func TestPoliciesSeeTheTimeOfTheInput(t *testing.T) {
	got := gateOf(t, map[string]string{
		"a": "warn contains input.time\n\nwarn contains sprintf(\"%v\", [time.clock(input.time_ns)])",
	}).Evaluate(t.Context(), scaleInput())
	want := []string{"2026-03-01T12:00:00.000000005Z", "[12, 0, 0]"}
	if diff := cmp.Diff(want, []string{got.Rules[0].Message, got.Rules[1].Message}); diff != "" {
		t.Error(diff)
	}
}

func TestManyDecisionsAtOnce(t *testing.T) {
	gate := baseline(t)
	var group sync.WaitGroup
	for i := range 64 {
		group.Go(func() {
			want := shared.VerdictAllow
			in := scaleInput(replicas(int32(i)))
			if i == 0 || i > 6 {
				want = shared.VerdictDeny
			}
			if got := gate.Evaluate(t.Context(), in); got.Verdict != want {
				t.Errorf("%d replicas: got %s", i, got.Verdict)
			}
			if _, err := gate.Classify(t.Context(), NewClassificationInput()); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
}

func TestClassificationThatGoesWrongIsAnError(t *testing.T) {
	const fine = "business_unit := \"b\"\n\n"
	for sentence, body := range map[string]string{
		"a priority that is none":          fine + "environment := \"e\"\n\npriority := \"P4\"",
		"an environment that is no text":   fine + "environment := 1\n\npriority := \"P1\"",
		"an environment that is empty":     fine + "environment := \"\"\n\npriority := \"P1\"",
		"a priority that is undefined":     fine + "environment := \"e\"\n\npriority := \"P1\" if input.target.name == \"x\"",
		"an error of a function":           fine + "environment := \"e\"\n\npriority := to_number(input.target.name)",
		"results that contradict":          fine + "environment := \"e\"\n\npriority := \"P1\" if input.health\n\npriority := \"P2\" if input.signal",
		"a document that is not an object": fine + "environment := {\"e\"}\n\npriority := \"P1\"",
	} {
		gate := gateOf(t, map[string]string{"classification/c.rego": "package kubernaut.classification\n\n" + body + "\n"})
		if got, err := gate.Classify(t.Context(), NewClassificationInput()); err == nil {
			t.Errorf("%s: got %v", sentence, got)
		}
	}
}

func TestClassifyRefusesAnotherVersion(t *testing.T) {
	for _, in := range []*ClassificationInput{nil, {}} {
		if _, err := baseline(t).Classify(t.Context(), in); err == nil {
			t.Error("want an error")
		}
	}
}

func TestMetricsCountDecisions(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(Collectors()...)
	counter := func(verdict shared.Verdict, policy string) float64 {
		return testutil.ToFloat64(decisionsTotal.WithLabelValues(string(verdict), string(StagePlan), policy))
	}
	allowed, denied := counter(shared.VerdictAllow, PolicyNone), counter(shared.VerdictDeny, "replica_bounds")
	gate := baseline(t)
	gate.Evaluate(t.Context(), scaleInput())
	gate.Evaluate(t.Context(), scaleInput(replicas(0)))
	if counter(shared.VerdictAllow, PolicyNone) != allowed+1 || counter(shared.VerdictDeny, "replica_bounds") != denied+1 {
		t.Error("the decisions are not counted")
	}
	if _, err := registry.Gather(); err != nil {
		t.Error(err)
	}
}

func BenchmarkEvaluate(b *testing.B) {
	gate, in := baseline(b), scaleInput()
	b.ReportAllocs()
	for b.Loop() {
		if got := gate.Evaluate(b.Context(), in); got.Verdict != shared.VerdictAllow {
			b.Fatal(got.Rules)
		}
	}
}

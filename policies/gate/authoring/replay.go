package authoring

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"kubernaut.io/kubernaut/api/shared"
	"kubernaut.io/kubernaut/policies/gate"
)

// RecordedDecision is what counts of a gate.Record, which is one line of a decision log. Other members are ignored.
type RecordedDecision struct {
	gate.Decision

	// Input is the complete input document.
	Input json.RawMessage `json:"input"`
}

// ReplayOptions say how a log is replayed.
type ReplayOptions struct {
	// Expected are the rules, policy or policy/code, that may let through what they once kept from running.
	Expected []string
	// Progress is called with the number of lines that were gone through, after each of them; nil for nobody.
	Progress func(done int)
}

// Flip is a group of decisions that the candidates judge otherwise, for the same reason.
type Flip struct {
	From shared.Verdict `json:"from"`
	To   shared.Verdict `json:"to"`
	// Rule is responsible, as policy/code: the one that decides now, or, where the verdict became milder, the one that decided then.
	Rule string `json:"rule"`
	// Message is the message of the rule in the first of the decisions.
	Message string `json:"message,omitempty"`
	// Looser says that the verdict became milder, and Expected that it was to.
	Looser   bool `json:"looser"`
	Expected bool `json:"expected,omitempty"`
	// Count is the number of decisions, and IDs are the first of them, at most five.
	Count int      `json:"count"`
	IDs   []string `json:"ids"`
}

// InvalidLine is a line that could not be judged.
type InvalidLine struct {
	Line   int    `json:"line"`
	Reason string `json:"reason"`
}

// ReplayReport is what came out of a replay.
type ReplayReport struct {
	// PolicySetRevision identifies the candidates.
	PolicySetRevision string `json:"policySetRevision"`
	// Decisions is how many were judged again, and Same how many of them have the same verdict.
	Decisions int    `json:"decisions"`
	Same      int    `json:"same"`
	Flips     []Flip `json:"flips"`
	// Invalid is how many lines could not be judged, and InvalidLines are the first of them, at most twenty.
	Invalid      int           `json:"invalid"`
	InvalidLines []InvalidLine `json:"invalidLines,omitempty"`
}

// Unexpected is how many decisions became milder although they were not to.
func (r *ReplayReport) Unexpected() int {
	number := 0
	for _, flip := range r.Flips {
		if flip.Looser && !flip.Expected {
			number += flip.Count
		}
	}
	return number
}

// The bounds of a report.
const (
	maxInvalidLines = 20
	maxIDs          = 5
)

// replayLimit is generous: a machine that is busy with a replay is slower than a manager.
const replayLimit = 5 * time.Second

// logLine is one line of the log, and replayed what became of it.
type logLine struct {
	number int
	text   []byte
}

type replayed struct {
	line    int
	before  gate.Decision
	after   gate.Decision
	invalid string
}

// Replay judges every decision of a log again. Its error is a *CheckError when a policy does not compile.
func (s *Set) Replay(ctx context.Context, log io.Reader, options ReplayOptions) (*ReplayReport, error) {
	candidates, err := s.Gate(gate.Options{TimeLimit: replayLimit})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	lines, results := make(chan logLine), make(chan replayed)
	var reading error
	var workers sync.WaitGroup
	workers.Go(func() {
		defer close(lines)
		reading = readLines(ctx, log, lines)
	})
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for line := range lines {
				results <- judgeAgain(ctx, candidates, line)
			}
		})
	}
	go func() {
		workers.Wait()
		close(results)
	}()
	summary, done := newSummary(options), 0
	for result := range results {
		summary.add(result)
		if done++; options.Progress != nil {
			options.Progress(done)
		}
	}
	if err := errors.Join(reading, ctx.Err()); err != nil {
		return nil, err
	}
	return summary.report(candidates.Revision()), nil
}

// readLines hands out the lines of a log that are not empty. A line can be as long as it likes: an input holds a whole object.
func readLines(ctx context.Context, log io.Reader, lines chan<- logLine) error {
	reader := bufio.NewReaderSize(log, 1<<20)
	for number := 1; ; number++ {
		text, err := reader.ReadBytes('\n')
		if text = bytes.TrimSpace(text); len(text) > 0 {
			select {
			case lines <- logLine{number: number, text: text}:
			case <-ctx.Done():
				return nil
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read line %d of the decisions: %w", number, err)
		}
	}
}

func judgeAgain(ctx context.Context, candidates *gate.Gate, line logLine) replayed {
	result := replayed{line: line.number}
	var recorded RecordedDecision
	if err := json.Unmarshal(line.text, &recorded); err != nil {
		result.invalid = "it is no decision: " + err.Error()
		return result
	}
	result.before = recorded.Decision
	switch {
	case len(recorded.Input) == 0 || string(recorded.Input) == "null":
		result.invalid = "it has no input: the manager writes it with --decision-log-inputs"
		return result
	case verdictRank(recorded.Verdict) < 0:
		result.invalid = fmt.Sprintf("its verdict is %q", recorded.Verdict)
		return result
	}
	var input gate.Input
	decoder := json.NewDecoder(bytes.NewReader(recorded.Input))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&input); err != nil {
		result.invalid = "its input is not of this version: " + strings.TrimPrefix(err.Error(), "json: ")
		return result
	}
	result.after = candidates.Evaluate(ctx, &input)
	return result
}

// verdictRank orders the verdicts from the mildest to the hardest; -1 for what is none.
func verdictRank(verdict shared.Verdict) int {
	return slices.Index([]shared.Verdict{
		shared.VerdictAllow, shared.VerdictRequireApproval, shared.VerdictHold, shared.VerdictDeny,
	}, verdict)
}

// summary gathers what was replayed, in whatever order it comes.
type summary struct {
	options ReplayOptions
	result  ReplayReport
	invalid []InvalidLine
	flips   map[flipKey][]replayed
}

type flipKey struct {
	from, to shared.Verdict
	rule     string
}

func newSummary(options ReplayOptions) *summary {
	return &summary{options: options, flips: map[flipKey][]replayed{}}
}

func (s *summary) add(result replayed) {
	if result.invalid != "" {
		s.result.Invalid++
		s.invalid = append(s.invalid, InvalidLine{Line: result.line, Reason: result.invalid})
		return
	}
	s.result.Decisions++
	if result.before.Verdict == result.after.Verdict {
		s.result.Same++
		return
	}
	key := flipKey{from: result.before.Verdict, to: result.after.Verdict, rule: ruleText(result.responsible())}
	for _, decision := range []*gate.Decision{&result.before, &result.after} {
		decision.Results, decision.Recorded = nil, nil // the short form is enough, and they are many
	}
	s.flips[key] = append(s.flips[key], result)
}

func (r *replayed) looser() bool { return verdictRank(r.after.Verdict) < verdictRank(r.before.Verdict) }

// responsible is the rule that makes the difference: the first of those that decided, of the harder verdict.
func (r *replayed) responsible() shared.FiredRule {
	decision := r.after
	if r.looser() {
		decision = r.before
	}
	if len(decision.Rules) == 0 {
		return shared.FiredRule{Policy: gate.PolicyNone}
	}
	return decision.Rules[0]
}

func ruleText(rule shared.FiredRule) string {
	if rule.Code == "" {
		return rule.Policy
	}
	return rule.Policy + "/" + rule.Code
}

func (s *summary) report(revision string) *ReplayReport {
	report := s.result
	report.PolicySetRevision = revision
	slices.SortFunc(s.invalid, func(a, b InvalidLine) int { return cmp.Compare(a.Line, b.Line) })
	report.InvalidLines = s.invalid[:min(len(s.invalid), maxInvalidLines)]
	report.Flips = []Flip{}
	for key, flips := range s.flips {
		slices.SortFunc(flips, func(a, b replayed) int { return cmp.Compare(a.line, b.line) })
		first := flips[0]
		flip := Flip{
			From: key.from, To: key.to, Rule: key.rule, Message: first.responsible().Message, Looser: first.looser(), Count: len(flips),
		}
		flip.Expected = flip.Looser && s.expects(first.responsible())
		for _, one := range flips[:min(len(flips), maxIDs)] {
			flip.IDs = append(flip.IDs, one.before.ID)
		}
		report.Flips = append(report.Flips, flip)
	}
	slices.SortFunc(report.Flips, func(a, b Flip) int {
		return cmp.Or(
			cmp.Compare(b.alarm(), a.alarm()), cmp.Compare(b.Count, a.Count), cmp.Compare(a.Rule, b.Rule),
			cmp.Compare(verdictRank(b.From), verdictRank(a.From)), cmp.Compare(verdictRank(b.To), verdictRank(a.To)),
		)
	})
	return &report
}

// alarm orders flips: what became milder although it was not to comes first.
func (f Flip) alarm() int {
	switch {
	case f.Looser && !f.Expected:
		return 2
	case f.Looser:
		return 1
	default:
		return 0
	}
}

func (s *summary) expects(rule shared.FiredRule) bool {
	return slices.Contains(s.options.Expected, rule.Policy) || slices.Contains(s.options.Expected, ruleText(rule))
}

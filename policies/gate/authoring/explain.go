package authoring

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// The bounds of an explanation: who needs more reads the policy.
const (
	maxDepth   = 4
	maxClauses = 6
)

// explainer puts into words what a recorder has seen.
type explainer struct {
	recorder *recorder
	line     func(file string, row int) string
}

// Line is one line of an explanation; those that explain it further are indented below it.
type Line struct {
	// File and Row are the place that the line speaks of.
	File string `json:"file,omitempty"`
	Row  int    `json:"row,omitempty"`
	// Text is the line of the policy, or a sentence about it.
	Text string `json:"text"`
	// Facts are what the line read, and Values what its variables held.
	Facts  []Fact `json:"facts,omitempty"`
	Values []Fact `json:"values,omitempty"`
	// Because are the lines that explain this one.
	Because []Line `json:"because,omitempty"`
}

// whyNot says where a rule stopped.
func (e *explainer) whyNot(f *frame, depth int) []Line {
	failed := f.stop()
	if failed == nil {
		return nil
	}
	return []Line{e.stepLine(f.sameLine(failed), failed.expr.Negated, depth)}
}

// sameLine joins the expressions of one line of the source, which the compiler has taken apart.
func (f *frame) sameLine(s *step) *step {
	if s.expr.Location == nil {
		return s
	}
	joined := &step{expr: s.expr}
	for _, other := range f.steps {
		if other.expr.Location == nil || other.expr.Location.Row != s.expr.Location.Row {
			continue
		}
		for _, fact := range other.facts {
			joined.addFact(fact)
		}
		for _, value := range other.values {
			if !slices.Contains(joined.values, value) {
				joined.values = append(joined.values, value)
			}
		}
		joined.children = append(joined.children, other.children...)
		joined.helpers = append(joined.helpers, other.helpers...)
	}
	return joined
}

// stop is the expression at which a frame stopped: the one furthest down that failed.
func (f *frame) stop() *step {
	var found *step
	for _, step := range f.steps {
		if step.failed && (found == nil || step.expr.Index >= found.expr.Index) {
			found = step
		}
	}
	return found
}

// stepLine shows an expression. holds says that what it refers to held, so that the explanation is of that.
func (e *explainer) stepLine(s *step, holds bool, depth int) Line {
	location := s.expr.Location
	line := Line{Text: "an expression", Facts: s.facts, Values: s.shownValues()}
	if location != nil {
		line.File, line.Row = location.File, location.Row
		line.Text = strings.TrimSpace(e.line(location.File, location.Row))
	}
	if depth < maxDepth {
		line.Because = e.because(s, holds, depth)
	}
	return line
}

// shownValues leaves out variables whose value is a fact that is shown anyway.
func (s *step) shownValues() []Fact {
	return slices.DeleteFunc(slices.Clone(s.values), func(value Fact) bool {
		return slices.ContainsFunc(s.facts, func(fact Fact) bool { return fact.Path == value.Path })
	})
}

// because explains the rules that an expression refers to.
func (e *explainer) because(s *step, holds bool, depth int) []Line {
	var lines []Line
	for _, f := range e.framesOf(s) {
		if len(lines) == maxClauses {
			lines = append(lines, Line{Text: "…"})
			break
		}
		if f.rule.Default {
			continue
		}
		name := f.rule.Head.Ref().String()
		line := Line{File: f.rule.Location.File, Row: f.rule.Location.Row}
		switch {
		case f.fired > 0:
			line.Text = name + " holds"
			if len(f.values) > 0 {
				line.Text = fmt.Sprintf("%s has %s", name, short(valuesText(f.values)))
			}
			line.Facts = e.facts(f)
			if len(line.Facts) == 0 && !holds {
				continue // it explains nothing
			}
		case holds:
			continue // it is another clause that held
		default:
			line.Text = name + " does not hold"
			line.Because = e.whyNot(f, depth+1)
		}
		lines = append(lines, line)
	}
	return lines
}

func valuesText(values []ast.Value) string {
	texts := make([]string, len(values))
	for i, value := range values {
		texts[i] = value.String()
	}
	return strings.Join(texts, ", ")
}

// framesOf are the evaluations of the rules that an expression refers to: its own, or, of a rule that was evaluated before, those.
func (e *explainer) framesOf(s *step) []*frame {
	var frames []*frame
	collect := func(children []*frame) {
		for _, child := range children {
			frames = append(frames, child.rules()...)
		}
	}
	collect(s.children)
	if len(frames) > 0 {
		return frames
	}
	for _, path := range s.helpers {
		frames = append(frames, e.recorder.helpers[path]...)
	}
	return frames
}

// rules are the frames of rules at the top of a frame: itself, or those right below a body.
func (f *frame) rules() []*frame {
	if f.rule != nil {
		return []*frame{f}
	}
	var frames []*frame
	for _, step := range f.steps {
		for _, child := range step.children {
			frames = append(frames, child.rules()...)
		}
	}
	return frames
}

// facts are all facts that a rule and the rules that it needed have read, by path.
func (e *explainer) facts(f *frame) []Fact {
	found := map[string]Fact{}
	e.collect(f, found, map[*frame]bool{})
	facts := make([]Fact, 0, len(found))
	for _, fact := range found {
		facts = append(facts, fact)
	}
	slices.SortFunc(facts, func(a, b Fact) int { return cmp.Compare(a.Path, b.Path) })
	return facts
}

func (e *explainer) collect(f *frame, into map[string]Fact, seen map[*frame]bool) {
	if seen[f] {
		return
	}
	seen[f] = true
	for _, step := range f.steps {
		for _, fact := range step.facts {
			into[fact.Path] = fact
		}
		for _, child := range step.children {
			e.collect(child, into, seen)
		}
		for _, path := range step.helpers {
			for _, helper := range e.recorder.helpers[path] {
				e.collect(helper, into, seen)
			}
		}
	}
}

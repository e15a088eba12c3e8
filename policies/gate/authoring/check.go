package authoring

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/format"

	"kubernaut.io/kubernaut/policies/gate"
)

// Kind says what found a problem.
type Kind string

// The kinds of problems.
const (
	// KindCompile is a problem with which the manager refuses the policy.
	KindCompile Kind = "compile"
	// KindSilent is a rule that does not fire when something that it reads is missing.
	KindSilent Kind = "silent"
	// KindFormat is a file that is not formatted as opa fmt does.
	KindFormat Kind = "format"
)

// Problem is one mistake in one file.
type Problem struct {
	Kind Kind `json:"kind"`
	// File is the file as the user names it.
	File string `json:"file"`
	// Row and Column are where the mistake is, from 1; 0 for a mistake of the whole file.
	Row    int `json:"row,omitempty"`
	Column int `json:"column,omitempty"`
	// Line is the offending line as it is in the file.
	Line string `json:"line,omitempty"`
	// Message says what is wrong.
	Message string `json:"message"`
	// Rule is the rule that is affected, for KindSilent.
	Rule string `json:"rule,omitempty"`
	// Hint is how to write it, in several lines.
	Hint string `json:"hint,omitempty"`
}

// Place is file:row:column, as editors jump to it.
func (p Problem) Place() string {
	if p.Row == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Row, p.Column)
}

// Caret is the line that points at the column of Line; empty when there is no place.
func (p Problem) Caret() string {
	if p.Line == "" || p.Column < 1 {
		return ""
	}
	// The column counts bytes. A tab stays one, so that the caret stands below its character however wide tabs are.
	before := p.Line[:min(p.Column-1, len(p.Line))]
	return strings.Map(func(char rune) rune {
		if char == '\t' {
			return char
		}
		return ' '
	}, before) + "^"
}

// CheckError says that policies do not compile.
type CheckError struct {
	Problems []Problem
}

// Error lists the problems, a line each.
func (e *CheckError) Error() string {
	lines := make([]string, len(e.Problems))
	for i, problem := range e.Problems {
		lines[i] = problem.Place() + ": " + problem.Message
	}
	return strings.Join(lines, "\n")
}

// CheckOptions say what Check looks for besides what the manager refuses.
type CheckOptions struct {
	// Format reports files that opa fmt would change.
	Format bool
}

// Check compiles the policies as the manager does, their tests too, and looks for rules that would not fire in silence. The error
// is for what keeps it from looking.
func (s *Set) Check(options CheckOptions) ([]Problem, error) {
	problems, err := s.compileProblems()
	if err != nil || len(problems) > 0 {
		return sorted(problems), err
	}
	schema, err := readSchema()
	if err != nil {
		return nil, err
	}
	for _, source := range s.own() {
		if options.Format {
			problems = append(problems, formatProblems(source)...)
		}
		if source.folder() == safetyFolder && !source.isTest() {
			found, err := lint(source, schema)
			if err != nil {
				return nil, err
			}
			problems = append(problems, found...)
		}
	}
	return sorted(problems), nil
}

func (s *Set) compileProblems() ([]Problem, error) {
	_, err := s.Gate(gate.Options{})
	if wrong, is := errors.AsType[*CheckError](err); is {
		return wrong.Problems, nil
	}
	if err != nil {
		return nil, err
	}
	var problems []Problem
	for _, unit := range s.units() {
		if _, err := unit.compile(); err != nil {
			wrong, is := errors.AsType[*CheckError](err)
			if !is {
				return nil, err
			}
			problems = append(problems, wrong.Problems...)
		}
	}
	return problems, nil
}

func sorted(problems []Problem) []Problem {
	slices.SortStableFunc(problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Row, b.Row), cmp.Compare(a.Column, b.Column), cmp.Compare(a.Message, b.Message))
	})
	return slices.CompactFunc(problems, func(a, b Problem) bool { return a == b })
}

// Formatted is a Rego source as opa fmt writes it.
func Formatted(path, text string) (string, error) {
	formatted, err := format.SourceWithOpts(path, []byte(text), format.Opts{RegoVersion: ast.RegoV1})
	return string(formatted), err
}

func formatProblems(source *Source) []Problem {
	want, err := Formatted(source.Path, source.Text)
	if err != nil || want == source.Text {
		return nil // what cannot be parsed is a compile problem
	}
	problem := Problem{Kind: KindFormat, File: source.Path, Message: "is not formatted as opa fmt does: opa fmt --write " + source.Path}
	have, wanted := strings.Split(source.Text, "\n"), strings.Split(want, "\n")
	for i, line := range have {
		if i >= len(wanted) || wanted[i] != line {
			problem.Row, problem.Column, problem.Line = i+1, 1, line
			break
		}
	}
	return []Problem{problem}
}

package gate

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// CompileError says what is wrong with policies. Nothing of a set with such an error is used.
type CompileError struct {
	Problems []Problem
}

// Problem is one mistake in one file.
type Problem struct {
	// File is the path of the file in the folder of policies.
	File string
	// Row and Column are where the mistake is, from 1; 0 for a mistake of the whole file.
	Row, Column int
	// Line is the offending line, without the space around it.
	Line string
	// Message says what is wrong.
	Message string
}

// Error lists all problems, each with file, line, column and the offending line.
func (e *CompileError) Error() string {
	texts := make([]string, len(e.Problems))
	for i, problem := range e.Problems {
		texts[i] = problem.String()
	}
	return strings.Join(texts, "\n")
}

// String is the problem as compilers print it, with the offending line below.
func (p Problem) String() string {
	if p.Row == 0 {
		return fmt.Sprintf("%s: %s", p.File, p.Message)
	}
	return fmt.Sprintf("%s:%d:%d: %s\n\t%s", p.File, p.Row, p.Column, p.Message, p.Line)
}

func problemAt(source module, location *ast.Location, format string, args ...any) Problem {
	problem := Problem{File: source.file, Message: fmt.Sprintf(format, args...)}
	if location == nil {
		return problem
	}
	problem.Row, problem.Column = location.Row, max(location.Col, 1) // the parser gives 0 at the end of a file
	lines := strings.Split(source.text, "\n")
	if location.Row > 0 && location.Row <= len(lines) {
		problem.Line = strings.TrimSpace(lines[location.Row-1])
	}
	return problem
}

// problemsOf translates the errors of OPA's parser and compiler.
func problemsOf(err error, sources []module) []Problem {
	var several ast.Errors
	if !errors.As(err, &several) {
		return []Problem{{Message: err.Error()}}
	}
	problems := make([]Problem, 0, len(several))
	for _, single := range several {
		problems = append(problems, problemOf(single, sources))
	}
	return problems
}

func problemOf(err *ast.Error, sources []module) Problem {
	message := err.Code + ": " + err.Message
	if err.Details != nil {
		message += " (" + strings.Join(detailLines(err.Details), "; ") + ")"
	}
	if err.Location == nil {
		return Problem{Message: message}
	}
	for _, source := range sources {
		if source.file == err.Location.File {
			return problemAt(source, err.Location, "%s", message)
		}
	}
	return Problem{File: err.Location.File, Row: err.Location.Row, Column: err.Location.Col, Message: message}
}

// detailLines leaves out the source lines that OPA quotes below a parse error, which are quoted here for every error.
func detailLines(details ast.ErrorDetails) []string {
	if _, isParser := details.(*ast.ParserErrorDetail); isParser {
		return []string{"as Rego v1"}
	}
	var lines []string
	for _, line := range details.Lines() {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}

func compileError(problems []Problem) error {
	if len(problems) == 0 {
		return nil
	}
	slices.SortStableFunc(problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Row, b.Row), cmp.Compare(a.Column, b.Column))
	})
	return &CompileError{Problems: problems}
}

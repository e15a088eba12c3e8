package mutants

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"slices"
	"strings"
)

// point is a place where a rule can be taken out.
type point struct {
	pkg, file string
	line      int
	// rule is the source of the rule.
	rule string
}

func (p point) at() string { return fmt.Sprintf("%s/%s:%d", p.pkg, p.file, p.line) }

// text is the rule on one line, cut where it is long.
func (p point) text() string {
	text := []rune(strings.Join(strings.Fields(p.rule), " "))
	if len(text) > longest {
		text = append(text[:longest-1], '…')
	}
	return string(text)
}

// mutated is the source of a file in which each rule can be switched off.
type mutated struct {
	name   string
	source []byte
	points []point
}

// switches is the file that each package gets beside its own.
func switches(name string) string {
	return fmt.Sprintf(`package %s

import (
	"os"
	"strconv"
)

// mutantNumber is the rule that is switched off, from 1; 0 for none.
var mutantNumber, _ = strconv.Atoi(os.Getenv(%q))

func mutantOff(number int) bool { return mutantNumber == number }

func mutantError(number int, err error) error {
	if mutantOff(number) {
		return nil
	}
	return err
}
`, name, variable)
}

// editor makes the edits of one file.
type editor struct {
	pkg, file string
	source    []byte
	set       *token.FileSet
	first     int
	points    []point
	edits     []edit
}

type edit struct {
	at   int
	text string
}

// mutate finds the rules of a file. Their numbers begin behind those that were found before.
func mutate(pkg, name string, source []byte, before int) (mutated, error) {
	e := &editor{pkg: pkg, file: name, source: source, set: token.NewFileSet(), first: before + 1}
	parsed, err := parser.ParseFile(e.set, name, source, parser.SkipObjectResolution)
	if err != nil {
		return mutated{}, err
	}
	for _, declaration := range parsed.Decls {
		function, is := declaration.(*ast.FuncDecl)
		if !is || function.Body == nil {
			continue
		}
		e.function(function)
	}
	return mutated{name: parsed.Name.Name, source: e.apply(), points: e.points}, nil
}

func (e *editor) offset(at token.Pos) int { return e.set.Position(at).Offset }

func (e *editor) text(node ast.Node) string {
	return string(e.source[e.offset(node.Pos()):e.offset(node.End())])
}

// rule notes a point, and gives its number.
func (e *editor) rule(node ast.Node) int {
	e.points = append(e.points, point{pkg: e.pkg, file: e.file, line: e.set.Position(node.Pos()).Line, rule: e.text(node)})
	return e.first + len(e.points) - 1
}

func (e *editor) insert(at token.Pos, format string, args ...any) {
	e.edits = append(e.edits, edit{e.offset(at), fmt.Sprintf(format, args...)})
}

// apply makes the edits; those at one place in the order in which they were asked for. No line moves.
func (e *editor) apply() []byte {
	slices.SortStableFunc(e.edits, func(a, b edit) int { return cmp.Compare(a.at, b.at) })
	var out []byte
	done := 0
	for _, edit := range e.edits {
		out = append(out, e.source[done:edit.at]...)
		out = append(out, edit.text...)
		done = edit.at
	}
	return append(out, e.source[done:]...)
}

// completes are the functions that fill something in, each assignment of which is a rule; in those of rights, each says what is asked.
var completes = regexp.MustCompile(`^(?i:default|keep|stamp|undone|requester)`)

// errorCalls are the calls whose error refuses a request.
var errorCalls = regexp.MustCompile(`(?:\.|^)(?:refuse|review|reviewUndo|reviewRights|NewInternalError)$`)

func (e *editor) function(function *ast.FuncDecl) {
	result := ""
	if list := function.Type.Results; list != nil && len(list.List) == 1 && len(list.List[0].Names) <= 1 {
		result = e.text(list.List[0].Type)
	}
	assigns := completes.MatchString(function.Name.Name) || e.pkg == "controllers/rights"
	warns := strings.HasSuffix(function.Name.Name, "Warnings")
	ast.Inspect(function.Body, func(node ast.Node) bool {
		switch node := node.(type) {
		case *ast.FuncLit: // has results of its own
			e.statements(node.Body, "", assigns)
			return false
		case *ast.BlockStmt:
			e.list(node.List, result, assigns, warns)
		case *ast.CaseClause:
			e.list(node.Body, result, assigns, warns)
		case *ast.CallExpr:
			if e.pkg == "webhooks" && errorCalls.MatchString(e.text(node.Fun)) {
				number := e.rule(node)
				e.insert(node.Pos(), "mutantError(%d, ", number)
				e.insert(node.End(), ")")
			}
		}
		return true
	})
}

// statements are those of a function within a function.
func (e *editor) statements(body *ast.BlockStmt, result string, assigns bool) {
	ast.Inspect(body, func(node ast.Node) bool {
		switch node := node.(type) {
		case *ast.BlockStmt:
			e.list(node.List, result, assigns, false)
		case *ast.CaseClause:
			e.list(node.Body, result, assigns, false)
		}
		return true
	})
}

func (e *editor) list(statements []ast.Stmt, result string, assigns, warns bool) {
	for _, statement := range statements {
		switch statement := statement.(type) {
		case *ast.AssignStmt:
			e.assignment(statement, result, assigns)
		case *ast.ReturnStmt:
			if len(statement.Results) == 1 {
				e.answer(statement, result, warns)
			}
		}
	}
}

// assignment finds errors that are added to a list, fields that are filled in, and permissions that are asked for.
func (e *editor) assignment(statement *ast.AssignStmt, result string, assigns bool) {
	left, right := statement.Lhs[0], statement.Rhs[0]
	_, isSelector := left.(*ast.SelectorExpr)
	_, isIndex := left.(*ast.IndexExpr)
	appends := strings.HasPrefix(e.text(right), "append(")
	switch {
	case statement.Tok == token.DEFINE && result == "field.ErrorList" && e.text(left) == "errs":
		e.insert(statement.End(), "; if mutantOff(%d) { errs = nil }", e.rule(statement))
	case statement.Tok != token.ASSIGN:
	case appends && e.text(left) == "errs", assigns && (isSelector || isIndex || appends):
		number := e.rule(statement)
		e.insert(statement.Pos(), "if !mutantOff(%d) { ", number)
		e.insert(statement.End(), " }")
	}
}

// answer finds the places where a list of errors, a warning, or the answer to a request is given back.
func (e *editor) answer(statement *ast.ReturnStmt, result string, warns bool) {
	given := e.text(statement.Results[0])
	nothing := ""
	switch {
	case given == "nil":
	case result == "field.ErrorList" && strings.HasPrefix(given, "append(errs, "):
		nothing = "errs"
	case result == "field.ErrorList" && given != "errs", result == "[]string" && warns:
		nothing = "nil"
	case result == "admission.Response" && e.pkg == "webhooks" && given != `admission.Allowed("")`:
		nothing = `admission.Allowed("")`
	}
	if nothing != "" {
		e.insert(statement.Pos(), "if mutantOff(%d) { return %s }; ", e.rule(statement), nothing)
	}
}

package playbook

import (
	"context"
	"fmt"
	"strings"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
)

const (
	templateOpen  = "${{"
	templateClose = "}}"
)

// template is a text with expressions in it.
type template struct {
	parts []part
}

// part is a literal, or an expression.
type part struct {
	literal string
	program cel.Program
}

// literal says whether the template is always the same text, and which.
func (t template) literal() (string, bool) {
	switch {
	case len(t.parts) == 0:
		return "", true
	case len(t.parts) == 1 && t.parts[0].program == nil:
		return t.parts[0].literal, true
	default:
		return "", false
	}
}

// compileTemplate compiles the expressions of a text.
func compileTemplate(env *cel.Env, text string) (template, error) {
	var result template
	rest := text
	for {
		before, after, found := strings.Cut(rest, templateOpen)
		if before != "" {
			result.parts = append(result.parts, part{literal: before})
		}
		if !found {
			return result, nil
		}
		position := len(text) - len(after)
		end := expressionEnd(after)
		if end < 0 {
			return template{}, fmt.Errorf("the %s at character %d has no %s", templateOpen, position-len(templateOpen)+1, templateClose)
		}
		program, err := compileExpression(env, after[:end], "a text, a number, a truth value or a time",
			types.StringKind, types.IntKind, types.UintKind, types.DoubleKind, types.BoolKind, types.TimestampKind, types.DurationKind)
		if err != nil {
			return template{}, fmt.Errorf("the expression at character %d: %w", position+1, err)
		}
		result.parts = append(result.parts, part{program: program})
		rest = after[end+len(templateClose):]
	}
}

// expressionEnd is where the expression at the beginning of text ends: at the first closing braces that belong neither to a
// text nor to a map of the expression; -1 when there are none.
func expressionEnd(text string) int {
	depth := 0
	var quote byte
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quote != 0 && c == '\\':
			i++
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '\'' || c == '"':
			quote = c
		case c == '{':
			depth++
		case c == '}' && depth > 0:
			depth--
		case c == '}' && strings.HasPrefix(text[i:], templateClose):
			return i
		}
	}
	return -1
}

// render is the text with the expressions replaced by what they give.
func (t template) render(ctx context.Context, variables map[string]any) (string, error) {
	var text strings.Builder
	for _, p := range t.parts {
		if p.program == nil {
			text.WriteString(p.literal)
			continue
		}
		value, err := evaluate(ctx, p.program, variables)
		if err != nil {
			return "", err
		}
		converted, ok := value.ConvertToType(types.StringType).(types.String)
		if !ok {
			return "", fmt.Errorf("%s cannot be written as text", value.Type().TypeName())
		}
		text.WriteString(string(converted))
	}
	return text.String(), nil
}

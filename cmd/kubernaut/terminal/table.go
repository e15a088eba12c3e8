package terminal

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Cell is one field of a table.
type Cell struct {
	Text string
	Tone Tone
}

// Text is a cell without a colour.
func Text(text string) Cell { return Cell{Text: text} }

// Table is a table as kubectl prints it: columns as wide as their widest field, three spaces between them.
type Table struct {
	Header []string
	Rows   [][]Cell
}

// gap is what kubectl puts between two columns.
const gap = "   "

// Write writes the table. An empty field shows nothing, and the last field of a line is not filled up.
func (t Table) Write(out io.Writer, paint Paint) {
	widths := make([]int, len(t.Header))
	for i, title := range t.Header {
		widths[i] = utf8.RuneCountInString(title)
	}
	for _, row := range t.Rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell.Text))
		}
	}
	header := make([]Cell, len(t.Header))
	for i, title := range t.Header {
		header[i] = Text(title)
	}
	for _, row := range append([][]Cell{header}, t.Rows...) {
		var line strings.Builder
		for i, cell := range row {
			if i > 0 {
				line.WriteString(gap)
			}
			line.WriteString(paint.Tone(cell.Tone, cell.Text))
			line.WriteString(strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell.Text)))
		}
		fmt.Fprintln(out, strings.TrimRight(line.String(), " "))
	}
}

// Fit cuts a line to the columns of a terminal. Colours take no place, and are ended.
func Fit(line string, columns int) string {
	if columns <= 0 || width(line) <= columns {
		return line
	}
	var fitted strings.Builder
	taken, escape, coloured := 0, false, false
	for _, r := range line {
		switch {
		case r == '\x1b':
			escape, coloured = true, true
		case escape:
			escape = r != 'm'
		case taken == columns-1:
			fitted.WriteRune('…')
			if coloured {
				fitted.WriteString("\x1b[0m")
			}
			return fitted.String()
		default:
			taken++
		}
		fitted.WriteRune(r)
	}
	return fitted.String()
}

// width is how many columns a line takes.
func width(line string) int {
	columns, escape := 0, false
	for _, r := range line {
		switch {
		case r == '\x1b':
			escape = true
		case escape:
			escape = r != 'm'
		default:
			columns++
		}
	}
	return columns
}

// Count is a number with its noun, in the plural when it must be.
func Count(number int, noun string) string {
	switch {
	case number == 1:
		return "1 " + noun
	case strings.HasSuffix(noun, "cy"):
		return fmt.Sprintf("%d %sies", number, strings.TrimSuffix(noun, "y"))
	default:
		return fmt.Sprintf("%d %ss", number, noun)
	}
}

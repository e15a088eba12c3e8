package main

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// Layout of a line: two spaces, the time, who it is about, what happened.
const (
	pageWidth   = 100
	timeWidth   = 7
	actorWidth  = 10
	textColumn  = 2 + timeWidth + 2 + actorWidth + 2
	textWidth   = pageWidth - textColumn
	detailInset = 2
)

// tone is how a line is meant.
type tone int

const (
	plain tone = iota
	good
	bad
	strong
	faint
)

// note is one thing that happened, with what there is to know about it below.
type note struct {
	actor  string
	tone   tone
	text   string
	detail []string
}

// palette turns tones into text; without colours they all look the same.
type palette struct{ colour bool }

func (p palette) paint(t tone, text string) string {
	if !p.colour || text == "" {
		return text
	}
	codes := map[tone]string{good: "32", bad: "31", strong: "1", faint: "2"}
	code, ok := codes[t]
	if !ok {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// render lays a note out, at most pageWidth columns wide.
func render(p palette, at time.Duration, n note) []string {
	stamp := fmt.Sprintf("%*s", timeWidth, fmt.Sprintf("+%.1fs", at.Seconds()))
	indent := strings.Repeat(" ", textColumn)
	var lines []string
	for i, text := range wrap(n.text, textWidth, 0) {
		head := indent
		if i == 0 {
			head = "  " + p.paint(faint, stamp) + "  " + pad(n.actor, actorWidth) + "  "
		}
		lines = append(lines, head+p.paint(n.tone, text))
	}
	for _, detail := range n.detail {
		for _, text := range wrap(detail, textWidth-detailInset, detailInset) {
			lines = append(lines, indent+strings.Repeat(" ", detailInset)+text)
		}
	}
	return lines
}

// wrap breaks text into lines of at most width columns, at spaces where it can; a text that begins with spaces stays indented,
// and what follows the first line is indented by further columns.
func wrap(text string, width, further int) []string {
	inset := len(text) - len(strings.TrimLeft(text, " "))
	lines := []string{strings.Repeat(" ", inset)}
	for word := range strings.FieldsSeq(text) {
		for word != "" {
			line := lines[len(lines)-1]
			empty := strings.TrimSpace(line) == ""
			if !empty {
				line += " "
			}
			room := width - utf8.RuneCountInString(line)
			if utf8.RuneCountInString(word) <= room {
				lines[len(lines)-1] = line + word
				break
			}
			if empty {
				lines[len(lines)-1] = line + string([]rune(word)[:room])
				word = string([]rune(word)[room:])
			}
			lines = append(lines, strings.Repeat(" ", inset+further))
		}
	}
	return lines
}

func pad(text string, width int) string {
	return text + strings.Repeat(" ", max(0, width-utf8.RuneCountInString(text)))
}

// tail is text, or its end behind an ellipsis if it has more than width columns.
func tail(text string, width int) string {
	runes := []rune(text)
	if len(runes) <= width {
		return text
	}
	return "…" + string(runes[len(runes)-max(0, width-1):])
}

// short is the beginning of a digest, enough to tell two apart.
func short(digest string) string {
	const enough = 8
	return digest[:min(enough, len(digest))]
}

// count is a number with its noun.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

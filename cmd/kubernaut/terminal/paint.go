package terminal

import (
	"io"
	"os"

	"golang.org/x/term"

	"kubernaut.io/kubernaut/api/shared"
)

// Paint colours text for people.
type Paint bool

// Painter colours what is written to a terminal, and nothing where NO_COLOR is set or the terminal knows no colours.
func Painter(out io.Writer) Paint {
	return Paint(IsTerminal(out) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb")
}

// IsTerminal says whether somebody looks at what is written.
func IsTerminal(out io.Writer) bool {
	file, is := out.(*os.File)
	return is && term.IsTerminal(int(file.Fd()))
}

// Size is how many columns and rows a terminal shows; ok is false if out is none.
func Size(out io.Writer) (columns, rows int, ok bool) {
	file, is := out.(*os.File)
	if !is {
		return 0, 0, false
	}
	columns, rows, err := term.GetSize(int(file.Fd()))
	return columns, rows, err == nil
}

// Tone is how text is meant.
type Tone int

// The tones of text.
const (
	Plain Tone = iota
	Good
	Bad
	Waiting
	Strong
	Faint
)

// VerdictTone is how a verdict of the safety gate is meant.
func VerdictTone(verdict shared.Verdict) Tone {
	switch verdict {
	case shared.VerdictAllow:
		return Good
	case shared.VerdictDeny:
		return Bad
	default:
		return Waiting
	}
}

// Tone colours text as it is meant.
func (p Paint) Tone(tone Tone, text string) string {
	switch tone {
	case Good:
		return p.Green(text)
	case Bad:
		return p.Red(text)
	case Waiting:
		return p.Yellow(text)
	case Strong:
		return p.Bold(text)
	case Faint:
		return p.Faint(text)
	default:
		return text
	}
}

func (p Paint) with(code, text string) string {
	if !p || text == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// Red is for what went wrong.
func (p Paint) Red(text string) string { return p.with("31", text) }

// Green is for what is well.
func (p Paint) Green(text string) string { return p.with("32", text) }

// Yellow is for what waits for someone.
func (p Paint) Yellow(text string) string { return p.with("33", text) }

// Bold is for what is looked for first.
func (p Paint) Bold(text string) string { return p.with("1", text) }

// Faint is for what is looked for last.
func (p Paint) Faint(text string) string { return p.with("2", text) }

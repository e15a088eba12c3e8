package remediation

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"kubernaut.io/kubernaut/cmd/kubernaut/terminal"
)

// The control sequences of a terminal: another screen without a cursor, which is left again; the first place of it, the rest of a line
// and the rest of the screen without what was there. What is drawn over instead of wiped does not flicker.
const (
	enterScreen = "\x1b[?1049h\x1b[?25l"
	leaveScreen = "\x1b[?25h\x1b[?1049l"
	firstPlace  = "\x1b[H"
	wipeLine    = "\x1b[K"
	wipeRest    = "\x1b[J"
)

// screen is a screen of its own on a terminal. Who enters it leaves it, whatever happens in between.
type screen struct{ out io.Writer }

// onScreen says whether out can be drawn on: a terminal that knows control sequences.
func onScreen(out io.Writer) bool {
	return terminal.IsTerminal(out) && os.Getenv("TERM") != "dumb"
}

func (s screen) enter() { fmt.Fprint(s.out, enterScreen) }
func (s screen) leave() { fmt.Fprint(s.out, leaveScreen) }

// draw shows lines in the place of what was there, as far as the terminal is large now. A line is wiped before it is written: after the
// last column of a line, wiping takes that one too.
func (s screen) draw(lines []string) {
	columns, rows, _ := terminal.Size(s.out)
	drawn := picture(lines, columns, rows)
	var text strings.Builder
	text.WriteString(firstPlace)
	for i, line := range drawn {
		if i == len(drawn)-1 {
			text.WriteString(wipeRest + line)
			break
		}
		text.WriteString(wipeLine + line + "\n")
	}
	fmt.Fprint(s.out, text.String())
}

// picture cuts lines to a screen. What is above is where people look: the end is left out, and said.
func picture(lines []string, columns, rows int) []string {
	shown := lines
	if rows > 0 && len(lines) > rows {
		shown = append(slices.Clone(lines[:rows-1]), fmt.Sprintf("… %d more lines", len(lines)-rows+1))
	}
	fitted := make([]string, len(shown))
	for i, line := range shown {
		fitted[i] = terminal.Fit(line, columns)
	}
	return fitted
}

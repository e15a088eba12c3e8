package remediation

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"kubernaut.io/kubernaut/cmd/kubernaut/terminal"
)

// pty is a terminal of the kernel: what is written to its end is what the terminal itself would get.
func pty(t *testing.T) (master, end *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip("this machine has no terminals: ", err)
	}
	t.Cleanup(func() { _ = master.Close() })
	number, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	end, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = end.Close() })
	return master, end
}

func resize(t *testing.T, end *os.File, columns, rows uint16) {
	t.Helper()
	if err := unix.IoctlSetWinsize(int(end.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Col: columns, Row: rows}); err != nil {
		t.Fatal(err)
	}
}

// got is what a terminal gets until a mark.
func got(t *testing.T, master io.Reader, mark string) string {
	t.Helper()
	var all bytes.Buffer
	for one := make([]byte, 1); !strings.HasSuffix(all.String(), mark); {
		if _, err := master.Read(one); err != nil {
			t.Fatal(err)
		}
		all.Write(one)
	}
	return all.String()
}

// seen are the lines of a picture without what only a terminal reads.
func seen(text string) []string {
	for _, sequence := range []string{enterScreen, leaveScreen, firstPlace, wipeLine, wipeRest} {
		text = strings.ReplaceAll(text, sequence, "")
	}
	return strings.Split(text, "\r\n")
}

func TestAScreenIsDrawnAsLargeAsItsTerminalIs(t *testing.T) {
	t.Setenv("TERM", "xterm")
	master, end := pty(t)
	if !onScreen(end) {
		t.Fatal("a terminal is not drawn on")
	}
	lines := []string{"one", "two is longer than the terminal", "three", "four"}
	s := screen{end}
	resize(t, end, 12, 3)
	s.enter()
	s.draw(lines)
	first := got(t, master, "… 2 more li…")
	if !strings.HasPrefix(first, enterScreen+firstPlace) {
		t.Errorf("the screen is not entered first: %q", first)
	}
	if diff := cmp.Diff([]string{"one", "two is long…", "… 2 more li…"}, seen(first)); diff != "" {
		t.Errorf("small (-want +got):\n%s", diff)
	}
	resize(t, end, 80, 24)
	s.draw(lines)
	if diff := cmp.Diff(lines, seen(got(t, master, "four"))); diff != "" {
		t.Errorf("after it was made larger (-want +got):\n%s", diff)
	}
	resize(t, end, 80, 1)
	s.draw(lines)
	if diff := cmp.Diff([]string{"… 4 more lines"}, seen(got(t, master, "lines"))); diff != "" {
		t.Errorf("one row (-want +got):\n%s", diff)
	}
	s.leave()
	if last := got(t, master, "\x1b[?1049l"); last != leaveScreen {
		t.Errorf("left by %q", last)
	}
}

// A shorter picture must leave nothing of the one before.
func TestEveryLineOfAScreenIsWiped(t *testing.T) {
	master, end := pty(t)
	resize(t, end, 40, 10)
	screen{end}.draw([]string{"a", "b"})
	picture := got(t, master, "b")
	if !slices.Equal(strings.Split(picture, "\r\n"), []string{firstPlace + wipeLine + "a", wipeRest + "b"}) {
		t.Errorf("%q", picture)
	}
}

func TestOnlyATerminalIsDrawnOn(t *testing.T) {
	_, end := pty(t)
	t.Setenv("TERM", "dumb")
	if onScreen(end) {
		t.Error("a terminal without control sequences is drawn on")
	}
	t.Setenv("TERM", "xterm")
	if onScreen(&bytes.Buffer{}) {
		t.Error("what is no terminal is drawn on")
	}
	if _, _, ok := terminal.Size(&bytes.Buffer{}); ok {
		t.Error("what is no terminal has a size")
	}
}

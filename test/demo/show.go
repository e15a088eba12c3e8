package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"
)

// show writes what happens, with the time since it began. It belongs to one goroutine.
type show struct {
	out      io.Writer
	palette  palette
	began    time.Time
	narrator narrator
}

func newShow(out io.Writer, colour bool) *show {
	return &show{out: out, palette: palette{colour: colour}, began: time.Now(), narrator: narrator{told: map[string]bool{}}}
}

func (s *show) title(number int, text string) {
	s.line("")
	s.line(s.palette.paint(strong, fmt.Sprintf("Scene %d: %s", number, text)))
}

func (s *show) heading(text string) {
	s.line("")
	s.line(s.palette.paint(strong, text))
}

func (s *show) say(n note) {
	for _, line := range render(s.palette, time.Since(s.began), n) {
		s.line(line)
	}
}

// observe tells what is new in an object.
func (s *show) observe(object client.Object) {
	for _, n := range s.narrator.observe(object) {
		s.say(n)
	}
}

// table writes lines as they are.
func (s *show) table(lines []string) {
	for _, line := range lines {
		s.line(line)
	}
}

// verdict writes the claims of a scene: what is true, what is not, and where to look.
func (s *show) verdict(claims []claim) {
	s.heading("Summary")
	for _, c := range claims {
		s.table(c.render(s.palette))
	}
	s.line("")
}

func (s *show) line(text string) {
	fmt.Fprintln(s.out, strings.TrimRight(text, " "))
}

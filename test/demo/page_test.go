package main

import (
	"bytes"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestRender(t *testing.T) {
	tests := map[string]struct {
		palette palette
		note    note
		want    []string
	}{
		"a short note is one line": {
			note: note{actor: actorGate, tone: good, text: "step roll-back: Allow"},
			want: []string{"    +3.2s  gate        step roll-back: Allow"},
		},
		"colours do not move columns": {
			palette: palette{colour: true},
			note:    note{actor: actorGate, tone: good, text: "step roll-back: Allow"},
			want:    []string{"  \x1b[2m  +3.2s\x1b[0m  gate        \x1b[32mstep roll-back: Allow\x1b[0m"},
		},
		"a long text goes on in the same column, details below it, what follows a detail's first line further in": {
			note: note{
				actor: actorDemo, text: strings.TrimSpace(strings.Repeat("word ", 20)),
				detail: []string{strings.TrimSpace(strings.Repeat("fact ", 16)), "  inset"},
			},
			want: []string{
				"    +3.2s  demo        word word word word word word word word word word word word word word word",
				"                       word word word word word",
				"                         fact fact fact fact fact fact fact fact fact fact fact fact fact fact fact",
				"                           fact",
				"                           inset",
			},
		},
		"a word that is too long is cut": {
			note: note{actor: actorDemo, text: strings.Repeat("x", 80)},
			want: []string{"    +3.2s  demo        " + strings.Repeat("x", 77), "                       xxx"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := render(test.palette, 3200*time.Millisecond, test.note)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
			for _, line := range got {
				if !test.palette.colour && utf8.RuneCountInString(line) > pageWidth {
					t.Errorf("line of %d columns: %s", utf8.RuneCountInString(line), line)
				}
			}
		})
	}
}

func TestTail(t *testing.T) {
	for text, want := range map[string]string{"cart": "cart", "cart-rollout": "…-rollout"} {
		if got := tail(text, 9); got != want {
			t.Errorf("tail(%q) = %q, want %q", text, got, want)
		}
	}
}

func TestVerdictShowsWhatIsWrongAndWhereToLook(t *testing.T) {
	var out bytes.Buffer
	newShow(&out, false).verdict([]claim{
		{holds: true, text: "it is so"},
		{text: "it is not so", hints: []string{"look there"}},
	})
	want := "\nSummary\n  ✓ it is so\n  ✗ it is not so\n      look there\n\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
}

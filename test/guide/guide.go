// Package guide reads the pages for users, so that tests can do what they say.
package guide

import (
	"regexp"
	"strconv"
	"strings"
)

// Block is one fenced block of a page, with the comments before it.
type Block struct {
	// Line is where it begins.
	Line int
	// Language is that of the fence: sh for what is run, text for what it printed.
	Language string
	Text     string
	// File is the name under which the text is kept: <!-- file: … -->.
	File string
	// Exit is the exit code that the commands have: <!-- exit: … -->.
	Exit int
	// Scene is what must be so before the commands are run: <!-- scene: … -->.
	Scene string
	// AnyOrder says that the lines may come in another order: <!-- order: any -->.
	AnyOrder bool
}

// Read takes the blocks out of a Markdown text. The margin of a block in a list is taken off.
func Read(text string) []Block {
	comment := regexp.MustCompile(`^\s*<!-- (file|exit|scene|order): (\S+) -->$`)
	var blocks []Block
	var next Block
	open, margin := false, ""
	for i, line := range strings.Split(text, "\n") {
		trimmed := strings.TrimSpace(line)
		switch {
		case open && trimmed == "```":
			blocks, next, open = append(blocks, next), Block{}, false
		case open:
			next.Text += strings.TrimPrefix(line, margin) + "\n"
		case strings.HasPrefix(trimmed, "```"):
			next.Line, next.Language, open = i+1, strings.TrimPrefix(trimmed, "```"), true
			margin, _, _ = strings.Cut(line, "`")
		default:
			if found := comment.FindStringSubmatch(line); len(found) == 3 {
				next.note(found[1], found[2])
			}
		}
	}
	return blocks
}

func (b *Block) note(name, value string) {
	switch name {
	case "file":
		b.File = value
	case "scene":
		b.Scene = value
	case "order":
		b.AnyOrder = value == "any"
	default:
		b.Exit, _ = strconv.Atoi(value)
	}
}

// Steady takes out of what a command printed what is another in every run: times of day, dates, durations, identities, and how wide
// the columns of a table are for them.
func Steady(text string) string {
	for _, row := range []struct{ pattern, with string }{
		{`\b\d\d:\d\d:\d\d\b`, "hh:mm:ss"},
		{`(?m)^(Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day, \d+ \w+ \d{4} \(\S+\)$`, "day"},
		{`it waited \S+`, "it waited for a while"},
		{`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`, "id"},
		// A duration stands alone: behind two spaces, or in a column. One in a sentence is a part of what is said.
		{`(?m)(  )\d+(ms|s|m|h|d)(\d+(s|m|h))?(  |$)`, "${1}duration${5}"},
		{` {2,}`, "  "},
	} {
		text = regexp.MustCompile(row.pattern).ReplaceAllString(text, row.with)
	}
	return text
}

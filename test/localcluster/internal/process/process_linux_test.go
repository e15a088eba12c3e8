package process

import (
	"strings"
	"testing"
)

func TestParseStat(t *testing.T) {
	stat := func(name, state string) string {
		return "7 (" + name + ") " + state + strings.Repeat(" 0", 18) + " 12345 0 0"
	}
	tests := map[string]struct {
		stat  string
		want  string
		alive bool
	}{
		"a running process":               {stat("sleep", "S"), "12345", true},
		"a name with blanks and brackets": {stat("a) Z (b", "R"), "12345", true},
		"a zombie is not alive":           {stat("sleep", "Z"), "12345", false},
		"half a line":                     {"7 (sleep) S 1 2", "", false},
		"nothing":                         {"", "", false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			have, alive := parseStat(test.stat)
			if have != test.want || alive != test.alive {
				t.Errorf("have %q %v", have, alive)
			}
		})
	}
}

package machinery

import (
	"fmt"
	"slices"
)

// Table lists, for each phase, the phases that may follow it. Staying in a phase is always legal; a phase that the table does
// not list is never reached. The empty phase is that of an object nobody has looked at yet.
type Table[P ~string] map[P][]P

// Check returns an error that names both phases when to may not follow from.
func (t Table[P]) Check(from, to P) error {
	followers, known := t[from]
	if !known {
		return fmt.Errorf("phase %q is not in the transition table", from)
	}
	if from == to || slices.Contains(followers, to) {
		return nil
	}
	return fmt.Errorf("phase %q may not follow %q", to, from)
}

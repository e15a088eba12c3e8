package machinery

import (
	"fmt"
	"strings"
)

// Diagram draws the table as a state diagram in Mermaid. Phases come in the order in which the table reaches them.
func (t Table[P]) Diagram() string {
	var text strings.Builder
	text.WriteString("stateDiagram-v2\n")
	var start P
	reached := map[P]bool{start: true}
	for queue := []P{start}; len(queue) > 0; queue = queue[1:] {
		from := queue[0]
		if len(t[from]) == 0 {
			fmt.Fprintf(&text, "    %s --> [*]\n", from)
		}
		for _, to := range t[from] {
			fmt.Fprintf(&text, "    %s --> %s\n", nodeOf(from), to)
			if !reached[to] {
				reached[to] = true
				queue = append(queue, to)
			}
		}
	}
	return text.String()
}

// nodeOf is the phase, or, for an object that nobody has looked at yet, the start of the diagram.
func nodeOf[P ~string](phase P) string {
	if phase == "" {
		return "[*]"
	}
	return string(phase)
}

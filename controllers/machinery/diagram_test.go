package machinery

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDiagram(t *testing.T) {
	t.Parallel()
	table := Table[string]{"": {"running", "failed"}, "running": {"done", "failed"}, "done": {}, "failed": {}}
	const want = `stateDiagram-v2
    [*] --> running
    [*] --> failed
    running --> done
    running --> failed
    failed --> [*]
    done --> [*]
`
	if diff := cmp.Diff(want, table.Diagram()); diff != "" {
		t.Error(diff)
	}
}

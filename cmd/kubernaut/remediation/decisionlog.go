package remediation

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"kubernaut.io/kubernaut/policies/gate"
)

// maxLine bounds a line of a decision log: the input of a decision is at most some hundred KiB.
const maxLine = 16 << 20

// readDecisions reads the records of a decision log that are about workflows of a namespace; - is standard input. Lines of another
// kind are passed over: the log of a manager's Pod has both.
func readDecisions(in io.Reader, name, namespace string) ([]gate.Record, error) {
	source := in
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return nil, fmt.Errorf("--decision-log: %w", err)
		}
		defer file.Close()
		source = file
	}
	var records []gate.Record
	lines := bufio.NewScanner(source)
	lines.Buffer(make([]byte, 64<<10), maxLine)
	some := false
	for lines.Scan() {
		var record gate.Record
		if err := json.Unmarshal(lines.Bytes(), &record); err != nil || record.ID == "" || record.Verdict == "" {
			continue
		}
		some = true
		if record.Namespace == namespace {
			record.Input = nil
			records = append(records, record)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("--decision-log %s: %w", name, err)
	}
	if !some {
		return nil, fmt.Errorf("--decision-log %s: %w", name, errors.New("no line of it is a decision of the safety gate: give the file of kubernaut manager --decision-log"))
	}
	return records, nil
}

package shared

import (
	"strings"
	"testing"
)

func TestNamesOfChildren(t *testing.T) {
	for want, got := range map[string]string{
		"r-processing":  ProcessingName("r", 0),
		"r-analysis":    AnalysisName("r", 0),
		"r-workflow":    WorkflowName("r", 0),
		"r-recovery-2":  WorkflowName("r", 2),
		"r-recovery-10": AnalysisName("r", 10),
		"w-s0-a1":       ExecutionName("w", 0, 1),
		"w-s12-r3":      RollbackName("w", 12, 3),
		"w-approval-1":  ApprovalName("w", 1),
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestLongNamesAreCutAndStayUnique(t *testing.T) {
	parent := strings.Repeat("x", 70)
	first, second := ExecutionName(parent, 1, 1), ExecutionName(parent, 1, 2)
	for _, name := range []string{first, second} {
		if len(name) != 63 {
			t.Errorf("%s has %d characters, want 63", name, len(name))
		}
	}
	if first == second {
		t.Error("two attempts have one name")
	}
	if again := ExecutionName(parent, 1, 1); again != first {
		t.Errorf("the same child is named %s and %s", first, again)
	}
	if exact := strings.Repeat("y", 63); Bounded(exact) != exact {
		t.Error("a name of 63 characters is cut")
	}
}

func TestDeciderText(t *testing.T) {
	for want, decision := range map[string]Decision{
		"":                  {},
		"p":                 {Rules: []FiredRule{{Policy: "p"}}},
		"p/c: because":      {Rules: []FiredRule{{Policy: "p", Code: "c", Message: "because"}, {Policy: "q"}}},
		"p: without a code": {Rules: []FiredRule{{Policy: "p", Message: "without a code"}}},
	} {
		if got := decision.DeciderText(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

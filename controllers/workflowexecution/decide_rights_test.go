package workflowexecution

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"

	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/controllers/rights"
)

func TestRightsAreLookedAtAgainBeforeAnythingRuns(t *testing.T) {
	lacks := func(step int, who, verb, name string) rights.Denial {
		return rights.Denial{Who: who, Need: rights.Need{Step: step, Permission: rights.Permission{
			Verb: verb, Group: "apps", Resource: "deployments", Namespace: "shop", Name: name,
		}}}
	}
	for name, test := range map[string]struct {
		denials []rights.Denial
		want    []string
		step    int32
	}{
		"the author may no longer write": {
			denials: []rights.Denial{lacks(1, "alice", "patch", "y")}, step: 1,
			want: []string{`step "b"`, "alice may not patch deployments.apps y in namespace shop"},
		},
		"the account and the author": {
			denials: []rights.Denial{lacks(0, "alice", "get", "x"), lacks(1, "action-scale-deployment", "patch", "y")}, step: 0,
			want: []string{`step "a": alice may not get`, `step "b": action-scale-deployment may not patch`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := newScenario(t, scale("a", "x"), scale("b", "y"))
			c.decide()
			c.s.denials = test.denials
			status := c.decide()
			c.wantFailed(shared.ErrorPermissionDenied, &test.step)
			for _, want := range test.want {
				if !strings.Contains(status.FailureReason, want) {
					t.Errorf("failureReason is %q and lacks %q", status.FailureReason, want)
				}
			}
			condition := meta.FindStatusCondition(status.Conditions, workflowexecutionv1.ConditionValidated)
			if condition == nil || condition.Reason != ReasonPermissionDenied {
				t.Errorf("condition Validated is %v", condition)
			}
			if len(c.last.create) > 0 {
				t.Errorf("a step was started: %v", c.last.create)
			}
		})
	}
}

func TestManyDenialsStillSayWhatToDo(t *testing.T) {
	c := newScenario(t, scale("a", "x"))
	c.decide()
	for range 40 {
		c.s.denials = append(c.s.denials, rights.Denial{Who: strings.Repeat("x", 100), Need: rights.Need{Permission: rights.Permission{Verb: "patch", Resource: "pods"}}})
	}
	status := c.decide()
	if !strings.HasSuffix(status.FailureReason, "take the step out") || len(status.FailureReason) > maxReason {
		t.Errorf("failureReason is %q", status.FailureReason)
	}
}

package kubernetesexecution

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	kubernetesexecutionv1 "kubernaut.io/kubernaut/api/kubernetesexecution/v1"
	"kubernaut.io/kubernaut/api/shared"
)

// states are the phases, executing twice: before and after it is recorded that the effect is there.
func states() map[string]func() situation {
	return map[string]func() situation{
		"new":                func() situation { return in("") },
		"validating":         func() situation { return in(validating) },
		"held":               func() situation { return in(validating).held() },
		"executing":          func() situation { return in(executing) },
		"executing, written": func() situation { return in(executing).recorded() },
		"completed":          func() situation { return in(completed) },
		"failed":             func() situation { return in(failed) },
	}
}

// observations are all that a decision may come to know, and when.
func observations() map[string]func(situation) (situation, time.Time) {
	at := func(now time.Time, see func(situation) situation) func(situation) (situation, time.Time) {
		return func(s situation) (situation, time.Time) { return see(s), now }
	}
	same := func(s situation) situation { return s }
	return map[string]func(situation) (situation, time.Time){
		"nothing new":            at(soon, same),
		"the time is up":         at(late, same),
		"it is cancelled":        at(soon, situation.cancelled),
		"it is being deleted":    at(soon, situation.deleted),
		"allowed":                at(soon, func(s situation) situation { return s.validated(shared.VerdictAllow) }),
		"approval is required":   at(soon, func(s situation) situation { return s.validated(shared.VerdictRequireApproval) }),
		"held by a policy":       at(soon, func(s situation) situation { return s.validated(shared.VerdictHold) }),
		"denied":                 at(soon, func(s situation) situation { return s.validated(shared.VerdictDeny) }),
		"no verdict":             at(soon, func(s situation) situation { return s.validated("") }),
		"cannot be validated":    at(soon, func(s situation) situation { return s.invalid(errGone) }),
		"not to be told for now": at(soon, func(s situation) situation { return s.invalid(errBusy) }),
		"allowed too late":       at(late, func(s situation) situation { return s.validated(shared.VerdictAllow) }),
		"made":                   at(soon, func(s situation) situation { return s.made(nil, true, new(true)) }),
		"made and taken up":      at(soon, func(s situation) situation { return s.made(nil, true, new(true)).seen(true, nil) }),
		"as wanted already":      at(soon, func(s situation) situation { return s.made(nil, true, new(false)).seen(true, nil) }),
		"refused at first":       at(soon, func(s situation) situation { return s.made(errConflict, true, new(false)) }),
		"refused after a crash":  at(soon, func(s situation) situation { return s.made(errConflict, false, new(false)) }),
		"response lost":          at(soon, func(s situation) situation { return s.made(errLost, true, nil) }),
		"response lost for good": at(late, func(s situation) situation { return s.made(errLost, true, nil) }),
		"not there":              at(soon, func(s situation) situation { return s.cancelled().absent() }),
		"not there, too late":    at(late, situation.absent),
		"taken up":               at(soon, func(s situation) situation { return s.seen(true, nil) }),
		"not taken up yet":       at(soon, func(s situation) situation { return s.seen(false, nil) }),
		"never taken up":         at(late, func(s situation) situation { return s.seen(false, nil) }),
		"replaced since":         at(soon, func(s situation) situation { return s.seen(false, errConflict) }),
		"not to be seen for now": at(soon, func(s situation) situation { return s.seen(false, errBusy) }),
	}
}

// short says what a decision does: the phase, what is done next, and what it records.
func short(next Next) string {
	o := outcomeOf(next)
	parts := []string{cmp.Or(string(o.Phase), "new"), string(o.Then)}
	if o.Retry {
		parts = append(parts, "again")
	}
	if o.ErrorType != "" {
		parts = append(parts, string(o.ErrorType))
	}
	if o.Changed != "" {
		parts = append(parts, "changed "+o.Changed)
	}
	return strings.Join(parts, ", ")
}

// TestEveryObservationInEveryPhase: whatever comes to be known in whatever phase, what follows is written down once. A transition
// that the table does not have is an error of decide.
func TestEveryObservationInEveryPhase(t *testing.T) {
	rows := transitionRows()
	looked := map[kubernetesexecutionv1.ExecutionPhase]bool{}
	for state, reach := range states() {
		looked[reach().Execution.Status.Phase] = true
		for observation, apply := range observations() {
			t.Run(fmt.Sprintf("%s: %s", state, observation), func(t *testing.T) {
				s, now := apply(reach())
				next, err := decide(s.Snapshot, now)
				if err != nil {
					t.Fatal(err)
				}
				var want []string
				for then, observed := range rows[state] {
					if slices.Contains(observed, observation) {
						want = append(want, then)
					}
				}
				if got := short(next); len(want) != 1 || got != want[0] {
					t.Errorf("got %q, the rows want %q", got, want)
				}
			})
		}
	}
	known := slices.Collect(maps.Keys(observations()))
	for state, row := range rows {
		for then, observed := range row {
			for _, observation := range observed {
				if states()[state] == nil || !slices.Contains(known, observation) {
					t.Errorf("a row is about nothing: %s: %s: %s", state, observation, then)
				}
			}
		}
	}
	if got, want := len(looked), len(transitions()); got != want {
		t.Errorf("%d phases are looked at, the table of transitions has %d", got, want)
	}
}

// transitionRows says for every phase what follows from which observations.
func transitionRows() map[string]map[string][]string {
	return map[string]map[string][]string{
		"new": {
			"new, validate": {
				"as wanted already", "made", "made and taken up", "never taken up", "not taken up yet", "not there, too late",
				"not to be seen for now", "nothing new", "refused after a crash", "refused at first", "replaced since", "response lost",
				"response lost for good", "taken up", "the time is up",
			},
			"failed, rest, policy_denied, changed no":      {"approval is required", "denied", "no verdict"},
			"failed, rest, cancelled, changed no":          {"it is being deleted", "it is cancelled", "not there"},
			"executing, apply":                             {"allowed", "allowed too late"},
			"validating, rest":                             {"held by a policy"},
			"validating, rest, again":                      {"not to be told for now"},
			"failed, rest, resource_not_found, changed no": {"cannot be validated"},
		},
		"validating": {
			"validating, validate": {
				"as wanted already", "made", "made and taken up", "not taken up yet", "not to be seen for now", "nothing new",
				"refused after a crash", "refused at first", "replaced since", "response lost", "taken up",
			},
			"failed, rest, timeout, changed no": {
				"allowed too late", "never taken up", "not there, too late", "response lost for good", "the time is up",
			},
			"failed, rest, cancelled, changed no":          {"it is being deleted", "it is cancelled", "not there"},
			"failed, rest, policy_denied, changed no":      {"approval is required", "denied", "no verdict"},
			"failed, rest, resource_not_found, changed no": {"cannot be validated"},
			"executing, apply":                             {"allowed"},
			"validating, rest":                             {"held by a policy"},
			"validating, rest, again":                      {"not to be told for now"},
		},
		"held": {
			"validating, validate": {
				"as wanted already", "made", "made and taken up", "never taken up", "not taken up yet", "not there, too late",
				"not to be seen for now", "nothing new", "refused after a crash", "refused at first", "replaced since", "response lost",
				"response lost for good", "taken up", "the time is up",
			},
			"failed, rest, policy_denied, changed no":      {"approval is required", "denied", "no verdict"},
			"failed, rest, cancelled, changed no":          {"it is being deleted", "it is cancelled", "not there"},
			"executing, apply":                             {"allowed", "allowed too late"},
			"validating, rest":                             {"held by a policy"},
			"validating, rest, again":                      {"not to be told for now"},
			"failed, rest, resource_not_found, changed no": {"cannot be validated"},
		},
		"executing": {
			"executing, apply": {
				"allowed", "approval is required", "cannot be validated", "denied", "held by a policy", "no verdict", "not taken up yet",
				"not to be seen for now", "not to be told for now", "nothing new", "replaced since", "taken up",
			},
			"executing, look": {
				"allowed too late", "it is being deleted", "it is cancelled", "never taken up", "the time is up",
			},
			"failed, rest, timeout":                       {"not there, too late", "response lost for good"},
			"executing, verify, changed yes":              {"made"},
			"completed, rest, changed yes":                {"made and taken up"},
			"failed, rest, resource_conflict, changed no": {"refused at first"},
			"executing, rest, again":                      {"response lost"},
			"failed, rest, cancelled":                     {"not there"},
			"completed, rest, changed no":                 {"as wanted already"},
			"failed, rest, resource_conflict":             {"refused after a crash"},
		},
		"executing, written": {
			"executing, verify, changed yes": {
				"allowed", "allowed too late", "approval is required", "cannot be validated", "denied", "held by a policy",
				"it is being deleted", "it is cancelled", "made", "no verdict", "not there", "not there, too late",
				"not to be told for now", "nothing new", "refused after a crash", "refused at first", "response lost",
				"response lost for good", "the time is up",
			},
			"completed, rest, changed yes":                 {"as wanted already", "made and taken up", "taken up"},
			"executing, rest, again, changed yes":          {"not to be seen for now"},
			"failed, rest, timeout, changed yes":           {"never taken up"},
			"executing, rest, changed yes":                 {"not taken up yet"},
			"failed, rest, resource_conflict, changed yes": {"replaced since"},
		},
		"completed": {
			"completed, rest": {
				"allowed", "allowed too late", "approval is required", "as wanted already", "cannot be validated", "denied",
				"held by a policy", "it is being deleted", "it is cancelled", "made", "made and taken up", "never taken up", "no verdict",
				"not taken up yet", "not there", "not there, too late", "not to be seen for now", "not to be told for now", "nothing new",
				"refused after a crash", "refused at first", "replaced since", "response lost", "response lost for good", "taken up",
				"the time is up",
			},
		},
		"failed": {
			"failed, rest": {
				"allowed", "allowed too late", "approval is required", "as wanted already", "cannot be validated", "denied",
				"held by a policy", "it is being deleted", "it is cancelled", "made", "made and taken up", "never taken up", "no verdict",
				"not taken up yet", "not there", "not there, too late", "not to be seen for now", "not to be told for now", "nothing new",
				"refused after a crash", "refused at first", "replaced since", "response lost", "response lost for good", "taken up",
				"the time is up",
			},
		},
	}
}

package main

import (
	"fmt"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"

	kubernetesexecutionv1 "kubernaut.io/kubernaut/api/kubernetesexecution/v1"
	remediationv1 "kubernaut.io/kubernaut/api/remediation/v1"
	"kubernaut.io/kubernaut/api/shared"
)

// claim is a sentence about the cluster that is true or not, with what to know or to do about it.
type claim struct {
	holds bool
	text  string
	hints []string
}

func failed(err error, hints ...string) claim { return claim{text: err.Error(), hints: hints} }

func allTrue(claims []claim) bool {
	for _, c := range claims {
		if !c.holds {
			return false
		}
	}
	return len(claims) > 0
}

func (c claim) render(p palette) []string {
	const inset = 4
	mark, t := "✓", good
	if !c.holds {
		mark, t = "✗", bad
	}
	var lines []string
	for i, text := range wrap(c.text, pageWidth-inset, 0) {
		head := strings.Repeat(" ", inset)
		if i == 0 {
			head = "  " + p.paint(t, mark) + " "
		}
		lines = append(lines, head+text)
	}
	for _, hint := range c.hints {
		for _, text := range wrap(hint, pageWidth-inset-detailInset, detailInset) {
			lines = append(lines, strings.Repeat(" ", inset+detailInset)+text)
		}
	}
	return lines
}

// evidence is what the cluster and its audit log say when the story is over.
type evidence struct {
	request    *remediationv1.RemediationRequest
	executions []kubernetesexecutionv1.KubernetesExecution
	deployment *appsv1.Deployment
	image      string
	// writes are those since the request was made; auditError says why they are not known.
	writes     []write
	auditError error
	// account is the user name that alone may have changed the target, operator the beginning of all of Kubernaut's.
	account  string
	operator string
}

// judge says what the demo promises and whether it is so.
func judge(e evidence) []claim {
	return []claim{judgeRequest(e.request), judgeTarget(e.deployment, e.image), judgeWrites(e), judgeMark(e)}
}

func judgeRequest(r *remediationv1.RemediationRequest) claim {
	if r.Status.Outcome == remediationv1.OutcomeRemediated {
		return claim{holds: true, text: fmt.Sprintf("%s is Remediated%s", r.Name, took(r))}
	}
	c := claim{text: fmt.Sprintf("%s ended %s (%s), not %s (%s)", r.Name, r.Status.OverallPhase, r.Status.Outcome,
		remediationv1.PhaseCompleted, remediationv1.OutcomeRemediated)}
	for _, reason := range []string{r.Status.EscalationReason, conditionText(r.Status.Conditions, shared.ConditionReady)} {
		if reason != "" {
			c.hints = append(c.hints, reason)
		}
	}
	return c
}

func took(r *remediationv1.RemediationRequest) string {
	if r.Status.CompletionTime == nil {
		return ""
	}
	return ", " + r.Status.CompletionTime.Sub(r.CreationTimestamp.Time).Round(time.Second).String() + " after the alert"
}

func judgeTarget(d *appsv1.Deployment, image string) claim {
	have := imageOf(d)
	text := fmt.Sprintf("Deployment %s/%s runs %s: %s", d.Namespace, d.Name, have, replicasText(d))
	if have == image && rolledOut(d) {
		return claim{holds: true, text: text}
	}
	return claim{text: text, hints: []string{"it should be rolled out with " + image, "Progressing: " + progressingText(d)}}
}

// judgeWrites counts what reached the target itself; its status is the Deployment controller's.
func judgeWrites(e evidence) claim {
	if e.auditError != nil {
		return claim{text: "who wrote the target is not known: " + e.auditError.Error()}
	}
	byAccount, others := 0, []string{}
	for _, w := range e.writes {
		switch {
		case !w.changes(e.deployment.Name):
		case w.User == e.account:
			byAccount++
		case strings.HasPrefix(w.User, e.operator):
			others = append(others, fmt.Sprintf("%s wrote it too (%s); only the action's account may", shortUser(w.User), w.Verb))
		}
	}
	if byAccount == 1 && len(others) == 0 {
		return claim{holds: true, text: "Kubernaut wrote the target exactly once, as " + shortUser(e.account)}
	}
	text := fmt.Sprintf("Kubernaut's writes on the target, as %s: %d; it must be exactly 1", shortUser(e.account), byAccount)
	return claim{text: text, hints: others}
}

// judgeMark compares the mark that the write left on the target with the execution that says it made it.
func judgeMark(e evidence) claim {
	mark := e.deployment.Annotations[shared.AnnotationLastExecution]
	for i := range e.executions {
		execution := &e.executions[i]
		if string(execution.UID) == mark && execution.Status.Changed != nil && *execution.Status.Changed {
			return claim{holds: true, text: "the write carries the UID of " + execution.Name + ", whose status records it"}
		}
	}
	return claim{text: fmt.Sprintf("no KubernetesExecution accounts for the mark %s=%q on the target", shared.AnnotationLastExecution, mark)}
}

package main

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	kubernetesexecutionv1 "kubernaut.io/kubernaut/api/kubernetesexecution/v1"
	remediationv1 "kubernaut.io/kubernaut/api/remediation/v1"
	"kubernaut.io/kubernaut/api/shared"
)

func TestJudge(t *testing.T) {
	rollback := write{User: rollbackAccount, Verb: "patch", Resource: "deployments", Object: cart}
	with := func(w write, change func(*write)) write {
		change(&w)
		return w
	}
	tests := map[string]struct {
		change func(*evidence)
		// want says which claim holds: the request, the target, the writes, the mark.
		want []bool
	}{
		"as it should be": {change: func(*evidence) {}, want: []bool{true, true, true, true}},
		"what is no write of Kubernaut on the target does not count": {
			change: func(e *evidence) {
				e.writes = append(e.writes,
					with(rollback, func(w *write) { w.DryRun = true }), with(rollback, func(w *write) { w.Code = 409 }),
					with(rollback, func(w *write) {
						w.Subresource, w.User = "status", "system:serviceaccount:kube-system:deployment-controller"
					}),
					with(rollback, func(w *write) { w.User = "kubernetes-admin" }),
				)
			},
			want: []bool{true, true, true, true},
		},
		"another outcome": {
			change: func(e *evidence) { e.request.Status.Outcome = remediationv1.OutcomeDuplicate },
			want:   []bool{false, true, true, true},
		},
		"another image": {change: func(e *evidence) { e.image = missingImage }, want: []bool{true, false, true, true}},
		"a pod is missing": {
			change: func(e *evidence) { e.deployment.Status.AvailableReplicas-- },
			want:   []bool{true, false, true, true},
		},
		"not written": {change: func(e *evidence) { e.writes = nil }, want: []bool{true, true, false, true}},
		"written twice": {
			change: func(e *evidence) { e.writes = append(e.writes, rollback) },
			want:   []bool{true, true, false, true},
		},
		"written by another account of Kubernaut too": {
			change: func(e *evidence) {
				e.writes = append(e.writes, with(rollback, func(w *write) { w.User = requestAccount }))
			},
			want: []bool{true, true, false, true},
		},
		"no audit log": {
			change: func(e *evidence) { e.auditError = errors.New("no such file") },
			want:   []bool{true, true, false, true},
		},
		"a mark of another execution": {
			change: func(e *evidence) { e.deployment.Annotations[shared.AnnotationLastExecution] = "other" },
			want:   []bool{true, true, true, false},
		},
		"the execution does not know of a change": {
			change: func(e *evidence) { e.executions[0].Status.Changed = nil },
			want:   []bool{true, true, true, false},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			e := evidence{
				request: aRequest(remediationv1.PhaseCompleted), deployment: aDeployment(3, 3, 3, ""), image: "cart:3",
				executions: []kubernetesexecutionv1.KubernetesExecution{*anExecution(new(true))},
				writes:     []write{rollback}, account: rollbackAccount, operator: "system:serviceaccount:kubernaut-system:",
			}
			e.request.Status.Outcome = remediationv1.OutcomeRemediated
			e.deployment.Annotations = map[string]string{shared.AnnotationLastExecution: "u"}
			test.change(&e)
			claims := judge(e)
			var got []bool
			for _, c := range claims {
				got = append(got, c.holds)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("%s\n%v", diff, claims)
			}
		})
	}
}

func TestNoClaimIsNoSuccess(t *testing.T) {
	if allTrue(nil) {
		t.Error("want false")
	}
}

package gate

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kubernaut.io/kubernaut/api/shared"
)

// rollback is the main job: a Deployment in production whose rollout is stuck returns to its previous revision, as the playbook for
// images that cannot be pulled has it done.
func rollback(in *Input) {
	in.Step.Action = shared.Action{
		Type: shared.ActionRollbackDeployment, RollbackDeployment: &shared.RollbackDeployment{Namespace: "shop", Name: "cart", Revision: new(int64(0))},
	}
	in.Impact = Impact{PodsAffected: new(int32(3)), PodsAffectedPercent: new(int32(100))}
	in.Target.PDBs = []PDB{{Name: "cart", DisruptionsAllowed: new(int32(0))}}
	in.Target.HPA = HPA{Present: new(true), Name: new("cart"), MinReplicas: new(int32(2)), MaxReplicas: new(int32(9))}
	in.Remediation = Remediation{
		Present: new(true), Request: Request{Name: new("stuck"), UID: new("request-1")}, Signal: new("KubeDeploymentRolloutStuck"), Severity: new("critical"),
		ConfidencePercent: new(int32(90)), Provider: new("playbook"),
	}
}

func pastExecutions(n int, request *string) []PastExecution {
	list := []PastExecution{}
	for i := range n {
		started := evaluationTime.Add(-time.Duration(i+1) * time.Minute)
		list = append(list, PastExecution{
			Workflow: fmt.Sprint("w-", i), RemediationRequestUID: request, Action: shared.ActionScaleDeployment, Purpose: "Execute",
			Mutating: true, TargetUID: new("cart-1"), Outcome: new("completed"), Time: started.Format(time.RFC3339), TimeNS: started.UnixNano(),
		})
	}
	return list
}

func TestLibraryVerdicts(t *testing.T) {
	gate := baseline(t)
	deny, approval, allow := shared.VerdictDeny, shared.VerdictRequireApproval, shared.VerdictAllow
	for sentence, test := range map[string]struct {
		change    func(*Input)
		want      shared.Verdict
		wantCodes []string // at stage plan and step, unless it is empty
		onlyAt    Stage
	}{
		"the rollback of a stuck rollout in production": {change: rollback, want: allow},
		"the same as a recovery of the same request": {
			change: func(in *Input) {
				rollback(in)
				in.Cluster.Executions.Target = pastExecutions(9, new("request-1"))
			},
			want: allow,
		},
		"the same on what Flux manages": {
			change: func(in *Input) {
				rollback(in)
				in.Target.GitOps = GitOps{Managed: new(true), Tool: new("Flux"), Application: new("shop")}
			},
			want: approval, wantCodes: []string{"gitops/managed_by_gitops"},
		},
		"the same with a confidence of 30": {
			change: func(in *Input) {
				rollback(in)
				in.Remediation.ConfidencePercent = new(int32(30))
			},
			want: approval, wantCodes: []string{"confidence/low_confidence"},
		},
		"the sixth change of one target in ten minutes": {
			change: func(in *Input) { in.Cluster.Executions.Target = pastExecutions(5, nil) },
			want:   deny, wantCodes: []string{"cooldown/cooling_down"},
		},
		"the fifth": {change: func(in *Input) { in.Cluster.Executions.Target = pastExecutions(4, nil) }, want: allow},
		"scaling what an autoscaler scales": {
			change: func(in *Input) { in.Target.HPA = HPA{Present: new(true), Name: new("cart")} },
			want:   deny, wantCodes: []string{"hpa/scaled_by_hpa"},
		},
		"ending more pods than a budget allows": {
			change: func(in *Input) { in.Impact.PodsAffected = new(int32(2)) },
			want:   deny, wantCodes: []string{"pdb/disruption_budget"},
		},
		"one workflow too many": {
			change: func(in *Input) { in.Cluster.ActiveWorkflows["shop"] = 1000 },
			want:   deny, wantCodes: []string{"namespace_workflows/too_many_workflows"}, onlyAt: StagePlan,
		},
		"a target that was changed since": {
			change: func(in *Input) { in.Target.Drift.Found.Generation = new(int64(8)) },
			want:   deny, wantCodes: []string{"plan_drift/target_drifted"}, onlyAt: StageStep,
		},
		"what cannot be undone": {
			change: func(in *Input) { in.Step.Reversibility = new("No") },
			want:   approval, wantCodes: []string{"irreversible/irreversible"},
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			for _, stage := range []Stage{StagePlan, StageStep} {
				in := scaleInput(test.change)
				in.Stage = stage
				want, wantCodes := test.want, test.wantCodes
				if test.onlyAt != "" && test.onlyAt != stage {
					want, wantCodes = allow, nil
				}
				got := gate.Evaluate(t.Context(), in)
				if got.Verdict != want {
					t.Errorf("%s: got %s, want %s", stage, got.Verdict, want)
				}
				if diff := cmp.Diff(wantCodes, codes(got.Rules)); diff != "" {
					t.Errorf("%s: rules (-want +got):\n%s", stage, diff)
				}
			}
		})
	}
}

func TestAWindowWithATimeZoneThatIsNoneDenies(t *testing.T) {
	windows := []any{map[string]any{"days": []any{"Sunday"}, "from": "00:00", "to": "24:00", "timezone": "Europe/Atlantis"}}
	gate, err := New(Options{Parameters: map[string]any{"change_windows": map[string]any{"windows": windows}}})
	if err != nil {
		t.Fatal(err)
	}
	wantPolicyError(t, gate.Evaluate(t.Context(), scaleInput()), "change_windows")
}

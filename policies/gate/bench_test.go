package gate

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/rego"

	"kubernaut.io/kubernaut/api/shared"
)

// morePolicies are policies as people write them, none of which denies the step of scaleInput.
func morePolicies(count int, change ...func(*PolicyObject)) []PolicyObject {
	objects := make([]PolicyObject, count)
	for i := range objects {
		objects[i] = object(fmt.Sprintf("more-%d", i), fmt.Sprintf(`deny contains {"code": "too_many", "msg": msg} if {
	not is_small
	msg := sprintf("more than %%v replicas are too many", [data.kubernaut.parameters.more_%[1]d.limit])
}

is_small if {
	replicas := input.step.action.scaleDeployment.replicas
	limit := data.kubernaut.parameters.more_%[1]d.limit
	is_number(replicas)
	is_number(limit)
	replicas <= limit
}

warn contains "the team is on holiday" if input.namespace.labels["team-%[1]d"] == "on-holiday"`, i), parameters(`{"limit": 100}`))
		for _, apply := range change {
			apply(&objects[i])
		}
	}
	return objects
}

// sideBySide runs two things in turn, so that whatever else the machine does hits both, and reports the ratio of their medians.
func sideBySide(b *testing.B, measured, against func()) {
	b.Helper()
	var first, second []time.Duration
	timed := func(run func()) time.Duration {
		start := time.Now()
		run()
		return time.Since(start)
	}
	for b.Loop() {
		first, second = append(first, timed(measured)), append(second, timed(against))
	}
	median := func(times []time.Duration) float64 {
		slices.Sort(times)
		return float64(times[len(times)/2].Nanoseconds())
	}
	b.ReportMetric(median(first), "measured-ns")
	b.ReportMetric(median(second), "against-ns")
	b.ReportMetric(median(first)/median(second), "ratio")
}

func allows(b *testing.B, gate *Gate, in *Input) func() {
	b.Helper()
	return func() {
		if got := gate.Evaluate(context.Background(), in); got.Verdict != shared.VerdictAllow {
			b.Fatal(got.Rules)
		}
	}
}

// liveInput is the step of scaleInput with an object as the API server has it, about 4 KB of JSON.
func liveInput() *Input {
	return scaleInput(func(in *Input) {
		env, conditions := []any{}, []any{}
		for i := range 30 {
			env = append(env, map[string]any{"name": fmt.Sprintf("SETTING_%d", i), "value": "a value as settings have them"})
		}
		for _, name := range []string{"Available", "Progressing", "ReplicaFailure"} {
			conditions = append(conditions, map[string]any{
				"type": name, "status": "True", "reason": "MinimumReplicasAvailable", "message": "Deployment has minimum availability.",
				"lastUpdateTime": "2026-03-01T12:00:00Z", "lastTransitionTime": "2026-03-01T12:00:00Z",
			})
		}
		in.Target.Object["status"] = map[string]any{"conditions": conditions, "replicas": int64(2), "readyReplicas": int64(2)}
		in.Target.Object["metadata"] = map[string]any{
			"name": "cart", "namespace": "shop", "uid": "5f1c8a52-6f0c-4e0c-8f55-0c8b1f7e9d11", "generation": int64(7),
			"labels": map[string]any{"app": "cart", "team": "retail"}, "annotations": map[string]any{"deployment.kubernetes.io/revision": "7"},
		}
		in.Target.Object["spec"] = map[string]any{"replicas": int64(2), "template": map[string]any{"spec": map[string]any{
			"containers": []any{map[string]any{"name": "app", "image": "registry.example.com/shop/cart:1", "env": env}},
		}}}
	})
}

// The verdict of one step, the document included, against one bare prepared query over the same modules on the document.
func BenchmarkGateVerdict(b *testing.B) {
	gate, _ := appliedTo(b, morePolicies(50)...)
	in := liveInput()
	active := gate.active.Load()
	document, err := active.read(in)
	if err != nil {
		b.Fatal(err)
	}
	bare, err := active.cell(in).deciding.group(in).together.get(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	sideBySide(b, allows(b, gate, in), func() {
		results, err := bare.Eval(context.Background(), rego.EvalParsedInput(document))
		if err != nil || len(results) != 1 {
			b.Fatal(results, err)
		}
	})
}

// Policies that do not match the action, against one of them.
func BenchmarkGateNotMatching(b *testing.B) {
	in := scaleInput()
	one, _ := appliedTo(b, morePolicies(1, forActions(shared.ActionNotifyOnly))...)
	for _, count := range []int{100, 1000} {
		b.Run(fmt.Sprint(count), func(b *testing.B) {
			many, _ := appliedTo(b, morePolicies(count, forActions(shared.ActionNotifyOnly))...)
			sideBySide(b, allows(b, many, in), allows(b, one, in))
		})
	}
}

// How long a set takes to become active: all new, and with one policy changed.
func BenchmarkApply(b *testing.B) {
	for _, count := range []int{50, 1000} {
		objects := morePolicies(count)
		b.Run(fmt.Sprintf("%d-new", count), func(b *testing.B) {
			for b.Loop() {
				appliedTo(b, objects...)
			}
		})
		b.Run(fmt.Sprintf("%d-one-changed", count), func(b *testing.B) {
			gate, _ := appliedTo(b, objects...)
			for i := 0; b.Loop(); i++ {
				objects[0].Parameters = fmt.Appendf(nil, `{"limit": %d}`, 100+i)
				if _, err := gate.Apply(b.Context(), objects); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

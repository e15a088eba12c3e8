package gate

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kubernaut.io/kubernaut/api/shared"
)

func baseline(t testing.TB) *Gate {
	t.Helper()
	gate, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	return gate
}

func namespaced(namespace string) func(*Input) {
	return func(in *Input) {
		in.Target.Namespace = new(namespace)
		in.Namespace.Name = new(namespace)
	}
}

func replicas(wanted int32) func(*Input) {
	return func(in *Input) { in.Step.Action.ScaleDeployment.Replicas = new(wanted) }
}

// cordons makes the step one that cordons one of so many open nodes.
func cordons(schedulable int) func(*Input) {
	return func(in *Input) {
		in.Step.Action = shared.Action{Type: shared.ActionCordonNode, CordonNode: &shared.CordonNode{Name: "worker-1"}}
		in.Target.APIVersion, in.Target.Kind, in.Target.Namespace, in.Target.Name = new("v1"), new("Node"), nil, new("worker-1")
		in.Target.Object = map[string]any{"spec": map[string]any{}}
		in.Target.Drift = Drift{Expected: Identity{UID: new("node-1")}, Found: Identity{UID: new("node-1")}}
		in.Namespace = Namespace{}
		in.Cluster.Nodes.Schedulable = &schedulable
	}
}

func TestBaselineVerdicts(t *testing.T) {
	gate := baseline(t)
	for sentence, test := range map[string]struct {
		in        *Input
		wantCodes []string // policy/code; none is allow
		// wantPlanOnly come before them at stage plan.
		wantPlanOnly []string
	}{
		"a step within all bounds is allowed": {in: scaleInput()},
		"a protected namespace is denied": {
			in: scaleInput(namespaced("kube-system")), wantCodes: []string{"protected_namespaces/protected_namespace"},
		},
		"an unknown namespace is denied": {
			in:           scaleInput(func(in *Input) { in.Target.Namespace = nil }),
			wantPlanOnly: []string{"namespace_workflows/too_many_workflows"},
			wantCodes:    []string{"protected_namespaces/protected_namespace"},
		},
		"a notification, which has no target, is allowed": {
			in: scaleInput(func(in *Input) {
				in.Step.Action = shared.Action{Type: shared.ActionNotifyOnly, NotifyOnly: &shared.NotifyOnly{Message: "hello"}}
				in.Target = Target{}
				in.Namespace = Namespace{}
			}),
		},
		"zero in production is denied": {
			in: scaleInput(replicas(0)), wantCodes: []string{"replica_bounds/not_below_production_minimum"},
		},
		"zero in staging is allowed": {
			in: scaleInput(replicas(0), func(in *Input) { in.Namespace.Labels[shared.LabelEnvironment] = "staging" }),
		},
		"zero is denied when the labels of the namespace are unknown": {
			in:        scaleInput(replicas(0), func(in *Input) { in.Namespace.Labels = nil }),
			wantCodes: []string{"replica_bounds/not_below_production_minimum"},
		},
		"three times as many is allowed": {in: scaleInput(replicas(6))},
		"more than that is denied": {
			in: scaleInput(replicas(7)), wantCodes: []string{"replica_bounds/too_many_replicas"},
		},
		"an object that could not be read is denied": {
			in:        scaleInput(func(in *Input) { in.Target.Object = nil }),
			wantCodes: []string{"replica_bounds/too_many_replicas"},
		},
		"a wanted number that is unknown is denied by both bounds": {
			in: scaleInput(func(in *Input) { in.Step.Action.ScaleDeployment.Replicas = nil }),
			wantCodes: []string{
				"replica_bounds/not_below_production_minimum", "replica_bounds/too_many_replicas",
			},
		},
		"an image of the same registry is allowed": {in: imageInput("app", "registry.example.com/shop/cart:2")},
		"an image of another registry is denied": {
			in: imageInput("app", "cart:2"), wantCodes: []string{"registries/registry"},
		},
		"an image for an unknown container is denied": {
			in: imageInput("other", "registry.example.com/shop/cart:2"), wantCodes: []string{"registries/registry"},
		},
		"one of several open nodes may be cordoned": {in: scaleInput(cordons(2))},
		"the last open one is not": {
			in: scaleInput(cordons(1)), wantCodes: []string{"nodes/last_schedulable_node"},
		},
		"nor one of an unknown number": {
			in: scaleInput(cordons(2), func(in *Input) { in.Cluster.Nodes.Schedulable = nil }), wantCodes: []string{"nodes/last_schedulable_node"},
		},
		"an empty action is denied": {
			in: scaleInput(func(in *Input) { in.Step.Action = shared.Action{} }),
			wantCodes: []string{
				"nodes/last_schedulable_node", "registries/registry", "replica_bounds/not_below_production_minimum", "replica_bounds/too_many_replicas",
			},
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			for _, stage := range []Stage{StagePlan, StageStep} {
				test.in.Stage = stage
				got := gate.Evaluate(t.Context(), test.in)
				wantCodes := test.wantCodes
				if stage == StagePlan {
					wantCodes = slices.Concat(test.wantPlanOnly, test.wantCodes)
				}
				if diff := cmp.Diff(wantCodes, codes(got.Rules)); diff != "" {
					t.Errorf("%s: rules (-want +got):\n%s", stage, diff)
				}
				want := shared.VerdictAllow
				if test.wantCodes != nil {
					want = shared.VerdictDeny
				}
				if got.Verdict != want {
					t.Errorf("%s: got %s, want %s", stage, got.Verdict, want)
				}
			}
		})
	}
}

func codes(rules []shared.FiredRule) []string {
	var codes []string
	for _, rule := range rules {
		codes = append(codes, rule.Policy+"/"+rule.Code)
	}
	return codes
}

func TestTheBaselineOnlyRecordsAtARollback(t *testing.T) {
	in := scaleInput(namespaced("kube-system"))
	in.Stage = StageRollback
	got := baseline(t).Evaluate(t.Context(), in)
	if got.Verdict != shared.VerdictAllow || len(got.Results) != 0 {
		t.Errorf("got %s with %v, want Allow", got.Verdict, got.Results)
	}
	if len(got.Recorded) != 1 || got.Recorded[0].Code != "protected_namespace" {
		t.Errorf("recorded: %v", got.Recorded)
	}
}

func TestBaselineParametersCanBeReplaced(t *testing.T) {
	parameters := map[string]any{
		"protected_namespaces": map[string]any{"namespaces": []string{"shop"}},
		"replica_bounds":       map[string]any{"maxFactor": 2},
	}
	gate, err := New(Options{Parameters: parameters})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"protected_namespaces/protected_namespace", "replica_bounds/too_many_replicas"}
	if diff := cmp.Diff(want, codes(gate.Evaluate(t.Context(), scaleInput(replicas(6))).Rules)); diff != "" {
		t.Error(diff)
	}
	if gate.Revision() == baseline(t).Revision() {
		t.Error("other parameters must give another revision")
	}
}

func TestBaselineParametersThatCannotBeAreRefused(t *testing.T) {
	for name, parameters := range map[string]map[string]any{
		"an unknown policy":    {"replica_bound": map[string]any{"maxFactor": 2}},
		"an unknown parameter": {"replica_bounds": map[string]any{"maxFaktor": 2}},
		"another type":         {"replica_bounds": map[string]any{"maxFactor": "2"}},
		"null":                 {"replica_bounds": map[string]any{"maxFactor": nil}},
		"no set":               {"replica_bounds": 2},
		"no JSON":              {"replica_bounds": map[string]any{"maxFactor": func() {}}},
	} {
		if gate, err := New(Options{Parameters: parameters}); err == nil || gate != nil {
			t.Errorf("%s: want an error and no gate", name)
		}
	}
}

func TestClassification(t *testing.T) {
	in := NewClassificationInput()
	in.Namespace.Labels = map[string]string{shared.LabelEnvironment: "production", shared.LabelBusinessUnit: "retail"}
	in.Signal.Severity = new("critical")
	got, err := baseline(t).Classify(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	want := shared.Classification{Environment: "production", Priority: "P0", BusinessUnit: "retail"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	got, err = baseline(t).Classify(t.Context(), NewClassificationInput())
	if err != nil {
		t.Fatal(err)
	}
	want = shared.Classification{Environment: "unknown", Priority: "P2", BusinessUnit: "unknown"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

package playbook

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/yaml"

	aianalysisv1 "kubernaut.io/kubernaut/api/aianalysis/v1"
	catalogv1alpha1 "kubernaut.io/kubernaut/api/catalog/v1alpha1"
	"kubernaut.io/kubernaut/api/shared"
	"kubernaut.io/kubernaut/controllers/aianalysis"
)

func specOf(modify func(*aianalysisv1.AIAnalysisSpec)) *aianalysisv1.AIAnalysisSpec {
	spec := &aianalysisv1.AIAnalysisSpec{
		SignalContext:  shared.SignalContext{Name: "KubeDeploymentRolloutStuck", Severity: shared.SeverityCritical, Labels: map[string]shared.LabelText{"team": "shop"}},
		Target:         shared.Target{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "shop", Name: "cart"},
		Classification: shared.Classification{Environment: "production", Priority: "P0", BusinessUnit: "shop"},
	}
	spec.Enrichment.Containers = []shared.ContainerProblem{
		{Pod: "cart-1", Container: "app", Image: "registry/cart:typo", State: shared.ContainerWaiting, Reason: "ImagePullBackOff"},
	}
	spec.Enrichment.Events = []shared.WarningEvent{{Object: "Pod cart-1", LastSeen: &metav1.Time{}}}
	spec.Enrichment.Health.Status = shared.HealthInProgress
	if modify != nil {
		modify(spec)
	}
	return spec
}

func playbookOf(name string, priority int32, modify func(*catalogv1alpha1.PlaybookSpec)) *catalogv1alpha1.Playbook {
	playbook := &catalogv1alpha1.Playbook{ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID("uid-" + name), Generation: 1}}
	playbook.Spec = catalogv1alpha1.PlaybookSpec{
		Priority: new(priority), ConfidencePercent: new(int32(80)), RootCause: "cause of " + name,
		Workflow: catalogv1alpha1.PlaybookWorkflow{Name: name, Steps: []catalogv1alpha1.PlaybookStep{{
			Name: "notify", Type: shared.ActionNotifyOnly,
			Parameters: map[string]catalogv1alpha1.ParameterText{"message": "hello ${{ target.name }}"},
		}}},
	}
	if modify != nil {
		modify(&playbook.Spec)
	}
	return playbook
}

func analyze(t *testing.T, spec *aianalysisv1.AIAnalysisSpec, playbooks ...*catalogv1alpha1.Playbook) aianalysis.Analysis {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := catalogv1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	builder := fake.NewClientBuilder().WithScheme(scheme)
	for _, playbook := range playbooks {
		builder = builder.WithObjects(playbook.DeepCopy())
	}
	analysis, err := New(builder.Build()).Analyze(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	return analysis
}

func withExpression(expression string) func(*catalogv1alpha1.PlaybookSpec) {
	return func(spec *catalogv1alpha1.PlaybookSpec) { spec.Match.Expression = expression }
}

func TestChoice(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		spec           func(*aianalysisv1.AIAnalysisSpec)
		playbooks      []*catalogv1alpha1.Playbook
		want           string
		wantNoAction   bool
		wantWhyNot     map[string]string
		wantUnresolved string
	}{
		"the highest priority wins, and the other says why not": {
			playbooks:  []*catalogv1alpha1.Playbook{playbookOf("low", 1, nil), playbookOf("high", 2, nil)},
			want:       "high",
			wantWhyNot: map[string]string{"low": "it applies too; high comes first"},
		},
		"of the same priority the first by name wins": {
			playbooks:  []*catalogv1alpha1.Playbook{playbookOf("b", 1, nil), playbookOf("a", 1, nil)},
			want:       "a",
			wantWhyNot: map[string]string{"b": "it applies too"},
		},
		"every list must hold": {
			playbooks: []*catalogv1alpha1.Playbook{
				playbookOf("signal", 9, func(s *catalogv1alpha1.PlaybookSpec) { s.Match.Signals = []string{"Other"} }),
				playbookOf("kind", 8, func(s *catalogv1alpha1.PlaybookSpec) { s.Match.Kinds = []string{"Pod"} }),
				playbookOf("severity", 7, func(s *catalogv1alpha1.PlaybookSpec) { s.Match.Severities = []shared.Severity{"info"} }),
				playbookOf("environment", 6, func(s *catalogv1alpha1.PlaybookSpec) { s.Match.Environments = []string{"staging"} }),
				playbookOf("all", 1, func(s *catalogv1alpha1.PlaybookSpec) {
					s.Match.Signals, s.Match.Kinds = []string{"KubeDeploymentRolloutStuck"}, []string{"Deployment", "Pod"}
					s.Match.Severities, s.Match.Environments = []shared.Severity{"critical"}, []string{"production"}
				}),
			},
			want: "all",
			wantWhyNot: map[string]string{
				"signal": "none of its signals", "kind": "none of its kinds", "severity": "none of its severities", "environment": "none of its environments",
			},
		},
		"an error of one playbook is an alternative, and the others go on": {
			playbooks: []*catalogv1alpha1.Playbook{
				playbookOf("broken", 9, withExpression("enrichment.hpa.maxReplicas > 1")), playbookOf("good", 1, nil),
			},
			want:       "good",
			wantWhyNot: map[string]string{"broken": "hpa of kubernaut.Enrichment is not known"},
		},
		"one that does not compile is an alternative": {
			playbooks:  []*catalogv1alpha1.Playbook{playbookOf("broken", 9, withExpression("target.knid == 'x'")), playbookOf("good", 1, nil)},
			want:       "good",
			wantWhyNot: map[string]string{"broken": "undefined field 'knid'"},
		},
		"one that costs too much is an alternative": {
			playbooks: []*catalogv1alpha1.Playbook{
				playbookOf("dear", 9, withExpression("[1,2,3,4,5,6,7,8,9,10].all(a, [1,2,3,4,5,6,7,8,9,10].all(b, [1,2,3,4,5,6,7,8,9,10].all(c, "+
					"[1,2,3,4,5,6,7,8,9,10].all(d, [1,2,3,4,5,6,7,8,9,10].all(e, [1,2,3,4,5,6,7,8,9,10].all(f, a+b+c+d+e+f > 0))))))")),
				playbookOf("good", 1, nil),
			},
			want:       "good",
			wantWhyNot: map[string]string{"dear": "cost limit"},
		},
		"a text that grows without end costs too much": {
			playbooks: []*catalogv1alpha1.Playbook{
				playbookOf("big", 9, func(s *catalogv1alpha1.PlaybookSpec) {
					s.RootCause = "${{ 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'" +
						strings.Repeat(".replace('a', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa')", 5) + " }}"
				}),
				playbookOf("good", 1, nil),
			},
			want:       "good",
			wantWhyNot: map[string]string{"big": "cost limit"},
		},
		"parameters that break a bound make it an alternative": {
			playbooks: []*catalogv1alpha1.Playbook{
				playbookOf("big", 9, func(s *catalogv1alpha1.PlaybookSpec) {
					s.Workflow.Steps[0].Type = shared.ActionScaleDeployment
					s.Workflow.Steps[0].Parameters = map[string]catalogv1alpha1.ParameterText{
						"namespace": "${{ target.namespace }}", "name": "${{ target.name }}", "replicas": "${{ 1000 + 1 }}",
					}
				}),
				playbookOf("good", 1, nil),
			},
			want:       "good",
			wantWhyNot: map[string]string{"big": "1001 is not from 0 to 1000"},
		},
		"a playbook without steps means that nothing has to be done": {
			playbooks:    []*catalogv1alpha1.Playbook{playbookOf("none", 9, func(s *catalogv1alpha1.PlaybookSpec) { s.Workflow.Steps = nil })},
			wantNoAction: true,
		},
		"every playbook that failed before is out": {
			spec: func(s *aianalysisv1.AIAnalysisSpec) {
				s.IsRecoveryAttempt, s.RecoveryAttemptNumber, s.FailedPlaybooks = true, 2, []string{"first", "second"}
			},
			playbooks:  []*catalogv1alpha1.Playbook{playbookOf("first", 9, nil), playbookOf("second", 5, nil), playbookOf("third", 1, nil)},
			want:       "third",
			wantWhyNot: map[string]string{"first": "its workflow has failed", "second": "its workflow has failed"},
		},
		"when all have failed nothing is left": {
			spec: func(s *aianalysisv1.AIAnalysisSpec) {
				s.IsRecoveryAttempt, s.RecoveryAttemptNumber, s.FailedPlaybooks = true, 1, []string{"first"}
			},
			playbooks:      []*catalogv1alpha1.Playbook{playbookOf("first", 9, nil)},
			wantWhyNot:     map[string]string{"first": "its workflow has failed"},
			wantUnresolved: "Considered: first (its workflow has failed for this request).",
		},
		"the playbook that failed before is out": {
			spec: func(s *aianalysisv1.AIAnalysisSpec) {
				s.Enrichment.FailedWorkflow = &shared.FailedWorkflow{Name: "w", Playbook: "first"}
			},
			playbooks:  []*catalogv1alpha1.Playbook{playbookOf("first", 9, nil), playbookOf("second", 1, nil)},
			want:       "second",
			wantWhyNot: map[string]string{"first": "its workflow has failed"},
		},
		"no match says what was considered": {
			playbooks:      []*catalogv1alpha1.Playbook{playbookOf("a", 9, withExpression("false"))},
			wantWhyNot:     map[string]string{"a": "its expression is false"},
			wantUnresolved: "Considered: a (its expression is false).",
		},
		"no playbook at all says so": {wantUnresolved: "there is none in the cluster"},
	}
	for sentence, test := range tests {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			got := analyze(t, specOf(test.spec), test.playbooks...)
			name := ""
			if got.Recommendation != nil {
				name = got.Recommendation.PlaybookRef
			}
			if name != test.want || got.NoActionRequired != test.wantNoAction || !strings.Contains(got.Unresolved, test.wantUnresolved) {
				t.Errorf("got %q, no action %v, unresolved %q", name, got.NoActionRequired, got.Unresolved)
			}
			if (got.Unresolved != "") != (test.wantUnresolved != "") {
				t.Errorf("unresolved is %q", got.Unresolved)
			}
			if len(got.Alternatives) != len(test.wantWhyNot) {
				t.Errorf("alternatives are %+v", got.Alternatives)
			}
			for _, alternative := range got.Alternatives {
				if want := test.wantWhyNot[alternative.Name]; want == "" || !strings.Contains(alternative.WhyNot, want) {
					t.Errorf("%s is not chosen because %q, want %q", alternative.Name, alternative.WhyNot, want)
				}
			}
		})
	}
}

func TestExpressions(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		expression string
		want       string
	}{
		"JSON names are known":                    {"enrichment.containers.exists(c, c.reason == 'ImagePullBackOff')", ""},
		"an absent list is empty":                 {"enrichment.nodes.size() == 0", ""},
		"an absent text is empty":                 {"enrichment.containers[0].message == ''", ""},
		"an absent pointer is not set":            {"!has(enrichment.hpa) && !has(enrichment.health.desiredReplicas)", ""},
		"an absent number has no value":           {"enrichment.health.desiredReplicas == 0", "not known"},
		"an optional value stands for it":         {"enrichment.health.?desiredReplicas.orValue(3) == 3", ""},
		"an optional chain ends in nothing":       {"enrichment.?hpa.?maxReplicas.orValue(7) == 7", ""},
		"maps of named texts are maps":            {"signal.labels['team'] == 'shop' && 'team' in signal.labels", ""},
		"enums are texts":                         {"signal.severity == 'critical' && enrichment.health.status in ['InProgress']", ""},
		"times are timestamps":                    {"enrichment.events[0].lastSeen < timestamp('2026-01-01T00:00:00Z')", ""},
		"functions on texts exist":                {"target.name.upperAscii() == 'CART' && enrichment.containers[0].image.split(':')[1] == 'typo'", ""},
		"recovery is known":                       {"!recovery.isRecoveryAttempt && recovery.recoveryAttemptNumber == 0 && !has(recovery.failedStep) && !('p' in recovery.failedPlaybooks)", ""},
		"classification is known":                 {"classification.priority == 'P0' && classification.businessUnit == 'shop'", ""},
		"a whole object compares":                 {"enrichment.containers[0] == enrichment.containers[0]", ""},
		"an index beyond the end is an error":     {"enrichment.nodes[0].name == 'x'", "index out of bounds"},
		"an expression that is false says so":     {"target.kind == 'Pod'", "its expression is false"},
		"the condition of an absent type is none": {"!enrichment.conditions.exists(c, c.type == 'Progressing' && c.status == 'False')", ""},
	}
	for sentence, test := range tests {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			playbook := playbookOf("p", 1, withExpression(test.expression))
			compiled, problems := Compile(&playbook.Spec)
			if len(problems) > 0 {
				t.Fatal(problems.ToAggregate())
			}
			spec := specOf(nil)
			got, err := compiled.match(t.Context(), spec, variablesOf(spec))
			if err != nil {
				got = err.Error()
			}
			if (got == "") != (test.want == "") || !strings.Contains(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestCompileProblems(t *testing.T) {
	t.Parallel()
	step := func(modify func(*catalogv1alpha1.PlaybookStep)) func(*catalogv1alpha1.PlaybookSpec) {
		return func(s *catalogv1alpha1.PlaybookSpec) { modify(&s.Workflow.Steps[0]) }
	}
	parameters := func(action shared.ActionType, values map[string]catalogv1alpha1.ParameterText) func(*catalogv1alpha1.PlaybookSpec) {
		return step(func(s *catalogv1alpha1.PlaybookStep) { s.Type, s.Parameters = action, values })
	}
	tests := map[string]struct {
		modify    func(*catalogv1alpha1.PlaybookSpec)
		wantField string
		want      string
	}{
		"an unknown field":            {withExpression("target.knid == 'x'"), "spec.match.expression", "line 1, column 7: undefined field 'knid'"},
		"an unknown variable":         {withExpression("tagret.kind == 'x'"), "spec.match.expression", "undeclared reference to 'tagret'"},
		"a wrong type":                {withExpression("target.kind == 1"), "spec.match.expression", "no matching overload"},
		"a match that is no truth":    {withExpression("target.kind"), "spec.match.expression", "gives string, not a truth value"},
		"a position in a second line": {withExpression("true &&\n  target.knid == 'x'"), "spec.match.expression", "line 2, column 9"},
		"a template without an end": {
			func(s *catalogv1alpha1.PlaybookSpec) { s.RootCause = "a ${{ target.name }" }, "spec.rootCause", "the ${{ at character 3 has no }}",
		},
		"a template that gives a list": {
			func(s *catalogv1alpha1.PlaybookSpec) { s.RootCause = "${{ enrichment.nodes }}" }, "spec.rootCause", "not a text",
		},
		"an unknown parameter names the known": {
			parameters(shared.ActionNotifyOnly, map[string]catalogv1alpha1.ParameterText{"message": "m", "mesage": "m"}),
			"spec.workflow.steps[0].parameters[mesage]", "it has message, severity",
		},
		"a missing parameter": {
			parameters(shared.ActionNotifyOnly, nil), "spec.workflow.steps[0].parameters[message]", "needs it",
		},
		"a literal that is no number": {
			parameters(shared.ActionScaleDeployment, map[string]catalogv1alpha1.ParameterText{"namespace": "n", "name": "n", "replicas": "many"}),
			"spec.workflow.steps[0].parameters[replicas]", "is not an integer",
		},
		"a literal out of bounds": {
			parameters(shared.ActionScaleDeployment, map[string]catalogv1alpha1.ParameterText{"namespace": "n", "name": "n", "replicas": "-1"}),
			"spec.workflow.steps[0].parameters[replicas]", "is not from 0 to 1000",
		},
		"a literal that is none of an enum": {
			parameters(shared.ActionNotifyOnly, map[string]catalogv1alpha1.ParameterText{"message": "m", "severity": "urgent"}),
			"spec.workflow.steps[0].parameters[severity]", "none of critical, warning, info",
		},
		"an unknown action": {
			step(func(s *catalogv1alpha1.PlaybookStep) { s.Type = "make-coffee" }), "spec.workflow.steps[0].type", "supported values",
		},
		"an unknown dependency": {
			step(func(s *catalogv1alpha1.PlaybookStep) { s.DependsOn = []string{"other"} }), "spec.workflow.steps[0].dependsOn[0]", "Not found",
		},
		"a cycle is shown": {
			func(s *catalogv1alpha1.PlaybookSpec) {
				second := *s.Workflow.Steps[0].DeepCopy()
				second.Name, second.DependsOn = "b", []string{"notify"}
				s.Workflow.Steps[0].DependsOn = []string{"b"}
				s.Workflow.Steps = append(s.Workflow.Steps, second)
			}, "spec.workflow.steps[0].dependsOn", "notify → b → notify",
		},
	}
	for sentence, test := range tests {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			playbook := playbookOf("p", 1, test.modify)
			compiled, problems := Compile(&playbook.Spec)
			if compiled != nil || len(problems) == 0 {
				t.Fatal("it compiles")
			}
			if problems[0].Field != test.wantField || !strings.Contains(problems[0].Error(), test.want) {
				t.Errorf("got %v, want %s: %s", problems[0], test.wantField, test.want)
			}
		})
	}
}

func TestExpressionEnd(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		text string
		want int
	}{
		"the first closing braces":                {" a }} b }}", 3},
		"not those of a text":                     {" '}}' }}", 6},
		"not those of a text with an escape":      {` "\"}}" }}`, 8},
		"not those of a map in a map":             {"{'a':{'b':1}}.a.b}}", 17},
		"none":                                    {" a }", -1},
		"none because a text is not ended either": {" 'a }}", -1},
	}
	for sentence, test := range tests {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			if got := expressionEnd(test.text); got != test.want {
				t.Errorf("got %d, want %d", got, test.want)
			}
		})
	}
}

// TestParametersAgreeWithTypes holds the table of parameters to the Go types, and these to the catalogue.
func TestParametersAgreeWithTypes(t *testing.T) {
	t.Parallel()
	for _, actionType := range shared.ActionTypes() {
		known, ok := parametersOf(actionType)
		action := shared.Action{Type: actionType}
		member := memberOf(&action)
		if !ok || member == nil {
			t.Errorf("%s is not known here", actionType)
			continue
		}
		var names, want []string
		for member := range reflect.TypeOf(member).Elem().Fields() {
			name, _, _ := strings.Cut(member.Tag.Get("json"), ",")
			want = append(want, name)
		}
		for _, p := range known {
			names = append(names, p.name)
		}
		slices.Sort(names)
		slices.Sort(want)
		if diff := cmp.Diff(want, names); diff != "" {
			t.Errorf("parameters of %s (-want +got):\n%s", actionType, diff)
		}
	}
}

// samples are the playbooks that are shipped, read strictly.
func samples(t *testing.T) []*catalogv1alpha1.Playbook {
	t.Helper()
	files, err := filepath.Glob("../../../config/samples/playbooks/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no samples: %v", err)
	}
	var playbooks []*catalogv1alpha1.Playbook
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var playbook catalogv1alpha1.Playbook
		if err := yaml.UnmarshalStrict(text, &playbook); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if playbook.Name+".yaml" != filepath.Base(file) {
			t.Errorf("%s holds %s", file, playbook.Name)
		}
		playbook.UID, playbook.Generation = types.UID(playbook.Name), 1
		playbooks = append(playbooks, &playbook)
	}
	return playbooks
}

// TestSamplesLeaveWhatIsLeftToPeople has a recovery for which every playbook that applies has failed.
func TestSamplesLeaveWhatIsLeftToPeople(t *testing.T) {
	t.Parallel()
	got := analyze(t, specOf(func(s *aianalysisv1.AIAnalysisSpec) {
		s.IsRecoveryAttempt, s.RecoveryAttemptNumber = true, 2
		s.FailedPlaybooks = []string{"image-pull-failure-rollback", "stuck-rollout-serving-revision"}
		s.Enrichment.Revisions = []shared.Revision{{Number: 2, Current: true, SameAsCurrent: true}, {Number: 1, AvailableReplicas: 2}}
	}), samples(t)...)
	if got.Recommendation != nil || got.NoActionRequired || !strings.Contains(got.Unresolved, "has failed for this request") {
		t.Errorf("got %+v", got)
	}
}

// TestSamplesAreDocumented wants a page for each playbook that is shipped.
func TestSamplesAreDocumented(t *testing.T) {
	t.Parallel()
	for _, playbook := range samples(t) {
		page, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "playbooks", playbook.Name+".md"))
		if err != nil || !strings.Contains(string(page), "# "+playbook.Name) {
			t.Errorf("%s: %v", playbook.Name, err)
		}
	}
}

// recovery makes the analysis one after the workflows of playbooks have failed.
func recovery(s *aianalysisv1.AIAnalysisSpec, failed ...string) {
	s.IsRecoveryAttempt, s.RecoveryAttemptNumber, s.FailedPlaybooks = true, int32(len(failed)), failed
}

// crashing has a container of a revision crash, some time after the last change; 0 is without one.
func crashing(s *aianalysisv1.AIAnalysisSpec, revision int64, revisions []shared.Revision, changed time.Duration) {
	now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	s.Enrichment.ObservedAt = new(metav1.NewTime(now))
	if changed > 0 {
		s.Enrichment.ChangedAt = new(metav1.NewTime(now.Add(-changed)))
	}
	s.Enrichment.Conditions, s.Enrichment.Health = nil, shared.Health{Status: shared.HealthInProgress}
	s.Enrichment.Revisions = revisions
	s.Enrichment.Nodes = []shared.NodeFacts{{Name: "worker-1", Ready: new(true), Unschedulable: new(false)}}
	s.Enrichment.Containers = []shared.ContainerProblem{
		{Pod: "cart-a", Node: "worker-1", Container: "app", State: shared.ContainerWaiting, Reason: "CrashLoopBackOff", RestartCount: 3, CrashLooping: true, Revision: revision},
		{Pod: "cart-a", Node: "worker-1", Container: "app", State: shared.ContainerTerminated, Reason: "Error", RestartCount: 3, CrashLooping: true, Revision: revision},
	}
}

// outOfMemory has a container of the only release be killed at its limit, and one with more that is left of another release.
func outOfMemory(s *aianalysisv1.AIAnalysisSpec, limit int64) {
	crashing(s, 3, []shared.Revision{{Number: 3, Current: true, SameAsCurrent: true}}, 0)
	killed := s.Enrichment.Containers[1]
	killed.Reason, killed.MemoryLimitBytes = "OOMKilled", &limit
	left := killed
	left.Revision, left.MemoryLimitBytes = 2, new(limit*2)
	s.Enrichment.Containers = append(s.Enrichment.Containers[:1], left, killed)
}

// TestSamplesLeaveAHealthyReleaseAlone has a repair of something else fail while the target makes progress: no release is at fault.
func TestSamplesLeaveAHealthyReleaseAlone(t *testing.T) {
	t.Parallel()
	got := analyze(t, specOf(func(s *aianalysisv1.AIAnalysisSpec) {
		recovery(s, "more-pods")
		s.Enrichment.Containers, s.Enrichment.Conditions = nil, nil
		s.Enrichment.Health = shared.Health{Status: shared.HealthInProgress}
		s.Enrichment.Revisions = []shared.Revision{{Number: 3, Current: true, SameAsCurrent: true, AvailableReplicas: 3}, {Number: 2, AvailableReplicas: 1}, {Number: 1}}
	}), samples(t)...)
	if got.Recommendation != nil {
		t.Errorf("got %+v", got.Recommendation)
	}
}

// TestSamplesDoNotRaiseWithoutEnd has limits that a playbook must leave to people.
func TestSamplesDoNotRaiseWithoutEnd(t *testing.T) {
	t.Parallel()
	for sentence, modify := range map[string]func(*aianalysisv1.AIAnalysisSpec){
		"no limit": func(s *aianalysisv1.AIAnalysisSpec) {
			outOfMemory(s, 1)
			for i := range s.Enrichment.Containers {
				s.Enrichment.Containers[i].MemoryLimitBytes = nil
			}
		},
		"a limit that would pass 8Gi": func(s *aianalysisv1.AIAnalysisSpec) { outOfMemory(s, 4<<30+1) },
		"a container that was killed some day": func(s *aianalysisv1.AIAnalysisSpec) {
			outOfMemory(s, 1<<20)
			for i := range s.Enrichment.Containers {
				s.Enrichment.Containers[i].CrashLooping = false
			}
		},
	} {
		got := analyze(t, specOf(modify), samples(t)...)
		if got.Recommendation == nil || got.Recommendation.PlaybookRef != "notify-on-unknown" {
			t.Errorf("%s: got %+v", sentence, got.Recommendation)
		}
	}
}

// TestSamples uses the playbooks that are shipped on the case that each is made for.
func TestSamples(t *testing.T) {
	t.Parallel()
	playbooks := samples(t)
	tests := map[string]struct {
		modify     func(*aianalysisv1.AIAnalysisSpec)
		want       string
		wantCause  string
		wantAction string
	}{
		"an image that cannot be pulled is rolled back": {
			want:       "image-pull-failure-rollback",
			wantCause:  "The rollout of Deployment shop/cart is stuck: the image registry/cart:typo of container app cannot be pulled.",
			wantAction: `{"type":"rollback-deployment","rollbackDeployment":{"namespace":"shop","name":"cart","revision":0}}`,
		},
		"when that has failed the revision that serves is returned to": {
			modify: func(s *aianalysisv1.AIAnalysisSpec) {
				s.IsRecoveryAttempt, s.RecoveryAttemptNumber, s.FailedPlaybooks = true, 1, []string{"image-pull-failure-rollback"}
				s.Enrichment.Revisions = []shared.Revision{{Number: 7, Current: true, SameAsCurrent: true}, {Number: 6}, {Number: 4, AvailableReplicas: 2}, {Number: 3, AvailableReplicas: 1}}
			},
			want:       "stuck-rollout-serving-revision",
			wantCause:  "The rollout of Deployment shop/cart is stuck; the pods that serve are those of revision 4.",
			wantAction: `{"type":"rollback-deployment","rollbackDeployment":{"namespace":"shop","name":"cart","revision":4}}`,
		},
		"a rollout that is stuck for another reason is returned to what serves at once": {
			modify: func(s *aianalysisv1.AIAnalysisSpec) {
				s.Enrichment.Containers = nil
				s.Enrichment.Conditions = []shared.ObservedCondition{{Type: "Progressing", Status: "False", Reason: "ProgressDeadlineExceeded"}}
				s.Enrichment.Revisions = []shared.Revision{{Number: 2, Current: true, SameAsCurrent: true, AvailableReplicas: 1}, {Number: 1, AvailableReplicas: 2}}
			},
			want:       "stuck-rollout-serving-revision",
			wantCause:  "The rollout of Deployment shop/cart is stuck; the pods that serve are those of revision 1.",
			wantAction: `{"type":"rollback-deployment","rollbackDeployment":{"namespace":"shop","name":"cart","revision":1}}`,
		},
		"when that has failed too the newest other revision is returned to": {
			modify: func(s *aianalysisv1.AIAnalysisSpec) {
				recovery(s, "image-pull-failure-rollback", "stuck-rollout-serving-revision")
				s.Enrichment.Containers = nil
				s.Enrichment.Revisions = []shared.Revision{{Number: 7, Current: true, SameAsCurrent: true}, {Number: 6, SameAsCurrent: true}, {Number: 5, AvailableReplicas: 1}, {Number: 4}}
			},
			want:       "stuck-rollout-other-revision",
			wantCause:  "The rollout of Deployment shop/cart is stuck; the newest other revision is 4.",
			wantAction: `{"type":"rollback-deployment","rollbackDeployment":{"namespace":"shop","name":"cart","revision":4}}`,
		},
		"a crash loop after a release that goes on while another serves is rolled back": {
			modify: func(s *aianalysisv1.AIAnalysisSpec) {
				crashing(s, 3, []shared.Revision{{Number: 3, Current: true, SameAsCurrent: true}, {Number: 2, AvailableReplicas: 2}}, 5*time.Hour)
			},
			want:       "crash-loop-after-change-rollback",
			wantCause:  "Container app of Deployment shop/cart crashes since its pod template was changed.",
			wantAction: `{"type":"rollback-deployment","rollbackDeployment":{"namespace":"shop","name":"cart","revision":2}}`,
		},
		"a crash loop soon after a release that was complete is rolled back, beyond a restart": {
			modify: func(s *aianalysisv1.AIAnalysisSpec) {
				crashing(s, 4, []shared.Revision{{Number: 4, Current: true, SameAsCurrent: true}, {Number: 3, SameAsCurrent: true}, {Number: 2}}, 59*time.Minute)
			},
			want:       "crash-loop-after-change-rollback",
			wantCause:  "Container app of Deployment shop/cart crashes since its pod template was changed.",
			wantAction: `{"type":"rollback-deployment","rollbackDeployment":{"namespace":"shop","name":"cart","revision":2}}`,
		},
		"a crash loop of a revision that is being replaced is not": {
			modify: func(s *aianalysisv1.AIAnalysisSpec) {
				crashing(s, 2, []shared.Revision{{Number: 3, Current: true, SameAsCurrent: true}, {Number: 2}}, time.Minute)
			},
			want:      "notify-on-unknown",
			wantCause: "The cause of KubeDeploymentRolloutStuck on Deployment cart is not known to any playbook; its health is InProgress.",
			wantAction: `{"type":"notify-only","notifyOnly":{"message":"No playbook knows how to repair KubeDeploymentRolloutStuck (critical) on Deployment ` +
				`shop/cart in environment production. Health: InProgress ","severity":"critical"}}`,
		},
		"a crash loop long after the last release is restarted": {
			modify: func(s *aianalysisv1.AIAnalysisSpec) {
				crashing(s, 3, []shared.Revision{{Number: 3, Current: true, SameAsCurrent: true}, {Number: 2}}, time.Hour)
			},
			want:       "crash-loop-restart",
			wantCause:  "Container app of Deployment shop/cart crashes, and nothing was changed before.",
			wantAction: `{"type":"restart-deployment","restartDeployment":{"namespace":"shop","name":"cart"}}`,
		},
		"a crash loop of the only release there was is restarted": {
			modify: func(s *aianalysisv1.AIAnalysisSpec) {
				crashing(s, 1, []shared.Revision{{Number: 1, Current: true, SameAsCurrent: true}}, 0)
			},
			want:       "crash-loop-restart",
			wantCause:  "Container app of Deployment shop/cart crashes, and nothing was changed before.",
			wantAction: `{"type":"restart-deployment","restartDeployment":{"namespace":"shop","name":"cart"}}`,
		},
		"when that has failed, and all that crashes is on one node, the node is left": {
			modify: func(s *aianalysisv1.AIAnalysisSpec) {
				recovery(s, "crash-loop-restart")
				crashing(s, 2, []shared.Revision{{Number: 2, Current: true, SameAsCurrent: true}, {Number: 1, SameAsCurrent: true}}, 0)
			},
			want:       "crash-loop-cordon-node",
			wantCause:  "What crashes of Deployment shop/cart runs on node worker-1, and a restart did not help.",
			wantAction: `{"type":"cordon-node","cordonNode":{"name":"worker-1"}}`,
		},
		"a container that is killed for its memory gets twice as much": {
			modify: func(s *aianalysisv1.AIAnalysisSpec) { outOfMemory(s, 100<<20+1) },
			want:   "out-of-memory-double", wantCause: "Container app of Deployment shop/cart needs more memory than its limit, and was killed for that.",
			wantAction: `{"type":"increase-resources","increaseResources":{"namespace":"shop","name":"cart","container":"app","memoryLimit":"201Mi"}}`,
		},
		"a container that is killed now and then gets twice as much when the signal is about it": {
			modify: func(s *aianalysisv1.AIAnalysisSpec) {
				outOfMemory(s, 100<<20)
				s.SignalContext.Name = "ContainerOOMKilled"
				s.Enrichment.Containers = s.Enrichment.Containers[2:]
				s.Enrichment.Containers[0].CrashLooping = false
			},
			want: "out-of-memory-double", wantCause: "Container app of Deployment shop/cart needs more memory than its limit, and was killed for that.",
			wantAction: `{"type":"increase-resources","increaseResources":{"namespace":"shop","name":"cart","container":"app","memoryLimit":"200Mi"}}`,
		},
		"when that has failed it gets four times as much": {
			modify: func(s *aianalysisv1.AIAnalysisSpec) {
				recovery(s, "out-of-memory-double")
				outOfMemory(s, 2<<30)
			},
			want: "out-of-memory-fourfold", wantCause: "Container app of Deployment shop/cart needs more than twice the memory of its limit.",
			wantAction: `{"type":"increase-resources","increaseResources":{"namespace":"shop","name":"cart","container":"app","memoryLimit":"8192Mi"}}`,
		},
		"a saturated deployment is scaled out": {
			modify: func(s *aianalysisv1.AIAnalysisSpec) {
				s.SignalContext.Name = "KubeDeploymentSaturated"
				s.Enrichment.Containers = nil
				s.Enrichment.Health = shared.Health{Status: shared.HealthCurrent, DesiredReplicas: new(int32(3)), AvailableReplicas: new(int32(3))}
			},
			want:       "scale-out-deployment",
			wantCause:  "KubeDeploymentSaturated: the 3 pods of Deployment shop/cart are healthy and not enough for the load.",
			wantAction: `{"type":"scale-deployment","scaleDeployment":{"namespace":"shop","name":"cart","replicas":5}}`,
		},
		"what is unknown is told to people": {
			modify: func(s *aianalysisv1.AIAnalysisSpec) {
				s.Enrichment = shared.Enrichment{Health: shared.Health{Status: shared.HealthNotFound, Message: "it does not exist"}}
				s.Target = shared.Target{APIVersion: "v1", Kind: "Node", Name: "worker-1"}
			},
			want:      "notify-on-unknown",
			wantCause: "The cause of KubeDeploymentRolloutStuck on Node worker-1 is not known to any playbook; its health is NotFound.",
			wantAction: `{"type":"notify-only","notifyOnly":{"message":"No playbook knows how to repair KubeDeploymentRolloutStuck (critical) on Node ` +
				`worker-1 in environment production. Health: NotFound it does not exist","severity":"critical"}}`,
		},
	}
	for sentence, test := range tests {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			got := analyze(t, specOf(test.modify), playbooks...)
			if got.Recommendation == nil || got.Recommendation.PlaybookRef != test.want {
				t.Fatalf("got %+v", got)
			}
			action, err := json.Marshal(got.Recommendation.WorkflowDefinition.Steps[0].Action)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]string{test.wantCause, test.wantAction}, []string{got.RootCause, string(action)}); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

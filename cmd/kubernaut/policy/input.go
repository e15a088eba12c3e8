package policy

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/cmd/kubernaut/terminal"
	livefacts "kubernaut.io/kubernaut/controllers/facts"
	"kubernaut.io/kubernaut/controllers/kubernetesexecution/actions"
	"kubernaut.io/kubernaut/controllers/workflowexecution/planning"
	"kubernaut.io/kubernaut/policies/gate"
	"kubernaut.io/kubernaut/policies/gate/authoring"
)

// inputFlags say which input documents are made.
type inputFlags struct {
	terminal.Cluster

	live     bool
	workflow string
	facts    string
	step     string
	stage    string
	time     string
}

func (f *inputFlags) add(command *cobra.Command) {
	flags := command.Flags()
	flags.StringVarP(&f.workflow, "filename", "f", "", "manifest of a WorkflowExecution; - is standard input")
	flags.StringVar(&f.facts, "facts", "", "YAML file with parts of the input document, such as target.object and namespace.labels; below steps.<name> for one step only")
	flags.StringVar(&f.step, "step", "", "name of the only step to look at")
	flags.StringVar(&f.stage, "stage", string(gate.StagePlan), "when the steps are judged: plan, step or rollback")
	flags.StringVar(&f.time, "time", "", "the time that the policies see, in RFC 3339 (default now)")
	flags.BoolVar(&f.live, "live", false, "read the facts from the cluster of your kubeconfig, with your own rights; --facts stands above what was read")
	f.Add(command)
}

// load makes the input documents of the steps that were asked for.
func (f *inputFlags) load(ctx context.Context, in io.Reader) ([]*gate.Input, error) {
	if f.workflow == "" {
		return nil, errors.New("name the manifest of a workflow with -f")
	}
	if !slices.Contains(gate.Stages(), gate.Stage(f.stage)) {
		return nil, fmt.Errorf("--stage: %q is not one of plan, step, rollback", f.stage)
	}
	now := time.Now()
	if f.time != "" {
		var err error
		if now, err = time.Parse(time.RFC3339Nano, f.time); err != nil {
			return nil, fmt.Errorf("--time: %q is not a time as 2026-03-01T12:00:00Z", f.time)
		}
	}
	workflow, err := readWorkflow(in, f.workflow)
	if err != nil {
		return nil, err
	}
	facts, err := f.readFacts(in, workflow)
	if err != nil {
		return nil, err
	}
	if f.step != "" && !slices.Contains(stepNames(workflow), f.step) {
		return nil, fmt.Errorf("--step: the workflow has no step %q, but %s", f.step, strings.Join(stepNames(workflow), ", "))
	}
	known, err := f.known(ctx, workflow, now)
	if err != nil {
		return nil, err
	}
	var inputs []*gate.Input
	for _, document := range known {
		if f.step != "" && f.step != document.Step.Name {
			continue
		}
		input, err := newInput(workflow, document, facts, f.silence())
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.facts, err)
		}
		inputs = append(inputs, input)
	}
	return inputs, nil
}

// known are the documents of all steps without the facts of a file.
func (f *inputFlags) known(ctx context.Context, workflow *workflowexecutionv1.WorkflowExecution, now time.Time) ([]*gate.Input, error) {
	if f.live {
		return f.read(ctx, workflow, now)
	}
	inputs := make([]*gate.Input, len(workflow.Spec.WorkflowDefinition.Steps))
	for i := range inputs {
		var err error
		if inputs[i], err = knownInput(workflow, i, gate.Stage(f.stage), now); err != nil {
			return nil, err
		}
	}
	return inputs, nil
}

// read reads them from the cluster.
func (f *inputFlags) read(ctx context.Context, workflow *workflowexecutionv1.WorkflowExecution, now time.Time) ([]*gate.Input, error) {
	scheme, err := terminal.Scheme()
	if err != nil {
		return nil, err
	}
	person, namespace, err := f.Client(scheme)
	if err != nil {
		return nil, err
	}
	workflow.Namespace = cmp.Or(workflow.Namespace, namespace)
	return livefacts.NewLive(person, fixedClock(now)).Inputs(ctx, workflow, gate.Stage(f.stage))
}

// fixedClock shows the same time always.
type fixedClock time.Time

// Now is that time.
func (c fixedClock) Now() time.Time { return time.Time(c) }

// Since is how long it is ago.
func (c fixedClock) Since(then time.Time) time.Duration { return time.Time(c).Sub(then) }

// silence is why something is unknown that nobody has said anything about.
func (f *inputFlags) silence() string {
	if f.live {
		return notRead
	}
	return notGiven
}

func stepNames(workflow *workflowexecutionv1.WorkflowExecution) []string {
	var names []string
	for _, step := range workflow.Spec.WorkflowDefinition.Steps {
		names = append(names, step.Name)
	}
	return names
}

// facts are what a file says about the surroundings: parts of the input document of every step, and of one only.
type facts struct {
	all   map[string]any
	steps map[string]map[string]any
}

const stepsKey = "steps"

const liveHelp = `With --live the facts are read from the cluster of your kubeconfig, with your own rights, and the API server is asked to try the change
as you, if you may. Nothing is changed. What you may not read is null, and named in input.missing with the reason.`

func (f *inputFlags) readFacts(in io.Reader, workflow *workflowexecutionv1.WorkflowExecution) (facts, error) {
	result := facts{all: map[string]any{}, steps: map[string]map[string]any{}}
	if f.facts == "" {
		return result, nil
	}
	text, err := readFile(in, f.facts)
	if err != nil {
		return result, err
	}
	if text, err = yaml.YAMLToJSON(text); err != nil {
		return result, fmt.Errorf("%s: %w", f.facts, err)
	}
	if err := decodeExactly(text, &result.all); err != nil {
		return result, fmt.Errorf("%s: it holds parts of the input document: %w", f.facts, err)
	}
	own, given := result.all[stepsKey]
	if !given {
		return result, nil
	}
	delete(result.all, stepsKey)
	perStep, is := own.(map[string]any)
	if !is {
		return result, fmt.Errorf("%s: steps: it holds facts by the name of a step", f.facts)
	}
	for name, value := range perStep {
		if !slices.Contains(stepNames(workflow), name) {
			return result, fmt.Errorf("%s: steps.%s: the workflow has no such step, but %s", f.facts, name, strings.Join(stepNames(workflow), ", "))
		}
		if result.steps[name], is = value.(map[string]any); !is {
			return result, fmt.Errorf("%s: steps.%s: it holds parts of the input document", f.facts, name)
		}
	}
	return result, nil
}

const (
	notGiven = "it is not among the given facts"
	notRead  = "nothing in the cluster says it"
)

// newInput is the input document of a step: what is known, and the facts on top of it.
func newInput(workflow *workflowexecutionv1.WorkflowExecution, known *gate.Input, facts facts, silence string) (*gate.Input, error) {
	document, err := asMap(known)
	if err != nil {
		return nil, err
	}
	for _, more := range []map[string]any{facts.all, facts.steps[known.Step.Name]} {
		document = merge(document, more)
	}
	if namespace, is := document["namespace"].(map[string]any); is && namespace["labels"] != nil && namespace["name"] == nil {
		namespace["name"] = known.Target.Namespace
	}
	var input gate.Input
	if err := decodeInput(document, &input); err != nil {
		return nil, err
	}
	input.Target.Object = gate.SanitizeObject(&unstructured.Unstructured{Object: input.Target.Object})
	// A document that was printed and is handed in again says what was missing then.
	input.Missing = slices.DeleteFunc(input.Missing, func(m gate.MissingFact) bool { return m.Reason == notGiven })
	absent, err := authoring.Absent(&input, notThere(workflow, &input))
	if err != nil {
		return nil, err
	}
	for _, path := range absent {
		if !slices.ContainsFunc(input.Missing, func(m gate.MissingFact) bool { return covers(m.Path, path) || covers(path, m.Path) }) {
			input.Missing = append(input.Missing, gate.MissingFact{Path: path, Reason: silence})
		}
	}
	// A fact of the file stands above what could not be read.
	input.Missing = slices.DeleteFunc(input.Missing, func(m gate.MissingFact) bool {
		return says(facts.all, m.Path) || says(facts.steps[known.Step.Name], m.Path)
	})
	return &input, nil
}

// says whether a document knows anything at a path: an object of which all is null says nothing.
func says(document map[string]any, path string) bool {
	name, below, more := strings.Cut(path, ".")
	if !more {
		return known(document[name])
	}
	inner, is := document[name].(map[string]any)
	return is && says(inner, below)
}

func known(value any) bool {
	object, is := value.(map[string]any)
	if !is {
		return value != nil
	}
	return slices.ContainsFunc(slices.Collect(maps.Values(object)), known)
}

// covers says whether a path is another one or above it.
func covers(path, other string) bool { return other == path || strings.HasPrefix(other, path+".") }

func asMap(value any) (map[string]any, error) {
	text, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	var result map[string]any
	err = decodeExactly(text, &result)
	return result, err
}

// decodeExactly keeps numbers as they are written: nanoseconds do not fit a float.
func decodeExactly(text []byte, into *map[string]any) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	return decoder.Decode(into)
}

// merge puts facts over a document. Objects are merged; everything else is replaced.
func merge(document, facts map[string]any) map[string]any {
	merged := maps.Clone(document)
	for name, fact := range facts {
		below, isObject := fact.(map[string]any)
		before, wasObject := merged[name].(map[string]any)
		if isObject && wasObject {
			merged[name] = merge(before, below)
		} else if fact != nil || !wasObject {
			merged[name] = fact
		}
	}
	return merged
}

func decodeInput(document map[string]any, into *gate.Input) error {
	text, err := json.Marshal(document)
	if err != nil {
		return err
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return fmt.Errorf("%s: the names and types are those of the input document, which kubernaut policy input prints",
			strings.TrimPrefix(err.Error(), "json: "))
	}
	return nil
}

// knownInput is what the manifest alone says.
func knownInput(workflow *workflowexecutionv1.WorkflowExecution, index int, stage gate.Stage, now time.Time) (*gate.Input, error) {
	definition := workflow.Spec.WorkflowDefinition
	step := definition.Steps[index]
	input := gate.NewInput(stage, now)
	input.Workflow = gate.Workflow{
		Name: workflow.Name, Namespace: workflow.Namespace,
		Labels: orEmpty(workflow.Labels), Annotations: orEmpty(workflow.Annotations),
		Definition: gate.Definition{Name: definition.Name, Version: definition.Version},
		Mode:       workflow.Spec.Mode, TotalSteps: len(definition.Steps),
	}
	if requester := workflow.Spec.RequestedBy; requester.Username != "" {
		input.Requester = gate.Requester{Username: &requester.Username, Groups: append([]string{}, requester.Groups...)}
	}
	input.Remediation.Present = new(workflow.Spec.RemediationRequestRef != nil)
	if request := workflow.Spec.RemediationRequestRef; request != nil {
		input.Remediation.Request = gate.Request{Name: &request.Name, UID: new(string(request.UID))}
	}
	input.Step = gate.Step{
		Index: index, Name: step.Name, Action: step.Action, DependsOn: append([]string{}, step.DependsOn...), Critical: step.Critical,
	}
	if stage != gate.StagePlan {
		input.Step.Attempt = new(int32(1))
	}
	if action, is := actions.Get(step.Action.Type); is {
		input.Step.Reversibility = new(string(action.Reversibility()))
	}
	if target := targetOf(&step.Action); target != nil {
		input.Target = gate.Target{APIVersion: &target.APIVersion, Kind: &target.Kind, Name: &target.Name}
		if target.Namespace != "" {
			input.Target.Namespace = &target.Namespace
		}
	}
	return input, addPlan(input, workflow)
}

func targetOf(action *shared.Action) *shared.Target {
	known, is := actions.Get(action.Type)
	if !is {
		return nil
	}
	return known.Target(action)
}

// addPlan plans the workflow as the manager does. The digest of the plan depends on the targets as they are, which are not known.
func addPlan(input *gate.Input, workflow *workflowexecutionv1.WorkflowExecution) error {
	steps := workflow.Spec.WorkflowDefinition.Steps
	graph, err := planning.NewGraph(steps, func(i int) string {
		if target := targetOf(&steps[i].Action); target != nil {
			return target.Key()
		}
		return ""
	})
	if err != nil {
		return err
	}
	plan, err := planning.Build(graph, planning.Input{
		Definition: workflow.Spec.WorkflowDefinition, Strategy: workflow.Spec.ExecutionStrategy, Mode: workflow.Spec.Mode,
		TypicalDuration: func(i int) time.Duration {
			if action, is := actions.Get(steps[i].Action.Type); is {
				return action.TypicalDuration()
			}
			return 0
		},
	})
	if err != nil {
		return err
	}
	input.Workflow.Strategy = new(string(plan.Strategy))
	input.Plan = gate.Plan{Batches: [][]int{}}
	if plan.EstimatedDuration != nil {
		input.Plan.EstimatedDuration = new(plan.EstimatedDuration.Duration.String())
	}
	for _, batch := range plan.Batches {
		indices := make([]int, len(batch))
		for i, step := range batch {
			indices[i] = int(step)
		}
		input.Plan.Batches = append(input.Plan.Batches, indices)
	}
	return nil
}

func orEmpty(labels map[string]string) map[string]string {
	if labels == nil {
		return map[string]string{}
	}
	return labels
}

// notThere are the paths that are null because there is no such thing, not because it is unknown.
func notThere(workflow *workflowexecutionv1.WorkflowExecution, input *gate.Input) []string {
	paths := []string{"step.action"}
	if workflow.Spec.RemediationRequestRef == nil {
		paths = append(paths, "remediation")
	}
	if input.Stage == gate.StagePlan {
		paths = append(paths, "step.attempt")
	}
	if input.Target.Kind == nil {
		return append(paths, "target", "namespace", "impact", "rollback")
	}
	if input.Target.Namespace == nil {
		paths = append(paths, "target.namespace", "namespace")
	}
	if managed := input.Target.GitOps.Managed; managed != nil && !*managed {
		paths = append(paths, "target.gitops")
	}
	if present := input.Target.HPA.Present; present != nil && !*present {
		paths = append(paths, "target.hpa")
	}
	return paths
}

func newInputCommand() *cobra.Command {
	var flags inputFlags
	command := &cobra.Command{
		Use:   "input -f WORKFLOW",
		Short: "Print the input document of a step, to paste into a test",
		Long: `Print the input document that a policy sees for a step of a workflow: as JSON, which Rego reads too.

What neither the workflow nor the facts say is null, and named in input.missing.

` + liveHelp + `

` + exitCodes,
		Example: "  kubernaut policy input -f workflow.yaml --facts facts.yaml --step scale\n  kubernaut policy input -f workflow.yaml --live",
		Args:    terminal.Args(cobra.NoArgs),
		RunE: terminal.Run(func(command *cobra.Command, _ []string) error {
			inputs, err := flags.load(command.Context(), command.InOrStdin())
			if err != nil {
				return err
			}
			if len(inputs) > 1 {
				names := make([]string, len(inputs))
				for i, input := range inputs {
					names[i] = input.Step.Name
				}
				return fmt.Errorf("the workflow has several steps: choose one of %s with --step", strings.Join(names, ", "))
			}
			return terminal.WriteJSON(command.OutOrStdout(), inputs[0])
		}),
	}
	flags.add(command)
	return command
}

package policy

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"kubernaut.io/kubernaut/api/shared"
	"kubernaut.io/kubernaut/cmd/kubernaut/terminal"
	"kubernaut.io/kubernaut/policies/gate"
	"kubernaut.io/kubernaut/policies/gate/authoring"
)

// candidateFlags name the policies that judge.
type candidateFlags struct {
	policies []string
	baseline bool
	enforce  bool
}

func (f *candidateFlags) add(command *cobra.Command) {
	flags := command.Flags()
	flags.StringSliceVar(&f.policies, "policies", nil, "folder of policies; may be given more than once")
	flags.BoolVar(&f.baseline, "baseline", true, "add the policies that this binary holds; one of the same name in --policies takes its place")
	flags.BoolVar(&f.enforce, "enforce", false, "have the policies of --policies decide, whatever enforcement their METADATA says")
}

func (f *candidateFlags) load() (*authoring.Set, error) {
	if len(f.policies) == 0 {
		if !f.baseline {
			return nil, fmt.Errorf("there is no policy: name a folder with --policies, or leave out --baseline=false")
		}
		return authoring.Load(authoring.Folders{BaselineOwn: true})
	}
	return authoring.Load(authoring.Folders{Dirs: f.policies, Baseline: f.baseline, Enforce: f.enforce})
}

type evalFlags struct {
	input      inputFlags
	candidates candidateFlags
	output     outputFlag
	explain    bool
	failOn     string
}

func newEvalCommand() *cobra.Command {
	var flags evalFlags
	command := &cobra.Command{
		Use:   "eval -f WORKFLOW",
		Short: "Judge the steps of a workflow, and say which rules decided by which facts",
		Long: `Judge each step of a workflow as the manager does, and name the rules that fired with their place and the facts that they read.

Facts come from a file with parts of the input document. What it does not say is unknown, and policies deny what they need to know:

    target:
      object: {spec: {replicas: 2}}     # or the whole object, as kubectl get -o json prints it
    namespace:
      labels: {kubernaut.io/environment: production}
    steps:                              # what holds for one step only
      scale:
        impact: {podsAffected: 2}

` + liveHelp + `

Exit codes: 0 the steps were judged; 1 a verdict was at least as hard as --fail-on; 2 wrong arguments, an unreadable file, or a policy
that does not compile.`,
		Example: "  kubernaut policy eval -f workflow.yaml --facts facts.yaml\n  kubernaut policy eval -f workflow.yaml --policies my-policies --explain\n  kubernaut policy eval -f workflow.yaml --live",
		Args:    terminal.Args(cobra.NoArgs),
		RunE: terminal.Run(func(command *cobra.Command, _ []string) error {
			return flags.run(command.Context(), command.InOrStdin(), command.OutOrStdout(), command.ErrOrStderr())
		}),
	}
	flags.input.add(command)
	flags.candidates.add(command)
	flags.output.add(command)
	command.Flags().BoolVar(&flags.explain, "explain", false, "say why the rules that did not fire did not")
	command.Flags().StringVar(&flags.failOn, "fail-on", "", "end with 1 when a verdict is RequireApproval, Hold or Deny, or a harder one")
	return command
}

// verdicts from the mildest to the hardest.
func verdicts() []shared.Verdict {
	return []shared.Verdict{shared.VerdictAllow, shared.VerdictRequireApproval, shared.VerdictHold, shared.VerdictDeny}
}

func hardness(verdict shared.Verdict) int { return slices.Index(verdicts(), verdict) }

// evalReport is the output as JSON.
type evalReport struct {
	PolicySetRevision string       `json:"policySetRevision"`
	Steps             []stepReport `json:"steps"`
}

type stepReport struct {
	Step    string                 `json:"step"`
	Index   int                    `json:"index"`
	Action  shared.ActionType      `json:"action"`
	Target  string                 `json:"target,omitempty"`
	Verdict shared.Verdict         `json:"verdict"`
	Rules   []authoring.FiredRule  `json:"rules"`
	Silent  []authoring.SilentRule `json:"silent,omitempty"`
	Missing []gate.MissingFact     `json:"missing"`
}

func (f *evalFlags) run(ctx context.Context, in io.Reader, out, problems io.Writer) error {
	if err := f.output.validate(); err != nil {
		return err
	}
	if f.failOn != "" && hardness(shared.Verdict(f.failOn)) < 1 {
		return fmt.Errorf("--fail-on: %q is not one of RequireApproval, Hold, Deny", f.failOn)
	}
	inputs, err := f.input.load(ctx, in)
	if err != nil {
		return err
	}
	set, err := f.candidates.load()
	if err != nil {
		return err
	}
	evaluator, err := set.NewEvaluator(ctx, gate.Options{})
	if err != nil {
		return compileFailure(problems, err)
	}
	report := evalReport{PolicySetRevision: evaluator.Revision()}
	for _, input := range inputs {
		evaluation, err := evaluator.Evaluate(ctx, input, f.explain)
		if err != nil {
			return err
		}
		report.Steps = append(report.Steps, newStepReport(input, evaluation))
	}
	if f.output.format == formatJSON {
		err = terminal.WriteJSON(out, report)
	} else {
		report.print(out, f.explain)
	}
	if err != nil {
		return err
	}
	return f.result(report)
}

func newStepReport(input *gate.Input, evaluation *authoring.Evaluation) stepReport {
	report := stepReport{
		Step: input.Step.Name, Index: input.Step.Index, Action: input.Step.Action.Type, Verdict: evaluation.Decision.Verdict,
		Rules: evaluation.Fired, Silent: evaluation.Silent, Missing: input.Missing,
	}
	if target := targetOf(&input.Step.Action); target != nil {
		report.Target = target.String()
	}
	return report
}

func (f *evalFlags) result(report evalReport) error {
	if f.failOn == "" {
		return nil
	}
	var names []string
	for _, step := range report.Steps {
		if hardness(step.Verdict) >= hardness(shared.Verdict(f.failOn)) {
			names = append(names, step.Step+" "+string(step.Verdict))
		}
	}
	if names == nil {
		return nil
	}
	return terminal.Findings(strings.Join(names, ", "))
}

func (r evalReport) print(out io.Writer, explain bool) {
	for i, step := range r.Steps {
		if i > 0 {
			fmt.Fprintln(out)
		}
		step.print(out, explain)
	}
}

func (r stepReport) print(out io.Writer, explain bool) {
	colour := terminal.Painter(out)
	fmt.Fprintf(out, "%s: %s", colour.Bold(r.Step), r.Action)
	if r.Target != "" {
		fmt.Fprintf(out, " of %s", r.Target)
	}
	fmt.Fprintf(out, ": %s\n", colour.Tone(terminal.VerdictTone(r.Verdict), string(r.Verdict)))
	for _, rule := range r.Rules {
		printFired(out, rule)
	}
	if explain {
		for _, rule := range r.Silent {
			printSilent(out, rule)
		}
	}
	if len(r.Missing) > 0 {
		paths := make([]string, len(r.Missing))
		for i, fact := range r.Missing {
			paths[i] = fact.Path
		}
		fmt.Fprintf(out, "  %s %s\n", colour.Faint("unknown:"), strings.Join(paths, ", "))
	}
}

func printFired(out io.Writer, rule authoring.FiredRule) {
	colour := terminal.Painter(out)
	name := rule.Policy
	if rule.Code != "" {
		name += "/" + rule.Code
	}
	effect := string(rule.Effect)
	if rule.Approvers > 1 {
		effect += fmt.Sprintf(" (%d people)", rule.Approvers)
	}
	if rule.Recorded {
		effect = "recorded only: " + effect
	}
	fmt.Fprintf(out, "  %s %s: %s\n", effect, colour.Bold(name), rule.Message)
	if rule.File != "" {
		fmt.Fprintf(out, "    %s\n", colour.Faint(fmt.Sprintf("%s:%d", rule.File, rule.Row)))
	}
	for _, fact := range rule.Facts {
		fmt.Fprintf(out, "    %s\n", factText(fact))
	}
}

func printSilent(out io.Writer, rule authoring.SilentRule) {
	colour := terminal.Painter(out)
	place := colour.Faint(fmt.Sprintf("%s:%d", rule.File, rule.Row))
	if rule.NotAsked {
		fmt.Fprintf(out, "  %s %s would fire, but the policy is not asked about this step, by its match or its stages\n    %s\n",
			colour.Bold(rule.Policy), rule.Rule, place)
		return
	}
	fmt.Fprintf(out, "  %s %s did not fire\n    %s\n", colour.Bold(rule.Policy), rule.Rule, place)
	printLines(out, rule.Why, "    ")
}

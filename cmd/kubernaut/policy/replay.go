package policy

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"kubernaut.io/kubernaut/cmd/kubernaut/terminal"
	"kubernaut.io/kubernaut/policies/gate/authoring"
)

type replayFlags struct {
	decisions   string
	candidates  candidateFlags
	output      outputFlag
	expect      []string
	skipInvalid bool
}

func newReplayCommand() *cobra.Command {
	var flags replayFlags
	command := &cobra.Command{
		Use:   "replay --decisions FILE --policies DIR",
		Short: "Judge recorded decisions again by other policies, and list the verdicts that change",
		Long: `Judge every decision of a log again by the policies of a folder, together with those that this binary holds, and list the verdicts
that change with the rule responsible: where the verdict becomes harder the rule that decides now, where it becomes milder the one that
decided then.

The log holds one JSON object a line, as the manager writes it with --decision-log-inputs: a decision (id, time, stage, verdict, rules)
with the member input. Files that end in .gz are unpacked; - is standard input.

A policy whose METADATA says Audit or Warn changes no verdict. --enforce shows what it would do.

Exit codes: 0 nothing became milder but what was expected; 1 something did, or lines could not be judged; 2 wrong arguments, an unreadable
file, or a policy that does not compile.`,
		Example: "  kubernaut policy replay --decisions decisions.jsonl --policies my-policies --enforce\n" +
			"  kubernaut policy replay --decisions decisions.jsonl.gz --policies my-policies --expect night/too_late",
		Args: terminal.Args(cobra.NoArgs),
		RunE: terminal.Run(func(command *cobra.Command, _ []string) error {
			return flags.run(command.Context(), command.InOrStdin(), command.OutOrStdout(), command.ErrOrStderr())
		}),
	}
	flags.candidates.add(command)
	flags.output.add(command)
	command.Flags().StringVar(&flags.decisions, "decisions", "", "log of decisions, one JSON object a line")
	command.Flags().StringSliceVar(&flags.expect, "expect", nil, "rule, as policy or policy/code, that may let through what it once kept from running; may be given more than once")
	command.Flags().BoolVar(&flags.skipInvalid, "skip-invalid", false, "do not fail because of lines that cannot be judged")
	return command
}

func (f *replayFlags) run(ctx context.Context, in io.Reader, out, messages io.Writer) error {
	if err := f.output.validate(); err != nil {
		return err
	}
	if f.decisions == "" {
		return errors.New("name a log of decisions with --decisions")
	}
	set, err := f.candidates.load()
	if err != nil {
		return err
	}
	log, done, err := openLog(in, f.decisions)
	if err != nil {
		return err
	}
	defer done()
	progress := newProgress(messages)
	report, err := set.Replay(ctx, log, authoring.ReplayOptions{Expected: f.expect, Progress: progress.show})
	progress.end()
	if err != nil {
		return compileFailure(messages, err)
	}
	if f.output.format == formatJSON {
		err = terminal.WriteJSON(out, report)
	} else {
		printReplay(out, report)
	}
	if err != nil {
		return err
	}
	return f.result(report)
}

func (f *replayFlags) result(report *authoring.ReplayReport) error {
	if report.Decisions == 0 {
		return fmt.Errorf("%s: it holds no decision that can be judged again: the manager writes inputs with --decision-log-inputs", f.decisions)
	}
	var wrong []string
	if unexpected := report.Unexpected(); unexpected > 0 {
		wrong = append(wrong, terminal.Count(unexpected, "verdict")+" became milder; if that is what you want, name the rules with --expect")
	}
	if report.Invalid > 0 && !f.skipInvalid {
		wrong = append(wrong, terminal.Count(report.Invalid, "line")+" could not be judged; --skip-invalid leaves them out")
	}
	if wrong == nil {
		return nil
	}
	return terminal.Findings(strings.Join(wrong, "; "))
}

func openLog(in io.Reader, name string) (log io.Reader, done func(), err error) {
	if name == "-" {
		return in, func() {}, nil
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, nil, err
	}
	closeFile := func() { _ = file.Close() }
	if !strings.HasSuffix(name, ".gz") {
		return file, closeFile, nil
	}
	unpacked, err := gzip.NewReader(file)
	if err != nil {
		closeFile()
		return nil, nil, fmt.Errorf("%s: %w", name, err)
	}
	return unpacked, closeFile, nil
}

func printReplay(out io.Writer, report *authoring.ReplayReport) {
	colour := terminal.Painter(out)
	for _, flip := range report.Flips {
		change := fmt.Sprintf("%s → %s", flip.From, flip.To)
		switch {
		case flip.Looser && !flip.Expected:
			change = colour.Red(change)
		case flip.Looser:
			change = colour.Green(change + " (expected)")
		default:
			change = colour.Yellow(change)
		}
		fmt.Fprintf(out, "%s  %d×  %s: %s\n", change, flip.Count, colour.Bold(flip.Rule), flip.Message)
		ids := strings.Join(flip.IDs, ", ")
		if flip.Count > len(flip.IDs) {
			ids += ", …"
		}
		fmt.Fprintf(out, "  %s\n", colour.Faint(ids))
	}
	for _, line := range report.InvalidLines {
		fmt.Fprintf(out, "line %d: %s\n", line.Line, line.Reason)
	}
	if more := report.Invalid - len(report.InvalidLines); more > 0 {
		fmt.Fprintf(out, "… and %s more\n", terminal.Count(more, "line"))
	}
	fmt.Fprintf(out, "%s judged again, %d with the same verdict\n", terminal.Count(report.Decisions, "decision"), report.Same)
}

// progress counts on a terminal.
type progress struct {
	out   io.Writer
	shown bool
	last  time.Time
}

func newProgress(out io.Writer) *progress {
	if !terminal.IsTerminal(out) {
		return &progress{}
	}
	return &progress{out: out}
}

const progressInterval = 200 * time.Millisecond

func (p *progress) show(done int) {
	if p.out == nil || time.Since(p.last) < progressInterval {
		return
	}
	p.last, p.shown = time.Now(), true
	fmt.Fprintf(p.out, "\r%s judged again", terminal.Count(done, "decision"))
}

func (p *progress) end() {
	if p.shown {
		fmt.Fprint(p.out, "\r\x1b[K")
	}
}

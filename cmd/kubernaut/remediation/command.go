// Package remediation is the command line of the people on call: what is being repaired, why, and how it is stopped.
package remediation

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	remediationv1 "kubernaut.io/kubernaut/api/remediation/v1"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/cmd/kubernaut/terminal"
	"kubernaut.io/kubernaut/policies/gate"
)

const (
	nameHelp = `NAME is that of a RemediationRequest or WorkflowExecution; where both have it, say rr/NAME or wfe/NAME.`

	exitCodes = `Exit codes: 0 all is well; 2 wrong arguments, no cluster, or no right to.`

	watchExitCodes = `Exit codes: 0 it is completed; 1 it failed, whatever was undone; 2 wrong arguments, no cluster, or no right to; 3 the end was not
seen, because --timeout passed or it was deleted; 130 interrupted.`
)

// completionTimeout bounds how long a shell waits for names.
const completionTimeout = 3 * time.Second

// NewCommands are the commands that stand directly below kubernaut.
func NewCommands() []*cobra.Command {
	return []*cobra.Command{
		newGetCommand(), newTreeCommand(), newWatchCommand(), newLogsCommand(),
		newCancelCommand(), newSuspendCommand(), newResumeCommand(), newRollbackCommand(),
	}
}

// connection is a cluster that a command works on.
type connection struct {
	terminal.Cluster

	scheme    *runtime.Scheme
	config    *rest.Config
	client    client.WithWatch
	namespace string
}

func (c *connection) open() error {
	var err error
	if c.scheme, err = terminal.Scheme(); err != nil {
		return err
	}
	if c.config, err = c.Config(); err != nil {
		return err
	}
	c.client, c.namespace, err = c.Client(c.scheme)
	return err
}

// find opens the connection and finds what is meant.
func (c *connection) find(ctx context.Context, name string) (client.Object, error) {
	if err := c.open(); err != nil {
		return nil, err
	}
	return resolve(ctx, c.client, c.namespace, name)
}

// add adds the flags of the connection, and the completion of names and namespaces.
func (c *connection) add(command *cobra.Command, offered func(client.Object) bool) {
	c.Add(command)
	command.ValidArgsFunction = func(command *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return c.names(command.Context(), typed, offered), cobra.ShellCompDirectiveNoFileComp
	}
	// The only error is that there is no such flag.
	_ = command.RegisterFlagCompletionFunc("namespace", func(command *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
		return c.namespaces(command.Context(), typed), cobra.ShellCompDirectiveNoFileComp
	})
}

// names completes a name. A shell shows nothing else, so an error is no name.
func (c *connection) names(ctx context.Context, typed string, offered func(client.Object) bool) []string {
	ctx, cancel := context.WithTimeout(ctx, completionTimeout)
	defer cancel()
	if err := c.open(); err != nil {
		return nil
	}
	objects, err := list(ctx, c.client, c.namespace)
	if err != nil {
		return nil
	}
	return completions(objects, typed, offered)
}

// completions are the names that fit what was typed, each with what it stands for. A name that a request and a workflow share is
// offered with its kind.
func completions(objects []client.Object, typed string, offered func(client.Object) bool) []string {
	count := map[string]int{}
	for _, object := range objects {
		count[object.GetName()]++
	}
	prefix, _, slash := strings.Cut(typed, "/")
	var names []string
	for _, object := range objects {
		if !offered(object) {
			continue
		}
		name := object.GetName()
		switch known := kindNames()[strings.ToLower(prefix)]; {
		case slash && known != kindOf(object):
			continue
		case slash:
			name = prefix + "/" + name
		case count[name] > 1:
			name = short(object)
		}
		if strings.HasPrefix(name, typed) {
			names = append(names, name+"\t"+completionText(object))
		}
	}
	return names
}

func completionText(object client.Object) string {
	switch o := object.(type) {
	case *remediationv1.RemediationRequest:
		return phaseText(string(o.Status.OverallPhase)) + ": " + o.Spec.Target.String()
	case *workflowexecutionv1.WorkflowExecution:
		return phaseText(string(o.Status.Phase)) + ": " + targetsText(o)
	default:
		return ""
	}
}

func (c *connection) namespaces(ctx context.Context, typed string) []string {
	ctx, cancel := context.WithTimeout(ctx, completionTimeout)
	defer cancel()
	if err := c.open(); err != nil {
		return nil
	}
	var found corev1.NamespaceList
	if err := c.client.List(ctx, &found); err != nil {
		return nil
	}
	var names []string
	for i := range found.Items {
		if strings.HasPrefix(found.Items[i].Name, typed) {
			names = append(names, found.Items[i].Name)
		}
	}
	return names
}

// What completion offers.

func anything(client.Object) bool { return true }

func running(object client.Object) bool { return unfinished(object, "stop") == nil }

func suspended(object client.Object) bool {
	w, is := object.(*workflowexecutionv1.WorkflowExecution)
	return is && running(w) && w.Spec.Suspend != nil && *w.Spec.Suspend
}

func undoableObject(object client.Object) bool {
	w, is := object.(*workflowexecutionv1.WorkflowExecution)
	return is && undoable(w) == nil
}

type getFlags struct {
	connection

	output terminal.Output
	all    bool
	active bool
}

func newGetCommand() *cobra.Command {
	var flags getFlags
	command := &cobra.Command{
		Use:   "get [NAME]",
		Short: "Show what is being repaired: phase, target, since when, and why",
		Long: `Show what is being repaired, and what was: RemediationRequests, and WorkflowExecutions that a person started. What still runs comes
first, then what changed last. The workflow of a request is told in the line of its request; tree shows it.

` + nameHelp + `

` + exitCodes,
		Example: "  kubernaut get -A\n  kubernaut get -n shop --active\n  kubernaut get rr/stuck -o yaml",
		Args:    terminal.Args(cobra.MaximumNArgs(1)),
		RunE: terminal.Run(func(command *cobra.Command, args []string) error {
			return flags.run(command.Context(), command.OutOrStdout(), command.ErrOrStderr(), args)
		}),
	}
	flags.add(command, anything)
	flags.output.Add(command, terminal.FormatWide, terminal.FormatJSON, terminal.FormatYAML, terminal.FormatName)
	command.Flags().BoolVarP(&flags.all, "all-namespaces", "A", false, "look in all namespaces")
	command.Flags().BoolVar(&flags.active, "active", false, "leave out what is over")
	return command
}

func (f *getFlags) run(ctx context.Context, out, remarks io.Writer, args []string) error {
	if err := f.output.Validate(); err != nil {
		return err
	}
	if len(args) > 0 && (f.all || f.active) {
		return terminal.Usagef("a NAME is one object: leave out --all-namespaces and --active")
	}
	var objects []client.Object
	if len(args) > 0 {
		object, err := f.find(ctx, args[0])
		if err != nil {
			return err
		}
		objects = []client.Object{object}
		if kindOf(object) == request && !f.output.Machine() {
			// For the workflow that the request's line tells of.
			if w, err := workflowOf(ctx, f.client, object); err == nil {
				objects = append(objects, w)
			}
		}
	} else {
		if err := f.open(); err != nil {
			return err
		}
		namespace := f.namespace
		if f.all {
			namespace = ""
		}
		var err error
		if objects, err = list(ctx, f.client, namespace); err != nil {
			return err
		}
	}
	rows := rowsOf(objects)
	if f.active {
		rows = slices.DeleteFunc(rows, func(r row) bool { return r.over })
	}
	return f.print(out, remarks, rows, len(args) > 0)
}

func (f *getFlags) print(out, remarks io.Writer, rows []row, single bool) error {
	if f.output.Machine() {
		objects := make([]client.Object, len(rows))
		for i, r := range rows {
			objects[i] = r.object
		}
		return f.output.Print(out, f.scheme, objects, single)
	}
	if len(rows) == 0 {
		where := " in namespace " + f.namespace
		if f.all {
			where = ""
		}
		fmt.Fprintf(remarks, "Nothing is or was being repaired%s.\n", where)
		return nil
	}
	tableOf(rows, f.all, f.output.Format == terminal.FormatWide, time.Now()).Write(out, terminal.Painter(out))
	return nil
}

type treeFlags struct {
	connection

	output terminal.Output
}

func newTreeCommand() *cobra.Command {
	var flags treeFlags
	command := &cobra.Command{
		Use:   "tree NAME",
		Short: "Show a remediation with everything made for it: steps, verdicts, durations, approvals, rollback",
		Long: `Show a remediation or workflow with everything that was made for it: examination, cause, workflow, steps in the order of the plan, the
safety gate's verdicts and the rules that fired, what each step changes, approvals, attempts, rollback. -o wide adds every attempt, the
ids of decisions and what else was considered.

` + nameHelp + `

` + exitCodes,
		Example: "  kubernaut tree stuck -n shop\n  kubernaut tree wfe/scale-cart -o wide",
		Args:    terminal.Args(cobra.ExactArgs(1)),
		RunE: terminal.Run(func(command *cobra.Command, args []string) error {
			return flags.run(command.Context(), command.OutOrStdout(), args[0])
		}),
	}
	flags.add(command, anything)
	flags.output.Add(command, terminal.FormatWide, terminal.FormatJSON, terminal.FormatYAML, terminal.FormatName)
	return command
}

func (f *treeFlags) run(ctx context.Context, out io.Writer, name string) error {
	if err := f.output.Validate(); err != nil {
		return err
	}
	root, err := f.find(ctx, name)
	if err != nil {
		return err
	}
	members, err := gather(ctx, f.client, root)
	if err != nil {
		return err
	}
	if f.output.Machine() {
		return f.output.Print(out, f.scheme, members.objects(), false)
	}
	top := treeOf(members, f.output.Format == terminal.FormatWide, time.Now())
	for _, line := range top.lines(terminal.Painter(out)) {
		fmt.Fprintln(out, line)
	}
	return nil
}

type watchFlags struct {
	connection

	timeout time.Duration
}

func newWatchCommand() *cobra.Command {
	var flags watchFlags
	command := &cobra.Command{
		Use:   "watch NAME",
		Short: "Watch a remediation live until it ends, and end as it did",
		Long: `Watch a remediation or workflow live until it ends. On a terminal the tree is drawn again whenever something changes; elsewhere each
thing that happens is a line, as kubernaut logs --follow prints it.

` + nameHelp + `

` + watchExitCodes,
		Example: "  kubernaut watch stuck -n shop\n  kubernaut watch wfe/scale-cart --timeout 10m && echo repaired",
		Args:    terminal.Args(cobra.ExactArgs(1)),
		RunE: terminal.Run(func(command *cobra.Command, args []string) error {
			return flags.run(command.Context(), command.OutOrStdout(), args[0])
		}),
	}
	flags.add(command, running)
	command.Flags().DurationVar(&flags.timeout, "timeout", 0, "give up after this time, such as 10m (default: never)")
	return command
}

func (f *watchFlags) run(ctx context.Context, out io.Writer, name string) error {
	root, err := f.find(ctx, name)
	if err != nil {
		return err
	}
	if f.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, f.timeout)
		defer cancel()
	}
	var last *family
	if onScreen(out) {
		last, err = f.redraw(ctx, out, root)
	} else {
		told := newTeller(out)
		err = f.follower(root).follow(ctx, nil, func(members *family) error {
			last = members
			told.tell(storyOf(members, nil))
			return nil
		})
	}
	return endOf(last, err)
}

func (c *connection) follower(root client.Object) follower {
	return follower{config: c.config, scheme: c.scheme, root: root}
}

// redraw draws the tree on a screen of its own, every second so that durations go on, and leaves the last one on the terminal.
func (f *watchFlags) redraw(ctx context.Context, out io.Writer, root client.Object) (*family, error) {
	paint := terminal.Painter(out)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	var last *family
	err := func() error {
		shown := screen{out}
		shown.enter()
		defer shown.leave()
		return f.follower(root).follow(ctx, tick.C, func(members *family) error {
			last = members
			top := treeOf(members, false, time.Now())
			shown.draw(top.lines(paint))
			return nil
		})
	}()
	if last != nil {
		top := treeOf(last, false, time.Now())
		for _, line := range top.lines(paint) {
			fmt.Fprintln(out, line)
		}
	}
	return last, err
}

// teller prints what was not told yet.
type teller struct {
	page

	out  io.Writer
	told map[string]bool
}

func newTeller(out io.Writer) *teller {
	return &teller{page: page{paint: terminal.Painter(out), zone: time.Local}, out: out, told: map[string]bool{}}
}

func (t *teller) tell(entries []entry) {
	for _, line := range t.lines(news(entries, t.told)) {
		fmt.Fprintln(t.out, line)
	}
}

type logsFlags struct {
	connection

	output      terminal.Output
	decisionLog string
	follow      bool
}

func newLogsCommand() *cobra.Command {
	var flags logsFlags
	command := &cobra.Command{
		Use:   "logs NAME",
		Short: "Tell the story of one remediation, in order of time",
		Long: `Tell the story of a remediation or workflow in order of time: from its statuses and conditions, from approvals, from events as long as
the cluster keeps them (an hour, by default), and, with --decision-log, from every decision of the safety gate.

The manager writes decisions to its standard output, or to the file of its flag --decision-log. Lines of another kind are passed over.

` + nameHelp + `

` + exitCodes,
		Example: "  kubernaut logs stuck -n shop\n  kubernaut logs stuck -n shop --follow\n" +
			"  kubectl logs -n kubernaut-system deploy/kubernaut-manager | kubernaut logs stuck -n shop --decision-log -",
		Args: terminal.Args(cobra.ExactArgs(1)),
		RunE: terminal.Run(func(command *cobra.Command, args []string) error {
			return flags.run(command, args[0])
		}),
	}
	flags.add(command, anything)
	flags.output.Add(command, terminal.FormatJSON)
	command.Flags().StringVar(&flags.decisionLog, "decision-log", "", "file with the decisions of the safety gate; - is standard input")
	command.Flags().BoolVarP(&flags.follow, "follow", "f", false, "go on until it ends")
	return command
}

func (f *logsFlags) run(command *cobra.Command, name string) error {
	ctx, out := command.Context(), command.OutOrStdout()
	if err := f.output.Validate(); err != nil {
		return err
	}
	if f.follow && f.output.Machine() {
		return terminal.Usagef("--follow prints for people: leave out --output")
	}
	root, err := f.find(ctx, name)
	if err != nil {
		return err
	}
	members, err := gather(ctx, f.client, root)
	if err != nil {
		return err
	}
	var decisions []gate.Record
	if f.decisionLog != "" {
		if decisions, err = readDecisions(command.InOrStdin(), f.decisionLog, root.GetNamespace()); err != nil {
			return err
		}
	}
	for _, text := range members.unread {
		fmt.Fprintln(command.ErrOrStderr(), text)
	}
	if f.output.Machine() {
		return terminal.WriteJSON(out, storyOf(members, decisions))
	}
	told := newTeller(out)
	if !f.follow {
		told.tell(storyOf(members, decisions))
		return nil
	}
	var last *family
	err = f.follower(root).follow(ctx, nil, func(members *family) error {
		last = members
		told.tell(storyOf(members, decisions))
		return nil
	})
	if last != nil && err == nil {
		return nil
	}
	return endOf(last, err)
}

type cancelFlags struct {
	connection

	mode string
}

func newCancelCommand() *cobra.Command {
	var flags cancelFlags
	command := &cobra.Command{
		Use:   "cancel NAME",
		Short: "Stop a remediation or a workflow",
		Long: `Stop a remediation or a workflow. It cannot be taken back, only made harder.

A WorkflowExecution is stopped in one of three ways:
  FinishStep         the steps that run finish, no other one starts, what was done stays (default)
  Abort              no write that has not begun is made, what was done stays
  AbortAndRollBack   as Abort, and what was done is undone
A RemediationRequest is always stopped with AbortAndRollBack, and makes no further attempt.

` + nameHelp + `

` + exitCodes,
		Example: "  kubernaut cancel stuck -n shop\n  kubernaut cancel wfe/scale-cart --mode AbortAndRollBack",
		Args:    terminal.Args(cobra.ExactArgs(1)),
		RunE: terminal.Run(func(command *cobra.Command, args []string) error {
			return flags.act(command, args[0], func(ctx context.Context, object client.Object) (string, error) {
				return cancel(ctx, flags.client, object, flags.mode)
			})
		}),
	}
	flags.add(command, running)
	command.Flags().StringVar(&flags.mode, "mode", "", "how a workflow is stopped: FinishStep (default), Abort or AbortAndRollBack")
	// The only error is that there is no such flag.
	_ = command.RegisterFlagCompletionFunc("mode", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		var names []string
		for _, mode := range cancelModes() {
			names = append(names, string(mode))
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	})
	return command
}

// act does something to what is meant, and says what that leads to.
func (c *connection) act(command *cobra.Command, name string, do func(context.Context, client.Object) (string, error)) error {
	object, err := c.find(command.Context(), name)
	if err != nil {
		return err
	}
	text, err := do(command.Context(), object)
	if err != nil {
		return err
	}
	fmt.Fprintln(command.OutOrStdout(), text)
	return nil
}

func newSuspendCommand() *cobra.Command {
	return newSuspension("suspend NAME", "Keep a workflow from starting further steps", `Keep a workflow from starting further steps until it is resumed; the steps that run go on. That of a RemediationRequest is its current one.
A suspension that lasts longer than spec.timeouts.hold, a day by default, fails the workflow.`, running, true)
}

func newResumeCommand() *cobra.Command {
	return newSuspension("resume NAME", "Let a suspended workflow go on", `Let a suspended workflow go on. That of a RemediationRequest is its current one. A hold by a policy is lifted by changing the policy.`, suspended, false)
}

func newSuspension(use, text, long string, offered func(client.Object) bool, suspended bool) *cobra.Command {
	var flags connection
	verb, _, _ := strings.Cut(use, " ")
	command := &cobra.Command{
		Use: use, Short: text, Long: long + "\n\n" + nameHelp + "\n\n" + exitCodes,
		Example: fmt.Sprintf("  kubernaut %s stuck -n shop\n  kubernaut %s wfe/scale-cart", verb, verb),
		Args:    terminal.Args(cobra.ExactArgs(1)),
		RunE: terminal.Run(func(command *cobra.Command, args []string) error {
			return flags.act(command, args[0], func(ctx context.Context, object client.Object) (string, error) {
				return suspend(ctx, flags.client, object, suspended)
			})
		}),
	}
	flags.add(command, offered)
	return command
}

type rollbackFlags struct {
	connection

	dryRun bool
}

func newRollbackCommand() *cobra.Command {
	var flags rollbackFlags
	command := &cobra.Command{
		Use:   "rollback NAME",
		Short: "Undo what a finished workflow changed",
		Long: `Undo what a finished workflow changed, by a new workflow that restores what was captured: wfe/NAME-undo. You need the rights on the
targets that the workflow's author needed. That of a RemediationRequest is its last one.

` + nameHelp + `

` + exitCodes,
		Example: "  kubernaut rollback wfe/scale-cart\n  kubernaut rollback stuck -n shop --dry-run",
		Args:    terminal.Args(cobra.ExactArgs(1)),
		RunE: terminal.Run(func(command *cobra.Command, args []string) error {
			return flags.act(command, args[0], func(ctx context.Context, object client.Object) (string, error) {
				return rollback(ctx, flags.client, object, flags.dryRun)
			})
		}),
	}
	flags.add(command, undoableObject)
	command.Flags().BoolVar(&flags.dryRun, "dry-run", false, "only try it: wfe/NAME-undo-dry-run says what would be restored")
	return command
}

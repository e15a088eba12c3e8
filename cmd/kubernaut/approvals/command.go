// Package approvals is the command line of the people who decide: what waits for them, what it would change, and their decision.
package approvals

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	safetyv1alpha1 "kubernaut.io/kubernaut/api/safety/v1alpha1"
	"kubernaut.io/kubernaut/cmd/kubernaut/terminal"
)

const exitCodes = `Exit codes: 0 all is well; 2 wrong arguments, no cluster, or no right to.`

// completionTimeout bounds how long a shell waits for names.
const completionTimeout = 3 * time.Second

// NewCommands are the commands that stand directly below kubernaut.
func NewCommands() []*cobra.Command {
	return []*cobra.Command{newListCommand(), newApproveCommand(), newRejectCommand()}
}

// connection is a cluster that a command works on.
type connection struct {
	terminal.Cluster

	scheme    *runtime.Scheme
	client    client.Client
	namespace string
}

func (c *connection) open() (err error) {
	if c.scheme, err = terminal.Scheme(); err != nil {
		return err
	}
	c.client, c.namespace, err = c.Client(c.scheme)
	return err
}

// add adds the flags of the connection, and the completion of the names of what waits.
func (c *connection) add(command *cobra.Command) {
	c.Add(command)
	command.ValidArgsFunction = func(command *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return c.names(command.Context(), typed), cobra.ShellCompDirectiveNoFileComp
	}
}

// names completes a name. A shell shows nothing else, so an error is no name.
func (c *connection) names(ctx context.Context, typed string) []string {
	ctx, cancel := context.WithTimeout(ctx, completionTimeout)
	defer cancel()
	if c.open() != nil {
		return nil
	}
	requests, err := c.list(ctx, c.namespace)
	if err != nil {
		return nil
	}
	var names []string
	for i := range requests {
		if waits(&requests[i]) && strings.HasPrefix(requests[i].Name, typed) {
			names = append(names, requests[i].Name+"\t"+headline(&requests[i]))
		}
	}
	return names
}

// list lists all requests of a namespace, or of all; what ends first comes first.
func (c *connection) list(ctx context.Context, namespace string) ([]safetyv1alpha1.ApprovalRequest, error) {
	var requests safetyv1alpha1.ApprovalRequestList
	if err := c.client.List(ctx, &requests, client.InNamespace(namespace)); err != nil {
		return nil, err
	}
	slices.SortFunc(requests.Items, byExpiry)
	return requests.Items, nil
}

// get reads one request, by its name or by apr/ and its name.
func (c *connection) get(ctx context.Context, name string) (*safetyv1alpha1.ApprovalRequest, error) {
	if err := c.open(); err != nil {
		return nil, err
	}
	name = strings.TrimPrefix(name, "apr/")
	var request safetyv1alpha1.ApprovalRequest
	err := c.client.Get(ctx, client.ObjectKey{Namespace: c.namespace, Name: name}, &request)
	if client.IgnoreNotFound(err) != nil {
		return nil, err
	}
	if err == nil {
		return &request, nil
	}
	requests, err := c.list(ctx, c.namespace)
	if err != nil {
		return nil, err
	}
	var waiting []string
	for i := range requests {
		if waits(&requests[i]) {
			waiting = append(waiting, requests[i].Name)
		}
	}
	return nil, terminal.Usagef("there is no ApprovalRequest %q in namespace %s%s; kubernaut approvals -A shows what waits", name, c.namespace, terminal.DidYouMean(name, waiting))
}

type listFlags struct {
	connection

	output   terminal.Output
	all      bool
	everyone bool
}

func newListCommand() *cobra.Command {
	flags := &listFlags{}
	command := &cobra.Command{
		Use:     "approvals [NAME]",
		Aliases: []string{"approval"},
		Short:   "Show what waits for an approval: who asked, what would change, and until when",
		Long: `Show the ApprovalRequests that wait for a decision, the one that expires first above: who asked, how many have approved, until when, and
each field that would change. NAME shows one, whatever became of it. -o wide adds the workflow, the reasons and the decisions.

` + exitCodes,
		Example: "  kubernaut approvals -A\n  kubernaut approvals scale-cart-approval-1 -n shop -o yaml",
		Args:    terminal.Args(cobra.MaximumNArgs(1)),
		RunE:    terminal.Run(flags.run),
	}
	flags.add(command)
	flags.output.Add(command, terminal.FormatWide, terminal.FormatJSON, terminal.FormatYAML, terminal.FormatName)
	command.Flags().BoolVarP(&flags.everyone, "all-namespaces", "A", false, "look in all namespaces")
	command.Flags().BoolVar(&flags.all, "all", false, "show also what is decided, expired or void")
	return command
}

func (f *listFlags) run(command *cobra.Command, args []string) error {
	if err := f.output.Validate(); err != nil {
		return err
	}
	if len(args) > 0 && (f.all || f.everyone) {
		return terminal.Usagef("a NAME is one object: leave out --all-namespaces and --all")
	}
	requests, err := f.find(command.Context(), args)
	if err != nil {
		return err
	}
	out := command.OutOrStdout()
	if f.output.Machine() {
		objects := make([]client.Object, len(requests))
		for i := range requests {
			objects[i] = &requests[i]
		}
		return f.output.Print(out, f.scheme, objects, len(args) > 0)
	}
	if len(requests) == 0 {
		where := " in namespace " + f.namespace
		if f.everyone {
			where = ""
		}
		fmt.Fprintf(command.ErrOrStderr(), "Nothing waits for an approval%s.\n", where)
		return nil
	}
	tableOf(requests, f.everyone, f.output.Format == terminal.FormatWide, time.Now()).Write(out, terminal.Painter(out))
	return nil
}

func (f *listFlags) find(ctx context.Context, args []string) ([]safetyv1alpha1.ApprovalRequest, error) {
	if len(args) > 0 {
		request, err := f.get(ctx, args[0])
		if err != nil {
			return nil, err
		}
		return []safetyv1alpha1.ApprovalRequest{*request}, nil
	}
	if err := f.open(); err != nil {
		return nil, err
	}
	namespace := f.namespace
	if f.everyone {
		namespace = ""
	}
	requests, err := f.list(ctx, namespace)
	if err != nil || f.all {
		return requests, err
	}
	return slices.DeleteFunc(requests, func(r safetyv1alpha1.ApprovalRequest) bool { return !waits(&r) }), nil
}

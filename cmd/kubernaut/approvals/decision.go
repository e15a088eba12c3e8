package approvals

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	safetyv1alpha1 "kubernaut.io/kubernaut/api/safety/v1alpha1"
	"kubernaut.io/kubernaut/cmd/kubernaut/terminal"
)

// fieldOwner is who wrote, as managedFields show it.
const fieldOwner = client.FieldOwner("kubernaut-cli")

type decideFlags struct {
	connection

	reason string
}

func newApproveCommand() *cobra.Command {
	return newDecision(&cobra.Command{
		Use:   "approve NAME --reason TEXT",
		Short: "Approve what a workflow would change",
		Long: `Approve what a workflow would change: exactly what kubernaut approvals NAME shows, and for the reasons given there. It cannot be taken
back; to stop the workflow, cancel it. You need the verbs get and patch on the request, and the verb approve on approvalrequests in
the namespace of everything that would change. Who asked for the workflow cannot approve it.

` + exitCodes,
		Example: "  kubernaut approve scale-cart-approval-1 -n shop --reason 'traffic doubles at noon'",
	}, safetyv1alpha1.DecisionApproved)
}

func newRejectCommand() *cobra.Command {
	return newDecision(&cobra.Command{
		Use:   "reject NAME --reason TEXT",
		Short: "Refuse what a workflow would change, which ends the workflow",
		Long: `Refuse what a workflow would change. One rejection is enough, whoever has approved: the workflow fails, and nothing is changed. You
need the same rights as to approve.

` + exitCodes,
		Example: "  kubernaut reject scale-cart-approval-1 -n shop --reason 'the release is being rolled back by hand'",
	}, safetyv1alpha1.DecisionRejected)
}

func newDecision(command *cobra.Command, kind safetyv1alpha1.DecisionKind) *cobra.Command {
	var flags decideFlags
	command.Args = terminal.Args(cobra.ExactArgs(1))
	command.RunE = terminal.Run(func(command *cobra.Command, args []string) error {
		if strings.TrimSpace(flags.reason) == "" {
			return terminal.Usagef("--reason: say why; whoever looks at it later reads it")
		}
		request, err := flags.get(command.Context(), args[0])
		if err != nil {
			return err
		}
		if err := decide(command.Context(), flags.client, request, kind, flags.reason); err != nil {
			return err
		}
		fmt.Fprintln(command.OutOrStdout(), decidedText(request, kind))
		return nil
	})
	flags.add(command)
	command.Flags().StringVar(&flags.reason, "reason", "", "why, for whoever looks at it later")
	return command
}

// decide adds one decision to exactly the request that was read, which then is as the API server has it.
func decide(ctx context.Context, c client.Client, request *safetyv1alpha1.ApprovalRequest, kind safetyv1alpha1.DecisionKind, reason string) error {
	patch, err := json.Marshal([]map[string]any{
		{"op": "test", "path": "/metadata/uid", "value": request.UID},
		{"op": "add", "path": "/spec/decisions/-", "value": safetyv1alpha1.ApprovalDecision{Decision: kind, Reason: reason}},
	})
	if err != nil {
		return err
	}
	return c.Patch(ctx, request, client.RawPatch(types.JSONPatchType, patch), fieldOwner)
}

// decidedText says what a decision leads to.
func decidedText(request *safetyv1alpha1.ApprovalRequest, kind safetyv1alpha1.DecisionKind) string {
	name := "apr/" + request.Name
	if kind == safetyv1alpha1.DecisionRejected {
		return fmt.Sprintf("%s is rejected: workflow %s fails, and changes nothing", name, request.Spec.WorkflowExecutionRef.Name)
	}
	missing := int(request.Spec.RequiredApprovals) - len(approvers(request))
	if missing > 0 {
		return fmt.Sprintf("%s is approved by you, and needs %s more until %s", name, terminal.Count(missing, "approval"), clock(request.Spec.ExpiresAt.Time))
	}
	return fmt.Sprintf("%s is approved: workflow %s goes on, if what it would change is still the same", name, request.Spec.WorkflowExecutionRef.Name)
}

// Package certs is the command line for the certificate of the webhooks.
package certs

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/cert-manager/cert-manager/pkg/client/clientset/versioned"
	"github.com/spf13/cobra"
	"k8s.io/client-go/kubernetes"

	"kubernaut.io/kubernaut/cmd/kubernaut/terminal"
	"kubernaut.io/kubernaut/controllers/identity"
	"kubernaut.io/kubernaut/webhooks/certs"
)

const (
	formatText = "text"
	formatJSON = "json"
)

// NewCommand is kubernaut certs with everything below it.
func NewCommand() *cobra.Command {
	command := terminal.Group(&cobra.Command{
		Use:   "certs",
		Short: "Look at the certificate of the webhooks",
	})
	command.AddCommand(newStatusCommand())
	return command
}

// statusFlags are the flags of kubernaut certs status.
type statusFlags struct {
	terminal.Cluster

	origin, directory, output string
}

func newStatusCommand() *cobra.Command {
	var flags statusFlags
	command := &cobra.Command{
		Use:   "status",
		Short: "Show the certificate, who issued it, and whether the API server trusts it",
		Long: `Show the certificate that the webhooks are served with: chain, names, expiry, where it comes from, and whether the CA in each webhook
configuration verifies it. It reads the Secret and the Deployment of the manager, cert-manager's Certificate and Issuer, and both
webhook configurations, with your own rights; it changes nothing.

Exit codes: 0 all is well; 1 something is wrong; 2 wrong arguments, no cluster, or no right to.`,
		Args: terminal.Args(cobra.NoArgs),
		RunE: terminal.Run(func(command *cobra.Command, _ []string) error { return status(command, &flags) }),
	}
	flags.Add(command)
	flags.InNamespace(command, identity.DefaultNamespace, "namespace of the operator")
	f := command.Flags()
	f.StringVar(&flags.origin, "webhook-certs", "", "where the certificate comes from, as the manager was told; default: what its Deployment or the Secret says")
	f.StringVar(&flags.directory, "webhook-cert-dir", "", "directory with the manager's tls.crt and tls.key, for --webhook-certs=files")
	f.StringVarP(&flags.output, "output", "o", formatText, "form of the output: text, json")
	return command
}

func status(command *cobra.Command, flags *statusFlags) error {
	if !slices.Contains([]string{formatText, formatJSON}, flags.output) {
		return fmt.Errorf("--output: %q is not one of text, json", flags.output)
	}
	origin := certs.Origin(flags.origin)
	if origin != "" && !slices.Contains(certs.Origins(), origin) {
		return fmt.Errorf("--webhook-certs: %q is not one of %v", origin, certs.Origins())
	}
	config, err := flags.Config()
	if err != nil {
		return err
	}
	namespace, err := flags.Namespace()
	if err != nil {
		return err
	}
	inspector := certs.Inspector{Options: certs.Options{Namespace: namespace}, Origin: origin, Directory: flags.directory}
	if inspector.Kubernetes, err = kubernetes.NewForConfig(config); err != nil {
		return err
	}
	if inspector.CertManager, err = versioned.NewForConfig(config); err != nil {
		return err
	}
	now := time.Now()
	report, err := inspector.Inspect(command.Context(), now)
	if err != nil {
		return err
	}
	if err := write(command.OutOrStdout(), report, flags.output, now); err != nil {
		return err
	}
	if len(report.Problems) > 0 {
		// They have been printed.
		return terminal.Findings("the certificate of the webhooks is not in order")
	}
	return nil
}

func write(out io.Writer, report *certs.Report, format string, now time.Time) error {
	if format == formatJSON {
		return terminal.WriteJSON(out, report)
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "From %s: %s\n", report.Origin, report.From)
	if len(report.Chain) > 0 {
		fmt.Fprintf(table, "For %s\n\n", strings.Join(report.Chain[0].DNSNames, ", "))
		fmt.Fprintln(table, "CERTIFICATE\tISSUED BY\tSERIAL\tEXPIRES")
		for _, link := range report.Chain {
			fmt.Fprintf(table, "%s\t%s\t%s\t%s (%s)\n", orNone(link.Subject), orNone(link.Issuer), link.Serial, link.NotAfter.UTC().Format(time.RFC3339), remaining(link.NotAfter.Sub(now)))
		}
	}
	if len(report.Webhooks) > 0 {
		fmt.Fprintln(table, "\nCONFIGURATION\tWEBHOOK\tCALLED AS\tCA")
		for _, webhook := range report.Webhooks {
			state := "trusted"
			if !webhook.Trusted {
				state = "NOT TRUSTED"
			} else if webhook.Reason != "" {
				state = webhook.Reason
			}
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", webhook.Configuration, webhook.Webhook, webhook.Host, state)
		}
	}
	if len(report.Problems) > 0 {
		fmt.Fprintln(table, "\nWrong:")
		for _, problem := range report.Problems {
			fmt.Fprintf(table, "- %s\n", problem)
		}
	}
	return table.Flush()
}

func orNone(name string) string {
	if name == "" {
		return "(no subject)"
	}
	return name
}

func remaining(left time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case left < 0:
		return "expired"
	case left < 2*day:
		return "in " + left.Round(time.Minute).String()
	default:
		return fmt.Sprintf("in %d days", left/day)
	}
}

// Install puts Kubernaut's manifests into a cluster: go run ./test/cluster/install --kubeconfig FILE [--webhook-url URL].
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"

	"k8s.io/client-go/tools/clientcmd"

	"kubernaut.io/kubernaut/test/cluster"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "install:", err) //nolint:forbidigo // the main of a tool
		os.Exit(1)                               //nolint:forbidigo // the main of a tool
	}
}

func run(ctx context.Context, arguments []string) error {
	// A FlagSet of its own: controller-runtime registers a kubeconfig flag with the global one.
	flags := flag.NewFlagSet("install", flag.ContinueOnError)
	kubeconfig := flags.String("kubeconfig", os.Getenv("KUBECONFIG"), "the kubeconfig of the cluster")
	webhookURL := flags.String("webhook-url", "", "where a manager outside of the cluster serves its webhooks, such as https://localhost:9443; empty: through the Service")
	root := flags.String("root", "", "the root of the checkout; empty: the one that this program was compiled from")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	if *kubeconfig == "" {
		return fmt.Errorf("--kubeconfig is not given, and KUBECONFIG is not set")
	}
	config, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	if err != nil {
		return err
	}
	if *root == "" {
		if *root, err = cluster.Root(); err != nil {
			return err
		}
	}
	return cluster.Install(ctx, config, cluster.Options{Root: *root, WebhookURL: *webhookURL, Out: os.Stdout}) //nolint:forbidigo // the main of a tool
}

package terminal

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

// The limits of a client for one person: enough that nobody waits for them.
const (
	clientQPS   = 100
	clientBurst = 200
)

// Cluster says which cluster a command works on, as whom and where, by the flags that kubectl has.
type Cluster struct {
	kubeconfig string
	overrides  clientcmd.ConfigOverrides
}

// Add adds the flags. Those that few people need are not listed in the help.
func (c *Cluster) Add(command *cobra.Command) {
	flags := command.Flags()
	flags.StringVar(&c.kubeconfig, clientcmd.RecommendedConfigPathFlag, "", "kubeconfig to use (default: $KUBECONFIG, ~/.kube/config, or that of the pod)")
	names := clientcmd.RecommendedConfigOverrideFlags("")
	names.ContextOverrideFlags.Namespace.ShortName = "n"
	names.ContextOverrideFlags.Namespace.Description = "namespace (default: that of the context)"
	names.CurrentContext.Description = "context of the kubeconfig (default: its current one)"
	names.Timeout.Description = "longest time that one request to the API server may take, such as 5s; 0 is no limit"
	names.AuthOverrideFlags.Impersonate.Description = "act as this user, if you may impersonate them"
	names.AuthOverrideFlags.ImpersonateGroups.Description = "act as a member of this group; may be repeated"
	clientcmd.BindOverrideFlags(&c.overrides, flags, names)
	flags.VisitAll(func(flag *pflag.Flag) {
		if slices.Contains(rareFlags(), flag.Name) {
			flag.Hidden = true
		}
	})
	// The only error is that there is no such flag.
	_ = command.RegisterFlagCompletionFunc(clientcmd.FlagContext, func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return c.contexts(), cobra.ShellCompDirectiveNoFileComp
	})
}

func rareFlags() []string {
	return []string{
		clientcmd.FlagClusterName, clientcmd.FlagAuthInfoName, clientcmd.FlagAPIServer, clientcmd.FlagTLSServerName, clientcmd.FlagInsecure,
		clientcmd.FlagCertFile, clientcmd.FlagKeyFile, clientcmd.FlagCAFile, clientcmd.FlagBearerToken, clientcmd.FlagImpersonateUID,
		clientcmd.FlagUsername, clientcmd.FlagPassword, clientcmd.FlagProxyURL, clientcmd.FlagDisableCompression,
	}
}

func (c *Cluster) loader() clientcmd.ClientConfig {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = c.kubeconfig
	return clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &c.overrides)
}

// Config is the configuration of a client for the caller. What the API server warns of is written to the terminal.
func (c *Cluster) Config() (*rest.Config, error) {
	config, err := c.load()
	if err != nil {
		return nil, err
	}
	config.QPS, config.Burst = clientQPS, clientBurst
	config.WarningHandler = rest.NewWarningWriter(os.Stderr, rest.WarningWriterOptions{Deduplicate: true})
	// What the libraries log is not for people at a terminal: errors are returned.
	log.SetLogger(logr.Discard())
	return config, nil
}

func (c *Cluster) load() (*rest.Config, error) {
	if c.kubeconfig != "" {
		if _, err := os.Stat(c.kubeconfig); errors.Is(err, fs.ErrNotExist) {
			return nil, Usagef("--kubeconfig: there is no file %s", c.kubeconfig)
		}
	}
	config, err := c.loader().ClientConfig()
	if err != nil {
		return nil, c.explain(err)
	}
	return config, nil
}

// Kubeconfig is the configuration that a file's current context gives, without the limits of a client for one person.
func Kubeconfig(file string) (*rest.Config, error) {
	cluster := Cluster{kubeconfig: file}
	return cluster.load()
}

// explain says which cluster cannot be found, and the way out.
func (c *Cluster) explain(err error) error {
	context := c.overrides.CurrentContext
	switch {
	case clientcmd.IsEmptyConfig(err):
		return Usagef("which cluster? There is no kubeconfig: name one with --kubeconfig, or set KUBECONFIG")
	case context != "" && !slices.Contains(c.contexts(), context):
		return Usagef("--context: the kubeconfig has no context %q%s; kubectl config get-contexts lists them", context, DidYouMean(context, c.contexts()))
	default:
		return Usagef("which cluster? %w", err)
	}
}

func (c *Cluster) contexts() []string {
	raw, err := c.loader().RawConfig()
	if err != nil {
		return nil
	}
	return slices.Sorted(maps.Keys(raw.Contexts))
}

// InNamespace has the commands work in a namespace that is not that of the context unless another one is asked for.
func (c *Cluster) InNamespace(command *cobra.Command, namespace, usage string) {
	flag := command.Flags().Lookup(clientcmd.FlagNamespace)
	c.overrides.Context.Namespace, flag.DefValue, flag.Usage = namespace, namespace, usage
}

// Namespace is the one that was asked for, else that of the context, else default.
func (c *Cluster) Namespace() (string, error) {
	namespace, _, err := c.loader().Namespace()
	if err != nil {
		return "", c.explain(err)
	}
	return namespace, nil
}

// Client is a client for the caller that knows the kinds of a scheme, and the namespace that is meant.
func (c *Cluster) Client(scheme *runtime.Scheme) (client.WithWatch, string, error) {
	config, err := c.Config()
	if err != nil {
		return nil, "", err
	}
	namespace, err := c.Namespace()
	if err != nil {
		return nil, "", err
	}
	made, err := client.NewWithWatch(config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, "", Explain(fmt.Errorf("cluster %s: %w", config.Host, err))
	}
	return made, namespace, nil
}

// Command up installs Kubernaut on a running local cluster and starts the manager as a process with the credentials that it
// would have in a pod. Running it again applies everything again and starts only what is not running.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"kubernaut.io/kubernaut/controllers/identity"
	"kubernaut.io/kubernaut/test/cluster"
)

const (
	// readyTimeout bounds the start of the manager: certificates, caches, tokens.
	readyTimeout = time.Minute
	// trustTimeout bounds how long the API server may take to trust it.
	trustTimeout = 10 * time.Second
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout) //nolint:forbidigo // this is a command: it owns process and terminal
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "up:", err) //nolint:forbidigo // this is a command: it owns process and terminal
		os.Exit(1)                          //nolint:forbidigo // this is a command: it owns process and terminal
	}
}

// installation is one local cluster and what is put on it.
type installation struct {
	directory, bin string
	out            io.Writer
}

func run(ctx context.Context, arguments []string, out io.Writer) error {
	began := time.Now()
	// A FlagSet of its own: controller-runtime registers a flag with the global one.
	flags := flag.NewFlagSet("up", flag.ContinueOnError)
	i := installation{out: out}
	flags.StringVar(&i.directory, "cluster", ".cluster", "directory of the local cluster")
	flags.StringVar(&i.bin, "bin", "bin", "directory of the binaries")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	if err := i.up(ctx); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "kubernaut is up (%.1fs): bin/kubectl --kubeconfig %s/kubeconfig get kubernaut -A; log in %s/logs/manager.log\n",
		time.Since(began).Seconds(), i.directory, i.directory)
	return err
}

func (i installation) up(ctx context.Context) error {
	config, err := clientcmd.BuildConfigFromFlags("", filepath.Join(i.directory, "kubeconfig"))
	if err != nil {
		return fmt.Errorf("the local cluster is not up: %w", err)
	}
	ports, err := i.assignPorts(ctx, "webhook", "probe", "metrics")
	if err != nil {
		return err
	}
	if err := install(ctx, config, ports["webhook"]); err != nil {
		return err
	}
	if err := i.startManager(ctx, ports); err != nil {
		return err
	}
	if err := i.awaitReady(ctx, ports["probe"]); err != nil {
		return err
	}
	return applyPlaybooks(ctx, config)
}

// applyPlaybooks comes last: a Playbook is checked by the manager's webhook. The API server takes a moment to see the CA by which
// it trusts the manager.
func applyPlaybooks(ctx context.Context, config *rest.Config) error {
	var last error
	err := wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, trustTimeout, true, func(ctx context.Context) (bool, error) {
		last = cluster.ApplyFolder(ctx, config, filepath.Join("config", "samples", "playbooks"))
		if apierrors.IsInternalError(last) {
			return false, nil
		}
		return true, last
	})
	if err != nil {
		return fmt.Errorf("sample playbooks: %w", cmp.Or(last, err))
	}
	return nil
}

func install(ctx context.Context, config *rest.Config, webhookPort int) error {
	url := "https://localhost:" + strconv.Itoa(webhookPort)
	if err := cluster.Install(ctx, config, cluster.Options{Root: ".", WebhookURL: url}); err != nil {
		return fmt.Errorf("installing: %w", err)
	}
	return nil
}

// assignPorts gives each name a free port and remembers it in the cluster's directory, so that the webhook configurations stay
// right when the manager is started again.
func (i installation) assignPorts(ctx context.Context, names ...string) (map[string]int, error) {
	ports := make(map[string]int, len(names))
	for _, name := range names {
		file := filepath.Join(i.directory, "manager-"+name+".port")
		port, err := rememberedPort(ctx, file)
		if err != nil {
			return nil, err
		}
		ports[name] = port
	}
	return ports, nil
}

func rememberedPort(ctx context.Context, file string) (int, error) {
	text, err := os.ReadFile(file)
	if err == nil {
		return strconv.Atoi(strings.TrimSpace(string(text)))
	}
	if !errors.Is(err, os.ErrNotExist) {
		return 0, err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("finding a free port: %w", err)
	}
	_, chosen, err := net.SplitHostPort(listener.Addr().String())
	if err := errors.Join(err, listener.Close()); err != nil {
		return 0, err
	}
	port, err := strconv.Atoi(chosen)
	if err != nil {
		return 0, err
	}
	return port, os.WriteFile(file, []byte(strconv.Itoa(port)+"\n"), 0o600)
}

func (i installation) startManager(ctx context.Context, ports map[string]int) error {
	launcher := filepath.Join(i.bin, "localcluster")
	kubeconfig := filepath.Join(i.directory, "manager.kubeconfig")
	token := exec.CommandContext(ctx, launcher, "token", "--dir", i.directory, "--namespace", identity.DefaultNamespace,
		"--service-account", identity.Manager, "--duration", "24h", "--out", kubeconfig)
	if err := i.command(token); err != nil {
		return err
	}
	binary, err := filepath.Abs(filepath.Join(i.bin, "kubernaut"))
	if err != nil {
		return err
	}
	address := func(name string) string { return "127.0.0.1:" + strconv.Itoa(ports[name]) }
	start := exec.CommandContext(ctx, launcher, "start", "--dir", i.directory, "--name", "manager", "--",
		binary, "manager", "--kubeconfig", kubeconfig, "--leader-elect=false",
		"--webhook-host", "127.0.0.1", "--webhook-port", strconv.Itoa(ports["webhook"]), "--webhook-dns-names", "localhost",
		"--health-probe-bind-address", address("probe"), "--metrics-bind-address", address("metrics"))
	return i.command(start)
}

func (i installation) command(c *exec.Cmd) error {
	c.Stdout, c.Stderr = i.out, i.out
	if err := c.Run(); err != nil {
		return fmt.Errorf("%s: %w", strings.Join(c.Args[:2], " "), err)
	}
	return nil
}

// awaitReady asks /readyz until the manager answers that it is ready.
func (i installation) awaitReady(ctx context.Context, port int) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	url := fmt.Sprintf("http://127.0.0.1:%d/readyz", port)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		answer, err := http.DefaultClient.Do(request)
		if err == nil {
			_ = answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the manager was not ready within %s; see %s", readyTimeout, filepath.Join(i.directory, "logs", "manager.log"))
		case <-tick.C:
		}
	}
}

// Command up installs Kubernaut on a running local cluster and starts the manager as a process with the credentials that it
// would have in a pod. Running it again applies everything again and starts only what is not running.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
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

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"kubernaut.io/kubernaut/controllers/identity"
	"kubernaut.io/kubernaut/test/cluster"
)

// readyTimeout bounds the start of the manager: certificates, caches, tokens.
const readyTimeout = time.Minute

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	directory := flag.String("cluster", ".cluster", "directory of the local cluster")
	bin := flag.String("bin", "bin", "directory of the binaries")
	flag.Parse()
	if err := run(ctx, *directory, *bin); err != nil {
		fmt.Fprintln(os.Stderr, "up:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, directory, bin string) error {
	began := time.Now()
	config, err := clientcmd.BuildConfigFromFlags("", filepath.Join(directory, "kubeconfig"))
	if err != nil {
		return fmt.Errorf("the local cluster is not up: %w", err)
	}
	ports, err := assignPorts(directory, "webhook", "probe", "metrics")
	if err != nil {
		return err
	}
	if err := install(ctx, config, ports["webhook"]); err != nil {
		return err
	}
	if err := startManager(ctx, directory, bin, ports); err != nil {
		return err
	}
	if err := awaitReady(ctx, directory, ports["probe"]); err != nil {
		return err
	}
	fmt.Printf("kubernaut is up (%.1fs): kubectl --kubeconfig %s/kubeconfig get kubernaut -A; log in %s/logs/manager.log\n",
		time.Since(began).Seconds(), directory, directory)
	return nil
}

func install(ctx context.Context, config *rest.Config, webhookPort int) error {
	url := "https://localhost:" + strconv.Itoa(webhookPort)
	if err := cluster.Install(ctx, config, cluster.Options{Root: ".", WebhookURL: url}); err != nil {
		return fmt.Errorf("installing: %w", err)
	}
	return cluster.ApplyFolder(ctx, config, filepath.Join("config", "samples", "playbooks"))
}

// assignPorts gives each name a free port and remembers it in the cluster's directory, so that the webhook configurations stay
// right when the manager is started again.
func assignPorts(directory string, names ...string) (map[string]int, error) {
	ports := make(map[string]int, len(names))
	for _, name := range names {
		file := filepath.Join(directory, "manager-"+name+".port")
		port, err := rememberedPort(file)
		if err != nil {
			return nil, err
		}
		ports[name] = port
	}
	return ports, nil
}

func rememberedPort(file string) (int, error) {
	text, err := os.ReadFile(file) //nolint:gosec // a file of the cluster's own directory
	if err == nil {
		return strconv.Atoi(strings.TrimSpace(string(text)))
	}
	if !errors.Is(err, os.ErrNotExist) {
		return 0, err
	}
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("finding a free port: %w", err)
	}
	port := listener.Addr().(*net.TCPAddr).Port //nolint:forcetypeassert // a TCP listener has a TCP address
	if err := listener.Close(); err != nil {
		return 0, err
	}
	return port, os.WriteFile(file, []byte(strconv.Itoa(port)+"\n"), 0o600)
}

func startManager(ctx context.Context, directory, bin string, ports map[string]int) error {
	launcher := filepath.Join(bin, "localcluster")
	kubeconfig := filepath.Join(directory, "manager.kubeconfig")
	token := exec.CommandContext(ctx, launcher, "token", "--dir", directory, "--namespace", identity.DefaultNamespace, //nolint:gosec // our own binary
		"--service-account", identity.Manager, "--duration", "24h", "--out", kubeconfig)
	if err := command(token); err != nil {
		return err
	}
	binary, err := filepath.Abs(filepath.Join(bin, "kubernaut"))
	if err != nil {
		return err
	}
	address := func(name string) string { return "127.0.0.1:" + strconv.Itoa(ports[name]) }
	start := exec.CommandContext(ctx, launcher, "start", "--dir", directory, "--name", "manager", "--", //nolint:gosec // our own binary
		binary, "manager", "--kubeconfig", kubeconfig, "--leader-elect=false",
		"--webhook-host", "127.0.0.1", "--webhook-port", strconv.Itoa(ports["webhook"]), "--webhook-dns-names", "localhost",
		"--health-probe-bind-address", address("probe"), "--metrics-bind-address", address("metrics"))
	return command(start)
}

func command(c *exec.Cmd) error {
	c.Stdout, c.Stderr = os.Stdout, os.Stderr
	if err := c.Run(); err != nil {
		return fmt.Errorf("%s: %w", strings.Join(c.Args[:2], " "), err)
	}
	return nil
}

// awaitReady asks /readyz until the manager answers that it is ready.
func awaitReady(ctx context.Context, directory string, port int) error {
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
			_ = answer.Body.Close() //nolint:errcheck // nothing was read from it
			if answer.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the manager was not ready within %s; see %s", readyTimeout, filepath.Join(directory, "logs", "manager.log"))
		case <-tick.C:
		}
	}
}

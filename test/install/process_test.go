package install

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/spf13/pflag"

	"kubernaut.io/kubernaut/cmd/kubernaut/app"
	"kubernaut.io/kubernaut/controllers/identity"
)

// process is a program that a spec started and that ends with it.
type process struct {
	command *exec.Cmd
	ended   chan struct{}
	log     string
}

// start runs a program of bin until the spec ends.
func start(name string, arguments ...string) *process {
	GinkgoHelper()
	folder := os.Getenv("KUBERNAUT_BIN")
	if folder == "" {
		folder = filepath.Join(root, "bin")
	}
	log, err := os.Create(filepath.Join(GinkgoT().TempDir(), name+".log"))
	Expect(err).NotTo(HaveOccurred())
	p := &process{command: exec.Command(filepath.Join(folder, name), arguments...), ended: make(chan struct{}), log: log.Name()}
	p.command.Stdout, p.command.Stderr = log, log
	// It ends when we do, however we end: with the thread that started it, so that thread has to stay.
	p.command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer close(p.ended)
		err := p.command.Start()
		started <- err
		if err == nil {
			_ = p.command.Wait() // how it ended is in ProcessState
		}
		_ = log.Close()
	}()
	Expect(<-started).NotTo(HaveOccurred(), "make test-install builds it")
	DeferCleanup(func() {
		if CurrentSpecReport().Failed() {
			GinkgoWriter.Printf("log of %s:\n%s\n", name, p.output())
		}
		p.stop()
	})
	return p
}

func (p *process) stop() {
	GinkgoHelper()
	_ = p.command.Process.Signal(syscall.SIGTERM) // it may have ended already
	Eventually(p.ended).WithTimeout(stopTimeout).Should(BeClosed())
}

func (p *process) output() string {
	GinkgoHelper()
	data, err := os.ReadFile(p.log)
	Expect(err).NotTo(HaveOccurred())
	return string(data)
}

// kubeconfig is a file with the identity of a configuration.
func kubeconfig(config *rest.Config) string {
	GinkgoHelper()
	content := clientcmdapi.NewConfig()
	content.Clusters["c"] = &clientcmdapi.Cluster{Server: config.Host, CertificateAuthorityData: config.CAData}
	content.AuthInfos["u"] = &clientcmdapi.AuthInfo{Token: config.BearerToken, ClientCertificateData: config.CertData, ClientKeyData: config.KeyData}
	content.Contexts["x"] = &clientcmdapi.Context{Cluster: "c", AuthInfo: "u"}
	content.CurrentContext = "x"
	file := filepath.Join(GinkgoT().TempDir(), "kubeconfig")
	Expect(clientcmd.WriteToFile(*content, file)).To(Succeed())
	return file
}

// as is a configuration with a token of an account of the operator.
func as(ctx context.Context, config *rest.Config, account string) *rest.Config {
	GinkgoHelper()
	client, err := kubernetes.NewForConfig(config)
	Expect(err).NotTo(HaveOccurred())
	answer, err := client.CoreV1().ServiceAccounts(operatorNamespace).CreateToken(ctx, account, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	Expect(err).NotTo(HaveOccurred())
	token := rest.AnonymousClientConfig(config)
	token.BearerToken = answer.Status.Token
	return token
}

// running is a manager with its addresses.
type running struct {
	*process
	webhook, probe, metrics int
}

// startManager runs the manager as its own account.
func startManager(ctx context.Context, config *rest.Config, webhookPort int, arguments ...string) running {
	GinkgoHelper()
	r := running{webhook: webhookPort, probe: freePort(), metrics: freePort()}
	address := func(port int) string { return "127.0.0.1:" + strconv.Itoa(port) }
	r.process = start("kubernaut", append([]string{
		"manager", "--kubeconfig", kubeconfig(as(ctx, config, identity.Manager)), "--leader-elect=false",
		"--webhook-host", "127.0.0.1", "--webhook-port", strconv.Itoa(r.webhook), "--webhook-dns-names", "localhost",
		"--health-probe-bind-address", address(r.probe), "--metrics-bind-address", address(r.metrics), "--metrics-secure",
	}, arguments...)...)
	return r
}

// certificates is what /readyz says about them: the status code and the reason.
func (r running) certificates(g Gomega) (int, string) {
	caller := http.Client{Timeout: 5 * time.Second}
	answer, err := caller.Get(fmt.Sprintf("http://127.0.0.1:%d/readyz/certificates", r.probe))
	g.Expect(err).NotTo(HaveOccurred())
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	g.Expect(err).NotTo(HaveOccurred())
	return answer.StatusCode, string(text)
}

// saysWhy waits until the manager says on /readyz why it has no certificate.
func (r running) saysWhy(reason string) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		code, text := r.certificates(g)
		g.Expect(code).To(Equal(http.StatusInternalServerError))
		g.Expect(text).To(ContainSubstring(reason))
	}).WithTimeout(readyTimeout).WithPolling(pollInterval).Should(Succeed())
}

func (r running) isReady() {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		g.Expect(r.ended).NotTo(BeClosed())
		code, text := r.certificates(g)
		g.Expect(code).To(Equal(http.StatusOK), text)
	}).WithTimeout(readyTimeout).WithPolling(pollInterval).Should(Succeed())
}

// scrape reads the metrics as an account, "" for nobody.
func (r running) scrape(token string) (int, string) {
	GinkgoHelper()
	request, err := http.NewRequest(http.MethodGet, fmt.Sprintf("https://127.0.0.1:%d/metrics", r.metrics), http.NoBody)
	Expect(err).NotTo(HaveOccurred())
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	caller := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	defer caller.CloseIdleConnections()
	answer, err := caller.Do(request)
	Expect(err).NotTo(HaveOccurred())
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	Expect(err).NotTo(HaveOccurred())
	return answer.StatusCode, string(text)
}

// managerFlags are the flags of kubernaut manager.
func managerFlags() []string {
	GinkgoHelper()
	manager, _, err := app.NewCommand().Find([]string{"manager"})
	Expect(err).NotTo(HaveOccurred())
	var names []string
	manager.Flags().VisitAll(func(flag *pflag.Flag) { names = append(names, flag.Name) })
	return names
}

// argumentsOf are those of the first container of a Deployment.
func argumentsOf(deployment map[string]any) []string {
	GinkgoHelper()
	containers, _, err := unstructured.NestedSlice(deployment, "spec", "template", "spec", "containers")
	Expect(err).NotTo(HaveOccurred())
	first, is := containers[0].(map[string]any)
	Expect(is).To(BeTrue())
	arguments, _, err := unstructured.NestedStringSlice(first, "args")
	Expect(err).NotTo(HaveOccurred())
	return arguments
}

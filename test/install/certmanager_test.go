package install

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	"github.com/cert-manager/cert-manager/pkg/client/clientset/versioned"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	eventsv1 "k8s.io/api/events/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	certscommand "kubernaut.io/kubernaut/cmd/kubernaut/certs"
	"kubernaut.io/kubernaut/controllers/identity"
	"kubernaut.io/kubernaut/test/builders"
	"kubernaut.io/kubernaut/test/cluster"
	"kubernaut.io/kubernaut/webhooks"
	"kubernaut.io/kubernaut/webhooks/certs"
)

const (
	// issueTimeout is how long cert-manager may take for a certificate and its injection.
	issueTimeout = 30 * time.Second
	// rate is how many requests per second are sent while certificates rotate, for at least load.
	rate = 50
	load = 6 * time.Second
)

var _ = Describe("A manager with certificates from cert-manager", func() {
	It("says what is missing until there is one, is trusted then, and loses no request when it is renewed", func(ctx SpecContext) {
		config := startCluster().Config
		admin := clientOf(config)
		port := freePort()
		Expect(cluster.Install(ctx, config, cluster.Options{Root: root, WebhookURL: webhookURL(port)})).To(Succeed())
		manager := startManager(ctx, config, port, "--webhook-certs=cert-manager")

		By("running without cert-manager")
		manager.saysWhy("cert-manager is not installed")
		before := status(config, "--webhook-certs=cert-manager")
		Expect(before.err).To(HaveOccurred())
		Expect(before.text).To(ContainSubstring("cert-manager is not installed"))
		Eventually(func(g Gomega) {
			var events eventsv1.EventList
			g.Expect(admin.List(ctx, &events, client.InNamespace(operatorNamespace))).To(Succeed())
			g.Expect(events.Items).To(ContainElement(And(HaveField("Reason", "WebhookCertificateNotReady"), HaveField("Regarding.Name", webhooks.ServiceName))))
		}).WithTimeout(readyTimeout).WithPolling(time.Second).Should(Succeed())

		By("running with its kinds, and without the rights to them")
		installCertManagerKinds(ctx, config)
		manager.saysWhy("may not be read")

		By("running with everything but cert-manager itself")
		manifests := rendered(ctx, "test/install/overlay")
		Expect(cluster.Install(ctx, config, cluster.Options{Manifests: manifests, WebhookURL: webhookURL(port)})).To(Succeed())
		manager.saysWhy("is cert-manager's controller running?")
		Expect(manager.output()).To(And(ContainSubstring("cert-manager is not installed"), ContainSubstring("is cert-manager's controller running?")))

		By("having cert-manager issue and inject")
		start("cert-manager", "--kubeconfig", kubeconfig(config))
		manager.isReady()
		Eventually(func() error { return dryRun(ctx, admin) }).WithTimeout(issueTimeout).WithPolling(pollInterval).Should(Succeed())
		seen := inOrder(config)
		Expect(seen.Chain).To(HaveLen(2))
		Expect(seen.Chain[0].DNSNames).To(ContainElements("localhost", "kubernaut-webhook.kubernaut-system.svc"))

		By("showing the expiry to who may read metrics, and to nobody else")
		code, _ := manager.scrape("")
		Expect(code).To(Equal(http.StatusUnauthorized))
		code, _ = manager.scrape(as(ctx, config, identity.Playbook).BearerToken)
		Expect(code).To(Equal(http.StatusForbidden))
		letReadMetrics(ctx, config, admin, identity.Playbook)
		code, text := manager.scrape(as(ctx, config, identity.Playbook).BearerToken)
		Expect(code).To(Equal(http.StatusOK))
		Expect(text).To(ContainSubstring(fmt.Sprintf("kubernaut_webhook_certificate_expiry_timestamp_seconds %s", strconv.FormatFloat(float64(seen.Chain[0].NotAfter.Unix()), 'e', -1, 64))))

		By("renewing certificate and CA while requests are served")
		issuers, err := versioned.NewForConfig(config)
		Expect(err).NotTo(HaveOccurred())
		requests := send(ctx, admin, port)
		serials := []string{seen.Chain[0].Serial}
		for _, name := range []string{webhooks.CertificateName, webhooks.CertificateName + "-ca", webhooks.CertificateName} {
			renew(ctx, issuers, name)
			if name == webhooks.CertificateName {
				Eventually(func(g Gomega) { g.Expect(serialServed(ctx, g, port, admin)).NotTo(BeElementOf(serials)) }).
					WithTimeout(issueTimeout).WithPolling(pollInterval).Should(Succeed())
				serials = append(serials, serialServed(ctx, Default, port, admin))
			}
		}
		sent, failures := requests.end()
		Expect(failures).To(BeEmpty())
		Expect(sent).To(BeNumerically(">", rate*int(load/time.Second)), "too few requests to mean anything")
		GinkgoWriter.Printf("%d requests and connections, none refused\n", sent)
		Expect(serials).To(HaveLen(3))
		Expect(inOrder(config).Chain[0].Serial).NotTo(Equal(seen.Chain[0].Serial))
	})
})

// result is how kubernaut certs status ended.
type result struct {
	text string
	err  error
}

func status(config *rest.Config, arguments ...string) result {
	GinkgoHelper()
	var out bytes.Buffer
	command := certscommand.NewCommand()
	command.SilenceUsage, command.SilenceErrors = true, true
	command.SetOut(&out)
	command.SetArgs(append([]string{"status", "--kubeconfig", kubeconfig(config)}, arguments...))
	err := command.Execute()
	return result{out.String(), err}
}

// inOrder is what kubernaut certs status reports when nothing is wrong.
func inOrder(config *rest.Config) certs.Report {
	GinkgoHelper()
	answer := status(config, "-o", "json")
	Expect(answer.err).NotTo(HaveOccurred(), answer.text)
	var report certs.Report
	Expect(json.Unmarshal([]byte(answer.text), &report)).To(Succeed())
	Expect(report.Origin).To(Equal(certs.OriginCertManager))
	Expect(report.Webhooks).NotTo(BeEmpty())
	Expect(report.Webhooks).To(HaveEach(HaveField("Trusted", true)))
	return report
}

// dryRun is a request that only the webhooks can let through.
func dryRun(ctx context.Context, c client.Client) error {
	request := builders.Request(metav1.NamespaceDefault, "", "probe", builders.Deployment(metav1.NamespaceDefault, "cart", "x").Target())
	request.GenerateName = "probe-"
	return c.Create(ctx, request.RemediationRequest, client.DryRunAll)
}

// served is what a caller sees that connects now and trusts the CA in the webhook configuration.
func served(ctx context.Context, port int, c client.Client) (*x509.Certificate, error) {
	configuration := &admissionregistrationv1.ValidatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: webhooks.ConfigurationName}}
	if err := c.Get(ctx, client.ObjectKeyFromObject(configuration), configuration); err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(configuration.Webhooks[0].ClientConfig.CABundle)
	connection, err := tls.DialWithDialer(&net.Dialer{Timeout: 5 * time.Second}, "tcp", fmt.Sprintf("localhost:%d", port), &tls.Config{RootCAs: pool})
	if err != nil {
		return nil, err
	}
	defer connection.Close()
	return connection.ConnectionState().PeerCertificates[0], nil
}

func serialServed(ctx context.Context, g Gomega, port int, c client.Client) string {
	certificate, err := served(ctx, port, c)
	g.Expect(err).NotTo(HaveOccurred())
	return certificate.SerialNumber.Text(16)
}

func letReadMetrics(ctx context.Context, config *rest.Config, c client.Client, account string) {
	GinkgoHelper()
	Expect(cluster.ApplyFolder(ctx, config, filepath.Join(root, "config", "prometheus", "metrics-reader.yaml"))).To(Succeed())
	Expect(c.Create(ctx, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "test-metrics"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "kubernaut-metrics-reader"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: operatorNamespace, Name: account}},
	})).To(Succeed())
}

// renew does what cmctl renew does, and waits until it is done.
func renew(ctx context.Context, issuers versioned.Interface, name string) {
	GinkgoHelper()
	certificates := issuers.CertmanagerV1().Certificates(operatorNamespace)
	certificate, err := certificates.Get(ctx, name, metav1.GetOptions{})
	Expect(err).NotTo(HaveOccurred())
	revision := *certificate.Status.Revision
	certificate.Status.Conditions = append(certificate.Status.Conditions, certmanagerv1.CertificateCondition{
		Type: certmanagerv1.CertificateConditionIssuing, Status: cmmeta.ConditionTrue, Reason: "ManuallyTriggered", Message: "renewed by a test",
		LastTransitionTime: new(metav1.Now()), ObservedGeneration: certificate.Generation,
	})
	_, err = certificates.UpdateStatus(ctx, certificate, metav1.UpdateOptions{})
	Expect(err).NotTo(HaveOccurred())
	Eventually(func(g Gomega) {
		now, err := certificates.Get(ctx, name, metav1.GetOptions{})
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(now.Status.Revision).To(HaveValue(BeNumerically(">", revision)))
	}).WithTimeout(issueTimeout).WithPolling(pollInterval).Should(Succeed())
}

// sender sends requests, over connections that the API server keeps, and makes new connections as one that starts now would.
type sender struct {
	sent     atomic.Int64
	mu       sync.Mutex
	failures []string
	began    time.Time
	stop     context.CancelFunc
	all      sync.WaitGroup
}

func send(ctx context.Context, c client.Client, port int) *sender {
	ctx, stop := context.WithCancel(ctx)
	s := &sender{began: time.Now(), stop: stop}
	s.all.Go(func() {
		tick := time.NewTicker(time.Second / rate)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			s.all.Go(func() { s.count(dryRun(context.WithoutCancel(ctx), c)) })
			s.all.Go(func() {
				_, err := served(context.WithoutCancel(ctx), port, c)
				s.count(err)
			})
		}
	})
	return s
}

func (s *sender) count(err error) {
	s.sent.Add(1)
	if err != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.failures = append(s.failures, err.Error())
	}
}

// end waits until there was enough load, and for the last answer.
func (s *sender) end() (int, []string) {
	GinkgoHelper()
	Eventually(func() time.Duration { return time.Since(s.began) }).WithTimeout(2 * load).WithPolling(pollInterval).Should(BeNumerically(">", load))
	s.stop()
	s.all.Wait()
	return int(s.sent.Load()), s.failures
}

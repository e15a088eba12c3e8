package install

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/pem"
	"net/http"
	"os"
	"path/filepath"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	certutil "k8s.io/client-go/util/cert"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"kubernaut.io/kubernaut/test/cluster"
	"kubernaut.io/kubernaut/webhooks"
)

// issued is a certificate of a CA of its own.
type issued struct {
	chain, key, authority []byte
	serial                string
}

func issue(names ...string) issued {
	GinkgoHelper()
	chain, key, err := certutil.GenerateSelfSignedCertKey(names[0], nil, names)
	Expect(err).NotTo(HaveOccurred())
	pair, err := tls.X509KeyPair(chain, key)
	Expect(err).NotTo(HaveOccurred())
	// The leaf comes first, its CA second.
	return issued{chain, key, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[1]}), pair.Leaf.SerialNumber.Text(16)}
}

// into writes the files that the manager reads, each at once.
func (i issued) into(directory string) {
	GinkgoHelper()
	for name, data := range map[string][]byte{"tls.crt": i.chain, "tls.key": i.key} {
		Expect(os.WriteFile(filepath.Join(directory, name+".new"), data, 0o600)).To(Succeed())
		Expect(os.Rename(filepath.Join(directory, name+".new"), filepath.Join(directory, name))).To(Succeed())
	}
}

// trust puts a CA into the webhook configurations, as who provides the files does.
func trust(ctx context.Context, c client.Client, authority []byte) {
	GinkgoHelper()
	mutating := &admissionregistrationv1.MutatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: webhooks.ConfigurationName}}
	Expect(c.Get(ctx, client.ObjectKeyFromObject(mutating), mutating)).To(Succeed())
	for i := range mutating.Webhooks {
		mutating.Webhooks[i].ClientConfig.CABundle = authority
	}
	Expect(c.Update(ctx, mutating)).To(Succeed())
	validating := &admissionregistrationv1.ValidatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: webhooks.ConfigurationName}}
	Expect(c.Get(ctx, client.ObjectKeyFromObject(validating), validating)).To(Succeed())
	for i := range validating.Webhooks {
		validating.Webhooks[i].ClientConfig.CABundle = authority
	}
	Expect(c.Update(ctx, validating)).To(Succeed())
}

var _ = Describe("A manager with a certificate from files", func() {
	const host = webhooks.ServiceName + "." + operatorNamespace + ".svc"

	It("refuses to start without one that is right, serves it, and follows it when callers trust the next", func(ctx SpecContext) {
		config := startCluster().Config
		admin := clientOf(config)
		port := freePort()
		Expect(cluster.Install(ctx, config, cluster.Options{Root: root, WebhookURL: webhookURL(port)})).To(Succeed())
		directory := GinkgoT().TempDir()
		files := []string{"--webhook-certs=files", "--webhook-cert-dir=" + directory}

		By("starting without files, and with those of somebody else")
		refuses := func(reason string) {
			GinkgoHelper()
			manager := startManager(ctx, config, port, files...)
			Eventually(manager.ended).WithTimeout(readyTimeout).Should(BeClosed())
			Expect(manager.command.ProcessState.ExitCode()).To(Equal(1))
			Expect(manager.output()).To(And(ContainSubstring(reason), ContainSubstring(directory)))
		}
		refuses("no such file")
		issue("elsewhere").into(directory)
		refuses(host)

		By("serving what callers do not trust yet")
		first := issue(host, "localhost")
		first.into(directory)
		manager := startManager(ctx, config, port, files...)
		Eventually(func(g Gomega) {
			code, text := manager.certificates(g)
			g.Expect(code).To(Equal(http.StatusOK), text) // the API server's own roots decide
		}).WithTimeout(readyTimeout).WithPolling(pollInterval).Should(Succeed())
		trust(ctx, admin, issue("somebody else").authority)
		manager.saysWhy("put the CA of the files into clientConfig.caBundle")
		trust(ctx, admin, first.authority)
		manager.isReady()
		Eventually(func() error { return dryRun(ctx, admin) }).WithTimeout(readyTimeout).WithPolling(pollInterval).Should(Succeed())

		By("getting the next certificate, of another CA")
		second := issue(host, "localhost")
		second.into(directory)
		trust(ctx, admin, bytes.Join([][]byte{first.authority, second.authority}, nil))
		Eventually(func(g Gomega) { g.Expect(serialServed(ctx, g, port, admin)).To(Equal(second.serial)) }).
			WithTimeout(readyTimeout).WithPolling(pollInterval).Should(Succeed())
		Expect(dryRun(ctx, admin)).To(Succeed())
		answer := status(config, "--webhook-certs=files", "--webhook-cert-dir="+directory)
		Expect(answer.err).NotTo(HaveOccurred(), answer.text)
		Expect(answer.text).To(ContainSubstring(second.serial))
	})
})

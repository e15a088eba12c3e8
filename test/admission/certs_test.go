package admission

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"kubernaut.io/kubernaut/webhooks"
)

// quickStart is how long a replica may take that finds certificates already made.
const quickStart = 5 * time.Second

func certificateSecret(ctx SpecContext) *corev1.Secret {
	GinkgoHelper()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: webhooks.SecretName, Namespace: operatorNamespace}}
	Expect(admin.Get(ctx, client.ObjectKeyFromObject(secret), secret)).To(Succeed())
	return secret
}

// served is the certificate that a server shows for localhost, verified with the CA of the Secret.
func served(g Gomega, port int, secret *corev1.Secret) *x509.Certificate {
	pool := x509.NewCertPool()
	g.Expect(pool.AppendCertsFromPEM(secret.Data["ca.crt"])).To(BeTrue())
	connection, err := tls.Dial("tcp", fmt.Sprintf("localhost:%d", port), &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12})
	g.Expect(err).NotTo(HaveOccurred())
	defer connection.Close()
	return connection.ConnectionState().PeerCertificates[0]
}

var _ = Describe("The self-signed certificates", func() {
	It("are for the Service and for localhost", func(ctx SpecContext) {
		leaf := served(Default, webhookPort, certificateSecret(ctx))
		for _, name := range []string{"localhost", "kubernaut-webhook.kubernaut-system.svc", "kubernaut-webhook.kubernaut-system.svc.cluster.local"} {
			Expect(leaf.VerifyHostname(name)).To(Succeed())
		}
	})

	It("are shared by all replicas, and stay when the manifests are applied again", func(ctx SpecContext) {
		before := certificateSecret(ctx)
		began := time.Now()
		port := freePort()
		startManager(port)
		Expect(time.Since(began)).To(BeNumerically("<", quickStart))
		install(ctx)
		Expect(certificateSecret(ctx).Data).To(Equal(before.Data))
		Expect(certificate.Checker()(nil)).To(Succeed())
		Expect(served(Default, port, before).Equal(served(Default, webhookPort, before))).To(BeTrue())
	})

	It("are issued again when the Secret loses them, and served at once, with the same CA", func(ctx SpecContext) {
		before := certificateSecret(ctx)
		changed := before.DeepCopy()
		delete(changed.Data, "tls.crt")
		Expect(admin.Update(ctx, changed)).To(Succeed())
		Eventually(func(g Gomega) {
			now := certificateSecret(ctx)
			g.Expect(now.Data["tls.crt"]).NotTo(BeEmpty())
			g.Expect(now.Data["ca.crt"]).To(Equal(before.Data["ca.crt"]))
			issued, err := tls.X509KeyPair(now.Data["tls.crt"], now.Data["tls.key"])
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(now.Data["tls.crt"]).NotTo(Equal(before.Data["tls.crt"]))
			g.Expect(served(g, webhookPort, now).Equal(issued.Leaf)).To(BeTrue())
		}).WithTimeout(readyTimeout).WithPolling(pollInterval).Should(Succeed())
		Expect(alice.Create(ctx, request("reissued-", nil), client.DryRunAll)).To(Succeed())
	})
})

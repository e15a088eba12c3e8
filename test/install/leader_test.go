package install

import (
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	coordinationv1 "k8s.io/api/coordination/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"kubernaut.io/kubernaut/test/cluster"
)

// leaseTimeout is within which another manager leads after one was killed: its Lease has to run out first.
const leaseTimeout = time.Minute

// balancer does what a Service does: a connection goes to a replica that takes it.
type balancer struct {
	listener net.Listener
	mutex    sync.Mutex
	replicas []int
}

func balance(port int) *balancer {
	GinkgoHelper()
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	Expect(err).NotTo(HaveOccurred())
	b := &balancer{listener: listener}
	DeferCleanup(func() { _ = listener.Close() })
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return // it was closed
			}
			go b.serve(connection)
		}
	}()
	return b
}

func (b *balancer) add(port int) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	b.replicas = append(b.replicas, port)
}

// take is the next replica in turn that takes a connection; nil if none does.
func (b *balancer) take() net.Conn {
	b.mutex.Lock()
	replicas := append([]int(nil), b.replicas...)
	if len(b.replicas) > 1 {
		b.replicas = append(b.replicas[1:], b.replicas[0])
	}
	b.mutex.Unlock()
	for _, port := range replicas {
		if connection, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			return connection
		}
	}
	return nil
}

func (b *balancer) serve(from net.Conn) {
	defer from.Close()
	to := b.take()
	if to == nil {
		return
	}
	defer to.Close()
	ended := make(chan struct{}, 2)
	for _, pair := range [][2]net.Conn{{from, to}, {to, from}} {
		go func() {
			_, _ = io.Copy(pair[0], pair[1])
			ended <- struct{}{}
		}()
	}
	<-ended
}

var _ = Describe("Two replicas", func() {
	It("lose no request when the leader ends, and only those under way when it is killed", func(ctx SpecContext) {
		plane := startCluster()
		admin := clientOf(plane.Config)
		port := freePort()
		between := balance(port)
		Expect(cluster.Install(ctx, plane.Config, cluster.Options{Root: root, WebhookURL: webhookURL(port)})).To(Succeed())
		holder := func(g Gomega) string {
			lease := &coordinationv1.Lease{}
			g.Expect(admin.Get(ctx, client.ObjectKey{Namespace: operatorNamespace, Name: "kubernaut-manager"}, lease)).To(Succeed())
			g.Expect(lease.Spec.HolderIdentity).NotTo(BeNil())
			return *lease.Spec.HolderIdentity
		}
		replica := func() running {
			r := startManager(ctx, plane.Config, freePort(), "--leader-elect=true")
			r.isReady()
			between.add(r.webhook)
			return r
		}
		first := replica()
		var leader string
		Eventually(func(g Gomega) { leader = holder(g); g.Expect(leader).NotTo(BeEmpty()) }).WithTimeout(leaseTimeout).WithPolling(pollInterval).Should(Succeed())
		second := replica()
		Eventually(func() error { return dryRun(ctx, admin) }).WithTimeout(readyTimeout).WithPolling(pollInterval).Should(Succeed())

		By("ending the leader, as a rollout does, while requests are served")
		requests := send(ctx, admin, port)
		Eventually(requests.sent.Load).WithTimeout(readyTimeout).WithPolling(pollInterval).Should(BeNumerically(">", 2*rate))
		first.stop()
		sent, failures := requests.end()
		Expect(failures).To(BeEmpty())
		Expect(sent).To(BeNumerically(">", rate*int(load/time.Second)))
		Eventually(func(g Gomega) { g.Expect(holder(g)).NotTo(Or(BeEmpty(), Equal(leader))) }).WithTimeout(leaseTimeout).WithPolling(pollInterval).Should(Succeed())

		By("killing the new leader while requests are served")
		leader = holder(Default)
		third := replica()
		requests = send(ctx, admin, port)
		Eventually(requests.sent.Load).WithTimeout(readyTimeout).WithPolling(pollInterval).Should(BeNumerically(">", 2*rate))
		Expect(second.command.Process.Signal(syscall.SIGKILL)).To(Succeed())
		Eventually(second.ended).WithTimeout(stopTimeout).Should(BeClosed())
		// What is asked from now on is answered; what was under way is refused, and nothing is let through unseen.
		Eventually(func() error { return dryRun(ctx, admin) }).WithTimeout(readyTimeout).WithPolling(pollInterval).Should(Succeed())
		sent, failures = requests.end()
		Expect(len(failures)).To(BeNumerically("<", rate), "of %d: %v", sent, failures)
		Expect(third.ended).NotTo(BeClosed())
		Eventually(func(g Gomega) { g.Expect(holder(g)).NotTo(Or(BeEmpty(), Equal(leader))) }).WithTimeout(leaseTimeout).WithPolling(pollInterval).Should(Succeed())
	})
})

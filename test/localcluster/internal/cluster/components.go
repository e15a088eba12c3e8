package cluster

import (
	"fmt"
	"path/filepath"

	"kubernaut.io/kubernaut/test/localcluster/internal/process"
)

const (
	etcd                  = "etcd"
	kubeAPIServer         = "kube-apiserver"
	kubeControllerManager = "kube-controller-manager"
	kubeScheduler         = "kube-scheduler"
	kwok                  = "kwok"
)

// componentNames is the order of starting; they end in the opposite one.
func componentNames() []string {
	return []string{etcd, kubeAPIServer, kubeControllerManager, kubeScheduler, kwok}
}

// layout is what the command lines are made of.
type layout struct {
	Directory
	ports
	bin    string
	stages string
}

func (l layout) spec(name string) process.Spec {
	args := map[string][]string{
		etcd:                  l.etcdFlags(),
		kubeAPIServer:         l.apiServerFlags(),
		kubeControllerManager: l.controllerManagerFlags(),
		kubeScheduler:         l.schedulerFlags(),
		kwok:                  l.kwokFlags(),
	}[name]
	return process.Spec{Name: name, Args: append([]string{filepath.Join(l.bin, name)}, args...), Dir: string(l.Directory)}
}

func (l layout) etcdFlags() []string {
	client, peer := "http://"+address(l.Etcd), "http://"+address(l.EtcdPeer)
	return []string{
		"--name=default", "--data-dir=" + l.path("etcd"), "--log-level=warn",
		"--listen-client-urls=" + client, "--advertise-client-urls=" + client,
		"--listen-peer-urls=" + peer, "--initial-advertise-peer-urls=" + peer, "--initial-cluster=default=" + peer,
		// The data lives no longer than the cluster, and an fsync can take longer than a request.
		"--unsafe-no-fsync",
	}
}

func (l layout) apiServerFlags() []string {
	return append([]string{
		"--etcd-servers=http://" + address(l.Etcd),
		"--bind-address=" + loopback, fmt.Sprintf("--secure-port=%d", l.APIServer),
		// Else it looks for a default route, which not every machine has. Loopback is allowed only without the
		// reconciler, which would write it into the endpoints of the Service kubernetes; nothing here uses them.
		"--advertise-address=" + loopback, "--endpoint-reconciler-type=none",
		"--service-cluster-ip-range=10.96.0.0/16",
		"--client-ca-file=" + l.cert("ca"),
		"--authorization-mode=Node,RBAC",
		"--enable-admission-plugins=NodeRestriction",
		"--allow-privileged=true",
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-key-file=" + l.key("service-account"),
		"--service-account-signing-key-file=" + l.key("service-account"),
		"--audit-policy-file=" + l.auditPolicy(), "--audit-log-path=" + l.AuditLog(),
		// Tests read the log as one file.
		"--audit-log-maxsize=4096", "--audit-log-maxbackup=1",
	}, l.servingFlags()...)
}

func (l layout) servingFlags() []string {
	return []string{"--tls-cert-file=" + l.cert("server"), "--tls-private-key-file=" + l.key("server")}
}

// managerFlags are those that the controller manager and the scheduler share.
func (l layout) managerFlags(name string, port int) []string {
	kubeconfig := l.componentKubeconfig(name)
	return append([]string{
		"--kubeconfig=" + kubeconfig, "--authentication-kubeconfig=" + kubeconfig, "--authorization-kubeconfig=" + kubeconfig,
		// The flag says who may connect; what the cluster publishes about it is for aggregated API servers.
		"--client-ca-file=" + l.cert("ca"), "--authentication-skip-lookup=true",
		"--bind-address=" + loopback, fmt.Sprintf("--secure-port=%d", port),
		"--leader-elect=false",
		// With the default limits the first ServiceAccount appears after nine seconds.
		"--kube-api-qps=300", "--kube-api-burst=500",
	}, l.servingFlags()...)
}

func (l layout) controllerManagerFlags() []string {
	return append(l.managerFlags(kubeControllerManager, l.ControllerManager),
		"--use-service-account-credentials=true",
		"--service-account-private-key-file="+l.key("service-account"),
		"--root-ca-file="+l.cert("ca"),
		"--cluster-signing-cert-file="+l.cert("ca"), "--cluster-signing-key-file="+l.key("ca"),
	)
}

func (l layout) schedulerFlags() []string { return l.managerFlags(kubeScheduler, l.Scheduler) }

func (l layout) kwokFlags() []string {
	return []string{
		"--kubeconfig=" + l.componentKubeconfig(kwok), "--config=" + l.stages,
		"--manage-nodes-with-annotation-selector=" + fakeNode + "=fake",
		"--node-lease-duration-seconds=40",
		"--node-ip=" + loopback, "--cidr=10.244.0.0/16",
	}
}

// AuditLog is where the API server appends who did what.
func (d Directory) AuditLog() string { return d.path("logs", "audit.log") }

func (d Directory) auditPolicy() string { return d.path("config", "audit-policy.yaml") }

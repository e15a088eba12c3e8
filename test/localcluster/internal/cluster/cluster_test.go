package cluster

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kubernaut.io/kubernaut/test/localcluster/internal/process"
)

func TestPickedPortsAreFreeAndDistinct(t *testing.T) {
	p, err := pickPorts()
	if err != nil {
		t.Fatal(err)
	}
	all := []int{p.Etcd, p.EtcdPeer, p.APIServer, p.ControllerManager, p.Scheduler}
	slices.Sort(all)
	if len(slices.Compact(all)) != 5 {
		t.Errorf("not distinct: %+v", p)
	}
}

func TestATakenPortIsNotFree(t *testing.T) {
	listener, err := net.Listen("tcp", loopback+":0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	address, ok := listener.Addr().(*net.TCPAddr)
	if !ok || free(address.Port) {
		t.Error("taken for free")
	}
}

func TestStateIsRemembered(t *testing.T) {
	d := Directory(t.TempDir())
	first, err := d.loadOrCreate()
	if err != nil {
		t.Fatal(err)
	}
	second, err := d.loadOrCreate()
	if err != nil || first != second {
		t.Errorf("%+v, then %+v, %v", first, second, err)
	}
}

func TestAFolderOfSomebodyElseIsLeftAlone(t *testing.T) {
	for what, file := range map[string]string{"no marker": "precious", "another marker": markerFile} {
		t.Run(what, func(t *testing.T) {
			d := Directory(t.TempDir())
			if err := os.WriteFile(d.path(file), []byte(`{"kind":"other"}`), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := d.Down(t.Context(), io.Discard); err == nil {
				t.Error("down: no error")
			}
			if err := d.Up(t.Context(), UpOptions{Out: io.Discard}); err == nil {
				t.Error("up: no error")
			}
			if _, err := os.Stat(d.path(file)); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestDownWithoutAClusterDoesNothing(t *testing.T) {
	missing := Directory(filepath.Join(t.TempDir(), "missing"))
	for _, d := range []Directory{missing, Directory(t.TempDir())} {
		if err := d.Down(t.Context(), io.Discard); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(string(missing)); err == nil {
		t.Error("it was made")
	}
}

func newCluster(t *testing.T) Directory {
	t.Helper()
	d := Directory(filepath.Join(t.TempDir(), "cluster"))
	if err := os.Mkdir(string(d), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := d.loadOrCreate(); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(d.path("logs"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Down(context.Background(), io.Discard); err != nil {
			t.Error(err)
		}
	})
	return d
}

func sleeping(t *testing.T, name string) process.Spec {
	t.Helper()
	path, err := exec.LookPath("sleep")
	if err != nil {
		t.Skip("this machine has no sleep")
	}
	return process.Spec{Name: name, Args: []string{path, "600"}}
}

func TestStartIsIdempotentAndDownEndsIt(t *testing.T) {
	d := newCluster(t)
	var out bytes.Buffer
	for range 2 {
		if err := d.Start(t.Context(), sleeping(t, "manager"), &out); err != nil {
			t.Fatal(err)
		}
	}
	if !strings.Contains(out.String(), "runs already") {
		t.Errorf("second start said %q", out.String())
	}
	record, alive, err := d.processes().Lookup("manager")
	if err != nil || !alive {
		t.Fatalf("alive %v, %v", alive, err)
	}
	if err := d.Down(t.Context(), io.Discard); err != nil {
		t.Fatal(err)
	}
	if record.Alive() {
		t.Error("still alive after down")
	}
	if _, err := os.Stat(string(d)); err == nil {
		t.Error("the directory is still there")
	}
}

func TestStartReportsWhatEndsAtOnce(t *testing.T) {
	d := newCluster(t)
	shell, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("this machine has no sh")
	}
	err = d.Start(t.Context(), process.Spec{Name: "manager", Args: []string{shell, "-c", "echo bad flag; exit 3"}}, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "bad flag") {
		t.Errorf("error %v", err)
	}
}

func TestStartRefusesNamesOfComponents(t *testing.T) {
	d := newCluster(t)
	for _, name := range []string{etcd, kwok, "audit", "../x", ""} {
		if err := d.Start(t.Context(), sleeping(t, name), io.Discard); err == nil {
			t.Errorf("%q was accepted", name)
		}
	}
}

func TestStartNeedsACluster(t *testing.T) {
	err := Directory(t.TempDir()).Start(t.Context(), sleeping(t, "manager"), io.Discard)
	if !errors.Is(err, ErrNoCluster) {
		t.Errorf("error %v", err)
	}
}

func TestWhatWasAddedEndsFirstAndEtcdLast(t *testing.T) {
	have := inOrderOfStopping([]string{"etcd", "kube-apiserver", "kube-scheduler", "kwok", "manager", "zeta"})
	want := []string{"manager", "zeta", "kwok", "kube-scheduler", "kube-apiserver", "etcd"}
	if !slices.Equal(have, want) {
		t.Errorf("have %v", have)
	}
}

func readCertificate(t *testing.T, path string) *x509.Certificate {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(data)
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func TestCertificatesNameTheirUsersAndStay(t *testing.T) {
	d := newCluster(t)
	if err := os.Mkdir(d.path("pki"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := d.ensurePKI(); err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(readCertificate(t, d.cert("ca")))
	server := readCertificate(t, d.cert("server"))
	for _, name := range []string{"localhost", "127.0.0.1"} {
		if _, err := server.Verify(x509.VerifyOptions{DNSName: name, Roots: roots}); err != nil {
			t.Error(err)
		}
	}
	admin := readCertificate(t, d.cert("admin"))
	usage := []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	if _, err := admin.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: usage}); err != nil {
		t.Error(err)
	}
	if !slices.Equal(admin.Subject.Organization, []string{mastersGroup}) {
		t.Errorf("groups %v", admin.Subject.Organization)
	}
	if err := d.ensurePKI(); err != nil {
		t.Fatal(err)
	}
	if !readCertificate(t, d.cert("admin")).Equal(admin) {
		t.Error("issued anew")
	}
}

func TestEverythingListensOnLoopbackOnly(t *testing.T) {
	l := layout{Directory: "/c", ports: ports{1, 2, 3, 4, 5}, bin: "/bin", stages: "/s"}
	for _, name := range componentNames() {
		for _, arg := range l.spec(name).Args {
			flag, value, _ := strings.Cut(arg, "=")
			listens := strings.HasPrefix(flag, "--listen-") || strings.HasSuffix(flag, "-address")
			if listens && !strings.Contains(value, loopback) {
				t.Errorf("%s: %s", name, arg)
			}
		}
	}
}

func TestKubeconfigIsPrivateAndLeftAloneWhenRight(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kubeconfig")
	k := newKubeconfig("https://127.0.0.1:1", []byte("ca"), "user", "", credential{TokenFile: "/t"})
	if err := k.write(path); err != nil {
		t.Fatal(err)
	}
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if before.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", before.Mode())
	}
	if err := k.write(path); err != nil {
		t.Fatal(err)
	}
	if after, _ := os.Stat(path); !os.SameFile(before, after) {
		t.Error("written again")
	}
	data, _ := os.ReadFile(path)
	var back kubeconfig
	if err := json.Unmarshal(data, &back); err != nil || back.CurrentContext != back.Contexts[0].Name {
		t.Errorf("%+v, %v", back, err)
	}
}

func TestStagesAreAllThere(t *testing.T) {
	stages, err := allStages()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{
		"node-initialize", "node-heartbeat-with-lease", "pod-ready", "pod-complete", "pod-delete",
		"pod-image-missing", "pod-image-back-off",
	} {
		if !bytes.Contains(stages, []byte("\n  name: "+name+"\n")) {
			t.Errorf("no stage %s", name)
		}
	}
}

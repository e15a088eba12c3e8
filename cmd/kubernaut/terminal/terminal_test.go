package terminal

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

func TestNearest(t *testing.T) {
	for name, test := range map[string]struct {
		typed      string
		candidates []string
		want       string
	}{
		"two letters swapped":            {typed: "stcuk", candidates: []string{"stuck", "other"}, want: "stuck"},
		"a letter missing":               {typed: "cncel", candidates: []string{"cancel", "suspend"}, want: "cancel"},
		"upper case":                     {typed: "Tree", candidates: []string{"tree"}, want: "tree"},
		"the beginning of one":           {typed: "cart-rollout", candidates: []string{"cart-rollout-stuck-7f9c", "basket"}, want: "cart-rollout-stuck-7f9c"},
		"the beginning of two":           {typed: "cart", candidates: []string{"cart-rollout-1", "cart-rollout-2"}, want: ""},
		"nothing is near":                {typed: "payment", candidates: []string{"cart", "basket"}, want: ""},
		"two are as near: first by name": {typed: "cat", candidates: []string{"car", "cap"}, want: "cap"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Nearest(test.typed, test.candidates); got != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}

func TestTableKeepsItsColumnsWithColours(t *testing.T) {
	table := Table{Header: []string{"NAME", "PHASE", "WHY"}, Rows: [][]Cell{
		{Text("rr/stuck"), {Text: "failed", Tone: Bad}, Text("1 %…")},
		{Text("rr/ü"), {Text: "completed", Tone: Good}, Text("")},
	}}
	var plain, coloured bytes.Buffer
	table.Write(&plain, false)
	table.Write(&coloured, true)
	want := "NAME       PHASE       WHY\nrr/stuck   failed      1 %…\nrr/ü       completed\n"
	if diff := cmp.Diff(want, plain.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	without := strings.NewReplacer("\x1b[31m", "", "\x1b[32m", "", "\x1b[0m", "").Replace(coloured.String())
	if diff := cmp.Diff(want, without); diff != "" || !strings.Contains(coloured.String(), "\x1b[31mfailed\x1b[0m ") {
		t.Errorf("with colours: %q", coloured.String())
	}
}

func TestFit(t *testing.T) {
	for _, test := range []struct {
		line    string
		columns int
		want    string
	}{
		{line: "as long", columns: 8, want: "as long"},
		{line: "fits it", columns: 7, want: "fits it"},
		{line: "\x1b[31mfits\x1b[0m it", columns: 7, want: "\x1b[31mfits\x1b[0m it"},
		{line: "too long for it", columns: 8, want: "too lon…"},
		{line: "\x1b[31mred\x1b[0m and long", columns: 6, want: "\x1b[31mred\x1b[0m a…\x1b[0m"},
		{line: "\x1b[31mred all along\x1b[0m", columns: 6, want: "\x1b[31mred a…\x1b[0m"},
		{line: "no terminal", columns: 0, want: "no terminal"},
	} {
		if got := Fit(test.line, test.columns); got != test.want {
			t.Errorf("%q in %d columns: %q, want %q", test.line, test.columns, got, test.want)
		}
	}
}

func TestNoColoursWhereNobodyLooks(t *testing.T) {
	if Painter(&bytes.Buffer{}) {
		t.Error("a buffer is coloured")
	}
	file, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if Painter(file) {
		t.Error("a file is coloured")
	}
}

func TestExplain(t *testing.T) {
	requests := schema.GroupResource{Group: "remediation.kubernaut.io", Resource: "remediationrequests"}
	failed := func(err error) error {
		return &url.Error{Op: "Get", URL: "https://10.0.0.1:6443/api?timeout=32s", Err: err}
	}
	admission := apierrors.NewForbidden(requests, "x", errors.New("no"))
	admission.ErrStatus.Details, admission.ErrStatus.Message = nil, "admission webhook said no"
	for name, test := range map[string]struct {
		err  error
		want []string
		code int
	}{
		"nobody listens":       {err: failed(&net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}), want: []string{"https://10.0.0.1:6443 does not answer", "kubectl config current-context"}, code: ExitUsage},
		"no such host":         {err: failed(&net.DNSError{Name: "nowhere.example", IsNotFound: true}), want: []string{"there is no host nowhere.example"}, code: ExitUsage},
		"it takes too long":    {err: failed(context.DeadlineExceeded), want: []string{"does not answer in time"}, code: ExitUsage},
		"something else":       {err: failed(errors.New("tls: no")), want: []string{"cannot be asked: tls: no"}, code: ExitUsage},
		"no right":             {err: apierrors.NewForbidden(requests, "", errors.New(`User "eve" cannot list`)), want: []string{`User "eve" cannot list`, "kubectl auth can-i"}, code: ExitUsage},
		"refused at admission": {err: admission, want: []string{"admission webhook said no"}, code: ExitFindings},
		"unknown user":         {err: apierrors.NewUnauthorized("x"), want: []string{"log in again"}, code: ExitUsage},
		"not installed":        {err: &meta.NoKindMatchError{GroupKind: schema.GroupKind{Kind: "RemediationRequest"}}, want: []string{"not installed", "config/default"}, code: ExitUsage},
		"overloaded":           {err: apierrors.NewTooManyRequests("slow down", 1), want: []string{"try again", "slow down"}, code: ExitUsage},
		"no manager":           {err: apierrors.NewInternalError(errors.New(`failed calling webhook "x": connection refused`)), want: []string{"kubernaut-manager"}, code: ExitUsage},
		"interrupted":          {err: context.Canceled, want: []string{"interrupted"}, code: ExitInterrupted},
		"it has its own code":  {err: WithCode(7, failed(errors.New("own"))), want: []string{"own"}, code: 7},
		"of a file":            {err: os.ErrNotExist, want: []string{"file does not exist"}, code: ExitFindings},
	} {
		t.Run(name, func(t *testing.T) {
			got := Explain(test.err)
			for _, want := range test.want {
				if !strings.Contains(got.Error(), want) {
					t.Errorf("%q lacks %q", got, want)
				}
			}
			if strings.Contains(got.Error(), "\n") || ExitCode(got) != test.code {
				t.Errorf("exit code %d, want %d: %q", ExitCode(got), test.code, got)
			}
		})
	}
}

// kubeconfigCommand asks for the configuration of a cluster.
func kubeconfigCommand(args ...string) error {
	var cluster Cluster
	command := &cobra.Command{Use: "ask", SilenceErrors: true, SilenceUsage: true, RunE: Run(func(*cobra.Command, []string) error {
		_, err := cluster.Config()
		return err
	})}
	cluster.Add(command)
	command.SetFlagErrorFunc(FlagError)
	command.SetArgs(args)
	return command.Execute()
}

func TestClusterThatIsNotThere(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "config")
	const text = "apiVersion: v1\nkind: Config\ncontexts: [{name: prod, context: {cluster: prod, user: me}}]\n" +
		"clusters: [{name: prod, cluster: {server: https://127.0.0.1:1}}]\nusers: [{name: me, user: {}}]\ncurrent-context: prod\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("KUBECONFIG", filepath.Join(dir, "none"))
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"none at all":           {want: "There is no kubeconfig"},
		"a file that is not":    {args: []string{"--kubeconfig", dir + "/missing"}, want: "there is no file"},
		"a context that is not": {args: []string{"--kubeconfig", file, "--context", "prdo"}, want: "did you mean prod?"},
		"a flag that is not":    {args: []string{"--contxt", "prod"}, want: "did you mean --context? (ask --help lists the flags)"},
	} {
		t.Run(name, func(t *testing.T) {
			err := kubeconfigCommand(test.args...)
			if err == nil || !strings.Contains(err.Error(), test.want) || ExitCode(err) != ExitUsage || strings.Contains(err.Error(), "\n") {
				t.Errorf("code %d: %v, want %q", ExitCode(err), err, test.want)
			}
		})
	}
	if err := kubeconfigCommand("--kubeconfig", file); err != nil {
		t.Error(err)
	}
}

func TestPrintObjects(t *testing.T) {
	pods := []client.Object{
		&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "a", ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "x"}}}},
		&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "b"}},
	}
	for name, test := range map[string]struct {
		format Format
		single bool
		want   []string
	}{
		"names": {format: FormatName, want: []string{"pod/a\npod/b\n"}},
		"list":  {format: FormatYAML, want: []string{"kind: List\n", "- apiVersion: v1\n  kind: Pod\n"}},
		"one":   {format: FormatJSON, single: true, want: []string{"{\n  \"kind\": \"Pod\","}},
	} {
		t.Run(name, func(t *testing.T) {
			output := Output{Format: test.format}
			objects := pods
			if test.single {
				objects = pods[:1]
			}
			var out bytes.Buffer
			if err := output.Print(&out, clientgoscheme.Scheme, objects, test.single); err != nil {
				t.Fatal(err)
			}
			for _, want := range test.want {
				if !strings.Contains(out.String(), want) {
					t.Errorf("%s lacks %q", out.String(), want)
				}
			}
			if strings.Contains(out.String(), "managedFields") {
				t.Error("managedFields are shown")
			}
		})
	}
}

func TestGroupNamesTheNearestCommand(t *testing.T) {
	root := Group(&cobra.Command{Use: "kubernaut", SilenceErrors: true, SilenceUsage: true})
	root.AddCommand(&cobra.Command{Use: "policy", Run: func(*cobra.Command, []string) {}})
	root.SetArgs([]string{"polcy"})
	root.SetOut(&bytes.Buffer{})
	err := root.Execute()
	if want := `there is no command "kubernaut polcy"; did you mean policy? (kubernaut --help lists the commands)`; err == nil || err.Error() != want || ExitCode(err) != ExitUsage {
		t.Errorf("code %d: %v, want %s", ExitCode(err), err, want)
	}
	root.SetArgs(nil)
	if err := root.Execute(); err != nil {
		t.Error(err)
	}
}

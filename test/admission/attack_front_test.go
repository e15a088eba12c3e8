package admission

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"k8s.io/apimachinery/pkg/types"

	"kubernaut.io/kubernaut/controllers/identity"
)

// front stands where the API server looks for the webhooks, with their certificate, and answers as the test wants.
type front struct {
	url     string
	address string
	server  *http.Server
	handler atomic.Pointer[http.Handler]
	calls   atomic.Int64
}

func newFront() *front {
	GinkgoHelper()
	port := freePort()
	f := &front{url: fmt.Sprintf("https://localhost:%d", port), address: fmt.Sprintf("127.0.0.1:%d", port)}
	f.forward("")
	f.start()
	DeferCleanup(f.stop)
	return f
}

func (f *front) start() {
	GinkgoHelper()
	listener, err := net.Listen("tcp", f.address)
	Expect(err).NotTo(HaveOccurred())
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	certificate.TLSConfig(config)
	f.server = &http.Server{TLSConfig: config, ReadHeaderTimeout: readyTimeout, Handler: http.HandlerFunc(func(out http.ResponseWriter, in *http.Request) {
		f.calls.Add(1)
		(*f.handler.Load()).ServeHTTP(out, in)
	})}
	server := f.server
	go func() { _ = server.ServeTLS(listener, "", "") }()
}

func (f *front) stop() { _ = f.server.Close() }

func (f *front) answer(handler http.Handler)         { f.handler.Store(&handler) }
func (f *front) answerFunc(handler http.HandlerFunc) { f.answer(handler) }
func (f *front) called(try func()) bool {
	before := f.calls.Load()
	try()
	return f.calls.Load() > before
}

// forward passes everything on to the manager, but what is sent to one path, which it allows without looking.
func (f *front) forward(but string) {
	GinkgoHelper()
	to, err := url.Parse(webhookURL)
	Expect(err).NotTo(HaveOccurred())
	proxy := httputil.NewSingleHostReverseProxy(to)
	proxy.Transport = &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}}
	f.answerFunc(func(out http.ResponseWriter, in *http.Request) {
		if in.URL.Path == but {
			allow(out, in)
			return
		}
		proxy.ServeHTTP(out, in)
	})
}

// hang answers nothing before the other side gives up.
func (*front) hang(reached chan<- struct{}) http.HandlerFunc {
	return func(_ http.ResponseWriter, in *http.Request) {
		_, _ = io.Copy(io.Discard, in.Body)
		select {
		case reached <- struct{}{}:
		default:
		}
		<-in.Context().Done()
	}
}

func uidOf(in *http.Request) string {
	var review struct {
		Request struct {
			UID string `json:"uid"`
		} `json:"request"`
	}
	if err := json.NewDecoder(in.Body).Decode(&review); err != nil {
		return ""
	}
	return review.Request.UID
}

func allow(out http.ResponseWriter, in *http.Request) { say(out, allowed(uidOf(in), "")) }

func allowed(uid, more string) string {
	return fmt.Sprintf(`{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":{"uid":%q,"allowed":true%s}}`, uid, more)
}

func say(out http.ResponseWriter, text string) {
	out.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(out, text)
}

// outages are rows for a webhook that has no answer, or none that counts.
func outages(f *front) (rows []attack, undo func()) {
	answers := map[string]func(http.ResponseWriter, *http.Request){
		"it answers later than one waits": f.hang(nil),
		"it answers nothing":              func(http.ResponseWriter, *http.Request) {},
		"it answers garbage":              func(out http.ResponseWriter, _ *http.Request) { say(out, "\x00\xff\x13allowed") },
		"it answers a page":               func(out http.ResponseWriter, _ *http.Request) { say(out, "<html>allowed: true</html>") },
		"it answers half an answer": func(out http.ResponseWriter, in *http.Request) {
			text := allowed(uidOf(in), "")
			say(out, text[:len(text)-2])
		},
		"it answers a review without a response": func(out http.ResponseWriter, _ *http.Request) {
			say(out, `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview"}`)
		},
		"it answers for another request": func(out http.ResponseWriter, _ *http.Request) { say(out, allowed("another", "")) },
		"it answers in a version that nobody asked for": func(out http.ResponseWriter, in *http.Request) {
			say(out, strings.Replace(allowed(uidOf(in), ""), "admission.k8s.io/v1", "admission.k8s.io/v1beta1", 1))
		},
		"it answers another kind": func(out http.ResponseWriter, in *http.Request) {
			say(out, strings.Replace(allowed(uidOf(in), ""), `"AdmissionReview"`, `"SubjectAccessReview"`, 1))
		},
		"it answers with a patch": func(out http.ResponseWriter, in *http.Request) {
			say(out, allowed(uidOf(in), `,"patchType":"JSONPatch","patch":"W10="`))
		},
		"it allows with an error": func(out http.ResponseWriter, in *http.Request) {
			text := allowed(uidOf(in), "")
			out.WriteHeader(http.StatusInternalServerError)
			say(out, text)
		},
		"it does not know its path": http.NotFound,
		"it hangs up":               func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"it is down":                nil,
	}
	writer := identity.Playbook
	for _, name := range slices.Sorted(maps.Keys(answers)) {
		with := func(try func(context.Context, *world) error) func(context.Context, *world) error {
			return func(ctx context.Context, w *world) error {
				if answers[name] == nil {
					f.stop()
					defer f.start()
				} else {
					f.answerFunc(answers[name])
				}
				return try(ctx, w)
			}
		}
		rows = append(rows, attack{
			group: "outage", name: name + ": write a status", by: everyRight, request: "merge patch playbooks/status", want: "failed calling webhook", in: []setup{onlyWebhook},
			do: with(func(ctx context.Context, w *world) error {
				return w.patch(ctx, everyRight, "Playbook", types.MergePatchType, `{"status":{"observedGeneration":1}}`, "status")
			}),
		}, attack{
			group: "outage", name: name + ": create a KubernetesExecution", by: everyRight, request: "POST kubernetesexecutions", want: "failed calling webhook", in: []setup{onlyWebhook},
			do: with(func(ctx context.Context, w *world) error {
				return w.create(ctx, everyRight, child(w, everyRight, "KubernetesExecution"))
			}),
		}, attack{
			group: "outage", name: name + ": the writer writes its status", by: writer, request: "merge patch playbooks/status", want: passes, in: []setup{onlyWebhook},
			do: with(func(ctx context.Context, w *world) error {
				return w.patch(ctx, writer, "Playbook", types.MergePatchType, `{"status":{"observedGeneration":1}}`, "status")
			}),
		})
	}
	return rows, func() { f.forward("") }
}

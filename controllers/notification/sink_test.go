package notification

import (
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// secret is the part of an address that nobody may see.
const secret = "T000-B000-verysecret"

func addressFile(t *testing.T, address string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "url")
	if err := os.WriteFile(file, []byte(address+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// authorityFile holds the certificate of a TLS server of httptest.
func authorityFile(t *testing.T, server *httptest.Server) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "ca.crt")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestSend(t *testing.T) {
	t.Parallel()
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a redirect was followed") }))
	t.Cleanup(elsewhere.Close)
	answer := func(code int, headers ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			if err != nil || string(body) != `{"text":"hello"}` || r.Method != http.MethodPost || r.URL.Path != "/"+secret ||
				r.Header.Get("Content-Type") != "application/json" || r.Header.Get(HeaderID) != "request-uid" {
				t.Errorf("got %s %s %q with %v: %v", r.Method, r.URL, body, r.Header, err)
			}
			for i := 0; i < len(headers); i += 2 {
				w.Header().Set(headers[i], headers[i+1])
			}
			w.WriteHeader(code)
			fmt.Fprint(w, strings.Repeat("an answer that says "+secret, 10_000))
		}
	}
	tests := map[string]struct {
		handler   http.HandlerFunc
		want      string
		wantRetry time.Duration
	}{
		"200 is taken":                      {handler: answer(http.StatusOK)},
		"202 is taken":                      {handler: answer(http.StatusAccepted)},
		"500 is not":                        {handler: answer(http.StatusInternalServerError), want: "answered 500 Internal Server Error"},
		"404 is not":                        {handler: answer(http.StatusNotFound), want: "answered 404 Not Found"},
		"a redirect is not":                 {handler: answer(http.StatusFound, "Location", elsewhere.URL+"/"+secret), want: "redirects (302)"},
		"nor is one that keeps the method":  {handler: answer(http.StatusTemporaryRedirect, "Location", elsewhere.URL), want: "redirects (307)"},
		"429 says when to come back":        {handler: answer(http.StatusTooManyRequests, "Retry-After", "30"), want: "answered 429", wantRetry: 30 * time.Second},
		"but not next year":                 {handler: answer(http.StatusTooManyRequests, "Retry-After", "31536000"), want: "answered 429", wantRetry: longestWait},
		"and nothing that is no number":     {handler: answer(http.StatusServiceUnavailable, "Retry-After", "-1"), want: "answered 503"},
		"a connection that breaks is not":   {handler: func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, want: "broke off the connection"},
		"a code that nobody knows is named": {handler: answer(599), want: "answered 599"},
	}
	for sentence, test := range tests {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewTLSServer(test.handler)
			t.Cleanup(server.Close)
			sink, err := NewSink(SinkOptions{URLFile: addressFile(t, server.URL+"/"+secret), CAFile: authorityFile(t, server)})
			if err != nil {
				t.Fatal(err)
			}
			failed := sink.Send(t.Context(), "request-uid", Message{Text: "hello"})
			checkFailure(t, failed, test.want)
			if failed != nil && failed.RetryAfter != test.wantRetry {
				t.Errorf("to be tried again after %s, want %s", failed.RetryAfter, test.wantRetry)
			}
		})
	}
}

func checkFailure(t *testing.T, failed *DeliveryError, want string) {
	t.Helper()
	switch {
	case failed == nil && want == "":
	case failed == nil:
		t.Errorf("it was taken, want %q", want)
	case want == "" || !strings.Contains(failed.Error(), want):
		t.Errorf("got %q, want %q", failed, want)
	case strings.Contains(failed.Error(), secret):
		t.Errorf("the address is in %q", failed)
	}
}

func TestSendToWhatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	closed, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := closed.Addr().String()
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	untrusted := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(untrusted.Close)
	plain := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plain.Close)
	release := make(chan struct{})
	hangs := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	t.Cleanup(hangs.Close)
	t.Cleanup(func() { close(release) })
	trickles := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusOK)
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Error(err)
		}
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(trickles.Close)
	tests := map[string]struct{ address, want string }{
		"nobody listens":                {"https://" + nobody, "the sink at https://" + nobody + " cannot be reached: connection refused"},
		"its certificate is a stranger": {untrusted.URL, "has a certificate that is not trusted: x509:"},
		"it does not speak TLS":         {strings.Replace(plain.URL, "http:", "https:", 1), "does not speak TLS"},
		"it hangs":                      {hangs.URL, "did not answer within"},
		"its answer does not end":       {trickles.URL, "did not answer within"},
	}
	for sentence, test := range tests {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			sink, err := NewSink(SinkOptions{URLFile: addressFile(t, test.address+"/"+secret)})
			if err != nil {
				t.Fatal(err)
			}
			sink.client.Timeout = time.Second
			checkFailure(t, sink.Send(t.Context(), "request-uid", Message{Text: "hello"}), test.want)
		})
	}
}

func TestAddresses(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ address, want string }{
		"https":                        {"https://hooks.example.com/services/" + secret, ""},
		"http to oneself":              {"http://127.0.0.1:8080/" + secret, ""},
		"http to oneself, by name":     {"http://localhost/" + secret, ""},
		"http to oneself, IPv6":        {"http://[::1]:80/" + secret, ""},
		"http to anybody else":         {"http://hooks.example.com/" + secret, "neither https nor"},
		"http to whom it looks like":   {"http://127.0.0.1.example.com/" + secret, "neither https nor"},
		"another scheme":               {"file:///" + secret, "has no host"},
		"another scheme with a host":   {"ftp://example.com/" + secret, "neither https nor"},
		"nothing":                      {"", "has no host"},
		"what is no URL":               {"https://%zz" + secret, "is not a URL"},
		"two lines, as of a bad paste": {"https://hooks.example.com/\nhttps://" + secret, "is not a URL"},
	}
	for sentence, test := range tests {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			_, err := NewSink(SinkOptions{URLFile: addressFile(t, test.address)})
			switch {
			case (err == nil) != (test.want == ""):
				t.Errorf("got %v, want %q", err, test.want)
			case err != nil && (!strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), secret)):
				t.Errorf("got %q, want %q", err, test.want)
			}
		})
	}
	if _, err := NewSink(SinkOptions{URLFile: filepath.Join(t.TempDir(), "url")}); err == nil {
		t.Error("a file that is not there is no address")
	}
	if _, err := NewSink(SinkOptions{URLFile: addressFile(t, "https://example.com"), CAFile: addressFile(t, "no PEM")}); err == nil {
		t.Error("a file without certificates vouches for nobody")
	}
}

// TestANewAddressIsUsed replaces the file, as the kubelet does when a Secret changes.
func TestANewAddressIsUsed(t *testing.T) {
	t.Parallel()
	var paths []string
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { paths = append(paths, r.URL.Path) }))
	t.Cleanup(server.Close)
	file := addressFile(t, server.URL+"/old")
	sink, err := NewSink(SinkOptions{URLFile: file})
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/old", "/new"} {
		if err := os.WriteFile(file, []byte(server.URL+path), 0o600); err != nil {
			t.Fatal(err)
		}
		checkFailure(t, sink.Send(t.Context(), "request-uid", Message{}), "")
	}
	if len(paths) != 2 || paths[1] != "/new" {
		t.Errorf("posted to %v", paths)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	checkFailure(t, sink.Send(t.Context(), "request-uid", Message{}), "the address of the sink cannot be used")
}

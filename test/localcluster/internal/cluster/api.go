package cluster

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

// api speaks to the API server as the administrator. The launcher needs half a dozen requests: a client library
// would make it many times as large and slow to build.
type api struct {
	http   *http.Client
	server string
}

// statusError is an answer that is not a success.
type statusError struct {
	code    int
	message string
}

func (e *statusError) Error() string { return fmt.Sprintf("API server: %d: %s", e.code, e.message) }

func hasCode(err error, code int) bool {
	status, ok := errors.AsType[*statusError](err)
	return ok && status.code == code
}

func (d Directory) client(p ports) (*api, error) {
	cert, err := tls.LoadX509KeyPair(d.cert("admin"), d.key("admin"))
	if err != nil {
		return nil, err
	}
	ca, err := os.ReadFile(d.cert("ca"))
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		return nil, fmt.Errorf("no certificate in %s", d.cert("ca"))
	}
	transport := &http.Transport{
		// Without Proxy: a proxy cannot reach our loopback.
		TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12},
	}
	return &api{&http.Client{Transport: transport, Timeout: 10 * time.Second}, secureURL(p.APIServer)}, nil
}

func (a *api) get(ctx context.Context, path string, result any) error {
	return a.do(ctx, http.MethodGet, a.server+path, nil, result)
}

func (a *api) create(ctx context.Context, path string, object, result any) error {
	body, err := json.Marshal(object)
	if err != nil {
		return err
	}
	return a.do(ctx, http.MethodPost, a.server+path, body, result)
}

// healthy asks a component for its health page.
func (a *api) healthy(ctx context.Context, url string) error {
	return a.do(ctx, http.MethodGet, url, nil, nil)
}

func (a *api) do(ctx context.Context, method, url string, body []byte, result any) error {
	request, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Accept", "application/json")
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "localcluster")
	response, err := a.http.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode >= 300 {
		return &statusError{response.StatusCode, message(answer)}
	}
	if result == nil {
		return nil
	}
	return json.Unmarshal(answer, result)
}

// message takes the readable part out of a Status object.
func message(answer []byte) string {
	var status struct {
		Message string `json:"message"`
	}
	if json.Unmarshal(answer, &status) == nil && status.Message != "" {
		return status.Message
	}
	return string(answer)
}

package notification

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// HeaderID carries the UID of the request that a notification tells of: a sink that is told twice can know it.
const HeaderID = "X-Kubernaut-Notification-Id"

const (
	// sendLimit is how long one attempt may take, from the look-up of the name to the last byte of the answer.
	sendLimit = 10 * time.Second
	// longestAnswer is how much of an answer is read, so that the connection can be used again. It says nothing that is used.
	longestAnswer = 64 << 10
	// longestAddress is how much of the file with the address is read.
	longestAddress = 8 << 10
	// longestWait is the longest time that a sink can ask for before it is tried again.
	longestWait = 10 * time.Minute
)

// SinkOptions say where notifications are posted.
type SinkOptions struct {
	// URLFile is a file that holds the address. It is read for each notification, so that a Secret can be replaced. An address
	// often is a secret: it is never logged and never part of an error, but for scheme and host.
	URLFile string
	// CAFile holds certificates, in PEM, of further authorities that may vouch for the sink; empty is those of the system alone.
	CAFile string
}

// Sink is an HTTP endpoint that takes notifications.
type Sink struct {
	file   string
	client *http.Client
}

// NewSink checks that the address is there and can be used. It does not connect.
func NewSink(options SinkOptions) (*Sink, error) {
	roots, err := authorities(options.CAFile)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		TLSClientConfig:     &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		ForceAttemptHTTP2:   true,
		MaxIdleConnsPerHost: workers,
		MaxConnsPerHost:     workers,
		IdleConnTimeout:     time.Minute,
	}
	sink := &Sink{file: options.URLFile, client: &http.Client{
		Transport: transport,
		Timeout:   sendLimit,
		// A redirect could lead to another host, or turn the POST into a GET that is answered with success.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	_, err = sink.address()
	return sink, err
}

func authorities(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil //nolint:nilnil // no pool is the one of the system
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		return nil, fmt.Errorf("the system's certificate authorities: %w", err)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	if !pool.AppendCertsFromPEM(data) {
		return nil, fmt.Errorf("%s holds no certificate in PEM", file)
	}
	return pool, nil
}

// address reads where notifications go now.
func (s *Sink) address() (*url.URL, error) {
	file, err := os.Open(s.file)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, longestAddress))
	if err != nil {
		return nil, err
	}
	address, err := parseAddress(string(data))
	if err != nil {
		return nil, fmt.Errorf("the address in %s %w", s.file, err)
	}
	return address, nil
}

// parseAddress says what is wrong with an address, without quoting it.
func parseAddress(text string) (*url.URL, error) {
	address, err := url.Parse(strings.TrimSpace(text))
	switch {
	case err != nil:
		return nil, errors.New("is not a URL")
	case address.Hostname() == "":
		return nil, errors.New("has no host")
	case address.Scheme == "https":
		return address, nil
	case address.Scheme == "http" && isLoopback(address.Hostname()):
		return address, nil
	default:
		return nil, errors.New("is neither https nor, to a loopback address, http")
	}
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// DeliveryError says why a sink has not taken a notification. Its text is the same as long as the reason is, and quotes nothing that
// a sink or an address says.
type DeliveryError struct {
	// Why is a sentence without its end.
	Why string
	// RetryAfter is how long the sink asks to be left alone; zero when it does not say.
	RetryAfter time.Duration
}

// Error is why.
func (e *DeliveryError) Error() string { return e.Why }

// Send posts a message once. The error is nil only if the sink said that it has taken it.
func (s *Sink) Send(ctx context.Context, id types.UID, message Message) *DeliveryError {
	address, err := s.address()
	if err != nil {
		return &DeliveryError{Why: "the address of the sink cannot be used: " + err.Error()}
	}
	where := "the sink at " + address.Scheme + "://" + address.Host
	body, err := json.Marshal(message)
	if err != nil {
		return &DeliveryError{Why: "the notification cannot be encoded: " + err.Error()}
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, address.String(), bytes.NewReader(body))
	if err != nil {
		return &DeliveryError{Why: where + " cannot be asked"}
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "kubernaut")
	request.Header.Set(HeaderID, string(id))
	response, err := s.client.Do(request)
	if err != nil {
		return &DeliveryError{Why: where + " " + whyNot(err)}
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, io.LimitReader(response.Body, longestAnswer)); err != nil {
		return &DeliveryError{Why: where + " " + whyNot(err)}
	}
	return answered(where, response)
}

func answered(where string, response *http.Response) *DeliveryError {
	switch code := response.StatusCode; {
	case code >= 200 && code < 300:
		return nil
	case code >= 300 && code < 400:
		return &DeliveryError{Why: fmt.Sprintf("%s redirects (%d), which is not followed: name the address that it redirects to", where, code)}
	default:
		wait, err := strconv.Atoi(response.Header.Get("Retry-After"))
		if err != nil || wait < 0 {
			wait = 0
		}
		return &DeliveryError{
			Why:        strings.TrimSpace(fmt.Sprintf("%s answered %d %s", where, code, http.StatusText(code))),
			RetryAfter: time.Duration(min(wait, int(longestWait/time.Second))) * time.Second,
		}
	}
}

// whyNot puts an error of the HTTP client into words. The error itself has the whole address in it, and ports that differ each time.
func whyNot(err error) string {
	if failed, is := errors.AsType[*url.Error](err); is {
		err = failed.Err
	}
	if timeout, is := errors.AsType[net.Error](err); is && timeout.Timeout() || errors.Is(err, context.DeadlineExceeded) {
		return fmt.Sprintf("did not answer within %s", sendLimit)
	}
	if _, is := errors.AsType[*net.DNSError](err); is {
		return "has a name that cannot be resolved"
	}
	if invalid, is := errors.AsType[*tls.CertificateVerificationError](err); is {
		return "has a certificate that is not trusted: " + invalid.Err.Error()
	}
	if errors.Is(err, http.ErrSchemeMismatch) {
		return "does not speak TLS"
	}
	if dial, is := errors.AsType[*net.OpError](err); is && dial.Op == "dial" {
		if number, is := errors.AsType[syscall.Errno](err); is {
			return "cannot be reached: " + number.Error()
		}
		return "cannot be reached"
	}
	return "broke off the connection"
}

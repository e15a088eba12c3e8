package crash

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apiserver/pkg/endpoints/request"
)

// wire lies between the clients of one manager, whichever account they have, and the API server. It is where the process dies, and
// where requests and answers get lost.
type wire struct {
	crash  *crashPoint
	faults *faults
	// onWrite is told of every write that arrived, before its answer is seen; nil is nobody.
	onWrite func(n int)
	// alone changes a request that would be about more than one run; nil changes none.
	alone func(r *http.Request, info *request.RequestInfo) *http.Request
	// onDeath is told when the process has died; nil is nobody.
	onDeath func()
	// onEffect is asked before a target is written, and what it returns is called if the API server did it; nil is nobody.
	onEffect func(ctx context.Context, what string) func()

	mutex sync.Mutex
	dead  bool
	// crashed says that the crash point was reached.
	crashed bool
	writes  []string
	late    []lateWrite
}

// crashPoint is the write at which the process dies.
type crashPoint struct {
	// write is its number, from 1.
	write int
	// moment is when exactly.
	moment moment
}

type moment string

const (
	// before the write was sent.
	before moment = "before"
	// after it was done, and before its answer was seen.
	after moment = "after"
	// late is before, but the write was on its way: it arrives when another process has done what it was for.
	late moment = "late"
)

// lateWrite is a write that is on its way.
type lateWrite struct {
	what    string
	deliver func() (int, error)
}

var errDead = errors.New("the process is dead")

func newWire(crash *crashPoint, faults *faults) *wire {
	return &wire{crash: crash, faults: faults}
}

// wrap is the transport.WrapperFunc of the manager.
func (w *wire) wrap(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) { return w.roundTrip(next, r) })
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// requestInfo reads what a request is about, as the API server does.
var requestInfo = request.RequestInfoFactory{APIPrefixes: sets.NewString("api", "apis"), GrouplessAPIPrefixes: sets.NewString("api")}

// reviews are created and not stored.
var reviews = []string{"tokenreviews", "subjectaccessreviews", "selfsubjectaccessreviews", "localsubjectaccessreviews", "selfsubjectrulesreviews"}

// describe says which write a request is: who does what to what. Empty for one that stores nothing, or only tells of something: the
// events of the controllers; that of an action is its effect.
func describe(r *http.Request, info *request.RequestInfo) string {
	if r.Method == http.MethodGet || r.Method == http.MethodHead || !info.IsResourceRequest || r.URL.Query().Has("dryRun") ||
		slices.Contains(reviews, info.Resource) || info.Subresource == "token" {
		return ""
	}
	account := r.UserAgent()
	if info.Resource == "events" && !strings.HasPrefix(account, "action-") {
		return ""
	}
	resource := info.Resource
	if info.Subresource != "" {
		resource += "/" + info.Subresource
	}
	return account + " " + info.Verb + " " + resource
}

// changesTarget says whether a write is the effect of an action on a target.
func changesTarget(what string) bool {
	return strings.HasPrefix(what, "action-") && strings.HasSuffix(what, " patch deployments")
}

func (w *wire) roundTrip(next http.RoundTripper, r *http.Request) (*http.Response, error) {
	info, err := requestInfo.NewRequestInfo(r)
	if err != nil {
		return nil, err
	}
	if w.alone != nil {
		r = w.alone(r, info)
	}
	what := describe(r, info)
	dies, err := w.admit(what)
	if err != nil {
		return nil, err
	}
	if dies {
		return nil, w.dieAt(next, r, what)
	}
	fault := noFault
	if w.faults != nil {
		fault = w.faults.pick(r, info)
	}
	if answer, err := fault.instead(r); answer != nil || err != nil {
		return answer, err
	}
	done := func() {}
	if w.onEffect != nil && changesTarget(what) {
		done = w.onEffect(r.Context(), what)
	}
	answer, err := next.RoundTrip(r)
	if err == nil && answer.StatusCode < http.StatusMultipleChoices {
		done()
	}
	if what != "" && err == nil && w.onWrite != nil {
		w.onWrite(w.written())
	}
	if w.isDead() {
		discard(answer)
		return nil, errDead
	}
	if err != nil {
		return nil, err
	}
	if fault == lagging {
		answer.Body = slowly{ReadCloser: answer.Body, context: r.Context(), faults: w.faults}
	}
	return fault.answer(r, answer)
}

// admit counts a write, and says whether the process dies at it.
func (w *wire) admit(what string) (dies bool, err error) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	if w.dead {
		return false, errDead
	}
	if what == "" {
		return false, nil
	}
	w.writes = append(w.writes, what)
	if w.crash == nil || len(w.writes) != w.crash.write {
		return false, nil
	}
	w.dead, w.crashed = true, true
	return true, nil
}

// dieAt ends the process at a write.
func (w *wire) dieAt(next http.RoundTripper, r *http.Request, what string) error {
	if w.onDeath != nil {
		defer w.onDeath()
	}
	if w.crash.moment == before {
		return errDead
	}
	copied, err := copyOf(r)
	if err != nil {
		return err
	}
	deliver := func() (int, error) {
		answer, err := next.RoundTrip(copied)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", what, err)
		}
		discard(answer)
		return answer.StatusCode, nil
	}
	if w.crash.moment == after {
		if _, err := deliver(); err != nil {
			return err
		}
		return errDead
	}
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.late = append(w.late, lateWrite{what: what, deliver: deliver})
	return errDead
}

// arrive has a write arrive that was on its way when the process died, and says how it was answered; empty without one.
func (w *wire) arrive() (string, error) {
	w.mutex.Lock()
	waiting := w.late
	w.late = nil
	w.mutex.Unlock()
	if len(waiting) == 0 {
		return "", nil
	}
	code, err := waiting[0].deliver()
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s: %d", waiting[0].what, code), nil
}

// lateIs says whether a write is on its way whose description ends so.
func (w *wire) lateIs(ending string) bool {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	return len(w.late) > 0 && strings.HasSuffix(w.late[0].what, ending)
}

// wrote says whether the last write is described so, and one before it ended like earlier.
func (w *wire) wrote(earlier, last string) bool {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	ends := func(ending string) func(string) bool {
		return func(what string) bool { return strings.HasSuffix(what, ending) }
	}
	return len(w.writes) > 0 && ends(last)(w.writes[len(w.writes)-1]) && slices.ContainsFunc(w.writes, ends(earlier))
}

// kill ends the process between two writes.
func (w *wire) kill() {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.dead = true
}

func (w *wire) isDead() bool {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	return w.dead
}

func (w *wire) written() int {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	return len(w.writes)
}

// log is every write, in order.
func (w *wire) log() []string {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	return slices.Clone(w.writes)
}

// copyOf is the request with its body and without its deadline: it goes on when who sent it is gone.
func copyOf(r *http.Request) (*http.Request, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	copied := r.Clone(context.WithoutCancel(r.Context()))
	copied.Body = io.NopCloser(bytes.NewReader(body))
	return copied, r.Body.Close()
}

func discard(answer *http.Response) {
	if answer != nil {
		_, _ = io.Copy(io.Discard, answer.Body)
		_ = answer.Body.Close()
	}
}

// faults picks, by a seed, what goes wrong with the requests of a manager.
type faults struct {
	// rate is how many of a hundred requests something happens to.
	rate int
	// lag is the longest time by which what a watch tells comes late: caches are that stale.
	lag time.Duration

	mutex  sync.Mutex
	random *rand.Rand
	counts map[fault]int
}

func newFaults(seed uint64, rate int, lag time.Duration) *faults {
	return &faults{rate: rate, lag: lag, random: rand.New(rand.NewPCG(seed, 0)), counts: map[fault]int{}}
}

// fault is what happens to one request.
type fault string

const (
	noFault       fault = ""
	conflict      fault = "conflict"
	tooMany       fault = "429"
	internalError fault = "500"
	timeOut       fault = "time-out"
	unreachable   fault = "unreachable"
	// The write is done, and its answer says something else, or does not come.
	doneInternal fault = "done, then 500"
	doneTimeOut  fault = "done, then time-out"
	lost         fault = "done, answer lost"
	lagging      fault = "lag"
)

func (f *faults) pick(r *http.Request, info *request.RequestInfo) fault {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	if info.Verb == "watch" {
		if f.lag > 0 {
			f.counts[lagging]++
			return lagging
		}
		return noFault
	}
	if f.random.IntN(100) >= f.rate {
		return noFault
	}
	possible := []fault{tooMany, internalError, timeOut, unreachable}
	if r.Method != http.MethodGet {
		possible = append(possible, doneInternal, doneTimeOut, lost)
	}
	if (r.Method == http.MethodPut || r.Method == http.MethodPatch) && info.Subresource != "token" {
		possible = append(possible, conflict)
	}
	picked := possible[f.random.IntN(len(possible))]
	f.counts[picked]++
	return picked
}

func (f *faults) delay() time.Duration {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	return time.Duration(f.random.Int64N(int64(f.lag) + 1))
}

// instead is the answer that comes without the API server having seen the request; nil for none.
func (f fault) instead(r *http.Request) (*http.Response, error) {
	switch f {
	case conflict:
		return status(r, http.StatusConflict, metav1.StatusReasonConflict), nil
	case tooMany:
		return status(r, http.StatusTooManyRequests, metav1.StatusReasonTooManyRequests), nil
	case internalError:
		return status(r, http.StatusInternalServerError, metav1.StatusReasonInternalError), nil
	case timeOut:
		return status(r, http.StatusGatewayTimeout, metav1.StatusReasonTimeout), nil
	case unreachable:
		return nil, fmt.Errorf("dial tcp: %w", errBroken)
	case noFault, doneInternal, doneTimeOut, lost, lagging:
	}
	return nil, nil //nolint:nilnil // there is none
}

var errBroken = errors.New("connection broken by the test")

// answer is what is seen of the API server's answer.
func (f fault) answer(r *http.Request, answer *http.Response) (*http.Response, error) {
	switch f {
	case doneInternal:
		discard(answer)
		return status(r, http.StatusInternalServerError, metav1.StatusReasonInternalError), nil
	case doneTimeOut:
		discard(answer)
		return status(r, http.StatusGatewayTimeout, metav1.StatusReasonTimeout), nil
	case lost:
		discard(answer)
		return nil, fmt.Errorf("read tcp: %w", errBroken)
	case noFault, conflict, tooMany, internalError, timeOut, unreachable, lagging:
	}
	return answer, nil
}

// status is an answer as the API server gives it.
func status(r *http.Request, code int, reason metav1.StatusReason) *http.Response {
	body := fmt.Sprintf(`{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"made by the test","reason":%q,"code":%d}`, reason, code)
	return &http.Response{
		Status: http.StatusText(code), StatusCode: code, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)), Request: r,
	}
}

// slowly reads the answer of a watch with delays.
type slowly struct {
	io.ReadCloser
	context context.Context
	faults  *faults
}

func (s slowly) Read(into []byte) (int, error) {
	n, err := s.ReadCloser.Read(into)
	if n == 0 {
		return n, err
	}
	timer := time.NewTimer(s.faults.delay())
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.context.Done():
	}
	return n, err
}

package webhooks

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	admissionv1 "k8s.io/api/admission/v1"
	appsv1 "k8s.io/api/apps/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/events"
	testclock "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	ctrlconfig "sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/recorder"

	aianalysisv1 "kubernaut.io/kubernaut/api/aianalysis/v1"
	catalogv1alpha1 "kubernaut.io/kubernaut/api/catalog/v1alpha1"
	kubernetesexecutionv1 "kubernaut.io/kubernaut/api/kubernetesexecution/v1"
	remediationv1 "kubernaut.io/kubernaut/api/remediation/v1"
	remediationprocessingv1 "kubernaut.io/kubernaut/api/remediationprocessing/v1"
	safetyv1alpha1 "kubernaut.io/kubernaut/api/safety/v1alpha1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/controllers/facts"
	"kubernaut.io/kubernaut/controllers/identity"
	"kubernaut.io/kubernaut/policies/gate"
)

func TestMain(m *testing.M) {
	gate.MaybeChild() // the tests of a SafetyPolicy run in a process of their own
	os.Exit(m.Run())
}

// served are all handlers of admission as the manager serves them, behind its mux, on a cluster in which alice may do everything in
// the namespace shop, and nobody anything else.
type served struct{ mux http.Handler }

// withClient is a manager whose clients answer from memory, and whose events go nowhere.
type withClient struct {
	manager.Manager
	client client.Client
}

func (m withClient) GetClient() client.Client                     { return m.client }
func (m withClient) GetAPIReader() client.Reader                  { return m.client }
func (withClient) GetEventRecorder(string) recorder.EventRecorder { return &events.FakeRecorder{} }

func serveAll(tb testing.TB) served {
	tb.Helper()
	return serve(tb, faults{})
}

// faults are what gives no answer.
type faults struct {
	// authorizer and reads are those of the API server.
	authorizer, reads bool
	// mapper is from which question on it does not say what a kind's resource is; 0 is never.
	mapper int
	// policies says that policies cannot be tried out.
	policies bool
}

var errFault = errors.New("there is no answer")

// faultyMapper gives answers until it gives none.
type faultyMapper struct {
	meta.RESTMapper
	left int
}

func (m *faultyMapper) RESTMapping(kind schema.GroupKind, versions ...string) (*meta.RESTMapping, error) {
	if m.left--; m.left == 0 {
		return nil, errFault
	}
	return m.RESTMapper.RESTMapping(kind, versions...)
}

// faultyReviewer cannot try policies out.
type faultyReviewer struct{}

func (faultyReviewer) Review(context.Context, gate.PolicyObject) (gate.Review, error) {
	return gate.Review{}, errFault
}

// serve is serveAll where some things give no answer.
func serve(tb testing.TB, without faults) served {
	tb.Helper()
	scheme := runtime.NewScheme()
	mapper := meta.NewDefaultRESTMapper(nil)
	for _, add := range []func(*runtime.Scheme) error{
		clientgoscheme.AddToScheme, remediationv1.AddToScheme, remediationprocessingv1.AddToScheme, aianalysisv1.AddToScheme,
		workflowexecutionv1.AddToScheme, kubernetesexecutionv1.AddToScheme, safetyv1alpha1.AddToScheme, catalogv1alpha1.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			tb.Fatal(err)
		}
	}
	mapper.Add(appsv1.SchemeGroupVersion.WithKind("Deployment"), meta.RESTScopeNamespace)
	mapper.Add(corev1.SchemeGroupVersion.WithKind("Node"), meta.RESTScopeRoot)
	alice := fixtureRequester()
	objects := []client.Object{
		&remediationv1.RemediationRequest{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "fixture", UID: "fixture-uid"}, Spec: remediationv1.RemediationRequestSpec{RequestedBy: alice}},
		&workflowexecutionv1.WorkflowExecution{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "fixture", UID: "fixture-uid"}},
		endedElsewhere(),
		&appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "cart"}, Spec: appsv1.DeploymentSpec{Replicas: new(int32(2))}},
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop"}},
	}
	c := fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).WithInterceptorFuncs(interceptor.Funcs{
		Create: func(_ context.Context, _ client.WithWatch, object client.Object, _ ...client.CreateOption) error {
			review, is := object.(*authorizationv1.SubjectAccessReview)
			if !is {
				return fmt.Errorf("admission writes a %T", object)
			}
			if without.authorizer {
				return errFault
			}
			review.Status.Allowed = review.Spec.User == "alice" && review.Spec.ResourceAttributes.Namespace == "shop"
			return nil
		},
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
			if without.reads {
				return errFault
			}
			return c.Get(ctx, key, object, options...)
		},
	}).Build()
	mgr, err := ctrl.NewManager(&rest.Config{Host: "https://127.0.0.1:1"}, ctrl.Options{
		Scheme: scheme, Metrics: metricsserver.Options{BindAddress: "0"}, Controller: ctrlconfig.Controller{SkipNameValidation: new(true)},
		MapperProvider: func(*rest.Config, *http.Client) (meta.RESTMapper, error) {
			return &faultyMapper{mapper, without.mapper}, nil
		},
	})
	if err != nil {
		tb.Fatal(err)
	}
	safety, err := gate.New(gate.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	known := &facts.Facts{Cache: c, Live: c, Gate: safety, Clock: testclock.NewFakePassiveClock(time.Unix(0, 0))}
	now, err := time.Parse(time.RFC3339, fuzzNow)
	if err != nil {
		tb.Fatal(err)
	}
	options := Options{Namespace: identity.DefaultNamespace, Policies: safety, Preview: facts.NewPreview(known, c), Clock: testclock.NewFakePassiveClock(now)}
	if without.policies {
		options.Policies = faultyReviewer{}
	}
	if err := Setup(withClient{mgr, c}, options); err != nil {
		tb.Fatal(err)
	}
	return served{mux: mgr.GetWebhookServer().WebhookMux()}
}

// endedElsewhere is a finished workflow that changed what alice may not change.
func endedElsewhere() *workflowexecutionv1.WorkflowExecution {
	return &workflowexecutionv1.WorkflowExecution{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "elsewhere", UID: "elsewhere-uid"},
		Spec: workflowexecutionv1.WorkflowExecutionSpec{WorkflowDefinition: &shared.WorkflowDefinition{Steps: []shared.Step{{Name: "a", Action: shared.Action{
			Type: shared.ActionScaleDeployment, ScaleDeployment: &shared.ScaleDeployment{Namespace: "bank", Name: "till", Replicas: new(int32(1))},
		}}}}},
		Status: workflowexecutionv1.WorkflowExecutionStatus{
			Phase: workflowexecutionv1.PhaseCompleted, Outcome: workflowexecutionv1.OutcomeSuccess,
			Steps: []workflowexecutionv1.StepStatus{{Name: "a", Phase: workflowexecutionv1.StepCompleted, Attempts: 1}},
		},
	}
}

// ask posts a body, and gives the answer; what is no answer to a review fails the test.
func (s served) ask(t testing.TB, path string, body []byte) *admissionv1.AdmissionResponse {
	t.Helper()
	request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, bytes.NewReader(body))
	request.Header.Set("Content-Type", "application/json")
	answer := httptest.NewRecorder()
	s.mux.ServeHTTP(answer, request)
	var review admissionv1.AdmissionReview
	if err := json.Unmarshal(answer.Body.Bytes(), &review); err != nil || review.Response == nil {
		t.Fatalf("%s: %d %q is no answer: %v", path, answer.Code, answer.Body.String(), err)
	}
	if result := review.Response.Result; result != nil && strings.Contains(result.Message, "[recovered]") {
		t.Fatalf("%s: %s\n%s", path, result.Message, body)
	}
	for _, warning := range review.Response.Warnings {
		if strings.Contains(warning, "panicked") {
			t.Fatalf("%s: %s\n%s", path, warning, body)
		}
	}
	return review.Response
}

// endpoint is where the API server sends the reviews of one kind.
type endpoint struct{ verb, group, version, resource, kind string }

func (e endpoint) path() string {
	return "/" + e.verb + "-" + strings.ReplaceAll(e.group, ".", "-") + "-" + e.version + "-" + strings.ToLower(e.kind)
}

// endpoints are written out: what the configurations ask for that is not here is a mistake in this test, and found by it.
func endpoints() []endpoint {
	var list []endpoint
	for _, e := range []endpoint{
		{"", "remediation.kubernaut.io", "v1", "remediationrequests", "RemediationRequest"},
		{"", "remediationprocessing.kubernaut.io", "v1", "remediationprocessings", "RemediationProcessing"},
		{"", "aianalysis.kubernaut.io", "v1", "aianalyses", "AIAnalysis"},
		{"", "workflowexecution.kubernaut.io", "v1", "workflowexecutions", "WorkflowExecution"},
		{"", "kubernetesexecution.kubernaut.io", "v1", "kubernetesexecutions", "KubernetesExecution"},
		{"", "safety.kubernaut.io", "v1alpha1", "safetypolicies", "SafetyPolicy"},
		{"", "safety.kubernaut.io", "v1alpha1", "approvalrequests", "ApprovalRequest"},
		{"", "catalog.kubernaut.io", "v1alpha1", "playbooks", "Playbook"},
	} {
		for _, verb := range []string{"guard-status", "validate", "mutate"} {
			e.verb = verb
			list = append(list, e)
		}
	}
	return list
}

// registered are the endpoints that the configurations of this version call.
func registered(tb testing.TB) []endpoint {
	tb.Helper()
	called := map[string]bool{}
	mutating, validating := Configurations(identity.DefaultNamespace)
	for _, hook := range mutating.Webhooks {
		called[*hook.ClientConfig.Service.Path] = true
	}
	for _, hook := range validating.Webhooks {
		called[*hook.ClientConfig.Service.Path] = true
	}
	var list []endpoint
	for _, e := range endpoints() {
		if called[e.path()] {
			list = append(list, e)
			delete(called, e.path())
		}
	}
	if len(called) > 0 {
		tb.Fatalf("the fuzzer does not know %v", called)
	}
	return list
}

// FuzzReviewBodies posts any bytes to every handler: whatever comes, there is an answer, and it is none that the oracle forbids.
func FuzzReviewBodies(f *testing.F) {
	for _, seed := range reviewSeeds(f) {
		f.Add(seed.endpoint, seed.review(f))
	}
	for _, body := range []string{
		``, `{}`, `[]`, `null`, `7`, `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview"}`, `{"request":null}`, `{"request":{}}`,
		`{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"u","operation":"CREATE","object":null}}`,
		`{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"u","operation":"UPDATE","object":{},"oldObject":7}}`,
		`{"apiVersion":"admission.k8s.io/v1beta1","kind":"AdmissionReview","request":{"uid":"u","operation":"CREATE","object":{"spec":null}}}`,
		`{"apiVersion":"v1","kind":"Pod"}`,
	} {
		for i := range registered(f) {
			f.Add(uint8(i), []byte(body))
		}
	}
	handlers, all := serveAll(f), registered(f)
	f.Fuzz(func(t *testing.T, which uint8, body []byte) {
		e := all[int(which)%len(all)]
		handlers.ask(t, e.path(), body)
		var review struct {
			Request *question `json:"request"`
		}
		if err := json.Unmarshal(body, &review); err != nil || review.Request == nil {
			return
		}
		examine(t, handlers, e, *review.Request)
	})
}

// FuzzReviews makes reviews as the API server sends them, of parts that are anything.
func FuzzReviews(f *testing.F) {
	for _, seed := range reviewSeeds(f) {
		f.Add(seed.endpoint, seed.user, seed.credential, seed.operation, seed.status, seed.object, seed.old)
	}
	handlers, all := serveAll(f), registered(f)
	f.Fuzz(func(t *testing.T, which uint8, user, credential string, operation uint8, status bool, object, old string) {
		seed := reviewSeed{which, user, credential, operation, status, object, old}
		q, sound := seed.question()
		if !sound {
			t.Skip("the API server sends objects")
		}
		examine(t, handlers, all[int(which)%len(all)], q)
	})
}

// question is a review as far as the oracle looks at it.
type question struct {
	UID         string                      `json:"uid"`
	Kind        metav1.GroupVersionKind     `json:"kind"`
	Resource    metav1.GroupVersionResource `json:"resource"`
	SubResource string                      `json:"subResource,omitempty"`
	Namespace   string                      `json:"namespace,omitempty"`
	Operation   string                      `json:"operation"`
	UserInfo    struct {
		Username string              `json:"username"`
		UID      string              `json:"uid,omitempty"`
		Groups   []string            `json:"groups,omitempty"`
		Extra    map[string][]string `json:"extra,omitempty"`
	} `json:"userInfo"`
	Object    map[string]any `json:"object"`
	OldObject map[string]any `json:"oldObject,omitempty"`
	DryRun    bool           `json:"dryRun"`
}

// asSent is the question as the API server would put it to an endpoint: of its kind, with objects that say so.
func (q question) asSent(e endpoint) question {
	q.UID = "review"
	q.Kind = metav1.GroupVersionKind{Group: e.group, Version: e.version, Kind: e.kind}
	q.Resource = metav1.GroupVersionResource{Group: e.group, Version: e.version, Resource: e.resource}
	q.DryRun = true
	if q.Object == nil {
		q.Object = map[string]any{}
	}
	for _, object := range []map[string]any{q.Object, q.OldObject} {
		if object != nil {
			object["apiVersion"], object["kind"] = e.group+"/"+e.version, e.kind
		}
	}
	if e.verb != "guard-status" {
		q.SubResource = ""
	}
	return q
}

func (q question) body(tb testing.TB) []byte {
	tb.Helper()
	body, err := json.Marshal(map[string]any{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": q})
	if err != nil {
		tb.Fatal(err)
	}
	return body
}

// examine asks an endpoint and holds the answer against the oracle.
func examine(t *testing.T, handlers served, e endpoint, q question) {
	t.Helper()
	q = q.asSent(e)
	answer := handlers.ask(t, e.path(), q.body(t))
	if e.verb == "mutate" {
		examineCompleted(t, handlers, e, q, answer)
		return
	}
	if sentence := forbidden(e, q); answer.Allowed && sentence != "" {
		t.Fatalf("%s was allowed, although %s\n%s", e.path(), sentence, q.body(t))
	}
}

// examineCompleted checks that what the mutating webhook lets pass names its caller, and that completing it again changes nothing.
func examineCompleted(t *testing.T, handlers served, e endpoint, q question, answer *admissionv1.AdmissionResponse) {
	t.Helper()
	if !answer.Allowed {
		return
	}
	completed := patched(t, q.Object, answer.Patch)
	if sentence := unstamped(e, q, completed); sentence != "" {
		t.Fatalf("%s was allowed, although %s\n%s\n%v", e.path(), sentence, q.body(t), completed)
	}
	again := q
	again.Object = completed
	second := handlers.ask(t, e.path(), again.body(t))
	if e.kind == "ApprovalRequest" && !second.Allowed {
		return // it is never called again for what it has stamped
	}
	if !second.Allowed || len(second.Patch) > 0 && string(second.Patch) != "[]" {
		t.Fatalf("%s is not idempotent: %s, then %s %v\n%s", e.path(), answer.Patch, second.Patch, second.Result, q.body(t))
	}
}

func patched(t *testing.T, object map[string]any, patch []byte) map[string]any {
	t.Helper()
	document, err := json.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	if len(patch) > 0 {
		operations, err := jsonpatch.DecodePatch(patch)
		if err != nil {
			t.Fatalf("%s: %v", patch, err)
		}
		if document, err = operations.Apply(document); err != nil {
			t.Fatalf("%s does not fit %v: %v", patch, object, err)
		}
	}
	var result map[string]any
	if err := json.Unmarshal(document, &result); err != nil {
		t.Fatal(err)
	}
	return result
}

// reviewSeed is a review in parts.
type reviewSeed struct {
	endpoint         uint8
	user, credential string
	operation        uint8
	status           bool
	object, old      string
}

func operations() []string { return []string{"CREATE", "UPDATE", "DELETE", "CONNECT", ""} }

func (s reviewSeed) question() (question, bool) {
	var q question
	if !utf8.ValidString(s.user) || !utf8.ValidString(s.credential) {
		return q, false // no JSON holds it
	}
	q.Namespace = "shop"
	q.Operation = operations()[int(s.operation)%len(operations())]
	q.UserInfo.Username, q.UserInfo.Groups = s.user, []string{"on-call"}
	if s.credential != "" {
		q.UserInfo.Extra = map[string][]string{"authentication.kubernetes.io/credential-id": {s.credential}}
	}
	if s.status {
		q.SubResource = "status"
	}
	if err := json.Unmarshal([]byte(s.object), &q.Object); err != nil || q.Object == nil {
		return q, false
	}
	if s.old != "" {
		if err := json.Unmarshal([]byte(s.old), &q.OldObject); err != nil {
			return q, false
		}
	}
	return q, true
}

func (s reviewSeed) review(tb testing.TB) []byte {
	tb.Helper()
	q, sound := s.question()
	if !sound {
		tb.Fatalf("the seed %+v is no review", s)
	}
	all := registered(tb)
	return q.asSent(all[int(s.endpoint)%len(all)]).body(tb)
}

// reviewSeeds are every object in testdata/reviews at every endpoint of its kind, by several users and in every operation. What an update
// begins with is the file of the same name in before, if there is one, and otherwise the object itself.
func reviewSeeds(tb testing.TB) []reviewSeed {
	tb.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "reviews", "*.json"))
	if err != nil || len(files) == 0 {
		tb.Fatalf("there are no seeds: %v", err)
	}
	var seeds []reviewSeed
	for _, file := range files {
		object, err := os.ReadFile(file)
		if err != nil {
			tb.Fatal(err)
		}
		old, err := os.ReadFile(filepath.Join("testdata", "reviews", "before", filepath.Base(file)))
		if errors.Is(err, fs.ErrNotExist) {
			old = object
		} else if err != nil {
			tb.Fatal(err)
		}
		kind, _, _ := strings.Cut(filepath.Base(file), ".")
		for i, e := range registered(tb) {
			if !strings.EqualFold(e.kind, kind) {
				continue
			}
			for _, who := range [][2]string{{"alice", "X509SHA256=1"}, {account("remediationrequest-controller"), "JTI=1"}, {account("workflowexecution-controller"), ""}, {statusWriter(e.kind), "JTI=2"}} {
				for operation := range uint8(2) {
					seed := reviewSeed{uint8(i), who[0], who[1], operation, false, string(object), ""}
					if operation == 1 {
						seed.old = string(old)
					}
					seeds = append(seeds, seed)
					if operation == 1 && e.verb == "guard-status" {
						seed.status = true
						seeds = append(seeds, seed)
					}
				}
			}
		}
	}
	return seeds
}

// An oracle that forbids nothing, or handlers that allow nothing, would find nothing.
func TestTheOracleHasSomethingToSay(t *testing.T) {
	handlers, all := serveAll(t), registered(t)
	allowed, refused, decisions := map[string]int{}, map[string]int{}, map[string]int{}
	for _, seed := range reviewSeeds(t) {
		e := all[seed.endpoint]
		q, _ := seed.question()
		q = q.asSent(e)
		switch answer := handlers.ask(t, e.path(), q.body(t)); {
		case answer.Allowed:
			allowed[e.path()]++
			if _, decides := addedDecision(q); decides && q.Operation == "UPDATE" && q.SubResource == "" && q.UserInfo.Username == "alice" {
				decisions[e.path()]++
			}
		case forbidden(e, q) != "":
			refused[e.path()]++
		}
	}
	for _, e := range all {
		if allowed[e.path()] == 0 {
			t.Errorf("%s allows none of the seeds", e.path())
		}
		judged := e.verb == "guard-status" || e.verb == "validate" && slices.Contains([]string{"RemediationRequest", "WorkflowExecution", "ApprovalRequest"}, e.kind)
		if judged && refused[e.path()] == 0 {
			t.Errorf("%s refuses no seed that the oracle forbids", e.path())
		}
		if e.kind == "ApprovalRequest" && decisions[e.path()] == 0 {
			t.Errorf("%s lets no decision of the seeds pass", e.path())
		}
	}
}

package admission

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	safetyv1alpha1 "kubernaut.io/kubernaut/api/safety/v1alpha1"
	"kubernaut.io/kubernaut/api/shared"
	"kubernaut.io/kubernaut/controllers/identity"
)

const (
	// oscar may write ApprovalRequests, and olga may also approve what changes in one namespace.
	oscar = "oscar, who may not approve"
	olga  = "olga, who may approve in one namespace"
)

// Requests for an approval, by what is special about each.
const (
	openRequest   = "approval-open"
	ownRequest    = "approval-own"
	lateRequest   = "approval-late"
	halfRequest   = "approval-half"
	voidRequest   = "approval-void"
	abroadRequest = "approval-abroad"
	nodeRequest   = "approval-node"
)

// createApprovals makes them before there is any admission.
func createApprovals(ctx context.Context) {
	GinkgoHelper()
	made := func(name string, phase safetyv1alpha1.ApprovalPhase, change func(*safetyv1alpha1.ApprovalRequestSpec)) {
		r := approvalRequest(name)
		r.Spec.RequiredApprovals, r.Spec.ExpiresAt = 3, metav1.NewTime(time.Now().Add(24*time.Hour))
		r.Spec.Summary = []safetyv1alpha1.SummaryEntry{{Step: "a", Target: &target, Field: "/spec/replicas", Before: "1", After: "2"}}
		if change != nil {
			change(&r.Spec)
		}
		Expect(admin.Create(ctx, r)).To(Succeed())
		r.Status.Phase = phase
		Expect(admin.Status().Update(ctx, r)).To(Succeed())
	}
	said := func(by string) safetyv1alpha1.ApprovalDecision {
		return safetyv1alpha1.ApprovalDecision{Decision: safetyv1alpha1.DecisionApproved, Reason: "fine", By: by, At: &metav1.Time{Time: time.Now()}}
	}
	made(openRequest, "", nil)
	made(ownRequest, safetyv1alpha1.PhasePending, func(s *safetyv1alpha1.ApprovalRequestSpec) { s.RequestedBy = shared.Requester{Username: "mallory"} })
	made(lateRequest, safetyv1alpha1.PhasePending, func(s *safetyv1alpha1.ApprovalRequestSpec) {
		s.ExpiresAt = metav1.NewTime(time.Now().Add(-time.Hour))
	})
	made(halfRequest, safetyv1alpha1.PhasePending, func(s *safetyv1alpha1.ApprovalRequestSpec) {
		s.Decisions = []safetyv1alpha1.ApprovalDecision{said("bob"), said("mallory")}
	})
	made(voidRequest, safetyv1alpha1.PhaseVoid, nil)
	for _, phase := range decidedPhases() {
		made("approval-"+string(phase), phase, nil)
	}
	made(abroadRequest, safetyv1alpha1.PhasePending, func(s *safetyv1alpha1.ApprovalRequestSpec) {
		other := target
		other.Namespace = elsewhere
		s.Summary = append(s.Summary, safetyv1alpha1.SummaryEntry{Step: "b", Target: &other})
	})
	made(nodeRequest, safetyv1alpha1.PhasePending, func(s *safetyv1alpha1.ApprovalRequestSpec) {
		s.Summary = append(s.Summary, safetyv1alpha1.SummaryEntry{Step: "b", Target: &shared.Target{APIVersion: "v1", Kind: "Node", Name: "worker"}})
	})
}

func decidedPhases() []safetyv1alpha1.ApprovalPhase {
	return []safetyv1alpha1.ApprovalPhase{safetyv1alpha1.PhaseApproved, safetyv1alpha1.PhaseRejected, safetyv1alpha1.PhaseExpired}
}

// addApprovers gives the world people who may write ApprovalRequests, by RBAC.
func (w *world) addApprovers(ctx context.Context) {
	GinkgoHelper()
	for name, verbs := range map[string][]string{oscar: {"get", "patch", "update"}, olga: {"get", "patch", "update", "approve"}} {
		username, _, _ := strings.Cut(name, ",")
		Expect(admin.Create(ctx, &rbacv1.Role{
			ObjectMeta: metav1.ObjectMeta{Namespace: workNamespace, Name: username},
			Rules:      []rbacv1.PolicyRule{{APIGroups: []string{"safety.kubernaut.io"}, Resources: []string{"approvalrequests"}, Verbs: verbs}},
		})).To(Succeed())
		Expect(admin.Create(ctx, &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Namespace: workNamespace, Name: username},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: username},
			Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: username}},
		})).To(Succeed())
		w.add(ctx, name, certified(username))
	}
}

// says is a decision as a person writes it, and stamped one as the mutating webhook would write it where that is missing.
func says(more ...string) map[string]any {
	decision := map[string]any{"decision": "Approved", "reason": "looks good"}
	for pair := range slices.Chunk(more, 2) {
		decision[pair[0]] = pair[1]
	}
	return decision
}

func (w *world) stampedDecision(by string) map[string]any {
	return says("by", w.users[by].Username, "at", now())
}

func now() string { return time.Now().UTC().Format(time.RFC3339) }

// decide sends a JSON patch with one operation on the list of decisions.
func (w *world) decide(ctx context.Context, by, name, op, path string, value any) error {
	body, err := json.Marshal([]map[string]any{{"op": op, "path": "/spec/decisions" + path, "value": value}})
	if err != nil {
		return err
	}
	return w.patchApproval(ctx, by, name, types.JSONPatchType, string(body))
}

func (w *world) patchApproval(ctx context.Context, by, name string, how types.PatchType, body string) error {
	options := metav1.PatchOptions{FieldManager: "attack", DryRun: w.dry()}
	if how == types.ApplyPatchType {
		options.Force = new(true)
	}
	_, err := w.resource(by, rowOf("ApprovalRequest"), workNamespace).Patch(ctx, name, how, []byte(body), options)
	return err
}

// Approving what one may not approve, in others' names, or for others' changes.
func approvalAttacks() (rows []attack) {
	webhooks, policy := []setup{bothGuards, onlyWebhook}, []setup{onlyPolicy}
	add := func(name, by, request, rule, want string, in []setup, do func(context.Context, *world) error) {
		rows = append(rows, attack{group: "approval", name: name, by: by, request: request, rule: rule, want: want, in: in, do: do})
	}
	// deciding tries one decision in every set-up: as a person writes it, and where nobody stamps it, stamped truthfully.
	deciding := func(name, by, on, rule, want string) {
		const request = "JSON patch approvalrequests: add a decision"
		add(name, by, request, "", want, webhooks, func(ctx context.Context, w *world) error { return w.decide(ctx, by, on, "add", "/-", says()) })
		add(name, by, request, rule, want, policy, func(ctx context.Context, w *world) error {
			return w.decide(ctx, by, on, "add", "/-", w.stampedDecision(by))
		})
	}
	deciding("approve what one asked for", everyRight, ownRequest, "decision-of-another", "mallory asked for what this request is about, and somebody else decides")
	deciding("approve a second time", everyRight, halfRequest, "decision-once", "mallory has decided already")
	deciding("approve a void request", everyRight, voidRequest, "decision-in-time", "this request is void and takes no decisions any more")
	for _, phase := range decidedPhases() {
		deciding("approve a request that is "+string(phase), everyRight, "approval-"+string(phase), "", "this request is "+string(phase))
	}
	judged := func(name, by, on, rule, want string) {
		add(name, by, "JSON patch approvalrequests: add a decision", rule, want, webhooks, func(ctx context.Context, w *world) error {
			return w.decide(ctx, by, on, "add", "/-", says())
		})
	}
	judged("approve after it expired", everyRight, lateRequest, "validate-approvalrequest", "the request expired at")
	judged("approve without the verb", oscar, openRequest, "", "oscar may not approve approvalrequests.safety.kubernaut.io in namespace "+workNamespace)
	judged("approve where one target is elsewhere", olga, abroadRequest, "", "olga may not approve approvalrequests.safety.kubernaut.io in namespace "+elsewhere)
	judged("approve where one target has no namespace", olga, nodeRequest, "", "olga may not approve approvalrequests.safety.kubernaut.io, and")
	add("reject without the verb", oscar, "JSON patch approvalrequests: add a rejection", "", "oscar may not approve", webhooks, func(ctx context.Context, w *world) error {
		return w.decide(ctx, oscar, openRequest, "add", "/-", says("decision", "Rejected"))
	})
	allowed := func(name, rule string, in []setup, decision func(w *world) map[string]any) {
		add(name, olga, "JSON patch approvalrequests: add a decision", rule, passes, in, func(ctx context.Context, w *world) error {
			dry := *w
			dry.dryRun = true
			return dry.decide(ctx, olga, openRequest, "add", "/-", decision(w))
		})
	}
	allowed("approve what one may", "stamp-approvalrequest", webhooks, func(*world) map[string]any { return says() })
	allowed("approve what one may, truthfully stamped", "", policy, func(w *world) map[string]any { return w.stampedDecision(olga) })

	forged := func(name, rule string, decision func() map[string]any, webhook, alone string) {
		const request = "JSON patch approvalrequests: add a decision"
		do := func(ctx context.Context, w *world) error {
			return w.decide(ctx, everyRight, openRequest, "add", "/-", decision())
		}
		add(name, everyRight, request, "", webhook, webhooks, do)
		if alone != "" {
			add(name, everyRight, request, rule, alone, policy, do)
		}
	}
	const byOwn, by, at = "everybody decides in their own name, and you are mallory", "spec.decisions[0].by: Forbidden", "spec.decisions[0].at: Forbidden"
	forged("decide as another", "decision-own", func() map[string]any { return says("by", "bob", "at", now()) }, by, byOwn)
	forged("decide as a look-alike", "", func() map[string]any { return says("by", "m\u0430llory", "at", now()) }, by, byOwn)
	forged("decide as nobody", "", func() map[string]any { return says("by", "", "at", now()) }, at, byOwn)
	forged("give a time that has passed", "", func() map[string]any { return says("at", "2020-01-01T00:00:00Z") }, at, "")
	forged("give one's own name, which admission gives", "", func() map[string]any { return says("by", "mallory") }, by, "")

	const grows = "spec.decisions only grows, by one decision at its end"
	kept := func(name, request, rule string, do func(context.Context, *world) error) {
		add(name, everyRight, request, rule, grows, nil, do)
	}
	kept("change what another decided", "JSON patch approvalrequests: replace a reason", "decisions-kept", func(ctx context.Context, w *world) error {
		return w.decide(ctx, everyRight, halfRequest, "replace", "/0/reason", "changed my mind")
	})
	kept("turn another's approval into a rejection", "JSON patch approvalrequests: replace a decision", "", func(ctx context.Context, w *world) error {
		return w.decide(ctx, everyRight, halfRequest, "replace", "/0/decision", "Rejected")
	})
	kept("turn one's own approval into a rejection", "JSON patch approvalrequests: replace a decision", "", func(ctx context.Context, w *world) error {
		return w.decide(ctx, everyRight, halfRequest, "replace", "/1/decision", "Rejected")
	})
	kept("take over another's approval", "JSON patch approvalrequests: replace by", "", func(ctx context.Context, w *world) error {
		return w.decide(ctx, everyRight, halfRequest, "replace", "/0/by", "mallory")
	})
	kept("decide twice at once", "merge patch approvalrequests", "", func(ctx context.Context, w *world) error {
		return w.decide(ctx, everyRight, openRequest, "replace", "", []any{w.stampedDecision(everyRight), says("by", "bob", "at", now())})
	})
	kept("apply a list with one's own decision only", "server-side apply approvalrequests", "", func(ctx context.Context, w *world) error {
		body, err := json.Marshal(map[string]any{
			"apiVersion": "safety.kubernaut.io/v1alpha1", "kind": "ApprovalRequest", "metadata": map[string]any{"name": halfRequest},
			"spec": map[string]any{"decisions": []any{w.stampedDecision(everyRight), says("by", "bob", "at", now())}},
		})
		if err != nil {
			return err
		}
		return w.patchApproval(ctx, everyRight, halfRequest, types.ApplyPatchType, string(body))
	})
	add("take decisions away", everyRight, "JSON patch approvalrequests: replace the list", "", "only grows: add one decision at the end", nil, func(ctx context.Context, w *world) error {
		return w.decide(ctx, everyRight, halfRequest, "replace", "", []any{})
	})
	add("replay an approval on the request that came after it", everyRight, "JSON patch approvalrequests: add the decision of another request", "", by, webhooks, replay)
	add("replay an approval on the request that came after it", everyRight, "JSON patch approvalrequests: add the decision of another request", "", byOwn, policy, replay)
	creator := identity.WorkflowExecution
	add("create a request that is decided already", creator, "POST approvalrequests", "decisions-absent", "an ApprovalRequest is created without decisions", nil, func(ctx context.Context, w *world) error {
		object := child(w, creator, "ApprovalRequest")
		if err := unstructured.SetNestedSlice(object.Object, []any{w.stampedDecision(creator)}, "spec", "decisions"); err != nil {
			panic(err)
		}
		return w.create(ctx, creator, object)
	})
	return rows
}

// replay copies what bob decided about one request to another.
func replay(ctx context.Context, w *world) error {
	stored, err := w.resource(masters, rowOf("ApprovalRequest"), workNamespace).Get(ctx, halfRequest, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("%w: %w", errUnexpected, err)
	}
	decisions, _, err := unstructured.NestedSlice(stored.Object, "spec", "decisions")
	if err != nil || len(decisions) == 0 {
		return fmt.Errorf("%w: no decisions: %w", errUnexpected, err)
	}
	return w.decide(ctx, everyRight, openRequest, "add", "/-", decisions[0])
}

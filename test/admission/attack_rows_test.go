package admission

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	aianalysisv1 "kubernaut.io/kubernaut/api/aianalysis/v1"
	catalogv1alpha1 "kubernaut.io/kubernaut/api/catalog/v1alpha1"
	kubernetesexecutionv1 "kubernaut.io/kubernaut/api/kubernetesexecution/v1"
	remediationv1 "kubernaut.io/kubernaut/api/remediation/v1"
	remediationprocessingv1 "kubernaut.io/kubernaut/api/remediationprocessing/v1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/controllers/identity"
	"kubernaut.io/kubernaut/webhooks/statusguard"
)

// attacks is the table. It grows.
func attacks(w *world) []attack {
	return slices.Concat(
		statusAttacks(w), creationAttacks(w), ownerAttacks(), requesterAttacks(w), rightsAttacks(), specAttacks(), lookAlikeAttacks(), sizeAttacks(),
		labelAttacks(), approvalAttacks(), policyAttacks(), mistakenAttacks(), routeAttacks(), validationAttacks(),
	)
}

// Writing the status of every kind, in every way, as everyone else.
func statusAttacks(w *world) (rows []attack) {
	for _, row := range statusguard.Rows() {
		others := append(slices.DeleteFunc(identity.Controllers(), func(account string) bool { return account == row.Writer }),
			identity.Manager, masters, everyRight)
		resource := row.Resource + "/status"
		for _, way := range writes() {
			try := func(by, rule, want string) {
				rows = append(rows, attack{
					group: "status", name: "write the status of " + row.Kind, by: by, request: way.name + " " + resource, rule: rule, want: want,
					do: func(ctx context.Context, w *world) error {
						current, err := w.resource(masters, row, workNamespace).Get(ctx, fixture, metav1.GetOptions{})
						if err != nil {
							return errors.Join(errUnexpected, err)
						}
						return way.do(ctx, w.resource(by, row, workNamespace), row, current)
					},
				})
			}
			for _, by := range others {
				try(by, "status-writer", refusal(row, w.users[by].Username))
			}
			if way.name != "merge patch" {
				continue
			}
			for _, by := range strangers(row.Writer) {
				if w.users[by].Username == identity.Username(operatorNamespace, row.Writer) {
					try(by, "status-own-token", fmt.Sprintf("impersonated requests may not write %s/status, not even as %s", row.Resource, w.users[by].Username))
				} else {
					try(by, "status-writer", refusal(row, w.users[by].Username))
				}
			}
			rows = append(rows, attack{
				group: "status", name: "strategic merge, which custom resources do not have", by: everyRight, request: "strategic merge patch " + resource,
				want: "unknown format - accepted media types",
				do: func(ctx context.Context, w *world) error {
					return w.patch(ctx, everyRight, row.Kind, types.StrategicMergePatchType, `{"status":{"observedGeneration":1}}`, "status")
				},
			}, attack{
				group: "status", name: "a dry run of the same", by: everyRight, request: "merge patch " + resource + "?dryRun=All",
				want: refusal(row, "mallory"),
				do: func(ctx context.Context, w *world) error {
					dry := *w
					dry.dryRun = true
					return dry.patch(ctx, everyRight, row.Kind, types.MergePatchType, `{"status":{"observedGeneration":1}}`, "status")
				},
			}, attack{
				group: "status", name: "smuggle a status past the subresource", by: everyRight, request: "merge patch " + row.Resource, want: "no effect: the status is as it was",
				do: func(ctx context.Context, w *world) error {
					if err := w.patch(ctx, everyRight, row.Kind, types.MergePatchType, `{"status":{"observedGeneration":7},"metadata":{"labels":{"smuggled":"x"}}}`); err != nil {
						return err
					}
					stored, err := w.resource(masters, row, workNamespace).Get(ctx, fixture, metav1.GetOptions{})
					if err != nil {
						return errors.Join(errUnexpected, err)
					}
					if seen, _, _ := unstructured.NestedInt64(stored.Object, "status", "observedGeneration"); seen == 7 {
						return nil // it passed
					}
					return errors.New("no effect: the status is as it was")
				},
			})
		}
	}
	return rows
}

// errUnexpected says that a row could not be tried; it is in no expected answer.
var errUnexpected = errors.New("the row could not be tried")

// child is what a controller creates: the object of a kind that its owner has, as the controller would write it.
func child(w *world, by, kind string) *unstructured.Unstructured {
	meta := metav1.ObjectMeta{GenerateName: "child-", Namespace: workNamespace}
	owner := reference
	var object client.Object
	switch kind {
	case "RemediationProcessing":
		object = &remediationprocessingv1.RemediationProcessing{Spec: remediationprocessingv1.RemediationProcessingSpec{
			RemediationRequestRef: reference, SignalContext: signal, Target: target,
		}}
	case "AIAnalysis":
		object = &aianalysisv1.AIAnalysis{Spec: aianalysisv1.AIAnalysisSpec{
			RemediationRequestRef: reference, RemediationProcessingRef: reference, SignalContext: signal, Target: target,
		}}
	case "KubernetesExecution":
		owner = workflowReference
		object = &kubernetesexecutionv1.KubernetesExecution{Spec: kubernetesexecutionv1.KubernetesExecutionSpec{
			WorkflowExecutionRef: workflowReference, StepName: "a", Attempt: 1, Purpose: kubernetesexecutionv1.PurposeExecute, PlanDigest: hash, Action: new(scale("cart")),
			ExpectedTarget: &kubernetesexecutionv1.ExpectedTarget{UID: "1"},
		}}
	case "ApprovalRequest":
		owner = workflowReference
		object = approvalRequest("")
	default:
		object = workflow("", func(x *workflowexecutionv1.WorkflowExecution) {
			x.Spec.RemediationRequestRef, x.Spec.RequestedBy = &reference, somebody
		}, step("a"))
	}
	meta.OwnerReferences = []metav1.OwnerReference{controlledBy(rowOf(kind).Owner.Kind, owner)}
	object.SetNamespace(meta.Namespace)
	if name := childName(kind); name != "" {
		object.SetName(name)
	} else {
		object.SetGenerateName(meta.GenerateName)
	}
	object.SetOwnerReferences(meta.OwnerReferences)
	return w.stamped(by, object)
}

// childName is the name that a child of the fixtures must have; empty where it is free.
func childName(kind string) string {
	return map[string]string{
		"RemediationProcessing": shared.ProcessingName(fixture, 0), "AIAnalysis": shared.AnalysisName(fixture, 0),
		"KubernetesExecution": shared.ExecutionName(fixture, 0, 1),
	}[kind]
}

func creatorOf(kind string) string {
	if kind == "WorkflowExecution" {
		return identity.RemediationRequest
	}
	return rowOf(kind).Creator
}

func childKinds() []string {
	return []string{"RemediationProcessing", "AIAnalysis", "WorkflowExecution", "KubernetesExecution", "ApprovalRequest"}
}

// Creating by hand what only a controller creates.
func creationAttacks(w *world) (rows []attack) {
	for _, kind := range childKinds() {
		row, creator := rowOf(kind), creatorOf(kind)
		username := identity.Username(operatorNamespace, creator)
		refused := func(user string) string {
			return fmt.Sprintf("%s are created only by %s; you are %s. %s", row.Resource, username, user, row.Instead)
		}
		rule, ownToken, impersonated := "creator", "creator-own-token", "impersonated requests may not create "+row.Resource
		if row.Creator == "" {
			refused = func(user string) string {
				return fmt.Sprintf("only %s creates a workflow that serves a RemediationRequest; you are %s", username, user)
			}
			rule, ownToken, impersonated = "serves-creator", "serves-own-token", "impersonated requests may not create a workflow that serves"
		}
		try := func(by, rule, want string) {
			answer := attack{
				group: "creation", name: "create a " + kind + " by hand", by: by, request: "POST " + row.Resource, rule: rule, want: want,
				do: func(ctx context.Context, w *world) error { return w.create(ctx, by, child(w, by, kind)) },
			}
			if kind == "WorkflowExecution" {
				// The mutating webhook or the validation of the kind may be the first to answer.
				stamps := w.users[by].Username != username
				if stamps {
					answer.wantIn = map[setup]string{bothGuards: "spec.requestedBy.username: Invalid value", onlyWebhook: "spec.requestedBy.username: Invalid value"}
				}
			}
			rows = append(rows, answer)
		}
		others := slices.DeleteFunc(identity.Controllers(), func(account string) bool { return account == creator })
		for _, by := range append(others, identity.Manager, masters, everyRight) {
			try(by, rule, refused(w.users[by].Username))
		}
		for _, by := range strangers(creator) {
			if w.users[by].Username == username {
				try(by, ownToken, impersonated)
			} else {
				try(by, rule, refused(w.users[by].Username))
			}
		}
		rows = append(rows, attack{
			group: "creation", name: "create a " + kind + " by server-side apply", by: everyRight, request: "apply " + row.Resource, want: refused("mallory"),
			wantIn: map[setup]string{},
			do: func(ctx context.Context, w *world) error {
				object := child(w, everyRight, kind)
				object.SetGenerateName("")
				object.SetName("applied")
				_, err := w.resource(everyRight, row, workNamespace).Apply(ctx, "applied", object, metav1.ApplyOptions{FieldManager: "attack", Force: true, DryRun: w.dry()})
				return err
			},
		}, attack{
			group: "creation", name: "the controller itself creates a " + kind, by: creator, request: "POST " + row.Resource, want: passes,
			do: func(ctx context.Context, w *world) error {
				dry := *w
				dry.dryRun = true
				return dry.create(ctx, creator, child(w, creator, kind))
			},
		})
		if kind == "WorkflowExecution" {
			applied := &rows[len(rows)-2]
			applied.wantIn = map[setup]string{bothGuards: "spec.requestedBy.username: Invalid value", onlyWebhook: "spec.requestedBy.username: Invalid value"}
		}
	}
	forged := identity.RemediationRequest
	rows = append(rows, attack{
		group: "creation", name: "a known limit: who may also impersonate the credential forges it", by: masters + " impersonating " + forged,
		request: "POST aianalyses with Impersonate-Extra-authentication.kubernetes.io/credential-id", want: passes,
		do: func(ctx context.Context, w *world) error {
			config := w.configs[impersonating(forged)]
			other := *config
			other.Impersonate.Extra = map[string][]string{"authentication.kubernetes.io/credential-id": {"JTI=forged"}}
			return clientOf(&other).Create(ctx, child(w, forged, "AIAnalysis"), client.DryRunAll)
		},
	})
	return rows
}

// Claiming owners that are not the object's own.
func ownerAttacks() (rows []attack) {
	for _, kind := range childKinds() {
		row, creator := rowOf(kind), creatorOf(kind)
		try := func(name, rule, want string, in []setup, change func(*unstructured.Unstructured, *metav1.OwnerReference)) {
			rows = append(rows, attack{
				group: "owner", name: name + " of a " + kind, by: creator, request: "POST " + row.Resource, rule: rule, want: want, in: in,
				do: func(ctx context.Context, w *world) error {
					object := child(w, creator, kind)
					owner := object.GetOwnerReferences()[0]
					change(object, &owner)
					if len(object.GetOwnerReferences()) == 1 {
						object.SetOwnerReferences([]metav1.OwnerReference{owner})
					}
					return w.create(ctx, creator, object)
				},
			})
		}
		named := fmt.Sprintf("%s are owned by the %s that their spec names", row.Resource, row.Owner.Kind)
		for name, change := range map[string]func(*unstructured.Unstructured, *metav1.OwnerReference){
			"no owner": func(u *unstructured.Unstructured, _ *metav1.OwnerReference) { u.SetOwnerReferences(nil) },
			"another UID as owner": func(_ *unstructured.Unstructured, o *metav1.OwnerReference) {
				o.UID = "11111111-1111-1111-1111-111111111111"
			},
			"another name as owner": func(_ *unstructured.Unstructured, o *metav1.OwnerReference) { o.Name = "other" },
			"another kind as owner": func(_ *unstructured.Unstructured, o *metav1.OwnerReference) { o.Kind = "Playbook" },
			"a group with a tail as owner": func(_ *unstructured.Unstructured, o *metav1.OwnerReference) {
				o.APIVersion = row.Owner.Group + ".example.com/v1"
			},
			"an owner that is no controller":  func(_ *unstructured.Unstructured, o *metav1.OwnerReference) { o.Controller = nil },
			"an owner with a look-alike name": func(_ *unstructured.Unstructured, o *metav1.OwnerReference) { o.Name = "f\u0456xture" },
			"a second owner": func(u *unstructured.Unstructured, _ *metav1.OwnerReference) {
				u.SetOwnerReferences(append(u.GetOwnerReferences(), metav1.OwnerReference{APIVersion: "v1", Kind: "ConfigMap", Name: "x", UID: "x"}))
			},
		} {
			try(name, "owner-named", named, nil, change)
		}
		webhook := []setup{bothGuards, onlyWebhook}
		path := map[string]string{"RemediationRequest": "remediationRequestRef", "WorkflowExecution": "workflowExecutionRef"}[row.Owner.Kind]
		both := func(u *unstructured.Unstructured, o *metav1.OwnerReference) {
			spec := map[string]any{"name": o.Name, "uid": string(o.UID)}
			if err := unstructured.SetNestedMap(u.Object, spec, "spec", path); err != nil {
				panic(err)
			}
		}
		try("an owner that does not exist", "owner-exists", "does not exist in its namespace", webhook, func(u *unstructured.Unstructured, o *metav1.OwnerReference) {
			o.Name = "never-was"
			both(u, o)
		})
		try("the UID of another life as owner", "owner-exists", "does not exist in its namespace", webhook, func(u *unstructured.Unstructured, o *metav1.OwnerReference) {
			o.UID = "22222222-2222-2222-2222-222222222222"
			both(u, o)
		})
		try("an owner in another namespace", "owner-exists", "does not exist in its namespace", webhook, func(u *unstructured.Unstructured, _ *metav1.OwnerReference) {
			u.SetNamespace(elsewhere)
		})
	}
	slices.SortStableFunc(rows, func(a, b attack) int { return strings.Compare(a.name, b.name) })
	rows = append(rows, attack{
		group: "owner", name: "a workflow for a request, in the name of somebody who did not make it", by: identity.RemediationRequest, request: "POST workflowexecutions",
		rule: "owner-requester", want: "is who made that request", in: []setup{bothGuards, onlyWebhook},
		do: func(ctx context.Context, w *world) error {
			object := child(w, identity.RemediationRequest, "WorkflowExecution")
			w.setRequester(object, shared.Requester{Username: "alice", Groups: []string{"on-call"}})
			return w.create(ctx, identity.RemediationRequest, object)
		},
	})
	claim := fmt.Sprintf(`{"apiVersion":"remediation.kubernaut.io/v1","kind":"RemediationRequest","name":%q,"uid":%q,"controller":true}`, fixture, reference.UID)
	for _, kind := range append(childKinds(), "RemediationRequest") {
		row := rowOf(kind)
		for how, body := range map[types.PatchType]string{
			types.MergePatchType: `{"metadata":{"ownerReferences":[` + claim + `]}}`,
			types.JSONPatchType:  `[{"op":"add","path":"/metadata/ownerReferences","value":[` + claim + `]}]`,
			types.ApplyPatchType: fmt.Sprintf(`{"apiVersion":%q,"kind":%q,"metadata":{"name":%q,"ownerReferences":[%s]}}`, row.Group+"/"+row.Version, kind, fixture, claim),
		} {
			rows = append(rows, attack{
				group: "owner", name: "have a " + kind + " adopted later", by: everyRight, request: ways[how] + " " + row.Resource, rule: "owner-kept",
				want: "owner references to objects of Kubernaut are set when an object is created",
				do: func(ctx context.Context, w *world) error {
					return w.patch(ctx, everyRight, kind, how, body)
				},
			})
		}
	}
	for _, kind := range []string{"RemediationRequest", "WorkflowExecution"} {
		rows = append(rows, attack{
			group: "owner", name: "start a " + kind + " by hand that claims to be a child", by: "alice", request: "POST " + rowOf(kind).Resource, rule: "owner-unclaimed",
			want: "whose spec names no owner",
			do: func(ctx context.Context, w *world) error {
				object := byHand(w, "alice", kind, nil)
				object.SetOwnerReferences([]metav1.OwnerReference{controlledBy("RemediationRequest", reference)})
				return w.create(ctx, "alice", object)
			},
		}, attack{
			group: "owner", name: "start a " + kind + " that something of others owns", by: "alice", request: "POST " + rowOf(kind).Resource, want: passes,
			do: func(ctx context.Context, w *world) error {
				object := byHand(w, "alice", kind, nil)
				object.SetOwnerReferences([]metav1.OwnerReference{{APIVersion: "batch/v1", Kind: "CronJob", Name: "x", UID: "x"}})
				return w.create(ctx, "alice", object)
			},
		})
	}
	return rows
}

// ways are the names of patches.
var ways = map[types.PatchType]string{types.MergePatchType: "merge patch", types.JSONPatchType: "JSON patch", types.ApplyPatchType: "server-side apply"}

// byHand is a RemediationRequest or a WorkflowExecution that a person starts.
func byHand(w *world, by, kind string, requester *shared.Requester) *unstructured.Unstructured {
	var object client.Object = request("hand-", nil)
	if kind == "WorkflowExecution" {
		object = workflow("hand-", nil, step("a"))
	}
	u := w.stamped(by, object)
	if requester != nil {
		w.setRequester(u, *requester)
	}
	return u
}

// Being somebody else.
func requesterAttacks(w *world) (rows []attack) {
	for _, kind := range []string{"RemediationRequest", "WorkflowExecution"} {
		row, me := rowOf(kind), w.users["alice"]
		forge := func(name string, change func(*shared.Requester)) {
			forged := *me.DeepCopy()
			change(&forged)
			both := "leave requestedBy out"
			rows = append(rows, attack{
				group: "requester", name: name + " in a " + kind, by: "alice", request: "POST " + row.Resource, rule: "requested-by",
				want: "spec.requestedBy must be who sends the request, alice", wantIn: map[setup]string{bothGuards: both, onlyWebhook: both},
				do: func(ctx context.Context, w *world) error {
					return w.create(ctx, "alice", byHand(w, "alice", kind, &forged))
				},
			})
		}
		forge("another name", func(r *shared.Requester) { r.Username = "bob" })
		forge("a look-alike of one's own name", func(r *shared.Requester) { r.Username = "al\u0456ce" })
		forge("one's own name in capitals", func(r *shared.Requester) { r.Username = "Alice" })
		forge("one's own name and a space", func(r *shared.Requester) { r.Username = "alice " })
		forge("the orchestrator's name", func(r *shared.Requester) {
			r.Username = identity.Username(operatorNamespace, identity.RemediationRequest)
		})
		forge("another UID", func(r *shared.Requester) { r.UID = "1" })
		forge("one more group", func(r *shared.Requester) { r.Groups = append(r.Groups, "system:masters") })
		forge("groups in another order", func(r *shared.Requester) { slices.Reverse(r.Groups) })
		forge("another credential", func(r *shared.Requester) {
			r.Extra = map[string]shared.ExtraValue{"authentication.kubernetes.io/credential-id": {"JTI=1"}}
		})
		for name, change := range map[string]func(*shared.Requester){
			"no groups": func(r *shared.Requester) { r.Groups = nil },
			"no extra":  func(r *shared.Requester) { r.Extra = nil },
		} {
			forged := *me.DeepCopy()
			change(&forged)
			rows = append(rows, attack{
				group: "requester", name: name + " in a " + kind, by: "alice", request: "POST " + row.Resource,
				want: "spec.requestedBy must be who sends the request, alice", wantIn: map[setup]string{bothGuards: passes, onlyWebhook: passes}, // it is completed
				do: func(ctx context.Context, w *world) error {
					dry := *w
					dry.dryRun = true
					return dry.create(ctx, "alice", byHand(w, "alice", kind, &forged))
				},
			})
		}
		rows = append(rows,
			attack{
				group: "requester", name: "the annotation with another name in a " + kind, by: "alice", request: "POST " + row.Resource, rule: "requested-by-annotation",
				want: "must be who sends the request, alice", wantIn: map[setup]string{bothGuards: "no effect: overwritten with alice", onlyWebhook: "no effect: overwritten with alice"},
				do: func(ctx context.Context, w *world) error {
					object := byHand(w, "alice", kind, nil)
					object.SetAnnotations(map[string]string{shared.AnnotationRequestedBy: "bob"})
					created, err := w.resource("alice", row, workNamespace).Create(ctx, object, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
					if err != nil {
						return err
					}
					if by := created.GetAnnotations()[shared.AnnotationRequestedBy]; by != "alice" {
						return nil // it passed
					}
					return errors.New("no effect: overwritten with alice")
				},
			},
			attack{
				group: "requester", name: "change who asked for a " + kind, by: everyRight, request: "merge patch " + row.Resource, want: "immutable after creation",
				do: func(ctx context.Context, w *world) error {
					return w.patch(ctx, everyRight, kind, types.MergePatchType, `{"spec":{"requestedBy":{"username":"mallory"}}}`)
				},
			},
			attack{
				group: "requester", name: "change the annotation of a " + kind, by: everyRight, request: "merge patch " + row.Resource, rule: "annotation-kept",
				want: "nobody changes it",
				do: func(ctx context.Context, w *world) error {
					return w.patch(ctx, everyRight, kind, types.MergePatchType, `{"metadata":{"annotations":{"kubernaut.io/requested-by":"mallory"}}}`)
				},
			},
			attack{
				group: "requester", name: "leave requestedBy out of a " + kind, by: "alice", request: "POST " + row.Resource, want: passes, rule: "stamp-" + strings.ToLower(kind),
				wantIn: map[setup]string{onlyPolicy: "requestedBy: Required value"},
				do: func(ctx context.Context, w *world) error {
					object := byHand(w, "alice", kind, nil)
					unstructured.RemoveNestedField(object.Object, "spec", "requestedBy")
					_, err := w.resource("alice", row, workNamespace).Create(ctx, object, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
					return err
				},
			},
			attack{
				group: "requester", name: "ask truthfully for a " + kind, by: "alice", request: "POST " + row.Resource, want: passes,
				do: func(ctx context.Context, w *world) error {
					dry := *w
					dry.dryRun = true
					return dry.create(ctx, "alice", byHand(w, "alice", kind, nil))
				},
			},
		)
	}
	rows = append(rows, attack{
		group: "requester", name: "the orchestrator files a request for another", by: identity.RemediationRequest, request: "POST remediationrequests", rule: "requested-by",
		want: "spec.requestedBy must be who sends the request", wantIn: map[setup]string{bothGuards: "leave requestedBy out", onlyWebhook: "leave requestedBy out"},
		do: func(ctx context.Context, w *world) error {
			return w.create(ctx, identity.RemediationRequest, byHand(w, identity.RemediationRequest, "RemediationRequest", &somebody))
		},
	})
	return rows
}

// Having done what one may not do.
func rightsAttacks() (rows []attack) {
	try := func(name, kind, rule, want string, build func() client.Object) {
		rows = append(rows, attack{
			group: "rights", name: name, by: heidi, request: "POST " + rowOf(kind).Resource, want: want, rule: rule, in: []setup{bothGuards, onlyWebhook},
			do: func(ctx context.Context, w *world) error {
				object := build()
				object.SetNamespace("heidi")
				return w.create(ctx, heidi, w.stamped(heidi, object))
			},
		})
	}
	requestFor := func(target shared.Target) func() client.Object {
		return func() client.Object {
			return request("r-", func(r *remediationv1.RemediationRequest) { r.Spec.Target = target })
		}
	}
	deployment := func(namespace string) shared.Target {
		return shared.Target{APIVersion: "apps/v1", Kind: "Deployment", Namespace: namespace, Name: "cart"}
	}
	try("a target in another namespace", "RemediationRequest", "validate-remediationrequest", "heidi may not remediate deployments.apps cart in namespace shop", requestFor(deployment(workNamespace)))
	try("a target in the operator's namespace", "RemediationRequest", "", "heidi may not remediate deployments.apps cart in namespace kubernaut-system", requestFor(deployment(operatorNamespace)))
	try("a cluster-scoped target", "RemediationRequest", "", "heidi may not remediate nodes worker", requestFor(shared.Target{APIVersion: "v1", Kind: "Node", Name: "worker"}))
	try("a kind of target that one has no verb for", "RemediationRequest", "", "heidi may not remediate statefulsets.apps cart in namespace heidi", requestFor(shared.Target{APIVersion: "apps/v1", Kind: "StatefulSet", Namespace: "heidi", Name: "cart"}))
	try("a kind of target that the cluster does not know", "RemediationRequest", "", "heidi may not remediate widgets.example.com w in namespace heidi", requestFor(shared.Target{APIVersion: "example.com/v1", Kind: "Widget", Namespace: "heidi", Name: "w"}))
	try("a namespace that looks like one's own", "RemediationRequest", "", "spec.target.namespace: Invalid value", requestFor(deployment("he\u0456di")))
	steps := func(steps ...shared.Step) func() client.Object {
		return func() client.Object { return workflow("w-", nil, steps...) }
	}
	image := step("image")
	image.Action = shared.Action{Type: shared.ActionUpdateImage, UpdateImage: &shared.UpdateImage{Namespace: workNamespace, Name: "cart", Container: "app", Image: "x:1"}}
	back := step("back")
	back.Action = shared.Action{Type: shared.ActionRollbackDeployment, RollbackDeployment: &shared.RollbackDeployment{Namespace: workNamespace, Name: "cart"}}
	tell := step("tell")
	tell.Action = shared.Action{Type: shared.ActionNotifyOnly, NotifyOnly: &shared.NotifyOnly{Message: "hello"}}
	try("a workflow that scales elsewhere", "WorkflowExecution", "validate-workflowexecution", "heidi may not patch deployments.apps cart in namespace shop", steps(scaleIn("a", workNamespace)))
	try("a workflow whose last step goes elsewhere", "WorkflowExecution", "", "steps[1].action", steps(scaleIn("a", "heidi"), scaleIn("b", workNamespace)))
	try("a workflow that changes an image elsewhere", "WorkflowExecution", "", "heidi may not patch deployments.apps cart in namespace shop", steps(image))
	try("a workflow that rolls back elsewhere", "WorkflowExecution", "", "heidi may not patch deployments.apps cart in namespace shop", steps(back))
	try("a workflow that tells people something", "WorkflowExecution", "", "heidi may not create events.events.k8s.io in namespace heidi", steps(tell))
	rows = append(rows, attack{
		group: "rights", name: "an object in a namespace in which one has no rights", by: heidi, request: "POST remediationrequests", want: "cannot create resource",
		do: func(ctx context.Context, w *world) error {
			return w.create(ctx, heidi, w.stamped(heidi, request("r-", nil)))
		},
	}, attack{
		group: "rights", name: "an action account writes a status", by: identity.Action(shared.ActionScaleDeployment), request: "merge patch remediationrequests/status", want: "cannot patch resource",
		do: func(ctx context.Context, w *world) error {
			const by = "an action account"
			if w.clients[by] == nil {
				w.add(ctx, by, tokened(operatorNamespace, identity.Action(shared.ActionScaleDeployment)))
			}
			return w.patch(ctx, by, "RemediationRequest", types.MergePatchType, `{"status":{"observedGeneration":1}}`, "status")
		},
	}, attack{
		group: "rights", name: "one's own target", by: heidi, request: "POST remediationrequests", want: passes,
		do: func(ctx context.Context, w *world) error {
			dry := *w
			dry.dryRun = true
			object := requestFor(deployment("heidi"))()
			object.SetNamespace("heidi")
			return dry.create(ctx, heidi, w.stamped(heidi, object))
		},
	})
	return rows
}

// Changing what was asked, analysed or decided.
func specAttacks() (rows []attack) {
	try := func(kind, what, body, want string) {
		rows = append(rows, attack{
			group: "spec", name: "change " + what + " of a " + kind, by: everyRight, request: "merge patch " + rowOf(kind).Resource, want: want,
			do: func(ctx context.Context, w *world) error {
				return w.patch(ctx, everyRight, kind, types.MergePatchType, body)
			},
		})
	}
	const immutable = "immutable after creation"
	try("RemediationRequest", "the target", `{"spec":{"target":{"name":"other"}}}`, immutable)
	try("RemediationRequest", "the signal", `{"spec":{"signalContext":{"name":"other"}}}`, immutable)
	try("RemediationRequest", "the mode", `{"spec":{"mode":"DryRun"}}`, immutable)
	try("RemediationRequest", "the recoveries", `{"spec":{"maxRecoveryAttempts":10}}`, immutable)
	try("RemediationRequest", "the time-outs", `{"spec":{"timeouts":{"overall":"24h"}}}`, immutable)
	try("RemediationRequest", "the time to live", `{"spec":{"ttlAfterFinished":"1h"}}`, immutable)
	try("RemediationProcessing", "the target", `{"spec":{"target":{"name":"other"}}}`, immutable)
	try("RemediationProcessing", "the request", `{"spec":{"remediationRequestRef":{"name":"other"}}}`, immutable)
	try("AIAnalysis", "the facts", `{"spec":{"enrichment":{"health":{"status":"Current"}}}}`, immutable)
	try("AIAnalysis", "the request", `{"spec":{"remediationRequestRef":{"name":"other"}}}`, immutable)
	try("WorkflowExecution", "the steps", `{"spec":{"workflowDefinition":{"steps":[{"name":"b","action":{"type":"scale-deployment","scaleDeployment":{"namespace":"shop","name":"x","replicas":0}}}]}}}`, immutable)
	try("WorkflowExecution", "the request", `{"spec":{"remediationRequestRef":{"name":"other","uid":"x"}}}`, immutable)
	try("WorkflowExecution", "the mode", `{"spec":{"mode":"DryRun"}}`, immutable)
	try("WorkflowExecution", "the strategy", `{"spec":{"executionStrategy":{"dryRunFirst":false}}}`, immutable)
	try("WorkflowExecution", "the stabilization window", `{"spec":{"stabilizationWindow":"0s"}}`, immutable)
	try("KubernetesExecution", "the action", `{"spec":{"action":{"scaleDeployment":{"replicas":0}}}}`, immutable)
	try("KubernetesExecution", "the plan", `{"spec":{"planDigest":"`+strings.Repeat("1", 64)+`"}}`, immutable)
	try("KubernetesExecution", "the attempt", `{"spec":{"attempt":2}}`, immutable)
	try("KubernetesExecution", "the workflow", `{"spec":{"workflowExecutionRef":{"uid":"x"}}}`, immutable)
	try("KubernetesExecution", "the purpose", `{"spec":{"purpose":"RollBack"}}`, immutable)
	try("ApprovalRequest", "the plan", `{"spec":{"planDigest":"`+strings.Repeat("1", 64)+`"}}`, immutable)
	try("ApprovalRequest", "what is needed", `{"spec":{"requiredApprovals":2}}`, immutable)
	try("ApprovalRequest", "who asked", `{"spec":{"requestedBy":{"username":"other"}}}`, immutable)
	try("ApprovalRequest", "the expiry", `{"spec":{"expiresAt":"2099-01-01T00:00:00Z"}}`, immutable)
	rows = append(rows, attack{
		group: "spec", name: "break a Playbook", by: everyRight, request: "merge patch playbooks", want: "spec.match.expression", in: []setup{bothGuards, onlyWebhook}, rule: "validate-playbook",
		do: func(ctx context.Context, w *world) error {
			return w.patch(ctx, everyRight, "Playbook", types.MergePatchType, `{"spec":{"match":{"expression":"env.HOME"}}}`)
		},
	})
	return rows
}

// Names that people take for others.
func lookAlikeAttacks() (rows []attack) {
	try := func(name, want string, in []setup, build func() client.Object) {
		object := build()
		kinds, _, err := scheme.ObjectKinds(object)
		if err != nil {
			panic(err)
		}
		rows = append(rows, attack{
			group: "look-alike", name: name, by: "alice", request: "POST " + rowOf(kinds[0].Kind).Resource, want: want, in: in,
			do: func(ctx context.Context, w *world) error {
				dry := *w
				dry.dryRun = true
				return dry.create(ctx, "alice", w.stamped("alice", build()))
			},
		})
	}
	webhook := []setup{bothGuards, onlyWebhook}
	targeted := func(change func(*shared.Target)) func() client.Object {
		return func() client.Object {
			return request("r-", func(r *remediationv1.RemediationRequest) { change(&r.Spec.Target) })
		}
	}
	stepped := func(change func(*shared.Step)) func() client.Object {
		s := step("a")
		change(&s)
		return func() client.Object { return workflow("w-", nil, s) }
	}
	try("a namespace with a Cyrillic letter", "spec.target.namespace: Invalid value", webhook, targeted(func(t *shared.Target) { t.Namespace = "sh\u043ep" }))
	try("a kind with a Cyrillic letter", "spec.target.kind: Invalid value", webhook, targeted(func(t *shared.Target) { t.Kind = "D\u0435ployment" }))
	try("a group with a Cyrillic letter", "spec.target.apiVersion: Invalid value", webhook, targeted(func(t *shared.Target) { t.APIVersion = "\u0430pps/v1" }))
	try("a name that climbs out of its path", "spec.target.name: Invalid value", webhook, targeted(func(t *shared.Target) { t.Name = "../nodes" }))
	try("a signal that forges a line of the log", "control characters", webhook, func() client.Object {
		return request("r-", func(r *remediationv1.RemediationRequest) { r.Spec.SignalContext.Name = "x\nlevel=info msg=approved" })
	})
	try("a step with a Cyrillic letter", "spec.workflowDefinition.steps[0].name", nil, stepped(func(s *shared.Step) { s.Name = "\u0430" }))
	try("a step that ends in a line break", "spec.workflowDefinition.steps[0].name", nil, stepped(func(s *shared.Step) { s.Name = "a\n" }))
	try("a Deployment with a Cyrillic letter", "scaleDeployment.name: Invalid value", webhook, stepped(func(s *shared.Step) { s.Action.ScaleDeployment.Name = "c\u0430rt" }))
	try("a Deployment with a full-width letter", "scaleDeployment.name: Invalid value", webhook, stepped(func(s *shared.Step) { s.Action.ScaleDeployment.Name = "\uff43art" }))
	try("a namespace with a zero-width space", "scaleDeployment.namespace: Invalid value", webhook, stepped(func(s *shared.Step) { s.Action.ScaleDeployment.Namespace = "shop\u200b" }))
	try("an image from a registry with a Cyrillic letter", "updateImage.image: Invalid value", webhook, stepped(func(s *shared.Step) {
		s.Action = shared.Action{Type: shared.ActionUpdateImage, UpdateImage: &shared.UpdateImage{Namespace: workNamespace, Name: "cart", Container: "app", Image: "gcr.i\u043e/cart:1"}}
	}))
	try("an object whose name has a Cyrillic letter", "metadata.name: Invalid value", nil, func() client.Object {
		return request("", func(r *remediationv1.RemediationRequest) { r.Name = "f\u0456xture" })
	})
	try("an action of a type that looks like another", "spec.workflowDefinition.steps[0].action", nil, stepped(func(s *shared.Step) { s.Action.Type = "sc\u0430le-deployment" }))
	try("a Playbook for an action that looks like another", "type", nil, func() client.Object {
		return aPlaybook(catalogv1alpha1.PlaybookStep{Name: "a", Type: "sc\u0430le-deployment"})
	})
	return rows
}

func aPlaybook(steps ...catalogv1alpha1.PlaybookStep) *catalogv1alpha1.Playbook {
	return &catalogv1alpha1.Playbook{ObjectMeta: metav1.ObjectMeta{GenerateName: "p-"}, Spec: catalogv1alpha1.PlaybookSpec{
		ConfidencePercent: new(int32(50)), RootCause: "x", Workflow: catalogv1alpha1.PlaybookWorkflow{Name: "w", Steps: steps},
	}}
}

// Objects that are to exhaust who looks at them.
func sizeAttacks() (rows []attack) {
	try := func(name, kind, want string, in []setup, build func(w *world) *unstructured.Unstructured) {
		rows = append(rows, attack{
			group: "size", name: name, by: "alice", request: "POST " + rowOf(kind).Resource, want: want, in: in,
			do: func(ctx context.Context, w *world) error {
				dry := *w
				dry.dryRun = true
				return dry.create(ctx, "alice", build(w))
			},
		})
	}
	asked := func(change func(*remediationv1.RemediationRequest)) func(*world) *unstructured.Unstructured {
		return func(w *world) *unstructured.Unstructured { return w.stamped("alice", request("r-", change)) }
	}
	stepsOf := func(steps ...shared.Step) func(*world) *unstructured.Unstructured {
		return func(w *world) *unstructured.Unstructured { return w.stamped("alice", workflow("w-", nil, steps...)) }
	}
	webhook := []setup{bothGuards, onlyWebhook}
	try("a signal with too many labels", "RemediationRequest", "spec.signalContext.labels", nil, asked(func(r *remediationv1.RemediationRequest) {
		r.Spec.SignalContext.Labels = map[string]shared.LabelText{}
		for i := range 65 {
			r.Spec.SignalContext.Labels[fmt.Sprintf("l%d", i)] = "x"
		}
	}))
	try("a label of a signal that is too long", "RemediationRequest", "Too long", nil, asked(func(r *remediationv1.RemediationRequest) {
		r.Spec.SignalContext.Labels = map[string]shared.LabelText{"l": shared.LabelText(strings.Repeat("x", 1025))}
	}))
	try("a signal that is large in all it may have", "RemediationRequest", "a spec is at most", webhook, asked(func(r *remediationv1.RemediationRequest) {
		r.Spec.SignalContext.Annotations = map[string]shared.AnnotationText{}
		for i := range 64 {
			r.Spec.SignalContext.Annotations[fmt.Sprintf("a%d", i)] = shared.AnnotationText(strings.Repeat("x", 4000))
		}
	}))
	try("a name of a target of a mebibyte", "RemediationRequest", "spec.target.name", nil, asked(func(r *remediationv1.RemediationRequest) { r.Spec.Target.Name = strings.Repeat("x", 1<<20) }))
	try("an object larger than a request may be", "RemediationRequest", "limit", nil, asked(func(r *remediationv1.RemediationRequest) {
		r.Spec.SignalContext.Source = strings.Repeat("x", 4<<20)
	}))
	try("annotations larger than an object may have", "RemediationRequest", "metadata.annotations: Too long", nil, asked(func(r *remediationv1.RemediationRequest) {
		r.Annotations = map[string]string{"big": strings.Repeat("x", 300<<10)}
	}))
	var many, wide []shared.Step
	for i := range 101 {
		many = append(many, step(fmt.Sprintf("s%d", i)))
	}
	for i := range 100 {
		s := step(fmt.Sprintf("s%d", i))
		s.Action = shared.Action{Type: shared.ActionNotifyOnly, NotifyOnly: &shared.NotifyOnly{Message: strings.Repeat("\u0001", 1000)}}
		wide = append(wide, s)
	}
	try("more steps than a workflow has", "WorkflowExecution", "spec.workflowDefinition.steps: Too many", nil, stepsOf(many...))
	try("steps that are small, and large as JSON", "WorkflowExecution", "bytes of JSON", webhook, stepsOf(wide...))
	try("steps that wait for each other", "WorkflowExecution", "a → b → a", webhook, stepsOf(step("a", "b"), step("b", "a")))
	try("a hundred steps that all wait for all before", "WorkflowExecution", passes, nil, func(w *world) *unstructured.Unstructured {
		var dense []shared.Step
		for i := range 100 {
			var before []string
			for j := range i {
				before = append(before, fmt.Sprintf("s%d", j))
			}
			dense = append(dense, step(fmt.Sprintf("s%d", i), before...))
		}
		return w.stamped("alice", workflow("w-", nil, dense...))
	})
	try("unknown fields, nested a thousand deep", "WorkflowExecution", passes, nil, func(w *world) *unstructured.Unstructured {
		object := byHand(w, "alice", "WorkflowExecution", nil)
		var deep any = "x"
		for range 1000 {
			deep = map[string]any{"d": deep}
		}
		object.Object["deep"] = deep // pruned
		return object
	})
	try("unknown fields, nested deeper than JSON may be", "WorkflowExecution", "exceeded max depth", nil, func(w *world) *unstructured.Unstructured {
		object := byHand(w, "alice", "WorkflowExecution", nil)
		var deep any = "x"
		for range 11000 {
			deep = []any{deep}
		}
		object.Object["deep"] = deep
		return object
	})
	try("ten thousand unknown fields", "WorkflowExecution", passes, nil, func(w *world) *unstructured.Unstructured {
		object := byHand(w, "alice", "WorkflowExecution", nil)
		for i := range 10000 {
			object.Object[fmt.Sprintf("f%d", i)] = "x" // pruned
		}
		return object
	})
	try("two thousand owners of others", "WorkflowExecution", passes, nil, func(w *world) *unstructured.Unstructured {
		object := byHand(w, "alice", "WorkflowExecution", nil)
		var owners []metav1.OwnerReference
		for i := range 2000 {
			owners = append(owners, metav1.OwnerReference{APIVersion: "v1", Kind: "ConfigMap", Name: "x", UID: types.UID(fmt.Sprintf("u%d", i))})
		}
		object.SetOwnerReferences(owners)
		return object
	})
	try("one owner of ours among two thousand of others", "WorkflowExecution", "whose spec names no owner", nil, func(w *world) *unstructured.Unstructured {
		object := byHand(w, "alice", "WorkflowExecution", nil)
		var owners []metav1.OwnerReference
		for i := range 2000 {
			owners = append(owners, metav1.OwnerReference{APIVersion: "v1", Kind: "ConfigMap", Name: "x", UID: types.UID(fmt.Sprintf("u%d", i))})
		}
		claimed := controlledBy("RemediationRequest", reference)
		claimed.Controller = nil
		object.SetOwnerReferences(append(owners, claimed))
		return object
	})
	many2 := make([]catalogv1alpha1.PlaybookStep, 101)
	for i := range many2 {
		many2[i] = catalogv1alpha1.PlaybookStep{Name: fmt.Sprintf("s%d", i), Type: shared.ActionNotifyOnly}
	}
	try("more steps than a Playbook has", "Playbook", "spec.workflow.steps: Too many", nil, func(w *world) *unstructured.Unstructured {
		return w.stamped("alice", aPlaybook(many2...))
	})
	try("an expression nested deeper than may be", "Playbook", "spec.match.expression", webhook, func(w *world) *unstructured.Unstructured {
		p := aPlaybook()
		p.Spec.Match.Expression = strings.Repeat("(", 1000) + "true" + strings.Repeat(")", 1000)
		return w.stamped("alice", p)
	})
	return rows
}

// Labels are no proof of anything.
func labelAttacks() (rows []attack) {
	labels := map[string]string{shared.LabelRemediationRequest: fixture, shared.LabelWorkflowExecution: fixture, shared.LabelStep: "0"}
	rows = append(rows, attack{
		group: "labels", name: "a KubernetesExecution with the labels of a step", by: everyRight, request: "POST kubernetesexecutions", want: "kubernetesexecutions are created only by",
		do: func(ctx context.Context, w *world) error {
			object := child(w, everyRight, "KubernetesExecution")
			object.SetLabels(labels)
			object.SetGenerateName("")
			object.SetName(shared.ExecutionName(fixture, 0, 1))
			return w.create(ctx, everyRight, object)
		},
	}, attack{
		group: "labels", name: "a workflow with the name and the labels of a child: it is owned by nothing", by: "alice", request: "POST workflowexecutions",
		want: "no effect: it has no owner",
		do: func(ctx context.Context, w *world) error {
			object := byHand(w, "alice", "WorkflowExecution", nil)
			object.SetGenerateName("")
			object.SetName(shared.WorkflowName(fixture, 0))
			object.SetLabels(labels)
			created, err := w.resource("alice", rowOf("WorkflowExecution"), workNamespace).Create(ctx, object, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
			if err != nil {
				return err
			}
			if _, claims, _ := unstructured.NestedMap(created.Object, "spec", "remediationRequestRef"); claims || len(created.GetOwnerReferences()) > 0 {
				return nil // it passed for a child
			}
			return errors.New("no effect: it has no owner")
		},
	})
	return rows
}

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/sets"

	"kubernaut.io/kubernaut/controllers/facts"
	"kubernaut.io/kubernaut/controllers/identity"
	"kubernaut.io/kubernaut/webhooks/statusguard"
)

// use is where the code does what a verb allows: a file, and words in it.
type use struct{ file, words string }

// uses say of every account what each verb is for, as "verb resource". What serves a library says where it is handed over.
//
// Left out are the accounts of actions, whose roles are what each action declares, and what the manager reads for the caches of all.
func uses() map[string]map[string]use {
	record := func(kind string) use {
		return use{"controllers/" + kind + "/reconciler.go", "machinery.Record(ctx, r.Clients."}
	}
	target := use{"controllers/remediationprocessing/gather.go", "s.live.Get(ctx, client.ObjectKey{Namespace: s.subject.Namespace, Name: s.subject.Name}, object)"}
	owner := use{"controllers/remediationprocessing/gather.go", "s.live.Get(ctx, key, owner)"}
	events := use{"webhooks/guard.go", "mgr.GetEventRecorder(admissionRecorder)"}
	election := use{"cmd/kubernaut/app/manager.go", "LeaderElectionID:"}
	rotator := use{"webhooks/certs/selfsigned.go", "rotator.AddRotator("}
	token := use{"controllers/identity/identity.go", "CreateToken(ctx, a.account"}
	return map[string]map[string]use{
		identity.Manager: {
			"create events":                          events,
			"patch events":                           events,
			"create leases":                          election,
			"get leases":                             election,
			"update leases":                          election,
			"list leases":                            {"controllers/workflowexecution/reconciler.go", "Watches(&coordinationv1.Lease{}"},
			"watch leases":                           {"controllers/workflowexecution/reconciler.go", "Watches(&coordinationv1.Lease{}"},
			"create serviceaccounts/token":           token,
			"create subjectaccessreviews":            {"controllers/rights/rights.go", "c.Create(ctx, question)"},
			"create tokenreviews":                    {"cmd/kubernaut/app/manager.go", "filters.WithAuthenticationAndAuthorization"},
			"get pods":                               {"controllers/facts/preview.go", "c.Client.Get(ctx, key, object, options...)"},
			"list pods":                              {"controllers/kubernetesexecution/reconciler.go", "WatchesMetadata(&corev1.Pod{}"},
			"watch pods":                             {"controllers/kubernetesexecution/reconciler.go", "WatchesMetadata(&corev1.Pod{}"},
			"get certificates":                       {"webhooks/certs/certmanager.go", "Certificates(options.Namespace).Get("},
			"get issuers":                            {"webhooks/certs/certmanager.go", "Issuers(certificate.Namespace).Get("},
			"get clusterissuers":                     {"webhooks/certs/certmanager.go", "ClusterIssuers().Get("},
			"get secrets":                            rotator,
			"list secrets":                           {"webhooks/certs/follower.go", "cache.NewInformerWithOptions("},
			"watch secrets":                          {"webhooks/certs/follower.go", "cache.NewInformerWithOptions("},
			"update secrets":                         {"webhooks/certs/selfsigned.go", "Secrets(secret.Namespace).Update("},
			"get mutatingwebhookconfigurations":      rotator,
			"list mutatingwebhookconfigurations":     rotator,
			"watch mutatingwebhookconfigurations":    rotator,
			"update mutatingwebhookconfigurations":   rotator,
			"get validatingwebhookconfigurations":    rotator,
			"list validatingwebhookconfigurations":   rotator,
			"watch validatingwebhookconfigurations":  rotator,
			"update validatingwebhookconfigurations": rotator,
		},
		identity.RemediationRequest: {
			"update remediationrequests/status":     record("remediationrequest"),
			"update remediationrequests/finalizers": {"controllers/remediationrequest/decide_child.go", "metav1.NewControllerRef(d.request"},
			"list remediationrequests":              {"controllers/remediationrequest/gather.go", "r.Clients.Live.List(ctx, &list, client.InNamespace(request.Namespace), same)"},
			"delete remediationrequests":            {"controllers/remediationrequest/act_create.go", "r.Clients.Cached.Delete(ctx, request, preconditions"},
			"create remediationprocessings":         {"controllers/remediationrequest/act_create.go", "child, &remediationprocessingv1.RemediationProcessing{},"},
			"get remediationprocessings":            {"controllers/remediationrequest/gather.go", "clients.Live.Get(ctx, key, object)"},
			"create aianalyses":                     {"controllers/remediationrequest/act_create.go", "child, &aianalysisv1.AIAnalysis{},"},
			"get aianalyses":                        {"controllers/remediationrequest/gather.go", "clients.Live.Get(ctx, key, object)"},
			"create workflowexecutions":             {"controllers/remediationrequest/act_create.go", "child, &workflowexecutionv1.WorkflowExecution{},"},
			"get workflowexecutions":                {"controllers/remediationrequest/gather.go", "clients.Live.Get(ctx, key, object)"},
			"update workflowexecutions":             {"controllers/remediationrequest/act_create.go", "r.Clients.Cached.Update(ctx, workflow)"},
		},
		identity.RemediationProcessing: {
			"update remediationprocessings/status": record("remediationprocessing"),
			"get namespaces":                       {"controllers/remediationprocessing/gather.go", "&namespace); err"},
			"get pods":                             target,
			"get deployments":                      target,
			"get statefulsets":                     target,
			"get daemonsets":                       target,
			"get nodes":                            {"controllers/remediationprocessing/gather.go", "client.ObjectKey{Name: name}, &node)"},
			"get replicasets":                      owner,
			"get jobs":                             owner,
			"get cronjobs":                         owner,
			"list pods":                            {"controllers/remediationprocessing/gather.go", "corev1.PodList"},
			"list replicasets":                     {"controllers/remediationprocessing/gather.go", "appsv1.ReplicaSetList"},
			"list events":                          {"controllers/remediationprocessing/gather.go", "corev1.EventList"},
			"list horizontalpodautoscalers":        {"controllers/remediationprocessing/gather.go", "autoscalingv2.HorizontalPodAutoscalerList"},
			"list poddisruptionbudgets":            {"controllers/remediationprocessing/gather.go", "policyv1.PodDisruptionBudgetList"},
			"get aianalyses":                       {"controllers/remediationprocessing/history.go", "name, &analysis)"},
			"get workflowexecutions":               {"controllers/remediationprocessing/history.go", "name, &workflow)"},
		},
		identity.AIAnalysis: {"update aianalyses/status": record("aianalysis")},
		identity.WorkflowExecution: {
			"update workflowexecutions/status":     record("workflowexecution"),
			"update workflowexecutions/finalizers": {"controllers/workflowexecution/act_execute.go", "metav1.NewControllerRef(workflow"},
			"get workflowexecutions":               {"controllers/workflowexecution/act_lock.go", "&other)"},
			"patch workflowexecutions":             {"controllers/workflowexecution/act_stop.go", "r.Clients.Cached.Patch(ctx, workflow"},
			"delete workflowexecutions":            {"controllers/workflowexecution/act_execute.go", "r.Clients.Live.Delete(ctx, workflow, preconditions"},
			"create kubernetesexecutions":          {"controllers/workflowexecution/act_execute.go", "child, &kubernetesexecutionv1.KubernetesExecution{}, same)"},
			"get kubernetesexecutions":             {"controllers/workflowexecution/gather.go", "r.Clients.Live.Get(ctx, client.ObjectKey{Namespace: workflow.Namespace, Name: name}, &execution)"},
			"patch kubernetesexecutions":           {"controllers/workflowexecution/act_stop.go", "r.Clients.Live.Patch(ctx, execution"},
			"create approvalrequests":              {"controllers/workflowexecution/act_approve.go", "child, &safetyv1alpha1.ApprovalRequest{}, same)"},
			"get approvalrequests":                 {"controllers/workflowexecution/act_approve.go", "Name: name}, &request)"},
			"update approvalrequests/status":       record("approvalrequest"),
			"create subjectaccessreviews":          {"controllers/workflowexecution/gather_rights.go", "rights.Review(ctx, r.Clients.Live"},
			"create leases":                        {"controllers/workflowexecution/act_lock.go", "r.Clients.Live.Create(ctx, lease)"},
			"get leases":                           {"controllers/workflowexecution/act_lock.go", "client.ObjectKeyFromObject(lease), lease)"},
			"update leases":                        {"controllers/workflowexecution/act_lock.go", "r.Clients.Live.Update(ctx, lease)"},
			"list leases":                          {"controllers/workflowexecution/act_lock.go", "r.Clients.Live.List(ctx, &leases"},
			"delete leases":                        {"controllers/workflowexecution/watch_locks.go", "r.Clients.Live.Delete(ctx, lease"},
		},
		identity.KubernetesExecution: {
			"update kubernetesexecutions/status": record("kubernetesexecution"),
			"get kubernetesexecutions":           {"controllers/kubernetesexecution/gather.go", "r.Clients.Live.Get(ctx, key, live)"},
			"patch kubernetesexecutions":         {"controllers/kubernetesexecution/act_release.go", "r.Clients.Live.Patch(ctx, execution"},
			"get workflowexecutions":             {"controllers/kubernetesexecution/gather.go", "Name: ref.Name}, workflow)"},
			"get approvalrequests":               {"controllers/kubernetesexecution/gather_approval.go", "Name: name}, &request)"},
			"create serviceaccounts/token":       token,
		},
		identity.SafetyPolicy: {"update safetypolicies/status": record("safetypolicy")},
		identity.Playbook:     {"update playbooks/status": record("playbook")},
	}
}

// A verb that nothing uses is one that a stolen token has for nothing.
func TestEveryVerbIsUsed(t *testing.T) {
	cached := sets.New[string]()
	for _, row := range statusguard.Rows() {
		cached.Insert(row.Resource)
	}
	for _, need := range facts.Reads() {
		cached.Insert(need.Resources...)
	}
	all := uses()
	for account, rules := range readGrants(t) {
		if slices.Contains(actionAccounts(), account) {
			continue
		}
		granted := sets.New[string]()
		for _, rule := range rules {
			for _, resource := range rule.Resources {
				if account == identity.Manager && cached.Has(resource) && sets.New(rule.Verbs...).Equal(sets.New(read()...)) {
					continue
				}
				for _, verb := range rule.Verbs {
					granted.Insert(verb + " " + resource)
				}
			}
		}
		for grant := range granted {
			used, is := all[account][grant]
			if !is {
				t.Errorf("%s may %s, and this test does not know what for: say it, or take the verb away", account, grant)
				continue
			}
			if err := used.found(); err != nil {
				t.Errorf("%s may %s, which it does not use any more: %v", account, grant, err)
			}
		}
		for grant := range all[account] {
			if !granted.Has(grant) {
				t.Errorf("%s may not %s, which this test says it uses", account, grant)
			}
		}
	}
}

func (u use) found() error {
	source, err := os.ReadFile(filepath.Join("..", "..", u.file))
	if err != nil {
		return err
	}
	if !strings.Contains(string(source), u.words) {
		return fmt.Errorf("%s does not hold %q", u.file, u.words)
	}
	return nil
}

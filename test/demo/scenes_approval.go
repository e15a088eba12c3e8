package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"

	safetyv1alpha1 "kubernaut.io/kubernaut/api/safety/v1alpha1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/controllers/identity"
)

const (
	support       = "support"
	shopLead      = "shop-lead"
	hungWorkflow  = "end-hung-pod"
	approveReason = "its customers are served by the other pod"

	// quick is how long the scene's target must stay healthy; it is there to be looked at.
	quick = 2 * time.Second
)

// approval is what is known of the scene when it is over.
type approval struct {
	workflow *workflowexecutionv1.WorkflowExecution
	request  *safetyv1alpha1.ApprovalRequest
	// pod is the name of the pod that was to be ended; waited says that it was untouched until somebody approved, ended that it is gone.
	pod           string
	waited, ended bool
	deployment    *appsv1.Deployment
	// writes are those on the pod; auditError says why they are not known.
	writes     []write
	auditError error
}

// aPersonApproves has one person start what cannot be undone, and another one approve it.
func aPersonApproves(ctx context.Context, s *stage) []claim {
	s.heading("A pod of the catalog hangs. To end it cannot be undone, so a policy wants a person to look at it")
	starter, err := s.player(ctx, support, []rbacv1.PolicyRule{
		{APIGroups: []string{workflowexecutionv1.GroupVersion.Group}, Resources: []string{"workflowexecutions"}, Verbs: []string{"create"}},
		{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"get", "delete"}},
	})
	if err != nil {
		return []claim{failed(err)}
	}
	_, err = s.player(ctx, shopLead, []rbacv1.PolicyRule{{
		APIGroups: []string{safetyv1alpha1.GroupVersion.Group}, Resources: []string{"approvalrequests"}, Verbs: []string{"approve", "get", "list", "patch"},
	}})
	if err != nil {
		return []claim{failed(err)}
	}
	var pods corev1.PodList
	if err := s.admin.List(ctx, &pods, client.InNamespace(s.namespace), client.MatchingLabels{labelName: catalog}); err != nil || len(pods.Items) == 0 {
		return []claim{failed(errors.Join(err, fmt.Errorf("%d pods of %s", len(pods.Items), catalog)))}
	}
	watcher, err := s.watch(ctx, s.namespace, s.observe, append(kinds(), &safetyv1alpha1.ApprovalRequest{})...)
	if err != nil {
		return []claim{failed(err)}
	}
	found, err := s.askAndApprove(ctx, watcher, starter, &pods.Items[0])
	if err != nil {
		return []claim{failed(err, standing(watcher)...)}
	}
	return judgeApproval(found)
}

func (s *stage) askAndApprove(ctx context.Context, w *watcher, starter client.Client, pod *corev1.Pod) (approval, error) {
	found := approval{
		pod: pod.Name, workflow: &workflowexecutionv1.WorkflowExecution{}, request: &safetyv1alpha1.ApprovalRequest{}, deployment: &appsv1.Deployment{},
	}
	began, err := auditSize(s.auditLog)
	if err != nil {
		return found, fmt.Errorf("audit log: %w", err)
	}
	s.say(note{actor: actorDemo, text: fmt.Sprintf("%s, who may delete pods, starts a workflow that restarts %s", support, pod.Name)})
	if err := s.create(ctx, starter, restartOf(pod)); err != nil {
		return found, err
	}
	asked := func() string {
		workflow, ok := latest[*workflowexecutionv1.WorkflowExecution](w, hungWorkflow)
		if !ok {
			return ""
		}
		return workflow.Status.ApprovalRequestRef
	}
	err = w.until(ctx, "the workflow to ask for an approval", func() bool {
		request, ok := latest[*safetyv1alpha1.ApprovalRequest](w, asked())
		return ok && request.Status.Phase == safetyv1alpha1.PhasePending
	})
	if err != nil {
		return found, err
	}
	found.waited = s.isThere(ctx, pod)
	if err := s.approve(ctx, asked()); err != nil {
		return found, err
	}
	err = w.until(ctx, "the workflow to end", func() bool {
		workflow, ok := latest[*workflowexecutionv1.WorkflowExecution](w, hungWorkflow)
		return ok && workflow.Status.Phase.Terminal()
	})
	if err != nil {
		return found, err
	}
	found.ended = !s.isThere(ctx, pod)
	found.writes, found.auditError = readAudit(s.auditLog, began, concern{namespace: s.namespace, pod: pod.Name})
	return found, errors.Join(s.admin.Get(ctx, client.ObjectKey{Namespace: s.namespace, Name: hungWorkflow}, found.workflow),
		s.admin.Get(ctx, client.ObjectKey{Namespace: s.namespace, Name: asked()}, found.request),
		s.admin.Get(ctx, client.ObjectKey{Namespace: s.namespace, Name: catalog}, found.deployment))
}

func restartOf(pod *corev1.Pod) *workflowexecutionv1.WorkflowExecution {
	return &workflowexecutionv1.WorkflowExecution{
		ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: hungWorkflow},
		Spec: workflowexecutionv1.WorkflowExecutionSpec{
			StabilizationWindow: &metav1.Duration{Duration: quick},
			WorkflowDefinition: &shared.WorkflowDefinition{Name: hungWorkflow, Steps: []shared.Step{{Name: "restart", Action: shared.Action{
				Type: shared.ActionRestartPod, RestartPod: &shared.RestartPod{Namespace: pod.Namespace, Name: pod.Name},
			}}}},
		},
	}
}

// isThere says whether it is still that very pod, and nobody has ended it.
func (s *stage) isThere(ctx context.Context, pod *corev1.Pod) bool {
	var now corev1.Pod
	err := s.admin.Get(ctx, client.ObjectKeyFromObject(pod), &now)
	return err == nil && now.UID == pod.UID && now.DeletionTimestamp.IsZero() || err != nil && !apierrors.IsNotFound(err)
}

// approve does what a person does, with the command and the rights that a person has.
func (s *stage) approve(ctx context.Context, request string) error {
	folder, err := os.MkdirTemp("", "kubernaut-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	kubeconfig := filepath.Join(folder, "kubeconfig")
	token, err := s.token(ctx, s.namespace, shopLead)
	if err != nil {
		return err
	}
	if err := clientcmd.WriteToFile(kubeconfigOf(s.config, token), kubeconfig); err != nil {
		return fmt.Errorf("kubeconfig of %s: %w", shopLead, err)
	}
	arguments := []string{"approve", request, "--namespace", s.namespace, "--reason", approveReason}
	s.say(note{actor: actorDemo, tone: strong, text: fmt.Sprintf("%s: kubernaut approve %s --reason %q", shopLead, request, approveReason)})
	command := exec.CommandContext(ctx, s.kubernaut, append(arguments, "--kubeconfig", kubeconfig)...)
	output, err := command.CombinedOutput()
	text := strings.TrimSpace(string(output))
	if err != nil {
		return fmt.Errorf("%s approve: %w: %s", s.kubernaut, err, text)
	}
	s.say(note{actor: actorDemo, tone: faint, text: text})
	return nil
}

// kubeconfigOf is for one person at the cluster of another connection.
func kubeconfigOf(to *rest.Config, token string) clientcmdapi.Config {
	const name = "demo"
	of := clientcmdapi.NewConfig()
	of.Clusters[name] = &clientcmdapi.Cluster{Server: to.Host, CertificateAuthority: to.CAFile, CertificateAuthorityData: to.CAData, TLSServerName: to.ServerName}
	of.AuthInfos[name] = &clientcmdapi.AuthInfo{Token: token}
	of.Contexts[name] = &clientcmdapi.Context{Cluster: name, AuthInfo: name}
	of.CurrentContext = name
	return *of
}

func judgeApproval(a approval) []claim {
	waited := claim{holds: a.waited, text: fmt.Sprintf("pod %s was left alone until somebody approved", a.pod)}
	if !waited.holds {
		waited.text = fmt.Sprintf("pod %s was not left alone until somebody approved", a.pod)
	}
	approved := claim{text: fmt.Sprintf("%s is %s", a.request.Name, a.request.Status.Phase)}
	for _, decision := range a.request.Spec.Decisions {
		approved.text += fmt.Sprintf(", %s by %s", decision.Decision, shortUser(decision.By))
	}
	by := "system:serviceaccount:" + a.request.Namespace + ":" + shopLead
	approved.holds = a.request.Status.Phase == safetyv1alpha1.PhaseApproved && len(a.request.Spec.Decisions) == 1 && a.request.Spec.Decisions[0].By == by
	done := claim{
		holds: a.workflow.Status.Outcome == workflowexecutionv1.OutcomeSuccess && a.ended && rolledOut(a.deployment),
		text:  fmt.Sprintf("%s went on and ended %s; Deployment %s: %s", a.workflow.Name, a.workflow.Status.Outcome, a.deployment.Name, replicasText(a.deployment)),
	}
	if !done.holds && a.workflow.Status.FailureReason != "" {
		done.hints = []string{a.workflow.Status.FailureReason}
	}
	return []claim{waited, approved, done, judgeDeletion(a)}
}

// judgeDeletion wants the pod to have been deleted under the action's own account, and no other of Kubernaut's. The audit log does not
// tell the dry runs of a deletion from the deletion: they differ in the body. A pod ends only once.
func judgeDeletion(a approval) claim {
	account := identity.Username(identity.DefaultNamespace, identity.Action(shared.ActionRestartPod))
	if a.auditError != nil {
		return claim{text: "who ended the pod is not known: " + a.auditError.Error()}
	}
	byAccount, others := 0, []string{}
	for _, w := range a.writes {
		switch {
		case w.Verb != "delete" || w.Resource != "pods" || w.Object != a.pod || w.Code != 0:
		case w.User == account:
			byAccount++
		case strings.HasPrefix(w.User, identity.Username(identity.DefaultNamespace, "")):
			others = append(others, shortUser(w.User)+" deleted it too; only the action's account may")
		}
	}
	if byAccount > 0 && len(others) == 0 {
		return claim{holds: true, text: "of Kubernaut's accounts only " + shortUser(account) + " deleted it"}
	}
	return claim{text: fmt.Sprintf("%s deleted the pod: %t; it must, and no other of Kubernaut's accounts", shortUser(account), byAccount > 0), hints: others}
}

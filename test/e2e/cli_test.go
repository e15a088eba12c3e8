package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/gbytes"
	"github.com/onsi/gomega/gexec"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	remediationv1 "kubernaut.io/kubernaut/api/remediation/v1"
	safetyv1alpha1 "kubernaut.io/kubernaut/api/safety/v1alpha1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/test/builders"
	"kubernaut.io/kubernaut/test/guide"
)

// ran is what a command printed, and how it ended.
type ran struct {
	out, problems string
	code          int
}

// commandLine is a process with the kubeconfig of the cluster in its environment, and our binaries first on its path.
func commandLine(ctx context.Context, name string, arguments ...string) *exec.Cmd {
	bin, err := filepath.Abs(os.Getenv("KUBERNAUT_BIN"))
	Expect(err).NotTo(HaveOccurred())
	directory, err := filepath.Abs(clusterDir)
	Expect(err).NotTo(HaveOccurred())
	command := exec.CommandContext(ctx, filepath.Join(bin, name), arguments...)
	command.Env = []string{"KUBECONFIG=" + filepath.Join(directory, "kubeconfig"), "PATH=" + bin + ":" + os.Getenv("PATH"), "HOME=" + os.TempDir(), "LC_ALL=C", "TZ=UTC"}
	return command
}

func execute(command *exec.Cmd) ran {
	GinkgoHelper()
	var out, problems bytes.Buffer
	command.Stdout, command.Stderr = &out, &problems
	err := command.Run()
	ended, is := errors.AsType[*exec.ExitError](err)
	if is {
		return ran{out: out.String(), problems: problems.String(), code: ended.ExitCode()}
	}
	Expect(err).NotTo(HaveOccurred())
	return ran{out: out.String(), problems: problems.String()}
}

func kubernaut(ctx context.Context, arguments ...string) ran {
	GinkgoHelper()
	return execute(commandLine(ctx, "kubernaut", arguments...))
}

// refused checks that a command ended with one clear line and the exit code of what could not be done.
func refused(got ran, texts ...string) {
	GinkgoHelper()
	Expect(got.code).To(Equal(2), "%+v", got)
	Expect(strings.Count(got.problems, "\n")).To(Equal(1), got.problems)
	for _, text := range texts {
		Expect(got.problems).To(ContainSubstring(text))
	}
}

// settledOn makes a workflow that has made its change and watches it for an hour.
func settledOn(ctx context.Context, ns, name, deployment string, replicas int32) *workflowexecutionv1.WorkflowExecution {
	GinkgoHelper()
	b := builders.Workflow(ns, name, builders.Scale("scale", ns, deployment, replicas).Step)
	b.Spec.StabilizationWindow = &metav1.Duration{Duration: time.Hour}
	b.Spec.Timeouts = &workflowexecutionv1.WorkflowTimeouts{Monitoring: &metav1.Duration{Duration: 2 * time.Hour}}
	workflow := startWorkflow(ctx, b)
	awaitPhase(ctx, workflow, workflowexecutionv1.PhaseMonitoring)
	return workflow
}

var _ = Describe("The command line of the people on call", func() {
	It("shows a remediation, as a table, as a tree, as a story, and for programs", func(ctx SpecContext) {
		ns := namespace(ctx, map[string]string{shared.LabelEnvironment: "production"})
		_, target := stuck(ctx, ns)
		request := builders.Request(ns, "stuck", signal, target).RemediationRequest
		Expect(cluster.Create(ctx, request)).To(Succeed())

		By("watching it to its end")
		watched := kubernaut(ctx, "watch", "stuck", "-n", ns, "--timeout", remediationTimeout.String())
		Expect(watched.code).To(Equal(0), "%+v", watched)
		Expect(watched.out).To(And(ContainSubstring("cannot be pulled"), ContainSubstring("the safety gate says Allow"), ContainSubstring("completed: Remediated")))
		Expect(watched.out).NotTo(ContainSubstring("\x1b["), "there are colours where nobody looks")

		By("listing it")
		listed := kubernaut(ctx, "get", "-n", ns)
		Expect(listed.out).To(MatchRegexp(`(?m)^NAME +PHASE +OUTCOME +TARGET +STEPS +SINCE +WHY\nrr/stuck +completed +Remediated +Deployment \S+/cart +1/1 +\S+ +.*healthy`))
		Expect(strings.Count(listed.out, "\n")).To(Equal(2), "the workflow of the request has a line of its own:\n%s", listed.out)
		Expect(kubernaut(ctx, "get", "-A").out).To(MatchRegexp(`(?m)^NAMESPACE .*\n(.*\n)*` + ns + ` +rr/stuck `))
		Expect(kubernaut(ctx, "get", "--active", "-n", ns).out).To(BeEmpty())
		Expect(kubernaut(ctx, "get", "rr/stuck", "-n", ns, "-o", "wide").out).To(ContainSubstring("REQUESTED BY"))

		By("printing it for programs")
		Expect(kubernaut(ctx, "get", "-n", ns, "-o", "name").out).To(Equal("remediationrequest.remediation.kubernaut.io/stuck\n"))
		var printed remediationv1.RemediationRequest
		Expect(yaml.UnmarshalStrict([]byte(kubernaut(ctx, "get", "stuck", "-n", ns, "-o", "yaml").out), &printed)).To(Succeed())
		Expect(printed.Kind).To(Equal("RemediationRequest"))
		Expect(printed.UID).To(Equal(request.UID))
		Expect(strings.Fields(kubernaut(ctx, "tree", "stuck", "-n", ns, "-o", "name").out)).To(ConsistOf(HaveSuffix("/stuck"), HaveSuffix("/stuck-processing"),
			HaveSuffix("/stuck-analysis"), HaveSuffix("/stuck-workflow"), HaveSuffix("/stuck-workflow-s0-a1")))

		By("telling its story, with the decisions of the manager's log")
		tree := kubernaut(ctx, "tree", "rr/stuck", "-n", ns, "-o", "wide")
		Expect(tree.out).To(And(ContainSubstring("└─ wfe/stuck-workflow  completed  Success  gate: Allow"), ContainSubstring("rollback-deployment of Deployment "+ns+"/cart  completed")))
		log := filepath.Join(clusterDir, "logs", "manager.log")
		story := kubernaut(ctx, "logs", "stuck", "-n", ns, "--decision-log", log)
		Expect(story.code).To(Equal(0), "%+v", story)
		Expect(story.out).To(And(ContainSubstring("gate (plan) on step roll-back: Allow"), ContainSubstring("gate (step) on step roll-back: Allow")))
		id := strings.Fields(tree.out[strings.Index(tree.out, "decision ")+len("decision "):])[0]
		Expect(story.out).To(ContainSubstring("decision "+id), "the id in the status does not lead to the line of the log")
	})

	It("follows a story to its end, which comes from watches", func(ctx SpecContext) {
		ns := namespace(ctx, nil)
		rolledOut(ctx, builders.Deployment(ns, "cart", goodImage))
		workflow := startWorkflow(ctx, builders.Workflow(ns, "later", builders.Scale("up", ns, "cart", 2).Step).Suspended())
		follow, err := gexec.Start(commandLine(ctx, "kubernaut", "logs", "wfe/later", "-n", ns, "--follow"), GinkgoWriter, GinkgoWriter)
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(func() { follow.Kill().Wait(rolloutTimeout) })
		watch, err := gexec.Start(commandLine(ctx, "kubernaut", "watch", "wfe/later", "-n", ns), GinkgoWriter, GinkgoWriter)
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(func() { watch.Kill().Wait(rolloutTimeout) })
		Eventually(follow).WithTimeout(rolloutTimeout).Should(gbytes.Say("waits: spec.suspend is true"))
		Eventually(watch).WithTimeout(rolloutTimeout).Should(gbytes.Say("waits: spec.suspend is true"))

		Expect(kubernaut(ctx, "resume", "later", "-n", ns).out).To(Equal("wfe/later goes on\n"))
		Eventually(follow).WithTimeout(workflowTimeout).Should(gexec.Exit(0))
		Eventually(watch).WithTimeout(workflowTimeout).Should(gexec.Exit(0))
		Expect(string(follow.Out.Contents())).To(ContainSubstring("completed: Success"))
		awaitWorkflowEnd(ctx, workflow)
	})

	It("suspends and resumes, cancels mildly and hard, and says what is over", func(ctx SpecContext) {
		ns := namespace(ctx, nil)
		b := builders.Deployment(ns, "cart", goodImage)
		rolledOut(ctx, b)
		policy := holdOn(ctx, ns)
		workflow := startWorkflow(ctx, builders.Workflow(ns, "held", builders.Scale("up", ns, "cart", 2).Step))
		awaitHold(ctx, workflow)
		Expect(kubernaut(ctx, "resume", "held", "-n", ns).out).To(ContainSubstring("it waits for something else: the safety gate holds step"))
		Expect(kubernaut(ctx, "suspend", "held", "-n", ns).out).To(ContainSubstring("until kubernaut resume wfe/held"))
		Expect(kubernaut(ctx, "suspend", "held", "-n", ns).out).To(ContainSubstring("is suspended already"))
		Expect(kubernaut(ctx, "get", "-n", ns, "--active").out).To(ContainSubstring("validating (waits)"))
		gaveUp := kubernaut(ctx, "watch", "held", "-n", ns, "--timeout", "1s")
		Expect(gaveUp.code).To(Equal(3), "%+v", gaveUp)
		Expect(kubernaut(ctx, "cancel", "held", "-n", ns).out).To(ContainSubstring("the steps that run finish"))
		awaitWorkflowEnd(ctx, workflow)
		Expect(workflow.Status.Outcome).To(Equal(workflowexecutionv1.OutcomeCancelled))
		refused(kubernaut(ctx, "cancel", "held", "-n", ns), "wfe/held is over (failed: Cancelled)")
		refused(kubernaut(ctx, "suspend", "held", "-n", ns), "nothing to suspend")
		Expect(cluster.Delete(ctx, policy)).To(Succeed())

		settled := settledOn(ctx, ns, "settled", "cart", 2)
		refused(kubernaut(ctx, "rollback", "settled", "-n", ns), "kubernaut cancel wfe/settled --mode AbortAndRollBack")
		Expect(kubernaut(ctx, "cancel", "wfe/settled", "-n", ns, "--mode", "AbortAndRollBack").code).To(Equal(0))
		ended := kubernaut(ctx, "watch", "settled", "-n", ns)
		Expect(ended.code).To(Equal(1), "%+v", ended)
		Expect(ended.problems).To(Equal("Error: wfe/settled failed: RolledBack\n"))
		Expect(cluster.Get(ctx, client.ObjectKeyFromObject(settled), settled)).To(Succeed())
		Expect(settled.Spec.Cancel).To(Equal(workflowexecutionv1.CancelAbortAndRollBack))
	})

	It("has a finished workflow undone by another one", func(ctx SpecContext) {
		ns := namespace(ctx, nil)
		b := builders.Deployment(ns, "cart", goodImage)
		rolledOut(ctx, b)
		runWorkflow(ctx, builders.Workflow(ns, "up", builders.Scale("scale", ns, "cart", 3).Step))
		Expect(kubernaut(ctx, "rollback", "up", "-n", ns, "--dry-run").out).To(ContainSubstring("wfe/up-undo-dry-run tries"))
		tried := kubernaut(ctx, "watch", "up-undo-dry-run", "-n", ns)
		Expect(tried.code).To(Equal(0), "%+v", tried)
		Expect(tried.out).To(ContainSubstring("/spec/replicas: 3 → 1"))
		Expect(kubernaut(ctx, "rollback", "up", "-n", ns).out).To(Equal("wfe/up-undo undoes what wfe/up changed; kubernaut watch wfe/up-undo shows how\n"))
		undone := kubernaut(ctx, "watch", "wfe/up-undo", "-n", ns)
		Expect(undone.code).To(Equal(0), "%+v", undone)
		Expect(undone.out).To(And(ContainSubstring("undoes what wfe/up changed"), ContainSubstring("undoes scale-deployment of Deployment "+ns+"/cart")))
		awaitAvailable(ctx, b.Deployment)
		Expect(*b.Spec.Replicas).To(Equal(int32(1)))
		Expect(kubernaut(ctx, "tree", "up", "-n", ns).out).To(ContainSubstring("undone by wfe/up-undo  completed  Success"))
		refused(kubernaut(ctx, "rollback", "up", "-n", ns), "wfe/up was undone before")
	})

	It("cancels a request, whose workflow undoes what it did", func(ctx SpecContext) {
		const alert = "E2ECommandCancel"
		install(ctx, scaleUp("e2e-command-cancel", alert))
		ns := namespace(ctx, nil)
		b := builders.Deployment(ns, "cart", goodImage)
		rolledOut(ctx, b)
		request := builders.Request(ns, "stop", alert, b.Target()).RemediationRequest
		Expect(cluster.Create(ctx, request)).To(Succeed())
		awaitPhase(ctx, awaitWorkflowOf(ctx, request), workflowexecutionv1.PhaseMonitoring)
		refused(kubernaut(ctx, "cancel", "stop", "-n", ns, "--mode", "Abort"), "--mode", "AbortAndRollBack")
		Expect(kubernaut(ctx, "cancel", "stop", "-n", ns).out).To(ContainSubstring("what it did is undone"))
		ended := kubernaut(ctx, "watch", "stop", "-n", ns, "--timeout", remediationTimeout.String())
		Expect(ended.code).To(Equal(1), "%+v", ended)
		Expect(cluster.Get(ctx, client.ObjectKeyFromObject(request), request)).To(Succeed())
		expectStopped(ctx, request, b)
	})

	It("completes names, as itself and as a plugin of kubectl", func(ctx SpecContext) {
		ns := namespace(ctx, nil)
		startWorkflow(ctx, builders.Workflow(ns, "later", builders.Notify("tell", "x").Step).Suspended())
		done := runWorkflow(ctx, builders.Workflow(ns, "done", builders.Notify("tell", "x").Step))
		Expect(done.Status.Phase).To(Equal(workflowexecutionv1.PhaseCompleted))
		completion := func(command *exec.Cmd) []string {
			var names []string
			for line := range strings.Lines(execute(command).out) {
				name, _, _ := strings.Cut(strings.TrimSpace(line), "\t")
				names = append(names, name)
			}
			return names
		}
		Expect(completion(commandLine(ctx, "kubernaut", "__complete", "tree", "-n", ns, ""))).To(ContainElements("later", "done"))
		Expect(completion(commandLine(ctx, "kubernaut", "__complete", "cancel", "-n", ns, ""))).To(And(ContainElement("later"), Not(ContainElement("done"))))
		Expect(completion(commandLine(ctx, "kubernaut", "__complete", "resume", "-n", ns, "wfe/l"))).To(ContainElement("wfe/later"))
		Expect(completion(commandLine(ctx, "kubernaut", "__complete", "get", "-n", ns[:len(ns)-1]))).To(ContainElement(ns))
		Expect(completion(commandLine(ctx, "kubectl", "__complete", "kubernaut", "tree", "-n", ns, ""))).To(ContainElements("later", "done"))
		Expect(execute(commandLine(ctx, "kubernaut", "completion", "bash")).out).To(ContainSubstring("__start_kubernaut"))

		plugin := execute(commandLine(ctx, "kubectl", "kubernaut", "get", "-n", ns))
		Expect(plugin.code).To(Equal(0), "%+v", plugin)
		Expect(plugin.out).To(And(ContainSubstring("wfe/later"), ContainSubstring("wfe/done")))
		Expect(execute(commandLine(ctx, "kubectl", "kubernaut", "watch", "--help")).out).To(ContainSubstring("kubectl kubernaut watch NAME"))
		ended := execute(commandLine(ctx, "kubectl", "kubernaut", "watch", "done", "-n", ns))
		Expect(ended.code).To(Equal(0), "%+v", ended)
	})

	It("answers what is wrong in one line that says the way out", func(ctx SpecContext) {
		ns := namespace(ctx, nil)
		startWorkflow(ctx, builders.Workflow(ns, "scale-cart", builders.Notify("tell", "x").Step).Suspended())
		refused(kubernaut(ctx, "tree", "scale-crat", "-n", ns), "did you mean scale-cart?")
		refused(kubernaut(ctx, "tree", "scale-cart", "-n", "kube-public"), "add -n "+ns)
		refused(kubernaut(ctx, "tree", "rr/scale-cart", "-n", ns), "there is no RemediationRequest scale-cart")
		refused(kubernaut(ctx, "tree", "pod/scale-cart", "-n", ns), "rr/NAME")
		refused(kubernaut(ctx, "get", "-o", "xml"), "wide, json, yaml, name")
		refused(kubernaut(ctx, "logs", "scale-cart", "-n", ns, "--decision-log", "missing.jsonl"), "missing.jsonl")
		refused(kubernaut(ctx, "get", "--server", "https://127.0.0.1:1"), "does not answer")
		refused(kubernaut(ctx, "get", "--context", "none"), "has no context")

		By("being someone who may do nothing, and someone who may only look")
		refused(kubernaut(ctx, "get", "-n", ns, "--as", "eve"), `User "eve" cannot list`, "kubectl auth can-i")
		refused(kubernaut(ctx, "watch", "scale-cart", "-n", ns, "--as", "eve"), `User "eve" cannot get`)
		mayLook(ctx, ns, "ann")
		Expect(kubernaut(ctx, "tree", "scale-cart", "-n", ns, "--as", "ann").out).To(And(ContainSubstring("wfe/scale-cart"), ContainSubstring("events are left out")))
		refused(kubernaut(ctx, "cancel", "scale-cart", "-n", ns, "--as", "ann"), `User "ann" cannot patch`)
	})

	It("does what docs/oncall.md says, and prints what it shows", Serial, func(ctx SpecContext) {
		page := filepath.Join("..", "..", "docs", "oncall.md")
		text, err := os.ReadFile(page)
		Expect(err).NotTo(HaveOccurred())
		anew := strings.Split(string(text), "\n")
		folder := GinkgoT().TempDir()
		scenes := map[string]func(context.Context, string){"night": night}
		commands, shown, differences := 0, "", ""
		for _, block := range guide.Read(string(text)) {
			if block.Scene != "" {
				Expect(scenes).To(HaveKey(block.Scene))
				scenes[block.Scene](ctx, folder)
			}
			switch block.Language {
			case "sh":
				shell := commandLine(ctx, "kubernaut")
				shell.Path, shell.Args, shell.Dir = "/bin/bash", []string{"bash", "-euo", "pipefail", "-c", block.Text}, folder
				got := execute(shell)
				Expect(got.code).To(Equal(block.Exit), "docs/oncall.md:%d: %+v", block.Line, got)
				commands, shown = commands+1, got.out+got.problems
			case "text":
				if difference := differs(block, shown); difference != "" {
					differences += fmt.Sprintf("docs/oncall.md:%d (-page +cluster):\n%s", block.Line, difference)
				}
				last := block.Line + strings.Count(block.Text, "\n")
				anew[block.Line-1] = "```text\n" + strings.TrimSuffix(shown, "\n")
				for i := block.Line; i < last; i++ {
					anew[i] = taken
				}
			case "console":
				// What needs a cluster of another kind: it is not run.
			default:
				Fail("docs/oncall.md: a block of " + block.Language + " is not checked")
			}
		}
		if os.Getenv("KUBERNAUT_UPDATE_PAGES") != "" {
			anew = slices.DeleteFunc(anew, func(line string) bool { return line == taken })
			Expect(os.WriteFile(page, []byte(strings.Join(anew, "\n")), 0o600)).To(Succeed())
			return
		}
		Expect(differences).To(BeEmpty(), "KUBERNAUT_UPDATE_PAGES=1 writes the page anew")
		Expect(commands).To(BeNumerically(">", 8))
	})
})

// taken stands for a line of a page that another one takes the place of.
const taken = "\x00"

// differs compares what a page shows with what was printed, but for what is another in every run.
func differs(block guide.Block, printed string) string {
	page, cluster := strings.Split(guide.Steady(block.Text), "\n"), strings.Split(guide.Steady(printed), "\n")
	if block.AnyOrder {
		slices.Sort(page)
		slices.Sort(cluster)
	}
	return cmp.Diff(page, cluster)
}

// mayLook lets a user see Kubernaut's kinds in a namespace, and nothing else.
func mayLook(ctx context.Context, ns, user string) {
	GinkgoHelper()
	role := &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "look"}, Rules: []rbacv1.PolicyRule{{
		APIGroups: []string{
			"remediation.kubernaut.io", "remediationprocessing.kubernaut.io", "aianalysis.kubernaut.io", "workflowexecution.kubernaut.io",
			"kubernetesexecution.kubernaut.io", "safety.kubernaut.io",
		}, Resources: []string{"*"}, Verbs: []string{"get", "list", "watch"},
	}}}
	Expect(cluster.Create(ctx, role)).To(Succeed())
	Expect(cluster.Create(ctx, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "look"}, Subjects: []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: user}},
		RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role.Name},
	})).To(Succeed())
}

// awaitWorkflowOf waits for the first workflow of a request.
func awaitWorkflowOf(ctx context.Context, request *remediationv1.RemediationRequest) *workflowexecutionv1.WorkflowExecution {
	GinkgoHelper()
	workflow := &workflowexecutionv1.WorkflowExecution{ObjectMeta: metav1.ObjectMeta{Namespace: request.Namespace, Name: shared.WorkflowName(request.Name, 0)}}
	Eventually(func() error { return cluster.Get(ctx, client.ObjectKeyFromObject(workflow), workflow) }).WithTimeout(workflowTimeout).WithPolling(poll).Should(Succeed())
	return workflow
}

// night is what the page for people on call looks at: in a namespace shop, one remediation that succeeded, one that a person must go
// on with, one workflow that a policy holds, and one that watches what it changed.
func night(ctx context.Context, folder string) {
	GinkgoHelper()
	const ns = "shop"
	Expect(cluster.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns, Labels: map[string]string{shared.LabelEnvironment: "production"}}})).To(Succeed())
	DeferCleanup(func(ctx context.Context) {
		checkInvariants(ctx, ns)
		Expect(cluster.Delete(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns}})).To(Succeed())
	})
	for _, name := range []string{"cart", "basket", "search"} {
		rolledOut(ctx, builders.Deployment(ns, name, "registry.example.com/shop/"+name+":1.4.2").Replicas(2))
	}
	cart := builders.Deployment(ns, "cart", "")
	breakRolloutOf(ctx, cart, "registry.example.com/shop/cart:1.5.0-missing")
	request := builders.Request(ns, "cart-stuck", signal, cart.Target()).RemediationRequest
	request.Spec.SignalContext.Source = "prometheus"
	Expect(cluster.Create(ctx, request)).To(Succeed())

	checkout := builders.Deployment(ns, "checkout", "registry.example.com/shop/checkout:2.0.0-missing")
	Expect(cluster.Create(ctx, checkout.Deployment)).To(Succeed())
	breakRolloutOf(ctx, checkout, "registry.example.com/shop/checkout:2.1.0-missing")
	hopeless := builders.Request(ns, "checkout-stuck", signal, checkout.Target()).RemediationRequest
	hopeless.Spec.SignalContext.Source = "prometheus"
	Expect(cluster.Create(ctx, hopeless)).To(Succeed())
	awaitEnd(ctx, request)
	awaitEnd(ctx, hopeless)

	settledOn(ctx, ns, "scale-search", "search", 4)
	holdBasket(ctx)
	held := startWorkflow(ctx, builders.Workflow(ns, "scale-basket",
		builders.Scale("more-pods", ns, "basket", 4).Step, builders.Notify("tell", "basket has more pods").After("more-pods").Step))
	awaitHold(ctx, held)

	log, err := os.ReadFile(filepath.Join(clusterDir, "logs", "manager.log"))
	Expect(err).NotTo(HaveOccurred())
	Expect(os.WriteFile(filepath.Join(folder, "decisions.jsonl"), log, 0o600)).To(Succeed()) //nolint:gosec // a folder of the test's own
}

func breakRolloutOf(ctx context.Context, b builders.DeploymentBuilder, image string) {
	GinkgoHelper()
	Expect(cluster.Get(ctx, client.ObjectKeyFromObject(b.Deployment), b.Deployment)).To(Succeed())
	breakRollout(ctx, b.Deployment, image)
}

// holdBasket is an incident: nothing is done to the basket until it is over.
func holdBasket(ctx context.Context) {
	GinkgoHelper()
	policy := &safetyv1alpha1.SafetyPolicy{ObjectMeta: metav1.ObjectMeta{Name: "incident-4711"}}
	policy.Spec.Source.Rego = `package kubernaut.safety.incident_4711

hold contains {"code": "incident", "msg": "INC-4711: the basket is left alone until it is over"} if not is_other

is_other if {
	name := input.target.name
	name != "basket"
}

is_other if {
	action := input.step.action.type
	action == "notify-only"
}
`
	policy.Spec.Match = &safetyv1alpha1.PolicyMatch{NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: "shop"}}}
	Expect(cluster.Create(ctx, policy)).To(Succeed())
	DeferCleanup(func(ctx context.Context) { Expect(client.IgnoreNotFound(cluster.Delete(ctx, policy))).To(Succeed()) })
	awaitActive(ctx, policy)
}

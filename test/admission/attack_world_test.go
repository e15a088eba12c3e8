package admission

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"kubernaut.io/kubernaut/api/shared"
	"kubernaut.io/kubernaut/controllers/identity"
	"kubernaut.io/kubernaut/test/cluster"
	"kubernaut.io/kubernaut/webhooks/statusguard"
)

// setup is what stands between an attack and its effect.
type setup string

const (
	// bothGuards is the installation as it is.
	bothGuards setup = "both"
	// onlyWebhook lacks the policies of the guard.
	onlyWebhook setup = "webhook"
	// onlyPolicy lacks the webhook configurations.
	onlyPolicy setup = "policy"
)

func allSetups() []setup { return []setup{bothGuards, onlyWebhook, onlyPolicy} }

// passes is the answer to what is no attack.
const passes = "passes"

// attack is one row of the table.
type attack struct {
	group, name, by, request string
	do                       func(context.Context, *world) error
	// want is a part of the refusal, or passes; wantIn says otherwise for one set-up.
	want   string
	wantIn map[setup]string
	// in are the set-ups in which the row holds; nil for all.
	in []setup
	// rule is the only rule of the guard that the request breaks.
	rule string
}

func (a attack) wanted(in setup) (string, bool) {
	if a.in != nil && !slices.Contains(a.in, in) {
		return "", false
	}
	if want, otherwise := a.wantIn[in]; otherwise {
		return want, true
	}
	return a.want, true
}

// judge says what is wrong with an answer; empty if it is the one wanted.
func judge(want string, err error) string {
	switch {
	case want == passes && err != nil:
		return "it is refused: " + err.Error()
	case want == passes:
		return ""
	case err == nil:
		return "it passes"
	case !strings.Contains(err.Error(), want):
		return "it is refused in other words: " + err.Error()
	default:
		return ""
	}
}

const (
	everyRight = "mallory, who has every right by RBAC"
	masters    = "a member of system:masters"
	heidi      = "heidi, with rights in her namespace only"
)

// elsewhere is a namespace with accounts of the same names.
const elsewhere = "elsewhere"

// world is everyone who attacks.
type world struct {
	configs map[string]*rest.Config
	users   map[string]shared.Requester
	clients map[string]dynamic.Interface
	// dryRun keeps what passes from having an effect.
	dryRun bool
}

func impersonating(account string) string    { return "impersonating " + account }
func certificateFor(account string) string   { return "a certificate for " + account }
func accountElsewhere(account string) string { return account + " of another namespace" }
func lookAlike(account string) string        { return "the look-alike of " + account }
func longerName(account string) string       { return account + " with a tail" }

// strangers are who is not an account, and has a name like it.
func strangers(account string) []string {
	return []string{impersonating(account), certificateFor(account), accountElsewhere(account), lookAlike(account), longerName(account)}
}

func newWorld(ctx context.Context) *world {
	GinkgoHelper()
	w := &world{configs: map[string]*rest.Config{}, users: map[string]shared.Requester{}, clients: map[string]dynamic.Interface{}}
	grantAttackers(ctx)
	Expect(admin.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: elsewhere}})).To(Succeed())
	w.add(ctx, masters, adminConfig)
	w.add(ctx, "alice", aliceConfig)
	w.add(ctx, everyRight, certified("mallory", attackers))
	person(ctx, "heidi", "get", "patch", "remediate")
	w.add(ctx, heidi, certified("heidi"))
	w.addApprovers(ctx)
	for _, account := range append(identity.Controllers(), identity.Manager) {
		w.add(ctx, account, tokened(operatorNamespace, account))
	}
	for _, account := range identity.Controllers() {
		username := identity.Username(operatorNamespace, account)
		Expect(admin.Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: account, Namespace: elsewhere}})).To(Succeed())
		w.add(ctx, impersonating(account), cluster.Impersonated(adminConfig, operatorNamespace, account))
		w.add(ctx, certificateFor(account), certified(username, attackers))
		w.add(ctx, accountElsewhere(account), tokened(elsewhere, account))
		w.add(ctx, lookAlike(account), certified(strings.Replace(username, "e", "\u0435", 1), attackers))
		w.add(ctx, longerName(account), certified(username+" ", attackers))
	}
	return w
}

func tokened(namespace, account string) *rest.Config {
	GinkgoHelper()
	config, err := cluster.TokenConfig(adminConfig, namespace, account)
	Expect(err).NotTo(HaveOccurred())
	return config
}

func certified(name string, groups ...string) *rest.Config {
	GinkgoHelper()
	user, err := controlPlane.AddUser(envtest.User{Name: name, Groups: groups}, adminConfig)
	Expect(err).NotTo(HaveOccurred())
	return user.Config()
}

// attackers is a group whose members have, as far as RBAC goes, every right on our kinds: what remains is what admission says.
const attackers = "attackers"

func grantAttackers(ctx context.Context) {
	GinkgoHelper()
	role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: attackers}}
	for _, row := range statusguard.Rows() {
		role.Rules = append(role.Rules, rbacv1.PolicyRule{APIGroups: []string{row.Group}, Resources: []string{"*"}, Verbs: []string{"*"}})
	}
	Expect(admin.Create(ctx, role)).To(Succeed())
	subjects := []rbacv1.Subject{{Kind: rbacv1.GroupKind, APIGroup: rbacv1.GroupName, Name: attackers}}
	for _, account := range append(identity.Controllers(), identity.Manager) {
		subjects = append(subjects,
			rbacv1.Subject{Kind: rbacv1.ServiceAccountKind, Namespace: operatorNamespace, Name: account},
			rbacv1.Subject{Kind: rbacv1.ServiceAccountKind, Namespace: elsewhere, Name: account})
	}
	bind(ctx, role.Name, subjects...)
	// What mallory asks for is not to fail for want of rights on the target.
	Expect(admin.Create(ctx, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "attackers-on-call"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "test-on-call"},
		Subjects:   subjects,
	})).To(Succeed())
}

func (w *world) add(ctx context.Context, name string, config *rest.Config) {
	GinkgoHelper()
	config = rest.CopyConfig(config)
	config.QPS = -1
	// Refusals are what the rows look for: warnings would only fill the log.
	config.WarningHandler = rest.NoWarnings{}
	c, err := dynamic.NewForConfig(config)
	Expect(err).NotTo(HaveOccurred())
	w.configs[name], w.clients[name], w.users[name] = config, c, requesterOf(ctx, clientOf(config))
}

func (w *world) dry() []string {
	if w.dryRun {
		return []string{metav1.DryRunAll}
	}
	return nil
}

func (w *world) resource(by string, row statusguard.Row, namespace string) dynamic.ResourceInterface {
	resource := w.clients[by].Resource(schema.GroupVersionResource{Group: row.Group, Version: row.Version, Resource: row.Resource})
	if row.Resource == "safetypolicies" || row.Resource == "playbooks" {
		return resource
	}
	return resource.Namespace(namespace)
}

func (w *world) create(ctx context.Context, by string, object *unstructured.Unstructured) error {
	_, err := w.resource(by, rowOf(object.GetKind()), object.GetNamespace()).Create(ctx, object, metav1.CreateOptions{DryRun: w.dry()})
	return err
}

func (w *world) patch(ctx context.Context, by, kind string, how types.PatchType, body string, subresources ...string) error {
	options := metav1.PatchOptions{FieldManager: "attack", DryRun: w.dry()}
	if how == types.ApplyPatchType {
		options.Force = new(true)
	}
	_, err := w.resource(by, rowOf(kind), workNamespace).Patch(ctx, fixture, how, []byte(body), options, subresources...)
	return err
}

func rowOf(kind string) statusguard.Row {
	rows := statusguard.Rows()
	i := slices.IndexFunc(rows, func(r statusguard.Row) bool { return r.Kind == kind })
	if i < 0 {
		panic("no kind " + kind)
	}
	return rows[i]
}

// stamped is an object that says truthfully who asks, as the mutating webhook would write it: it may pass where that is missing.
func (w *world) stamped(by string, object client.Object) *unstructured.Unstructured {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
	if err != nil {
		panic(err)
	}
	u := &unstructured.Unstructured{Object: content}
	unstructured.RemoveNestedField(u.Object, "status")
	kinds, _, err := scheme.ObjectKinds(object)
	if err != nil {
		panic(err)
	}
	u.SetGroupVersionKind(kinds[0])
	if !rowOf(u.GetKind()).Requested {
		return u
	}
	annotations := u.GetAnnotations()
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[shared.AnnotationRequestedBy] = w.users[by].Username
	u.SetAnnotations(annotations)
	if _, given, _ := unstructured.NestedString(u.Object, "spec", "requestedBy", "username"); !given {
		w.setRequester(u, w.users[by])
	}
	return u
}

func (*world) setRequester(u *unstructured.Unstructured, who shared.Requester) {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&who)
	if err != nil {
		panic(err)
	}
	if err := unstructured.SetNestedMap(u.Object, content, "spec", "requestedBy"); err != nil {
		panic(err)
	}
}

// results are the answers to all rows.
type results struct {
	rows    []attack
	answers map[setup]map[int]string // what is wrong, or ok
}

const ok = "ok"

// run tries every row that holds in a set-up, and gives the sentences about those that do not.
func (r *results) run(ctx context.Context, w *world, in setup) (failures []string) {
	answers := r.answers[in]
	if answers == nil {
		answers = map[int]string{}
	}
	for i, row := range r.rows {
		want, holds := row.wanted(in)
		if !holds || answers[i] != "" {
			continue
		}
		answers[i] = ok
		if problem := judge(want, row.do(ctx, w)); problem != "" {
			answers[i] = "FAILS"
			failures = append(failures, fmt.Sprintf("%s: %s, by %s (%s): want %q, but %s", row.group, row.name, row.by, row.request, want, problem))
		}
	}
	r.answers[in] = answers
	return failures
}

// add records a row that was tried elsewhere.
func (r *results) add(row attack, in setup, answer string) {
	if r.answers[in] == nil {
		r.answers[in] = map[int]string{}
	}
	r.answers[in][len(r.rows)] = answer
	r.rows = append(r.rows, row)
}

// write prints the table.
func (r *results) write(out io.Writer) error {
	const longest = 110
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	columns := make([]string, 0, len(allSetups()))
	for _, in := range allSetups() {
		columns = append(columns, strings.ToUpper(string(in)))
	}
	fmt.Fprintf(table, "GROUP\tATTACK\tBY\tREQUEST\t%s\tEXPECTED ANSWER\n", strings.Join(columns, "\t"))
	for i, row := range r.rows {
		cells := make([]string, 0, len(columns))
		for _, in := range allSetups() {
			cell := "-"
			if answer, has := r.answers[in][i]; has {
				cell = answer
			}
			cells = append(cells, cell)
		}
		answer := row.want
		if row.want != passes && !strings.HasPrefix(row.want, "no effect") {
			answer = "refused: " + row.want
		}
		if runes := []rune(answer); len(runes) > longest {
			answer = string(runes[:longest]) + "…"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", row.group, row.name, row.by, row.request, strings.Join(cells, "\t"), answer)
	}
	groups := map[string]int{}
	for _, row := range r.rows {
		groups[row.group]++
	}
	fmt.Fprintf(table, "\n%d rows:", len(r.rows))
	for _, group := range slices.Sorted(maps.Keys(groups)) {
		fmt.Fprintf(table, " %s %d;", group, groups[group])
	}
	fmt.Fprintln(table, " - is a set-up in which the row does not hold, because only the other guard can see it.")
	return table.Flush()
}

// tableFile is where the table goes; make test-admission sets it and prints it.
const tableFile = "KUBERNAUT_ATTACK_TABLE"

func (r *results) publish() {
	GinkgoHelper()
	Expect(r.write(GinkgoWriter)).To(Succeed())
	path := os.Getenv(tableFile)
	if path == "" {
		return
	}
	file, err := os.Create(path) //nolint:gosec // the path that whoever runs the test asks for
	Expect(err).NotTo(HaveOccurred())
	Expect(r.write(file)).To(Succeed())
	Expect(file.Close()).To(Succeed())
}

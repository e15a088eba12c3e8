package main

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	rbacv1 "k8s.io/api/rbac/v1"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"

	"kubernaut.io/kubernaut/controllers"
	"kubernaut.io/kubernaut/policies/gate"
	"kubernaut.io/kubernaut/webhooks"
	"kubernaut.io/kubernaut/webhooks/certs"
)

const referenceHeader = "<!-- Written by `make generate` from the Go code: change it there. -->\n\n"

// referencePages are the pages of docs/reference, by file name: what of the installation can be read from the code alone.
func referencePages(root string) (map[string][]byte, error) {
	metrics, err := metricsPage(slices.Concat(controllers.Collectors(), gate.Collectors(), webhooks.Collectors(), certs.Collectors()))
	if err != nil {
		return nil, err
	}
	events, err := eventsPage(root)
	if err != nil {
		return nil, err
	}
	rights, err := rightsPage(root)
	if err != nil {
		return nil, err
	}
	return map[string][]byte{"metrics.md": metrics, "events.md": events, "rights.md": rights}, nil
}

// description takes apart what a metric says of itself; it has no other form.
var description = regexp.MustCompile(`^Desc\{fqName: ("(?:[^"\\]|\\.)*"), help: ("(?:[^"\\]|\\.)*"), (?:unit: "[^"]*", )?constLabels: \{.*\}, variableLabels: \{(.*)\}\}$`)

func metricsPage(collectors []prometheus.Collector) ([]byte, error) {
	rows := map[string]string{}
	for _, collector := range collectors {
		described := make(chan *prometheus.Desc, 16)
		collector.Describe(described)
		close(described)
		for desc := range described {
			parts := description.FindStringSubmatch(desc.String())
			if parts == nil {
				return nil, fmt.Errorf("the metric %s cannot be described", desc)
			}
			name, err := strconv.Unquote(parts[1])
			if err != nil {
				return nil, err
			}
			help, err := strconv.Unquote(parts[2])
			if err != nil {
				return nil, err
			}
			var labels []string
			for label := range strings.SplitSeq(parts[3], ",") {
				if label != "" {
					labels = append(labels, "`"+label+"`")
				}
			}
			rows[name] = fmt.Sprintf("| %#q | %s | %s | %s |\n", name, typeOf(collector), strings.Join(labels, ", "), cell(help))
		}
	}
	var page bytes.Buffer
	page.WriteString(referenceHeader + "# Metrics\n\nServed on `--metrics-bind-address` to who may `get` the path `/metrics`, beside those of controller-runtime.\n\n" +
		"| metric | type | labels | is |\n|---|---|---|---|\n")
	for _, name := range slices.Sorted(maps.Keys(rows)) {
		page.WriteString(rows[name])
	}
	return page.Bytes(), nil
}

func typeOf(collector prometheus.Collector) string {
	switch collector.(type) {
	case *prometheus.CounterVec, prometheus.Counter:
		if _, is := collector.(prometheus.Gauge); is {
			return "gauge"
		}
		return "counter"
	case *prometheus.GaugeVec:
		return "gauge"
	case *prometheus.HistogramVec, prometheus.Histogram:
		return "histogram"
	default:
		return "metric"
	}
}

// cell is a text that stands in one cell of a table.
func cell(text string) string {
	return strings.ReplaceAll(strings.Join(strings.Fields(text), " "), "|", `\|`)
}

// eventSource is a package that sends events, and the constants that are their reasons.
type eventSource struct {
	pkg, prefix string
}

// eventSources are the packages that record events. Three tell why an object is Ready or not: the reasons of that condition are
// those of their events.
func eventSources() []eventSource {
	return []eventSource{
		{"controllers/remediationrequest", "Event"},
		{"controllers/remediationprocessing", "Event"},
		{"controllers/aianalysis", "Event"},
		{"controllers/workflowexecution", "Event"},
		{"controllers/notification", "Event"},
		{"controllers/kubernetesexecution", "Reason"},
		{"controllers/approvalrequest", "Reason"},
		{"controllers/safetypolicy", "Reason"},
		{"controllers/playbook", "Reason"},
		{"webhooks/statusguard", "Reason"},
		{"webhooks/certs", "Reason"},
	}
}

func eventsPage(root string) ([]byte, error) {
	var page bytes.Buffer
	page.WriteString(referenceHeader + "# Events\n\nThe reasons of the events that Kubernaut records, by the package that records them: `kubectl get events --field-selector reason=…`.\n")
	for _, source := range eventSources() {
		reasons, err := constants(filepath.Join(root, source.pkg), source.prefix)
		if err != nil {
			return nil, err
		}
		if len(reasons) == 0 {
			return nil, fmt.Errorf("%s has no constants %s…", source.pkg, source.prefix)
		}
		fmt.Fprintf(&page, "\n## %s\n\n", source.pkg)
		for _, reason := range slices.Sorted(maps.Keys(reasons)) {
			fmt.Fprintf(&page, "- `%s`", reason)
			if said := reasons[reason]; said != "" {
				fmt.Fprintf(&page, ": %s", cell(said))
			}
			page.WriteString("\n")
		}
	}
	return page.Bytes(), nil
}

// constants are the string constants of a package whose names begin with prefix: their values, and what their comments say.
func constants(folder, prefix string) (map[string]string, error) {
	files, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil {
		return nil, err
	}
	found := map[string]string{}
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		for _, declaration := range file.Decls {
			block, is := declaration.(*ast.GenDecl)
			if !is || block.Tok != token.CONST {
				continue
			}
			for _, spec := range block.Specs {
				if value, is := spec.(*ast.ValueSpec); is {
					collect(found, value, prefix)
				}
			}
		}
	}
	return found, nil
}

func collect(into map[string]string, value *ast.ValueSpec, prefix string) {
	for i, name := range value.Names {
		if !strings.HasPrefix(strings.ToLower(name.Name), strings.ToLower(prefix)) || i >= len(value.Values) {
			continue
		}
		literal, is := value.Values[i].(*ast.BasicLit)
		if !is || literal.Kind != token.STRING {
			continue
		}
		reason, err := strconv.Unquote(literal.Value)
		if err != nil {
			continue
		}
		_, said, _ := strings.Cut(strings.TrimSpace(value.Doc.Text()), " says that ")
		into[reason] = strings.TrimSuffix(said, ".")
	}
}

// rightsPage is what each account may do, from the roles in config/rbac.
func rightsPage(root string) ([]byte, error) {
	var page bytes.Buffer
	page.WriteString(referenceHeader + "# What the operator may do\n\nEvery account of the operator's namespace and all that it may do, from `config/rbac`. " +
		"What is said of the operator's namespace holds only there.\n\n" +
		"`kubectl auth can-i --list --as system:serviceaccount:kubernaut-system:NAME` shows the same on a cluster.\n")
	files := map[string]string{}
	for _, account := range accounts() {
		files[account] = account + ".yaml"
	}
	for _, account := range actionAccounts() {
		files[account] = "action-accounts.yaml"
	}
	for _, account := range accounts() {
		rows, err := rightsOf(filepath.Join(root, "config", "rbac", files[account]), account)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&page, "\n## %s\n\n", account)
		if len(rows) == 0 {
			page.WriteString("Nothing by RBAC: it acts through others, or changes nothing.\n")
			continue
		}
		page.WriteString("| verbs | resources | group | where |\n|---|---|---|---|\n" + strings.Join(rows, ""))
	}
	return page.Bytes(), nil
}

func rightsOf(path, account string) (rows []string, err error) {
	data, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	for document := range bytes.SplitSeq(data, []byte("\n---\n")) {
		var role rbacv1.ClusterRole
		if err := utilyaml.Unmarshal(document, &role); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if role.Name != account {
			continue
		}
		where := "everywhere"
		if role.Namespace != "" {
			where = "the operator's namespace"
		}
		for _, rule := range role.Rules {
			resources := strings.Join(rule.Resources, ", ")
			if len(rule.ResourceNames) > 0 {
				resources += ": only " + strings.Join(rule.ResourceNames, ", ")
			}
			groups := strings.Join(rule.APIGroups, ", ")
			if groups == "" {
				groups = "core"
			}
			rows = append(rows, fmt.Sprintf("| %s | %s | %s | %s |\n", strings.Join(rule.Verbs, ", "), resources, groups, where))
		}
	}
	return rows, nil
}

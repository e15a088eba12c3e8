package engine

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/prometheus/procfs"
	"k8s.io/client-go/rest"
)

// metrics are those of the API server.
type metrics struct {
	client *http.Client
	url    string
}

func newMetrics(config *rest.Config) (*metrics, error) {
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, err
	}
	return &metrics{client: client, url: strings.TrimSuffix(config.Host, "/") + "/metrics"}, nil
}

// kind of request, as the API server counts them.
type kind struct{ verb, resource, subresource string }

// persisted are the successful writes that were no dry runs, by their kind.
func (m *metrics) persisted(ctx context.Context) (map[kind]float64, error) {
	counts := map[kind]float64{}
	err := m.requests(ctx, func(labels map[string]string, count float64) {
		if labels["dry_run"] != "" || !strings.HasPrefix(labels["code"], "2") {
			return
		}
		switch labels["verb"] {
		case http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, "APPLY":
			counts[kind{labels["verb"], labels["resource"], labels["subresource"]}] += count
		}
	})
	return counts, err
}

// all are all requests, by what they were.
func (m *metrics) all(ctx context.Context) (map[string]float64, error) {
	counts := map[string]float64{}
	err := m.requests(ctx, func(labels map[string]string, count float64) {
		what := labels["verb"] + " " + labels["resource"]
		if labels["subresource"] != "" {
			what += "/" + labels["subresource"]
		}
		if labels["dry_run"] != "" {
			what += " (dry run)"
		}
		if !strings.HasPrefix(labels["code"], "2") {
			what += " " + labels["code"]
		}
		counts[what] += count
	})
	return counts, err
}

// reportAll logs how many requests of which sort there were between two counts, for each of n, and reports their sum.
func (b *bench) reportAll(first, last map[string]float64, n float64, unit string) {
	b.Helper()
	var sorts []string
	sum := 0.0
	for sort, count := range last {
		if each := (count - first[sort]) / n; each >= 0.05 {
			sorts = append(sorts, sort)
			sum += each
		}
	}
	slices.SortFunc(sorts, func(x, y string) int { return cmp.Compare(last[y]-first[y], last[x]-first[x]) })
	for _, sort := range sorts {
		b.Logf("%7.2f %s", (last[sort]-first[sort])/n, sort)
	}
	b.ReportMetric(sum, "requests/"+unit)
}

// requests calls see with every count of requests, and what was counted.
func (m *metrics) requests(ctx context.Context, see func(labels map[string]string, count float64)) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, m.url, nil)
	if err != nil {
		return err
	}
	answer, err := m.client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		return errors.New(answer.Status)
	}
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(answer.Body)
	if err != nil {
		return err
	}
	for _, metric := range families["apiserver_request_total"].GetMetric() {
		see(labelsOf(metric), metric.GetCounter().GetValue())
	}
	return nil
}

func labelsOf(metric *dto.Metric) map[string]string {
	labels := map[string]string{}
	for _, pair := range metric.GetLabel() {
		labels[pair.GetName()] = pair.GetValue()
	}
	return labels
}

// costs are the writes between two counts.
type costs struct {
	// creates, updates and patches are those on our kinds; updates are those of a status.
	creates, updates, patches float64
	// targets are the patches of targets.
	targets float64
	// apart are the writes that are reported apart: of Leases and of Events.
	leases, events float64
}

func (c costs) total() float64 { return c.creates + c.updates + c.patches + c.targets }

// between sums up what was written. Of the Deployments only patches of the object count: their status is the Deployment
// controller's.
func between(first, last map[kind]float64) costs {
	var c costs
	for k, count := range last {
		count -= first[k]
		ours := k.resource == "workflowexecutions" || k.resource == "kubernetesexecutions"
		switch {
		case ours && k.verb == http.MethodPost:
			c.creates += count
		case ours && k.verb == http.MethodPut:
			c.updates += count
		case ours && k.verb == http.MethodPatch:
			c.patches += count
		case k.resource == "deployments" && k.subresource == "" && k.verb == http.MethodPatch:
			c.targets += count
		case k.resource == "leases" && k.verb != http.MethodPut: // the nodes' leases are renewed by updates
			c.leases += count
		case k.resource == "events":
			c.events += count
		}
	}
	return c
}

// process is one of the cluster.
type process struct{ pid int }

// process is the one with the name of a component, such as kube-apiserver or manager.
func (b *bench) process(name string) process {
	b.Helper()
	text, err := os.ReadFile(filepath.Join(b.directory, name+".pid"))
	check(b.B, err)
	first, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(first))
	check(b.B, err)
	return process{pid: pid}
}

// resident is the memory that the process has, and the most that it ever had, in bytes.
func (p process) resident() (now, most float64, err error) {
	proc, err := procfs.NewProc(p.pid)
	if err != nil {
		return 0, 0, err
	}
	status, err := proc.NewStatus()
	if err != nil {
		return 0, 0, err
	}
	return float64(status.VmRSS), float64(status.VmHWM), nil
}

// used is the processor time of the cluster's processes so far, by their names.
func (b *bench) used() map[string]time.Duration {
	b.Helper()
	used := map[string]time.Duration{}
	for _, name := range []string{"manager", "kube-apiserver", "etcd", "kube-controller-manager"} {
		p, err := procfs.NewProc(b.process(name).pid)
		check(b.B, err)
		stat, err := p.Stat()
		check(b.B, err)
		used[name] = time.Duration(stat.CPUTime() * float64(time.Second))
	}
	return used
}

// reportUsed reports the processor time since, for each of n.
func (b *bench) reportUsed(since map[string]time.Duration, n int, prefix, unit string) {
	b.Helper()
	for name, used := range b.used() {
		b.ReportMetric((used-since[name]).Seconds()*1000/float64(n), prefix+name+"-cpu-ms/"+unit)
	}
}

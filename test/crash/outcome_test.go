package crash

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	gocmp "github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
	"sigs.k8s.io/yaml"

	"kubernaut.io/kubernaut/controllers/identity"
)

// outcome is what a run left behind, in a form in which two runs compare: an object as YAML, the history of a target as lines, by
// name. Times, UIDs, hashes and the namespace are replaced.
type outcome map[string]string

var (
	uidPattern  = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)
	timePattern = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z`)
	hashPattern = regexp.MustCompile(`\b[0-9a-f]{64}\b`)
	// seenLast is what was seen last before a time limit passed, an error that was made up among others.
	seenLast = regexp.MustCompile(`(before that was verified: ).*`)
)

// volatile are fields that say when and how long, or that are there for nobody but the API server.
var volatile = map[string]bool{
	"resourceVersion": true, "managedFields": true, "duration": true, annotationPoke: true,
	"waitedSeconds": true, "waitedBeforePhase": true,
}

// notifications is how the names of the events begin that an action makes.
const notifications = "kubernaut-notification-"

// names replaces what differs between runs.
type names struct {
	namespace string
	uids      map[string]string
}

func (n names) replace(text string) string {
	replaced := uidPattern.ReplaceAllStringFunc(text, func(uid string) string {
		if name, known := n.uids[uid]; known {
			return "UID(" + name + ")"
		}
		return "UID"
	})
	replaced = timePattern.ReplaceAllString(replaced, "TIME")
	replaced = hashPattern.ReplaceAllString(replaced, "HASH")
	replaced = seenLast.ReplaceAllString(replaced, "${1}SEEN")
	return strings.ReplaceAll(replaced, n.namespace, "NAMESPACE")
}

// unknown says whether a field is the UID of an object that is none of ours.
func (n names) unknown(key string, field any) bool {
	uid, is := field.(string)
	return key == "uid" && is && n.uids[uid] == ""
}

// isNotification says whether a field names the event that an action made. An execution that finds it after a crash does not name it:
// its account may not read events.
func isNotification(key string, field any) bool {
	return key == "affectedResources" && strings.Contains(fmt.Sprint(field), notifications)
}

func (n names) clean(value any) any {
	switch v := value.(type) {
	case map[string]any:
		if conditions, ok := v["conditions"].([]any); ok {
			slices.SortFunc(conditions, func(a, b any) int { return cmp.Compare(conditionType(a), conditionType(b)) })
		}
		if enrichment, ok := v["enrichment"].(map[string]any); ok {
			// How far the cluster is with a Deployment at one moment differs between runs.
			delete(enrichment, "health")
			delete(enrichment, "conditions")
		}
		cleaned := make(map[string]any, len(v))
		for key, field := range v {
			if !volatile[key] && !n.unknown(key, field) && !isNotification(key, field) {
				cleaned[n.replace(key)] = n.clean(field)
			}
		}
		return cleaned
	case []any:
		for i := range v {
			v[i] = n.clean(v[i])
		}
	case string:
		return n.replace(v)
	}
	return value
}

func conditionType(condition any) string {
	fields, _ := condition.(map[string]any)
	return fmt.Sprint(fields["type"])
}

// lineDifference is what two texts do not have in common, line by line.
func lineDifference(want, have string) string {
	return gocmp.Diff(strings.Split(want, "\n"), strings.Split(have, "\n"))
}

// catchUp waits until the observer has seen every target as it is.
func (r *run) catchUp(ctx context.Context) error {
	var live appsv1.DeploymentList
	if err := process.Admin.List(ctx, &live, client.InNamespace(r.namespace)); err != nil {
		return err
	}
	for i := range live.Items {
		for !r.place.saw(&live.Items[i]) {
			select {
			case <-ctx.Done():
				return fmt.Errorf("the observer did not see the last of Deployment %s", live.Items[i].Name)
			case <-r.place.signal:
			}
		}
	}
	return nil
}

// result reads what there is in the namespace of a run, live.
func (r *run) result(ctx context.Context) (outcome, error) {
	var objects []*unstructured.Unstructured
	for _, kind := range ownKinds() {
		gvk, err := apiutil.GVKForObject(kind, process.Scheme)
		if err != nil {
			return nil, err
		}
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(gvk.GroupVersion().WithKind(gvk.Kind + "List"))
		if err := process.Admin.List(ctx, list, client.InNamespace(r.namespace)); err != nil {
			return nil, err
		}
		for i := range list.Items {
			objects = append(objects, &list.Items[i])
		}
	}
	n := names{namespace: r.namespace, uids: map[string]string{}}
	for _, object := range objects {
		n.uids[string(object.GetUID())] = object.GetKind() + " " + object.GetName()
	}
	out := outcome{}
	for _, object := range objects {
		key := object.GetKind() + " " + object.GetName()
		if out[key] != "" {
			return nil, fmt.Errorf("%s is there twice", key)
		}
		text, err := yaml.Marshal(n.clean(object.Object))
		if err != nil {
			return nil, err
		}
		out[key] = string(text)
	}
	for target, revisions := range r.place.history() {
		out["Deployment "+target] = n.replace(historyText(revisions))
	}
	return out, r.addEvents(ctx, out, n)
}

// addEvents adds the events that are the effect of an action.
func (r *run) addEvents(ctx context.Context, out outcome, n names) error {
	var events eventsv1.EventList
	if err := process.Admin.List(ctx, &events, client.InNamespace(r.namespace)); err != nil {
		return err
	}
	for _, event := range events.Items {
		if strings.HasPrefix(event.Name, notifications) {
			out["Event "+n.replace(event.Name)] = n.replace(event.Note)
		}
	}
	return nil
}

func historyText(revisions []revision) string {
	var lines []string
	for _, revision := range revisions {
		lines = append(lines, fmt.Sprintf("%d %s by %s", revision.Generation, revision.Spec, revision.Marker))
	}
	return strings.Join(lines, "\n")
}

// repeated names the executions that changed a target more often than once: every change of a spec is one effect, and the marker
// says whose.
func repeated(history map[string][]revision) []string {
	var problems []string
	for target, revisions := range history {
		owners := map[string]int64{}
		for i, revision := range revisions {
			if i == 0 || revision.Generation == revisions[i-1].Generation {
				continue
			}
			if first, again := owners[revision.Marker]; again && revision.Marker != "" {
				problems = append(problems, fmt.Sprintf("Deployment %s: execution %s made generation %d and again %d", target, revision.Marker, first, revision.Generation))
			}
			owners[revision.Marker] = revision.Generation
		}
	}
	return problems
}

// locks are the Leases that workflows of the namespace hold.
func (r *run) locks(ctx context.Context) ([]string, error) {
	var leases coordinationv1.LeaseList
	if err := process.Admin.List(ctx, &leases, client.InNamespace(identity.DefaultNamespace)); err != nil {
		return nil, err
	}
	var held []string
	for _, lease := range leases.Items {
		if holder := lease.Spec.HolderIdentity; holder != nil && strings.HasPrefix(*holder, r.namespace+"/") {
			held = append(held, lease.Name+" held by "+*holder)
		}
	}
	return held, nil
}

// differences says how an outcome differs from the one that was wanted; empty when it does not.
func differences(want, have outcome) string {
	var lines []string
	for _, key := range slices.Sorted(mapKeys(want, have)) {
		switch wanted, there := want[key], have[key]; {
		case there == "":
			lines = append(lines, key+" is missing")
		case wanted == "":
			lines = append(lines, key+" is not to be there:\n"+there)
		case wanted != there:
			lines = append(lines, key+":\n"+lineDifference(wanted, there))
		}
	}
	return strings.Join(lines, "\n")
}

func mapKeys(maps ...outcome) func(func(string) bool) {
	return func(yield func(string) bool) {
		seen := map[string]bool{}
		for _, m := range maps {
			for key := range m {
				if !seen[key] && !yield(key) {
					return
				}
				seen[key] = true
			}
		}
	}
}

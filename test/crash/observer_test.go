package crash

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	aianalysisv1 "kubernaut.io/kubernaut/api/aianalysis/v1"
	kubernetesexecutionv1 "kubernaut.io/kubernaut/api/kubernetesexecution/v1"
	remediationv1 "kubernaut.io/kubernaut/api/remediation/v1"
	remediationprocessingv1 "kubernaut.io/kubernaut/api/remediationprocessing/v1"
	safetyv1alpha1 "kubernaut.io/kubernaut/api/safety/v1alpha1"
	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/test/invariants"
)

// observer watches what every run does, as an outsider who trusts no status: it keeps the history of every target, and checks the
// invariants of every status at every change.
type observer struct {
	cache.Cache

	mutex sync.Mutex
	// places are the namespaces that are observed.
	places map[string]*place
}

// place is what was seen in one namespace.
type place struct {
	signal chan struct{}

	mutex   sync.Mutex
	targets map[string][]revision
	// last is the resourceVersion of each target that was seen last.
	last map[string]string
	// workflows are the UIDs of the workflows that were there.
	workflows map[types.UID]bool
	broken    []string
}

// revision is one state of a target that differs from the one before in what it is to be.
type revision struct {
	Generation int64
	Spec       string
	// Marker is the execution that says it made it.
	Marker string
}

func observe(ctx context.Context, config *rest.Config, options cache.Options) (*observer, error) {
	seen, err := cache.New(config, options)
	if err != nil {
		return nil, err
	}
	o := &observer{Cache: seen, places: map[string]*place{}}
	for _, kind := range append(ownKinds(), &appsv1.Deployment{}) {
		informer, err := seen.GetInformer(ctx, kind, cache.BlockUntilSynced(false))
		if err != nil {
			return nil, err
		}
		see := func(object any) {
			switch seen := object.(type) {
			case client.Object:
				o.see(seen)
			case toolscache.DeletedFinalStateUnknown:
				if last, ok := seen.Obj.(client.Object); ok {
					o.see(last)
				}
			}
		}
		if _, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
			AddFunc: see, UpdateFunc: func(_, object any) { see(object) }, DeleteFunc: see,
		}); err != nil {
			return nil, err
		}
	}
	return o, nil
}

func ownKinds() []client.Object {
	return []client.Object{
		&remediationv1.RemediationRequest{}, &remediationprocessingv1.RemediationProcessing{}, &aianalysisv1.AIAnalysis{},
		&workflowexecutionv1.WorkflowExecution{}, &kubernetesexecutionv1.KubernetesExecution{},
		&safetyv1alpha1.ApprovalRequest{},
	}
}

// at observes a namespace from now on.
func (o *observer) at(namespace string) *place {
	p := &place{signal: make(chan struct{}, 1), targets: map[string][]revision{}, last: map[string]string{}, workflows: map[types.UID]bool{}}
	o.mutex.Lock()
	defer o.mutex.Unlock()
	o.places[namespace] = p
	return p
}

func (o *observer) leave(namespace string) {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	delete(o.places, namespace)
}

func (o *observer) see(object client.Object) {
	o.mutex.Lock()
	p := o.places[object.GetNamespace()]
	o.mutex.Unlock()
	if p == nil {
		return
	}
	p.see(object)
	p.wake()
}

// wake has who waits for something to happen in a place look at it.
func (p *place) wake() {
	select {
	case p.signal <- struct{}{}:
	default: // it will look anyway
	}
}

func (p *place) see(object client.Object) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if workflow, is := object.(*workflowexecutionv1.WorkflowExecution); is {
		p.workflows[workflow.UID] = true
	}
	deployment, is := object.(*appsv1.Deployment)
	if !is {
		if err := invariants.Check(object); err != nil {
			p.broken = append(p.broken, err.Error())
		}
		return
	}
	p.last[deployment.Name] = deployment.ResourceVersion
	spec, err := json.Marshal(deployment.Spec)
	if err != nil {
		p.broken = append(p.broken, err.Error())
		return
	}
	next := revision{Generation: deployment.Generation, Spec: string(spec), Marker: deployment.Annotations[shared.AnnotationLastExecution]}
	history := p.targets[deployment.Name]
	if last := len(history) - 1; last >= 0 {
		switch {
		case history[last] == next:
			return
		case next.Generation > history[last].Generation+1:
			p.broken = append(p.broken, fmt.Sprintf("Deployment %s: generation %d was seen after %d: the observer missed one", deployment.Name, next.Generation, history[last].Generation))
		}
	}
	p.targets[deployment.Name] = append(history, next)
}

// workflowUIDs are those of the workflows that are or were there; never none, for a selector.
func (p *place) workflowUIDs() []string {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	uids := []string{"none"}
	for uid := range p.workflows {
		uids = append(uids, string(uid))
	}
	return uids
}

// history is every state that the targets have had, in order.
func (p *place) history() map[string][]revision {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	out := make(map[string][]revision, len(p.targets))
	for name, revisions := range p.targets {
		out[name] = append([]revision(nil), revisions...)
	}
	return out
}

// saw says whether a target was seen as it is, or as it became since.
func (p *place) saw(deployment *appsv1.Deployment) bool {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	later, err := resourceversion.CompareResourceVersion(p.last[deployment.Name], deployment.ResourceVersion)
	return err == nil && later >= 0
}

func (p *place) problems() []string {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return append([]string(nil), p.broken...)
}

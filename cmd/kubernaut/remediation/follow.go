package remediation

import (
	"context"
	"errors"
	"fmt"
	"time"

	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
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
	"kubernaut.io/kubernaut/cmd/kubernaut/terminal"
)

const (
	// together is how long is waited for what changes together, so that it is told in its order.
	together = 50 * time.Millisecond
	// settle is how long is waited for what comes after the end: its events are sent after its status is written.
	settle = 250 * time.Millisecond
)

// errDeleted says that the object that is followed is gone.
var errDeleted = errors.New("it was deleted")

// follower watches a family.
type follower struct {
	config *rest.Config
	scheme *runtime.Scheme
	root   client.Object
}

// follow hands a family over whenever something of it has changed, until its root has ended or see fails. tick, which may be nil, has
// it handed over in between too.
func (f follower) follow(ctx context.Context, tick <-chan time.Time, see func(*family) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	changed := make(chan struct{}, 1)
	informers, err := f.informers(ctx, changed, cancel)
	if err != nil {
		return err
	}
	for {
		members, err := gather(ctx, informers, f.root)
		switch {
		case apierrors.IsNotFound(err):
			return errDeleted
		case err != nil:
			return err
		}
		if members.root().GetUID() != f.root.GetUID() {
			return errDeleted
		}
		if err := see(members); err != nil {
			return err
		}
		if over, _ := members.finished(); over && !waitFor(ctx, changed, settle) {
			return nil
		} else if over {
			continue
		}
		select {
		case <-changed:
			waitFor(ctx, nil, together)
		case <-tick:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// waitFor says whether something changed in time.
func waitFor(ctx context.Context, changed <-chan struct{}, limit time.Duration) bool {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-changed:
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	return false
}

// informers watch the members of a family, and no others. A watch that breaks off goes on by itself; one that is forbidden ends all.
func (f follower) informers(ctx context.Context, changed chan<- struct{}, end context.CancelCauseFunc) (cache.Cache, error) {
	selectors := f.selectors()
	informers, err := cache.New(f.config, cache.Options{
		Scheme: f.scheme, DefaultNamespaces: map[string]cache.Config{f.root.GetNamespace(): {}}, ByObject: selectors,
		DefaultWatchErrorHandler: func(_ context.Context, _ *toolscache.Reflector, err error) {
			if apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err) {
				end(err)
			}
		},
	})
	if err != nil {
		return nil, fmt.Errorf("watching: %w", err)
	}
	failed := make(chan error, 1)
	go func() { failed <- informers.Start(ctx) }()
	tell := func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	}
	for object := range selectors {
		informer, err := informers.GetInformer(ctx, object)
		if err != nil {
			return nil, ended(ctx, err)
		}
		_, err = informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
			AddFunc: func(any) { tell() }, UpdateFunc: func(any, any) { tell() }, DeleteFunc: func(any) { tell() },
		})
		if err != nil {
			return nil, ended(ctx, err)
		}
	}
	if !informers.WaitForCacheSync(ctx) {
		return nil, ended(ctx, errors.New("the watches did not start"))
	}
	return informers, nil
}

// ended is why a context ended; err if it did not.
func ended(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// selectors say which objects of each kind are members.
func (f follower) selectors() map[client.Object]cache.ByObject {
	name := f.root.GetName()
	only := cache.ByObject{Field: fields.OneTermEqualSelector("metadata.name", name)}
	of := func(label string) cache.ByObject {
		return cache.ByObject{Label: labels.SelectorFromSet(labels.Set{label: shared.Bounded(name)})}
	}
	selectors := map[client.Object]cache.ByObject{&eventsv1.Event{}: {}, &safetyv1alpha1.ApprovalRequest{}: {}}
	if kindOf(f.root) == workflow {
		selectors[&workflowexecutionv1.WorkflowExecution{}] = only
		selectors[&kubernetesexecutionv1.KubernetesExecution{}] = of(shared.LabelWorkflowExecution)
		return selectors
	}
	selectors[&remediationv1.RemediationRequest{}] = only
	for _, object := range []client.Object{
		&remediationprocessingv1.RemediationProcessing{}, &aianalysisv1.AIAnalysis{}, &workflowexecutionv1.WorkflowExecution{}, &kubernetesexecutionv1.KubernetesExecution{},
	} {
		selectors[object] = of(shared.LabelRemediationRequest)
	}
	return selectors
}

// endOf is the error with which a command that watched a family ends: none when it ended well.
func endOf(members *family, err error) error {
	switch {
	case errors.Is(err, errDeleted):
		return terminal.WithCode(terminal.ExitUndecided, err)
	case errors.Is(err, context.DeadlineExceeded):
		return terminal.WithCode(terminal.ExitUndecided, errors.New("it did not end within --timeout"))
	case err != nil:
		return err
	case members == nil:
		return nil
	}
	if _, well := members.finished(); well {
		return nil
	}
	return terminal.Findings(endText(members))
}

func endText(members *family) string {
	switch root := members.root().(type) {
	case *remediationv1.RemediationRequest:
		return fmt.Sprintf("%s %s: %s", short(root), root.Status.OverallPhase, root.Status.Outcome)
	case *workflowexecutionv1.WorkflowExecution:
		return fmt.Sprintf("%s %s: %s", short(root), root.Status.Phase, root.Status.Outcome)
	default:
		return "it did not end well"
	}
}

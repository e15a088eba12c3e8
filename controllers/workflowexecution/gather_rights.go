package workflowexecution

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/controllers/identity"
	"kubernaut.io/kubernaut/controllers/rights"
)

// +kubebuilder:rbac:groups=authorization.k8s.io,resources=subjectaccessreviews,verbs=create

// parallelReviews is how many people and accounts are asked about at once; each is asked about with a bound of its own.
const parallelReviews = 4

// reviewRights asks the API server, each time anew, whether the accounts of the actions may do what their steps need, and whether
// who asked for the workflow may have it done: what they may not do any more, the workflow does not do for them. Whom groups have
// lost or won is not known: they are those of the request that created the workflow.
func (r *Reconciler) reviewRights(ctx context.Context, workflow *workflowexecutionv1.WorkflowExecution) ([]rights.Denial, error) {
	definition, path := workflow.Definition(), field.NewPath("spec", "workflowDefinition")
	if undoesAnother(workflow) {
		path = field.NewPath("status", "plan", "undo")
	}
	mapper := r.Clients.Live.RESTMapper()
	asked, err := rights.Steps(workflow.Namespace, mapper, definition, path)
	if workflow.Spec.RemediationRequestRef != nil {
		asked, err = rights.RemediateSteps(mapper, definition, path)
	}
	if err != nil {
		return nil, err
	}
	accounts, err := rights.Accounts(workflow.Namespace, mapper, definition, path)
	if err != nil {
		return nil, err
	}
	var (
		mutex   sync.Mutex
		denials []rights.Denial
	)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallelReviews)
	review := func(who shared.Requester, needs []rights.Need) {
		group.Go(func() error {
			denied, err := rights.Review(ctx, r.Clients.Live, who, needs)
			mutex.Lock()
			defer mutex.Unlock()
			denials = append(denials, denied...)
			return err
		})
	}
	review(workflow.Spec.RequestedBy, asked)
	for action, needs := range accounts {
		review(r.account(action), needs)
	}
	if err := group.Wait(); err != nil {
		return nil, fmt.Errorf("rights: %w", err)
	}
	slices.SortFunc(denials, rights.Compare)
	return denials, nil
}

// account is the account of an action as the API server knows it.
func (r *Reconciler) account(action shared.ActionType) shared.Requester {
	return shared.Requester{
		Username: identity.Username(r.Namespace, identity.Action(action)),
		Groups:   []string{"system:serviceaccounts", "system:serviceaccounts:" + r.Namespace, "system:authenticated"},
	}
}

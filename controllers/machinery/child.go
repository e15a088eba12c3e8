package machinery

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"kubernaut.io/kubernaut/api/shared"
)

// ForeignChildError says that the name of a child is taken by an object that is not that child.
type ForeignChildError struct {
	Child  client.ObjectKey
	Kind   string
	Reason string
}

// Error names the object and says why it is not adopted.
func (e *ForeignChildError) Error() string {
	return fmt.Sprintf("%s %s exists and is not ours: %s; delete or rename it", e.Kind, e.Child, e.Reason)
}

// EnsureChild creates child, or adopts the one that is there. Adoption reads live: it needs the same controller owner UID,
// and same must say that everything the name stands for agrees; otherwise the error is a *ForeignChildError. After success
// child holds what the API server has.
func EnsureChild[T client.Object](ctx context.Context, writer client.Writer, live client.Reader, child, existing T, same func(T) error) error {
	err := writer.Create(ctx, child)
	if !apierrors.IsAlreadyExists(err) {
		return err
	}
	if err := live.Get(ctx, client.ObjectKeyFromObject(child), existing); err != nil {
		return fmt.Errorf("reading the child that already exists: %w", err)
	}
	foreign := func(reason string) error {
		return &ForeignChildError{Child: client.ObjectKeyFromObject(child), Kind: fmt.Sprintf("%T", child), Reason: reason}
	}
	if want, have := controllerUID(child), controllerUID(existing); want != have {
		return foreign(fmt.Sprintf("its controller has UID %q, not %q", have, want))
	}
	if err := same(existing); err != nil {
		return foreign(err.Error())
	}
	return nil
}

// The reasons of the condition Orphaned.
const (
	// ReasonNotOwned says that the request that the object names is not its controller owner.
	ReasonNotOwned = "NotOwned"
	// ReasonOwned says that it is again.
	ReasonOwned = "Owned"
)

// Orphaned says why object is no child of the request that its spec names; empty when it is. The garbage collector takes the
// reference away when a request is deleted with --cascade=orphan; admission lets nobody put one in.
func Orphaned(object metav1.Object, request shared.ObjectReference) string {
	owner := metav1.GetControllerOf(object)
	switch {
	case owner == nil:
		return fmt.Sprintf("spec.remediationRequestRef names %s, but the object has no controller owner reference to it", request.Name)
	case owner.Kind != "RemediationRequest" || owner.Name != request.Name || owner.UID != request.UID:
		return fmt.Sprintf("spec.remediationRequestRef names %s with UID %s, but the controller is %s %s with UID %s", request.Name, request.UID, owner.Kind, owner.Name, owner.UID)
	default:
		return ""
	}
}

// ReportOrphan says on the object that it is orphaned, and why, or, where that was said, that it no longer is.
func (c Conditions) ReportOrphan(problem string) {
	switch {
	case problem != "":
		c.True(shared.ConditionOrphaned, ReasonNotOwned, problem+
			"; it does not go with the request any more: look at what it did, and delete it when it has ended and nobody needs it")
	case meta.IsStatusConditionTrue(*c.list, shared.ConditionOrphaned):
		c.False(shared.ConditionOrphaned, ReasonOwned, "the request that spec.remediationRequestRef names is the controller owner")
	}
}

// BecameOrphan is the condition that says so when it was not said before; nil otherwise.
func BecameOrphan(before, after []metav1.Condition) *metav1.Condition {
	if meta.IsStatusConditionTrue(before, shared.ConditionOrphaned) || !meta.IsStatusConditionTrue(after, shared.ConditionOrphaned) {
		return nil
	}
	return meta.FindStatusCondition(after, shared.ConditionOrphaned)
}

// OwnersChanged lets pass that an object has other owner references than before.
func OwnersChanged() predicate.Funcs {
	return predicate.Funcs{
		CreateFunc: func(event.CreateEvent) bool { return false },
		UpdateFunc: func(e event.UpdateEvent) bool {
			return !equality.Semantic.DeepEqual(e.ObjectOld.GetOwnerReferences(), e.ObjectNew.GetOwnerReferences())
		},
		DeleteFunc:  func(event.DeleteEvent) bool { return false },
		GenericFunc: func(event.GenericEvent) bool { return false },
	}
}

func controllerUID(object metav1.Object) types.UID {
	owner := metav1.GetControllerOf(object)
	if owner == nil {
		return ""
	}
	return owner.UID
}

// OwnedBy says whether owner is the controller of object.
func OwnedBy(object, owner metav1.Object) bool {
	return controllerUID(object) == owner.GetUID()
}

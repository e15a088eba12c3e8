package machinery

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
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

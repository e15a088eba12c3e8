package effects

import (
	"context"
	"encoding/json"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"kubernaut.io/kubernaut/api/shared"
	"kubernaut.io/kubernaut/controllers/kubernetesexecution/fields"
)

// operation is one operation of a JSON patch (RFC 6902).
type operation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value,omitempty"`
}

// The operations in use.
const (
	opAdd     = "add"
	opReplace = "replace"
	opRemove  = "remove"
)

// patchOf is the write of changes to live. It begins with the preconditions: replacing uid and resourceVersion by the values
// that were read changes nothing on the object that was read, and makes the API server answer Conflict on any other and on any
// later state of it. If execution is not empty, the marker is part of the same write.
func patchOf(live *unstructured.Unstructured, changes []shared.FieldChange, execution types.UID) ([]byte, error) {
	if live.GetUID() == "" || live.GetResourceVersion() == "" {
		return nil, fmt.Errorf("%s %s has no UID or resourceVersion: it was not read from the API server", live.GetKind(), live.GetName())
	}
	changed, err := fields.Apply(live.Object, changes)
	if err != nil {
		return nil, fmt.Errorf("the changes do not fit the object: %w", err)
	}
	operations := []operation{
		{Op: opReplace, Path: "/metadata/uid", Value: live.GetUID()},
		{Op: opReplace, Path: "/metadata/resourceVersion", Value: live.GetResourceVersion()},
	}
	for _, change := range changes {
		operations = append(operations, operationFor(change))
	}
	if execution != "" {
		operations = append(operations, marker(changed, execution))
	}
	return json.Marshal(operations)
}

func operationFor(change shared.FieldChange) operation {
	switch {
	case change.After == nil:
		return operation{Op: opRemove, Path: change.Path}
	case change.Before == nil:
		return operation{Op: opAdd, Path: change.Path, Value: change.After}
	default:
		// In a list, add would insert.
		return operation{Op: opReplace, Path: change.Path, Value: change.After}
	}
}

// marker puts the UID of the execution on an object that already has the changes.
func marker(changed map[string]any, execution types.UID) operation {
	annotations, found, err := unstructured.NestedFieldNoCopy(changed, "metadata", "annotations")
	if err != nil || !found || annotations == nil {
		only := map[string]types.UID{shared.AnnotationLastExecution: execution}
		return operation{Op: opAdd, Path: "/metadata/annotations", Value: only}
	}
	return operation{Op: opAdd, Path: fields.Pointer("metadata", "annotations", shared.AnnotationLastExecution), Value: execution}
}

// write is the one function that writes to a target, and that tries a write. The object it returns is what the API server
// answered. It never applies server-side: a field that an earlier step set and this one leaves out would be removed.
func (s subject) write(
	ctx context.Context, live *unstructured.Unstructured, changes []shared.FieldChange, execution types.UID, options ...client.PatchOption,
) (*unstructured.Unstructured, error) {
	body, err := patchOf(live, changes, execution)
	if err != nil {
		return nil, err
	}
	result := &unstructured.Unstructured{}
	result.SetGroupVersionKind(s.target.GroupVersionKind())
	result.SetNamespace(s.target.Namespace)
	result.SetName(s.target.Name)
	options = append(options, client.FieldOwner(FieldManager(s.Type())))
	err = onceMore(func() error {
		return s.client.Patch(ctx, result, client.RawPatch(types.JSONPatchType, body), options...)
	})
	if apierrors.IsInvalid(err) && s.stale(ctx, live) {
		return nil, apierrors.NewConflict(schema.GroupResource{Group: s.target.GroupVersionKind().Group, Resource: s.target.Kind}, s.target.Name, err)
	}
	if err != nil {
		return nil, err
	}
	return result, nil
}

// stale says whether an object has been written since it was read. The API server applies a patch before it compares the
// resourceVersion: one that takes away what is gone already is invalid, and not in conflict.
func (s subject) stale(ctx context.Context, live *unstructured.Unstructured) bool {
	now, err := s.read(ctx)
	return err == nil && now.GetResourceVersion() != live.GetResourceVersion()
}

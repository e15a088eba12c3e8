package webhooks

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"reflect"

	"gomodules.xyz/jsonpatch/v2"
	admissionv1 "k8s.io/api/admission/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"kubernaut.io/kubernaut/webhooks/rules"
)

// defaulting runs a defaulter, and has every spec stored in the one form in which our types write it: "90s" becomes "1m30s", an
// empty list is left out. The rules of the CRDs compare what is stored, and a client with Go types writes that form back
// whatever it changes: in another form, its update would meet an immutable field that differs. The same holds for a
// manifest that is applied again, so updates are brought into that form too.
//
// controller-runtime's handler does so only when the defaulter has changed something, which is why this one takes its place.
type defaulting[T client.Object] struct {
	decoder   admission.Decoder
	defaulter admission.Defaulter[T]
}

// Handle answers with the patch to the completed object.
func (d *defaulting[T]) Handle(ctx context.Context, request admission.Request) admission.Response {
	if request.Operation != admissionv1.Create && request.Operation != admissionv1.Update {
		return admission.Allowed("")
	}
	object := newObject[T]()
	if err := d.decoder.Decode(request, object); err != nil {
		return leaveToSchema(&request)
	}
	if err := d.defaulter.Default(admission.NewContextWithRequest(ctx, request), object); err != nil {
		return refused(err)
	}
	changes, err := toStoredForm(request.Object.Raw, object)
	if err != nil {
		return admission.Errored(http.StatusInternalServerError, err)
	}
	return admission.Patched("", changes...)
}

func refused(err error) admission.Response {
	if status, is := errors.AsType[*apierrors.StatusError](err); is {
		return admission.Response{AdmissionResponse: admissionv1.AdmissionResponse{Result: &status.ErrStatus}}
	}
	return admission.Errored(http.StatusInternalServerError, err)
}

// toStoredForm changes the object of the request to one with the spec and the annotations of the completed one. It replaces them whole:
// to look for the difference within them would take longer than all the rest.
func toStoredForm(raw []byte, completed client.Object) ([]jsonpatch.Operation, error) {
	var given, written map[string]any
	if err := json.Unmarshal(raw, &given); err != nil {
		return nil, err
	}
	if given == nil {
		return nil, errors.New("the request holds no object")
	}
	data, err := json.Marshal(completed)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(data, &written); err != nil {
		return nil, err
	}
	var changes []jsonpatch.Operation
	if spec, is := written["spec"]; is {
		if spec = merged(given["spec"], spec); !reflect.DeepEqual(given["spec"], spec) {
			changes = append(changes, jsonpatch.NewOperation("add", "/spec", spec))
		}
	}
	metadata, is := given["metadata"].(map[string]any)
	if !is {
		metadata = map[string]any{}
		changes = append(changes, jsonpatch.NewOperation("add", "/metadata", metadata))
	}
	of, _ := written["metadata"].(map[string]any)
	if annotations, is := of["annotations"]; is && !reflect.DeepEqual(metadata["annotations"], annotations) {
		changes = append(changes, jsonpatch.NewOperation("add", "/metadata/annotations", annotations))
	}
	return changes, nil
}

// merged is a value as our types write it, with what they do not know: a newer CRD may have fields that this version lacks,
// and they are not to be lost. What is empty and not written is left out, as our types do.
func merged(given, written any) any {
	givenMap, givenIs := given.(map[string]any)
	writtenMap, writtenIs := written.(map[string]any)
	if givenIs && writtenIs {
		for key, value := range givenMap {
			if known, is := writtenMap[key]; is {
				writtenMap[key] = merged(value, known)
			} else if !empty(value) {
				writtenMap[key] = value
			}
		}
		return writtenMap
	}
	givenList, givenIs := given.([]any)
	writtenList, writtenIs := written.([]any)
	if givenIs && writtenIs && len(givenList) == len(writtenList) {
		for i := range writtenList {
			writtenList[i] = merged(givenList[i], writtenList[i])
		}
	}
	return written
}

// empty says whether a value is one that omitempty or omitzero leaves out.
func empty(value any) bool {
	switch value := value.(type) {
	case nil:
		return true
	case map[string]any:
		for _, member := range value {
			if !empty(member) {
				return false
			}
		}
		return true
	case []any:
		return len(value) == 0
	default:
		return value == "" || value == false || value == 0.0
	}
}

// leaveToSchema lets an object pass that our types cannot hold, such as one with a time-out of "soon": the schema is checked
// next, refuses it, and names the field. The requester is stamped so that the schema does not ask for it too.
func leaveToSchema(request *admission.Request) admission.Response {
	var object struct {
		Spec map[string]json.RawMessage `json:"spec"`
	}
	if err := json.Unmarshal(request.Object.Raw, &object); err != nil || object.Spec == nil || request.Operation != admissionv1.Create {
		return admission.Allowed("")
	}
	if _, given := object.Spec["requestedBy"]; given {
		return admission.Allowed("")
	}
	return admission.Patched("", jsonpatch.NewOperation("add", "/spec/requestedBy", rules.Requester(request.UserInfo)))
}

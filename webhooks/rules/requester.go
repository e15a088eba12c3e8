package rules

import (
	"maps"
	"slices"

	authenticationv1 "k8s.io/api/authentication/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"kubernaut.io/kubernaut/api/shared"
)

const leaveOut = "leave requestedBy out: admission sets it to whoever sends the request"

// Requester is the user of a request, as specs keep it.
func Requester(user authenticationv1.UserInfo) shared.Requester {
	requester := shared.Requester{Username: user.Username, UID: user.UID, Groups: slices.Clone(user.Groups)}
	if len(user.Extra) > 0 {
		requester.Extra = make(map[string]shared.ExtraValue, len(user.Extra))
		for key, values := range user.Extra {
			requester.Extra[key] = shared.ExtraValue(slices.Clone(values))
		}
	}
	return requester
}

// ForgedRequester says where the requester that a client gave contradicts the one who sends the request. What the client
// left out contradicts nothing.
func ForgedRequester(given, caller shared.Requester) (errs field.ErrorList) {
	if given.Username != "" && given.Username != caller.Username {
		errs = append(errs, field.Invalid(requestedByPath().Child("username"), given.Username, "you are "+caller.Username+"; "+leaveOut))
	}
	if given.UID != "" && given.UID != caller.UID {
		errs = append(errs, field.Invalid(requestedByPath().Child("uid"), given.UID, "it is not your UID; "+leaveOut))
	}
	if len(given.Groups) > 0 && !slices.Equal(given.Groups, caller.Groups) {
		errs = append(errs, field.Invalid(requestedByPath().Child("groups"), given.Groups, "they are not your groups; "+leaveOut))
	}
	if len(given.Extra) > 0 && !maps.EqualFunc(given.Extra, caller.Extra, slices.Equal) {
		errs = append(errs, field.Forbidden(requestedByPath().Child("extra"), "it is not what the API server knows about you; "+leaveOut))
	}
	return errs
}

// SameRequester says where the requester of a new object is not exactly the one who sends the request.
func SameRequester(have, caller shared.Requester) field.ErrorList {
	if errs := ForgedRequester(have, caller); len(errs) > 0 {
		return errs
	}
	complete := have.Username != "" && have.UID == caller.UID && len(have.Groups) == len(caller.Groups) && len(have.Extra) == len(caller.Extra)
	if !complete {
		return field.ErrorList{field.Invalid(requestedByPath(), have.Username,
			"it must say all that the API server knows about you, as the mutating webhook of Kubernaut writes it; apply config/webhook if that is missing")}
	}
	return nil
}

// stampAnnotation writes the name of the creator, whatever the client wrote.
func stampAnnotation(annotations map[string]string, username string) map[string]string {
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[shared.AnnotationRequestedBy] = username
	return annotations
}

// keepAnnotation brings back the stamped annotation that an update left out.
func keepAnnotation(annotations, old map[string]string) map[string]string {
	stamped, was := old[shared.AnnotationRequestedBy]
	if _, is := annotations[shared.AnnotationRequestedBy]; is || !was {
		return annotations
	}
	return stampAnnotation(annotations, stamped)
}

// annotationUnchanged says that the stamped annotation is not the one of the old object.
func annotationUnchanged(annotations, old map[string]string) field.ErrorList {
	is, has := annotations[shared.AnnotationRequestedBy]
	was, had := old[shared.AnnotationRequestedBy]
	if is == was && has == had {
		return nil
	}
	return field.ErrorList{field.Forbidden(field.NewPath("metadata", "annotations").Key(shared.AnnotationRequestedBy),
		"admission wrote it when the object was created and nobody changes it: leave it as it is")}
}

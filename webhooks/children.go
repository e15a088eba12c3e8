package webhooks

import (
	"fmt"
	"net/http"

	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"kubernaut.io/kubernaut/webhooks/rules"
	"kubernaut.io/kubernaut/webhooks/statusguard"
)

// checkChild checks what a controller creates. The guard is asked about every such object anyway: a webhook of its own would cost each
// step of a workflow one more call.
func checkChild(request *admission.Request) admission.Response {
	if request.Operation != admissionv1.Create {
		return admission.Allowed("")
	}
	switch request.Resource.Resource {
	case "remediationprocessings":
		return check(request, rules.ValidateRemediationProcessing)
	case "aianalyses":
		return check(request, rules.ValidateAIAnalysis)
	case "kubernetesexecutions":
		return check(request, rules.ValidateKubernetesExecution)
	default:
		return admission.Allowed("")
	}
}

func check[T any, P interface {
	*T
	metav1.Object
}](request *admission.Request, validate func(P) field.ErrorList) admission.Response {
	object := P(new(T))
	if err := utiljson.Unmarshal(request.Object.Raw, object); err != nil {
		return admission.Errored(http.StatusBadRequest, fmt.Errorf("read the object: %w", err))
	}
	for _, row := range statusguard.Rows() {
		if row.Resource == request.Resource.Resource {
			if err := guardHook(row).refuse(object, validate(object)); err != nil {
				return refused(err)
			}
		}
	}
	return admission.Allowed("")
}

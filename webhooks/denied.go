package webhooks

import (
	"cmp"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"kubernaut.io/kubernaut/webhooks/statusguard"
)

// Reasons of refusals, as the metric has them, beside those of the status guard.
const (
	reasonRequester = statusguard.ReasonRequesterForged
	reasonForbidden = "Forbidden"
	reasonInvalid   = "Invalid"
)

//nolint:gochecknoglobals // a registered metric
var denied = prometheus.NewCounterVec(prometheus.CounterOpts{
	Name: "kubernaut_admission_denied_total",
	Help: "Requests that the admission webhooks refused, by resource and reason: StatusWriter, Creator, Impersonated, RequesterForged, Owner, DecisionForged, DecisionRefused, Forbidden or Invalid. A request refused for several reasons counts once for each.",
}, []string{"resource", "reason"})

// Collectors are the metrics of admission, for the registry of the manager.
func Collectors() []prometheus.Collector { return []prometheus.Collector{denied} }

// refuse is nil for an empty list, and otherwise the one answer with all errors; it counts the refusal.
func (h hook) refuse(object metav1.Object, errs field.ErrorList) error {
	if len(errs) == 0 {
		return nil
	}
	reasons := sets.New[string]()
	for _, err := range errs {
		reasons.Insert(reason(err))
	}
	for reason := range reasons {
		denied.WithLabelValues(h.resource, reason).Inc()
	}
	return apierrors.NewInvalid(schema.GroupKind{Group: h.group, Kind: h.kind}, cmp.Or(object.GetName(), object.GetGenerateName()), errs)
}

func reason(err *field.Error) string {
	switch {
	case strings.HasPrefix(err.Field, "spec.requestedBy"):
		return reasonRequester
	case err.Type == field.ErrorTypeForbidden:
		return reasonForbidden
	default:
		return reasonInvalid
	}
}

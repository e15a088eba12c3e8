package webhooks

import (
	"strings"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"kubernaut.io/kubernaut/api/shared"
)

// Names of what the manifests hold for the webhooks.
const (
	// ConfigurationName is the name of the MutatingWebhookConfiguration and of the ValidatingWebhookConfiguration.
	ConfigurationName = "kubernaut"
	// ServiceName is the name of the Service in the operator's namespace.
	ServiceName = "kubernaut-webhook"
	// SecretName is the name of the Secret with the serving certificate in the operator's namespace.
	SecretName = "kubernaut-webhook-certs" //nolint:gosec // the name of a Secret, not a secret
	// CertificateName is the name of cert-manager's Certificate for it.
	CertificateName = "kubernaut-webhook"

	timeoutSeconds = 10
	servicePort    = 443
)

// hook is one kind with webhooks.
type hook struct {
	group, version, kind, resource string
	// cluster says that the kind has no namespaces.
	cluster bool
	// complete says that the schema's defaults are all that the kind needs, so that there is no mutating webhook.
	complete bool
	// once says that the mutating webhook is not called again for what it has filled in itself: it refuses the same from others.
	once bool
}

func hooks() []hook {
	return []hook{remediationRequestHook(), workflowExecutionHook(), safetyPolicyHook(), approvalRequestHook(), playbookHook()}
}

func (h hook) scope() admissionregistrationv1.ScopeType {
	if h.cluster {
		return admissionregistrationv1.ClusterScope
	}
	return admissionregistrationv1.NamespacedScope
}

func (h hook) reinvocation() admissionregistrationv1.ReinvocationPolicyType {
	if h.once {
		return admissionregistrationv1.NeverReinvocationPolicy
	}
	return admissionregistrationv1.IfNeededReinvocationPolicy
}

func (h hook) mutatePath() string   { return h.path("mutate") }
func (h hook) validatePath() string { return h.path("validate") }

func (h hook) path(verb string) string {
	return "/" + verb + "-" + strings.ReplaceAll(h.group, ".", "-") + "-" + h.version + "-" + strings.ToLower(h.kind)
}

func (h hook) name(verb string) string { return verb + "." + strings.ToLower(h.kind) + "." + h.group }

func (h hook) rules() []admissionregistrationv1.RuleWithOperations {
	return []admissionregistrationv1.RuleWithOperations{{
		Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create, admissionregistrationv1.Update},
		Rule: admissionregistrationv1.Rule{
			APIGroups:   []string{h.group},
			APIVersions: []string{h.version},
			Resources:   []string{h.resource},
			Scope:       new(h.scope()),
		},
	}}
}

// matchConditions skip updates that change nothing that the webhooks guard, so that the garbage collector, the namespace
// controller and finalizers do not wait for a manager that is gone.
func matchConditions() []admissionregistrationv1.MatchCondition {
	annotation := "metadata.?annotations[?'" + shared.AnnotationRequestedBy + "']"
	return []admissionregistrationv1.MatchCondition{{
		Name: "guarded-change",
		Expression: "request.operation != 'UPDATE' || object.?spec != oldObject.?spec || " +
			"object.metadata.?ownerReferences != oldObject.metadata.?ownerReferences || " +
			"object." + annotation + " != oldObject." + annotation,
	}}
}

// Configurations are the two webhook configurations for an installation in namespace, without CA: who provides the
// certificates injects it.
func Configurations(namespace string) (*admissionregistrationv1.MutatingWebhookConfiguration, *admissionregistrationv1.ValidatingWebhookConfiguration) {
	group := admissionregistrationv1.SchemeGroupVersion.String()
	mutating := &admissionregistrationv1.MutatingWebhookConfiguration{
		TypeMeta:   metav1.TypeMeta{APIVersion: group, Kind: "MutatingWebhookConfiguration"},
		ObjectMeta: metav1.ObjectMeta{Name: ConfigurationName},
	}
	validating := &admissionregistrationv1.ValidatingWebhookConfiguration{
		TypeMeta:   metav1.TypeMeta{APIVersion: group, Kind: "ValidatingWebhookConfiguration"},
		ObjectMeta: metav1.ObjectMeta{Name: ConfigurationName},
	}
	client := func(path string) admissionregistrationv1.WebhookClientConfig {
		return admissionregistrationv1.WebhookClientConfig{Service: &admissionregistrationv1.ServiceReference{
			Namespace: namespace, Name: ServiceName, Path: new(path), Port: new(int32(servicePort)),
		}}
	}
	for _, h := range hooks() {
		validating.Webhooks = append(validating.Webhooks, admissionregistrationv1.ValidatingWebhook{
			Name:                    h.name("validate"),
			ClientConfig:            client(h.validatePath()),
			Rules:                   h.rules(),
			FailurePolicy:           new(admissionregistrationv1.Fail),
			MatchPolicy:             new(admissionregistrationv1.Equivalent),
			SideEffects:             new(admissionregistrationv1.SideEffectClassNone),
			TimeoutSeconds:          new(int32(timeoutSeconds)),
			AdmissionReviewVersions: []string{"v1"},
			MatchConditions:         matchConditions(),
		})
		if h.complete {
			continue
		}
		mutating.Webhooks = append(mutating.Webhooks, admissionregistrationv1.MutatingWebhook{
			Name:                    h.name("default"),
			ClientConfig:            client(h.mutatePath()),
			Rules:                   h.rules(),
			FailurePolicy:           new(admissionregistrationv1.Fail),
			MatchPolicy:             new(admissionregistrationv1.Equivalent),
			SideEffects:             new(admissionregistrationv1.SideEffectClassNone),
			TimeoutSeconds:          new(int32(timeoutSeconds)),
			ReinvocationPolicy:      new(h.reinvocation()),
			AdmissionReviewVersions: []string{"v1"},
			MatchConditions:         matchConditions(),
		})
	}
	validating.Webhooks = append(validating.Webhooks, guardWebhooks(namespace, client)...)
	return mutating, validating
}

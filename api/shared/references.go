package shared

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
)

// ObjectReference names one object of Kubernaut in the namespace of the object that holds the reference.
type ObjectReference struct {
	// name is the name of the referenced object.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`
	// uid is the UID of the referenced object: an object of the same name that was created later is another one.
	// +required
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	UID types.UID `json:"uid,omitempty"`
}

// Target names the cluster object that is to be repaired or changed.
type Target struct {
	// apiVersion is the group and version of the target, such as apps/v1.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	APIVersion string `json:"apiVersion,omitempty"`
	// kind is the kind of the target, such as Deployment.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Kind string `json:"kind,omitempty"`
	// namespace is the namespace of the target; empty for a cluster-scoped target. On a RemediationRequest, admission fills
	// in the namespace of the request for a namespaced target that names none.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Namespace string `json:"namespace,omitempty"`
	// name is the name of the target.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`
}

// GroupVersionKind is the parsed type of the target; an apiVersion that does not parse gives an empty group and version.
func (t Target) GroupVersionKind() schema.GroupVersionKind {
	return schema.FromAPIVersionAndKind(t.APIVersion, t.Kind)
}

// Key identifies the target within the cluster, for maps and sorted output.
func (t Target) Key() string {
	return t.APIVersion + "/" + t.Kind + "/" + t.Namespace + "/" + t.Name
}

// String is the form that people read: Deployment shop/cart, or Node worker-1.
func (t Target) String() string {
	if t.Namespace == "" {
		return t.Kind + " " + t.Name
	}
	return t.Kind + " " + t.Namespace + "/" + t.Name
}

// OwnedObject is one link of an owner chain.
type OwnedObject struct {
	// apiVersion is the group and version of the object.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	APIVersion string `json:"apiVersion,omitempty"`
	// kind is the kind of the object.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Kind string `json:"kind,omitempty"`
	// name is the name of the object.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`
	// uid is the UID of the object.
	// +required
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	UID types.UID `json:"uid,omitempty"`
}

// Requester is who asked for something, as the API server authenticated them. Admission stamps it; a client leaves it out.
type Requester struct {
	// username is the authenticated user name.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Username string `json:"username,omitempty"`
	// uid is the UID of the user, where the authenticator gives one.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	UID string `json:"uid,omitempty"`
	// groups are the groups the user is in.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=1000
	// +kubebuilder:validation:items:MaxLength=512
	Groups []string `json:"groups,omitempty"`
	// extra is what else the authenticator said about the user.
	// +optional
	// +kubebuilder:validation:MaxProperties=64
	Extra map[string]ExtraValue `json:"extra,omitempty"`
}

// ExtraValue is one list of values of a requester's extra fields.
// +listType=atomic
// +kubebuilder:validation:MaxItems=64
// +kubebuilder:validation:items:MaxLength=1024
type ExtraValue []string

// SignalContext is what the signal source knew when it asked for a remediation.
type SignalContext struct {
	// name is the name of the alert, such as KubeDeploymentRolloutStuck.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`
	// severity is how bad the signal source says it is.
	// +optional
	// +kubebuilder:default=warning
	Severity Severity `json:"severity,omitempty"`
	// fingerprint is the identity of the signal: 64 hexadecimal digits. Admission sets the SHA-256 of name:namespace:kind:name
	// of signal and target where the source gives none.
	// +optional
	// +kubebuilder:validation:Pattern=`^[0-9a-f]{64}$`
	// +kubebuilder:validation:MaxLength=64
	Fingerprint string `json:"fingerprint,omitempty"`
	// source is the system that the signal came from, such as prometheus.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Source string `json:"source,omitempty"`
	// labels are the labels of the alert.
	// +optional
	// +kubebuilder:validation:MaxProperties=64
	Labels map[string]LabelText `json:"labels,omitempty"`
	// annotations are the annotations of the alert.
	// +optional
	// +kubebuilder:validation:MaxProperties=64
	Annotations map[string]AnnotationText `json:"annotations,omitempty"`
	// firingTime is when the alert began to fire.
	// +optional
	FiringTime *metav1.Time `json:"firingTime,omitempty"`
	// receivedTime is when the signal source received the alert.
	// +optional
	ReceivedTime *metav1.Time `json:"receivedTime,omitempty"`
}

// LabelText is the value of an alert's label.
// +kubebuilder:validation:MaxLength=1024
type LabelText string

// AnnotationText is the value of an alert's annotation.
// +kubebuilder:validation:MaxLength=4096
type AnnotationText string

// Severity is how bad a signal is.
// +kubebuilder:validation:Enum=critical;warning;info
type Severity string

// The severities of a signal, the worst first.
const (
	SeverityCritical Severity = "critical"
	SeverityWarning  Severity = "warning"
	SeverityInfo     Severity = "info"
)

// Mode says whether a remediation may have an effect.
// +kubebuilder:validation:Enum=Remediate;DryRun
type Mode string

// The modes of a remediation or workflow.
const (
	// ModeRemediate repairs the target.
	ModeRemediate Mode = "Remediate"
	// ModeDryRun does everything up to and including the server-side dry run, and changes nothing.
	ModeDryRun Mode = "DryRun"
)

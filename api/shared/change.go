package shared

import (
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

// FieldChange is one field of an object and its value before and after a change.
type FieldChange struct {
	// path is the path of the field as a JSON pointer, such as /spec/replicas.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	Path string `json:"path,omitempty"`
	// before is the value before the change; absent when the field was not set.
	// +optional
	Before *apiextensionsv1.JSON `json:"before,omitempty"`
	// after is the value after the change; absent when the field is removed.
	// +optional
	After *apiextensionsv1.JSON `json:"after,omitempty"`
}

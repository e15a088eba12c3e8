// Package v1 is version v1 of the group remediation.kubernaut.io: RemediationRequest.
//
// +kubebuilder:object:generate=true
// +groupName=remediation.kubernaut.io
package v1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

var (
	// GroupVersion is the group and version of the kinds of this package.
	GroupVersion = schema.GroupVersion{Group: "remediation.kubernaut.io", Version: "v1"}

	schemeBuilder = runtime.NewSchemeBuilder(addKnownTypes)

	// AddToScheme adds the kinds of this package to a scheme.
	AddToScheme = schemeBuilder.AddToScheme
)

func addKnownTypes(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(GroupVersion, &RemediationRequest{}, &RemediationRequestList{})
	metav1.AddToGroupVersion(scheme, GroupVersion)
	return nil
}

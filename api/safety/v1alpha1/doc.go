// Package v1alpha1 is version v1alpha1 of the group safety.kubernaut.io: SafetyPolicy and ApprovalRequest.
//
// +kubebuilder:object:generate=true
// +groupName=safety.kubernaut.io
package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

var (
	// GroupVersion is the group and version of the kinds of this package.
	GroupVersion = schema.GroupVersion{Group: "safety.kubernaut.io", Version: "v1alpha1"}

	schemeBuilder = runtime.NewSchemeBuilder(addKnownTypes)

	// AddToScheme adds the kinds of this package to a scheme.
	AddToScheme = schemeBuilder.AddToScheme
)

func addKnownTypes(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(GroupVersion, &SafetyPolicy{}, &SafetyPolicyList{}, &ApprovalRequest{}, &ApprovalRequestList{})
	metav1.AddToGroupVersion(scheme, GroupVersion)
	return nil
}

// Package v1 is version v1 of the group kubernetesexecution.kubernaut.io: KubernetesExecution.
//
// +kubebuilder:object:generate=true
// +groupName=kubernetesexecution.kubernaut.io
package v1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

var (
	// GroupVersion is the group and version of the kinds of this package.
	GroupVersion = schema.GroupVersion{Group: "kubernetesexecution.kubernaut.io", Version: "v1"}

	schemeBuilder = runtime.NewSchemeBuilder(addKnownTypes)

	// AddToScheme adds the kinds of this package to a scheme.
	AddToScheme = schemeBuilder.AddToScheme
)

func addKnownTypes(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(GroupVersion, &KubernetesExecution{}, &KubernetesExecutionList{})
	metav1.AddToGroupVersion(scheme, GroupVersion)
	return nil
}

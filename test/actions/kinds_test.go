package actions

import (
	"slices"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// touchedKind is a kind that some action touches, or that none may.
type touchedKind struct {
	schema.GroupVersionKind

	resource   string
	namespaced bool
}

func touchedKinds() []touchedKind {
	kind := func(group, kind, resource string, namespaced bool) touchedKind {
		return touchedKind{schema.GroupVersionKind{Group: group, Version: "v1", Kind: kind}, resource, namespaced}
	}
	return []touchedKind{
		kind("apps", "Deployment", "deployments", true), kind("apps", "StatefulSet", "statefulsets", true), kind("apps", "DaemonSet", "daemonsets", true),
		kind("apps", "ReplicaSet", "replicasets", true), kind("", "Pod", "pods", true), kind("", "Node", "nodes", false),
		kind("", "ConfigMap", "configmaps", true), kind("", "Secret", "secrets", true), kind("", "ServiceAccount", "serviceaccounts", true),
		kind("kubernetesexecution.kubernaut.io", "KubernetesExecution", "kubernetesexecutions", true),
	}
}

// object is one that is not there.
func (k touchedKind) object(namespace string) *unstructured.Unstructured {
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(k.GroupVersionKind)
	object.SetName("absent")
	if k.namespaced {
		object.SetNamespace(namespace)
	}
	return object
}

func (k touchedKind) list() *unstructured.UnstructuredList {
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(k.GroupVersionKind)
	list.SetKind(k.Kind + "List")
	return list
}

// expectAllowed wants a request refused, unless it is among those allowed.
func (*scene) expectAllowed(err error, allowed []string, what string) {
	GinkgoHelper()
	Expect(apierrors.IsForbidden(err)).To(Equal(!slices.Contains(allowed, what)), "%s: %v", what, err)
}

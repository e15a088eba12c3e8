// Package shared holds what several kinds of the API have in common: references, the action union, workflow
// definitions, the facts of an enrichment, and the names of labels, annotations, finalizers, conditions and children.
//
// +kubebuilder:object:generate=true
package shared

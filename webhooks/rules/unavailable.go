package rules

import (
	"k8s.io/apimachinery/pkg/util/validation/field"

	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
)

// This file lists what the API can express and no controller carries out yet. Admission refuses it, so that nobody believes
// that something was stopped, approved or undone when it was not. The change that brings a feature deletes its entry.

// unavailable is one such value: where a spec asks for it, and what to tell who asks.
type unavailable[Spec any] struct {
	asked  func(*Spec) []*field.Path
	advice string
}

func unavailableInWorkflows() []unavailable[workflowexecutionv1.WorkflowExecutionSpec] {
	type spec = workflowexecutionv1.WorkflowExecutionSpec
	return []unavailable[spec]{
		{
			asked: func(s *spec) []*field.Path {
				strategy := s.ExecutionStrategy
				required := strategy != nil && strategy.ApprovalRequired != nil && *strategy.ApprovalRequired
				return at(required, "executionStrategy", "approvalRequired")
			},
			advice: "no controller of this version waits for an approval: leave it out, or have the change reviewed before you create the workflow",
		},
	}
}

// at is the path below spec if asked, and nothing otherwise.
func at(asked bool, name string, more ...string) []*field.Path {
	if !asked {
		return nil
	}
	return []*field.Path{specPath().Child(name, more...)}
}

func refuseUnavailable[Spec any](spec *Spec, list []unavailable[Spec]) (errs field.ErrorList) {
	for _, entry := range list {
		for _, path := range entry.asked(spec) {
			errs = append(errs, field.Forbidden(path, entry.advice))
		}
	}
	return errs
}

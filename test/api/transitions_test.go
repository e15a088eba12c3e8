package api

import (
	"encoding/json"
	"maps"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const immutable = "is immutable after creation"

var _ = Describe("Immutability", func() {
	DescribeTable("of every field of a spec",
		func(ctx SpecContext, manifest string, edit change, field string) {
			o := object(manifest)
			Expect(api.Create(ctx, o)).To(Succeed())
			set(o, edit.path, edit.value)
			expectInvalid(api.Update(ctx, o), field, immutable)
		},
		Entry(nil, requestManifest, change{"spec.signalContext.name", "Other"}, "spec.signalContext"),
		Entry(nil, requestManifest, change{"spec.signalContext.labels", "yaml:{a: b}"}, "spec.signalContext"),
		Entry(nil, requestManifest, change{"spec.target.name", "other"}, "spec.target"),
		Entry(nil, requestManifest, change{"spec.target.namespace", nil}, "spec.target"),
		Entry(nil, requestManifest, change{"spec.mode", "DryRun"}, "spec.mode"),
		Entry(nil, requestManifest, change{"spec.maxRecoveryAttempts", int64(4)}, "spec.maxRecoveryAttempts"),
		Entry(nil, requestManifest, change{"spec.ttlAfterFinished", "1h"}, "spec.ttlAfterFinished"),
		Entry(nil, requestManifest, change{"spec.timeouts.overall", "2h"}, "spec.timeouts"),
		Entry(nil, requestManifest, change{"spec.requestedBy.username", "bob"}, "spec.requestedBy"),
		Entry(nil, requestManifest, change{"spec.requestedBy.groups", "yaml:[admins]"}, "spec.requestedBy"),
		Entry(nil, processingManifest, change{"spec.target.name", "other"}, "spec"),
		Entry(nil, processingManifest, change{"spec.isRecoveryAttempt", true}, "spec"),
		Entry(nil, analysisManifest, change{"spec.failureReason", "other"}, "spec"),
		Entry(nil, analysisManifest, change{"spec.enrichment", "yaml:{namespaceLabels: {a: b}}"}, "spec"),
		Entry(nil, workflowManifest, change{"spec.remediationRequestRef", "yaml:{name: r, uid: u}"}, "spec.remediationRequestRef"),
		Entry(nil, workflowManifest, change{"spec.requestedBy.username", "bob"}, "spec.requestedBy"),
		Entry(nil, workflowManifest, change{stepPath + ".action.scaleDeployment.replicas", int64(4)}, "spec.workflowDefinition"),
		Entry(nil, workflowManifest, change{"spec.workflowDefinition.version", "2"}, "spec.workflowDefinition"),
		Entry(nil, workflowManifest, change{"spec.executionStrategy.dryRunFirst", false}, "spec.executionStrategy"),
		Entry(nil, workflowManifest, change{"spec.mode", "DryRun"}, "spec.mode"),
		Entry(nil, workflowManifest, change{"spec.ttlAfterFinished", "1h"}, "spec.ttlAfterFinished"),
		Entry(nil, workflowManifest, change{"spec.timeouts.workflow", "1h"}, "spec.timeouts"),
		Entry(nil, workflowManifest, change{"spec.stabilizationWindow", "0s"}, "spec.stabilizationWindow"),
		Entry(nil, workflowManifest, change{"spec.rollbackOf", "yaml:{name: w, uid: u}"}, "spec.rollbackOf"),
		Entry(nil, executionManifest, change{"spec.workflowExecutionRef.uid", "other"}, "spec.workflowExecutionRef"),
		Entry(nil, executionManifest, change{"spec.stepIndex", int64(1)}, "spec.stepIndex"),
		Entry(nil, executionManifest, change{"spec.stepName", "other"}, "spec.stepName"),
		Entry(nil, executionManifest, change{"spec.attempt", int64(2)}, "spec.attempt"),
		Entry(nil, executionManifest, change{"spec.purpose", "RollBack"}, "spec.purpose"),
		Entry(nil, executionManifest, change{"spec.action.scaleDeployment.replicas", int64(4)}, "spec.action"),
		Entry(nil, executionManifest, change{"spec.timeout", "1m"}, "spec.timeout"),
		Entry(nil, executionManifest, change{"spec.expectedTarget", "yaml:{uid: u}"}, "spec.expectedTarget"),
		Entry(nil, executionManifest, change{"spec.planDigest", "1111111111111111111111111111111111111111111111111111111111111111"}, "spec.planDigest"),
		Entry(nil, executionManifest, change{"spec.restoreFrom", "w-s0-a1"}, "spec.restoreFrom"),
	)
})

var _ = Describe("What is mutable", func() {
	DescribeTable("moves only in the allowed direction",
		func(ctx SpecContext, manifest, path string, values []any, refused any, words string) {
			o := object(manifest)
			Expect(api.Create(ctx, o)).To(Succeed())
			for _, value := range values {
				set(o, path, value)
				Expect(api.Update(ctx, o)).To(Succeed(), "%v", value)
			}
			if words != "" {
				set(o, path, refused)
				expectInvalid(api.Update(ctx, o), path, words)
			}
		},
		Entry("a request is cancelled once", requestManifest, "spec.cancel", []any{false, true}, false, "cannot be taken back"),
		Entry("a request stays cancelled", requestManifest, "spec.cancel", []any{true}, nil, "cannot be taken back"),
		Entry("an execution is cancelled once", executionManifest, "spec.cancel", []any{true}, nil, "cannot be taken back"),
		Entry("a workflow is cancelled harder and harder", workflowManifest, "spec.cancel", []any{"FinishStep", "Abort", "AbortAndRollBack"}, "Abort", "moves only towards harder"),
		Entry("it may skip a way", workflowManifest, "spec.cancel", []any{"FinishStep", "AbortAndRollBack"}, "FinishStep", "moves only towards harder"),
		Entry("it stays cancelled", workflowManifest, "spec.cancel", []any{"FinishStep"}, nil, "moves only towards harder"),
		Entry("Abort does not become milder", workflowManifest, "spec.cancel", []any{"Abort"}, "FinishStep", "moves only towards harder"),
		Entry("a workflow is suspended and resumed", workflowManifest, "spec.suspend", []any{true, false, true, nil}, nil, ""),
	)
})

var _ = Describe("A terminal phase", func() {
	DescribeTable("never changes",
		func(ctx SpecContext, manifest, member, active, terminal, other string) {
			o := object(manifest)
			Expect(api.Create(ctx, o)).To(Succeed())
			for _, phase := range []string{active, terminal} {
				set(o, "status", map[string]any{member: phase})
				Expect(api.Status().Update(ctx, o)).To(Succeed(), phase)
			}
			set(o, "status.observedGeneration", int64(1))
			Expect(api.Status().Update(ctx, o)).To(Succeed(), "the rest of the status may still change")
			for _, phase := range []any{active, other, nil} {
				changed := o.DeepCopy()
				set(changed, "status."+member, phase)
				err := api.Status().Update(ctx, changed)
				Expect(err).To(MatchError(ContainSubstring("status."+member+" is terminal")), "%v", phase)
			}
			set(o, "status."+member, "nonsense")
			expectInvalid(api.Status().Update(ctx, o), "status."+member, "Unsupported value")
		},
		Entry("RemediationRequest", requestManifest, "overallPhase", "executing", "completed", "failed"),
		Entry("RemediationRequest that failed", requestManifest, "overallPhase", "pending", "failed", "completed"),
		Entry("RemediationProcessing", processingManifest, "phase", "enriching", "completed", "failed"),
		Entry("AIAnalysis", analysisManifest, "phase", "analyzing", "failed", "completed"),
		Entry("WorkflowExecution", workflowManifest, "phase", "rolling_back", "failed", "completed"),
		Entry("KubernetesExecution", executionManifest, "phase", "executing", "completed", "failed"),
	)

	It("cannot be set through the main resource", func(ctx SpecContext) {
		o := object(workflowManifest)
		set(o, "status", map[string]any{"phase": "completed"})
		Expect(api.Create(ctx, o)).To(Succeed())
		Expect(o.Object).NotTo(HaveKey("status"))
	})
})

var _ = Describe("What has one writer", func() {
	DescribeTable("is owned as a whole: a status write of a large object costs the API server little",
		func(ctx SpecContext, manifest, phase string, specs ...string) {
			o := object(manifest)
			Expect(api.Create(ctx, o)).To(Succeed())
			set(o, "status", map[string]any{phase: "completed", "conditions": []any{map[string]any{
				"type": "Ready", "status": "True", "reason": "Test", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z",
			}}})
			Expect(api.Status().Update(ctx, o)).To(Succeed())
			owned := map[string]any{}
			for _, entry := range o.GetManagedFields() {
				var fields map[string]any
				Expect(json.Unmarshal(entry.FieldsV1.GetRawBytes(), &fields)).To(Succeed())
				maps.Copy(owned, fields)
			}
			Expect(owned).To(HaveKeyWithValue("f:status", BeEmpty()))
			for _, spec := range specs {
				Expect(owned["f:spec"]).To(HaveKeyWithValue("f:"+spec, BeEmpty()))
			}
		},
		Entry("RemediationRequest", requestManifest, "overallPhase", "signalContext", "target", "timeouts", "requestedBy"),
		Entry("RemediationProcessing", processingManifest, "phase"),
		Entry("AIAnalysis", analysisManifest, "phase"),
		Entry("WorkflowExecution", workflowManifest, "phase", "workflowDefinition", "executionStrategy", "timeouts", "requestedBy"),
		Entry("KubernetesExecution", executionManifest, "phase", "action", "workflowExecutionRef"),
	)

	It("does not include suspend: who applies the manifest again does not take it back", func(ctx SpecContext) {
		o := object(workflowManifest)
		o.SetGenerateName("")
		o.SetName("applied-twice")
		apply := func() {
			Expect(api.Apply(ctx, client.ApplyConfigurationFromUnstructured(o.DeepCopy()), client.FieldOwner("git"))).To(Succeed())
		}
		apply()
		suspended := o.DeepCopy()
		Expect(api.Patch(ctx, suspended, client.RawPatch(types.MergePatchType, []byte(`{"spec":{"suspend":true}}`)))).To(Succeed())
		apply()
		Expect(api.Get(ctx, client.ObjectKeyFromObject(o), suspended)).To(Succeed())
		Expect(suspended.Object["spec"]).To(HaveKeyWithValue("suspend", true))
	})
})

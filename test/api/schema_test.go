package api

import (
	"fmt"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

const (
	stepPath   = "spec.workflowDefinition.steps.0"
	stepField  = "spec.workflowDefinition.steps[0]"
	fortyTwo   = int64(42)
	outOfRange = "must be from "
)

var _ = Describe("Defaults", func() {
	DescribeTable("are those of the API's description",
		func(ctx SpecContext, manifest string, want map[string]any) {
			o := object(manifest)
			Expect(api.Create(ctx, o)).To(Succeed())
			for path, value := range want {
				Expect(get(o, path)).To(Equal(value), path)
			}
		},
		Entry("RemediationRequest", requestManifest, map[string]any{
			"spec.mode": "Remediate", "spec.maxRecoveryAttempts": int64(3), "spec.ttlAfterFinished": "24h0m0s", "spec.signalContext.severity": "warning",
			"spec.timeouts.processing": "5m0s", "spec.timeouts.analyzing": "10m0s", "spec.timeouts.overall": "1h0m0s",
		}),
		Entry("WorkflowExecution", workflowManifest, map[string]any{
			"spec.mode": "Remediate", "spec.ttlAfterFinished": "24h0m0s", "spec.stabilizationWindow": "15s",
			"spec.timeouts.planning": "30s", "spec.timeouts.validation": "5m0s", "spec.timeouts.monitoring": "10m0s",
			"spec.timeouts.rollback": "10m0s", "spec.timeouts.hold": "24h0m0s", "spec.timeouts.approval": "1h0m0s",
			"spec.executionStrategy.approvalRequired": false, "spec.executionStrategy.dryRunFirst": true,
			"spec.executionStrategy.rollbackStrategy": "Automatic", "spec.executionStrategy.maxParallelSteps": int64(5),
			stepPath + ".critical": true, stepPath + ".maxRetries": int64(0), stepPath + ".timeout": "5m0s", stepPath + ".rollback": "Captured",
			"spec.workflowDefinition.steps.1.action.updateImage.kind": "Deployment",
		}),
		Entry("KubernetesExecution", executionManifest, map[string]any{"spec.timeout": "5m0s"}),
	)
})

// change is one edit of a manifest.
type change struct {
	path  string
	value any
}

func steps(n int) string {
	var text strings.Builder
	text.WriteString("yaml:")
	for i := range n {
		fmt.Fprintf(&text, "\n- {name: s%d, action: {type: notify-only, notifyOnly: {message: x}}}", i)
	}
	return text.String()
}

var _ = Describe("Bounds", func() {
	DescribeTable("refuse, and name the field",
		func(ctx SpecContext, manifest string, edit change, field, words string) {
			o := object(manifest)
			Expect(api.Create(ctx, o.DeepCopy())).To(Succeed(), "the manifest itself is valid")
			set(o, edit.path, edit.value)
			expectInvalid(api.Create(ctx, o), field, words)
		},
		// actions
		Entry("too many replicas", workflowManifest, change{stepPath + ".action.scaleDeployment.replicas", int64(1001)}, stepField+".action.scaleDeployment.replicas", "less than or equal to 1000"),
		Entry("negative replicas", workflowManifest, change{stepPath + ".action.scaleDeployment.replicas", int64(-1)}, stepField+".action.scaleDeployment.replicas", "greater than or equal to 0"),
		Entry("no replicas", workflowManifest, change{stepPath + ".action.scaleDeployment.replicas", nil}, stepField+".action.scaleDeployment.replicas", "Required"),
		Entry("a negative revision", workflowManifest, change{stepPath + ".action", "yaml:{type: rollback-deployment, rollbackDeployment: {namespace: shop, name: cart, revision: -1}}"}, stepField+".action.rollbackDeployment.revision", "greater than or equal to 0"),
		Entry("an unknown action", workflowManifest, change{stepPath + ".action.type", "delete-everything"}, stepField+".action.type", "Unsupported value"),
		Entry("an alias of an action", workflowManifest, change{stepPath + ".action.type", "scale_deployment"}, stepField+".action.type", "Unsupported value"),
		Entry("the wrong member", workflowManifest, change{stepPath + ".action", "yaml:{type: scale-deployment, notifyOnly: {message: x}}"}, stepField+".action.scaleDeployment", "is required when type is scale-deployment"),
		Entry("two members", workflowManifest, change{stepPath + ".action.notifyOnly", "yaml:{message: x}"}, stepField+".action.notifyOnly", "forbidden otherwise"),
		Entry("no member", workflowManifest, change{stepPath + ".action", "yaml:{type: update-image}"}, stepField+".action.updateImage", "is required when type is update-image"),
		Entry("no type", workflowManifest, change{stepPath + ".action.type", nil}, stepField+".action.type", "Required"),
		Entry("a kind without a pod template", workflowManifest, change{"spec.workflowDefinition.steps.1.action.updateImage.kind", "Pod"}, "spec.workflowDefinition.steps[1].action.updateImage.kind", "Unsupported value"),
		Entry("an empty message", workflowManifest, change{stepPath + ".action", "yaml:{type: notify-only, notifyOnly: {message: ''}}"}, stepField+".action.notifyOnly.message", "at least 1"),
		// steps
		Entry("101 steps", workflowManifest, change{"spec.workflowDefinition.steps", steps(101)}, "spec.workflowDefinition.steps", "must have at most 100 items"),
		Entry("no steps", workflowManifest, change{"spec.workflowDefinition.steps", []any{}}, "spec.workflowDefinition.steps", "at least 1 items"),
		Entry("a step name with capitals", workflowManifest, change{stepPath + ".name", "Scale"}, stepField+".name", "should match"),
		Entry("a step name that is too long", workflowManifest, change{stepPath + ".name", strings.Repeat("a", 64)}, stepField+".name", "may not be more than 63 bytes"),
		Entry("a workflow name with a dot", workflowManifest, change{"spec.workflowDefinition.name", "a.b"}, "spec.workflowDefinition.name", "should match"),
		Entry("two steps of one name", workflowManifest, change{"spec.workflowDefinition.steps.1.name", "scale"}, "spec.workflowDefinition.steps[1]", "Duplicate"),
		Entry("a dependency twice", workflowManifest, change{"spec.workflowDefinition.steps.1.dependsOn", "yaml:[scale, scale]"}, "spec.workflowDefinition.steps[1].dependsOn[1]", "Duplicate"),
		Entry("six retries", workflowManifest, change{stepPath + ".maxRetries", int64(6)}, stepField+".maxRetries", "less than or equal to 5"),
		Entry("a rollback action without its kind", workflowManifest, change{stepPath + ".rollbackAction", "yaml:{type: notify-only, notifyOnly: {message: x}}"}, stepField+".rollbackAction", "is required when rollback is Action, and forbidden otherwise"),
		Entry("a rollback kind without its action", workflowManifest, change{stepPath + ".rollback", "Action"}, stepField+".rollbackAction", "is required when rollback is Action"),
		Entry("an unknown rollback kind", workflowManifest, change{stepPath + ".rollback", "Undo"}, stepField+".rollback", "Unsupported value"),
		Entry("a time-out of 0s", workflowManifest, change{stepPath + ".timeout", "0s"}, stepField+".timeout", outOfRange+"1s to 2h"),
		Entry("a time-out of 3h", workflowManifest, change{stepPath + ".timeout", "3h"}, stepField+".timeout", outOfRange+"1s to 2h"),
		Entry("a time-out of garbage", workflowManifest, change{stepPath + ".timeout", "soon"}, stepField+".timeout", ""),
		Entry("a time-out that is a number", workflowManifest, change{stepPath + ".timeout", fortyTwo}, stepField+".timeout", "must be of type string"),
		// workflow
		Entry("21 steps at once", workflowManifest, change{"spec.executionStrategy.maxParallelSteps", int64(21)}, "spec.executionStrategy.maxParallelSteps", "less than or equal to 20"),
		Entry("no step at once", workflowManifest, change{"spec.executionStrategy.maxParallelSteps", int64(0)}, "spec.executionStrategy.maxParallelSteps", "greater than or equal to 1"),
		Entry("an unknown rollback strategy", workflowManifest, change{"spec.executionStrategy.rollbackStrategy", "Sometimes"}, "spec.executionStrategy.rollbackStrategy", "Unsupported value"),
		Entry("an unknown mode", workflowManifest, change{"spec.mode", "Pretend"}, "spec.mode", "Unsupported value"),
		Entry("neither a definition nor a rollback", workflowManifest, change{"spec.workflowDefinition", nil}, "spec", "exactly one of workflowDefinition and rollbackOf is set"),
		Entry("both a definition and a rollback", workflowManifest, change{"spec.rollbackOf", "yaml:{name: w, uid: u}"}, "spec", "exactly one of workflowDefinition and rollbackOf is set"),
		Entry("no requester", workflowManifest, change{"spec.requestedBy", nil}, "spec.requestedBy", "Required"),
		Entry("an unknown way to cancel", workflowManifest, change{"spec.cancel", "Now"}, "spec.cancel", "Unsupported value"),
		Entry("planning for 11m", workflowManifest, change{"spec.timeouts.planning", "11m"}, "spec.timeouts.planning", outOfRange+"1s to 10m"),
		Entry("validation for 2h", workflowManifest, change{"spec.timeouts.validation", "2h"}, "spec.timeouts.validation", outOfRange+"1s to 1h"),
		Entry("monitoring for 0s", workflowManifest, change{"spec.timeouts.monitoring", "0s"}, "spec.timeouts.monitoring", outOfRange+"1s to 2h"),
		Entry("rollback for 3h", workflowManifest, change{"spec.timeouts.rollback", "3h"}, "spec.timeouts.rollback", outOfRange+"1s to 2h"),
		Entry("a workflow of 3h", workflowManifest, change{"spec.timeouts.workflow", "3h"}, "spec.timeouts.workflow", outOfRange+"1s to 2h"),
		Entry("an approval of 169h", workflowManifest, change{"spec.timeouts.approval", "169h"}, "spec.timeouts.approval", outOfRange+"1s to 168h"),
		Entry("a hold of 721h", workflowManifest, change{"spec.timeouts.hold", "721h"}, "spec.timeouts.hold", outOfRange+"1s to 720h"),
		Entry("a negative window", workflowManifest, change{"spec.stabilizationWindow", "-1s"}, "spec.stabilizationWindow", outOfRange+"0s to 1h"),
		Entry("kept for two years", workflowManifest, change{"spec.ttlAfterFinished", "17520h"}, "spec.ttlAfterFinished", outOfRange+"0s to 8760h"),
		// request
		Entry("no signal name", requestManifest, change{"spec.signalContext", "yaml:{source: x}"}, "spec.signalContext.name", "Required"),
		Entry("an unknown severity", requestManifest, change{"spec.signalContext.severity", "urgent"}, "spec.signalContext.severity", "Unsupported value"),
		Entry("a fingerprint with capitals", requestManifest, change{"spec.signalContext.fingerprint", strings.Repeat("A", 64)}, "spec.signalContext.fingerprint", "should match"),
		Entry("a short fingerprint", requestManifest, change{"spec.signalContext.fingerprint", strings.Repeat("a", 63)}, "spec.signalContext.fingerprint", "should match"),
		Entry("a label that is too long", requestManifest, change{"spec.signalContext.labels", map[string]any{"a": strings.Repeat("x", 1025)}}, "spec.signalContext.labels.a", "may not be more than 1024 bytes"),
		Entry("no target", requestManifest, change{"spec.target", nil}, "spec.target", "Required"),
		Entry("11 recoveries", requestManifest, change{"spec.maxRecoveryAttempts", int64(11)}, "spec.maxRecoveryAttempts", "less than or equal to 10"),
		Entry("processing for 2h", requestManifest, change{"spec.timeouts.processing", "2h"}, "spec.timeouts.processing", outOfRange+"1s to 1h"),
		Entry("analyzing for 0s", requestManifest, change{"spec.timeouts.analyzing", "0s"}, "spec.timeouts.analyzing", outOfRange+"1s to 1h"),
		Entry("overall for 25h", requestManifest, change{"spec.timeouts.overall", "25h"}, "spec.timeouts.overall", outOfRange+"1s to 24h"),
		Entry("a request without requester", requestManifest, change{"spec.requestedBy", nil}, "spec.requestedBy", "Required"),
		// processing and analysis
		Entry("an 11th recovery's facts", processingManifest, change{"spec.recoveryAttemptNumber", int64(11)}, "spec.recoveryAttemptNumber", "less than or equal to 10"),
		Entry("a reference without UID", processingManifest, change{"spec.remediationRequestRef.uid", nil}, "spec.remediationRequestRef.uid", "Required"),
		Entry("step 100", analysisManifest, change{"spec.failedStep", int64(100)}, "spec.failedStep", "less than or equal to 99"),
		Entry("an analysis of no facts", analysisManifest, change{"spec.remediationProcessingRef", nil}, "spec.remediationProcessingRef", "Required"),
		// execution
		Entry("attempt 0", executionManifest, change{"spec.attempt", int64(0)}, "spec.attempt", "greater than or equal to 1"),
		Entry("attempt 7", executionManifest, change{"spec.attempt", int64(7)}, "spec.attempt", "less than or equal to 6"),
		Entry("step index 100", executionManifest, change{"spec.stepIndex", int64(100)}, "spec.stepIndex", "less than or equal to 99"),
		Entry("an unknown purpose", executionManifest, change{"spec.purpose", "Try"}, "spec.purpose", "Unsupported value"),
		Entry("both an action and a restore", executionManifest, change{"spec.restoreFrom", "w-s0-a1"}, "spec", "exactly one of action and restoreFrom is set"),
		Entry("neither", executionManifest, change{"spec.action", nil}, "spec", "exactly one of action and restoreFrom is set"),
		Entry("a short digest", executionManifest, change{"spec.planDigest", "0"}, "spec.planDigest", "at least 64"),
		Entry("an execution for 3h", executionManifest, change{"spec.timeout", "3h"}, "spec.timeout", outOfRange+"1s to 2h"),
	)

	It("accept what they end in", func(ctx SpecContext) {
		o := object(workflowManifest)
		set(o, "spec.workflowDefinition.steps", steps(100))
		Expect(api.Create(ctx, o)).To(Succeed())

		o = object(workflowManifest)
		set(o, stepPath+".action.scaleDeployment.replicas", int64(1000))
		set(o, stepPath+".timeout", "2h")
		set(o, stepPath+".name", strings.Repeat("a", 63))
		set(o, "spec.workflowDefinition.steps.1.dependsOn", nil)
		Expect(api.Create(ctx, o)).To(Succeed())

		o = object(executionManifest)
		set(o, "spec.purpose", "RollBack")
		set(o, "spec.restoreFrom", "w-s0-a1")
		set(o, "spec.action", nil)
		Expect(api.Create(ctx, o)).To(Succeed())
		refused := object(executionManifest)
		set(refused, "spec.restoreFrom", "w-s0-a1")
		set(refused, "spec.action", nil)
		expectInvalid(api.Create(ctx, refused), "spec.restoreFrom", "is allowed only when purpose is RollBack")
	})
})

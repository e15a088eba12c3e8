package api

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = Describe("The parameters of an action", func() {
	raise := func(amounts string) string {
		return "type: increase-resources, increaseResources: {namespace: shop, name: cart, container: app" + amounts + "}"
	}
	of := func(action string) change { return change{stepPath + ".action", "yaml:{" + action + "}"} }

	DescribeTable("are taken",
		func(ctx SpecContext, action string) {
			o := object(workflowManifest)
			edit := of(action)
			set(o, edit.path, edit.value)
			Expect(api.Create(ctx, o)).To(Succeed())
		},
		Entry("of a restart", "type: restart-deployment, restartDeployment: {namespace: shop, name: cart}"),
		Entry("of a restart of a pod", "type: restart-pod, restartPod: {namespace: shop, name: cart-1, gracePeriodSeconds: 0, force: true}"),
		Entry("of one amount", raise(", memoryLimit: 1Gi")),
		Entry("of amounts that are the same in other units", raise(", memoryRequest: 1Gi, memoryLimit: 1024Mi, cpuRequest: '0.5', cpuLimit: 500m")),
		Entry("of cordoning", "type: cordon-node, cordonNode: {name: worker-1}"),
		Entry("of uncordoning", "type: uncordon-node, uncordonNode: {name: worker-1}"),
	)

	DescribeTable("are refused, and the field is named",
		func(ctx SpecContext, action, field, words string) {
			o := object(workflowManifest)
			edit := of(action)
			set(o, edit.path, edit.value)
			expectInvalid(api.Create(ctx, o), stepField+".action."+field, words)
		},
		Entry("a restart of nothing", "type: restart-deployment, restartDeployment: {namespace: shop}", "restartDeployment.name", "Required"),
		Entry("an hour and a second to end", "type: restart-pod, restartPod: {namespace: shop, name: p, gracePeriodSeconds: 3601}", "restartPod.gracePeriodSeconds", "less than or equal to 3600"),
		Entry("less than no time to end", "type: restart-pod, restartPod: {namespace: shop, name: p, gracePeriodSeconds: -1}", "restartPod.gracePeriodSeconds", "greater than or equal to 0"),
		Entry("no amount", raise(""), "increaseResources", "at least one of memoryRequest, memoryLimit, cpuRequest and cpuLimit is set"),
		Entry("an amount that is none", raise(", memoryLimit: lots"), "increaseResources.memoryLimit", "must be a quantity above 0"),
		Entry("an amount of nothing", raise(", cpuRequest: '0'"), "increaseResources.cpuRequest", "must be a quantity above 0"),
		Entry("an amount below nothing", raise(", cpuLimit: '-1'"), "increaseResources.cpuLimit", "must be a quantity above 0"),
		Entry("more memory promised than allowed", raise(", memoryRequest: 2Gi, memoryLimit: 1Gi"), "increaseResources.memoryRequest", "must not be above memoryLimit"),
		Entry("more CPU promised than allowed", raise(", cpuRequest: '2', cpuLimit: 1500m"), "increaseResources.cpuRequest", "must not be above cpuLimit"),
		Entry("a kind without a pod template", raise(", kind: Pod, cpuLimit: '1'"), "increaseResources.kind", "Unsupported value"),
		Entry("a node without a name", "type: cordon-node, cordonNode: {}", "cordonNode.name", "Required"),
		Entry("the parameters of another action", "type: cordon-node, uncordonNode: {name: worker-1}", "cordonNode", "is required when type is cordon-node"),
	)
})

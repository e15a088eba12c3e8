package api

import "strings"

const (
	requestManifest = `
apiVersion: remediation.kubernaut.io/v1
kind: RemediationRequest
spec:
  signalContext: {name: KubeDeploymentRolloutStuck}
  target: {apiVersion: apps/v1, kind: Deployment, namespace: shop, name: cart}
  requestedBy: {username: alice}
`
	processingManifest = `
apiVersion: remediationprocessing.kubernaut.io/v1
kind: RemediationProcessing
spec:
  remediationRequestRef: {name: r, uid: u}
  signalContext: {name: KubeDeploymentRolloutStuck}
  target: {apiVersion: apps/v1, kind: Deployment, namespace: shop, name: cart}
`
	analysisManifest = `
apiVersion: aianalysis.kubernaut.io/v1
kind: AIAnalysis
spec:
  remediationRequestRef: {name: r, uid: u}
  remediationProcessingRef: {name: p, uid: u}
  signalContext: {name: KubeDeploymentRolloutStuck}
  target: {apiVersion: apps/v1, kind: Deployment, namespace: shop, name: cart}
`
	workflowManifest = `
apiVersion: workflowexecution.kubernaut.io/v1
kind: WorkflowExecution
spec:
  requestedBy: {username: alice}
  workflowDefinition:
    name: repair
    steps:
    - name: scale
      action: {type: scale-deployment, scaleDeployment: {namespace: shop, name: cart, replicas: 3}}
    - name: image
      dependsOn: [scale]
      action: {type: update-image, updateImage: {namespace: shop, name: cart, container: app, image: "cart:1"}}
`
)

var executionManifest = `
apiVersion: kubernetesexecution.kubernaut.io/v1
kind: KubernetesExecution
spec:
  workflowExecutionRef: {name: w, uid: u}
  stepIndex: 0
  stepName: scale
  attempt: 1
  purpose: Execute
  planDigest: "` + strings.Repeat("0", 64) + `"
  action: {type: scale-deployment, scaleDeployment: {namespace: shop, name: cart, replicas: 3}}
`

package facts

import (
	"context"
	"strings"
	"testing"
	"time"

	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	testclock "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"kubernaut.io/kubernaut/api/shared"
	workflowexecutionv1 "kubernaut.io/kubernaut/api/workflowexecution/v1"
	"kubernaut.io/kubernaut/policies/gate"
)

// Steps are prepared and judged beside each other; where one of them panics, the webhook that asked must get an error, and the manager
// must live.
func TestAPreviewThatPanicsIsAnError(t *testing.T) {
	safety, err := gate.New(gate.Options{})
	if err != nil {
		t.Fatal(err)
	}
	c := fake.NewClientBuilder().WithScheme(clientgoscheme.Scheme).WithInterceptorFuncs(interceptor.Funcs{
		Get: func(context.Context, client.WithWatch, client.ObjectKey, client.Object, ...client.GetOption) error {
			panic("at the disco")
		},
	}).Build()
	preview := NewPreview(&Facts{Cache: c, Live: c, Gate: safety, Clock: testclock.NewFakePassiveClock(time.Unix(0, 0))}, c)
	scale := shared.Action{Type: shared.ActionScaleDeployment, ScaleDeployment: &shared.ScaleDeployment{Namespace: "shop", Name: "cart", Replicas: new(int32(1))}}
	notify := shared.Action{Type: shared.ActionNotifyOnly, NotifyOnly: &shared.NotifyOnly{Message: "x"}}
	for name, step := range map[string]shared.Step{"while a step is prepared": {Name: "a", Action: scale}, "while it is judged": {Name: "a", Action: notify}} {
		t.Run(name, func(t *testing.T) {
			workflow := &workflowexecutionv1.WorkflowExecution{Spec: workflowexecutionv1.WorkflowExecutionSpec{
				RemediationRequestRef: &shared.ObjectReference{Name: "r"},
				WorkflowDefinition:    &shared.WorkflowDefinition{Name: "w", Steps: []shared.Step{step}},
			}}
			if _, err := preview.Steps(t.Context(), workflow); err == nil || !strings.Contains(err.Error(), "panicked: at the disco") {
				t.Errorf("have %v", err)
			}
		})
	}
}

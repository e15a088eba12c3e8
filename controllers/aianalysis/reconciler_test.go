package aianalysis

import (
	"context"
	"errors"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/client-go/tools/events"
	testclock "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	aianalysisv1 "kubernaut.io/kubernaut/api/aianalysis/v1"
	"kubernaut.io/kubernaut/api/shared"
	"kubernaut.io/kubernaut/controllers/machinery"
)

// oracle is a provider that says what it is told to.
type oracle struct{ says Analysis }

func (oracle) Name() string { return "oracle" }

func (o oracle) Analyze(context.Context, *aianalysisv1.AIAnalysisSpec) (Analysis, error) {
	return o.says, nil
}

// TestAnAnswerThatTheAPIRefusesEndsTheAnalysis has a provider say what no check of ours knows to be wrong.
func TestAnAnswerThatTheAPIRefusesEndsTheAnalysis(t *testing.T) {
	t.Parallel()
	invalid := apierrors.NewInvalid(schema.GroupKind{Group: "aianalysis.kubernaut.io", Kind: "AIAnalysis"}, "a",
		field.ErrorList{field.TooLong(field.NewPath("status", "recommendation", "rationale"), "", 1024)})
	tests := map[string]struct {
		refusal   error
		wantPhase aianalysisv1.AnalysisPhase
		wantRetry bool
	}{
		"an invalid answer":         {refusal: invalid, wantPhase: aianalysisv1.PhaseFailed},
		"an answer that is too big": {refusal: apierrors.NewRequestEntityTooLargeError("limit is 3145728"), wantPhase: aianalysisv1.PhaseFailed},
		"an API that is away":       {refusal: apierrors.NewInternalError(errors.New("away")), wantRetry: true},
	}
	for sentence, test := range tests {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			scheme := runtime.NewScheme()
			if err := aianalysisv1.AddToScheme(scheme); err != nil {
				t.Fatal(err)
			}
			analysis := ownedAnalysis("request-uid")
			writes := 0
			c := fake.NewClientBuilder().WithScheme(scheme).WithObjects(analysis).WithStatusSubresource(analysis).WithInterceptorFuncs(interceptor.Funcs{
				SubResourceUpdate: func(ctx context.Context, c client.Client, sub string, object client.Object, options ...client.SubResourceUpdateOption) error {
					if written, is := object.(*aianalysisv1.AIAnalysis); is && written.Status.Recommendation != nil {
						return test.refusal
					}
					writes++
					return c.SubResource(sub).Update(ctx, object, options...)
				},
			}).Build()
			recorder := events.NewFakeRecorder(4)
			r := &Reconciler{
				Clients: machinery.Clients{Cached: c, Live: c}, Recorder: recorder, Clock: testclock.NewFakePassiveClock(began),
				Provider: oracle{Analysis{
					RootCause: "a cause", Recommendation: recommendation(step("a")), Alternatives: []aianalysisv1.Alternative{{Name: "x"}},
				}},
			}
			_, err := r.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(analysis)})
			if (err != nil) != test.wantRetry {
				t.Errorf("got %v", err)
			}
			if err := c.Get(t.Context(), client.ObjectKeyFromObject(analysis), analysis); err != nil {
				t.Fatal(err)
			}
			status := analysis.Status
			if status.Phase != test.wantPhase || status.Recommendation != nil || len(status.Alternatives) != 0 || status.RootCause != "" {
				t.Errorf("status is %+v", status)
			}
			if test.wantRetry {
				return
			}
			ready := meta.FindStatusCondition(status.Conditions, shared.ConditionReady)
			if ready.Reason != ReasonInvalidRecommendation || !strings.Contains(ready.Message, "is not used") || writes != 1 || len(recorder.Events) != 1 {
				t.Errorf("after %d writes Ready is %+v", writes, ready)
			}
		})
	}
}

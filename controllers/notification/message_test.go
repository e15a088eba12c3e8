package notification

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	remediationv1 "kubernaut.io/kubernaut/api/remediation/v1"
	"kubernaut.io/kubernaut/api/shared"
)

func escalated() *remediationv1.RemediationRequest {
	return &remediationv1.RemediationRequest{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "cart", UID: "request-uid", Generation: 1},
		Spec: remediationv1.RemediationRequestSpec{
			SignalContext: shared.SignalContext{Name: "KubeDeploymentRolloutStuck", Severity: shared.SeverityCritical},
			Target:        shared.Target{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "shop", Name: "cart"},
			RequestedBy:   shared.Requester{Username: "alice"},
		},
		Status: remediationv1.RemediationRequestStatus{
			OverallPhase: remediationv1.PhaseFailed, Outcome: remediationv1.OutcomeManualReviewRequired, RecoveryAttempts: 2,
			MaxRecoveryAttempts: new(int32(3)), EscalatedToManualReview: true, EscalationReason: "it failed twice",
		},
	}
}

func TestMessage(t *testing.T) {
	t.Parallel()
	got, err := json.MarshalIndent(messageOf(escalated()), "", " ")
	if err != nil {
		t.Fatal(err)
	}
	const want = `{
 "text": "A person must go on with Deployment shop/cart (RemediationRequest shop/cart, ManualReviewRequired): it failed twice",
 "blocks": [
  {
   "type": "header",
   "text": {
    "type": "plain_text",
    "text": "A person must go on with Deployment shop/cart"
   }
  },
  {
   "type": "section",
   "text": {
    "type": "mrkdwn",
    "text": "it failed twice",
    "verbatim": true
   }
  },
  {
   "type": "section",
   "fields": [
    {
     "type": "mrkdwn",
     "text": "*Request*\nshop/cart",
     "verbatim": true
    },
    {
     "type": "mrkdwn",
     "text": "*Outcome*\nManualReviewRequired",
     "verbatim": true
    },
    {
     "type": "mrkdwn",
     "text": "*Signal*\nKubeDeploymentRolloutStuck",
     "verbatim": true
    },
    {
     "type": "mrkdwn",
     "text": "*Severity*\ncritical",
     "verbatim": true
    },
    {
     "type": "mrkdwn",
     "text": "*Recoveries*\n2 of at most 3",
     "verbatim": true
    },
    {
     "type": "mrkdwn",
     "text": "*Asked for by*\nalice",
     "verbatim": true
    }
   ]
  }
 ]
}`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Error(diff)
	}
}

// FuzzMessage holds what a sink relies on: bounds, and that no text from outside calls people or hides behind a link.
func FuzzMessage(f *testing.F) {
	f.Add("<!channel> look at <https://evil.example|this>", "cart")
	f.Add(strings.Repeat("&", 1024), strings.Repeat("x", 253))
	f.Add("\xff\xfe ünïcode", "\u0000")
	f.Fuzz(func(t *testing.T, reason, name string) {
		request := escalated()
		request.Status.EscalationReason, request.Spec.Target.Name, request.Spec.SignalContext.Name = reason, name, reason
		message := messageOf(request)
		if _, err := json.Marshal(message); err != nil {
			t.Fatal(err)
		}
		marked := []string{message.Text, message.Blocks[1].Text.Text}
		for _, field := range message.Blocks[2].Fields {
			marked = append(marked, field.Text)
			if len(field.Text) > longestField {
				t.Errorf("a field has %d bytes", len(field.Text))
			}
		}
		for _, text := range marked {
			if strings.ContainsAny(text, "<>") {
				t.Errorf("unescaped: %q", text)
			}
		}
		if len(message.Blocks[0].Text.Text) > longestHeader || len(message.Blocks[1].Text.Text) > longestBody {
			t.Error("a block is too long")
		}
	})
}

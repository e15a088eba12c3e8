package kubernetesexecution

import (
	"testing"
	"time"

	kubernetesexecutionv1 "kubernaut.io/kubernaut/api/kubernetesexecution/v1"
	"kubernaut.io/kubernaut/api/shared"
)

func TestEveryClassOfFailureHasAReason(t *testing.T) {
	for errorType, want := range map[shared.ErrorType]string{
		shared.ErrorTimeout: "Timeout", shared.ErrorPermissionDenied: "PermissionDenied", shared.ErrorResourceNotFound: "ResourceNotFound",
		shared.ErrorResourceConflict: "ResourceConflict", shared.ErrorResourceQuotaExceeded: "ResourceQuotaExceeded", shared.ErrorValidation: "ValidationError",
		shared.ErrorPolicyDenied: ReasonPolicyDenied, shared.ErrorCancelled: "Cancelled", shared.ErrorIneffective: "Ineffective",
		shared.ErrorApprovalRejected: ReasonApprovalNotCovered, shared.ErrorUnknown: "UnknownError", "new": "UnknownError",
	} {
		if got := failureReason(errorType); got != want {
			t.Errorf("%s: got %s, want %s", errorType, got, want)
		}
	}
}

func TestTimeLeft(t *testing.T) {
	if got, want := timeLeft(in(validating).Execution, soon), 50*time.Second+timeResolution; got != want {
		t.Errorf("%s are left, want %s", got, want)
	}
	if got := timeLeft(in(validating).held().Execution, late); got != time.Minute {
		t.Errorf("%s are left of a hold's validation, want the whole", got)
	}
	if got := timeLeft(in("").Execution, late); got != time.Minute {
		t.Errorf("%s are left before anyone has looked at it, want the whole", got)
	}
	if got := timeout(&kubernetesexecutionv1.KubernetesExecution{}); got != defaultTimeout {
		t.Errorf("the default is %s", got)
	}
}

package notification

import (
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	remediationv1 "kubernaut.io/kubernaut/api/remediation/v1"
	"kubernaut.io/kubernaut/controllers/machinery"
)

// keepTrying is for how long after the end of a remediation its notification is tried.
const keepTrying = 24 * time.Hour

// isDue says whether people are still to be told of the request.
func isDue(request *remediationv1.RemediationRequest) bool {
	return request.DeletionTimestamp.IsZero() && request.Status.OverallPhase.Terminal() && remediationv1.AwaitsNotification(request)
}

// deadline is when it is given up to tell of the request.
func deadline(request *remediationv1.RemediationRequest) time.Time {
	if end := request.Status.CompletionTime; end != nil {
		return end.Add(keepTrying)
	}
	return request.CreationTimestamp.Add(keepTrying)
}

// delivered is the status of a request that the sink has taken.
func delivered(request *remediationv1.RemediationRequest, now time.Time) remediationv1.RemediationRequestStatus {
	return notified(request, now, metav1.ConditionTrue, remediationv1.ReasonDelivered, "The notification sink has taken the notification.")
}

// refused is the status of a request that the sink has not taken, for now or for good.
func refused(request *remediationv1.RemediationRequest, now time.Time, why string) remediationv1.RemediationRequestStatus {
	if now.Before(deadline(request)) {
		return notified(request, now, metav1.ConditionFalse, remediationv1.ReasonDeliveryFails, "It is tried again: "+why+".")
	}
	return notified(request, now, metav1.ConditionFalse, remediationv1.ReasonDeliveryGivenUp,
		"Nobody was told, and it is not tried any more: "+why+".")
}

func notified(request *remediationv1.RemediationRequest, now time.Time, is metav1.ConditionStatus, reason, message string) remediationv1.RemediationRequestStatus {
	status := request.Status.DeepCopy()
	machinery.ConditionsOf(&status.Conditions, request.Generation, metav1.NewTime(now)).Set(remediationv1.ConditionNotified, is, reason, message)
	return *status
}

// reasonOf is the reason of condition Notified.
func reasonOf(status *remediationv1.RemediationRequestStatus) (reason, message string) {
	if condition := meta.FindStatusCondition(status.Conditions, remediationv1.ConditionNotified); condition != nil {
		return condition.Reason, condition.Message
	}
	return "", ""
}

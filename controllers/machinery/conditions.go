package machinery

import (
	"strings"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"kubernaut.io/kubernaut/api/shared"
)

// maxMessage bounds the messages of conditions.
const maxMessage = 1024

// Conditions sets conditions of one object for one generation. Messages must not hold times, counts or unsorted lists: a
// condition changes only when its meaning does.
type Conditions struct {
	list       *[]metav1.Condition
	generation int64
	now        metav1.Time
}

// ConditionsOf sets conditions in list.
func ConditionsOf(list *[]metav1.Condition, generation int64, now metav1.Time) Conditions {
	return Conditions{list: list, generation: generation, now: now}
}

// Set sets one condition.
func (c Conditions) Set(conditionType string, status metav1.ConditionStatus, reason, message string) {
	meta.SetStatusCondition(c.list, metav1.Condition{
		Type: conditionType, Status: status, Reason: reason, Message: Cut(message, maxMessage),
		ObservedGeneration: c.generation, LastTransitionTime: c.now,
	})
}

// True sets a condition to True.
func (c Conditions) True(conditionType, reason, message string) {
	c.Set(conditionType, metav1.ConditionTrue, reason, message)
}

// False sets a condition to False.
func (c Conditions) False(conditionType, reason, message string) {
	c.Set(conditionType, metav1.ConditionFalse, reason, message)
}

// Progressing says that the object is on its way: neither Ready nor Stalled.
func (c Conditions) Progressing(reason, message string) {
	c.False(shared.ConditionReady, reason, message)
	c.False(shared.ConditionStalled, reason, message)
}

// Succeeded says that the object has reached what it is for.
func (c Conditions) Succeeded(reason, message string) {
	c.True(shared.ConditionReady, reason, message)
	c.False(shared.ConditionStalled, reason, message)
}

// Failed says that the object has ended without reaching what it is for, or cannot go on without a person.
func (c Conditions) Failed(reason, message string) {
	c.False(shared.ConditionReady, reason, message)
	c.True(shared.ConditionStalled, reason, message)
}

// Cut bounds text to limit bytes without splitting a character; text that was cut ends in an ellipsis.
func Cut(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	const ellipsis = "…"
	end := limit - len(ellipsis)
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return strings.TrimRight(text[:end], " ") + ellipsis
}

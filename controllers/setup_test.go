package controllers

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// TestThePausesAfterErrorsEnd: what fails all the time is still tried often enough for the time limits of phases and steps.
func TestThePausesAfterErrorsEnd(t *testing.T) {
	const tries, most = 40, 15 * time.Second
	for sentence, test := range map[string]struct {
		options Options
		want    time.Duration
	}{
		"as installed":     {want: most},
		"as a test has it": {options: Options{MaxBackoff: time.Second}, want: time.Second},
	} {
		t.Run(sentence, func(t *testing.T) {
			limiter := (&setup{options: test.options}).backoff()
			request := reconcile.Request{NamespacedName: types.NamespacedName{Namespace: "shop", Name: "w"}}
			if first := limiter.When(request); first != minBackoff {
				t.Errorf("the first pause is %s", first)
			}
			var last time.Duration
			for range tries {
				last = limiter.When(request)
			}
			if last != test.want {
				t.Errorf("the last pause is %s, want %s", last, test.want)
			}
		})
	}
}

package webhooks

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

func TestRequestsUnderWayOutlastTheManager(t *testing.T) {
	running, end := context.WithCancel(t.Context())
	var deadline time.Time
	var ended <-chan struct{}
	handler := lasting(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		end()
		deadline, _ = r.Context().Deadline()
		ended = r.Context().Done()
		if err := r.Context().Err(); err != nil {
			t.Errorf("the request ended with the manager: %v", err)
		}
	}))
	handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(running, http.MethodPost, "/", http.NoBody))
	if deadline.IsZero() || time.Until(deadline) > timeoutSeconds*time.Second {
		t.Errorf("the request has no limit: %v", deadline)
	}
	select {
	case <-ended:
	default:
		t.Error("what the request started goes on after its answer")
	}
}

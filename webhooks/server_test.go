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
	var asked context.Context
	handler := lasting(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		end()
		asked = r.Context()
		if err := asked.Err(); err != nil {
			t.Errorf("the request ended with the manager: %v", err)
		}
	}))
	handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(running, http.MethodPost, "/", http.NoBody))
	if deadline, limited := asked.Deadline(); !limited || time.Until(deadline) > timeoutSeconds*time.Second {
		t.Errorf("the request has no limit: %v", deadline)
	}
	if asked.Err() == nil {
		t.Error("what the request started goes on after its answer")
	}
}

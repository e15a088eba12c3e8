package webhooks

import (
	"context"
	"net/http"
	"time"

	ctrlwebhook "sigs.k8s.io/controller-runtime/pkg/webhook"
)

// NewServer is controller-runtime's server, whose requests under way are answered when the manager ends. There the context of every
// request ends with the manager's, and with it what the request asks the API server; the shutdown, which waits for the answers, would
// get refusals.
func NewServer(options ctrlwebhook.Options) ctrlwebhook.Server {
	return lastingServer{ctrlwebhook.NewServer(options)}
}

type lastingServer struct{ ctrlwebhook.Server }

// Register has a path served by a handler whose context ends with the time that the API server gives it, and not before.
func (s lastingServer) Register(path string, hook http.Handler) {
	s.Server.Register(path, lasting(hook))
}

func lasting(hook http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), timeoutSeconds*time.Second)
		defer cancel()
		hook.ServeHTTP(w, r.WithContext(ctx))
	})
}

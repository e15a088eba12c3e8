package machinery

import "sigs.k8s.io/controller-runtime/pkg/client"

// Clients are the API clients of one identity.
type Clients struct {
	// Cached reads from the manager's cache and writes as the identity.
	Cached client.Client
	// Live reads and writes at the API server as the identity: for decisions that must not rest on a stale cache.
	Live client.Client
}

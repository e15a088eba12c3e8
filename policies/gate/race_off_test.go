//go:build !race

package gate

import "time"

// margin is by how much a decision may pass its limit.
const margin = 100 * time.Millisecond

//go:build race

package gate

import "time"

// margin is by how much a decision may pass its limit; under the race detector everything takes many times as long.
const margin = 2 * time.Second

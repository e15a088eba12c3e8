//go:build !linux

package gate

// limitMemory leaves it to GOMEMLIMIT where the address space of a process cannot be limited.
func limitMemory(uint64) error { return nil }

package gate

import (
	"fmt"
	"os"
	"syscall"
)

// limitMemory limits the address space of this process to what it has and a number of bytes more: the Go runtime reserves, and does
// not use, more than that at its start.
func limitMemory(more uint64) error {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return fmt.Errorf("limit the memory: %w", err)
	}
	var pages uint64
	if _, err := fmt.Sscan(string(text), &pages); err != nil {
		return fmt.Errorf("limit the memory: %w", err)
	}
	limit := pages*uint64(os.Getpagesize()) + more //nolint:gosec // the size of a page is positive
	if err := syscall.Setrlimit(syscall.RLIMIT_AS, &syscall.Rlimit{Cur: limit, Max: limit}); err != nil {
		return fmt.Errorf("limit the memory: %w", err)
	}
	return nil
}

package filelock

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestSecondHolderWaitsForTheFirst(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	first, err := Acquire(t.Context(), path, nil)
	if err != nil {
		t.Fatal(err)
	}
	told := make(chan struct{})
	got := make(chan error, 1)
	go func() {
		second, err := Acquire(t.Context(), path, func() { close(told) })
		if err == nil {
			second.Release()
		}
		got <- err
	}()
	<-told
	first.Release()
	if err := <-got; err != nil {
		t.Error(err)
	}
}

func TestWaitingEndsWithTheContext(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	first, err := Acquire(t.Context(), path, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Release()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := Acquire(ctx, path, nil); err == nil {
		t.Error("two holders")
	}
}

func TestLockOnARemovedFileKeepsNobodyOut(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	first, err := Acquire(t.Context(), path, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Release()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	second, err := Acquire(t.Context(), path, nil)
	if err != nil {
		t.Fatal(err)
	}
	second.Release()
}

// Package filelock keeps two processes from doing the same thing at once. The kernel drops a lock with its holder.
package filelock

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

// Lock is held until Release.
type Lock struct{ file *os.File }

// Acquire waits for the lock on path, which it creates. It calls waiting once if somebody else holds it.
func Acquire(ctx context.Context, path string, waiting func()) (*Lock, error) {
	for told := false; ; {
		lock, err := try(path)
		if err != nil {
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		if lock != nil {
			return lock, nil
		}
		if !told && waiting != nil {
			waiting()
		}
		told = true
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// try returns nil without an error when the lock is not to be had yet.
func try(path string) (*Lock, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	switch err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); {
	case errors.Is(err, syscall.EWOULDBLOCK), errors.Is(err, syscall.EINTR):
		return nil, file.Close()
	case err != nil:
		return nil, errors.Join(err, file.Close())
	}
	if !stillAt(path, file) {
		return nil, file.Close()
	}
	return &Lock{file}, nil
}

// stillAt is false when the holder before us removed the file, with its folder: a lock on it keeps nobody out.
func stillAt(path string, file *os.File) bool {
	ours, err := file.Stat()
	if err != nil {
		return false
	}
	theirs, err := os.Stat(path)
	return err == nil && os.SameFile(ours, theirs)
}

// Release gives the lock back.
func (l *Lock) Release() { _ = l.file.Close() }

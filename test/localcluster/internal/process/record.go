package process

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Record is what a pid file says about a daemon: its first line is the plain pid, its second line the rest.
type Record struct {
	PID int `json:"-"`
	// Start tells the recorded process from a later one with the same pid.
	Start string `json:"start"`
	// Fingerprint covers command line, environment, working directory and binary.
	Fingerprint string   `json:"fingerprint"`
	Command     []string `json:"command"`
}

// Alive tells whether the recorded process, and not another one that got its pid, still runs.
func (r Record) Alive() bool {
	start, ok := startTime(r.PID)
	return ok && start == r.Start
}

func (r Record) encode() ([]byte, error) {
	rest, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	return fmt.Appendf(nil, "%d\n%s\n", r.PID, rest), nil
}

func decodeRecord(data []byte) (Record, error) {
	var r Record
	first, rest, _ := strings.Cut(string(data), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(first))
	if err != nil || pid <= 1 {
		return r, fmt.Errorf("no pid in the first line: %q", first)
	}
	if err := json.Unmarshal([]byte(rest), &r); err != nil {
		return r, fmt.Errorf("second line: %w", err)
	}
	r.PID = pid
	return r, nil
}

func readRecord(file string) (Record, bool, error) {
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return Record{}, false, nil
	}
	if err != nil {
		return Record{}, false, err
	}
	r, err := decodeRecord(data)
	if err != nil {
		return Record{}, false, fmt.Errorf("pid file %s: %w", file, err)
	}
	return r, true, nil
}

// writeRecord replaces the file at once, so that no reader sees half of it.
func writeRecord(file string, r Record) error {
	data, err := r.encode()
	if err != nil {
		return err
	}
	temporary := filepath.Join(filepath.Dir(file), "."+filepath.Base(file)+".new")
	if err := os.WriteFile(temporary, data, 0o600); err != nil {
		return err
	}
	return os.Rename(temporary, file)
}

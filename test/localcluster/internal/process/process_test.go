package process

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func newTable(t *testing.T) Table {
	t.Helper()
	dir := t.TempDir()
	table := Table{Dir: dir, Logs: dir, Grace: 5 * time.Second}
	t.Cleanup(func() {
		names, err := table.Names()
		if err != nil {
			t.Error(err)
		}
		for _, name := range names {
			if _, err := table.Stop(name); err != nil {
				t.Error(err)
			}
		}
	})
	return table
}

func command(t *testing.T, args ...string) Spec {
	t.Helper()
	path, err := exec.LookPath(args[0])
	if err != nil {
		t.Skipf("this machine has no %s", args[0])
	}
	return Spec{Name: "daemon", Args: append([]string{path}, args[1:]...)}
}

func ensure(t *testing.T, table Table, spec Spec, want Outcome) Record {
	t.Helper()
	outcome, record, err := table.Ensure(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	if outcome != want {
		t.Errorf("outcome %q, want %q", outcome, want)
	}
	return record
}

func TestEnsureKeepsWhatIsEqualAndReplacesWhatDiffers(t *testing.T) {
	table := newTable(t)
	first := ensure(t, table, command(t, "sleep", "600"), Started)
	if again := ensure(t, table, command(t, "sleep", "600"), Kept); again.PID != first.PID {
		t.Errorf("pid %d, want %d", again.PID, first.PID)
	}
	ensure(t, table, command(t, "sleep", "601"), Replaced)
	if first.Alive() {
		t.Error("the replaced process is still alive")
	}
	other := command(t, "sleep", "601")
	other.Env = []string{"A=B"}
	ensure(t, table, other, Replaced)
}

func TestEnsureReplacesWhenTheBinaryWasBuiltAnew(t *testing.T) {
	table := newTable(t)
	script := filepath.Join(t.TempDir(), "daemon")
	writeScript := func(comment string) {
		if err := os.WriteFile(script+".new", []byte("#!/bin/sh\n#"+comment+"\nexec sleep 600\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(script+".new", script); err != nil {
			t.Fatal(err)
		}
	}
	spec := Spec{Name: "daemon", Args: []string{script}}
	writeScript("one")
	ensure(t, table, spec, Started)
	ensure(t, table, spec, Kept)
	writeScript("two")
	ensure(t, table, spec, Replaced)
}

func TestEnsureStartsAgainWhatDied(t *testing.T) {
	table := newTable(t)
	record := ensure(t, table, command(t, "sleep", "600"), Started)
	process, err := os.FindProcess(record.PID)
	if err != nil {
		t.Fatal(err)
	}
	if err := process.Kill(); err != nil {
		t.Fatal(err)
	}
	if !gone(record, 5*time.Second) {
		t.Fatal("still alive after SIGKILL")
	}
	if again := ensure(t, table, command(t, "sleep", "600"), Started); again.PID == record.PID {
		t.Error("same pid as the dead one")
	}
}

func TestEnsureStartsNothingOnceInterrupted(t *testing.T) {
	table := newTable(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := table.Ensure(ctx, command(t, "sleep", "600")); err == nil {
		t.Error("no error")
	}
	if names, _ := table.Names(); len(names) > 0 {
		t.Errorf("started %v", names)
	}
}

func TestStopEndsTheGroupAndForgets(t *testing.T) {
	table := newTable(t)
	record := ensure(t, table, command(t, "sh", "-c", "sleep 600 & echo $!; wait"), Started)
	var child int
	for deadline := time.Now().Add(5 * time.Second); child == 0 && time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		_, _ = fmt.Sscan(table.Tail("daemon", 0, 1), &child)
	}
	if child == 0 {
		t.Fatal("the child did not tell its pid")
	}
	if alive, err := table.Stop("daemon"); err != nil || !alive {
		t.Fatalf("alive %v, error %v", alive, err)
	}
	if record.Alive() {
		t.Error("still alive")
	}
	if start, ok := startTime(child); ok && !gone(Record{PID: child, Start: start}, 5*time.Second) {
		t.Error("its child is still alive")
	}
	if alive, err := table.Stop("daemon"); err != nil || alive {
		t.Errorf("second stop: alive %v, error %v", alive, err)
	}
}

func TestStopKillsWhatIgnoresSIGTERM(t *testing.T) {
	table := newTable(t)
	table.Grace = 100 * time.Millisecond
	record := ensure(t, table, command(t, "sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.05; done"), Started)
	for deadline := time.Now().Add(5 * time.Second); table.Tail("daemon", 0, 1) != "ready" && time.Now().Before(deadline); {
		time.Sleep(5 * time.Millisecond)
	}
	if _, err := table.Stop("daemon"); err != nil {
		t.Fatal(err)
	}
	if record.Alive() {
		t.Error("still alive")
	}
}

func TestStopSparesAnotherProcessWithTheRecordedPid(t *testing.T) {
	table := newTable(t)
	record := ensure(t, table, command(t, "sleep", "600"), Started)
	recycled := record
	recycled.Start += "1"
	if err := writeRecord(table.pidFile("daemon"), recycled); err != nil {
		t.Fatal(err)
	}
	if alive, err := table.Stop("daemon"); err != nil || alive {
		t.Errorf("alive %v, error %v", alive, err)
	}
	if !record.Alive() {
		t.Error("a process that was not the recorded one was ended")
	}
	if err := writeRecord(table.pidFile("daemon"), record); err != nil {
		t.Fatal(err)
	}
}

func TestPidFileBeginsWithThePlainPid(t *testing.T) {
	want := Record{PID: 4711, Start: "99", Fingerprint: "f", Command: []string{"a", "b c"}}
	data, err := want.encode()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(data), "4711\n") {
		t.Errorf("pid file begins otherwise: %q", data)
	}
	have, err := decodeRecord(data)
	if err != nil {
		t.Fatal(err)
	}
	if have.PID != want.PID || have.Start != want.Start || !slices.Equal(have.Command, want.Command) {
		t.Errorf("have %+v, want %+v", have, want)
	}
}

func TestDecodeRecordRefuses(t *testing.T) {
	// A pid of 0 or below would address a whole group, or everything; 1 is init.
	for _, text := range []string{"", "x\n{}", "0\n{}", "-5\n{}", "1\n{}", "77\n", "77\n{"} {
		if r, err := decodeRecord([]byte(text)); err == nil {
			t.Errorf("%q gave %+v", text, r)
		}
	}
}

func TestValidName(t *testing.T) {
	for name, want := range map[string]bool{"manager": true, "a-1": true, "": false, "../x": false, "A": false, "-a": false, "a.b": false} {
		if ValidName(name) != want {
			t.Errorf("ValidName(%q) = %v", name, !want)
		}
	}
}

func TestTailBeginsAtTheOffset(t *testing.T) {
	table := newTable(t)
	if err := os.WriteFile(table.LogFile("x"), []byte("old\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	offset := table.LogSize("x")
	if err := os.WriteFile(table.LogFile("x"), []byte("old\n1\n2\n3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if have := table.Tail("x", offset, 2); have != "2\n3" {
		t.Errorf("have %q", have)
	}
	if have := table.Tail("x", offset, 9); have != "1\n2\n3" {
		t.Errorf("have %q", have)
	}
}

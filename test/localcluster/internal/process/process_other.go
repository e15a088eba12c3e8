//go:build !linux

package process

import (
	"os/exec"
	"strconv"
	"strings"
)

// startTime names the moment at which the process began, as ps prints it. A zombie still has a start time but is not alive.
func startTime(pid int) (start string, alive bool) {
	out, err := exec.Command("ps", "-o", "stat=", "-o", "lstart=", "-p", strconv.Itoa(pid)).Output()
	if err != nil {
		return "", false
	}
	state, started, ok := strings.Cut(strings.TrimSpace(string(out)), " ")
	return strings.TrimSpace(started), ok && !strings.HasPrefix(state, "Z")
}

package process

import (
	"fmt"
	"os"
	"strings"
)

// startTime names the moment at which the process began, in clock ticks since boot. Together with the pid it
// identifies a process for as long as the machine runs. A zombie still has a start time but is not alive.
func startTime(pid int) (start string, alive bool) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", false
	}
	return parseStat(string(stat))
}

// parseStat reads the state (field 3) and start time (field 22). The name in field 2 may hold blanks and parentheses.
func parseStat(stat string) (start string, alive bool) {
	closing := strings.LastIndexByte(stat, ')')
	if closing < 0 {
		return "", false
	}
	fields := strings.Fields(stat[closing+1:])
	if len(fields) < 20 {
		return "", false
	}
	return fields[19], fields[0] != "Z" && fields[0] != "X"
}

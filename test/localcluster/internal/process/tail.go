package process

import (
	"io"
	"os"
	"strings"
)

// Tail returns the last lines of the daemon's log, beginning no earlier than offset. A log that cannot be read is empty.
func (t Table) Tail(name string, offset int64, lines int) string {
	const most = 64 << 10
	file, err := os.Open(t.LogFile(name))
	if err != nil {
		return ""
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return ""
	}
	if _, err := file.Seek(max(offset, info.Size()-most), io.SeekStart); err != nil {
		return ""
	}
	data, err := io.ReadAll(file)
	if err != nil {
		return ""
	}
	return LastLines(string(data), lines)
}

// LogSize is where the next start's output will begin.
func (t Table) LogSize(name string) int64 {
	info, err := os.Stat(t.LogFile(name))
	if err != nil {
		return 0
	}
	return info.Size()
}

// LastLines returns the last n lines of the text.
func LastLines(text string, n int) string {
	all := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(all[max(0, len(all)-n):], "\n")
}

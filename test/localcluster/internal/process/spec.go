package process

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
)

// Spec describes a daemon.
type Spec struct {
	Name string
	// Args is the command line; Args[0] is the path of the binary.
	Args []string
	// Env is added to the launcher's own environment.
	Env []string
	// Dir is the working directory; empty means the launcher's.
	Dir string
}

var nameShape = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)

// ValidName tells whether a daemon may have this name; it becomes part of file names.
func ValidName(name string) bool { return nameShape.MatchString(name) }

// fingerprint changes whenever the running process would no longer be what the spec asks for: also when the binary
// was built anew at the same path.
func (s Spec) fingerprint() (string, error) {
	binary, err := filepath.EvalSymlinks(s.Args[0])
	if err != nil {
		return "", err
	}
	info, err := os.Stat(binary)
	if err != nil {
		return "", err
	}
	data, err := json.Marshal([]any{s.Args, s.Env, s.Dir, binary, info.ModTime().UnixNano(), info.Size(), inode(info)})
	if err != nil {
		return "", fmt.Errorf("fingerprint: %w", err)
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:8]), nil
}

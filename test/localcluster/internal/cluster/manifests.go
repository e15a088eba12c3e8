package cluster

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"fmt"
	"io/fs"
)

//go:embed config/audit-policy.yaml
var auditPolicy []byte

//go:embed stages/*.yaml
var stageFiles embed.FS

// writeConfig writes what the components read and returns the path of KWOK's stages. Its name changes with its
// content: a new launcher's stages thus make a running KWOK start again.
func (d Directory) writeConfig() (string, error) {
	if err := replaceFile(d.auditPolicy(), auditPolicy); err != nil {
		return "", err
	}
	stages, err := allStages()
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(stages)
	path := d.path("config", fmt.Sprintf("stages-%x.yaml", sum[:4]))
	return path, replaceFile(path, stages)
}

func allStages() ([]byte, error) {
	names, err := fs.Glob(stageFiles, "stages/*.yaml")
	if err != nil {
		return nil, err
	}
	var documents [][]byte
	for _, name := range names {
		document, err := stageFiles.ReadFile(name)
		if err != nil {
			return nil, err
		}
		documents = append(documents, document)
	}
	return bytes.Join(documents, []byte("---\n")), nil
}

package app

import (
	"path/filepath"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
)

// The names under which kubectl starts the binary: as a plugin, and to complete the command line of that plugin.
const (
	pluginBinary    = "kubectl-kubernaut"
	completerBinary = "kubectl_complete-kubernaut"
	pluginName      = "kubectl kubernaut"
)

// CommandFor is the command for the arguments of the process. Its name says how it was started: a plugin of kubectl speaks of itself
// as people type it.
func CommandFor(arguments []string) *cobra.Command {
	root := NewCommand()
	program, rest := "", []string(nil)
	if len(arguments) > 0 {
		program, rest = strings.TrimSuffix(filepath.Base(arguments[0]), ".exe"), arguments[1:]
	}
	switch program {
	case pluginBinary:
		asPlugin(root)
	case completerBinary:
		asPlugin(root)
		// What kubectl asks for is what the completion script of a shell asks for.
		rest = append([]string{cobra.ShellCompRequestCmd}, rest...)
	}
	root.SetArgs(rest)
	return root
}

// asPlugin has every text speak of kubectl kubernaut.
func asPlugin(root *cobra.Command) {
	root.Annotations = map[string]string{cobra.CommandDisplayNameAnnotation: pluginName}
	var names []string
	for _, command := range root.Commands() {
		names = append(names, command.Name())
	}
	// Only where a command is meant: the name of the project stays.
	called := regexp.MustCompile(`\bkubernaut (` + strings.Join(names, "|") + `)\b`)
	var rename func(*cobra.Command)
	rename = func(command *cobra.Command) {
		for _, text := range []*string{&command.Long, &command.Example, &command.Short} {
			*text = called.ReplaceAllString(*text, pluginName+" $1")
		}
		for _, child := range command.Commands() {
			rename(child)
		}
	}
	rename(root)
}

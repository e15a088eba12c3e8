package policy

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"kubernaut.io/kubernaut/cmd/kubernaut/terminal"
	"kubernaut.io/kubernaut/policies/gate/authoring"
)

func newDocsCommand() *cobra.Command {
	var folders folderFlags
	var dir string
	command := &cobra.Command{
		Use:   "docs DIR…",
		Short: "Write a Markdown page for every policy, from its METADATA",
		Long: `Write a Markdown page for every policy: what its METADATA says, its parameters with their defaults, its rules with their codes,
and what its tests show.

` + exitCodes,
		Example: "  kubernaut policy docs my-policies --out-dir docs",
		RunE: terminal.Run(func(command *cobra.Command, args []string) error {
			set, err := folders.load(args)
			if err != nil {
				return err
			}
			pages, err := set.Pages()
			if err != nil {
				return compileFailure(command.ErrOrStderr(), err)
			}
			if dir != "" {
				return writePages(dir, pages)
			}
			printPages(command.OutOrStdout(), pages)
			return nil
		}),
	}
	folders.add(command)
	command.Flags().StringVar(&dir, "out-dir", "", "write each page to a file <policy>.md in this folder, and their list to README.md")
	return command
}

func printPages(out io.Writer, pages []authoring.Page) {
	for i, page := range pages {
		if i > 0 {
			fmt.Fprintln(out)
		}
		fmt.Fprint(out, page.Text)
	}
}

func writePages(dir string, pages []authoring.Page) error {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	var index strings.Builder
	index.WriteString("# Policies\n\n")
	for _, page := range pages {
		fmt.Fprintf(&index, "- [%s](%s.md)\n", page.Title, page.Name)
		if err := os.WriteFile(filepath.Join(dir, page.Name+".md"), []byte(page.Text), 0o600); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(dir, "README.md"), []byte(index.String()), 0o600)
}

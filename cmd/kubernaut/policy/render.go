package policy

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	safetyv1alpha1 "kubernaut.io/kubernaut/api/safety/v1alpha1"
	"kubernaut.io/kubernaut/cmd/kubernaut/terminal"
	"kubernaut.io/kubernaut/policies/gate/authoring"
)

type renderFlags struct {
	enforcement string
	dir         string
}

func newRenderCommand() *cobra.Command {
	var flags renderFlags
	command := &cobra.Command{
		Use:   "render DIR…",
		Short: "Print policies as SafetyPolicy manifests, for kubectl apply or GitOps",
		Long: `Print a SafetyPolicy for every policy of a folder, with its tests and its parameters.

Enforcement, stages and match come from the METADATA of the policy; from then on the object decides. The same folder always gives the
same text. What admission would refuse is refused here, a test that fails too.

` + exitCodes,
		Example: "  kubernaut policy render my-policies --enforcement Audit | kubectl apply -f -\n  kubernaut policy render my-policies --out-dir manifests",
		RunE: terminal.Run(func(command *cobra.Command, args []string) error {
			return flags.run(command.Context(), command.OutOrStdout(), command.ErrOrStderr(), args)
		}),
	}
	command.Flags().StringVar(&flags.enforcement, "enforcement", "", "what the results do: Audit, Warn or Enforce (default: as METADATA says)")
	command.Flags().StringVar(&flags.dir, "out-dir", "", "write each manifest to a file <name>.yaml in this folder")
	return command
}

func (f *renderFlags) run(ctx context.Context, out, problems io.Writer, args []string) error {
	if f.enforcement != "" && !slices.Contains(authoring.Enforcements(), f.enforcement) {
		return fmt.Errorf("--enforcement: %q is not one of %s", f.enforcement, strings.Join(authoring.Enforcements(), ", "))
	}
	if len(args) == 0 {
		return fmt.Errorf("name a folder of policies")
	}
	set, err := authoring.Load(authoring.Folders{Dirs: args})
	if err != nil {
		return err
	}
	manifests, err := set.Manifests(ctx, authoring.RenderOptions{Enforcement: safetyv1alpha1.Enforcement(f.enforcement)})
	if err != nil {
		return compileFailure(problems, err)
	}
	if f.dir != "" {
		return writeManifests(f.dir, manifests)
	}
	for i, manifest := range manifests {
		if i > 0 {
			fmt.Fprintln(out, "---")
		}
		fmt.Fprint(out, manifest.Text)
	}
	return nil
}

func writeManifests(dir string, manifests []authoring.Manifest) error {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	for _, manifest := range manifests {
		if err := os.WriteFile(filepath.Join(dir, manifest.Name+".yaml"), []byte(manifest.Text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

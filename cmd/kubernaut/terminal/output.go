package terminal

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

// Format is a form of the output.
type Format string

// The forms of the output that kubectl has too; the empty one is a text for people.
const (
	FormatText Format = ""
	FormatWide Format = "wide"
	FormatJSON Format = "json"
	FormatYAML Format = "yaml"
	FormatName Format = "name"
)

// Output is the flag -o of a command that shows objects.
type Output struct {
	Format Format
	known  []Format
}

// Add adds the flag, for the given forms.
func (o *Output) Add(command *cobra.Command, known ...Format) {
	o.known = known
	command.Flags().StringVarP((*string)(&o.Format), "output", "o", "", "form of the output: "+o.list()+" (default: a text for people)")
	// The only error is that there is no such flag.
	_ = command.RegisterFlagCompletionFunc("output", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return strings.Split(o.list(), ", "), cobra.ShellCompDirectiveNoFileComp
	})
}

func (o *Output) list() string {
	names := make([]string, len(o.known))
	for i, format := range o.known {
		names[i] = string(format)
	}
	return strings.Join(names, ", ")
}

// Validate says whether the form is one that was added.
func (o *Output) Validate() error {
	if o.Format == FormatText || slices.Contains(o.known, o.Format) {
		return nil
	}
	return Usagef("--output: %q is not one of %s", o.Format, o.list())
}

// Machine says whether the output is for a program, so that it is the object as the API server has it.
func (o *Output) Machine() bool {
	return o.Format == FormatJSON || o.Format == FormatYAML || o.Format == FormatName
}

// Print prints objects for a program as kubectl does: one object as it is, several as a List, and without their managedFields.
func (o *Output) Print(out io.Writer, scheme *runtime.Scheme, objects []client.Object, single bool) error {
	items := make([]any, 0, len(objects))
	for _, object := range objects {
		kinds, _, err := scheme.ObjectKinds(object)
		if err != nil {
			return err
		}
		if o.Format == FormatName {
			fmt.Fprintf(out, "%s/%s\n", strings.ToLower(kinds[0].GroupKind().String()), object.GetName())
			continue
		}
		plain, is := object.DeepCopyObject().(client.Object)
		if !is {
			return fmt.Errorf("a copy of %T is no object", object)
		}
		plain.GetObjectKind().SetGroupVersionKind(kinds[0])
		plain.SetManagedFields(nil)
		items = append(items, plain)
	}
	switch {
	case o.Format == FormatName:
		return nil
	case single && len(items) == 1:
		return o.write(out, items[0])
	default:
		return o.write(out, map[string]any{"apiVersion": "v1", "kind": "List", "metadata": map[string]any{}, "items": items})
	}
}

func (o *Output) write(out io.Writer, value any) error {
	if o.Format == FormatYAML {
		text, err := yaml.Marshal(value)
		if err != nil {
			return err
		}
		_, err = out.Write(text)
		return err
	}
	return WriteJSON(out, value)
}

// WriteJSON writes a value for a program that people may read too.
func WriteJSON(out io.Writer, value any) error {
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(value)
}

package main

import (
	"bytes"
	"cmp"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"

	"kubernaut.io/kubernaut/config/crd"
	"kubernaut.io/kubernaut/controllers/aianalysis"
	"kubernaut.io/kubernaut/controllers/kubernetesexecution"
	"kubernaut.io/kubernaut/controllers/remediationprocessing"
	"kubernaut.io/kubernaut/controllers/remediationrequest"
	"kubernaut.io/kubernaut/controllers/workflowexecution"
)

const (
	kindPages  = "docs/kinds"
	actionPage = "action.md"
)

// diagrams are those of the kinds that have phases of their own controller.
func diagrams() map[string]string {
	return map[string]string{
		"RemediationRequest": remediationrequest.Diagram(), "RemediationProcessing": remediationprocessing.Diagram(),
		"AIAnalysis": aianalysis.Diagram(), "WorkflowExecution": workflowexecution.Diagram(), "KubernetesExecution": kubernetesexecution.Diagram(),
	}
}

// writeKinds puts into the page of each kind what the Go types say: the page itself is written by hand.
func writeKinds(root string) error {
	kinds, err := kindsIn(crd.FS)
	if err != nil {
		return err
	}
	for _, page := range slices.Sorted(maps.Keys(kinds)) {
		path := filepath.Join(root, kindPages, page)
		text, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("every kind has a page: %w", err)
		}
		text, err = filled(text, kinds[page])
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if err := write(path, text); err != nil {
			return err
		}
	}
	return nil
}

// kindsIn are the generated parts, by page and name.
func kindsIn(files fs.FS) (map[string]map[string]string, error) {
	paths, err := fs.Glob(files, "bases/*.yaml")
	if err != nil {
		return nil, err
	}
	pages := map[string]map[string]string{}
	for _, path := range paths {
		data, err := fs.ReadFile(files, path)
		if err != nil {
			return nil, err
		}
		var definition apiextensionsv1.CustomResourceDefinition
		if err := yaml.UnmarshalStrict(data, &definition); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		names, version := definition.Spec.Names, definition.Spec.Versions[0]
		schema := version.Schema.OpenAPIV3Schema
		parts := map[string]string{
			"kind":   kindFacts(&definition),
			"spec":   fieldTable(names.Kind, "spec", schema),
			"status": fieldTable(names.Kind, "status", schema),
		}
		if diagram := diagrams()[names.Kind]; diagram != "" {
			parts["phases"] = "```mermaid\n" + diagram + "```\n"
		}
		pages[names.Singular+".md"] = parts
		if action := actionIn(schema); action != nil {
			pages[actionPage] = map[string]string{"actions": actionTables(action), "properties": actionProperties()}
		}
	}
	return pages, nil
}

// The lines around a generated part.
const (
	partBegins = "<!-- Written by `make generate` from Go types, %s: change it there. -->"
	partEnds   = "<!-- End of what `make generate` wrote: %s. -->"
)

// filled replaces the parts of a page. A part that is missing, or that nothing writes, is an error.
func filled(page []byte, parts map[string]string) ([]byte, error) {
	for _, name := range slices.Sorted(maps.Keys(parts)) {
		begin, end := fmt.Appendf(nil, partBegins, name), fmt.Appendf(nil, partEnds, name)
		before, rest, found := bytes.Cut(page, begin)
		if _, after, closed := bytes.Cut(rest, end); found && closed {
			page = slices.Concat(before, begin, []byte("\n\n"+strings.TrimSpace(parts[name])+"\n\n"), end, after)
			continue
		}
		return nil, fmt.Errorf("it has no place for what is generated: add the lines\n%s\n%s", begin, end)
	}
	prefix, _, _ := strings.Cut(partBegins, "%s")
	if count := bytes.Count(page, []byte(prefix)); count != len(parts) {
		return nil, fmt.Errorf("%d parts say that they are generated, and %d are", count, len(parts))
	}
	return page, nil
}

func kindFacts(definition *apiextensionsv1.CustomResourceDefinition) string {
	names, version := definition.Spec.Names, definition.Spec.Versions[0]
	var text strings.Builder
	fmt.Fprintf(&text, "| | |\n|---|---|\n| apiVersion | `%s/%s` |\n", definition.Spec.Group, version.Name)
	fmt.Fprintf(&text, "| for kubectl | `%s`; short: `%s` |\n", names.Plural, strings.Join(names.ShortNames, "`, `"))
	fmt.Fprintf(&text, "| scope | %s |\n", definition.Spec.Scope)
	columns := make([]string, len(version.AdditionalPrinterColumns))
	for i, column := range version.AdditionalPrinterColumns {
		columns[i] = column.Name
		if column.Priority > 0 {
			columns[i] += " (`-o wide`)"
		}
	}
	fmt.Fprintf(&text, "| columns | %s |\n", strings.Join(columns, ", "))
	fields := make([]string, len(version.SelectableFields))
	for i, field := range version.SelectableFields {
		fields[i] = "`" + strings.TrimPrefix(field.JSONPath, ".") + "`"
	}
	if len(fields) > 0 {
		fmt.Fprintf(&text, "| for `--field-selector` | %s |\n", strings.Join(fields, ", "))
	}
	return text.String()
}

// elsewhere are the fields that another page describes, by kind and path.
func elsewhere() map[string]string {
	const workflow = "[workflowexecution.md](workflowexecution.md), at `spec."
	return map[string]string{
		"AIAnalysis spec.enrichment":                          "[remediationprocessing.md](remediationprocessing.md), at `status.enrichment`",
		"AIAnalysis status.recommendation.workflowDefinition": workflow + "workflowDefinition`",
		"AIAnalysis status.recommendation.executionStrategy":  workflow + "executionStrategy`",
		"Playbook spec.executionStrategy":                     workflow + "executionStrategy`",
	}
}

// row is one field of a table.
type row struct{ path, kind, text string }

// table gathers the fields below one, and the rules that are checked on them.
type table struct {
	kind  string
	rows  []row
	rules []row
}

func fieldTable(kind, part string, schema *apiextensionsv1.JSONSchemaProps) string {
	t := &table{kind: kind}
	field := schema.Properties[part]
	t.rule(part, &field)
	t.fields(part, &field)
	// What is said of the whole object belongs to the status: that a terminal phase stays.
	if part == "status" {
		t.rule("", schema)
	}
	return t.text()
}

func (t *table) text() string {
	var text strings.Builder
	text.WriteString("| field | type | meaning |\n|---|---|---|\n")
	for _, row := range t.rows {
		fmt.Fprintf(&text, "| `%s` | %s | %s |\n", row.path, row.kind, row.text)
	}
	if len(t.rules) > 0 {
		text.WriteString("\nRules that the API server checks:\n\n")
		for _, rule := range t.rules {
			fmt.Fprintf(&text, "- `%s` %s\n", rule.path, rule.text)
		}
	}
	return text.String()
}

// fields adds the fields of an object, the required ones first, then by name.
func (t *table) fields(path string, object *apiextensionsv1.JSONSchemaProps) {
	names := slices.SortedFunc(maps.Keys(object.Properties), func(a, b string) int {
		if x, y := slices.Contains(object.Required, a), slices.Contains(object.Required, b); x != y {
			if x {
				return -1
			}
			return 1
		}
		return strings.Compare(a, b)
	})
	for _, name := range names {
		field := object.Properties[name]
		t.field(path+"."+name, &field, slices.Contains(object.Required, name))
	}
}

func (t *table) field(path string, field *apiextensionsv1.JSONSchemaProps, required bool) {
	kind := typeText(field)
	if required {
		kind += ", **required**"
	}
	text := prose(field.Description)
	if field.Default != nil {
		text += fmt.Sprintf(" Default: %#q.", field.Default.Raw)
	}
	item, suffix := inner(field)
	where := elsewhere()[t.kind+" "+path]
	switch {
	case where != "":
		text += " Its fields: " + where + "."
	case isAction(item):
		text += " Its fields: [" + actionPage + "](" + actionPage + ")."
	case isCondition(item):
		text += " Each is a `metav1.Condition`."
	}
	t.rows = append(t.rows, row{path, kind, text})
	if where != "" || isAction(item) || isCondition(item) {
		return
	}
	t.rule(path, field)
	if item != field {
		t.rule(path+suffix, item)
	}
	t.fields(path+suffix, item)
}

// rule adds what a field must be beyond its type. A rule may name the field below it that it is about.
func (t *table) rule(path string, field *apiextensionsv1.JSONSchemaProps) {
	for _, validation := range field.XValidations {
		about := strings.TrimPrefix(path+validation.FieldPath, ".")
		t.rules = append(t.rules, row{path: cmp.Or(about, "the object"), text: prose(cmp.Or(validation.Message, "`"+validation.Rule+"`"))})
	}
}

// inner is what a list or map holds, or the field itself, and what that adds to the path.
func inner(field *apiextensionsv1.JSONSchemaProps) (*apiextensionsv1.JSONSchemaProps, string) {
	switch {
	case field.Items != nil && field.Items.Schema != nil:
		return field.Items.Schema, "[]"
	case field.AdditionalProperties != nil && field.AdditionalProperties.Schema != nil:
		return field.AdditionalProperties.Schema, "{}"
	default:
		return field, ""
	}
}

func typeText(field *apiextensionsv1.JSONSchemaProps) string {
	item, suffix := inner(field)
	var of string
	switch suffix {
	case "[]":
		of = "list of " + typeText(item)
		if field.MaxItems != nil {
			of = fmt.Sprintf("at most %d: ", *field.MaxItems) + of
		}
		return of
	case "{}":
		of = "map of " + typeText(item)
		if field.MaxProperties != nil {
			of = fmt.Sprintf("at most %d: ", *field.MaxProperties) + of
		}
		return of
	}
	switch {
	case len(field.Enum) > 0:
		values := make([]string, len(field.Enum))
		for i, value := range field.Enum {
			values[i] = "`" + strings.Trim(string(value.Raw), `"`) + "`"
		}
		return strings.Join(values, ", ")
	case field.XIntOrString:
		return "integer or string"
	case field.XPreserveUnknownFields != nil && *field.XPreserveUnknownFields:
		return "JSON"
	case field.Format == "date-time":
		return "time"
	default:
		return cmp.Or(field.Type, "JSON") + bounds(field)
	}
}

func bounds(field *apiextensionsv1.JSONSchemaProps) string {
	switch {
	case field.Minimum != nil && field.Maximum != nil:
		return fmt.Sprintf(", %g to %g", *field.Minimum, *field.Maximum)
	case field.Minimum != nil:
		return fmt.Sprintf(", at least %g", *field.Minimum)
	case field.MaxLength != nil && *field.MaxLength > 0 && field.Type == "string":
		return fmt.Sprintf(", at most %d", *field.MaxLength)
	default:
		return ""
	}
}

// prose is a comment as a cell of a table.
func prose(text string) string {
	return strings.NewReplacer("|", `\|`, "<", "&lt;", "*", `\*`).Replace(strings.Join(strings.Fields(text), " "))
}

func isCondition(field *apiextensionsv1.JSONSchemaProps) bool {
	_, transition := field.Properties["lastTransitionTime"]
	_, reason := field.Properties["reason"]
	return transition && reason
}

// isAction says whether a field is the union of all actions.
func isAction(field *apiextensionsv1.JSONSchemaProps) bool {
	_, is := field.Properties["notifyOnly"]
	return is
}

// actionIn is the union of all actions, wherever the schema has it.
func actionIn(field *apiextensionsv1.JSONSchemaProps) *apiextensionsv1.JSONSchemaProps {
	if isAction(field) {
		return field
	}
	if item, suffix := inner(field); suffix != "" {
		return actionIn(item)
	}
	for _, name := range slices.Sorted(maps.Keys(field.Properties)) {
		property := field.Properties[name]
		if found := actionIn(&property); found != nil {
			return found
		}
	}
	return nil
}

// actionTables is a section for each action: its member of the union, and the fields of that.
func actionTables(union *apiextensionsv1.JSONSchemaProps) string {
	members := map[string]string{}
	for name := range union.Properties {
		members[strings.ToLower(name)] = name
	}
	kind := union.Properties["type"]
	var text strings.Builder
	for _, value := range kind.Enum {
		action := strings.Trim(string(value.Raw), `"`)
		name := members[strings.ReplaceAll(action, "-", "")]
		member, known := union.Properties[name]
		if !known {
			continue
		}
		t := &table{}
		t.rule(name, &member)
		t.fields(name, &member)
		fmt.Fprintf(&text, "### %s\n\n%s\n\n%s\n", action, prose(member.Description), t.text())
	}
	return text.String()
}

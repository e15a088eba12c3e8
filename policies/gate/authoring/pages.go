package authoring

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	safetyv1alpha1 "kubernaut.io/kubernaut/api/safety/v1alpha1"
)

// Page is the Markdown page of one policy.
type Page struct {
	// Name is the name of the policy.
	Name string
	// Title is its title, or its name.
	Title string
	Text  string
}

// Pages are the pages of the policies that the user works on, by name: what METADATA says, the parameters with their defaults, the
// rules with their codes, and the tests by name.
func (s *Set) Pages() ([]Page, error) {
	var pages []Page
	for _, unit := range s.units() {
		if unit.folder != safetyFolder || unit.policy() == nil {
			continue
		}
		page, err := unit.page()
		if err != nil {
			return nil, err
		}
		pages = append(pages, page)
	}
	return pages, nil
}

func (u *unit) page() (Page, error) {
	modules, err := u.parse()
	if err != nil {
		return Page{}, err
	}
	source := u.policy()
	meta, err := metaOf(source, modules[source.Path])
	if err != nil {
		return Page{}, err
	}
	page := Page{Name: u.name, Title: cmp.Or(meta.Title, u.name)}
	var text strings.Builder
	fmt.Fprintf(&text, "# %s\n\n", page.Title)
	if meta.Description != "" {
		fmt.Fprintf(&text, "%s\n\n", strings.TrimSpace(meta.Description))
	}
	if err := writeFacts(&text, u.name, meta); err != nil {
		return Page{}, err
	}
	if err := u.writeParameters(&text, meta); err != nil {
		return Page{}, err
	}
	writeRules(&text, modules[source.Path])
	u.writeTests(&text, modules)
	page.Text = text.String()
	return page, nil
}

func writeFacts(text *strings.Builder, name string, meta Meta) error {
	stages := make([]string, len(meta.Stages))
	for i, stage := range meta.Stages {
		stages[i] = string(stage)
	}
	if len(stages) == 0 {
		stages = []string{string(safetyv1alpha1.StagePlan), string(safetyv1alpha1.StageStep)}
	}
	fmt.Fprintf(text, "| | |\n|---|---|\n| policy | `%s` |\n| enforcement | %s |\n| stages | %s |\n",
		name, cmp.Or(meta.Enforcement, string(safetyv1alpha1.EnforcementEnforce)), strings.Join(stages, ", "))
	if meta.Match != nil {
		match, err := json.Marshal(meta.Match)
		if err != nil {
			return err
		}
		fmt.Fprintf(text, "| match | `%s` |\n", match)
	}
	return nil
}

func (u *unit) writeParameters(text *strings.Builder, meta Meta) error {
	parameters := u.set.parameters[u.name]
	if len(parameters) == 0 {
		return nil
	}
	text.WriteString("\n## Parameters\n\n| name | default | |\n|---|---|---|\n")
	for _, name := range sortedKeys(parameters) {
		value, err := json.Marshal(parameters[name])
		if err != nil {
			return err
		}
		fmt.Fprintf(text, "| `%s` | `%s` | %s |\n", name, cell(string(value)), cell(meta.Parameters[name]))
	}
	return nil
}

// writeRules lists the rules that a workflow can meet, with their codes, titles and descriptions.
func writeRules(text *strings.Builder, module *ast.Module) {
	text.WriteString("\n## Rules\n\n| rule | code | |\n|---|---|---|\n")
	for _, effect := range append(effectRules(), "warn") {
		for _, rule := range module.Rules {
			if ruleName(rule) == effect {
				fmt.Fprintf(text, "| %s | %s | %s |\n", effect, codeOf(rule), cell(sentenceOf(rule)))
			}
		}
	}
}

// codeOf is the constant code of a result, as Markdown.
func codeOf(rule *ast.Rule) string {
	if rule.Head.Key == nil {
		return ""
	}
	if result, is := rule.Head.Key.Value.(ast.Object); is {
		if _, code := resultText(result); code != "" {
			return "`" + code + "`"
		}
	}
	return ""
}

// sentenceOf is what the METADATA of the rule says, or its constant message.
func sentenceOf(rule *ast.Rule) string {
	for _, annotations := range rule.Annotations {
		if text := cmp.Or(annotations.Description, annotations.Title); text != "" {
			return text
		}
	}
	if rule.Head.Key == nil {
		return ""
	}
	message, _ := resultText(rule.Head.Key.Value)
	return message
}

func (u *unit) writeTests(text *strings.Builder, modules map[string]*ast.Module) {
	var names []string
	for _, source := range u.sources {
		if !source.isTest() {
			continue
		}
		for _, rule := range modules[source.Path].Rules {
			if name, is := strings.CutPrefix(ruleName(rule), "test_"); is && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	if len(names) == 0 {
		return
	}
	text.WriteString("\n## What its tests show\n\n")
	for _, name := range names {
		fmt.Fprintf(text, "- %s\n", strings.ReplaceAll(name, "_", " "))
	}
}

// cell is a text that fits a cell of a table.
func cell(text string) string {
	return strings.ReplaceAll(strings.Join(strings.Fields(text), " "), "|", `\|`)
}

package gate

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"reflect"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage/inmem"

	"kubernaut.io/kubernaut/api/shared"
)

// ErrNoClassification says that the folder of policies holds no classification.
var ErrNoClassification = errors.New("there is no classification policy")

// classificationRules are the rules that a classification must have.
func classificationRules() []string {
	return []string{"environment", "priority", "business_unit"}
}

func classificationQuery() string {
	var members []string
	for _, rule := range classificationRules() {
		members = append(members, fmt.Sprintf("%q: data.%s.%s", rule, classificationPackage, rule))
	}
	return "{" + strings.Join(members, ", ") + "}"
}

func (b *compiledIn) compileClassification(ctx context.Context, files fs.FS) error {
	modules, err := readModules(files, "classification")
	if err != nil || len(modules) == 0 {
		return err
	}
	b.classificationInput = documentOf(reflect.TypeFor[ClassificationInput]())
	var problems []Problem
	for _, module := range modules {
		problems = append(problems, module.packageProblems(classificationPackage)...)
	}
	if err := compileError(problems); err != nil {
		return err
	}
	schemas, err := schemaSet(b.classificationInput)
	if err != nil {
		return err
	}
	compiler, err := compileModules(modules, schemas)
	if err != nil {
		return err
	}
	for _, module := range modules {
		problems = append(problems, referenceProblems(
			module, compiler.Modules[module.file], b.classificationInput, readableRules(classificationPackage),
		)...)
	}
	problems = append(problems, missingRules(modules)...)
	if err := compileError(problems); err != nil {
		return err
	}
	prepared, err := prepareQuery(ctx, compiler, inmem.New(), classificationQuery())
	if err != nil {
		return err
	}
	b.classify = &prepared
	return nil
}

func missingRules(modules []module) []Problem {
	var problems []Problem
	for _, name := range classificationRules() {
		defines := func(rule *ast.Rule) bool { return rule.Head.Name.String() == name }
		if !slices.ContainsFunc(modules, func(m module) bool { return slices.ContainsFunc(m.parsed.Rules, defines) }) {
			problems = append(problems, problemAt(modules[0], nil, "there is no rule %s in the package %s", name, classificationPackage))
		}
	}
	return problems
}

// Classify says where a target runs, how urgent its signal is and who it belongs to. It shares the time limit and the bound on
// concurrency with Evaluate.
func (g *Gate) Classify(ctx context.Context, in *ClassificationInput) (shared.Classification, error) {
	base := g.compiledIn
	if base == nil || base.classify == nil {
		return shared.Classification{}, ErrNoClassification
	}
	if in == nil || in.APIVersion != InputVersion {
		return shared.Classification{}, fmt.Errorf("classify: the input is not of version %s", InputVersion)
	}
	term, err := base.classificationInput.term(reflect.ValueOf(in))
	if err != nil {
		return shared.Classification{}, fmt.Errorf("classify: input: %w", err)
	}
	turn, err := g.acquire(ctx)
	if err != nil {
		return shared.Classification{}, fmt.Errorf("classify: %w", err)
	}
	defer turn.release()
	value, err := run(ctx, g.limit, turn, *base.classify, term.Value)
	if err != nil {
		return shared.Classification{}, fmt.Errorf("classify: %w", err)
	}
	object, ok := value.(ast.Object)
	if !ok {
		return shared.Classification{}, fmt.Errorf("classify: %w", errUndefined)
	}
	return readClassification(object)
}

func readClassification(value ast.Object) (shared.Classification, error) {
	var result shared.Classification
	for name, into := range map[string]*string{
		"environment": &result.Environment, "priority": &result.Priority, "business_unit": &result.BusinessUnit,
	} {
		text, ok := value.Get(ast.StringTerm(name)).Value.(ast.String)
		if !ok || text == "" {
			return shared.Classification{}, fmt.Errorf("classify: %s is not a text", name)
		}
		*into = string(text)
	}
	if !slices.Contains([]string{"P0", "P1", "P2", "P3"}, result.Priority) {
		return shared.Classification{}, fmt.Errorf("classify: %q is not a priority", result.Priority)
	}
	return result, nil
}

package gate

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"reflect"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
)

// set is a compiled set of policies with all that an evaluation needs. It never changes.
type set struct {
	policies []*policy
	revision string
	input    *document
	groups   map[Stage]stageGroups

	classificationInput *document
	classify            *rego.PreparedEvalQuery // nil when there is no classification
}

// stageGroups are the policies by what they can do at a stage. Those that can only be recorded are evaluated last, so that they
// take no time from those that decide.
type stageGroups struct {
	deciding, advisory group
}

// group is policies that are evaluated by one query, and if that fails one by one.
type group struct {
	policies []*policy
	together rego.PreparedEvalQuery
	single   map[string]rego.PreparedEvalQuery
}

// entryPackage holds the generated rules that the queries ask for.
const entryPackage = "kubernaut.gate"

// compileSet compiles everything below a folder of policies.
func compileSet(ctx context.Context, files fs.FS, overrides map[string]any) (*set, error) {
	defaults, err := readParameters(files)
	if err != nil {
		return nil, err
	}
	policies, err := readPolicies(files)
	if err != nil {
		return nil, err
	}
	parameters, err := parametersOf(policies, defaults, overrides)
	if err != nil {
		return nil, err
	}
	result := &set{policies: policies, input: documentOf(reflect.TypeFor[Input]())}
	for _, policy := range policies {
		if err := policy.seal(parameters[policy.name]); err != nil {
			return nil, err
		}
	}
	result.revision = revisionOf(policies)
	if err := result.compilePolicies(ctx, parameters); err != nil {
		return nil, err
	}
	if err := result.compileClassification(ctx, files); err != nil {
		return nil, err
	}
	return result, nil
}

func readPolicies(files fs.FS) ([]*policy, error) {
	modules, err := readModules(files, "safety")
	if err != nil {
		return nil, err
	}
	var policies []*policy
	var problems []Problem
	for _, module := range modules {
		policy, found := newPolicy(module)
		policies, problems = append(policies, policy), append(problems, found...)
	}
	return policies, compileError(problems)
}

func (s *set) compilePolicies(ctx context.Context, parameters parameterSets) error {
	modules := make([]module, len(s.policies))
	for i, policy := range s.policies {
		modules[i] = policy.module
	}
	compiler, err := compileModules(modules, s.input, entryModule(s.policies))
	if err != nil {
		return err
	}
	var problems []Problem
	for _, policy := range s.policies {
		compiled := compiler.Modules[policy.file]
		problems = append(problems, referenceProblems(policy.module, compiled, s.input, policy.declared)...)
	}
	if err := compileError(problems); err != nil {
		return err
	}
	store := inmem.NewFromObjectWithOpts(
		map[string]any{"kubernaut": map[string]any{"parameters": parameters.plain()}},
		inmem.OptReturnASTValuesOnRead(true),
	)
	return s.prepare(ctx, compiler, store)
}

func (p parameterSets) plain() map[string]any {
	plain := map[string]any{}
	for policy, values := range p {
		plain[policy] = values
	}
	return plain
}

// compileModules compiles in strict mode, in the sandbox, and with the types of the input.
func compileModules(sources []module, input *document, entry string) (*ast.Compiler, error) {
	schemas, err := schemaSet(input)
	if err != nil {
		return nil, err
	}
	modules := map[string]*ast.Module{}
	for _, source := range sources {
		modules[source.file] = source.parsed
	}
	if entry != "" {
		modules["entry"], err = ast.ParseModuleWithOpts("entry", entry, ast.ParserOptions{RegoVersion: ast.RegoV1})
		if err != nil {
			return nil, fmt.Errorf("entry point: %w", err)
		}
	}
	compiler := ast.NewCompiler().WithCapabilities(capabilities()).WithStrict(true).WithSchemas(schemas)
	if compiler.Compile(modules); compiler.Failed() {
		return nil, compileError(problemsOf(compiler.Errors, sources))
	}
	return compiler, nil
}

// schemaSet puts the schema at the root, where it holds for every rule.
func schemaSet(input *document) (*ast.SchemaSet, error) {
	text, err := json.Marshal(input.schema(nil))
	if err != nil {
		return nil, fmt.Errorf("input schema: %w", err)
	}
	var schema any
	if err := json.Unmarshal(text, &schema); err != nil {
		return nil, fmt.Errorf("input schema: %w", err)
	}
	schemas := ast.NewSchemaSet()
	schemas.Put(ast.SchemaRootRef, schema)
	return schemas, nil
}

// entryModule generates a rule for every query: one entry point costs a third of asking for every package.
func entryModule(policies []*policy) string {
	var text strings.Builder
	fmt.Fprintf(&text, "package %s\n", entryPackage)
	for _, policy := range policies {
		fmt.Fprintf(&text, "policy[%q] := %s\n", policy.name, entryRule(policy))
	}
	for _, stage := range Stages() {
		deciding, advisory := split(policies, stage)
		fmt.Fprintf(&text, "%s := %s\n", togetherRule(stage, "deciding"), entryRule(deciding...))
		fmt.Fprintf(&text, "%s := %s\n", togetherRule(stage, "advisory"), entryRule(advisory...))
	}
	return text.String()
}

func togetherRule(stage Stage, role string) string {
	return string(stage) + "_" + role
}

// entryRule is an object of the rule sets of policies; it is undefined as soon as one of them is.
func entryRule(policies ...*policy) string {
	members := make([]string, len(policies))
	for i, policy := range policies {
		sets := make([]string, len(policy.effects))
		for j, effect := range policy.effects {
			sets[j] = fmt.Sprintf("%q: data.%s[%q].%s", effect.rule(), safetyPackage, policy.name, effect.rule())
		}
		members[i] = fmt.Sprintf("%q: {%s}", policy.name, strings.Join(sets, ", "))
	}
	return "{" + strings.Join(members, ", ") + "}"
}

func split(policies []*policy, stage Stage) (deciding, advisory []*policy) {
	for _, policy := range policies {
		if policy.decidesAt(stage) {
			deciding = append(deciding, policy)
		} else {
			advisory = append(advisory, policy)
		}
	}
	return deciding, advisory
}

func (s *set) prepare(ctx context.Context, compiler *ast.Compiler, store storage.Store) error {
	single := map[string]rego.PreparedEvalQuery{}
	for _, policy := range s.policies {
		prepared, err := prepareQuery(ctx, compiler, store, fmt.Sprintf("data.%s.policy[%q]", entryPackage, policy.name))
		if err != nil {
			return err
		}
		single[policy.name] = prepared
	}
	s.groups = map[Stage]stageGroups{}
	for _, stage := range Stages() {
		deciding, advisory := split(s.policies, stage)
		groups := stageGroups{
			deciding: group{policies: deciding, single: single},
			advisory: group{policies: advisory, single: single},
		}
		for role, group := range map[string]*group{"deciding": &groups.deciding, "advisory": &groups.advisory} {
			prepared, err := prepareQuery(ctx, compiler, store, "data."+entryPackage+"."+togetherRule(stage, role))
			if err != nil {
				return err
			}
			group.together = prepared
		}
		s.groups[stage] = groups
	}
	return nil
}

func prepareQuery(
	ctx context.Context, compiler *ast.Compiler, store storage.Store, query string,
) (rego.PreparedEvalQuery, error) {
	prepared, err := rego.New(
		rego.Compiler(compiler),
		rego.Store(store),
		rego.Query(query),
		rego.SetRegoVersion(ast.RegoV1),
		rego.StrictBuiltinErrors(true),
		rego.GenerateJSON(keepValue),
	).PrepareForEval(ctx)
	if err != nil {
		return prepared, fmt.Errorf("prepare %s: %w", query, err)
	}
	return prepared, nil
}

// keepValue leaves a result as OPA's value: JSON could not tell a set from a list.
func keepValue(term *ast.Term, _ *rego.EvalContext) (any, error) {
	return term.Value, nil
}

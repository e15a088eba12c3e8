package gate

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"k8s.io/apimachinery/pkg/labels"

	"kubernaut.io/kubernaut/api/shared"
)

// set is policies that decide together, with all that an evaluation needs. Which policies are in it never changes; queries are
// prepared when they are first needed.
type set struct {
	policies []*policy
	revision string
	input    *document
	objects  atomic.Pointer[map[string]PolicyStatus]
	built    map[string]builtPolicy

	compiler *ast.Compiler
	store    storage.Store
	cells    map[cellKey]cell
}

// builtPolicy is a policy made of an object, to be used again in the next set.
type builtPolicy struct {
	policy   *policy
	problems []Problem
}

// cellKey is what selects policies without looking at each.
type cellKey struct {
	stage  Stage
	action shared.ActionType // anyAction for a type that the catalogue lacks
}

const anyAction shared.ActionType = ""

// cell is the policies that are asked about one type of action at one stage, by what they can do. Those that can only be recorded
// are evaluated last, so that they take no time from those that decide.
type cell struct {
	deciding, advisory *selection
}

// assemble compiles policies into a set.
func assemble(ctx context.Context, base *compiledIn, policies []*policy) (*set, error) {
	policies = slices.SortedFunc(slices.Values(policies), func(a, b *policy) int { return cmp.Compare(a.name, b.name) })
	compiler, err := compileTogether(policies, base.library)
	if err != nil {
		return nil, err
	}
	parameters := map[string]any{}
	for _, policy := range policies {
		if policy.broken == "" {
			parameters[policy.name] = policy.parameters
		}
	}
	result := &set{
		policies: policies, revision: revisionOf(policies, base.library), input: base.input, compiler: compiler,
		store: inmem.NewFromObjectWithOpts(
			map[string]any{"kubernaut": map[string]any{"parameters": parameters}},
			inmem.OptReturnASTValuesOnRead(true),
		),
	}
	if err := result.index(ctx); err != nil {
		return nil, err
	}
	return result, nil
}

// index puts every policy into the cells in which it is asked, and prepares the queries of those that need no look at a namespace.
func (s *set) index(ctx context.Context) error {
	members := make([]*member, len(s.policies))
	for i, policy := range s.policies {
		members[i] = &member{policy: policy}
		members[i].alone = s.query(questionsOf(policy))
	}
	s.cells = map[cellKey]cell{}
	groups := map[string]*group{}
	for _, stage := range Stages() {
		for _, action := range append(shared.ActionTypes(), anyAction) {
			deciding, advisory := &selection{set: s}, &selection{set: s}
			for _, member := range members {
				switch {
				case !member.askedAt(stage) || !member.concerns(action):
				case member.decidesAt(stage):
					deciding.add(member)
				default:
					advisory.add(member)
				}
			}
			for _, selection := range []*selection{deciding, advisory} {
				if err := selection.prepare(ctx, groups); err != nil {
					return err
				}
			}
			s.cells[cellKey{stage, action}] = cell{deciding: deciding, advisory: advisory}
		}
	}
	return nil
}

func (s *set) cell(in *Input) cell {
	if found, known := s.cells[cellKey{in.Stage, in.Step.Action.Type}]; known {
		return found
	}
	return s.cells[cellKey{in.Stage, anyAction}]
}

// concerns says whether the policy is asked about a type of action; about one that the catalogue lacks every policy is.
func (p *policy) concerns(action shared.ActionType) bool {
	return action == anyAction || len(p.match.Actions) == 0 || slices.Contains(p.match.Actions, action)
}

// member is a policy in a set, with the query that asks it alone.
type member struct {
	*policy

	alone *query
}

// group is policies that are asked by one query, and if that fails one by one.
type group struct {
	members  []*member // that can be evaluated
	broken   []*policy
	together *query
}

func (s *set) group(members []*member) *group {
	result := &group{}
	var policies []*policy
	for _, member := range members {
		if member.broken != "" {
			result.broken = append(result.broken, member.policy)
			continue
		}
		result.members, policies = append(result.members, member), append(policies, member.policy)
	}
	result.together = s.query(questionsOf(policies...))
	return result
}

// questionsOf is a query for the rule sets of policies, in order; one that is undefined is missing in the answer. It iterates, because
// OPA evaluates what follows an expression inside it: a list of as many expressions would need a deep stack.
func questionsOf(policies ...*policy) string {
	var rules []string
	for _, policy := range policies {
		for _, effect := range policy.effects {
			rules = append(rules, fmt.Sprintf("[%q, %q]", policy.name, effect.rule()))
		}
	}
	return fmt.Sprintf("[results | some rule in [%s]; results := data.%s[rule[0]][rule[1]]]", strings.Join(rules, ", "), safetyPackage)
}

// selection is the policies of a cell that can do the same. Those with a namespace selector are held by selector, so that each is
// evaluated once; which of them match selects the group.
type selection struct {
	set       *set
	always    []*member
	selective []selective

	all    *group // when nothing is selective
	mutex  sync.RWMutex
	groups map[string]*group // by the selectors that match
}

type selective struct {
	text     string
	selector labels.Selector
	members  []*member
}

// maxGroups bounds the groups that are kept for a selection. Namespaces have few kinds of labels, as far as policies see them.
const maxGroups = 256

func (s *selection) add(m *member) {
	if m.selector == nil {
		s.always = append(s.always, m)
		return
	}
	text := m.selector.String()
	for i := range s.selective {
		if s.selective[i].text == text {
			s.selective[i].members = append(s.selective[i].members, m)
			return
		}
	}
	s.selective = append(s.selective, selective{text: text, selector: m.selector, members: []*member{m}})
}

// prepare makes the group of a selection without selectors, the same one for all cells with the same policies.
func (s *selection) prepare(ctx context.Context, known map[string]*group) error {
	s.groups = map[string]*group{}
	if len(s.selective) > 0 {
		return nil
	}
	names := make([]string, len(s.always))
	for i, member := range s.always {
		names[i] = member.name
	}
	key := strings.Join(names, " ")
	if known[key] == nil {
		known[key] = s.set.group(s.always)
		if _, err := known[key].together.get(ctx); err != nil {
			return err
		}
	}
	s.all = known[key]
	return nil
}

// group is the policies that are asked about a step.
func (s *selection) group(in *Input) *group {
	if s.all != nil {
		return s.all
	}
	key := make([]byte, len(s.selective))
	for i := range s.selective {
		if covers(s.selective[i].selector, in) {
			key[i] = 1
		}
	}
	s.mutex.RLock()
	found := s.groups[string(key)]
	s.mutex.RUnlock()
	if found != nil {
		return found
	}
	members := slices.Clone(s.always)
	for i := range s.selective {
		if key[i] == 1 {
			members = append(members, s.selective[i].members...)
		}
	}
	made := s.set.group(members)
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if found := s.groups[string(key)]; found != nil {
		return found
	}
	if len(s.groups) >= maxGroups {
		clear(s.groups)
	}
	s.groups[string(key)] = made
	return made
}

// query is one that is prepared when it is first needed.
type query struct {
	set  *set
	text string

	once     sync.Once
	prepared rego.PreparedEvalQuery
	err      error
}

func (s *set) query(text string) *query { return &query{set: s, text: text} }

// get prepares the query, whatever becomes of the caller: the next one needs it too.
func (q *query) get(ctx context.Context) (rego.PreparedEvalQuery, error) {
	q.once.Do(func() {
		q.prepared, q.err = prepareQuery(context.WithoutCancel(ctx), q.set.compiler, q.set.store, q.text)
	})
	return q.prepared, q.err
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

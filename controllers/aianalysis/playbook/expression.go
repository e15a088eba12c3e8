package playbook

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/ext"

	aianalysisv1 "kubernaut.io/kubernaut/api/aianalysis/v1"
	"kubernaut.io/kubernaut/api/shared"
)

const (
	// costLimit bounds one evaluation, in CEL's own unit: about a comparison each.
	costLimit = 100_000
	// evaluationLimit bounds one evaluation in time, for what costs little by CEL's measure and much by the clock.
	evaluationLimit = time.Second
	// interruptEvery is after how many turns of a comprehension the time is looked at.
	interruptEvery = 100
	// expressionLimit and nestingLimit bound the text of an expression.
	expressionLimit = 4096
	nestingLimit    = 64
)

// Recovery is the variable recovery: what earlier workflows of the request failed of. Its fields are named as in the spec of
// an AIAnalysis; the history of the last of them is enrichment.failedWorkflow.
type Recovery struct {
	IsRecoveryAttempt     bool     `json:"isRecoveryAttempt,omitempty"`
	RecoveryAttemptNumber int32    `json:"recoveryAttemptNumber,omitempty"`
	FailedStep            *int32   `json:"failedStep,omitempty"`
	FailureReason         string   `json:"failureReason,omitempty"`
	FailedPlaybooks       []string `json:"failedPlaybooks,omitempty"`
}

// variablesOf are the variables of an expression.
func variablesOf(spec *aianalysisv1.AIAnalysisSpec) map[string]any {
	return map[string]any{
		"target":         spec.Target,
		"signal":         spec.SignalContext,
		"enrichment":     spec.Enrichment,
		"classification": spec.Classification,
		"recovery": Recovery{
			IsRecoveryAttempt: spec.IsRecoveryAttempt, RecoveryAttemptNumber: spec.RecoveryAttemptNumber,
			FailedStep: spec.FailedStep, FailureReason: spec.FailureReason, FailedPlaybooks: spec.FailedPlaybooks,
		},
	}
}

func newEnvironment() (*cel.Env, error) {
	env, err := cel.NewEnv(
		cel.OptionalTypes(),
		// Version 5 is the first that counts what a function on texts costs.
		ext.Strings(ext.StringsVersion(5)),
		cel.CrossTypeNumericComparisons(true),
		cel.ParserExpressionSizeLimit(expressionLimit),
		cel.ParserRecursionLimit(nestingLimit),
		withTypes(variablesOf(&aianalysisv1.AIAnalysisSpec{Target: shared.Target{}})),
	)
	if err != nil {
		return nil, fmt.Errorf("CEL environment: %w", err)
	}
	return env, nil
}

// compileExpression compiles text and requires its result to be of one of the kinds wanted, of which want tells people.
func compileExpression(env *cel.Env, text, want string, kinds ...types.Kind) (cel.Program, error) {
	ast, issues := env.Compile(text)
	if err := issuesError(issues); err != nil {
		return nil, err
	}
	kind := ast.OutputType().Kind()
	wanted := false
	for _, k := range kinds {
		wanted = wanted || k == kind
	}
	if !wanted {
		return nil, fmt.Errorf("gives %s, not %s", ast.OutputType(), want)
	}
	return env.Program(ast, cel.CostLimit(costLimit), cel.InterruptCheckFrequency(interruptEvery))
}

// issuesError says what is wrong and where, all of it in one line.
func issuesError(issues *cel.Issues) error {
	if issues == nil || len(issues.Errors()) == 0 {
		return nil
	}
	problems := make([]string, 0, len(issues.Errors()))
	for _, problem := range issues.Errors() {
		problems = append(problems, fmt.Sprintf("line %d, column %d: %s", problem.Location.Line(), problem.Location.Column()+1, problem.Message))
	}
	return errors.New(strings.Join(problems, "; "))
}

// evaluate runs a program within its limits.
func evaluate(ctx context.Context, program cel.Program, variables map[string]any) (ref.Val, error) {
	ctx, cancel := context.WithTimeout(ctx, evaluationLimit)
	defer cancel()
	value, _, err := program.ContextEval(ctx, variables)
	if err != nil {
		return nil, err
	}
	return value, nil
}

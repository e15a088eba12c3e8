package gate

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"

	"gopkg.in/natefinch/lumberjack.v2"

	"kubernaut.io/kubernaut/api/shared"
)

// The bounds of a decision log in a file, unless the options say otherwise: when it has that many MB it is renamed, and that many
// renamed ones are kept.
const (
	defaultLogMegabytes = 100
	defaultLogBackups   = 10
)

// LogOptions say where decisions are logged, and how much of them.
type LogOptions struct {
	// File is the path of the log, in a folder that exists.
	File string
	// Out gets the log instead of a file, and is neither rotated nor closed.
	Out io.Writer
	// Inputs has every record hold the complete input, so that the decision can be made again with other policies.
	Inputs bool
	// Megabytes is the size at which a file is renamed, with the time in its name, and a new one begun. Default: 100.
	Megabytes int
	// Backups is how many renamed files are kept. Default: 10.
	Backups int
	// OnError is told when a record could not be written; the decision stands. Default: nobody is told.
	OnError func(error)
}

// Record is one line of the decision log: the decision with all its results, and what it was about.
type Record struct {
	Decision

	// Workflow is the name of the workflow.
	Workflow string `json:"workflow"`
	// Namespace is the namespace of the workflow.
	Namespace string `json:"namespace"`
	// StepIndex and Step are the 0-based index of the step and its name.
	StepIndex int    `json:"stepIndex"`
	Step      string `json:"step"`
	// Action is the type of the step's action.
	Action shared.ActionType `json:"action"`
	// Target is what the step changes, as far as it is known.
	Target shared.Target `json:"target,omitzero"`
	// Requester is the user name of who asked for the workflow.
	Requester string `json:"requester,omitempty"`
	// Input is the document that was judged, without the data of Secrets; only when inputs are logged.
	Input *Input `json:"input,omitempty"`
}

// DecisionLog writes a JSON line for every decision. Its id is the one in the status of the workflow. All its methods can be called
// concurrently.
type DecisionLog struct {
	mutex   sync.Mutex
	out     io.WriteCloser
	inputs  bool
	onError func(error)
}

// OpenDecisionLog opens the log; its error says that the file cannot be written.
func OpenDecisionLog(options LogOptions) (*DecisionLog, error) {
	log := &DecisionLog{inputs: options.Inputs, onError: options.OnError}
	if log.onError == nil {
		log.onError = func(error) {}
	}
	if options.Out != nil {
		log.out = nopCloser{options.Out}
		return log, nil
	}
	// The rotating file is opened with the first decision, which is too late to find out that it cannot be.
	file, err := os.OpenFile(options.File, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("decision log: %w", err)
	}
	if err := file.Close(); err != nil {
		return nil, fmt.Errorf("decision log: %w", err)
	}
	log.out = &lumberjack.Logger{
		Filename: options.File, MaxSize: cmp.Or(options.Megabytes, defaultLogMegabytes), MaxBackups: cmp.Or(options.Backups, defaultLogBackups),
	}
	return log, nil
}

// Close closes the file.
func (l *DecisionLog) Close() error {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return l.out.Close()
}

// write adds the line of a decision; in may be nil. Without a log it does nothing.
func (l *DecisionLog) write(decision Decision, in *Input) {
	if l == nil {
		return
	}
	line, err := json.Marshal(l.record(decision, in))
	if err != nil {
		l.onError(fmt.Errorf("decision %s: %w", decision.ID, err))
		return
	}
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if _, err := l.out.Write(append(line, '\n')); err != nil {
		l.onError(fmt.Errorf("decision %s: %w", decision.ID, err))
	}
}

func (l *DecisionLog) record(decision Decision, in *Input) Record {
	record := Record{Decision: decision}
	if in == nil {
		return record
	}
	record.Workflow, record.Namespace = in.Workflow.Name, in.Workflow.Namespace
	record.StepIndex, record.Step, record.Action = in.Step.Index, in.Step.Name, in.Step.Action.Type
	record.Target = shared.Target{
		APIVersion: orNothing(in.Target.APIVersion), Kind: orNothing(in.Target.Kind),
		Namespace: orNothing(in.Target.Namespace), Name: orNothing(in.Target.Name),
	}
	record.Requester = orNothing(in.Requester.Username)
	if l.inputs {
		record.Input = redacted(in)
	}
	return record
}

func orNothing(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}

// redaction stands in the place of a value of a Secret.
const redaction = "[redacted]"

// redacted is the input as it may be stored: the object of a Secret has no data anyway, and here the values that a step would change in
// it, or restore, are left out too. It shares the rest with the input.
func redacted(in *Input) *Input {
	if orNothing(in.Target.Kind) != "Secret" {
		return in
	}
	out := *in
	out.Impact.Changes = slices.Clone(in.Impact.Changes)
	for i := range out.Impact.Changes {
		out.Impact.Changes[i].Before, out.Impact.Changes[i].After = redaction, redaction
	}
	out.Rollback.Restores = slices.Clone(in.Rollback.Restores)
	for i := range out.Rollback.Restores {
		out.Rollback.Restores[i].Value = redaction
	}
	return &out
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

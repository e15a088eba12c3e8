package gate

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"time"
)

const (
	// childVariable marks a process that is to run tests and nothing else.
	childVariable = "KUBERNAUT_GATE_TESTS"
	// The limits of such a process: time from its start to its end, and memory beyond what the Go runtime reserves at the start.
	childTime   = 5 * time.Second
	childMemory = 1 << 30
	// childSoftMemory has the garbage collector do its best before.
	childSoftMemory = "GOMEMLIMIT=768MiB"
	// maxChildren bounds the processes at one time, and so their memory.
	maxChildren = 2
	maxStderr   = 16 * 1024
)

// ErrNoChild says that the program cannot run tests, because its main does not call MaybeChild.
var ErrNoChild = errors.New("tests of policies need a program that calls gate.MaybeChild first")

// canBeChild is what MaybeChild leaves behind: without it a child would do all that the program does.
var canBeChild atomic.Bool //nolint:gochecknoglobals // a fact about the program

// MaybeChild must be the first call of main, and of TestMain where tests run the tests of policies. In a process that was started to
// run tests of a policy it does so and exits; in every other it returns at once.
//
//nolint:forbidigo,revive // in a child this is all of main
func MaybeChild() {
	if os.Getenv(childVariable) == "" {
		canBeChild.Store(true)
		return
	}
	if err := limitMemory(childMemory); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if err := serveTests(context.Background(), os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// testJob is what a child is told: all that the policy is compiled with.
type testJob struct {
	Object  PolicyObject   `json:"object"`
	Library []testSource   `json:"library"`
	Changed *testSource    `json:"changed,omitempty"` // the policy of the baseline that the object changes
	Values  map[string]any `json:"values,omitempty"`  // its parameters
}

type testSource struct {
	Name string `json:"name"`
	File string `json:"file"`
	Text string `json:"text"`
}

// testMessage is one line of a child: what it begins, or the end.
type testMessage struct {
	Begin  *Problem    `json:"begin,omitempty"`
	Report *TestReport `json:"report,omitempty"`
}

func (m module) source() testSource { return testSource{Name: m.name, File: m.file, Text: m.text} }

func (s testSource) parsed() (module, error) {
	result := module{name: s.Name, file: s.File, text: s.Text}
	err := result.parse()
	return result, err
}

// serveTests reads a job, does it, and writes what it begins and how it ends.
func serveTests(ctx context.Context, in io.Reader, out io.Writer) error {
	var job testJob
	if err := json.NewDecoder(in).Decode(&job); err != nil {
		return fmt.Errorf("read the job: %w", err)
	}
	base, err := job.compiledIn()
	if err != nil {
		return fmt.Errorf("read the job: %w", err)
	}
	lines := json.NewEncoder(out)
	var failure error
	tell := func(message testMessage) { failure = errors.Join(failure, lines.Encode(message)) }
	run := &testRun{base: base, object: job.Object, begin: func(part Problem) { tell(testMessage{Begin: &part}) }}
	report := run.run(ctx)
	tell(testMessage{Report: &report})
	return failure
}

// compiledIn is as much of the baseline as the job needs.
func (j *testJob) compiledIn() (*compiledIn, error) {
	base, err := newCompiledIn()
	if err != nil {
		return nil, err
	}
	for _, source := range j.Library {
		parsed, err := source.parsed()
		if err != nil {
			return nil, err
		}
		base.library = append(base.library, parsed)
	}
	if j.Changed == nil {
		return base, nil
	}
	parsed, err := j.Changed.parsed()
	if err != nil {
		return nil, err
	}
	changed, problems := newPolicy(parsed)
	if len(problems) > 0 {
		return nil, compileError(problems)
	}
	changed.parameters, changed.shape = j.Values, shapeOfNames(j.Values)
	base.policies = []*policy{changed}
	return base, nil
}

// Test compiles a policy and runs its tests, in a process of its own that has 5 seconds and 1 GiB of memory: what a policy does to
// the one who compiles it, it does there. The report says what is wrong with the policy; an error, that nobody knows. It needs a
// program that calls MaybeChild.
func (g *Gate) Test(ctx context.Context, object PolicyObject) (TestReport, error) {
	if _, problems := g.compiledIn.resolve(ctx, object); len(problems) > 0 {
		return TestReport{Problems: problems}, nil
	}
	if !canBeChild.Load() {
		return TestReport{}, ErrNoChild
	}
	job := testJob{Object: object}
	for _, source := range g.compiledIn.library {
		job.Library = append(job.Library, source.source())
	}
	if changed := g.compiledIn.policy(object.Baseline); changed != nil {
		job.Changed, job.Values = new(changed.source()), changed.parameters
	}
	input, err := json.Marshal(job)
	if err != nil {
		return TestReport{}, fmt.Errorf("tests of %s: %w", object.Name, err)
	}
	select {
	case g.children <- struct{}{}:
		defer func() { <-g.children }()
	case <-ctx.Done():
		return TestReport{}, fmt.Errorf("tests of %s: waiting for those of other policies: %w", object.Name, ctx.Err())
	}
	return runChild(ctx, object, input)
}

func runChild(parent context.Context, object PolicyObject, job []byte) (TestReport, error) {
	program, err := os.Executable()
	if err != nil {
		return TestReport{}, fmt.Errorf("tests of %s: %w", object.Name, err)
	}
	ctx, cancel := context.WithTimeout(parent, childTime)
	defer cancel()
	child := exec.CommandContext(ctx, program) //nolint:gosec // this very program
	// Nothing of the operator's environment reaches it.
	child.Env = []string{childVariable + "=1", childSoftMemory, "GOTRACEBACK=none"}
	stdout, stderr := &bytes.Buffer{}, &boundedBuffer{limit: maxStderr}
	child.Stdin, child.Stdout, child.Stderr = bytes.NewReader(job), stdout, stderr
	child.WaitDelay = time.Second
	ended := child.Run()
	if parent.Err() != nil {
		return TestReport{}, fmt.Errorf("tests of %s: %w", object.Name, parent.Err())
	}
	report, part := readMessages(stdout)
	switch {
	case report != nil && ended == nil:
		return *report, nil
	case ctx.Err() != nil:
		part.Message = fmt.Sprintf("%s took longer than all tests together may, %v", part.Message, childTime)
		return problemReport(part), nil
	case stderr.tellsOfMemory():
		part.Message += " needed more than 1 GiB of memory"
		return problemReport(part), nil
	case ended != nil && part.File != "":
		part.Message = fmt.Sprintf("%s ended the process: %v: %s", part.Message, ended, stderr.firstLine())
		return problemReport(part), nil
	default:
		return TestReport{}, fmt.Errorf("tests of %s: the process said nothing: %w: %s", object.Name, ended, stderr.firstLine())
	}
}

// readMessages is how a child ended, if it did, and what it began last.
func readMessages(from io.Reader) (report *TestReport, part Problem) {
	lines := bufio.NewReader(from)
	for {
		line, err := lines.ReadBytes('\n')
		var message testMessage
		if json.Unmarshal(line, &message) == nil {
			if message.Begin != nil {
				part = *message.Begin
			}
			if message.Report != nil {
				report = message.Report
			}
		}
		if err != nil {
			return report, part
		}
	}
}

// boundedBuffer keeps the beginning of what is written.
type boundedBuffer struct {
	text  bytes.Buffer
	limit int
}

func (b *boundedBuffer) Write(text []byte) (int, error) {
	b.text.Write(text[:min(len(text), b.limit-b.text.Len())])
	return len(text), nil
}

// tellsOfMemory recognizes how the Go runtime ends when it gets no more memory, or no more threads for want of it.
func (b *boundedBuffer) tellsOfMemory() bool {
	text := b.text.String()
	for _, sign := range []string{"out of memory", "cannot allocate memory", "failed to create new OS thread", "pthread_create failed"} {
		if strings.Contains(text, sign) {
			return true
		}
	}
	return false
}

func (b *boundedBuffer) firstLine() string {
	first, _, _ := strings.Cut(b.text.String(), "\n")
	return first
}

// Command demo plays scenes on a cluster that runs Kubernaut and shows, as it happens, who does what and why. It exits with 0
// only if what it promises is true in the cluster at the end.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/term"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

const (
	exitFailed = 1
	exitUsage  = 2
)

// options are what the demo can be told.
type options struct {
	kubeconfig string
	auditLog   string
	kubernaut  string
	namespace  string
	limit      time.Duration
}

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) //nolint:forbidigo // this is a command: it owns process and terminal
}

func run(args []string, out, errOut io.Writer) int {
	o, err := parse(args, errOut)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		return exitUsage
	}
	// The libraries' logs are for operators; what a watcher of the demo has to know is told in its lines.
	log.SetLogger(logr.Discard())
	interrupted, stop := signal.NotifyContext(logr.NewContext(context.Background(), logr.Discard()), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeoutCause(interrupted, o.limit, fmt.Errorf("the limit of %s is over", o.limit))
	defer cancel()
	if !play(ctx, o, newShow(out, isTerminal(out))) {
		return exitFailed
	}
	return 0
}

func parse(args []string, errOut io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	flags.SetOutput(errOut)
	flags.StringVar(&o.kubeconfig, "kubeconfig", "", "kubeconfig of a cluster that runs Kubernaut, as make up starts it (required)")
	flags.StringVar(&o.auditLog, "audit-log", "", "audit log of its API server, from which the demo tells who wrote what (required)")
	flags.StringVar(&o.kubernaut, "kubernaut", "", "the kubernaut command, by which a person approves; left out, it is the one beside this command")
	flags.StringVar(&o.namespace, "namespace", "shop", "namespace to play in; one that an earlier demo made is deleted first")
	flags.DurationVar(&o.limit, "timeout", 150*time.Second, "time until everything must be done")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if o.kubeconfig == "" || o.auditLog == "" || flags.NArg() > 0 {
		err := errors.New("usage: demo --kubeconfig FILE --audit-log FILE [--namespace NAME] [--timeout DURATION]")
		fmt.Fprintln(errOut, err)
		return o, err
	}
	if o.kubernaut == "" {
		self, err := os.Executable()
		if err != nil {
			return o, err
		}
		o.kubernaut = filepath.Join(filepath.Dir(self), "kubernaut")
	}
	return o, nil
}

// play plays all scenes, whatever becomes of one, and says whether every claim of every scene is true.
func play(ctx context.Context, o options, s *show) bool {
	connection, err := connect(o.kubeconfig)
	if err != nil {
		s.verdict([]claim{failed(err, "start the local cluster with everything installed: make up")})
		return false
	}
	fine := true
	for i, scene := range scenes() {
		s.title(i+1, scene.title)
		claims := scene.play(ctx, &stage{cluster: connection, show: s, options: o})
		s.verdict(claims)
		fine = fine && allTrue(claims)
	}
	if fine {
		s.table([]string{"Every scene ended as promised.", "look around: " + o.kubectl("get kubernaut"), "end it all: make down"})
	} else {
		s.table([]string{"Not every scene ended as promised: look for ✗ above."})
	}
	return fine
}

// scene is one story with a beginning and an end.
type scene struct {
	title string
	play  func(ctx context.Context, s *stage) []claim
}

func scenes() []scene {
	return []scene{
		{title: "a rollout that cannot work is found, explained, checked and undone", play: stuckRollout},
		{title: "a policy denies, and nothing is touched", play: aPolicyDenies},
		{title: "a status is written by its own controller, and by nobody else", play: aStatusIsGuarded},
		{title: "what cannot be undone waits for a person, and goes on when one approves", play: aPersonApproves},
		{title: "a workflow fails half-way, is undone, and a recovery with another playbook succeeds", play: aRecovery},
	}
}

// stage is what a scene is played on.
type stage struct {
	*cluster
	*show
	options
}

// kubectl is a command line that looks at what the scene left behind.
func (o options) kubectl(command string) string {
	return fmt.Sprintf("bin/kubectl --kubeconfig %s -n %s %s", o.kubeconfig, o.namespace, command)
}

// managerLog is where make up has the manager write.
func (o options) managerLog() string {
	return filepath.Join(filepath.Dir(o.auditLog), "manager.log")
}

// isTerminal says whether colours are welcome (https://no-color.org).
func isTerminal(out io.Writer) bool {
	file, ok := out.(*os.File)
	return ok && os.Getenv("NO_COLOR") == "" && term.IsTerminal(int(file.Fd()))
}

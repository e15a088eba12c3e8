package binaries

import (
	"fmt"
	"io"
	"os"
	"time"
)

// progress says that something is still going on: by a ticking line on a terminal, else by a line now and then.
type progress struct {
	out   io.Writer
	label string
	tty   bool
	begun time.Time
	stop  chan struct{}
	done  chan struct{}
}

func startProgress(out io.Writer, label string) *progress {
	p := &progress{out, label, isTerminal(out), time.Now(), make(chan struct{}), make(chan struct{})}
	if !p.tty {
		fmt.Fprintln(out, label)
	}
	go p.tick()
	return p
}

func (p *progress) tick() {
	defer close(p.done)
	period := 15 * time.Second
	if p.tty {
		period = time.Second
	}
	ticker := time.NewTicker(period)
	defer ticker.Stop()
	for {
		p.show()
		select {
		case <-ticker.C:
		case <-p.stop:
			return
		}
	}
}

func (p *progress) show() {
	switch {
	case p.tty:
		fmt.Fprintf(p.out, "\r%s … %s", p.label, p.elapsed())
	case p.elapsed() > 0:
		fmt.Fprintf(p.out, "%s … %s\n", p.label, p.elapsed())
	}
}

func (p *progress) elapsed() time.Duration { return time.Since(p.begun).Truncate(time.Second) }

func (p *progress) end(err error) {
	close(p.stop)
	<-p.done
	result := "done in"
	if err != nil {
		result = "failed after"
	}
	if p.tty {
		fmt.Fprint(p.out, "\r")
	}
	fmt.Fprintf(p.out, "%s: %s %s\n", p.label, result, p.elapsed())
}

func isTerminal(out io.Writer) bool {
	file, ok := out.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && info.Name() != "null"
}

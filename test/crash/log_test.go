package crash

import (
	"strings"
	"sync"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
)

// mostLogged bounds the log of a run: the last of it is kept.
const mostLogged = 200

// memory keeps what the managers of a run log, for a run that fails.
type memory struct {
	mutex sync.Mutex
	lines []string
	panic string
}

func (m *memory) logger() logr.Logger {
	return funcr.New(func(prefix, args string) {
		m.mutex.Lock()
		defer m.mutex.Unlock()
		if m.panic == "" && strings.Contains(args, `"panic"=`) {
			m.panic = args
		}
		m.lines = append(m.lines, prefix+" "+args)
		if len(m.lines) > 2*mostLogged {
			m.lines = append([]string(nil), m.lines[len(m.lines)-mostLogged:]...)
		}
	}, funcr.Options{})
}

func (m *memory) text() string {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	return strings.Join(m.lines[max(0, len(m.lines)-mostLogged):], "\n")
}

// panicked is the first panic of a reconciler, which the manager survives; empty without one.
func (m *memory) panicked() string {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	return m.panic
}

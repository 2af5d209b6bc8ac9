package devstack

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/suanpan/suanpan/internal/child"
)

// Timings of supervision.
const (
	readyTimeout   = 60 * time.Second       // from start to first answer
	readyPoll      = 50 * time.Millisecond  // between two questions
	firstBackoff   = 100 * time.Millisecond // before a dead part is started again
	longestBackoff = 5 * time.Second
	steadyAfter    = 20 * time.Second // having run so long, a part is no crash loop
	startAttempts  = 3                // while the stack comes up
)

// part is one supervised process.
type part struct {
	name    string
	address string // where people reach it
	log     string
	grace   time.Duration // between the stop signal and a kill
	command func() (cmd *exec.Cmd, stop os.Signal)
	ready   func(ctx context.Context) error

	process *child.Process
}

// start runs the process once.
func (p *part) start() error {
	cmd, stop := p.command()
	process, err := child.Start(child.Options{Cmd: cmd, Log: p.log, StopSignal: stop})
	if err != nil {
		return fmt.Errorf("cannot start %s: %w", p.name, err)
	}
	p.process = process
	return nil
}

// errEnded says that the process ended before it answered.
var errEnded = errors.New("ended before it answered")

// waitReady returns when the part answers, has ended, or took too long.
func (p *part) waitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	ticker := time.NewTicker(readyPoll)
	defer ticker.Stop()
	for {
		err := p.ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-p.process.Done():
			return fmt.Errorf("%s %w: %s (log: %s)", p.name, errEnded, lastLine(p.log), p.log)
		case <-ctx.Done():
			return fmt.Errorf("%s does not answer: %w (log: %s)", p.name, err, p.log)
		case <-ticker.C:
		}
	}
}

// answersHTTP asks a health address; only 200 counts.
func answersHTTP(url string) func(context.Context) error {
	return func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
		defer cancel()
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("%s answers %s", url, response.Status)
		}
		return nil
	}
}

// lastLine is what a process said last: most often why it ended.
func lastLine(file string) string {
	content, err := os.ReadFile(file)
	if err != nil {
		return "it left no log"
	}
	text := strings.TrimSpace(string(content))
	return text[strings.LastIndexByte(text, '\n')+1:]
}

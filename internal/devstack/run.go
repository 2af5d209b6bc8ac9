package devstack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/suanpan/suanpan/internal/config"
)

// Options say what stack is wanted.
type Options struct {
	// Root is the checkout whose programs are built and run.
	Root string
	// DataDir is the folder for everything the stack keeps.
	DataDir string
	// Ports are where the parts listen.
	Ports Ports
	// Environ is the process's environment, in the form of os.Environ.
	Environ []string
	// Out is where a person reads what happens.
	Out io.Writer
	// Migrate runs when PostgreSQL and Temporal answer; it makes the schema, the
	// namespace and the search attributes. Seed runs when the sandbox answers,
	// before the first worker and API. Both must be idempotent; nil is nothing.
	Migrate, Seed func(ctx context.Context, env Env) error
	// OnUp is called once, when everything answers and the addresses are told.
	OnUp func()
}

// Run brings the stack up, keeps it up until ctx ends, and stops what it
// started. A stop that was asked for is no error.
func Run(ctx context.Context, o Options) error {
	given, err := config.LoadStack(o.Environ)
	if err != nil {
		return err
	}
	if o.DataDir, err = filepath.Abs(o.DataDir); err != nil {
		return err
	}
	if err := makeDataDir(o.DataDir); err != nil {
		return err
	}
	unlock, err := lock(o.DataDir)
	if err != nil {
		return err
	}
	defer unlock()

	s := &stack{options: o, given: given, ports: o.Ports, super: newSupervisor(o.DataDir, o.Out),
		programs: filepath.Join(o.DataDir, "bin")}
	if err := stopOrphans(o.DataDir, s.super.say); err != nil {
		return err
	}
	if err := checkFree(s.needs()); err != nil {
		return err
	}
	return s.run(ctx)
}

func (s *stack) run(ctx context.Context) error {
	began := time.Now()
	if err := s.super.mark(Starting); err != nil {
		return notWritable(s.options.DataDir, err)
	}
	s.super.say("Suanpan comes up in %s", s.options.DataDir)
	err := s.start(ctx)
	if err == nil {
		err = s.announce(began)
	}
	if err == nil {
		<-ctx.Done()
	}
	if ctx.Err() != nil { // asked to stop, perhaps in the middle of starting
		s.super.say("stopping what was started")
		err = nil
	}
	return errors.Join(err, s.super.down())
}

// announce tells that everything is up, and where.
func (s *stack) announce(began time.Time) error {
	addresses := s.addresses()
	if err := s.super.mark(Up, addresses...); err != nil {
		return err
	}
	s.super.say("everything is up after %s:", since(began))
	for _, a := range addresses {
		s.super.say("  %-26s %s", a.What, a.URL)
	}
	if s.options.OnUp != nil {
		s.options.OnUp()
	}
	return nil
}

func makeDataDir(dir string) error {
	for _, folder := range []string{dir, filepath.Join(dir, "log")} {
		// The server's user may have to pass through on its way to postgres/.
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return notWritable(dir, err)
		}
	}
	probe, err := os.CreateTemp(dir, ".writable-*")
	if err != nil {
		return notWritable(dir, err)
	}
	return errors.Join(probe.Close(), os.Remove(probe.Name()))
}

// PrintStatus tells what runs. up is true when the whole stack is up.
func PrintStatus(dataDir string, out io.Writer) (up bool, err error) {
	state, ok, err := readState(dataDir)
	if err != nil {
		return false, err
	}
	if !ok {
		fmt.Fprintf(out, "nothing runs on %s\n", dataDir)
		return false, nil
	}
	alive := state.Supervisor.Alive()
	if alive {
		fmt.Fprintf(out, "%s since %s, supervisor pid %d\n", state.Status,
			state.Since.Format(time.DateTime), state.Supervisor.PID)
	} else {
		fmt.Fprintln(out, "the supervisor was killed; `starter dev stop` stops what it left")
	}
	for _, p := range state.Parts {
		condition := "running"
		if !p.Process.Alive() {
			condition = "not running"
		}
		fmt.Fprintf(out, "  %-12s %-28s %-12s pid %-8d restarts %d\n",
			p.Name, p.Address, condition, p.Process.PID, p.Restarts)
	}
	for _, a := range state.Addresses {
		fmt.Fprintf(out, "  %-26s %s\n", a.What, a.URL)
	}
	return alive && state.Status == Up, nil
}

package devstack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/suanpan/suanpan/internal/child"
	"github.com/suanpan/suanpan/internal/postgres"
)

// stopTimeout bounds how long Stop waits for a supervisor.
const stopTimeout = 2 * time.Minute

// Detach runs program with args, which must run the stack and send what it
// tells to file descriptor 3 until the stack is up, as a process that outlives
// this one. It returns when the stack is up or has failed to come up. A stack
// that runs already is shown and is no error.
func Detach(ctx context.Context, program string, args []string, dataDir string, out io.Writer) error {
	if err := makeDataDir(dataDir); err != nil {
		return err
	}
	unlock, err := lock(dataDir)
	if errors.Is(err, errLocked) {
		return waitUp(ctx, dataDir, out)
	}
	if err != nil {
		return err
	}
	unlock() // the supervisor takes it; should another be faster, it says so

	log, err := os.OpenFile(filepath.Join(dataDir, "log", "dev.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	progress, write, err := os.Pipe()
	if err != nil {
		return err
	}
	defer progress.Close()
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.ExtraFiles = []*os.File{write}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return errors.Join(err, write.Close())
	}
	_ = write.Close()
	forward := context.AfterFunc(ctx, func() { _ = cmd.Process.Signal(syscall.SIGTERM) })
	defer forward()
	_, _ = io.Copy(out, progress) // ends when the stack is up or the process is gone
	if state, ok, err := readState(dataDir); err == nil && ok && state.Status == Up {
		return cmd.Process.Release()
	}
	_ = cmd.Wait()
	return ErrNotUp
}

// ErrNotUp says that the stack did not come up; why was told before.
var ErrNotUp = errors.New("the stack did not come up")

// waitUp waits for a stack that another supervisor brings up.
func waitUp(ctx context.Context, dataDir string, out io.Writer) error {
	for {
		state, ok, err := readState(dataDir)
		if err != nil {
			return err
		}
		if ok && state.Status == Up && state.Supervisor.Alive() {
			fmt.Fprintln(out, "the stack is up already")
			_, err := PrintStatus(dataDir, out)
			return err
		}
		if unlock, err := lock(dataDir); err == nil {
			unlock()
			return fmt.Errorf("%w: its supervisor ended meanwhile: try again", ErrNotUp)
		}
		if !wait(ctx, readyPoll) {
			return ctx.Err()
		}
	}
}

// Stop stops the stack on dataDir: through its supervisor, or, where that was
// killed, the orphans it left. Nothing running is no error.
func Stop(ctx context.Context, dataDir string, out io.Writer) error {
	say := func(format string, args ...any) { fmt.Fprintf(out, format+"\n", args...) }
	state, ok, err := readState(dataDir)
	if err != nil {
		return err
	}
	if !ok {
		say("nothing runs on %s", dataDir)
		return nil
	}
	if supervisor, alive := child.Adopt(state.Supervisor, syscall.SIGTERM); alive {
		say("stopping the stack (supervisor pid %d)", state.Supervisor.PID)
		if err := askToStop(ctx, supervisor); err != nil {
			return err
		}
		say("stopped")
		return nil
	}
	unlock, err := lock(dataDir)
	if err != nil {
		return err
	}
	defer unlock()
	if err := stopOrphans(dataDir, say); err != nil {
		return err
	}
	say("stopped")
	return nil
}

// askToStop never kills a supervisor: only it stops its children in order.
func askToStop(ctx context.Context, supervisor *child.Process) error {
	ctx, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	if err := syscall.Kill(supervisor.Identity().PID, syscall.SIGTERM); err != nil {
		return fmt.Errorf("cannot stop the supervisor, pid %d: %w", supervisor.Identity().PID, err)
	}
	select {
	case <-supervisor.Done():
		return nil
	case <-ctx.Done():
		return fmt.Errorf("the supervisor, pid %d, has not stopped: %w", supervisor.Identity().PID, ctx.Err())
	}
}

// Clean stops the stack and removes everything it kept.
func Clean(ctx context.Context, dataDir string, out io.Writer) error {
	if err := Stop(ctx, dataDir, out); err != nil {
		return err
	}
	abs, err := filepath.Abs(dataDir)
	if err != nil {
		return err
	}
	if _, err := os.Stat(abs); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if _, err := os.Stat(filepath.Join(abs, "lock")); err != nil { // --data / must not cost a disk
		return fmt.Errorf("%s is not the data folder of a stack: nothing was removed", abs)
	}
	data, err := postgres.Locate(filepath.Join(abs, "postgres"))
	if err != nil {
		return err
	}
	return errors.Join(os.RemoveAll(data), os.RemoveAll(abs))
}

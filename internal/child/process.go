package child

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// Options says how to run a command.
type Options struct {
	// Cmd is not started yet; its Stdout and Stderr are used when Log is empty.
	Cmd *exec.Cmd
	// Log is a file to which the output is appended.
	Log string
	// StopSignal asks the process to end; SIGTERM when nil.
	StopSignal os.Signal
	// DieWithParent has the kernel send the stop signal when this process
	// dies, however it dies. Only Linux can; elsewhere it has no effect.
	DieWithParent bool
}

// Process is a running child, or a process adopted from an earlier run.
type Process struct {
	identity Identity
	signal   os.Signal
	done     chan struct{}
	err      error // readable once done is closed
}

// Start runs the command in its own process group, so that a Ctrl-C at the
// terminal reaches only the parent, which then stops its children in order.
func Start(o Options) (*Process, error) {
	if o.StopSignal == nil {
		o.StopSignal = syscall.SIGTERM
	}
	if o.Cmd.SysProcAttr == nil {
		o.Cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	o.Cmd.SysProcAttr.Setpgid = true
	if o.DieWithParent {
		dieWithParent(o.Cmd.SysProcAttr, o.StopSignal)
	}
	if o.Log != "" {
		file, err := os.OpenFile(o.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			return nil, fmt.Errorf("cannot open the log: %w", err)
		}
		defer file.Close()
		o.Cmd.Stdout, o.Cmd.Stderr = file, file
	}
	p := &Process{signal: o.StopSignal, done: make(chan struct{})}
	started := make(chan error, 1)
	go p.run(o.Cmd, started)
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

// run keeps one thread for the child's whole life: the kernel ties the
// parent-death signal to the thread that started the child, not to the process.
func (p *Process) run(cmd *exec.Cmd, started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := cmd.Start(); err != nil {
		started <- err
		return
	}
	identity, known := Identify(cmd.Process.Pid)
	if !known { // already gone, or no way to ask: the pid is still ours until Wait
		identity = Identity{PID: cmd.Process.Pid}
	}
	p.identity = identity
	started <- nil
	p.err = cmd.Wait()
	close(p.done)
}

// Adopt watches a process that this program did not start. ok is false when it
// is not running (any more) or its pid belongs to another process by now.
func Adopt(id Identity, stop os.Signal) (p *Process, ok bool) {
	if !id.Alive() {
		return nil, false
	}
	if stop == nil {
		stop = syscall.SIGTERM
	}
	p = &Process{identity: id, signal: stop, done: make(chan struct{})}
	go p.watch()
	return p, true
}

// watch polls, because only a parent is told when a process ends.
func (p *Process) watch() {
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for range ticker.C {
		if !p.identity.Alive() {
			p.err = errors.New("the adopted process ended")
			close(p.done)
			return
		}
	}
}

// Identity names the process beyond its pid.
func (p *Process) Identity() Identity { return p.identity }

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err says how the process ended; nil before that, and for exit status 0.
func (p *Process) Err() error {
	select {
	case <-p.done:
		return p.err
	default:
		return nil
	}
}

// Stop asks the process to end and kills its group after the grace period. It
// returns when the process is gone, and an error only when it had to be killed.
func (p *Process) Stop(grace time.Duration) error {
	if p.ended() {
		return nil
	}
	process, err := os.FindProcess(p.identity.PID)
	if err != nil {
		return nil
	}
	_ = process.Signal(p.signal) // already gone is what we want
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-p.done:
		return nil
	case <-timer.C:
	}
	_ = syscall.Kill(-p.identity.PID, syscall.SIGKILL)
	_ = process.Kill()
	<-p.done
	return fmt.Errorf("process %d did not stop within %s and was killed", p.identity.PID, grace)
}

func (p *Process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

package devstack

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/suanpan/suanpan/internal/child"
)

// Status of a stack.
type Status string

// The statuses of a stack; a stack that is down has no state file.
const (
	Starting Status = "starting"
	Up       Status = "up"
	Stopping Status = "stopping"
)

// State is what stack.json holds: enough for another process to show the
// stack, to stop it, and to clean up after a killed supervisor.
type State struct {
	Status     Status         `json:"status"`
	Supervisor child.Identity `json:"supervisor"`
	Since      time.Time      `json:"since"`
	Parts      []PartState    `json:"parts"` // in the order they were started
	Addresses  []Address      `json:"addresses"`
}

// PartState is one process of the stack.
type PartState struct {
	Name     string         `json:"name"`
	Address  string         `json:"address"`
	Log      string         `json:"log"`
	Process  child.Identity `json:"process"`
	Signal   int            `json:"stop_signal"`
	Grace    time.Duration  `json:"grace_ns"`
	Restarts int            `json:"restarts"`
}

// Address is something to look at.
type Address struct {
	What string `json:"what"`
	URL  string `json:"url"`
}

func stateFile(dataDir string) string { return filepath.Join(dataDir, "stack.json") }

// readState returns ok false when there is no stack and no orphans.
func readState(dataDir string) (s State, ok bool, err error) {
	content, err := os.ReadFile(stateFile(dataDir))
	if errors.Is(err, os.ErrNotExist) {
		return State{}, false, nil
	}
	if err != nil {
		return State{}, false, err
	}
	if err := json.Unmarshal(content, &s); err != nil {
		return State{}, false, fmt.Errorf("%s cannot be read (%w): remove it", stateFile(dataDir), err)
	}
	return s, true, nil
}

// writeState replaces the file in one step: a reader sees the old or the new.
func writeState(dataDir string, s State) error {
	content, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	making := stateFile(dataDir) + ".making"
	if err := os.WriteFile(making, append(content, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(making, stateFile(dataDir))
}

func removeState(dataDir string) error {
	err := os.Remove(stateFile(dataDir))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// errLocked says that a supervisor works on the data directory.
var errLocked = errors.New("a stack is running already")

// lock takes the data directory for this process. The kernel gives it back
// when the process ends, however it ends.
func lock(dataDir string) (unlock func(), err error) {
	file, err := os.OpenFile(filepath.Join(dataDir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, notWritable(dataDir, err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("%w on %s: stop it with `starter dev stop` (make down)", errLocked, dataDir)
	}
	return func() { _ = file.Close() }, nil
}

func notWritable(dir string, err error) error {
	return fmt.Errorf("cannot write to %s (%w): fix its permissions or choose another folder with --data", dir, err)
}

// stopOrphans stops what a killed supervisor left, newest first, and only
// processes that are still the recorded ones. It is to be called under the lock.
func stopOrphans(dataDir string, say func(string, ...any)) error {
	state, ok, err := readState(dataDir)
	if err != nil || !ok {
		return err
	}
	for i := len(state.Parts) - 1; i >= 0; i-- {
		orphan := state.Parts[i]
		process, alive := child.Adopt(orphan.Process, syscall.Signal(orphan.Signal))
		if !alive {
			continue
		}
		say("stopping %s (pid %d), left over from a supervisor that was killed", orphan.Name, orphan.Process.PID)
		if err := process.Stop(orphan.Grace); err != nil {
			say("%v", err)
		}
	}
	return removeState(dataDir)
}

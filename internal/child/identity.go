package child

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
)

// Identity tells one process from every other that ever had its pid.
type Identity struct {
	PID     int    `json:"pid"`
	Started string `json:"started"` // opaque: clock ticks since boot on Linux, a date elsewhere
	Command string `json:"command"` // for people; empty while the process is being started
}

// Identify reads the identity of a running process.
func Identify(pid int) (id Identity, ok bool) {
	if pid <= 0 {
		return Identity{}, false
	}
	if _, err := os.Stat("/proc/self/stat"); err == nil {
		return identifyByProc(pid)
	}
	return identifyByPs(pid)
}

// Alive reports whether this very process still runs. The pid with its start
// says so by itself; a process that was identified between fork and exec had no
// command yet.
func (id Identity) Alive() bool {
	now, ok := Identify(id.PID)
	return ok && now.Started == id.Started
}

func identifyByProc(pid int) (Identity, bool) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return Identity{}, false
	}
	// The second field is the name in brackets and may itself hold brackets and
	// spaces; the fields after its last bracket are plain.
	end := bytes.LastIndexByte(stat, ')')
	if end < 0 {
		return Identity{}, false
	}
	fields := strings.Fields(string(stat[end+1:]))
	const state, startTime = 0, 19
	if len(fields) <= startTime || fields[state] == "Z" || fields[state] == "X" {
		return Identity{}, false
	}
	cmdline, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		return Identity{}, false
	}
	command, _, _ := strings.Cut(string(cmdline), "\x00")
	return Identity{PID: pid, Started: bootID() + "/" + fields[startTime], Command: command}, true
}

// bootID keeps a pid and start time of an earlier boot from matching.
func bootID() string {
	id, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(id))
}

func identifyByPs(pid int) (Identity, bool) {
	ps := func(column string) string {
		out, err := exec.Command("ps", "-o", column+"=", "-p", strconv.Itoa(pid)).Output()
		if err != nil {
			return ""
		}
		return strings.TrimSpace(string(out))
	}
	id := Identity{PID: pid, Started: ps("lstart"), Command: ps("comm")}
	return id, id.Started != "" && !strings.HasPrefix(ps("stat"), "Z")
}

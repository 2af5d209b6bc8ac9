package freeport

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// The range lies below the ports of outgoing connections (32768 on Linux), and
// Temporal keeps its members' ports in a column for small integers.
const first, count = 12000, 20000

// Reserve returns a port of 127.0.0.1 on which nobody listens now and which no
// other caller of Reserve on this machine gets until this process ends: a lock on
// a file of the port's name says so, and the system drops it with the process.
func Reserve() (int, error) {
	folder := filepath.Join(os.TempDir(), "suanpan-ports")
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return 0, fmt.Errorf("reserve a port: %w", err)
	}
	for range count {
		port := first + rand.IntN(count)
		// A bare descriptor, because a garbage collected os.File closes itself and
		// gives the lock away.
		lock, err := syscall.Open(filepath.Join(folder, strconv.Itoa(port)), syscall.O_CREAT|syscall.O_RDONLY|syscall.O_CLOEXEC, 0o666)
		if err != nil {
			return 0, fmt.Errorf("reserve a port in %s: %w", folder, err)
		}
		if syscall.Flock(lock, syscall.LOCK_EX|syscall.LOCK_NB) == nil && free(port) {
			return port, nil
		}
		_ = syscall.Close(lock) // somebody has the port
	}
	return 0, errors.New("reserve a port: none between 12000 and 32000 is free")
}

// free asks by calling, not by listening: a process that is being started meanwhile
// has a copy of the listener until it executes its program, and so long the port
// stays busy although we closed ours.
func free(port int) bool {
	conn, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return errors.Is(err, syscall.ECONNREFUSED)
	}
	_ = conn.Close()
	return false
}

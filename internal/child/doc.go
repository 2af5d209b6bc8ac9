// Package child owns one child process of ours: it starts it in a process
// group of its own, sends its output to a log file, tells when it ends and
// stops it with a signal, a grace period and, only then, a kill. It also owns
// the identity of a process (pid, start time, command), by which a process
// left over from an earlier run is recognised and adopted, and by which a pid
// that was given to somebody else meanwhile is left alone.
//
// It may not know what the process is for, read the environment, or restart
// anything: that is devstack's.
package child

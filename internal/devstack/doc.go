// Package devstack owns `starter dev`: PostgreSQL, the Temporal development
// server, the sandbox, two workers and two APIs as child processes of one
// supervisor that starts them in order, waits until each answers, starts again
// what dies, and stops exactly what it started, in reverse order.
//
// Everything it keeps is in one data directory: a lock, stack.json (which
// processes are ours, so that the next supervisor finds the orphans of a
// killed one), log/, bin/, and the parts' own data. It may not hold business
// logic, and it may not touch a process whose pid, start time and command are
// not the recorded ones.
package devstack

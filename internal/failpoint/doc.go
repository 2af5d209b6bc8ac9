// Package failpoint owns the places at which a process can be made to die, so
// that internal/crashmatrix can kill it with SIGKILL at each of them, one by one.
//
// Places are not sprinkled through business code. They are visited by the
// mechanisms that everything passes: the commit in internal/pg, the HTTP transport
// of the providers' adapters, and the interceptors of internal/failpoint/intercept
// around activities, workflow code, calls to Temporal and requests. A place that is
// visited outside a scope, such as a query at start-up, is nowhere.
//
// Without the build tag chaos every function here is empty and is compiled away: a
// shipped binary has no failpoints and reads none of their variables.
//
// It may not import anything of ours, and it may do nothing but note and kill: a
// failpoint that returned errors would test another program than the one shipped.
package failpoint

// The places. The number after a name (commit.before#2) counts the visits within
// one scope, from 1.
const (
	// Begin: the scope has begun and nothing is done (k1).
	Begin = "begin"
	// BeforeCommit and AfterCommit stand around the COMMIT of a transaction that
	// wrote something (k2, k4 and the inner half of k5).
	BeforeCommit = "commit.before"
	AfterCommit  = "commit.after"
	// BeforeCall: the request to a provider is not sent. AfterCall: the reply's
	// bytes have arrived, and nobody has seen them (k3).
	BeforeCall = "call.before"
	AfterCall  = "call.after"
	// BeforeStart and AfterStart stand around starting a workflow, with or without
	// an update or a signal.
	BeforeStart = "start.before"
	AfterStart  = "start.after"
	// Command: workflow code is about to ask for its next command (k6).
	Command = "command"
	// Update: a workflow's update handler has returned (k6).
	Update = "update"
	// End: everything is done and nobody has been told (k5; in workflow code k7).
	End = "end"
)

// The variables that a program built with the tag chaos obeys.
const (
	// VariableRecord names a file to which each visit is appended as a line.
	VariableRecord = "FAILPOINT_RECORD"
	// VariableKill names the one visit at which the process kills itself.
	VariableKill = "FAILPOINT_KILL"
	// VariableMarker names the file that is made by the kill, so that of all
	// processes that have it only the first to come dies, and only once.
	VariableMarker = "FAILPOINT_MARKER"
)

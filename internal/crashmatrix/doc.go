// Package crashmatrix owns the crash matrix: for every scenario, step and
// failpoint that the scenario visits there is one cell, in which a real process is
// killed with SIGKILL at exactly that point, another takes over, and everything
// must end as if nothing had happened.
//
// Reading order: scenarios.go (what is run, and which steps each scenario answers
// for), share.go (which cells a short run takes), then the tests behind the build
// tag chaos: matrix_test.go (recording, cells, table), world_test.go (the parts
// and their deaths), acts_test.go and courses_test.go (the scenarios), judge_test.go.
//
// It may not know what an activity does: cells are found by recording, and what is
// registered and answered for by no scenario fails this package's tests.
package crashmatrix

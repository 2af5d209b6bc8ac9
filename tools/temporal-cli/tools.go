//go:build tools

// Package tools pins the Temporal CLI, whose development server `starter dev` and
// the tests run, and the Web UI beside it. It is a module of its own because its
// dependencies and the full server's cannot be satisfied by one go.mod.
package tools

import (
	_ "github.com/temporalio/cli/cmd/temporal"
	_ "github.com/temporalio/ui-server/v2/cmd/server"
)

//go:build tools

// Package tools pins the Temporal CLI, whose development server and Web UI
// `starter dev` and the tests run. It is a module of its own because its
// dependencies and the full server's cannot be satisfied by one go.mod.
package tools

import _ "github.com/temporalio/cli/cmd/temporal"

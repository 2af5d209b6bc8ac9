//go:build tools

// Package tools pins the full Temporal server and its SQL schema tool. They
// stand in for the container images when docker-compose.temporal.yml is
// checked (make check-compose). It is a module of its own because its
// dependencies and the CLI's cannot be satisfied by one go.mod.
package tools

import (
	_ "go.temporal.io/server/cmd/server"
	_ "go.temporal.io/server/cmd/tools/sql"
)

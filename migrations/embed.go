// Package migrations owns the database schema: numbered SQL files, embedded,
// applied forward only by `starter migrate`. It holds no Go logic.
package migrations

import "embed"

// FS holds the migration files, NNN_name.sql without gaps.
//
//go:embed *.sql
var FS embed.FS

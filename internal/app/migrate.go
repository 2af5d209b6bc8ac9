package app

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/tern/v2/migrate"

	"github.com/suanpan/suanpan/migrations"
)

// Migrate brings the database at url to this build's schema and returns the
// schema's number before and after. It waits for a migration that runs
// elsewhere. A database that is newer than this build is refused.
func Migrate(ctx context.Context, url string) (from, to int32, err error) {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return 0, 0, fmt.Errorf("database: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	m, err := migrate.NewMigrator(ctx, conn, "public.schema_version")
	if err != nil {
		return 0, 0, fmt.Errorf("schema version: %w", err)
	}
	if err := m.LoadMigrations(migrations.FS); err != nil {
		return 0, 0, fmt.Errorf("migrations: %w", err)
	}
	if from, err = m.GetCurrentVersion(ctx); err != nil {
		return 0, 0, fmt.Errorf("schema version: %w", err)
	}
	to = int32(len(m.Migrations))
	if from > to {
		return from, to, fmt.Errorf("the database has schema %d and this build knows %d: run a newer build", from, to)
	}
	if err := m.Migrate(ctx); err != nil {
		return from, to, fmt.Errorf("migrate from schema %d: %w", from, err)
	}
	return from, to, nil
}

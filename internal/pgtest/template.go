package pgtest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/tern/v2/migrate"

	"github.com/suanpan/suanpan/migrations"
)

// templateLock serialises the making of templates on one server: roles belong
// to the whole server, so two migrations at once would collide.
const templateLock = 0x5ca1ab1e

// ensureTemplate returns the name of a template database with the current
// schema, and makes it when no process has yet.
func ensureTemplate(ctx context.Context, base string) (string, error) {
	sum, err := schemaHash()
	if err != nil {
		return "", err
	}
	name := "suanpan_template_" + sum
	conn, err := pgx.Connect(ctx, base)
	if err != nil {
		return "", err
	}
	defer conn.Close(context.WithoutCancel(ctx)) // and with it the lock
	if ready, err := isTemplate(ctx, conn, name); ready || err != nil {
		return name, err
	}
	if _, err := conn.Exec(ctx, "select pg_advisory_lock($1)", int64(templateLock)); err != nil {
		return "", err
	}
	if ready, err := isTemplate(ctx, conn, name); ready || err != nil {
		return name, err
	}
	return name, makeTemplate(ctx, conn, base, name)
}

// isTemplate tells a finished template; the mark is set last.
func isTemplate(ctx context.Context, conn *pgx.Conn, name string) (ready bool, err error) {
	err = conn.QueryRow(ctx,
		"select exists (select from pg_database where datname = $1 and datistemplate)", name).Scan(&ready)
	return ready, err
}

func makeTemplate(ctx context.Context, conn *pgx.Conn, base, name string) error {
	for _, sql := range []string{
		"drop database if exists " + name + " with (force)", // left half-made by a killed process
		"create database " + name,
	} {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return err
		}
	}
	if err := applyMigrations(ctx, withDatabase(base, name)); err != nil {
		return err
	}
	_, err := conn.Exec(ctx, "alter database "+name+" is_template true")
	return err
}

func applyMigrations(ctx context.Context, databaseURL string) error {
	conn, err := pgx.Connect(ctx, databaseURL)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	migrator, err := migrate.NewMigrator(ctx, conn, "public.schema_version")
	if err != nil {
		return err
	}
	if err := migrator.LoadMigrations(migrations.FS); err != nil {
		return err
	}
	return migrator.Migrate(ctx)
}

// schemaHash changes with the name or content of any migration.
func schemaHash() (string, error) {
	files, err := fs.Glob(migrations.FS, "*.sql")
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	for _, file := range files {
		content, err := migrations.FS.ReadFile(file)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(sum, "%s %d\n", file, len(content))
		sum.Write(content)
	}
	return hex.EncodeToString(sum.Sum(nil))[:12], nil
}

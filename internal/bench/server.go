package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"

	"github.com/jackc/pgx/v5"

	"github.com/suanpan/suanpan/internal/app"
	"github.com/suanpan/suanpan/internal/postgres"
)

// server is the PostgreSQL that everything runs on.
type server struct {
	base string // superuser's URL
	own  *postgres.Server
	dir  string
}

// settings are what our own server is started with: every commit durable, and
// room enough that checkpoints do not decide the outcome.
func settings() map[string]string {
	return map[string]string{
		"fsync":                    "on",
		"synchronous_commit":       "on",
		"full_page_writes":         "on",
		"max_connections":          "200",
		"shared_buffers":           "1GB",
		"max_wal_size":             "8GB",
		"checkpoint_timeout":       "15min",
		"timezone":                 "UTC",
		"shared_preload_libraries": "pg_stat_statements",
	}
}

func startServer(ctx context.Context, o options) (*server, error) {
	if o.url != "" {
		return &server{base: o.url}, nil
	}
	dir, err := os.MkdirTemp("", "suanpan-bench-")
	if err != nil {
		return nil, err
	}
	// Under root the server runs as another user, who must pass through here.
	if err := os.Chmod(dir, 0o711); err != nil {
		return nil, err
	}
	wanted := settings()
	own, err := postgres.Start(ctx, postgres.Options{
		DataDir: filepath.Join(dir, "data"), Settings: wanted, DieWithParent: true,
		Say: func(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) },
	})
	if err != nil {
		return nil, fmt.Errorf("%w (files in %s)", err, dir)
	}
	return &server{base: own.URL("postgres"), own: own, dir: dir}, nil
}

func (s *server) stop() error {
	if s.own == nil {
		return nil
	}
	return errors.Join(s.own.Stop(), os.RemoveAll(s.dir))
}

// database makes an empty database and returns its URL.
func (s *server) database(ctx context.Context, name string) (string, error) {
	conn, err := pgx.Connect(ctx, s.base)
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	for _, sql := range []string{"drop database if exists " + name + " with (force)", "create database " + name} {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return "", err
		}
	}
	return s.urlOf(name)
}

func (s *server) urlOf(name string) (string, error) {
	u, err := url.Parse(s.base)
	if err != nil {
		return "", err
	}
	u.Path = "/" + name
	return u.String(), nil
}

// kept is a database with production's schema that stays for the next run, and
// whether it is made now.
func (s *server) kept(ctx context.Context, name string) (at string, fresh bool, err error) {
	conn, err := pgx.Connect(ctx, s.base)
	if err != nil {
		return "", false, err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if err := conn.QueryRow(ctx, "select count(*) = 0 from pg_database where datname = $1", name).Scan(&fresh); err != nil {
		return "", false, err
	}
	if fresh {
		at, err = s.migrated(ctx, name)
		return at, true, err
	}
	at, err = s.urlOf(name)
	return at, false, err
}

// migrated makes a database with production's schema and roles.
func (s *server) migrated(ctx context.Context, name string) (string, error) {
	at, err := s.database(ctx, name)
	if err != nil {
		return "", err
	}
	_, to, err := app.Migrate(ctx, at)
	if err != nil {
		return "", err
	}
	fmt.Fprintf(os.Stderr, "database %s has schema %d\n", name, to)
	return at, nil
}

// describe prints what the numbers were measured on.
func (s *server) describe(ctx context.Context, r *report) error {
	conn, err := pgx.Connect(ctx, s.base)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	var version string
	if err := conn.QueryRow(ctx, "show server_version").Scan(&version); err != nil {
		return err
	}
	r.line("PostgreSQL %s, %d CPUs (%s/%s, %s), load generator on the same CPUs.", version, runtime.NumCPU(),
		runtime.GOOS, runtime.GOARCH, runtime.Version())
	text := ""
	for _, name := range []string{"fsync", "synchronous_commit", "full_page_writes", "wal_sync_method", "shared_buffers",
		"max_wal_size", "checkpoint_timeout", "commit_delay", "autovacuum", "default_transaction_isolation"} {
		var value string
		if err := conn.QueryRow(ctx, "show "+name).Scan(&value); err != nil {
			return err
		}
		text += fmt.Sprintf(" `%s=%s`", name, value)
		if (name == "fsync" || name == "synchronous_commit" || name == "full_page_writes") && value != "on" {
			r.warn("%s is %s: nothing below is durable, so nothing below counts", name, value)
		}
	}
	r.line("Settings:%s.", text)
	return nil
}

// describeSchema prints as whom we post, and what guards the tables.
func (b *books) describeSchema(ctx context.Context, r *report) error {
	var user, role, secured string
	var super bool
	err := b.db.InTenant(ctx, b.tenant, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `
			select session_user, current_user, (select rolsuper or rolbypassrls from pg_roles where rolname = current_user),
			  (select string_agg(relname, ', ' order by relname) from pg_class
			    where relname in ('entries', 'postings', 'ledger_accounts', 'transfers', 'events', 'accepted_requests')
			      and relrowsecurity and relforcerowsecurity)`).Scan(&user, &role, &super, &secured)
	})
	if err != nil {
		return err
	}
	r.line("")
	r.line("Connected as `%s`, working as `%s` (superuser or past row-level security: %t); row-level security forced on %s.",
		user, role, super, secured)
	r.line("")
	r.line("| table | indexes | constraints | triggers |")
	r.line("|---|---:|---|---|")
	for _, table := range []string{"entries", "postings", "ledger_accounts", "transfers", "events", "accepted_requests",
		"accepted_responses"} {
		var indexes int
		var constraints, triggers string
		if err := b.super.QueryRow(ctx, `
			select (select count(*) from pg_index where indrelid = $1::regclass),
			  (select coalesce(string_agg(n || ' ' || kind, ', ' order by kind), '') from (
			    select case contype when 'c' then 'check' when 'f' then 'foreign key' when 'p' then 'primary key' when 'u' then 'unique'
			      else contype::text end as kind, count(*) as n
			    from pg_constraint where conrelid = $1::regclass group by 1) c),
			  (select coalesce(string_agg(tgname, ', ' order by tgname), '') from pg_trigger
			    where tgrelid = $1::regclass and not tgisinternal and tgenabled <> 'D')`,
			table).Scan(&indexes, &constraints, &triggers); err != nil {
			return err
		}
		r.line("| %s | %d | %s | %s |", table, indexes, constraints, triggers)
	}
	return nil
}

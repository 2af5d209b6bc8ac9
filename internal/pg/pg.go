// Package pg owns the connection to PostgreSQL: two pools, one per role, and
// the two ways to run a transaction on them. It holds no SQL of the business.
package pg

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/suanpan/suanpan/internal/id"
	"github.com/suanpan/suanpan/internal/telemetry"
)

// The roles created by the first migration.
const (
	RoleApp    = "suanpan_app"
	RoleSystem = "suanpan_system"
)

// Querier runs statements: a pool or a transaction.
type Querier interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// DB holds the two pools. It is safe for concurrent use.
type DB struct {
	app    *pgxpool.Pool
	system *pgxpool.Pool
	lanes  lanes
}

// Options size the pools and bound what a statement may take.
type Options struct {
	// MaxConns bounds each pool; 0 means 16.
	MaxConns int32
}

// Open connects both pools to url. The login user must be a member of both
// roles (the user that ran the migrations is). It returns an error when the
// database cannot be reached or has not been migrated.
func Open(ctx context.Context, url string, opts Options) (*DB, error) {
	app, err := openAs(ctx, url, RoleApp, opts)
	if err != nil {
		return nil, err
	}
	system, err := openAs(ctx, url, RoleSystem, opts)
	if err != nil {
		app.Close()
		return nil, err
	}
	return &DB{app: app, system: system}, nil
}

func openAs(ctx context.Context, url, role string, opts Options) (*pgxpool.Pool, error) {
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("database url: %w", err)
	}
	cfg.MaxConns = 16
	if opts.MaxConns > 0 {
		cfg.MaxConns = opts.MaxConns
	}
	params := cfg.ConnConfig.RuntimeParams
	params["application_name"] = role
	params["role"] = role
	params["lock_timeout"] = "10s"
	params["statement_timeout"] = "30s"
	params["idle_in_transaction_session_timeout"] = "30s"
	params["jit"] = "off" // it compiles for longer than any of our statements runs
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("database: %w", err)
	}
	if err := pool.Ping(ctx); err != nil {
		pool.Close()
		return nil, fmt.Errorf("database as role %s (run `starter migrate` first, and let the login user be a member): %w", role, err)
	}
	return pool, nil
}

// Close closes both pools.
func (db *DB) Close() {
	db.app.Close()
	db.system.Close()
}

// Ping checks that the database answers.
func (db *DB) Ping(ctx context.Context) error { return db.system.Ping(ctx) }

// InTenant runs fn in one transaction that sees only tenant's rows. It commits
// when fn returns nil. Deadlocks and serialization failures are retried, so fn
// may run more than once and must have no effect outside tx. The transaction
// begins with its first statement, and in the same round trip when that is a batch.
func (db *DB) InTenant(ctx context.Context, tenant string, fn func(tx pgx.Tx) error) error {
	if err := id.Check(id.Tenant, tenant); err != nil {
		return fmt.Errorf("tenant id %q: %w", tenant, err)
	}
	within, span := telemetry.InTransaction(ctx, RoleApp)
	err := retry(within, func() error { return runTenantTx(within, db.app, &tenantTx{tenant: tenant}, fn) })
	span.Ended(err == nil)
	return err
}

// AsSystem runs fn in one transaction that sees every tenant's rows. It is for
// the listed jobs that cannot know the tenant beforehand.
func (db *DB) AsSystem(ctx context.Context, fn func(tx pgx.Tx) error) error {
	return run(ctx, db.system, pgx.TxOptions{}, fn)
}

// RowAsSystem runs one query of one row over every tenant's rows, in a
// transaction of its own and one round trip.
func (db *DB) RowAsSystem(ctx context.Context, sql string, args ...any) pgx.Row {
	return db.system.QueryRow(ctx, sql, args...)
}

// Snapshot runs fn in one read-only REPEATABLE READ transaction over all tenants.
func (db *DB) Snapshot(ctx context.Context, fn func(tx pgx.Tx) error) error {
	return run(ctx, db.system, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, fn)
}

// Beside runs fn once in another such transaction, on the snapshot that one of
// Snapshot exported with pg_export_snapshot and still holds. It takes one more
// connection of the system role's pool.
func (db *DB) Beside(ctx context.Context, snapshot string, fn func(tx pgx.Tx) error) error {
	opts := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	return pgx.BeginTxFunc(ctx, db.system, opts, func(tx pgx.Tx) error {
		// The statement takes no parameter; an exported name is hexadecimal digits and dashes.
		if _, err := tx.Exec(ctx, "set transaction snapshot "+quoteLiteral(snapshot)); err != nil {
			return err
		}
		return fn(tx)
	})
}

func quoteLiteral(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

const maxTries = 8

func run(ctx context.Context, pool *pgxpool.Pool, opts pgx.TxOptions, fn func(tx pgx.Tx) error) error {
	within, span := telemetry.InTransaction(ctx, RoleSystem)
	err := retry(within, func() error {
		var wrote bool
		err := pgx.BeginTxFunc(within, pool, opts, func(tx pgx.Tx) error {
			if err := nameActor(within, tx); err != nil {
				return err
			}
			err := fn(tx)
			wrote = err == nil && committing(within, tx)
			return err
		})
		committed(within, wrote && err == nil)
		return err
	})
	span.Ended(err == nil)
	return err
}

// retry runs a transaction again when the server rolled it back for reasons of
// concurrency alone.
func retry(ctx context.Context, transaction func() error) error {
	var err error
	for try := range maxTries {
		err = transaction()
		if !retryable(err) {
			return err
		}
		pause := time.Duration(rand.Int64N(int64(5*time.Millisecond) << try))
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-time.After(pause):
		}
	}
	return err
}

// retryable reports whether the server rolled the transaction back for reasons
// of concurrency alone.
func retryable(err error) bool {
	var pgErr *pgconn.PgError
	if !errors.As(err, &pgErr) {
		return false
	}
	return pgErr.Code == "40001" || pgErr.Code == "40P01"
}

// IsUnique reports whether err is a violation of the named unique constraint.
func IsUnique(err error, constraint string) bool {
	var pgErr *pgconn.PgError
	return errors.As(err, &pgErr) && pgErr.Code == "23505" && pgErr.ConstraintName == constraint
}

// IsForeignKey reports whether err is a violation of the named foreign key.
func IsForeignKey(err error, constraint string) bool {
	var pgErr *pgconn.PgError
	return errors.As(err, &pgErr) && pgErr.Code == "23503" && pgErr.ConstraintName == constraint
}

package pg

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/suanpan/suanpan/internal/failpoint"
)

// tenantTx is a transaction that has not begun until its first statement. When
// that is a batch, BEGIN and the tenant's name travel with it, which saves a
// round trip in every call that begins with a look. It is used by one goroutine.
type tenantTx struct {
	conn   *pgxpool.Conn
	tenant string
	// impatient gives up on a lock after a moment.
	impatient bool
	begun     bool
	ended     bool
	// depth numbers the savepoints.
	depth int
}

const (
	sqlBegin      = `begin`
	sqlNameTenant = `select set_config('suanpan.tenant', $1, true)`
	sqlImpatient  = `select set_config('suanpan.tenant', $1, true), set_config('lock_timeout', '250ms', true)`
)

// runTenantTx runs fn in a transaction of tenant on a connection of pool, like
// pgx.BeginTxFunc: it commits when fn returns nil and rolls back otherwise.
func runTenantTx(ctx context.Context, pool *pgxpool.Pool, tenant string, impatient bool, fn func(tx pgx.Tx) error) (err error) {
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return err
	}
	// A connection that is not idle by then is closed, and so rolled back.
	defer conn.Release()
	tx := &tenantTx{conn: conn, tenant: tenant, impatient: impatient}
	defer func() {
		if back := tx.Rollback(ctx); back != nil && !errors.Is(back, pgx.ErrTxClosed) {
			err = errors.Join(err, back)
		}
	}()
	if err := fn(tx); err != nil || tx.ended {
		return err
	}
	return tx.Commit(ctx)
}

// CommitWith sends b as the last statements of a transaction of InTenant and
// commits it in the same round trip. After an error nothing was committed; after
// success tx cannot be used any more. Another transaction is committed by its
// owner.
func CommitWith(ctx context.Context, tx pgx.Tx, b *pgx.Batch) error {
	if s, ok := tx.(*sharedTx); ok {
		failpoint.At(ctx, failpoint.BeforeCommit)
		err := s.commitWith(ctx, b)
		committed(ctx, err == nil)
		return err
	}
	t, ok := tx.(*tenantTx)
	if !ok {
		return tx.SendBatch(ctx, b).Close()
	}
	if err := t.begin(ctx); err != nil {
		return err
	}
	b.Queue("commit").Exec(func(tag pgconn.CommandTag) error {
		if tag.String() == "ROLLBACK" {
			return pgx.ErrTxCommitRollback
		}
		return nil
	})
	failpoint.At(ctx, failpoint.BeforeCommit)
	err := t.conn.SendBatch(ctx, b).Close()
	t.ended = err == nil
	committed(ctx, t.ended)
	return err
}

// begin begins the transaction unless a batch has; the tenant's id was checked
// to hold nothing but letters and digits.
func (t *tenantTx) begin(ctx context.Context) error {
	if t.ended {
		return pgx.ErrTxClosed
	}
	if t.begun {
		return nil
	}
	begin := "begin; set local suanpan.tenant = '" + t.tenant + "'"
	if t.impatient {
		begin += "; set local lock_timeout = '250ms'"
	}
	_, err := t.conn.Exec(ctx, begin)
	t.begun = err == nil
	return err
}

// Commit ends the transaction; one without a statement needs no end.
func (t *tenantTx) Commit(ctx context.Context) error {
	if t.ended {
		return pgx.ErrTxClosed
	}
	t.ended = true
	if !t.begun {
		return nil
	}
	wrote := committing(ctx, t.conn)
	tag, err := t.conn.Exec(ctx, "commit")
	if err != nil {
		return err
	}
	if tag.String() == "ROLLBACK" {
		return pgx.ErrTxCommitRollback
	}
	committed(ctx, wrote)
	return nil
}

// Rollback undoes everything; after Commit it returns pgx.ErrTxClosed.
func (t *tenantTx) Rollback(ctx context.Context) error {
	if t.ended {
		return pgx.ErrTxClosed
	}
	t.ended = true
	if !t.begun || t.conn.Conn().IsClosed() {
		return nil
	}
	_, err := t.conn.Exec(ctx, "rollback")
	return err
}

// SendBatch sends b, with BEGIN before its first statement if there was none.
func (t *tenantTx) SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults {
	if t.ended { // the connection may be somebody else's by now
		panic("pg: a batch was sent after its transaction ended")
	}
	if t.begun {
		return t.conn.SendBatch(ctx, b)
	}
	t.begun = true
	whole := &pgx.Batch{QueuedQueries: make([]*pgx.QueuedQuery, 0, len(b.QueuedQueries)+2)}
	whole.Queue(sqlBegin)
	if t.impatient {
		whole.Queue(sqlImpatient, t.tenant)
	} else {
		whole.Queue(sqlNameTenant, t.tenant)
	}
	whole.QueuedQueries = append(whole.QueuedQueries, b.QueuedQueries...)
	results := t.conn.SendBatch(ctx, whole)
	for range 2 { // an error is repeated by what the caller reads next
		if _, err := results.Exec(); err != nil {
			break
		}
	}
	return results
}

// Exec runs one statement.
func (t *tenantTx) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	if err := t.begin(ctx); err != nil {
		return pgconn.CommandTag{}, err
	}
	return t.conn.Exec(ctx, sql, args...)
}

// Query runs one query; its rows are closed before the next statement.
func (t *tenantTx) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	if err := t.begin(ctx); err != nil {
		return nil, err
	}
	return t.conn.Query(ctx, sql, args...)
}

// QueryRow runs a query of one row.
func (t *tenantTx) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	if err := t.begin(ctx); err != nil {
		return failedRow{err}
	}
	return t.conn.QueryRow(ctx, sql, args...)
}

// CopyFrom copies rows into a table.
func (t *tenantTx) CopyFrom(ctx context.Context, table pgx.Identifier, columns []string, source pgx.CopyFromSource) (int64, error) {
	if err := t.begin(ctx); err != nil {
		return 0, err
	}
	return t.conn.CopyFrom(ctx, table, columns, source)
}

// Prepare prepares a statement on the connection.
func (t *tenantTx) Prepare(ctx context.Context, name, sql string) (*pgconn.StatementDescription, error) {
	if err := t.begin(ctx); err != nil {
		return nil, err
	}
	return t.conn.Conn().Prepare(ctx, name, sql)
}

// LargeObjects is not offered: nothing here keeps any.
func (t *tenantTx) LargeObjects() pgx.LargeObjects { panic("pg: no large objects") }

// Conn is the connection below.
func (t *tenantTx) Conn() *pgx.Conn { return t.conn.Conn() }

// Begin sets a savepoint, which the returned transaction releases or goes back to.
func (t *tenantTx) Begin(ctx context.Context) (pgx.Tx, error) {
	t.depth++
	name := fmt.Sprintf("sp_%d", t.depth)
	if _, err := t.Exec(ctx, "savepoint "+name); err != nil {
		return nil, err
	}
	return &savepoint{tenantTx: t, name: name}, nil
}

// savepoint is a transaction inside a tenantTx.
type savepoint struct {
	*tenantTx
	name string
	done bool
}

// Commit keeps what happened since the savepoint.
func (s *savepoint) Commit(ctx context.Context) error { return s.end(ctx, "release savepoint ") }

// Rollback undoes what happened since the savepoint.
func (s *savepoint) Rollback(ctx context.Context) error { return s.end(ctx, "rollback to savepoint ") }

func (s *savepoint) end(ctx context.Context, how string) error {
	if s.done {
		return pgx.ErrTxClosed
	}
	s.done = true
	_, err := s.tenantTx.Exec(ctx, how+s.name)
	return err
}

type failedRow struct{ err error }

// Scan returns why there is no row.
func (r failedRow) Scan(...any) error { return r.err }

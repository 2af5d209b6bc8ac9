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
	// merchant narrows what is seen further; empty for all of the tenant's.
	merchant string
	// actor is who acts, empty when nobody does in particular.
	actor string
	// impatient gives up on a lock after a moment.
	impatient bool
	// hopeful lets Promise be used; promised says that it was.
	hopeful, promised bool
	// unsure says that nobody knows whether the commit took place.
	unsure bool
	begun  bool
	ended  bool
	// later are statements that wait for the next ones.
	later []*pgx.QueuedQuery
	// depth numbers the savepoints.
	depth int
}

const (
	sqlBegin      = `begin`
	sqlNameTenant = `select set_config('suanpan.tenant', $1, true)`
	sqlImpatient  = `select set_config('suanpan.tenant', $1, true), set_config('lock_timeout', '250ms', true)`
	sqlMerchant   = `select set_config('suanpan.merchant', $1, true)`
)

// runTenantTx runs fn in tx on a connection of pool, like
// pgx.BeginTxFunc: it commits when fn returns nil and rolls back otherwise.
func runTenantTx(ctx context.Context, pool *pgxpool.Pool, tx *tenantTx, fn func(tx pgx.Tx) error) (err error) {
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return err
	}
	// A connection that is not idle by then is closed, and so rolled back.
	defer conn.Release()
	tx.conn, tx.merchant, tx.actor = conn, merchantOf(ctx), actorOf(ctx)
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

// CommitNow commits a transaction of InTenant or Together before its function
// returns. After an error nothing was committed; after success tx cannot be used
// any more. Another transaction is committed by its owner.
func CommitNow(ctx context.Context, tx pgx.Tx) error {
	switch t := tx.(type) {
	case *sharedTx:
		failpoint.At(ctx, failpoint.BeforeCommit)
		err := t.wait(ctx, &ask{kind: askCommit, batch: &pgx.Batch{}})
		committed(ctx, err == nil)
		return err
	case *tenantTx:
		return t.Commit(ctx)
	}
	return nil
}

// Later queues b to travel with the next statements of tx, or with its commit, so
// that it costs no round trip of its own. Nobody looks at its results; its failure
// is that of what travels with it. In a shared transaction it is for the run of a
// Meet. A transaction that cannot wait runs b at once.
func Later(ctx context.Context, tx pgx.Tx, b *pgx.Batch) error {
	t, ok := tx.(*tenantTx)
	if !ok {
		return tx.SendBatch(ctx, b).Close()
	}
	t.later = append(t.later, b.QueuedQueries...)
	return nil
}

// Promise leaves b for Later when tx is a first try of Together, and reports whether
// it did. The caller then answers as if b had been done, because nobody learns of the
// answer unless the transaction is committed: when b fails, all of it is rolled back
// and runs again, with nothing promised.
func Promise(tx pgx.Tx, b *pgx.Batch) bool {
	t, ok := tx.(*tenantTx)
	if !ok || !t.hopeful {
		return false
	}
	t.later, t.promised = append(t.later, b.QueuedQueries...), true
	return true
}

// OfTenant reports whether tx is a transaction of the application's role.
func OfTenant(tx pgx.Tx) bool {
	switch tx.(type) {
	case *tenantTx, *savepoint, *sharedTx:
		return true
	}
	return false
}

// begin begins the transaction unless a batch has; the tenant's id was checked
// to hold nothing but letters and digits.
func (t *tenantTx) begin(ctx context.Context) error {
	if t.ended {
		return pgx.ErrTxClosed
	}
	if len(t.later) > 0 {
		return t.SendBatch(ctx, &pgx.Batch{}).Close()
	}
	if t.begun {
		return nil
	}
	begin := "begin; set local suanpan.tenant = '" + t.tenant + "'"
	if t.merchant != "" {
		begin += "; set local suanpan.merchant = " + quoteLiteral(t.merchant)
	}
	if t.actor != "" {
		begin += "; set local suanpan.actor = " + quoteLiteral(t.actor)
	}
	if t.impatient {
		begin += "; set local lock_timeout = '250ms'"
	}
	_, err := t.conn.Exec(ctx, begin)
	t.begun = err == nil
	return err
}

// idle reports whether nothing was sent and nothing waits to be.
func (t *tenantTx) idle() bool { return !t.begun && len(t.later) == 0 }

// Commit ends the transaction; one without a statement needs no end.
func (t *tenantTx) Commit(ctx context.Context) error {
	if t.ended {
		return pgx.ErrTxClosed
	}
	if t.idle() {
		t.ended = true
		return nil
	}
	wrote := committing(ctx, t)
	tag, err := t.end(ctx)
	t.ended = true
	if err != nil {
		var refused *pgconn.PgError
		t.unsure = !errors.As(err, &refused)
		return err
	}
	if tag.String() == "ROLLBACK" {
		return pgx.ErrTxCommitRollback
	}
	committed(ctx, wrote)
	return nil
}

// end sends the commit, with what was left for later before it.
func (t *tenantTx) end(ctx context.Context) (pgconn.CommandTag, error) {
	if len(t.later) == 0 {
		return t.conn.Exec(ctx, "commit")
	}
	last := &pgx.Batch{}
	last.Queue("commit")
	results := t.SendBatch(ctx, last)
	tag, err := results.Exec()
	return tag, errors.Join(err, results.Close())
}

// Rollback undoes everything; after Commit it returns pgx.ErrTxClosed.
func (t *tenantTx) Rollback(ctx context.Context) error {
	if t.ended {
		return pgx.ErrTxClosed
	}
	t.ended, t.later = true, nil
	if !t.begun || t.conn.Conn().IsClosed() {
		return nil
	}
	_, err := t.conn.Exec(ctx, "rollback")
	return err
}

// SendBatch sends b, with what waits before its first statement: BEGIN if there
// was none, and what was left for later.
func (t *tenantTx) SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults {
	if t.ended { // the connection may be somebody else's by now
		panic("pg: a batch was sent after its transaction ended")
	}
	whole := &pgx.Batch{QueuedQueries: make([]*pgx.QueuedQuery, 0, len(t.later)+len(b.QueuedQueries)+4)}
	if !t.begun {
		whole.Queue(sqlBegin)
		if t.impatient {
			whole.Queue(sqlImpatient, t.tenant)
		} else {
			whole.Queue(sqlNameTenant, t.tenant)
		}
		if t.merchant != "" {
			whole.Queue(sqlMerchant, t.merchant)
		}
		if t.actor != "" {
			whole.Queue(sqlActor, t.actor)
		}
	}
	whole.QueuedQueries = append(whole.QueuedQueries, t.later...)
	before := len(whole.QueuedQueries)
	whole.QueuedQueries = append(whole.QueuedQueries, b.QueuedQueries...)
	t.begun, t.later = true, nil
	results := t.conn.SendBatch(ctx, whole)
	for range before { // an error is repeated by what the caller reads next
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

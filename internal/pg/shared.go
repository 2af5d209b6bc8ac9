package pg

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// sharedTx is a member's view of a shared transaction.
type sharedTx struct {
	company *company
	at      int
	ctx     context.Context
	// committing is set by the member's own commit.
	committing bool
}

// Meet runs call together with the calls of the same type that other members of
// a shared transaction make: the run of one of them gets all, in the order in which
// the members came, and returns their errors. It returns false when tx is not
// shared; then there is nobody to meet. An error, of whomever, ends the shared
// transaction; Again is the one for those that are not to blame.
func Meet[C any](
	ctx context.Context, tx pgx.Tx, call C, run func(ctx context.Context, tx pgx.Tx, calls []C) []error,
) (met bool, err error) {
	s, ok := tx.(*sharedTx)
	if !ok {
		return false, nil
	}
	return true, s.wait(ctx, &ask{kind: askMeet, call: call,
		meet: func(ctx context.Context, tx pgx.Tx, calls []any) []error {
			typed := make([]C, len(calls))
			for i, c := range calls {
				typed[i], _ = c.(C) // grouped by this type
			}
			return run(ctx, tx, typed)
		}})
}

// Again is what a run of Meet returns for a call that did nothing wrong, when
// another's failed. Alone is for a call that is not fit for company.
func Again() error { return errAgain }

// Alone is what a run of Meet returns for a call that is to run by itself.
func Alone() error { return errAlone }

// wait asks and waits for the answer.
func (s *sharedTx) wait(ctx context.Context, a *ask) error {
	switch {
	case s.committing:
		return pgx.ErrTxClosed
	case ctx.Err() != nil:
		return ctx.Err()
	case s.ctx.Err() != nil:
		return s.ctx.Err()
	}
	s.committing = a.kind == askCommit
	a.at, a.answer = s.at, make(chan error, 1)
	s.company.asks <- a
	return <-a.answer
}

// SendBatch runs b with the batches of others when it is closed.
func (s *sharedTx) SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults {
	return &sharedResults{s, ctx, b, nil}
}

// Exec runs one statement.
func (s *sharedTx) Exec(ctx context.Context, sql string, args ...any) (tag pgconn.CommandTag, err error) {
	b := &pgx.Batch{}
	b.Queue(sql, args...).Exec(func(t pgconn.CommandTag) error {
		tag = t
		return nil
	})
	return tag, s.SendBatch(ctx, b).Close()
}

// QueryRow runs a query of one row when it is scanned.
func (s *sharedTx) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	return &sharedRow{s, ctx, sql, args}
}

// Query ends the company: its rows would be read while others wait.
func (s *sharedTx) Query(context.Context, string, ...any) (pgx.Rows, error) { return nil, errAlone }

// Begin ends the company: a savepoint would be everybody's.
func (s *sharedTx) Begin(context.Context) (pgx.Tx, error) { return nil, errAlone }

// CopyFrom ends the company.
func (s *sharedTx) CopyFrom(context.Context, pgx.Identifier, []string, pgx.CopyFromSource) (int64, error) {
	return 0, errAlone
}

// Prepare ends the company.
func (s *sharedTx) Prepare(context.Context, string, string) (*pgconn.StatementDescription, error) {
	return nil, errAlone
}

// Commit is the company's, not a member's.
func (s *sharedTx) Commit(context.Context) error { return errAlone }

// Rollback is the company's, not a member's.
func (s *sharedTx) Rollback(context.Context) error { return errAlone }

// LargeObjects is not offered: nothing here keeps any.
func (s *sharedTx) LargeObjects() pgx.LargeObjects { panic("pg: no large objects") }

// Conn is nil: the connection is everybody's.
func (s *sharedTx) Conn() *pgx.Conn { return nil }

// sharedRow is a row that is asked for when it is scanned.
type sharedRow struct {
	tx   *sharedTx
	ctx  context.Context
	sql  string
	args []any
}

// Scan runs the query.
func (r *sharedRow) Scan(dest ...any) error {
	b := &pgx.Batch{}
	b.Queue(r.sql, r.args...).QueryRow(func(row pgx.Row) error { return row.Scan(dest...) })
	return r.tx.SendBatch(r.ctx, b).Close()
}

// sharedResults are those of a batch whose results go to functions.
type sharedResults struct {
	tx    *sharedTx
	ctx   context.Context
	batch *pgx.Batch
	err   error
}

// Close runs the batch.
func (r *sharedResults) Close() error {
	if r.batch != nil {
		r.err = r.tx.wait(r.ctx, &ask{kind: askStatements, batch: r.batch})
		r.batch = nil
	}
	return r.err
}

func (r *sharedResults) alone() error {
	r.batch, r.err = nil, errAlone
	return errAlone
}

// Exec ends the company: results are read by functions.
func (r *sharedResults) Exec() (pgconn.CommandTag, error) { return pgconn.CommandTag{}, r.alone() }

// Query ends the company: results are read by functions.
func (r *sharedResults) Query() (pgx.Rows, error) { return nil, r.alone() }

// QueryRow ends the company: results are read by functions.
func (r *sharedResults) QueryRow() pgx.Row { return failedRow{r.alone()} }

// Tx is nil: the transaction was begun before.
func (r *sharedResults) Tx() pgx.Tx { return nil }
